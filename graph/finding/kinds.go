package finding

import (
	"errors"
	"fmt"
)

// Kind names a kind of finding, or another reason for a change. Its text form is
// stable and never used again. The zero Kind is none.
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

	// NumKinds is one more than the last kind that a check can find: the length of an
	// array that has a place for each.
	NumKinds
)

// What a Removal names and takes along, and what is withdrawn on request. Nothing
// of it is found by a check.
const (
	RepositoryRemoved Kind = NumKinds + iota // a whole repository, with all that is in it
	TagRemoved                               // a tag that is named
	TagUnneeded                              // a tag sha256-<hex>… whose subject goes
	ManifestRemoved                          // a manifest that is named
	ManifestUnneeded                         // one that nothing leads to then
	TagWithdrawn                             // a tag whose image can't be pulled, so that every client pushes it whole
	ManifestWithdrawn                        // likewise the manifest

	numAll
)

// row is all that is known of a kind.
type row struct {
	name     string
	severity Severity
	harms    bool   // keeps a tag from being pulled
	cures    []Cure // what a fix can do about it; a single finding may have none of these
	text     Explanation
}

// Explanation is what there is to say about a kind of finding.
type Explanation struct {
	Brief  string // a line without an end mark: what was found
	Means  string // what it means for whoever pulls and pushes
	Cause  string // how it comes about
	Advice string // what to do
}

// Clients whose push looks at every layer, and those whose push ends where the
// registry has the manifest.
const (
	Lookers  = "docker or skopeo"
	Skippers = "crane, ko, kaniko or regctl"
)

// Nearly every explanation of garbage ends alike: it may stay.
const mayStay = " regfsck fix removes such garbage, with the registry stopped or read-only. It may stay, too: it takes space and hurts nobody."

