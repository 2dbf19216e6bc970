package finding

import (
	"errors"
	"fmt"
)

// Kind is a kind of finding, or another reason for a change. Its text form is stable and
// never reused. The zero Kind is none.
type Kind uint8

// The kinds of findings, in the order in which they are reported.
const (
	None Kind = iota
	StoreUnreadable
	ManifestMissing
	ManifestCorrupt
	ManifestUnparsable
	TagTargetForeign
	TagDangling
	LinkInvalid
	LinkMismatch
	RevisionLinkMissing
	LayerLinkMissing
	BlobMissing
	BlobCorrupt
	BlobArchived
	CacheStateInvalid
	StoreChanged
	LifecycleExpiry
	TagWithoutCurrent
	IndexChildMissing
	SignatureOrphaned
	ManifestLost
	TagFromSource
	DescriptorWrong
	NameInvalid
	ForeignFile
	BlobOrphan
	LayerLinkUnreferenced
	LayerLinkDangling
	ManifestUntagged
	TagHistoryStale
	RepoEmpty
	CatalogMarker
	UploadStale
	MultipartStale
	TmpStale
	DirectoryEmpty
	SignatureLegacy

	// NumKinds is one more than the last kind that a check can find: the length of an array
	// of all of them.
	NumKinds
)

// Reasons of requested removals and withdrawals. No check finds them.
const (
	RepositoryRemoved Kind = NumKinds + iota // a whole repository
	TagRemoved                               // a requested tag
	TagUnneeded                              // a referrers tag whose subject is removed
	ManifestRemoved                          // a requested manifest
	ManifestUnneeded                         // a dependent manifest
	TagWithdrawn                             // a tag whose image can't be pulled, so that clients push it completely
	ManifestWithdrawn                        // likewise the manifest

	numAll
)

// row has all facts of a kind.
type row struct {
	name     string
	severity Severity
	harms    bool   // it keeps a tag from being pulled
	cures    []Cure // what a fix can do about it; a single finding may have none of these
	text     Explanation
}

// Explanation is the text about a kind of finding.
type Explanation struct {
	Brief  string // what was found; a line without a full stop
	Means  string // what it means for pulls and pushes
	Cause  string // how it happens
	Advice string // what to do
}

// Clients whose push asks for every layer, and those whose push ends if the registry has the
// manifest.
const (
	Lookers  = "docker or skopeo"
	Skippers = "crane, ko, kaniko or regctl"
)

// mayStay ends most explanations of garbage.
const mayStay = " regfsck fix removes such garbage, with the registry stopped or read-only. You can also leave it: it uses space, and does no harm."

