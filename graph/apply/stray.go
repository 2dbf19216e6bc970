package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// strays are what the run keeps and its journal doesn't know: it was damaged, or
// somebody else has put them there. A store that can't list what it keeps has none.
func (p *past) strays(ctx context.Context, s backend.Store) ([]backend.Quarantined, error) {
	all, _, err := p.compared(ctx, s)
	return all, err
}

// compared compares what the run keeps with its journal: strays are in the first
// alone, and missing are keys that the store said it kept, and that nobody has put
// back or given up since.
func (p *past) compared(ctx context.Context, s backend.Store) (strays []backend.Quarantined, missing []string, err error) {
	q, ok := s.(backend.Quarantiner)
	if !ok {
		return nil, nil, nil
	}
	kept, err := q.Quarantined(ctx, p.run())
	if err != nil {
		return nil, nil, fmt.Errorf("what the run keeps can't be looked at: %w", err)
	}
	return p.strayKeys(kept), p.missingKeys(kept), nil
}

// missingKeys are the keys of files that the run keeps by its journal alone.
func (p *past) missingKeys(kept []backend.Quarantined) (keys []string) {
	if p.undo || p.purging {
		return nil
	}
	there := make(map[string]bool, len(kept))
	for _, k := range kept {
		there[k.Key] = true
	}
	for i := range p.intents {
		key := p.intents[i].Key
		if r := p.receipts[p.intents[i].target()]; r.Undo != "" && r.Err == "" && !strings.HasSuffix(key, "/") && !there[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// strayKeys is what the journal doesn't know of what is kept.
func (p *past) strayKeys(kept []backend.Quarantined) (all []backend.Quarantined) {
	var dirs map[string]bool // on the way to what the journal knows
	for _, k := range kept {
		if strings.HasSuffix(k.Key, "/") && dirs == nil {
			dirs = p.dirsTaken()
		}
		if k.Key == "" || !p.meant(plan.Remove, k.Key) && !p.meant(plan.Write, k.Key) && !dirs[k.Key] {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b backend.Quarantined) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// dirsTaken are the directories in which the run took something away, each with a
// slash.
func (p *past) dirsTaken() map[string]bool {
	all := map[string]bool{}
	for i := range p.intents {
		all[path.Dir(strings.TrimSuffix(p.intents[i].Key, "/"))+"/"] = true
	}
	return all
}

// restoreStrays puts back what only the quarantine knows, where its name proves
// where it belongs, and names all else.
func (u *undoer) restoreStrays() error {
	ctx := context.WithoutCancel(u.ctx)
	all, err := u.strays(ctx, u.store)
	if err != nil {
		return err
	}
	for _, k := range all {
		if u.stopped() {
			return u.journal.ours()
		}
		switch err := u.restoreStray(ctx, k); {
		case err == nil:
			u.out.Strays = append(u.out.Strays, k.Key)
		case errors.Is(err, fs.ErrExist):
			u.recordStray(k, "its journal doesn't know it, and something else stands there now; it is kept as "+k.Path)
		default:
			u.recordStray(k, "its journal doesn't know it: "+cause(err).Error()+"; it is kept as "+k.Path)
		}
	}
	return nil
}

func (u *undoer) recordStray(k backend.Quarantined, why string) {
	step := plan.Step{Op: plan.Remove, Key: k.Key}
	if step.Key == "" {
		step.Key = k.Path
	}
	u.out.addNotDone(NotDone{Step: step, Reason: why, Failed: true})
}

var (
	errUnknownPlace = errors.New("its name doesn't tell where it belongs")
	errNoBlob       = errors.New("its bytes don't hash to the digest that its name tells")
)

// restoreStray puts back one thing, of a blob only the right bytes.
func (u *undoer) restoreStray(ctx context.Context, k backend.Quarantined) error {
	key, err := layout.Parse(k.Key)
	if strings.HasSuffix(k.Key, "/") {
		err = nil
	}
	if k.Key == "" || err != nil {
		return errUnknownPlace
	}
	if d, ok := layout.ParseAnyDigest(key.Algorithm + ":" + key.Hex); ok && key.Kind == layout.Blob && d.Provable() {
		if err := u.checkHash(ctx, k.Key, d); err != nil {
			return err
		}
	}
	return u.store.Restore(ctx, u.run, []backend.Receipt{{Key: k.Key}})[0]
}

// checkHash returns why what is kept isn't the blob of that digest.
func (u *undoer) checkHash(ctx context.Context, key string, d layout.AnyDigest) error {
	q, ok := u.store.(backend.Quarantiner)
	if !ok {
		return errNoBlob
	}
	f, err := q.OpenQuarantined(ctx, u.run, key)
	if err != nil {
		return err
	}
	defer f.Close()
	h := d.Hash()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if !d.IsSum(h) {
		return errNoBlob
	}
	return nil
}
