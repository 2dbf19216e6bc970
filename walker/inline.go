package walker

import (
	"context"

	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Inline reads the n manifests whose digests digest(0) … digest(n-1) gives once
// more, for the blobs that they carry, and hands those to each as Manifests does. Of
// a manifest that isn't good there are none.
func (w *Walker) Inline(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, all []manifest.Inline) error) error {
	return serially(ctx, w, n, func() func(ctx context.Context, i int) []manifest.Inline {
		r := w.contentsReader()
		return func(ctx context.Context, i int) []manifest.Inline {
			c := r.read(ctx, digest(i), beyond(manifest.ErrTooLarge))
			if c.state != ManifestGood {
				return nil
			}
			return manifest.InlineData(c.body)
		}
	}, each)
}
