package report

import "regfsck/graph"

// damage explains what is fatal and what is an error.
var damage = map[graph.ID]Explanation{
	graph.StoreUnreadable: {
		Brief: "something is there and could not be listed or read",
		Means: "Nobody can say what stands here, so nobody can say what it keeps. Unknown is never taken for absent: the report is INCOMPLETE, a tag that may need it counts as unknown, and nothing of the store may be deleted until it can be read.",
		Comes: "An I/O error of a dying disk or a network filesystem, a folder that belongs to another user, or a symbolic link or another filesystem where the layout expects a folder or a file: those are not entered unasked, because a link that leads astray looks like a registry in which everything is missing.",
		Do:    "Run the check as the user the registry runs as, or as root. Look for I/O errors in the kernel's log, and save what you can before anything else. If a link or a mount belongs to the registry, name it with --follow PATH. Then check again. Until then regfsck fix refuses to change anything.",
	},
	graph.ManifestMissing: {
		Brief: "a tag or revision points to a manifest whose blob is gone",
		Means: "A pull of this manifest, by tag or by digest, fails. What the manifest kept can no longer be known, so everything in the repositories that link it is held on to: layers that only it used are not told from garbage.",
		Comes: "A registry never links a manifest before its blob is written. So this is later damage: a garbage collection that took a live blob, a deletion by hand, a restored backup that was older or cut short, a filesystem check that threw the file away.",
		Do:    "Push the image again: the registry writes the blob anew, because it is missing, and the link is already there. Where an index names it that is there, " + skippers + " end at the index: take its tag first, with regfsck rm --tags-only, or copy it whole with skopeo. Restart the registry first, so that its cache forgets that the blob once existed. If nobody has the image any more, delete the tag or the manifest through the registry, or let regfsck fix --also manifest-missing remove the link.",
	},
	graph.ManifestCorrupt: {
		Brief: "a manifest's bytes are not those its digest names",
		Means: "The registry serves the bytes as they stand, and every client refuses them because they don't hash to the digest that was asked for. What the manifest kept can no longer be known, so everything in the repositories that link it is held on to.",
		Comes: "Up to version 3.0 the filesystem driver writes in place: a crash or a full disk leaves an empty or half a file. Otherwise a failing disk, a broken restore, or an edit by hand.",
		Do:    "A push alone does not heal it: the registry sees that the blob is there, answers 201 and keeps the bad bytes. With the registry stopped, regfsck fix --also manifest-corrupt moves the bad file away, after hashing it once more, and keeps it for an undo. Then start the registry and push the image again.",
	},
	graph.ManifestUnparsable: {
		Brief: "a manifest is whole, and of a form that can't be understood",
		Means: "Its bytes hash to its digest, so clients that know the form may well pull it. What it references is not known here, so everything in the repositories that link it is held on to, and tags that lead to it are counted as unknown.",
		Comes: "A media type newer than this program, a blob that was linked as a manifest though it is none, or a manifest beyond the bounds of 4 MiB or of 10,000 levels of nesting. A registry refuses manifests above 4 MiB, on push and on read.",
		Do:    "Look at the file: it is text. If it is no manifest, delete the revision through the registry. If it is a form that registries accept, a newer regfsck may know it.",
	},
	graph.TagTargetForeign: {
		Brief: "a tag means a digest that was never pushed to its repository",
		Means: "The registry answers 404 for the tag: its repository has no link to the manifest. A registry writes the manifest's link and the tag's history before the tag, so this is not what a push leaves: something else changed the tag's link. It is not rebuilt, since that would serve an image of another repository under this name. What the tag's history names is held on to.",
		Comes: "Link files that a deduplicating tool made into hard links: when a registry up to 3.0 moves a tag of one repository, it writes into the link of the other too. Or a link that was edited, or restored from the backup of another store.",
		Do:    "Push the tag again. Or, with the registry stopped, let regfsck fix --also tag-target-foreign bring it back to the newest image of its history that is whole here; where there is none, that removes the tag. Its plan shows which. If a tool links equal files in this store, keep it away from the links.",
	},
	graph.TagDangling: {
		Brief: "a tag leads to a digest of which the store knows nothing",
		Means: "The tag is listed and can't be pulled: its target has neither a revision link in this repository nor a blob anywhere in the store.",
		Comes: "The manifest was deleted while the tag was being moved to it, or a garbage collection or a hand removed manifest and link and left the tag. A restored backup that mixes two times looks the same.",
		Do:    "Push the tag again, or delete it: through the registry (3.x deletes single tags), or with regfsck fix --also tag-dangling while the registry is stopped.",
	},
	graph.LinkInvalid: {
		Brief: "a link file holds no digest: it is empty, cut, or has something added",
		Means: "The registry reads links strictly and answers 500 for whatever needs this one, and its own garbage collection stops at it without having cleaned anything.",
		Comes: "A crash or a full disk while the registry (up to 3.0) was writing the link in place, or an editor that added a newline at the end.",
		Do:    "With the registry stopped, regfsck fix writes the link anew: from its path, which names the digest of a revision or a layer; a tag's current/link from its index folder, if that has one entry only. If it has several, push the tag again.",
	},
	graph.LinkMismatch: {
		Brief: "a link holds another digest than its path names",
		Means: "Asked for one digest, the registry may serve another, or answer that it knows nothing. Both digests are counted as needed. An alias, which leads from a digest of another algorithm to sha256, is no mismatch.",
		Comes: "A hand that copied link files, a broken restore, or a filesystem that has mixed up its blocks.",
		Do:    "The path is what requests go by. If the blob that the path names is there, regfsck fix writes its digest into the link, with the registry stopped. If it isn't, find out which of the two was meant, and push that image again.",
	},
	graph.RevisionLinkMissing: {
		Brief: "a manifest is in the store and its repository can't serve it",
		Means: "A tag, or an index of this repository, leads to a manifest whose blob is there. Without the revision link in the same repository a pull of it is answered with 404. For a child of an index this is reported only where all of the child's own blobs are linked here too, so that it clearly belonged to this repository.",
		Comes: "A deletion through the API removes the revision link first; interrupted, it leaves the tag behind. The registry's own garbage collection removes links of children that it takes for untagged.",
		Do:    "With the registry stopped, regfsck fix writes the link: _manifests/revisions/sha256/<hex>/link. Nothing has to be pushed: the bytes are all there.",
	},
	graph.LayerLinkMissing: {
		Brief: "a layer or config is in the store and its repository can't serve it",
		Means: "The blob is there, a manifest of the repository needs it, and its layer link is gone: links are what the registry goes by, so a pull of the image is answered with 404 for this blob.",
		Comes: "A blob was deleted through the API, which removes only the link of that repository, or the _layers folder was lost or removed by a clean-up script.",
		Do:    "With the registry stopped, regfsck fix writes the link: _layers/sha256/<hex>/link. Nothing has to be pushed: the bytes are all there.",
	},
	graph.BlobMissing: {
		Brief: "a config or layer that a kept manifest needs is gone",
		Means: "The tags that lead to it can't be pulled. Layers that may legally be absent, because they have URLs or a non-distributable type, are not meant.",
		Comes: "A registry moves a blob into its place before it links it. So a link to a missing blob is later damage: a garbage collection that took a live blob or ran while images were being pushed, a deletion by hand, a lost disk, a restore cut short.",
		Do:    "Where the digest proves the bytes (the empty blob, {}, Docker's empty layer, and what a manifest carries as data), regfsck fix writes the blob anew, with the registry stopped, and no push is needed. Push any other image again from a place that still has it. Restart the registry first: its cache may still say that the blob exists, and the push would then skip it. With Redis delete blobs::* and repository::* too. A push by " + lookers + " looks at every layer and writes the blob anew. One by " + skippers + " ends where the registry has the manifest: for these let regfsck fix --also blob-missing withdraw the images that can't be pulled, with the registry stopped; their tags and manifest links go, kept for an undo, and any push is whole then (regctl image copy --force-recursive needs none of it). A blob of a pull-through cache comes back with the next pull.",
	},
	graph.BlobArchived: {
		Brief: "something needed lies in an archive class and can't be read",
		Means: "The object is there, and its storage class (GLACIER, DEEP_ARCHIVE) has every read refused until it is restored: the registry can't serve it, and a pull of each image that needs it fails. Of a manifest or a link that can't be read nobody knows what it needs, so everything in its repositories is held on to, and no blob of the store is called an orphan; so it is with a small blob that may be a manifest.",
		Comes: "A lifecycle rule of the bucket moves objects to an archive class as they grow old. A registry's objects are read for as long as any image needs them, whatever their age.",
		Do:    "Restore the object, and copy it onto itself with the storage class STANDARD: a restored copy goes again after some days. One that was restored counts as readable while it is. Then change the lifecycle rule, so that it leaves the registry's objects alone. An image that nobody needs can be removed with regfsck rm instead.",
	},
	graph.CacheStateInvalid: {
		Brief: "no registry starts with a pull-through cache's scheduler-state.json",
		Means: "The file in the store's root says when what was cached expires. A registry reads it when it starts, and one that is empty, cut off or no JSON makes 2.8 and 3.1 end at once. The images are not affected.",
		Comes: "A crash or a full disk while the file was written.",
		Do:    "With the registry stopped, regfsck fix --also cache-state-invalid moves the file away and keeps it for an undo. Then start the registry: it makes a new one. What was cached before stays until somebody pulls it again, since nothing remembers when it was to expire.",
	},
	graph.BlobCorrupt: {
		Brief: "a blob's bytes are not those its digest names",
		Means: "The registry serves the bytes unverified and every client refuses them after the download. Found by hashing (--verify), and without it where the size in the store differs from the size that a manifest states.",
		Comes: "A failing disk or memory, an upload cut off by a full disk, a restore cut short. An empty file is legal for one digest only, that of nothing at all.",
		Do:    "Where the digest proves the bytes (the empty blob, {}, Docker's empty layer, and what a manifest carries as data), regfsck fix writes them in place of the bad ones, and keeps those for an undo. Otherwise a push alone does not heal it: the registry sees that the blob is there and keeps the bad bytes. With the registry stopped, regfsck fix --verify all --also blob-corrupt hashes the file once more, moves it away if it is really wrong, and keeps it for an undo. Then start the registry and push the image again with " + lookers + "; " + skippers + " find the manifest and upload nothing, so for these say --also blob-corrupt,blob-missing, which withdraws the images too. A pull-through cache fetches the blob at the next pull, once it was moved away. Look for the cause before you trust the disk.",
	},
}
