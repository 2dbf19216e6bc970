// Package layout parses and makes the keys of a registry's files, and the names in them:
// digests, repositories, tags.
//
// A registry stores everything below Root. Content is stored once, below Blobs, under its
// digest. Each repository has links to content: small files whose path says what the
// repository may serve, and whose content is the digest under which it is stored:
//
//	blobs/<alg>/<hex[:2]>/<hex>/data
//	repositories/<repo>/_manifests/revisions/<alg>/<hex>/link
//	repositories/<repo>/_manifests/tags/<tag>/current/link
//	repositories/<repo>/_manifests/tags/<tag>/index/<alg>/<hex>/link
//	repositories/<repo>/_layers/<alg>/<hex>/link
//	repositories/<repo>/_uploads/<id>/{data,startedat,hashstates/<alg>/<offset>}
//
// Old versions also wrote tarsum links and signature links. Depth is exact: a file one
// directory deeper than such a row is not part of the layout.
//
// Repositories nest, and a directory whose name begins with "_" ends a repository's name.
// If no row names such a directory it is of another program (a fork, a later version):
// it is reserved, and must never be touched.
//
// Parse parses the key of a file and Key.Append makes it; ParseDirectory parses the key of
// a directory. All work on substrings and allocate nothing. They check structure only:
// ValidRepository and ValidTag report whether a registry accepts a name.
package layout

// Keys of directories and files below the store's root.
const (
	Root         = "docker/registry/v2"
	Blobs        = Root + "/blobs"
	Repositories = Root + "/repositories"
	Locks        = "docker/registry/lockfiles" // GitLab's
	SchedulerKey = "scheduler-state.json"      // a pull-through cache's
)
