// Package layout is the grammar of a registry's paths, in both directions, and
// its words: digests, repository names, tags.
//
// A registry keeps everything below Root. Content stands once, under Blobs,
// named by its digest. Each repository has links to that content, tiny files
// whose path says what may be served and whose content says where it is:
//
//	blobs/<alg>/<hex[:2]>/<hex>/data
//	repositories/<repo>/_manifests/revisions/<alg>/<hex>/link
//	repositories/<repo>/_manifests/tags/<tag>/current/link
//	repositories/<repo>/_manifests/tags/<tag>/index/<alg>/<hex>/link
//	repositories/<repo>/_layers/<alg>/<hex>/link
//	repositories/<repo>/_uploads/<id>/{data,startedat,hashstates/<alg>/<offset>}
//
// and, from old versions, tarsum links and signature links. Depth is exact: a
// file one directory deeper than such a row is another thing.
//
// Repositories nest, and a directory whose name begins with "_" ends a
// repository's name. Such a directory that no row names belongs to somebody else
// (a fork, a later version): it is reserved, and never to be touched.
//
// Parse reads the key of a file and Key.Append writes it; ParseDirectory reads the
// key of a directory. All work on substrings and allocate nothing. They decide by
// structure alone: whether a repository or a tag could have been made by a
// registry is what ValidRepository and ValidTag tell.
package layout

// Where things stand, as keys below the store's root.
const (
	Root         = "docker/registry/v2"
	Blobs        = Root + "/blobs"
	Repositories = Root + "/repositories"
	Locks        = "docker/registry/lockfiles" // GitLab's
	SchedulerKey = "scheduler-state.json"      // a pull-through cache's
)
