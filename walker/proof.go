package walker

import (
	"crypto/md5"
	"encoding/hex"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// proofs forgets what an earlier listing has proven and returns what takes in a
// new one's.
func (w *Walker) proofs() func(layout.Digest, *backend.Item) {
	if w.Cache == nil {
		return func(layout.Digest, *backend.Item) {}
	}
	w.etags = map[layout.Digest][md5.Size]byte{}
	return func(d layout.Digest, it *backend.Item) {
		delete(w.etags, d) // where something is listed twice, the last word counts
		if sum, ok := plainETag(it.ETag); ok && w.Cache.Holds(d, it.Size) {
			w.etags[d] = sum
		}
	}
}

// plainETag returns the MD5 that an ETag may be: of an object that was written in
// one piece and isn't encrypted by a key of its own, it is that of its bytes.
// Whether it is, only these can tell.
func plainETag(etag string) (sum [md5.Size]byte, ok bool) {
	if len(etag) != hex.EncodedLen(len(sum)) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(etag))
	return sum, err == nil
}

// proven returns the bytes that the store has of a manifest, where the cache has
// them and the listing proves that they are the same. They stand in buf where that
// is large enough.
func (w *Walker) proven(d layout.Digest, buf []byte) ([]byte, bool) {
	if w.Cache == nil {
		return nil, false
	}
	sum, ok := w.etags[d]
	if !ok {
		return nil, false
	}
	return w.Cache.Take(d, sum, buf)
}
