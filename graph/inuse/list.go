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

// Limits of a list.
const (
	maxList   = 64 << 20 // bytes
	maxImages = 1 << 20
)

// ErrEmpty is the error of a list without any image.
var ErrEmpty = errors.New("it names no image")

var errNUL = errors.New("it holds a NUL byte, as text in UTF-16 does: write it in UTF-8")

// variable matches a variable in place of an image: in the value of a field named image or
// after FROM, or as the tag or digest of an image with a host or at the beginning of a line.
var variable = regexp.MustCompile(`(?:` +
	`(?:^|[\s"'{,])image["']?\s*[:=]\s*["']?([\w./:@-]*` + unknown + `)|` +
	`^\s*FROM\s+([\w./:@-]*` + unknown + `)|` +
	`(?:^|[\s"'\[(,])((?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+:[0-9]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/[a-z0-9._-]+)+[:@]` + unknown + `)|` +
	`^\s*(?:-\s+)?["']?([a-z0-9][a-z0-9._-]*(?:/[a-z0-9._-]+)+[:@]` + unknown + `)|` +
	`^\s*([a-z0-9][a-z0-9._-]*[:@]` + unknown + `)\s*$)`)

// imagesTable matches the header of a table with the tag after each image, as docker images
// prints it. Tables of containers have no such column.
var imagesTable = regexp.MustCompile(`^\s*(?:REPOSITORY|IMAGE)\s+TAG\b`)

// tableHead matches the header of any table.
var tableHead = regexp.MustCompile(`^\s*[A-Z]+(?:\s+[A-Z/()]+)+\s*$`)

// none replaces the "<none>" that docker prints for a missing tag by noTag, a word that is
// neither a tag nor an image.
var none = strings.NewReplacer(":<none>", noTag, "<none>", noTag)

const noTag = " + "

// tagKey matches the key of a field with a tag: in a chart's values, or Kustomize's newTag.
// Flags of container commands don't match.
var tagKey = regexp.MustCompile(`^(?:[A-Za-z_][A-Za-z_-]*[_-])?tag$|^[a-z]+Tag$`)

// unknown matches variables of shells, compose files and templates.
const unknown = `(?:\$|\{\{[ -|~]*)(?:\{\{[ -|~]*|[\w./:@$(){}?-])*`

// words matches words that may be images; a host may be an IPv6 address in brackets.
var words = regexp.MustCompile(`(?:\[[0-9A-Fa-f:.]+\](?::[0-9]+)?/)?[A-Za-z0-9._:/@+-]+`)

// ReadList reads a list of at most 64 MiB and a million images. Any form is accepted: every
// word that may be an image counts, so names on lines, manifests, compose files, tables of
// docker ps and output of kubectl can be read. Lines that begin with # are ignored. Each
// image is returned once. The error is ErrEmpty, or describes another obstacle, such as a
// variable in place of an image.
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

// list is the state of reading a list.
type list struct {
	images  []Image
	seen    map[string]bool
	certain bool // one of the images is certain
	table   bool // each image's tag is in the next column

	open     *Image // the last image without a tag: a later word may be its tag
	keyed    *Image // the same, for an image that is a key
	adjacent bool   // the previous word was open
	valued   bool   // the previous word was a key of a tag
	beneath  bool   // the previous word was keyed

	early     string // the last tag under such a key, for an image after it
	earlyLine int
	lines     int
}

// nearby is the most lines between a tag and its image.
const nearby = 5

// line adds the images of a line. It is an error if the line has a variable in place of an
// image.
func (l *list) line(line string) error {
	l.lines++
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil
	}
	l.adjacent, l.valued, l.beneath = false, false, false
	l.table = imagesTable.MatchString(line) || l.table && !tableHead.MatchString(line)
	line = none.Replace(strings.ReplaceAll(line, `\/`, "/")) // JSON may escape slashes
	if strings.Contains(line, "$") || strings.Contains(line, "{{") {
		if found := variable.FindStringSubmatch(line); found != nil {
			const shown = 80
			word := strings.Join(found[1:], "")
			return fmt.Errorf("it holds a variable (%s): render it first, or leave that line out", word[:min(len(word), shown)])
		}
	}
	line = strings.ReplaceAll(line, `":`, ": ") // makes a field of JSON look like one of YAML
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
		case key && image.Bare && image.Host != "": // may be a field's name whose value is its tag
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

// tag adds the tag to the images that it may belong to.
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

// take adds an image that the list doesn't have.
func (l *list) take(i *Image) {
	if i == nil || l.seen[i.Text+" "+i.Also] {
		return
	}
	l.seen[i.Text+" "+i.Also] = true
	l.images = append(l.images, *i)
	l.certain = l.certain || i.Certain
}
