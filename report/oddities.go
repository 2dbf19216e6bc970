package report

import "regfsck/graph"

// oddities explains what is a warning.
var oddities = map[graph.ID]Explanation{
	graph.StoreChanged: {
		Brief: "something changed while the check was looking",
		Means: "It was absent and then there, or there and then gone or different. No claim is made about it. That is harmless for a check of a registry at work; nothing may be deleted from such a picture.",
		Comes: "A push, a deletion, or another program at work on the same store while the check ran.",
		Do:    "Nothing, if the registry is running. For an answer that holds, stop the registry or make it read-only and check again. If nothing should be writing here, find out what is.",
	},
	graph.LifecycleExpiry: {
		Brief: "a rule of the bucket takes away what the registry needs",
		Means: "The bucket's own lifecycle rule removes objects that the registry still serves, or moves them into an archive class, by their age alone. It does so quietly, whatever refers to them: images break one after the other.",
		Comes: "A rule for backups or logs that covers the whole bucket, or one that was meant as a garbage collection. A registry's objects have no age at which nobody needs them: a layer is written once and used for years.",
		Do:    "Take the rule off, or give it a prefix outside the registry's root. Rules that abort unfinished multipart uploads and that expire noncurrent versions do no harm. To remove old images use regfsck prune, which knows what is needed.",
	},
	graph.TagWithoutCurrent: {
		Brief: "a tag has a folder and leads nowhere: it has no current/link",
		Means: "The registry lists the tag and answers 404 when it is pulled.",
		Comes: "A crash during the first push of the tag, between its history and its link, or a deletion that was interrupted.",
		Do:    "Push the tag again. If its index folder has exactly one entry, that was its target, and regfsck fix writes current/link with the registry stopped. If nobody wants the tag, regfsck fix --also tag-without-current removes it.",
	},
	graph.IndexChildMissing: {
		Brief: "an index names what its repository doesn't have",
		Means: "A pull for that platform, or of that layer of a build cache, fails; all others work. The form is legal and called a sparse index: some tools copy only the platforms that they need.",
		Comes: "A copy of chosen platforms on purpose, or a child that was deleted as untagged by a garbage collection that didn't understand indexes.",
		Do:    "If the platform should be there, push or copy the whole index again. If not, nothing is wrong. A child that stands elsewhere in the store isn't linked unasked: links are what guards one repository's images from the readers of another. regfsck fix --also index-child-missing does it.",
	},
	graph.SignatureOrphaned: {
		Brief: "a signature tag names an image that is gone",
		Means: "A tag of the form sha256-<hex>, with or without .sig, .att or .sbom, belongs to the manifest with this digest, and no repository of the store has it any more. The tag is an ordinary one for the registry, so it keeps its own blobs.",
		Comes: "The image was deleted or collected; nothing deletes the signatures and attestations that stand beside it under tags.",
		Do:    "It does no harm. If you don't want to keep a signature without its image, delete the tag through the registry, or with regfsck fix --also signature-orphaned. Where a repository holds nothing but such tags, and none of their images is in this store, it may serve images in another registry (cosign's COSIGN_REPOSITORY), and a policy that admits signed images only may rely on it: nothing of it is offered to go.",
	},
	graph.ManifestLost: {
		Brief: "a whole image among the garbage, which nothing names any more",
		Means: "The manifest and all that it names are stored and sound, and no link leads to the manifest: no client can pull it, and the next regfsck fix takes it as garbage.",
		Comes: "The image was deleted through the API, or its tag and its links by hand. Most such images were deleted on purpose, so that they are looked for only when somebody asks.",
		Do:    "Do nothing if it was to go. If not, regfsck fix --also manifest-lost, with the registry stopped, gives it the tag lost-found- and the first 12 hex digits of its digest, in each repository that holds a witness of it: the empty directory of its link, an entry of a tag's history, or the links to all its blobs. Give it a name of its own then, with crane tag or skopeo copy. Where no repository holds a witness no tag is written, since that could hand out a private image: whoever has the image can push it again. regfsck why tells of one image.",
	},
	graph.DescriptorWrong: {
		Brief: "a manifest states another size for a blob than the blob has",
		Means: "The blob hashes to its digest, so it is right and the manifest is wrong. Some clients don't mind, some refuse the image.",
		Comes: "A tool that built the manifest with a wrong size. A digest is made of the manifest's bytes, so it was wrong from the first day.",
		Do:    "Build and push the image again with a tool that states sizes right. Nothing in the store can be corrected: the size is part of what the manifest's digest is made of.",
	},
	graph.NameInvalid: {
		Brief: "a repository or tag has a name that no registry accepts",
		Means: "It can't be pulled, since no client can ask for it, and the registry's own garbage collection stops at it. All that it links is held on to.",
		Comes: "A folder that was made or renamed by hand, an upper-case letter, a backup copy beside the original (app.old, app~).",
		Do:    "Find out whose it is. If it was once a repository, rename its folder to a legal name while the registry is stopped; if it is a left-over copy, move it out of the store.",
	},
	graph.ForeignFile: {
		Brief: "something that is no part of a registry's storage",
		Means: "It stands where a registry neither wrote it nor reads it. It is never touched.",
		Comes: "Files of an editor, of a file manager or of a backup, lost+found, a copy that was made in haste, or the extension of another registry.",
		Do:    "Look whose it is, and move it elsewhere if nobody needs it here. A stray file named data below blobs makes the registry's own garbage collection stop.",
	},
}
