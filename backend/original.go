package backend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrAltered: the kept file isn't the one that was removed.
var ErrAltered = errors.New("it was changed since it was removed, and remains where it is kept")

// Original is what is known of a file that was removed or replaced.
type Original struct {
	Size    int64
	Content []byte // its whole content; nil if only the size is known
}

// Check returns ErrAltered, and what differs, if a file of that size isn't the original. It
// calls open only if the size is right and the content known. A nil Original accepts any.
func (o *Original) Check(size int64, open func() (io.ReadCloser, error)) error {
	switch {
	case o == nil:
		return nil
	case size != o.Size:
		return fmt.Errorf("what is kept has %d bytes, and had %d: %w", size, o.Size, ErrAltered)
	case o.Content == nil:
		return nil
	}
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, o.Size+1))
	if err == nil && !bytes.Equal(body, o.Content) {
		err = fmt.Errorf("the kept content is different: %w", ErrAltered)
	}
	return err
}
