package plan

import (
	"encoding/json"
	"testing"
)

// A step is written as encoding/json would, whatever is in it.
func TestAStepIsWrittenAsJSONIs(t *testing.T) {
	texts := []string{"", "a", "repo/b:v1", `quote " and \ and <&>`, "tab\tline\n", "bytes \xff\xfe", "base64:x", "ünïcode \u2028", "\x7f"}
	for i, text := range texts {
		other := texts[(i+1)%len(texts)]
		for _, s := range []Step{
			{},
			{Op: Remove, Kind: Blob, Key: text, Finding: other, Repository: text, Tag: other, Digest: text, Reason: other},
			{Op: Write, Kind: Rebuilt, Key: other, Content: Text(text), Body: text, Time: -1, Bytes: 1 << 60, Size: -3, Modified: 7},
			{Op: Abort, Kind: Upload, Key: other, Upload: text, Modified: 1},
			{Absent: true, Corrupt: true, Content: Text(other), Time: 1},
		} {
			want, err := json.Marshal(&s)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.appendJSON(nil); string(got) != string(want) {
				t.Errorf("%s\nencoding/json: %s", got, want)
			}
		}
	}
}
