package report

import "regfsck/graph"

// removals explains what goes because somebody asked for it.
var removals = map[graph.ID]Explanation{
	graph.RepositoryRemoved: {
		Brief: "a repository that is to go, with all that is in it",
		Means: "Its tags, manifests, layer links and uploads go, young and broken ones too, and it leaves the catalog. Blobs that only it referred to go with it. Repositories below its name stay, and so does what isn't a registry's.",
		Comes: "regfsck rm was given its name.",
		Do:    "Look at the plan, and add --apply if it is right. regfsck undo brings all of it back until it is purged.",
	},
	graph.TagRemoved: {
		Brief: "a tag that is to go",
		Means: "Its links go. The manifest that it means goes too, with all that only that needs, unless another tag, an index or its subject keeps it, or something broken pins the repository; the plan says what.",
		Comes: "regfsck rm was given its name, or a policy of retention doesn't keep it.",
		Do:    "Look at the plan, and add --apply if it is right. --tags-only takes the tag and leaves the manifest.",
	},
	graph.TagUnneeded: {
		Brief: "a tag sha256-<hex>… that goes with what it is about",
		Means: "Such a tag leads to signatures, attestations or other referrers of a manifest. That goes, and so nobody will ask for them any more.",
		Comes: "The manifest goes to which it belongs.",
		Do:    "Keep the manifest, by a tag of its own perhaps, and they stay too.",
	},
	graph.ManifestRemoved: {
		Brief: "a manifest that is to go",
		Means: "It can't be pulled by its digest any more, and what only it needs goes with it.",
		Comes: "regfsck rm was given its digest. Where an index or a tag that stays needs it, that is refused.",
		Do:    "Look at the plan, and add --apply if it is right.",
	},
	graph.ManifestUnneeded: {
		Brief: "a manifest that nothing leads to once the rest has gone",
		Means: "The last tag that meant it goes, or the index that it is a part of, or what it is about. Manifests that no tag led to before are none of these; they stay.",
		Comes: "What led to it is to go.",
		Do:    "Give it a tag that stays, if it is to stay. --tags-only leaves all manifests where they are.",
	},
	graph.TagWithdrawn: {
		Brief: "a tag that is withdrawn: its image can't be pulled",
		Means: "A blob that the image needs is missing, and clients that look at the manifest first (" + skippers + ") would take a push of it for done. Without tag and manifest link every client pushes it whole. Until then the tag is gone, also for the platforms of an index that could still be pulled.",
		Comes: "regfsck fix was given --also blob-missing.",
		Do:    "Look at the plan, and add --apply if it is right. Then restart the registry and push the image again. Its other layers stay where they are; from the next regfsck fix on they are garbage like any other. regfsck undo brings tag and link back until the run is purged.",
	},
	graph.ManifestWithdrawn: {
		Brief: "a manifest that is withdrawn: it can't be pulled",
		Means: "Its revision link goes, so that every client pushes it whole: a blob that it needs is missing, or one of a manifest that it names. Its bytes stay, and so do all blobs and layer links of it. What is whole of an index stays too, without a tag.",
		Comes: "regfsck fix was given --also blob-missing.",
		Do:    "Push the image again. What nobody pushes again is garbage from the next regfsck fix on.",
	},
}
