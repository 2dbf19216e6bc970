package inuse

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"regfsck/walker/layout"
)

// The bounds of a list.
const (
	maxList   = 64 << 20 // bytes
	maxImages = 1 << 20
)

// ErrEmpty tells that a list names no image at all.
var ErrEmpty = errors.New("it names no image")

// ReadList reads a list of at most 64 MiB and a million images. Its form doesn't
// matter: whatever may be an image counts, wherever it stands, so that a name a line,
// lines of manifests and of compose files, tables of docker ps and what kubectl prints
// are all understood; lines that begin with # are left out. Each image is there once.
// The error is ErrEmpty, or says what else is in the way.
func ReadList(r io.Reader) ([]Image, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxList+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxList:
		return nil, fmt.Errorf("it is larger than %d MiB", maxList>>20)
	}
	l := list{seen: map[string]bool{}}
	for line := range strings.SplitSeq(string(body), "\n") {
		if l.line(line); len(l.images) > maxImages {
			return nil, fmt.Errorf("it names more than %d images", maxImages)
		}
	}
	if l.take(l.open); !l.certain {
		return nil, ErrEmpty
	}
	return l.images, nil
}

// list is a list that is being read.
type list struct {
	images  []Image
	seen    map[string]bool
	certain bool // one of them is

	open     *Image // without a tag: a later word may still be that
	adjacent bool   // the word before was this image, or a key named tag
}

// line takes in the images of a line.
func (l *list) line(line string) {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return
	}
	l.adjacent = false
	line = strings.ReplaceAll(line, `":`, ": ") // a field of JSON, as YAML writes it
	for _, word := range strings.FieldsFunc(line, separates) {
		key := strings.HasSuffix(word, ":")
		if word = strings.Trim(word, ".:/"); word == "" || len(word) > maxWord {
			continue
		}
		if word == "tag" {
			l.adjacent = true
			continue
		}
		if l.adjacent && !key && l.open != nil && layout.ValidTag(word) {
			l.open.Also = word
		}
		l.adjacent = false
		image, ok := parse(word)
		untagged := image.Tag == latest && !strings.HasSuffix(word, ":"+latest)
		switch {
		case !ok, key && untagged: // the name of a field is no image, but where it has a tag
		case untagged:
			l.take(l.open)
			l.open, l.adjacent = &image, true
		default:
			l.take(&image)
		}
	}
}

// take adds an image that isn't there yet.
func (l *list) take(i *Image) {
	if i == nil || l.seen[i.Text+" "+i.Also] {
		return
	}
	l.seen[i.Text+" "+i.Also] = true
	l.images = append(l.images, *i)
	l.certain = l.certain || i.Certain
}

// separates reports whether no image holds the character.
func separates(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("._-:/@+", r)
}
