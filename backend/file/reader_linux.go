//go:build amd64 || arm64

package file

import (
	"io"
	"io/fs"
	"sync/atomic"
)

// reader is an open file. It does without the runtime's poller, which costs
// four system calls a file and can't wait for regular files anyway.
type reader struct {
	fd    int // -1 once closed
	key   string
	done  int64 // bytes read
	bytes *atomic.Int64
}

// Read is io.Reader's.
func (r *reader) Read(p []byte) (int, error) {
	if r.fd < 0 {
		return 0, &fs.PathError{Op: "read", Path: r.key, Err: fs.ErrClosed}
	}
	if len(p) == 0 {
		return 0, nil
	}
	var k kernel
	n, errno := k.read(r.fd, p[:min(len(p), 1<<30)])
	if errno != 0 {
		return 0, &fs.PathError{Op: "read", Path: r.key, Err: errno}
	}
	if n == 0 {
		return 0, io.EOF
	}
	r.done += int64(n)
	return n, nil
}

// Close is io.Closer's. Only here the bytes are counted.
func (r *reader) Close() error {
	if r.fd < 0 {
		return &fs.PathError{Op: "close", Path: r.key, Err: fs.ErrClosed}
	}
	var k kernel
	k.close(r.fd)
	r.fd = -1
	r.bytes.Add(r.done)
	return nil
}
