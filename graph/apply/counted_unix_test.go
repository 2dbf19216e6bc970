//go:build unix

package apply

import (
	"context"
	"path/filepath"
	"testing"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/plan"
)

// The list of runs counts and weighs what a run did as the run itself has said; where
// a crash took what it noted, the store tells.
func TestARunIsListedWithWhatItDid(t *testing.T) {
	policy := graph.Policy{Untagged: true}
	stores := oneOfEach()
	stores["messy"] = messy()
	for name, b := range stores {
		t.Run(name, func(t *testing.T) {
			w, _, state := onDisk(t, b, true)
			out := mustFix(t, w, state, policy)
			if out.Run == "" {
				return
			}
			did := out.Total()
			listed := func(want, unsure int, bytes int64, runs []RunInfo, err error) {
				t.Helper()
				if err != nil || len(runs) != 1 || runs[0].Done != want || runs[0].Unconfirmed != unsure || runs[0].Bytes != bytes {
					t.Errorf("%d steps done, %d unsure, %d bytes went; %v, %+v", want, unsure, bytes, err, runs)
				}
			}
			runs, err := Runs(state)
			listed(did.Done, 0, did.Bytes, runs, err)
			forget(t, filepath.Join(state, "runs", out.Run, journalName))
			runs, err = Runs(state)
			listed(0, did.Done, 0, runs, err)
			runs, err = ConfirmedRuns(context.Background(), w, state)
			listed(did.Done, 0, did.Bytes, runs, err)

			p, err := readPast(state, out.Run)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range p.intents { // as if it had been about to take this, and hadn't
				if i.Op == plan.Remove && i.Kind == plan.Blob && i.Step == "" {
					if err := w.Restore(context.Background(), backend.Run{ID: out.Run, Keep: true}, []backend.Receipt{{Key: i.Key}})[0]; err != nil {
						t.Fatal(err)
					}
					runs, err = ConfirmedRuns(context.Background(), w, state)
					listed(did.Done-1, 0, did.Bytes-i.Bytes, runs, err)
					break
				}
			}
		})
	}
}