var kinds = [numAll]row{
	StoreUnreadable: {name: "store-unreadable", severity: Fatal, text: Explanation{
		Brief:  "an entry exists but could not be listed or read",
		Means:  "What is stored here, and what it references, is unknown. Unknown never counts as absent: the report is INCOMPLETE, a tag that may need it counts as unknown, and nothing is removed from the store until it can be read.",
		Cause:  "An I/O error of a failing disk or a network filesystem, a directory that belongs to another user, or a symbolic link or another filesystem where the layout expects a directory or a file. Those are entered only where --follow names them, because a store behind a wrong link looks like one in which everything is missing.",
		Advice: "Run the check as the user the registry runs as, or as root. Look for I/O errors in the kernel's log, and save what you can before anything else. If a link or a mount belongs to the registry, name it with --follow PATH. Then check again. Until then regfsck fix refuses to change anything.",
	}},
	ManifestMissing: {name: "manifest-missing", severity: Error, harms: true, cures: []Cure{CureHeal, CureRemoveAsk}, text: Explanation{
		Brief:  "a tag or revision points to a manifest whose blob is missing",
		Means:  "A pull of this manifest, by tag or by digest, fails. What the manifest referenced is unknown, so everything in the repositories that link it is kept: layers that only it used can't be distinguished from garbage.",
		Cause:  "A registry never links a manifest before its blob is written. So this is later damage: a garbage collection that took a live blob, a deletion by hand, a restored backup that was older or cut short, a filesystem check that removed the file.",
		Advice: "Push the image again: the registry writes the blob anew, because it is missing, and the link is already there. If an index that is in the store names it, a push with " + Skippers + " ends at the index: remove the index's tag first, with regfsck rm --tags-only, or copy the whole index with skopeo. Restart the registry first, so that its cache no longer has the blob. If a backup, a replica or a node of a cluster has it, regfsck fix --from SOURCE copies it, with all that it needs. If no copy of the image exists any more, delete the tag or the manifest through the registry, or let regfsck fix --also manifest-missing remove the link.",
	}},
	ManifestCorrupt: {name: "manifest-corrupt", severity: Error, harms: true, cures: []Cure{CureHeal, CureMoveAsk}, text: Explanation{
		Brief:  "a manifest's content does not match its digest",
		Means:  "The registry serves these bytes, and every client rejects them because they don't hash to the digest that it asked for. What the manifest referenced is unknown, so everything in the repositories that link it is kept.",
		Cause:  "Up to version 3.0 the filesystem driver writes in place: a crash or a full disk leaves an empty or half a file. Otherwise a failing disk, a broken restore, or an edit by hand.",
		Advice: "A push alone does not repair it: the registry sees that the blob exists, answers 201 and keeps the bad bytes. With the registry stopped, regfsck fix --also manifest-corrupt moves the bad file away, after hashing it once more, and keeps it for an undo. Then start the registry and push the image again. Where a copy has the right bytes, regfsck fix --from SOURCE puts them in place of the bad ones, and no push is needed.",
	}},
	ManifestUnparsable: {name: "manifest-unparsable", severity: Error, harms: true, text: Explanation{
		Brief:  "a manifest is intact, but its format is unknown",
		Means:  "Its bytes hash to its digest, so clients that know the format may be able to pull it. What it references is unknown, so everything in the repositories that link it is kept, and tags that point to it count as unknown.",
		Cause:  "A media type newer than this program, a blob that was linked as a manifest but is not one, or a manifest of more than 4 MiB or more than 10,000 levels of nesting. A registry refuses manifests above 4 MiB, on push and on read.",
		Advice: "Look at the file: it is text. If it is not a manifest, delete the revision through the registry. If it is a format that registries accept, a newer regfsck may know it.",
	}},
	TagTargetForeign: {name: "tag-target-foreign", severity: Error, harms: true, cures: []Cure{CureRemoveAsk, CureWriteAsk}, text: Explanation{
		Brief:  "a tag points to a digest that was never pushed to its repository",
		Means:  "The registry answers 404 for the tag: its repository has no link to the manifest. A registry writes the manifest's link and the tag's history before the tag, so a push can't have left this: something else changed the tag's link. It is not rebuilt, because that would serve an image of another repository under this name. What the tag's history names is kept.",
		Cause:  "Link files that a deduplicating tool made into hard links: when a registry up to 3.0 moves a tag of one repository, it writes into the link of the other too. Or a link that was edited, or restored from the backup of another store.",
		Advice: "Push the tag again. Or, with the registry stopped, let regfsck fix --also tag-target-foreign set it to the newest complete image of its history; where there is none, that removes the tag. The plan shows which. If a tool links equal files in this store, keep it away from the links.",
	}},
	TagDangling: {name: "tag-dangling", severity: Error, harms: true, cures: []Cure{CureRemoveAsk}, text: Explanation{
		Brief:  "the tag points to a digest that is not in the store",
		Means:  "The tag is listed and can't be pulled: its target has neither a revision link in this repository nor a blob anywhere in the store.",
		Cause:  "The manifest was deleted while the tag was being moved to it, or a garbage collection or a person removed manifest and link and left the tag. A restored backup with files from two points in time looks the same.",
		Advice: "Push the tag again, or delete it: through the registry (3.x deletes single tags), or with regfsck fix --also tag-dangling while the registry is stopped.",
	}},
	LinkInvalid: {name: "link-invalid", severity: Error, harms: true, cures: []Cure{CureRebuild}, text: Explanation{
		Brief:  "a link file holds no valid digest: it is empty, cut off, or too long",
		Means:  "The registry reads links strictly and answers 500 for whatever needs this one, and its own garbage collection stops at it without having cleaned anything.",
		Cause:  "A crash or a full disk while the registry (up to 3.0) was writing the link in place, or an editor that added a newline at the end.",
		Advice: "With the registry stopped, regfsck fix rebuilds the link: from its path, which names the digest of a revision or a layer; a tag's current/link from its index directory, if that has exactly one entry. If it has several, push the tag again.",
	}},
	LinkMismatch: {name: "link-mismatch", severity: Error, harms: true, cures: []Cure{CureRebuild}, text: Explanation{
		Brief:  "a link file holds a different digest than its path names",
		Means:  "A request for one digest may be answered with another, or with 404. Both digests count as needed. An alias, which maps a digest of another algorithm to sha256, is not a mismatch.",
		Cause:  "Link files that were copied by hand, a broken restore, or a filesystem that mixed up its blocks.",
		Advice: "Requests go by the path. If the blob that the path names exists, regfsck fix writes its digest into the link, with the registry stopped. If it doesn't, find out which of the two was meant, and push that image again.",
	}},
	RevisionLinkMissing: {name: "revision-link-missing", severity: Error, harms: true, cures: []Cure{CureRebuild}, text: Explanation{
		Brief:  "the manifest exists, but its link in this repository is missing",
		Means:  "A tag, or an index of this repository, points to a manifest whose blob exists. Without the revision link in the same repository, a pull of it is answered with 404. For a child of an index this is reported only where all of the child's own blobs are linked here too, so that it clearly belonged to this repository.",
		Cause:  "A deletion through the API removes the revision link first; interrupted, it leaves the tag behind. The registry's own garbage collection removes the links of children that it considers untagged.",
		Advice: "With the registry stopped, regfsck fix writes the link: _manifests/revisions/sha256/<hex>/link. Nothing has to be pushed: the bytes are all there.",
	}},
	LayerLinkMissing: {name: "layer-link-missing", severity: Error, harms: true, cures: []Cure{CureRebuild}, text: Explanation{
		Brief:  "the layer or config exists, but its link in this repository is missing",
		Means:  "The blob exists, a manifest of the repository needs it, and its layer link is missing. The registry serves only what is linked, so a pull of the image is answered with 404 for this blob.",
		Cause:  "A blob was deleted through the API, which removes only the link of that repository, or the _layers directory was lost or removed by a clean-up script.",
		Advice: "With the registry stopped, regfsck fix writes the link: _layers/sha256/<hex>/link. Nothing has to be pushed: the bytes are all there.",
	}},
	BlobMissing: {name: "blob-missing", severity: Error, harms: true, cures: []Cure{CureRebuild, CureHeal, CureWithdrawAsk}, text: Explanation{
		Brief:  "a config or layer that a kept manifest needs is missing",
		Means:  "The tags that need it can't be pulled. Layers that may legally be absent, because they have URLs or a non-distributable type, are not reported.",
		Cause:  "A registry stores a blob before it links it. So a link to a missing blob is later damage: a garbage collection that took a live blob or ran while images were being pushed, a deletion by hand, a lost disk, a restore cut short.",
		Advice: "Where the digest proves the bytes (the empty blob, {}, Docker's empty layer, and what a manifest carries as data), regfsck fix rebuilds the blob, with the registry stopped, and no push is needed. Where a backup, a replica or a node has it, regfsck fix --from SOURCE copies it. Push any other image again from a place that still has it. Restart the registry first: its cache may still have the blob, and the push would then skip it. With Redis delete blobs::* and repository::* too. A push with " + Lookers + " checks every layer and uploads the blob again. A push with " + Skippers + " stops if the registry has the manifest: for these let regfsck fix --also blob-missing withdraw the images that can't be pulled, with the registry stopped. Their tags and manifest links are removed, kept for an undo, and any push uploads everything then (regctl image copy --force-recursive needs none of this). A blob of a pull-through cache comes back with the next pull.",
	}},
	BlobCorrupt: {name: "blob-corrupt", severity: Error, harms: true, cures: []Cure{CureRebuild, CureHeal, CureMoveAsk}, text: Explanation{
		Brief:  "a blob's content does not match its digest",
		Means:  "The registry serves the bytes unverified, and every client rejects them after the download. Found by hashing (--verify), and without it where the size in the store differs from the size that a manifest states.",
		Cause:  "A failing disk or memory, an upload cut off by a full disk, a restore cut short. An empty file is valid for one digest only, that of zero bytes.",
		Advice: "Where the digest proves the bytes (the empty blob, {}, Docker's empty layer, and what a manifest carries as data), regfsck fix writes them in place of the bad ones, and keeps those for an undo. regfsck fix --from SOURCE does the same with the copy in a backup, a replica or a node. Otherwise a push alone does not repair it: the registry sees that the blob is there and keeps the bad bytes. With the registry stopped, regfsck fix --verify all --also blob-corrupt hashes the file once more, moves it away if it is really wrong, and keeps it for an undo. Then start the registry and push the image again with " + Lookers + ". " + Skippers + " find the manifest and upload nothing: for these give --also blob-corrupt,blob-missing, which withdraws the images too. A pull-through cache fetches the blob at the next pull, once the file was moved away. Find the cause before you trust the disk.",
	}},
	BlobArchived: {name: "blob-archived", severity: Error, harms: true, text: Explanation{
		Brief:  "a needed object is in an archive storage class and can't be read",
		Means:  "The object exists, but its storage class (GLACIER, DEEP_ARCHIVE) refuses every read until it is restored. The registry can't serve it, and a pull of each image that needs it fails. What an archived manifest or link references is unknown, so everything in its repositories is kept, and no blob of the store counts as an orphan. The same holds for a small blob that may be a manifest.",
		Cause:  "A lifecycle rule of the object storage moves objects to an archive class as they grow old. A registry reads its objects for as long as any image needs them, whatever their age.",
		Advice: "Restore the object, and copy it onto itself with the storage class STANDARD: a restored copy disappears again after some days, and counts as readable until then. Then change the lifecycle rule, so that it leaves the registry's objects alone. An image that isn't needed can be removed with regfsck rm instead.",
	}},
	CacheStateInvalid: {name: "cache-state-invalid", severity: Error, cures: []Cure{CureMoveAsk}, text: Explanation{
		Brief:  "scheduler-state.json of a pull-through cache is invalid",
		Means:  "The file in the store's root says when what was cached expires. A registry reads it when it starts. If the file is empty, cut off or not JSON, registry 2.8 and 3.1 do not start. The images are not affected.",
		Cause:  "A crash or a full disk while the file was written.",
		Advice: "With the registry stopped, regfsck fix --also cache-state-invalid moves the file away and keeps it for an undo. Then start the registry: it makes a new one. What was cached before is kept until it is pulled again, because its expiry times were in that file.",
	}},
	StoreChanged: {name: "store-changed", severity: Warning, text: Explanation{
		Brief:  "something changed during the check",
		Means:  "A key appeared, disappeared or changed between two reads, so it was not judged. That is harmless for a check of a running registry, but nothing may be removed by such a check.",
		Cause:  "A push, a deletion, or another program at work on the same store while the check ran.",
		Advice: "Nothing, if the registry is running. For a final answer, stop the registry or make it read-only and check again. If nothing should be writing here, find out what is.",
	}},
	LifecycleExpiry: {name: "lifecycle-expiry", severity: Warning, text: Explanation{
		Brief:  "a lifecycle rule removes objects that the registry needs",
		Means:  "A rule of the object storage removes objects that the registry still serves, or moves them into an archive class, by their age alone, whatever refers to them. Images break one after the other, without a message.",
		Cause:  "A rule for backups or logs that covers the registry too, or one that was meant as a garbage collection. The age of a registry's object says nothing about its use: a layer is written once and used for years.",
		Advice: "Remove the rule, or give it a prefix outside the registry's root. Rules that abort unfinished multipart uploads and that expire noncurrent versions do no harm. To remove old images use regfsck prune, which knows what is needed.",
	}},
	TagWithoutCurrent: {name: "tag-without-current", severity: Warning, harms: true, cures: []Cure{CureRebuild, CureRemoveAsk}, text: Explanation{
		Brief:  "a tag has a directory but no current/link, so it points to nothing",
		Means:  "The registry lists the tag and answers 404 when it is pulled.",
		Cause:  "A crash during the first push of the tag, between its history and its link, or a deletion that was interrupted.",
		Advice: "Push the tag again. If its index directory has exactly one entry, that was its target, and regfsck fix rebuilds current/link with the registry stopped. If the tag is not wanted, regfsck fix --also tag-without-current removes it.",
	}},
	IndexChildMissing: {name: "index-child-missing", severity: Warning, cures: []Cure{CureWriteAsk}, text: Explanation{
		Brief:  "an index names a manifest or layer that its repository doesn't have",
		Means:  "A pull for that platform, or of that layer of a build cache, fails; all others work. Such an index is legal and called sparse: some tools copy only the platforms that they need.",
		Cause:  "A deliberate copy of some platforms, or a child that was deleted as untagged by a garbage collection that didn't understand indexes.",
		Advice: "If the platform should be there, push or copy the whole index again. If not, nothing is wrong. A child that is elsewhere in the store, with all its blobs, is linked only on request, because links decide who may read an image: regfsck fix --also index-child-missing links it and its blobs.",
	}},
	SignatureOrphaned: {name: "signature-orphaned", severity: Warning, cures: []Cure{CureRemoveAsk}, text: Explanation{
		Brief:  "a signature tag whose image is missing",
		Means:  "A tag of the form sha256-<hex>, with or without .sig, .att or .sbom, belongs to the manifest with this digest, and no repository of the store has it any more. The tag is an ordinary one for the registry, so it keeps its own blobs.",
		Cause:  "The image was deleted or garbage-collected; nothing deletes its signatures and attestations, which have tags of their own.",
		Advice: "It does no harm. If you don't want to keep a signature without its image, delete the tag through the registry, or with regfsck fix --also signature-orphaned. Where a repository holds nothing but such tags, and none of their images is in this store, it may hold the signatures of images in another registry (cosign's COSIGN_REPOSITORY), and an admission policy may depend on it: nothing of it is offered for removal.",
	}},
	ManifestLost: {name: "manifest-lost", severity: Warning, cures: []Cure{CureWriteAsk}, text: Explanation{
		Brief:  "a complete image that no tag and no link names any more",
		Means:  "The manifest and everything that it references are stored and intact, but no link names the manifest: no client can pull it, and the next regfsck fix removes it as garbage.",
		Cause:  "The image was deleted through the API, or its tag and its links by hand. Most such images were deleted on purpose, so they are looked for only on request.",
		Advice: "Do nothing if it was deleted on purpose. If not, regfsck fix --also manifest-lost, with the registry stopped, gives it the tag lost-found- and the first 12 hex digits of its digest, in each repository that proves it had the image: by the empty directory of its link, an entry of a tag's history, or the links to all its blobs. Then give it a proper name, with crane tag or skopeo copy. Where no repository proves it, no tag is written, because that could give away a private image: push the image again. regfsck why shows the details of one image.",
	}},
	TagFromSource: {name: "tag-from-source", severity: Warning, cures: []Cure{CureWriteAsk}, text: Explanation{
		Brief:  "a tag that a source has and this store lost",
		Means:  "The storage that --from names has this tag in the repository of the same name, and this store has no tag of that name there: its links were lost, or it was deleted.",
		Cause:  "The directory of a repository or of a tag was deleted, or the store was restored from an older copy. That can't be distinguished from a tag that was deleted on purpose, so such tags are looked for only on request.",
		Advice: "regfsck fix --from SOURCE --also tag-from-source --repo NAME brings the tags of that repository back, with the links and the blobs that they need. Look at the plan first. A tag that exists here is never changed, whatever it points to. An image is left alone whose revision link left an empty directory: it was deleted through the registry.",
	}},
	DescriptorWrong: {name: "descriptor-wrong", severity: Warning, text: Explanation{
		Brief:  "a manifest states a wrong size for a blob",
		Means:  "The blob hashes to its digest, so the blob is right and the manifest is wrong. Some clients accept the image, some reject it.",
		Cause:  "A tool that wrote a wrong size into the manifest. The digest covers the manifest's bytes, so it was wrong from the start.",
		Advice: "Build and push the image again with a tool that writes correct sizes. Nothing in the store can be corrected, because the manifest's digest covers the size.",
	}},
	NameInvalid: {name: "name-invalid", severity: Warning, text: Explanation{
		Brief:  "a repository or tag has a name that no registry accepts",
		Means:  "It can't be pulled, since no client can ask for it, and the registry's own garbage collection stops at it. Everything that it links is kept.",
		Cause:  "A directory that was made or renamed by hand, an upper-case letter, a backup copy next to the original (app.old, app~).",
		Advice: "Find out who made it. If it was once a repository, rename its directory to a valid name while the registry is stopped. If it is a left-over copy, move it out of the store.",
	}},
	ForeignFile: {name: "foreign-file", severity: Warning, text: Explanation{
		Brief:  "a file or directory that is not part of the registry's layout",
		Means:  "No registry wrote it there, and none reads it. regfsck never touches it.",
		Cause:  "Files of an editor, a file manager or a backup, lost+found, a copy made by hand, or the extension of another registry.",
		Advice: "Find out who made it, and move it elsewhere if it is not needed here. A stray file named data below blobs makes the registry's own garbage collection stop.",
	}},
	BlobOrphan: {name: "blob-orphan", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a blob that no kept manifest references",
		Means:  "No manifest of any repository needs these bytes. Most of the space that can be freed is usually here.",
		Cause:  "Images that were deleted or pushed anew under the same tag, layers of pushes that were never finished by a manifest, and the remains of earlier garbage collections. In a store that keeps its links in a database, every blob looks like this.",
		Advice: "First make sure that all repositories are there: a disk that isn't mounted makes every blob an orphan." + mayStay + " Afterwards the registry must be restarted, since its cache still has the blob.",
	}},
	LayerLinkUnreferenced: {name: "layer-link-unreferenced", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a layer link that no kept manifest of its repository needs",
		Means:  "The repository serves this blob by its digest, but no image in it uses it.",
		Cause:  "The image was deleted from this repository, or a layer was pushed or mounted and no manifest followed. The registry never removes a layer link itself.",
		Advice: "The link itself is tiny, but it may be the last link to a large blob." + mayStay,
	}},
	LayerLinkDangling: {name: "layer-link-dangling", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a layer link whose blob is missing and that nothing needs",
		Means:  "The blob is missing, and no manifest of this repository needs it. Otherwise the finding would be blob-missing.",
		Cause:  "Every garbage collection of the registry leaves these: it removes blobs, but not the links to them.",
		Advice: mayStay[1:],
	}},
	ManifestUntagged: {name: "manifest-untagged", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a manifest that no tag, index or kept subject references",
		Means:  "It can be pulled by its digest only. It counts as garbage only because --untagged was given; without that every manifest is kept.",
		Cause:  "The tag was pushed again and points to another manifest now, or the tag was deleted. Harbor 2.15 and later keeps its tags in a database: there every manifest looks untagged.",
		Advice: "Make sure that nothing pulls by digest, such as deployments that pin digests, and rollbacks. Then give --untagged to regfsck fix, too." + mayStay,
	}},
	TagHistoryStale: {name: "tag-history-stale", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "an entry of a tag's history whose manifest is missing",
		Means:  "The tag pointed there once. Where it points now is certain, and pulls never read its history.",
		Cause:  "A manifest was deleted through the API: the registry removes the tags that point to it, and never cleans the history of other tags.",
		Advice: mayStay[1:],
	}},
	RepoEmpty: {name: "repo-empty", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a repository without tags and manifests",
		Means:  "It is in the catalog and holds nothing. A repository with running uploads, with links newer than --grace, or with damage is not reported here.",
		Cause:  "All of its images were deleted. No version of the registry removes the directories, so the name remains in the catalog.",
		Advice: "The only effect is a longer catalog." + mayStay,
	}},
	CatalogMarker: {name: "catalog-marker", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a directory marker that makes a repository or a tag appear in the catalog",
		Means:  "An empty object whose key ends in a slash, in an object storage. Nothing else exists of the repository or the tag, but the registry's catalog or its list of tags names it.",
		Cause:  "A console, a file manager or a tool that copies directories wrote it, to show a directory. No registry does, and none removes it.",
		Advice: "The catalog names a repository or a tag that can't be pulled." + mayStay,
	}},
	UploadStale: {name: "upload-stale", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "an abandoned upload",
		Means:  "The bytes of a blob that was never finished. No pull can see them. Uploads newer than --uploads-older-than are assumed to be still running.",
		Cause:  "A client that was cut off, a registry that was restarted, a full disk. The registry removes old uploads itself only if upload purging is enabled.",
		Advice: "The client starts again from the beginning anyway." + mayStay,
	}},
	MultipartStale: {name: "multipart-stale", severity: Garbage, cures: []Cure{CureAbort}, text: Explanation{
		Brief:  "an unfinished multipart upload in an object storage",
		Means:  "Parts of an object that no listing shows, and that the object storage charges for.",
		Cause:  "A push that was cut off, or a copy of a large blob. The registry never ends them. Those newer than --uploads-older-than, and those of an upload that was continued since, are assumed to be still running.",
		Advice: "regfsck fix aborts those at keys where a registry uploads, which can't be undone; a blob at the same key is kept. A lifecycle rule that aborts unfinished multipart uploads does the same every day. You can also leave it: it uses space, and does no harm.",
	}},
	TmpStale: {name: "tmp-stale", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a temporary file of an unfinished write",
		Means:  "Registry 3.1 and later writes a file under a temporary name first and then renames it. This one was never renamed, so nothing reads it.",
		Cause:  "A crash, a power cut, or a registry that was killed during a write. Nothing removes them. Those next to a blob or a link are found with --thorough only.",
		Advice: mayStay[1:],
	}},
	DirectoryEmpty: {name: "folder-empty", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{ // a stored format: plans and journals have the name
		Brief:  "an empty directory",
		Means:  "It holds nothing, and nothing needs it.",
		Cause:  "The registry removes files through its API and leaves their directories, and a garbage collection leaves the directories of what it removed.",
		Advice: "A large number of them makes every listing slower." + mayStay,
	}},
	SignatureLegacy: {name: "signature-legacy", severity: Garbage, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a schema 1 signature link, unused since registry 2.5",
		Means:  "Registries before 2.5 kept the signatures of schema 1 manifests as blobs of their own. No later version reads them.",
		Cause:  "A store that has been in use since 2.4 or earlier.",
		Advice: mayStay[1:],
	}},
	RepositoryRemoved: {name: "repository-removed", severity: Asked, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a repository that is removed, with everything in it",
		Means:  "Its tags, manifests, layer links and uploads are removed, new and broken ones too, and it leaves the catalog. Blobs that only it used are removed with it. Repositories below its name are kept, and so are foreign files.",
		Cause:  "regfsck rm was given its name.",
		Advice: "Look at the plan, and add --apply if it is right. regfsck undo restores all of it until it is purged.",
	}},
	TagRemoved: {name: "tag-removed", severity: Asked, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a tag that is removed",
		Means:  "Its links are removed. Its manifest is removed too, with everything that only the manifest needs, unless another tag, an index or its subject keeps it, or damage pins the repository; the plan says what.",
		Cause:  "regfsck rm was given its name, or a retention policy doesn't keep it.",
		Advice: "Look at the plan, and add --apply if it is right. --tags-only removes the tag and leaves the manifest.",
	}},
	TagUnneeded: {name: "tag-unneeded", severity: Asked, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a referrers tag, sha256-<hex>…, that is removed with its subject",
		Means:  "Such a tag points to signatures, attestations or other referrers of a manifest. The manifest is removed, so they have no use any more.",
		Cause:  "The manifest that it belongs to is removed.",
		Advice: "Keep the manifest, for example by giving it a tag, and they are kept too.",
	}},
	ManifestRemoved: {name: "manifest-removed", severity: Asked, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a manifest that is removed",
		Means:  "It can't be pulled by its digest any more, and what only it needs is removed with it.",
		Cause:  "regfsck rm was given its digest. If an index or a tag that is kept needs it, that is refused.",
		Advice: "Look at the plan, and add --apply if it is right.",
	}},
	ManifestUnneeded: {name: "manifest-unneeded", severity: Asked, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a manifest that nothing references after this removal",
		Means:  "Its last tag is removed, or the index that it is part of, or its subject. Manifests that were untagged before are not removed for this reason.",
		Cause:  "What referenced it is removed.",
		Advice: "Give it a tag that is kept, if you need it. --tags-only leaves all manifests in place.",
	}},
	TagWithdrawn: {name: "tag-withdrawn", severity: Asked, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a tag that is withdrawn: its image can't be pulled",
		Means:  "A blob that the image needs is missing, and clients that check the manifest first (" + Skippers + ") would push nothing. Without tag and manifest link every client pushes everything. Until then the tag does not exist, also for those platforms of an index that could still be pulled.",
		Cause:  "regfsck fix was given --also blob-missing.",
		Advice: "Look at the plan, and add --apply if it is right. Then restart the registry and push the image again. Its other layers remain in place; the next regfsck fix counts them as garbage if nothing uses them. regfsck undo restores tag and link until the run is purged.",
	}},
	ManifestWithdrawn: {name: "manifest-withdrawn", severity: Asked, cures: []Cure{CureRemove}, text: Explanation{
		Brief:  "a manifest that is withdrawn: it can't be pulled",
		Means:  "Its revision link is removed, so that every client pushes everything: a blob that it needs is missing, or one of a manifest that it names. Its bytes, blobs and layer links are kept. The complete parts of an index are kept too, without a tag.",
		Cause:  "regfsck fix was given --also blob-missing.",
		Advice: "Push the image again. What is not pushed again is garbage for the next regfsck fix.",
	}},
}

