package walker

import (
	"context"
	"errors"
	"io"

	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Config is an image's config that was read. Its State is that of its bytes: a
// good one may all the same say nothing of what is asked.
type Config struct {
	manifest.ImageConfig
	State ManifestState
	Err   error // why it is unparsable or unreadable
}

// Details are what a manifest says of itself.
type Details struct {
	manifest.Description
	State ManifestState
	Err   error // why it is unparsable or unreadable
}

// errConfigTooLarge: nobody writes such a config, so what is named as one may be
// anything, and isn't read to its end.
var errConfigTooLarge = errors.New("the config is larger than 4 MiB")

// Configs reads the n configs whose digests digest(0) … digest(n-1) gives and
// hands them to each as Manifests does, by way of the same cache. A config of more
// bytes than a manifest may have is unparsable.
func (w *Walker) Configs(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, c Config) error) error {
	return serially(ctx, w, n, func() func(ctx context.Context, i int) Config {
		r := w.contentsReader()
		return func(ctx context.Context, i int) Config {
			c := r.read(ctx, digest(i), beyond(errConfigTooLarge))
			config := Config{State: c.state, Err: c.err}
			if c.state != ManifestGood {
				return config
			}
			if config.ImageConfig, config.Err = manifest.ParseConfig(c.body); config.Err != nil {
				config.State = ManifestUnparsable
			}
			return config
		}
	}, each)
}

// Describe reads the n manifests whose digests digest(0) … digest(n-1) gives once
// more, for what Manifests leaves out, and hands it to each as Manifests does.
func (w *Walker) Describe(ctx context.Context, n int, digest func(i int) layout.AnyDigest, each func(i int, d Details) error) error {
	return serially(ctx, w, n, func() func(ctx context.Context, i int) Details {
		r := w.contentsReader()
		return func(ctx context.Context, i int) Details {
			c := r.read(ctx, digest(i), beyond(manifest.ErrTooLarge))
			details := Details{State: c.state, Err: c.err}
			if c.state != ManifestGood {
				return details
			}
			if details.Description, details.Err = manifest.Describe(c.body); details.Err != nil {
				details.State = ManifestUnparsable
			}
			return details
		}
	}, each)
}

// beyond makes of what is too large something unparsable, and reads no more of it.
func beyond(err error) func([]byte, io.Reader) contents {
	return func([]byte, io.Reader) contents { return contents{state: ManifestUnparsable, err: err} }
}
