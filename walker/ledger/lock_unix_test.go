//go:build unix && !solaris && !aix

package ledger

import (
	"errors"
	"testing"
)

func TestOneWriterAtATime(t *testing.T) {
	path := written(t, 1)
	one, other := &Ledger{}, &Ledger{}
	if err := one.Open(path, store); err != nil {
		t.Fatal(err)
	}
	if err := other.Open(path, store); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	if err := other.Read(path, store); err != nil {
		t.Error(err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Open(path, store); err != nil {
		t.Error(err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}
