package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A file is a chain of blocks:
//
//	"rfl1"  number of the block, from 0  length  CRC-32 of these  contents  SHA-256
//
// The numbers are 32 bits, big endian. The SHA-256 is of the one before, of the block's
// head and of its contents. The contents of the first block are the header, as JSON; of
// the others they are records of 80 bytes each.

const (
	magic      = "rfl1"
	headBytes  = 16
	recBytes   = 80
	maxRecords = 4096 // of a block
	maxBytes   = maxRecords * recBytes
)

// header names the store of a ledger.
type header struct {
	Format string `json:"format"`
	Store  string `json:"store"`
}

const format = "regfsck.ledger/1"

// ErrStore is the error for a ledger of another store.
var ErrStore = errors.New("is the ledger of another store")

// ErrFormat is the error for a file that is not a ledger.
var ErrFormat = errors.New("is no ledger")

// sum is a block's SHA-256, which covers the sum of the block before it.
type sum [sha256.Size]byte

// block returns contents as a block, and the block's sum.
func block(before sum, number uint32, contents []byte) ([]byte, sum) {
	b := make([]byte, 0, headBytes+len(contents)+sha256.Size)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, number)
	b = binary.BigEndian.AppendUint32(b, uint32(len(contents)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(b, contents...)
	s := chainSum(before, b)
	return append(b, s[:]...), s
}

func chainSum(before sum, b []byte) sum { return sha256.Sum256(append(before[:], b...)) }

func appendRecord(b []byte, r *Record) []byte {
	b = append(b, r.Digest[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Modified))
	b = append(b, r.Stamp[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Hashed))
	return append(b, byte(r.Verdict), 0, 0, 0, 0, 0, 0, 0)
}

func parseRecord(b []byte) (r Record) {
	copy(r.Digest[:], b)
	r.Size = int64(binary.BigEndian.Uint64(b[32:]))
	r.Modified = int64(binary.BigEndian.Uint64(b[40:]))
	copy(r.Stamp[:], b[48:])
	r.Hashed = int64(binary.BigEndian.Uint64(b[64:]))
	if r.Verdict = Verdict(b[72]); r.Verdict > Wrong {
		r.Verdict = Unknown
	}
	return r
}

// The reasons why a chain of blocks ends before its file does.
var (
	errCut     = errors.New("is cut off")
	errChanged = errors.New("was changed, or is damaged,")
)

// chain reads the blocks of a file.
type chain struct {
	in     io.Reader
	number uint32 // of the next block
	last   sum    // of the one before
	at     int64  // where the next one begins
}

// next returns the contents of the next block: io.EOF after the last, errCut if the file
// ends inside a block, errChanged if the block is damaged. Other errors are those of reading
// the file.
func (c *chain) next() ([]byte, error) {
	head := make([]byte, headBytes)
	if n, err := io.ReadFull(c.in, head); err == io.ErrUnexpectedEOF && string(head[:min(n, len(magic))]) == magic[:min(n, len(magic))] {
		return nil, errCut
	} else if err == io.ErrUnexpectedEOF {
		return nil, c.zeros(head[:n])
	} else if err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[8:])
	if string(head[:4]) != magic || binary.BigEndian.Uint32(head[4:]) != c.number ||
		crc32.ChecksumIEEE(head[:12]) != binary.BigEndian.Uint32(head[12:]) || length > maxBytes {
		return nil, c.zeros(head)
	}
	rest := make([]byte, int(length)+sha256.Size)
	if _, err := io.ReadFull(c.in, rest); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, errCut
	} else if err != nil {
		return nil, err
	}
	contents := rest[:length]
	s := chainSum(c.last, append(head, contents...))
	if !bytes.Equal(s[:], rest[length:]) {
		return nil, errChanged
	}
	c.number, c.last, c.at = c.number+1, s, c.at+headBytes+int64(len(rest))
	return contents, nil
}

// zeros returns errCut if the rest of a file is zeros, else errChanged: after a power
// failure a file may have zeros where a block was to be written.
func (c *chain) zeros(rest []byte) error {
	for {
		if len(bytes.Trim(rest, "\x00")) > 0 {
			return errChanged
		}
		rest = make([]byte, 1<<16)
		n, err := c.in.Read(rest)
		rest = rest[:n]
		switch {
		case err == io.EOF && n == 0 && c.number == 0: // such a file need not be a ledger
			return errChanged
		case err == io.EOF && n == 0:
			return errCut
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
}

// readHeader reads the first block. The error for a ledger of another store is ErrStore;
// for a file that ends within the block, or is empty, it is errCut.
func (c *chain) readHeader(store string) error {
	contents, err := c.next()
	switch {
	case err == io.EOF:
		return errCut
	case err == errChanged:
		return ErrFormat
	case err != nil:
		return err
	}
	var h header
	if json.Unmarshal(contents, &h) != nil || h.Format != format {
		return ErrFormat
	}
	if h.Store != store {
		return fmt.Errorf("%w: %s", ErrStore, h.Store)
	}
	return nil
}

// records calls each with the records of every block up to the end of the chain. The error
// is errCut, errChanged or one of reading the file.
func (c *chain) records(each func([]Record)) error {
	for {
		contents, err := c.next()
		if err == io.EOF {
			return nil
		}
		if err == nil && len(contents)%recBytes != 0 {
			err = errChanged
		}
		if err != nil {
			return err
		}
		all := make([]Record, 0, len(contents)/recBytes)
		for ; len(contents) > 0; contents = contents[recBytes:] {
			all = append(all, parseRecord(contents))
		}
		each(all)
	}
}