// Kinds yields the kinds that a check can find, in the order of reports.
func Kinds(yield func(Kind) bool) {
	for k := None + 1; k < NumKinds; k++ {
		if !yield(k) {
			return
		}
	}
}

// All yields Kinds, and then the reasons of requests.
func All(yield func(Kind) bool) {
	for k := None + 1; k < numAll; k++ {
		if !yield(k) {
			return
		}
	}
}

// Parse returns the kind with the text form s.
func Parse(s string) (Kind, bool) {
	for k := range All {
		if kinds[k].name == s {
			return k, true
		}
	}
	return None, false
}

// String returns the kind's stable, kebab-case text form; "" of None.
func (k Kind) String() string { return kinds[k].name }

// Severity returns how bad a finding of the kind is.
func (k Kind) Severity() Severity { return kinds[k].severity }

// Harms reports whether a finding of the kind keeps a tag from being pulled.
func (k Kind) Harms() bool { return kinds[k].harms }

// Cures returns what a fix can do about findings of the kind. A single finding may still have
// CureNone.
func (k Kind) Cures() []Cure { return kinds[k].cures }

// OnRequest reports whether a cure needs a request, by --also.
func (k Kind) OnRequest() bool {
	for _, c := range kinds[k].cures {
		if c.Asks() {
			return true
		}
	}
	return false
}

// TakesRepository reports whether a change with this reason removes a repository from the
// catalog.
func (k Kind) TakesRepository() bool { return k == RepoEmpty || k == RepositoryRemoved }

// Withdraws reports whether a change with this reason withdraws an image, so that clients
// push it completely.
func (k Kind) Withdraws() bool { return k == TagWithdrawn || k == ManifestWithdrawn }

// Explanation returns the texts that explain the kind.
func (k Kind) Explanation() Explanation { return kinds[k].text }

// MarshalText returns the text form.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ErrUnknown is the error of a kind of finding of another version.
var ErrUnknown = errors.New("no kind of finding that this version of regfsck knows")

// UnmarshalText parses a text form, and "" as None. An unknown one is ErrUnknown.
func (k *Kind) UnmarshalText(text []byte) error {
	found, ok := Parse(string(text))
	if !ok && len(text) > 0 {
		return fmt.Errorf("%q is %w", text, ErrUnknown)
	}
	*k = found
	return nil
}
