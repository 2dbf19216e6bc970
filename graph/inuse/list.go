package inuse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
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

var errNUL = errors.New("it holds a NUL byte, as text in UTF-16 does: write it in UTF-8")

// variable matches what stands for an image that nobody knows before it is rendered: a
// variable in the value of a field named image or behind FROM, as the tag or digest of
// an image with a host, or of one that begins a line.
var variable = regexp.MustCompile(`(?:` +
	`(?:^|[\s"'{,])image["']?\s*[:=]\s*["']?([\w./:@-]*` + unknown + `)|` +
	`^\s*FROM\s+([\w./:@-]*` + unknown + `)|` +
	`(?:^|[\s"'\[(,])((?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+:[0-9]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/[a-z0-9._-]+)+[:@]` + unknown + `)|` +
	`^\s*(?:-\s+)?["']?([a-z0-9][a-z0-9._-]*(?:/[a-z0-9._-]+)+[:@]` + unknown + `)|` +
	`^\s*([a-z0-9][a-z0-9._-]*[:@]` + unknown + `)\s*$)`)

// unknown matches the variables of shells, compose files and templates.
const unknown = `(?:\$|\{\{[ -|~]*)(?:\{\{[ -|~]*|[\w./:@$(){}?-])*`

// words matches what may be images: a host may be an IPv6 address in brackets.
var words = regexp.MustCompile(`(?:\[[0-9A-Fa-f:.]+\](?::[0-9]+)?/)?[A-Za-z0-9._:/@+-]+`)

// ReadList reads a list of at most 64 MiB and a million images. Its form doesn't
// matter: whatever may be an image counts, wherever it stands, so that a name a line,
// lines of manifests and of compose files, tables of docker ps and what kubectl prints
// are all understood; lines that begin with # are left out. Each image is there once.
// The error is ErrEmpty, or says what else is in the way, as a variable in the place of
// an image.
func ReadList(r io.Reader) ([]Image, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxList+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxList:
		return nil, fmt.Errorf("it is larger than %d MiB", maxList>>20)
	case bytes.IndexByte(body, 0) >= 0:
		return nil, errNUL
	}
	l := list{seen: map[string]bool{}}
	for line := range strings.SplitSeq(string(body), "\n") {
		if err := l.line(line); err != nil {
			return nil, err
		}
		if len(l.images) > maxImages {
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

// line takes in the images of a line. The error is about a variable.
func (l *list) line(line string) error {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil
	}
	l.adjacent = false
	line = strings.ReplaceAll(line, `\/`, "/") // as JSON may write it
	if strings.Contains(line, "$") || strings.Contains(line, "{{") {
		if found := variable.FindStringSubmatch(line); found != nil {
			const shown = 80
			word := strings.Join(found[1:], "")
			return fmt.Errorf("it holds a variable (%s): render it first, or leave that line out", word[:min(len(word), shown)])
		}
	}
	line = strings.ReplaceAll(line, `":`, ": ") // a field of JSON, as YAML writes it
	for _, word := range words.FindAllString(line, -1) {
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
		switch {
		case !ok, key && image.Bare: // the name of a field is no image, but where it has a tag
		case image.Bare:
			l.take(l.open)
			l.open, l.adjacent = &image, true
		default:
			l.take(&image)
		}
	}
	return nil
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
