package report

import "regfsck/graph"

// Nearly every explanation of garbage ends alike: it may stay.
const mayStay = " regfsck fix removes such garbage, with the registry stopped or read-only. It may stay, too: it takes space and hurts nobody."

// leftovers explains what is garbage.
var leftovers = map[graph.ID]Explanation{
	graph.BlobOrphan: {
		Brief: "a blob that no kept manifest references",
		Means: "No manifest of any repository needs these bytes. Most of the space that a store can win stands here.",
		Comes: "Images that were deleted or pushed anew under the same tag, layers of pushes that were never finished by a manifest, and the remains of earlier garbage collections. In a store whose links are kept in a database, every blob looks like this.",
		Do:    "See first that all repositories are there: a disk that isn't mounted makes every blob an orphan." + mayStay + " Afterwards the registry must be restarted, since its cache still says that the blob exists.",
	},
	graph.LayerLinkUnreferenced: {
		Brief: "a layer link that no kept manifest of its repository needs",
		Means: "The repository would serve this blob if it were asked for by its digest, and no image in it asks.",
		Comes: "The image was deleted from this repository, or a layer was pushed or mounted and no manifest followed. The registry never removes a layer link itself.",
		Do:    "The link itself is tiny, but it stands for a blob that may be large." + mayStay,
	},
	graph.LayerLinkDangling: {
		Brief: "a layer link whose blob is gone and that nothing needs",
		Means: "The blob is gone, and no manifest of this repository wants it. If one did, it would be a blob-missing.",
		Comes: "Every garbage collection of the registry leaves these: it removes blobs and not the links to them.",
		Do:    mayStay[1:],
	},
	graph.ManifestUntagged: {
		Brief: "a manifest that no tag, index or kept subject leads to",
		Means: "It can be pulled by its digest only. It is garbage only because --untagged was asked for; without that every manifest is kept.",
		Comes: "The tag was pushed anew, so that it leads to another manifest now, or the tag was deleted. Harbor from 2.15 on keeps its tags in a database: there every manifest looks untagged.",
		Do:    "See that nobody pulls by digest: deployments that pin digests do, and so does whoever rolls back. Then give --untagged to regfsck fix, too." + mayStay,
	},
	graph.TagHistoryStale: {
		Brief: "an entry of a tag's history whose manifest is gone",
		Means: "The tag once led there. Where it leads now is certain, and pulls never look at its history.",
		Comes: "A manifest was deleted through the API: the registry removes the tags that lead to it and leaves the history of all other tags for ever.",
		Do:    mayStay[1:],
	},
	graph.RepoEmpty: {
		Brief: "a repository without a tag and without a manifest",
		Means: "It stands in the catalog and holds nothing. Uploads that are going on, young links and damage keep a repository out of this list.",
		Comes: "All of its images were deleted. No version of the registry removes the folders, so the name stays in the catalog.",
		Do:    "Only the catalog is longer than it should be." + mayStay,
	},
	graph.CatalogMarker: {
		Brief: "a directory marker that makes a repository or a tag appear in the catalog",
		Means: "An empty object of a bucket, whose key ends in a slash. Nothing else is there of the repository or the tag, and yet the registry's catalog or its list of tags names it.",
		Comes: "A console, a file manager or a tool that copies folders wrote it, to show a folder. No registry does, and none removes it.",
		Do:    "Whoever lists the catalog meets a repository or a tag that can't be pulled." + mayStay,
	},
	graph.UploadStale: {
		Brief: "an upload that nobody went on with",
		Means: "The bytes of a blob that was never finished. No pull can see them. Younger uploads than --uploads-older-than are taken to be still going on.",
		Comes: "A client that was cut off, a registry that was restarted, a full disk. The registry cleans uploads up by itself only if upload purging is on.",
		Do:    "The client begins anew anyway." + mayStay,
	},
	graph.MultipartStale: {
		Brief: "an unfinished multipart upload in a bucket",
		Means: "Parts of an object that no listing shows, and that the bucket's owner pays for.",
		Comes: "A push that was cut off, or a copy of a large blob. Nothing that the registry has ever ends them. Younger ones than --uploads-older-than, and those of an upload that somebody went on with since, are taken to be still going on.",
		Do:    "regfsck fix aborts those that stand where a registry uploads, which no undo can take back; a blob that stands at the same key stays. A lifecycle rule of the bucket that aborts unfinished multipart uploads does it day by day. It may stay, too: it takes space and hurts nobody.",
	},
	graph.TmpStale: {
		Brief: "a temporary file of a write that never ended",
		Means: "The registry, from 3.1 on, writes a file under a temporary name first and renames it. This one was never renamed, so nobody reads it.",
		Comes: "A crash, a power cut, or a registry that was killed while it was writing. Nothing ever removes them. Those that stand beside a blob or a link are found with --thorough only.",
		Do:    mayStay[1:],
	},
	graph.FolderEmpty: {
		Brief: "an empty folder",
		Means: "Nothing stands in it, and nothing needs it.",
		Comes: "The registry removes files through its API and leaves their folders, and a garbage collection leaves the folders of what it swept.",
		Do:    "A large number of them makes every listing slower." + mayStay,
	},
	graph.SignatureLegacy: {
		Brief: "a signature link of schema 1, dead since registry 2.5",
		Means: "Registries before 2.5 kept the signatures of schema 1 manifests as blobs of their own. No later version reads them.",
		Comes: "A store that has been in use since 2.4 or earlier.",
		Do:    mayStay[1:],
	},
}
