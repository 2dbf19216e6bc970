package file

import (
	"slices"
	"strings"
	"testing"
)

const mountinfo = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /proc rw - proc proc rw
40 22 8:1 / /srv/registry rw - ext4 /dev/sda1 rw
41 40 8:2 / /srv/registry/docker/registry/v2/blobs rw - ext4 /dev/sda2 rw
42 40 8:2 /x /srv/registry/with\040space/and\134back\011tab rw - ext4 /dev/sda2 rw
43 22 8:3 / /srv/registry2/docker rw - ext4 /dev/sda3 rw
44 40 8:3 / /srv/registry/odd\04 rw - ext4 /dev/sda3 rw

short line
`

func TestMountKeys(t *testing.T) {
	for root, want := range map[string][]string{
		"/srv/registry":     {"docker/registry/v2/blobs", `odd\04`, "with space/and\\back\ttab"},
		"/srv/registry2":    {"docker"},
		"/srv/reg":          nil,
		"/srv/registry/doc": nil,
		"/srv": {"registry", "registry/docker/registry/v2/blobs", `registry/odd\04`,
			"registry/with space/and\\back\ttab", "registry2/docker"},
	} {
		got, err := mountKeys(strings.NewReader(mountinfo), root, "")
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("below %s: %q (%v), want %q", root, got, err, want)
		}
	}
	if got, err := mountKeys(strings.NewReader(mountinfo), "/", ""); len(got) != 6 || err != nil {
		t.Errorf("below /: %q (%v), want 6", got, err)
	}
	if _, err := mountKeys(strings.NewReader(strings.Repeat("x", 2<<20)), "/", ""); err == nil {
		t.Error("a line that doesn't end: no error")
	}
}
