package cache

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// load takes in a pack. One that can't be understood is removed; one that can't be
// opened is left alone.
func (c *Cache) load(name string) {
	index, err := readIndex(c.path(name + indexEnding))
	if err != nil && !errors.Is(err, errIndex) {
		return
	}
	file, again := os.Open(c.path(name + packEnding))
	if again != nil {
		return
	}
	p := &pack{name: name, file: file}
	info, again := file.Stat()
	if err != nil || again != nil {
		c.remove(p)
		return
	}
	p.size = info.Size()
	at := uint32(len(c.packs))
	c.packs = append(c.packs, p)
	err = decode(index, func(e entry) {
		_, known := c.at[e.digest]
		if known || e.size == 0 || e.size > MaxSize {
			p.changed = true
			return
		}
		if e.used > c.now { // a clock was wrong
			e.used = 0
		}
		e.pack = at
		c.know(e)
	})
	if err != nil {
		c.remove(p)
		c.packs = c.packs[:at]
	}
}

// readIndex reads an index, unless it is larger than any could be.
func readIndex(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err == nil && len(b) > maxIndex {
		err = fmt.Errorf("%w: it is too large", errIndex)
	}
	return b, err
}

// left is how old a file is that no run can still be about to need.
const left = 24 * time.Hour

// names returns the names of all packs that have an index, in their order, and
// removes what runs that were broken off have left behind.
func (c *Cache) names(now time.Time) (names []string, err error) {
	all, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, f := range all {
		if f.Type().IsRegular() {
			has[f.Name()] = true
		}
	}
	for _, f := range all {
		name, isPack := strings.CutSuffix(f.Name(), packEnding)
		without, isIndex := strings.CutSuffix(f.Name(), indexEnding)
		switch {
		case !has[f.Name()]:
		case isPack && has[name+indexEnding]:
			names = append(names, name)
		case isPack, isIndex && !has[without+packEnding], strings.HasSuffix(f.Name(), tempEnding):
			if info, err := f.Info(); err == nil && now.Sub(info.ModTime()) > left {
				os.Remove(c.path(f.Name()))
			}
		}
	}
	return names, nil
}
