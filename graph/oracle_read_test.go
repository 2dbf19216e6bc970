package graph

import (
	"regexp"
	"time"

	"regfsck/fixtures"
)

// The oracle reads a store a second time, as plainly as can be: paths by
// regular expressions, manifests by encoding/json, everything in maps of
// strings. It shares no code with what it is to judge but the digest.

// oracleStore is a store as its files say.
type oracleStore struct {
	blobs     map[string]fixtures.File // by digest
	repos     map[string]*oracleRepo
	young     map[string]bool // digests of which the blob is young, or a link that is named by them or means them
	manifests map[string]oracleManifest
}

// oracleRepo is one repository. Its links are by the digest of their path;
// layers are also by "sha512:…" and "tarsum.v1+sha256:…".
type oracleRepo struct {
	name              string
	layers, revisions map[string]oracleLink
	tags              map[string]*oracleTag
}

// oracleLink is a link; target is "" where its content is no digest.
type oracleLink struct {
	key, target string
	young       bool
}

// oracleTag is a tag; target is "" where nothing certain can be said of it.
type oracleTag struct {
	target  string
	history map[string]oracleLink
}

const oracleRepos = `^docker/registry/v2/repositories/(.+)/_`

var (
	oracleBlob     = regexp.MustCompile(`^docker/registry/v2/blobs/(sha256|sha512)/../([0-9a-f]{64,128})/data$`)
	oracleRevision = regexp.MustCompile(oracleRepos + `manifests/revisions/(sha256|sha512)/([0-9a-f]{64,128})/link$`)
	oracleFolder   = regexp.MustCompile(oracleRepos + `manifests/tags/([^/]+)(?:/|$)`)
	oracleCurrent  = regexp.MustCompile(oracleRepos + `manifests/tags/([^/]+)/current/link$`)
	oracleHistory  = regexp.MustCompile(oracleRepos + `manifests/tags/([^/]+)/index/(sha256|sha512)/([0-9a-f]{64,128})/link$`)
	oracleLayer    = regexp.MustCompile(oracleRepos + `layers/(sha256|sha512)/([0-9a-f]+)/link$`)
	oracleTarsum   = regexp.MustCompile(oracleRepos + `layers/tarsum/([^/]+)/sha256/([0-9a-f]+)/link$`)
	oracleDigest   = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
	oracleName     = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	oracleTagName  = regexp.MustCompile(`^\w[\w.-]{0,127}$`)
)

// oracleRead sorts a builder's files. What is newer than youngAfter is young.
func oracleRead(b *fixtures.Builder, youngAfter time.Time) *oracleStore {
	s := &oracleStore{
		blobs: map[string]fixtures.File{}, repos: map[string]*oracleRepo{}, young: map[string]bool{},
		manifests: map[string]oracleManifest{},
	}
	folder := func(key string) {
		if m := oracleFolder.FindStringSubmatch(key); m != nil {
			s.repo(m[1]).tag(m[2])
		}
	}
	file := func(key string, body []byte, modified time.Time) {
		folder(key)
		link := oracleLink{key: key, young: modified.After(youngAfter)}
		if oracleDigest.Match(body) {
			link.target = string(body)
		}
		digest := s.file(link)
		if digest == "" { // its content alone says what it means
			digest = link.target
		}
		s.young[digest] = s.young[digest] || link.young
		if m := oracleBlob.FindStringSubmatch(key); m != nil {
			s.blobs[digest] = fixtures.File{Body: body, Modified: modified}
		}
	}
	b.Into(file, folder)
	return s
}

// file puts a link into its place. It returns the digest of its path, if any that
// isn't an alias.
func (s *oracleStore) file(link oracleLink) (digest string) {
	if m := oracleBlob.FindStringSubmatch(link.key); m != nil {
		return m[1] + ":" + m[2]
	} else if m := oracleRevision.FindStringSubmatch(link.key); m != nil {
		s.repo(m[1]).revisions[m[2]+":"+m[3]] = link
		return m[2] + ":" + m[3]
	} else if m := oracleCurrent.FindStringSubmatch(link.key); m != nil {
		s.repo(m[1]).tag(m[2]).target = link.target
	} else if m := oracleHistory.FindStringSubmatch(link.key); m != nil {
		s.repo(m[1]).tag(m[2]).history[m[3]+":"+m[4]] = link
		return m[3] + ":" + m[4]
	} else if m := oracleLayer.FindStringSubmatch(link.key); m != nil {
		digest := m[2] + ":" + m[3]
		s.repo(m[1]).layers[digest] = link
		if !s.repo(m[1]).alias(digest) {
			return digest
		}
	} else if m := oracleTarsum.FindStringSubmatch(link.key); m != nil {
		s.repo(m[1]).layers["tarsum."+m[2]+"+sha256:"+m[3]] = link
	}
	return ""
}

func (s *oracleStore) repo(name string) *oracleRepo {
	if s.repos[name] == nil {
		s.repos[name] = &oracleRepo{
			name: name, layers: map[string]oracleLink{}, revisions: map[string]oracleLink{}, tags: map[string]*oracleTag{},
		}
	}
	return s.repos[name]
}

func (r *oracleRepo) tag(name string) *oracleTag {
	if r.tags[name] == nil {
		r.tags[name] = &oracleTag{history: map[string]oracleLink{}}
	}
	return r.tags[name]
}

// alias reports whether a layer link is a name for another digest.
func (r *oracleRepo) alias(digest string) bool {
	link, ok := r.layers[digest]
	return ok && foreign(digest) && link.target != digest
}

// badlyNamed reports whether a name in it pins the repository.
func (r *oracleRepo) badlyNamed() bool {
	for tag := range r.tags {
		if !oracleTagName.MatchString(tag) {
			return true
		}
	}
	return !oracleName.MatchString(r.name)
}