var kinds = [numAll]row{
	StoreUnreadable: {
		name: "store-unreadable", severity: Fatal,
		text: Explanation{
			Brief:  "something is there and could not be listed or read",
			Means:  "Nobody can say what stands here, so nobody can say what it keeps. Unknown is never taken for absent: the report is INCOMPLETE, a tag that may need it counts as unknown, and nothing of the store may be deleted until it can be read.",
			Cause:  "An I/O error of a dying disk or a network filesystem, a directory that belongs to another user, or a symbolic link or another filesystem where the layout expects a directory or a file: those are not entered unasked, because a link that leads astray looks like a registry in which everything is missing.",
			Advice: "Run the check as the user the registry runs as, or as root. Look for I/O errors in the kernel's log, and save what you can before anything else. If a link or a mount belongs to the registry, name it with --follow PATH. Then check again. Until then regfsck fix refuses to change anything.",
		},
	},
	ManifestMissing: {
		name: "manifest-missing", severity: Error, harms: true, cures: []Cure{CureHeal, CureRemoveAsk},
		text: Explanation{
			Brief:  "a tag or revision points to a manifest whose blob is gone",
			Means:  "A pull of this manifest, by tag or by digest, fails. What the manifest kept can no longer be known, so everything in the repositories that link it is held on to: layers that only it used are not told from garbage.",
			Cause:  "A registry never links a manifest before its blob is written. So this is later damage: a garbage collection that took a live blob, a deletion by hand, a restored backup that was older or cut short, a filesystem check that threw the file away.",
			Advice: "Push the image again: the registry writes the blob anew, because it is missing, and the link is already there. Where an index names it that is there, " + Skippers + " end at the index: take its tag first, with regfsck rm --tags-only, or copy it whole with skopeo. Restart the registry first, so that its cache forgets that the blob once existed. If a backup, a replica or a node of a cluster has it, regfsck fix --from SOURCE copies it, with all that it needs. If nobody has the image any more, delete the tag or the manifest through the registry, or let regfsck fix --also manifest-missing remove the link.",
		},
	},
	ManifestCorrupt: {
		name: "manifest-corrupt", severity: Error, harms: true, cures: []Cure{CureHeal, CureMoveAsk},
		text: Explanation{
			Brief:  "a manifest's bytes are not those its digest names",
			Means:  "The registry serves the bytes as they stand, and every client refuses them because they don't hash to the digest that was asked for. What the manifest kept can no longer be known, so everything in the repositories that link it is held on to.",
			Cause:  "Up to version 3.0 the filesystem driver writes in place: a crash or a full disk leaves an empty or half a file. Otherwise a failing disk, a broken restore, or an edit by hand.",
			Advice: "A push alone does not heal it: the registry sees that the blob is there, answers 201 and keeps the bad bytes. With the registry stopped, regfsck fix --also manifest-corrupt moves the bad file away, after hashing it once more, and keeps it for an undo. Then start the registry and push the image again. Where a copy has the right bytes, regfsck fix --from SOURCE puts them in place of the bad ones, and no push is needed.",
		},
	},
	ManifestUnparsable: {
		name: "manifest-unparsable", severity: Error, harms: true,
		text: Explanation{
			Brief:  "a manifest is whole, and of a form that can't be understood",
			Means:  "Its bytes hash to its digest, so clients that know the form may well pull it. What it references is not known here, so everything in the repositories that link it is held on to, and tags that lead to it are counted as unknown.",
			Cause:  "A media type newer than this program, a blob that was linked as a manifest though it is none, or a manifest beyond the bounds of 4 MiB or of 10,000 levels of nesting. A registry refuses manifests above 4 MiB, on push and on read.",
			Advice: "Look at the file: it is text. If it is no manifest, delete the revision through the registry. If it is a form that registries accept, a newer regfsck may know it.",
		},
	},
	TagTargetForeign: {
		name: "tag-target-foreign", severity: Error, harms: true, cures: []Cure{CureRemoveAsk, CureWriteAsk},
		text: Explanation{
			Brief:  "a tag means a digest that was never pushed to its repository",
			Means:  "The registry answers 404 for the tag: its repository has no link to the manifest. A registry writes the manifest's link and the tag's history before the tag, so this is not what a push leaves: something else changed the tag's link. It is not rebuilt, since that would serve an image of another repository under this name. What the tag's history names is held on to.",
			Cause:  "Link files that a deduplicating tool made into hard links: when a registry up to 3.0 moves a tag of one repository, it writes into the link of the other too. Or a link that was edited, or restored from the backup of another store.",
			Advice: "Push the tag again. Or, with the registry stopped, let regfsck fix --also tag-target-foreign bring it back to the newest image of its history that is whole here; where there is none, that removes the tag. Its plan shows which. If a tool links equal files in this store, keep it away from the links.",
		},
	},
	TagDangling: {
		name: "tag-dangling", severity: Error, harms: true, cures: []Cure{CureRemoveAsk},
		text: Explanation{
			Brief:  "a tag leads to a digest of which the store knows nothing",
			Means:  "The tag is listed and can't be pulled: its target has neither a revision link in this repository nor a blob anywhere in the store.",
			Cause:  "The manifest was deleted while the tag was being moved to it, or a garbage collection or a hand removed manifest and link and left the tag. A restored backup that mixes two times looks the same.",
			Advice: "Push the tag again, or delete it: through the registry (3.x deletes single tags), or with regfsck fix --also tag-dangling while the registry is stopped.",
		},
	},
	LinkInvalid: {
		name: "link-invalid", severity: Error, harms: true, cures: []Cure{CureRebuild},
		text: Explanation{
			Brief:  "a link file holds no digest: it is empty, cut, or has something added",
			Means:  "The registry reads links strictly and answers 500 for whatever needs this one, and its own garbage collection stops at it without having cleaned anything.",
			Cause:  "A crash or a full disk while the registry (up to 3.0) was writing the link in place, or an editor that added a newline at the end.",
			Advice: "With the registry stopped, regfsck fix writes the link anew: from its path, which names the digest of a revision or a layer; a tag's current/link from its index directory, if that has one entry only. If it has several, push the tag again.",
		},
	},
	LinkMismatch: {
		name: "link-mismatch", severity: Error, harms: true, cures: []Cure{CureRebuild},
		text: Explanation{
			Brief:  "a link holds another digest than its path names",
			Means:  "Asked for one digest, the registry may serve another, or answer that it knows nothing. Both digests are counted as needed. An alias, which leads from a digest of another algorithm to sha256, is no mismatch.",
			Cause:  "A hand that copied link files, a broken restore, or a filesystem that has mixed up its blocks.",
			Advice: "The path is what requests go by. If the blob that the path names is there, regfsck fix writes its digest into the link, with the registry stopped. If it isn't, find out which of the two was meant, and push that image again.",
		},
	},
	RevisionLinkMissing: {
		name: "revision-link-missing", severity: Error, harms: true, cures: []Cure{CureRebuild},
		text: Explanation{
			Brief:  "a manifest is in the store and its repository can't serve it",
			Means:  "A tag, or an index of this repository, leads to a manifest whose blob is there. Without the revision link in the same repository a pull of it is answered with 404. For a child of an index this is reported only where all of the child's own blobs are linked here too, so that it clearly belonged to this repository.",
			Cause:  "A deletion through the API removes the revision link first; interrupted, it leaves the tag behind. The registry's own garbage collection removes links of children that it takes for untagged.",
			Advice: "With the registry stopped, regfsck fix writes the link: _manifests/revisions/sha256/<hex>/link. Nothing has to be pushed: the bytes are all there.",
		},
	},
	LayerLinkMissing: {
		name: "layer-link-missing", severity: Error, harms: true, cures: []Cure{CureRebuild},
		text: Explanation{
			Brief:  "a layer or config is in the store and its repository can't serve it",
			Means:  "The blob is there, a manifest of the repository needs it, and its layer link is gone: links are what the registry goes by, so a pull of the image is answered with 404 for this blob.",
			Cause:  "A blob was deleted through the API, which removes only the link of that repository, or the _layers directory was lost or removed by a clean-up script.",
			Advice: "With the registry stopped, regfsck fix writes the link: _layers/sha256/<hex>/link. Nothing has to be pushed: the bytes are all there.",
		},
	},
	BlobMissing: {
		name: "blob-missing", severity: Error, harms: true, cures: []Cure{CureRebuild, CureHeal, CureWithdrawAsk},
		text: Explanation{
			Brief:  "a config or layer that a kept manifest needs is gone",
			Means:  "The tags that lead to it can't be pulled. Layers that may legally be absent, because they have URLs or a non-distributable type, are not meant.",
			Cause:  "A registry moves a blob into its place before it links it. So a link to a missing blob is later damage: a garbage collection that took a live blob or ran while images were being pushed, a deletion by hand, a lost disk, a restore cut short.",
			Advice: "Where the digest proves the bytes (the empty blob, {}, Docker's empty layer, and what a manifest carries as data), regfsck fix writes the blob anew, with the registry stopped, and no push is needed. Where a backup, a replica or a node has it, regfsck fix --from SOURCE copies it. Push any other image again from a place that still has it. Restart the registry first: its cache may still say that the blob exists, and the push would then skip it. With Redis delete blobs::* and repository::* too. A push by " + Lookers + " looks at every layer and writes the blob anew. One by " + Skippers + " ends where the registry has the manifest: for these let regfsck fix --also blob-missing withdraw the images that can't be pulled, with the registry stopped; their tags and manifest links go, kept for an undo, and any push is whole then (regctl image copy --force-recursive needs none of it). A blob of a pull-through cache comes back with the next pull.",
		},
	},
	BlobCorrupt: {
		name: "blob-corrupt", severity: Error, harms: true, cures: []Cure{CureRebuild, CureHeal, CureMoveAsk},
		text: Explanation{
			Brief:  "a blob's bytes are not those its digest names",
			Means:  "The registry serves the bytes unverified and every client refuses them after the download. Found by hashing (--verify), and without it where the size in the store differs from the size that a manifest states.",
			Cause:  "A failing disk or memory, an upload cut off by a full disk, a restore cut short. An empty file is legal for one digest only, that of nothing at all.",
			Advice: "Where the digest proves the bytes (the empty blob, {}, Docker's empty layer, and what a manifest carries as data), regfsck fix writes them in place of the bad ones, and keeps those for an undo; so does regfsck fix --from SOURCE with what a backup, a replica or a node has. Otherwise a push alone does not heal it: the registry sees that the blob is there and keeps the bad bytes. With the registry stopped, regfsck fix --verify all --also blob-corrupt hashes the file once more, moves it away if it is really wrong, and keeps it for an undo. Then start the registry and push the image again with " + Lookers + "; " + Skippers + " find the manifest and upload nothing, so for these say --also blob-corrupt,blob-missing, which withdraws the images too. A pull-through cache fetches the blob at the next pull, once it was moved away. Look for the cause before you trust the disk.",
		},
	},
	BlobArchived: {
		name: "blob-archived", severity: Error, harms: true,
		text: Explanation{
			Brief:  "something needed lies in an archive class and can't be read",
			Means:  "The object is there, and its storage class (GLACIER, DEEP_ARCHIVE) has every read refused until it is restored: the registry can't serve it, and a pull of each image that needs it fails. Of a manifest or a link that can't be read nobody knows what it needs, so everything in its repositories is held on to, and no blob of the store is called an orphan; so it is with a small blob that may be a manifest.",
			Cause:  "A lifecycle rule of the bucket moves objects to an archive class as they grow old. A registry's objects are read for as long as any image needs them, whatever their age.",
			Advice: "Restore the object, and copy it onto itself with the storage class STANDARD: a restored copy goes again after some days. One that was restored counts as readable while it is. Then change the lifecycle rule, so that it leaves the registry's objects alone. An image that nobody needs can be removed with regfsck rm instead.",
		},
	},
	CacheStateInvalid: {
		name: "cache-state-invalid", severity: Error, cures: []Cure{CureMoveAsk},
		text: Explanation{
			Brief:  "no registry starts with a pull-through cache's scheduler-state.json",
			Means:  "The file in the store's root says when what was cached expires. A registry reads it when it starts, and one that is empty, cut off or no JSON makes 2.8 and 3.1 end at once. The images are not affected.",
			Cause:  "A crash or a full disk while the file was written.",
			Advice: "With the registry stopped, regfsck fix --also cache-state-invalid moves the file away and keeps it for an undo. Then start the registry: it makes a new one. What was cached before stays until somebody pulls it again, since nothing remembers when it was to expire.",
		},
	},
	StoreChanged: {
		name: "store-changed", severity: Warning,
		text: Explanation{
			Brief:  "something changed while the check was looking",
			Means:  "It was absent and then there, or there and then gone or different. No claim is made about it. That is harmless for a check of a registry at work; nothing may be deleted from such a picture.",
			Cause:  "A push, a deletion, or another program at work on the same store while the check ran.",
			Advice: "Nothing, if the registry is running. For an answer that holds, stop the registry or make it read-only and check again. If nothing should be writing here, find out what is.",
		},
	},
	LifecycleExpiry: {
		name: "lifecycle-expiry", severity: Warning,
		text: Explanation{
			Brief:  "a rule of the bucket takes away what the registry needs",
			Means:  "The bucket's own lifecycle rule removes objects that the registry still serves, or moves them into an archive class, by their age alone. It does so quietly, whatever refers to them: images break one after the other.",
			Cause:  "A rule for backups or logs that covers the whole bucket, or one that was meant as a garbage collection. A registry's objects have no age at which nobody needs them: a layer is written once and used for years.",
			Advice: "Take the rule off, or give it a prefix outside the registry's root. Rules that abort unfinished multipart uploads and that expire noncurrent versions do no harm. To remove old images use regfsck prune, which knows what is needed.",
		},
	},
	TagWithoutCurrent: {
		name: "tag-without-current", severity: Warning, harms: true, cures: []Cure{CureRebuild, CureRemoveAsk},
		text: Explanation{
			Brief:  "a tag has a directory and leads nowhere: it has no current/link",
			Means:  "The registry lists the tag and answers 404 when it is pulled.",
			Cause:  "A crash during the first push of the tag, between its history and its link, or a deletion that was interrupted.",
			Advice: "Push the tag again. If its index directory has exactly one entry, that was its target, and regfsck fix writes current/link with the registry stopped. If nobody wants the tag, regfsck fix --also tag-without-current removes it.",
		},
	},
	IndexChildMissing: {
		name: "index-child-missing", severity: Warning, cures: []Cure{CureWriteAsk},
		text: Explanation{
			Brief:  "an index names what its repository doesn't have",
			Means:  "A pull for that platform, or of that layer of a build cache, fails; all others work. The form is legal and called a sparse index: some tools copy only the platforms that they need.",
			Cause:  "A copy of chosen platforms on purpose, or a child that was deleted as untagged by a garbage collection that didn't understand indexes.",
			Advice: "If the platform should be there, push or copy the whole index again. If not, nothing is wrong. A child that stands elsewhere in the store isn't linked unasked: links are what guards one repository's images from the readers of another. regfsck fix --also index-child-missing does it.",
		},
	},
	SignatureOrphaned: {
		name: "signature-orphaned", severity: Warning, cures: []Cure{CureRemoveAsk},
		text: Explanation{
			Brief:  "a signature tag names an image that is gone",
			Means:  "A tag of the form sha256-<hex>, with or without .sig, .att or .sbom, belongs to the manifest with this digest, and no repository of the store has it any more. The tag is an ordinary one for the registry, so it keeps its own blobs.",
			Cause:  "The image was deleted or collected; nothing deletes the signatures and attestations that stand beside it under tags.",
			Advice: "It does no harm. If you don't want to keep a signature without its image, delete the tag through the registry, or with regfsck fix --also signature-orphaned. Where a repository holds nothing but such tags, and none of their images is in this store, it may serve images in another registry (cosign's COSIGN_REPOSITORY), and a policy that admits signed images only may rely on it: nothing of it is offered to go.",
		},
	},
	ManifestLost: {
		name: "manifest-lost", severity: Warning, cures: []Cure{CureWriteAsk},
		text: Explanation{
			Brief:  "a whole image among the garbage, which nothing names any more",
			Means:  "The manifest and all that it names are stored and sound, and no link leads to the manifest: no client can pull it, and the next regfsck fix takes it as garbage.",
			Cause:  "The image was deleted through the API, or its tag and its links by hand. Most such images were deleted on purpose, so that they are looked for only when somebody asks.",
			Advice: "Do nothing if it was to go. If not, regfsck fix --also manifest-lost, with the registry stopped, gives it the tag lost-found- and the first 12 hex digits of its digest, in each repository that holds a witness of it: the empty directory of its link, an entry of a tag's history, or the links to all its blobs. Give it a name of its own then, with crane tag or skopeo copy. Where no repository holds a witness no tag is written, since that could hand out a private image: whoever has the image can push it again. regfsck why tells of one image.",
		},
	},
	DescriptorWrong: {
		name: "descriptor-wrong", severity: Warning,
		text: Explanation{
			Brief:  "a manifest states another size for a blob than the blob has",
			Means:  "The blob hashes to its digest, so it is right and the manifest is wrong. Some clients don't mind, some refuse the image.",
			Cause:  "A tool that built the manifest with a wrong size. A digest is made of the manifest's bytes, so it was wrong from the first day.",
			Advice: "Build and push the image again with a tool that states sizes right. Nothing in the store can be corrected: the size is part of what the manifest's digest is made of.",
		},
	},
	NameInvalid: {
		name: "name-invalid", severity: Warning,
		text: Explanation{
			Brief:  "a repository or tag has a name that no registry accepts",
			Means:  "It can't be pulled, since no client can ask for it, and the registry's own garbage collection stops at it. All that it links is held on to.",
			Cause:  "A directory that was made or renamed by hand, an upper-case letter, a backup copy beside the original (app.old, app~).",
			Advice: "Find out whose it is. If it was once a repository, rename its directory to a legal name while the registry is stopped; if it is a left-over copy, move it out of the store.",
		},
	},
	ForeignFile: {
		name: "foreign-file", severity: Warning,
		text: Explanation{
			Brief:  "something that is no part of a registry's storage",
			Means:  "It stands where a registry neither wrote it nor reads it. It is never touched.",
			Cause:  "Files of an editor, of a file manager or of a backup, lost+found, a copy that was made in haste, or the extension of another registry.",
			Advice: "Look whose it is, and move it elsewhere if nobody needs it here. A stray file named data below blobs makes the registry's own garbage collection stop.",
		},
	},
	BlobOrphan: {
		name: "blob-orphan", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a blob that no kept manifest references",
			Means:  "No manifest of any repository needs these bytes. Most of the space that a store can win stands here.",
			Cause:  "Images that were deleted or pushed anew under the same tag, layers of pushes that were never finished by a manifest, and the remains of earlier garbage collections. In a store whose links are kept in a database, every blob looks like this.",
			Advice: "See first that all repositories are there: a disk that isn't mounted makes every blob an orphan." + mayStay + " Afterwards the registry must be restarted, since its cache still says that the blob exists.",
		},
	},
	LayerLinkUnreferenced: {
		name: "layer-link-unreferenced", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a layer link that no kept manifest of its repository needs",
			Means:  "The repository would serve this blob if it were asked for by its digest, and no image in it asks.",
			Cause:  "The image was deleted from this repository, or a layer was pushed or mounted and no manifest followed. The registry never removes a layer link itself.",
			Advice: "The link itself is tiny, but it stands for a blob that may be large." + mayStay,
		},
	},
	LayerLinkDangling: {
		name: "layer-link-dangling", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a layer link whose blob is gone and that nothing needs",
			Means:  "The blob is gone, and no manifest of this repository wants it. If one did, it would be a blob-missing.",
			Cause:  "Every garbage collection of the registry leaves these: it removes blobs and not the links to them.",
			Advice: mayStay[1:],
		},
	},
	ManifestUntagged: {
		name: "manifest-untagged", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a manifest that no tag, index or kept subject leads to",
			Means:  "It can be pulled by its digest only. It is garbage only because --untagged was asked for; without that every manifest is kept.",
			Cause:  "The tag was pushed anew, so that it leads to another manifest now, or the tag was deleted. Harbor from 2.15 on keeps its tags in a database: there every manifest looks untagged.",
			Advice: "See that nobody pulls by digest: deployments that pin digests do, and so does whoever rolls back. Then give --untagged to regfsck fix, too." + mayStay,
		},
	},
	TagHistoryStale: {
		name: "tag-history-stale", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "an entry of a tag's history whose manifest is gone",
			Means:  "The tag once led there. Where it leads now is certain, and pulls never look at its history.",
			Cause:  "A manifest was deleted through the API: the registry removes the tags that lead to it and leaves the history of all other tags for ever.",
			Advice: mayStay[1:],
		},
	},
	RepoEmpty: {
		name: "repo-empty", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a repository without a tag and without a manifest",
			Means:  "It stands in the catalog and holds nothing. Uploads that are going on, young links and damage keep a repository out of this list.",
			Cause:  "All of its images were deleted. No version of the registry removes the directories, so the name stays in the catalog.",
			Advice: "Only the catalog is longer than it should be." + mayStay,
		},
	},
	CatalogMarker: {
		name: "catalog-marker", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a directory marker that makes a repository or a tag appear in the catalog",
			Means:  "An empty object of a bucket, whose key ends in a slash. Nothing else is there of the repository or the tag, and yet the registry's catalog or its list of tags names it.",
			Cause:  "A console, a file manager or a tool that copies directories wrote it, to show a directory. No registry does, and none removes it.",
			Advice: "Whoever lists the catalog meets a repository or a tag that can't be pulled." + mayStay,
		},
	},
	UploadStale: {
		name: "upload-stale", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "an upload that nobody went on with",
			Means:  "The bytes of a blob that was never finished. No pull can see them. Younger uploads than --uploads-older-than are taken to be still going on.",
			Cause:  "A client that was cut off, a registry that was restarted, a full disk. The registry cleans uploads up by itself only if upload purging is on.",
			Advice: "The client begins anew anyway." + mayStay,
		},
	},
	MultipartStale: {
		name: "multipart-stale", severity: Garbage, cures: []Cure{CureAbort},
		text: Explanation{
			Brief:  "an unfinished multipart upload in a bucket",
			Means:  "Parts of an object that no listing shows, and that the bucket's owner pays for.",
			Cause:  "A push that was cut off, or a copy of a large blob. Nothing that the registry has ever ends them. Younger ones than --uploads-older-than, and those of an upload that somebody went on with since, are taken to be still going on.",
			Advice: "regfsck fix aborts those that stand where a registry uploads, which no undo can take back; a blob that stands at the same key stays. A lifecycle rule of the bucket that aborts unfinished multipart uploads does it day by day. It may stay, too: it takes space and hurts nobody.",
		},
	},
	TmpStale: {
		name: "tmp-stale", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a temporary file of a write that never ended",
			Means:  "The registry, from 3.1 on, writes a file under a temporary name first and renames it. This one was never renamed, so nobody reads it.",
			Cause:  "A crash, a power cut, or a registry that was killed while it was writing. Nothing ever removes them. Those that stand beside a blob or a link are found with --thorough only.",
			Advice: mayStay[1:],
		},
	},
	DirectoryEmpty: {
		name: "folder-empty", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "an empty directory",
			Means:  "Nothing stands in it, and nothing needs it.",
			Cause:  "The registry removes files through its API and leaves their directories, and a garbage collection leaves the directories of what it swept.",
			Advice: "A large number of them makes every listing slower." + mayStay,
		},
	},
	SignatureLegacy: {
		name: "signature-legacy", severity: Garbage, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a signature link of schema 1, dead since registry 2.5",
			Means:  "Registries before 2.5 kept the signatures of schema 1 manifests as blobs of their own. No later version reads them.",
			Cause:  "A store that has been in use since 2.4 or earlier.",
			Advice: mayStay[1:],
		},
	},
	RepositoryRemoved: {
		name: "repository-removed", severity: Asked, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a repository that is to go, with all that is in it",
			Means:  "Its tags, manifests, layer links and uploads go, young and broken ones too, and it leaves the catalog. Blobs that only it referred to go with it. Repositories below its name stay, and so does what isn't a registry's.",
			Cause:  "regfsck rm was given its name.",
			Advice: "Look at the plan, and add --apply if it is right. regfsck undo brings all of it back until it is purged.",
		},
	},
	TagRemoved: {
		name: "tag-removed", severity: Asked, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a tag that is to go",
			Means:  "Its links go. The manifest that it means goes too, with all that only that needs, unless another tag, an index or its subject keeps it, or something broken pins the repository; the plan says what.",
			Cause:  "regfsck rm was given its name, or a policy of retention doesn't keep it.",
			Advice: "Look at the plan, and add --apply if it is right. --tags-only takes the tag and leaves the manifest.",
		},
	},
	TagUnneeded: {
		name: "tag-unneeded", severity: Asked, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a tag sha256-<hex>… that goes with what it is about",
			Means:  "Such a tag leads to signatures, attestations or other referrers of a manifest. That goes, and so nobody will ask for them any more.",
			Cause:  "The manifest goes to which it belongs.",
			Advice: "Keep the manifest, by a tag of its own perhaps, and they stay too.",
		},
	},
	ManifestRemoved: {
		name: "manifest-removed", severity: Asked, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a manifest that is to go",
			Means:  "It can't be pulled by its digest any more, and what only it needs goes with it.",
			Cause:  "regfsck rm was given its digest. Where an index or a tag that stays needs it, that is refused.",
			Advice: "Look at the plan, and add --apply if it is right.",
		},
	},
	ManifestUnneeded: {
		name: "manifest-unneeded", severity: Asked, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a manifest that nothing leads to once the rest has gone",
			Means:  "The last tag that meant it goes, or the index that it is a part of, or what it is about. Manifests that no tag led to before are none of these; they stay.",
			Cause:  "What led to it is to go.",
			Advice: "Give it a tag that stays, if it is to stay. --tags-only leaves all manifests where they are.",
		},
	},
	TagWithdrawn: {
		name: "tag-withdrawn", severity: Asked, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a tag that is withdrawn: its image can't be pulled",
			Means:  "A blob that the image needs is missing, and clients that look at the manifest first (" + Skippers + ") would take a push of it for done. Without tag and manifest link every client pushes it whole. Until then the tag is gone, also for the platforms of an index that could still be pulled.",
			Cause:  "regfsck fix was given --also blob-missing.",
			Advice: "Look at the plan, and add --apply if it is right. Then restart the registry and push the image again. Its other layers stay where they are; from the next regfsck fix on they are garbage like any other. regfsck undo brings tag and link back until the run is purged.",
		},
	},
	ManifestWithdrawn: {
		name: "manifest-withdrawn", severity: Asked, cures: []Cure{CureRemove},
		text: Explanation{
			Brief:  "a manifest that is withdrawn: it can't be pulled",
			Means:  "Its revision link goes, so that every client pushes it whole: a blob that it needs is missing, or one of a manifest that it names. Its bytes stay, and so do all blobs and layer links of it. What is whole of an index stays too, without a tag.",
			Cause:  "regfsck fix was given --also blob-missing.",
			Advice: "Push the image again. What nobody pushes again is garbage from the next regfsck fix on.",
		},
	},
}

