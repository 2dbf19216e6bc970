package s3

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// todo is a leaf of a page that has to be read.
type todo struct {
	at, batch     int    // indices of its item and of that one's batch
	read          int    // bytes wanted
	prefix, child string // what its content should consist of; "" where nobody knows

	fault error
}

// fetch reads what is to be read, many at a time. An item that has vanished is
// left out; one that can't be read becomes a fault.
func (g *grouping) fetch(l *listing) error {
	if len(g.todo) == 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(l.ctx)
	var next atomic.Int64
	for range min(len(g.todo), l.workers*fetchesAWorker) {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(g.todo); i = int(next.Add(1)) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				t := &g.todo[i]
				t.fault = g.fetchOne(ctx, l, t)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := l.ctx.Err(); err != nil {
		return err
	}
	g.sort(l)
	return nil
}

// sort takes out what vanished and what is a fault. What lies in an archive is
// there, and known not to be readable.
func (g *grouping) sort(l *listing) {
	for i := range g.todo {
		t := &g.todo[i]
		if t.fault == nil {
			continue
		}
		if errors.Is(t.fault, backend.ErrArchived) {
			g.items[t.at].Archived, g.items[t.at].Body = true, nil
			continue
		}
		g.gone[t.at] = true
		if errors.Is(t.fault, fs.ErrNotExist) {
			continue
		}
		b := &g.batches[t.batch]
		err := t.fault
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		b.faults = append(b.faults, backend.Fault{Key: strings.Clone(join(b.dir, g.items[t.at].Name)), Err: err})
	}
}

// maxLooks is how often a key that is listed and can't be found is looked at.
const maxLooks = 3

// fetchOne reads one leaf and corrects its item by what the answer says. A key
// that can't be found is looked up in the listing again: gone from there too, it
// has vanished.
func (g *grouping) fetchOne(ctx context.Context, l *listing, t *todo) error {
	item := &g.items[t.at]
	key := join(g.batches[t.batch].dir, item.Name)
	for range maxLooks {
		err := g.read(ctx, l, key, item, t)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var p page
		if err := l.Reader.page(ctx, request{prefix: l.root + key, max: 1}, &p); err != nil {
			return err
		}
		if len(p.objects) == 0 || p.objects[0].name() != l.root+key {
			return err
		}
	}
	return backend.ErrListed
}

func (g *grouping) read(ctx context.Context, l *listing, key string, item *backend.Item, t *todo) error {
	n := 0
	if item.Size > int64(t.read) {
		n = t.read
	}
	b, now, err := l.get(ctx, "read", strings.Clone(key), n)
	if err != nil {
		return err
	}
	defer b.Close()
	text, err := io.ReadAll(io.LimitReader(b, int64(t.read)))
	if err != nil {
		return err
	}
	if t.prefix != "" && now.ETag == item.ETag && len(text) == len(t.prefix)+len(t.child) && string(text) == t.prefix+t.child {
		l.proofs.missed()
	}
	item.Archived = false
	item.Body, item.Size, item.Modified, item.ETag = text, now.Size, now.Modified, now.ETag
	return nil
}
