package apply

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"strconv"
)

// seal is what makes a damaged or missing line of a journal known: each ends in
// its number and its checksum, and the first one after a sync says up to which
// number all were on the disk by then. Lines of earlier versions have none.
type seal struct {
	last   int64 // the number of the last line
	synced int64 // the last line that is known to be on the disk
	told   int64 // synced, as the lines say
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	numberField   = `,"n":`
	syncedField   = `,"synced":`
	checksumField = `,"crc":`
)

// append appends a record as the next line.
func (s *seal) append(b []byte, r *record) ([]byte, error) {
	from := len(b)
	b, err := r.append(b)
	if err != nil {
		return b[:from], err
	}
	s.last++
	b = strconv.AppendInt(append(b[:len(b)-1], numberField...), s.last, 10)
	if s.told < s.synced {
		b = strconv.AppendInt(append(b, syncedField...), s.synced, 10)
		s.told = s.synced
	}
	sum := crc32.Checksum(b[from:], castagnoli)
	b = strconv.AppendUint(append(b, checksumField...), uint64(sum), 10)
	return append(b, '}', '\n'), nil
}

// sealed is a line of a journal, with its seal.
type sealed struct {
	record
	Number int64 `json:"n"` // 0 where it has none
	Synced int64 `json:"synced"`
}

// read reads a line; ok is false for one that isn't what was written.
func (s *sealed) read(line []byte) (ok bool) {
	*s = sealed{}
	at := bytes.LastIndex(line, []byte(checksumField))
	if at >= 0 {
		digits, whole := bytes.CutSuffix(line[at+len(checksumField):], []byte("}"))
		sum, err := strconv.ParseUint(string(digits), 10, 32)
		if !whole || err != nil || uint32(sum) != crc32.Checksum(line[:at], castagnoli) {
			return false
		}
	}
	return json.Unmarshal(line, s) == nil && (s.Number > 0) == (at >= 0)
}
