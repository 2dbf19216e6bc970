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

// imagesTable matches the head of a table that has the tag behind each image, as that of
// docker images; in one of containers a word there is none.
var imagesTable = regexp.MustCompile(`^\s*(?:REPOSITORY|IMAGE)\s+TAG\b`)

// tableHead matches the head of any table.
var tableHead = regexp.MustCompile(`^\s*[A-Z]+(?:\s+[A-Z/()]+)+\s*$`)

// none is what docker prints in the place of a tag that an image hasn't got, as one that was
// pulled by its digest. Instead of it stands noTag, which is a word, and neither a tag nor
// an image.
var none = strings.NewReplacer(":<none>", noTag, "<none>", noTag)

const noTag = " + "

// tagKey matches the key of a field that holds a tag: of a chart's values, or newTag of
// Kustomize. A flag of a command that runs in a container is none.
var tagKey = regexp.MustCompile(`^(?:[A-Za-z_][A-Za-z_-]*[_-])?tag$|^[a-z]+Tag$`)

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
	l.take(l.keyed)
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
	table   bool // each image has its tag in the next column

	open     *Image // without a tag: a later word may still be that
	keyed    *Image // the same, of an image that is itself a key
	adjacent bool   // the word before was the open image
	valued   bool   // the word before was a key of a tag
	beneath  bool   // the word before was the keyed image

	early     string // the last tag under such a key, for an image that stands behind it
	earlyLine int
	lines     int
}

// nearby is how many lines an image may stand behind its tag.
const nearby = 5

// line adds the images of a line. The error is about a variable.
func (l *list) line(line string) error {
	l.lines++
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil
	}
	l.adjacent, l.valued, l.beneath = false, false, false
	l.table = imagesTable.MatchString(line) || l.table && !tableHead.MatchString(line)
	line = none.Replace(strings.ReplaceAll(line, `\/`, "/")) // as JSON may write it
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
		if tagKey.MatchString(word) {
			l.valued = true
			continue
		}
		if !key && layout.ValidTag(word) {
			l.tag(word)
		}
		l.adjacent, l.valued, l.beneath = false, false, false
		image, ok := parse(word)
		switch {
		case !ok:
		case key && image.Bare && image.Host != "": // the name of a field, as it may be; what stands behind it may be its tag
			image.Certain, image.Bare = false, false
			l.take(l.keyed)
			l.keyed, l.beneath = &image, true
		case key && image.Bare:
		case image.Bare:
			l.take(l.open)
			if l.early != "" && l.lines-l.earlyLine <= nearby {
				image.Also = l.early
			}
			l.open, l.adjacent = &image, true
		default:
			l.take(&image)
		}
	}
	return nil
}

// tag takes a word as the tag of the images that it may be one of.
func (l *list) tag(word string) {
	if l.valued {
		l.early, l.earlyLine = word, l.lines
	}
	for _, image := range []*Image{l.open, l.keyed} {
		if image == nil || !l.valued && !(image == l.open && l.adjacent) && !(image == l.keyed && l.beneath) {
			continue
		}
		if l.valued || l.table {
			image.Bare = false
		}
		if image.Also != "" {
			before := *image
			l.take(&before)
		}
		image.Also = word
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