// Kinds are the kinds that a check can find, in the order of reports.
func Kinds(yield func(Kind) bool) {
	for k := None + 1; k < NumKinds; k++ {
		if !yield(k) {
			return
		}
	}
}

// All are Kinds, and then the reasons that only a request makes.
func All(yield func(Kind) bool) {
	for k := None + 1; k < numAll; k++ {
		if !yield(k) {
			return
		}
	}
}

// Parse returns the kind whose text form is s.
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

// Cures are what a fix can do about findings of the kind. A single finding may have
// CureNone all the same.
func (k Kind) Cures() []Cure { return kinds[k].cures }

// OnRequest reports whether there is a cure that somebody has to ask for, with --also.
func (k Kind) OnRequest() bool {
	for _, c := range kinds[k].cures {
		if c.Asks() {
			return true
		}
	}
	return false
}

// TakesRepository reports whether a change for it takes a repository out of the
// catalog.
func (k Kind) TakesRepository() bool { return k == RepoEmpty || k == RepositoryRemoved }

// Withdraws reports whether a change for it takes an image away so that every client
// pushes it whole.
func (k Kind) Withdraws() bool { return k == TagWithdrawn || k == ManifestWithdrawn }

// Explanation returns the texts that explain the kind.
func (k Kind) Explanation() Explanation { return kinds[k].text }

// MarshalText returns the text form.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ErrUnknown is a kind of finding that this version doesn't know.
var ErrUnknown = errors.New("no kind of finding that this version of regfsck knows")

// UnmarshalText accepts a text form, and "" for None. Another one is ErrUnknown.
func (k *Kind) UnmarshalText(text []byte) error {
	found, ok := Parse(string(text))
	if !ok && len(text) > 0 {
		return fmt.Errorf("%q is %w", text, ErrUnknown)
	}
	*k = found
	return nil
}
