package apply

import (
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// Of a repository that goes, all goes that is the registry's own, also beside what
// isn't; that stays, with the directories on the way to it, and is named.
func TestARepositoryGoesAroundWhatIsForeign(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Image("kept", "v1", fixtures.Image{})
	top := layout.RepositoryKey("a")
	upload := b.Upload("a", 30)
	foreign := []string{
		top + "/_manifests/tags/@eaDir/v1", top + "/_uploads/@eaDir/x", upload + "/@eaDir/data", upload + "/_x/y",
	}
	for _, key := range foreign {
		b.Put(key, []byte("somebody's"))
	}
	b.Mkdir(upload + "/.snapshot")
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	p, _ := remove(t, m, state, "a")
	is := dump(m)
	stay(t, was, is, append(foreign, upload+"/.snapshot/")...)
	for key := range is {
		if own := strings.HasPrefix(key, top) && !strings.HasSuffix(key, "/"); own && !strings.Contains(strings.Join(foreign, " "), key) {
			t.Errorf("%s is left", key)
		}
	}
	named := false
	for _, s := range p.Steps {
		named = named || strings.Contains(s.Reason, foreign[0]+" stays")
	}
	if !named {
		t.Errorf("no step says what stays: %+v", p.Steps)
	}
	if !pulls(is)["kept:v1"] {
		t.Error("kept:v1 can't be pulled any more")
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}
