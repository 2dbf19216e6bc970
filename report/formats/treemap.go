package formats

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/graph/usage"
	"regfsck/report"
)

// The treemaps of a report: one of the whole store, whose area is all stored bytes, and one
// for each of the largest repositories, whose area is its own bytes.
const (
	mapWidth, mapHeight = 1000.0, 520.0
	mapRepositories     = 80 // with a tile; the others share one
	mapDrilled          = 40 // of these, with a map of their tags
	mapTags             = 60 // with a tile in such a map
)

// treemap is a set of rectangles whose areas are proportional to bytes.
type treemap struct {
	ID, Title, About string
	Tiles            []tile
}

// tile is a rectangle of a treemap.
type tile struct {
	Class      string // own, shared, garbage or rest
	Name, Note string
	Bytes      int64
	Link       string // the id of a map, "" for none
	X, Y, W, H float64
	Label      string // as much of the name as fits
	Amount     string // its size, if that fits
}

// Said describes the tile in words.
func (t tile) Said() string {
	said := t.Name + ": " + words.Size(t.Bytes)
	if t.Note != "" {
		said += ", " + t.Note
	}
	return said
}

// TextX, LabelY and AmountY are positions of a tile's texts.
func (t tile) TextX() float64   { return t.X + 8 }
func (t tile) LabelY() float64  { return t.Y + 20 }
func (t tile) AmountY() float64 { return t.Y + 37 }

// treemapsOf returns the maps of the store and of its largest repositories, none without the
// usage.
func treemapsOf(c *report.Check) []treemap {
	u := c.Usage()
	if u == nil || c.Result.Totals.Bytes == 0 {
		return nil
	}
	all := largestFirst(u)
	_, shared := u.Repositories()
	store := treemap{ID: "map", Title: "What uses the space", About: "The whole area is all blobs of the store. A repository's tile is what only it needs, which would be freed if it were removed; what several repositories refer to has one tile."}
	drilled, used, tail, others := []treemap{}, int64(0), int64(0), 0
	for i := range all {
		r := &all[i]
		used += r.Own
		if r.Own == 0 || i >= mapRepositories {
			tail, others = tail+r.Own, others+1
			continue
		}
		t := tile{Class: "own", Name: words.Clean(r.Name), Bytes: r.Own, Note: "and " + words.Size(r.Shared) + " shared with others; " + words.Plural(r.Tags, "tag", "tags")}
		if i < mapDrilled {
			tags := tagMap(u, r)
			tags.ID = "map-" + digits(i)
			t.Link, drilled = tags.ID, append(drilled, tags)
		}
		store.Tiles = append(store.Tiles, t)
	}
	garbage := c.Result.Counts[finding.BlobOrphan]
	store.add("rest", words.Plural(others, "smaller repository", "smaller repositories"), "see the table of repositories", tail)
	store.add("shared", "shared by several repositories", "each blob once", shared)
	store.add("garbage", "garbage", words.Plural(garbage.Count, "blob", "blobs")+" that nothing needs", garbage.Bytes)
	store.add("rest", "everything else", "in grace, or of repositories that could not be judged", c.Result.Totals.Bytes-used-shared-garbage.Bytes)
	store.lay()
	return append([]treemap{store}, drilled...)
}

// tagMap returns the map of a repository, by own bytes of its tags.
func tagMap(u *usage.Usage, r *usage.RepositoryUsage) treemap {
	m := treemap{Title: words.Clean(r.Name), About: "The whole area is the " + words.Size(r.Own) + " that only this repository needs; it shares " + words.Size(r.Shared) + " more with others. A tag's tile is what would be freed if only it were removed."}
	tags, _ := u.Tags(r.Name)
	slices.SortStableFunc(tags, func(a, b usage.TagUsage) int { return cmp.Compare(b.Own, a.Own) })
	used, tail, others := int64(0), int64(0), 0
	for i := range tags {
		t := &tags[i]
		used += t.Own
		if t.Own == 0 || i >= mapTags {
			tail, others = tail+t.Own, others+1
			continue
		}
		m.add("own", report.TagName(t.Name), "of "+words.Size(t.Size)+" that a pull brings", t.Own)
	}
	m.add("rest", words.Plural(others, "smaller tag", "smaller tags"), "", tail)
	m.add("shared", "shared by its tags, or without a tag", "", r.Own-used)
	m.lay()
	return m
}

// add adds a tile, unless it has no bytes.
func (m *treemap) add(class, name, note string, bytes int64) {
	if bytes > 0 {
		m.Tiles = append(m.Tiles, tile{Class: class, Name: name, Note: note, Bytes: bytes})
	}
}

// lay positions the tiles, largest first: rows along the shorter side of the free area, each
// with the number of tiles that makes them most square (Bruls, Huizing, van Wijk: Squarified
// Treemaps).
func (m *treemap) lay() {
	slices.SortStableFunc(m.Tiles, func(a, b tile) int { return cmp.Compare(b.Bytes, a.Bytes) })
	sum := 0.0
	for i := range m.Tiles {
		sum += float64(m.Tiles[i].Bytes)
	}
	x, y, w, h := 0.0, 0.0, mapWidth, mapHeight
	scale := w * h / sum
	for rest := m.Tiles; len(rest) > 0; {
		side, n := math.Min(w, h), 1
		for n < len(rest) && worstRatio(rest[:n+1], side, scale) <= worstRatio(rest[:n], side, scale) {
			n++
		}
		area := 0.0
		for i := range rest[:n] {
			area += float64(rest[i].Bytes) * scale
		}
		depth, at := area/side, 0.0
		for i := range rest[:n] {
			t := &rest[i]
			length := float64(t.Bytes) * scale / depth
			if w >= h {
				t.X, t.Y, t.W, t.H = x, y+at, depth, length
			} else {
				t.X, t.Y, t.W, t.H = x+at, y, length, depth
			}
			at += length
			t.label()
		}
		if w >= h {
			x, w = x+depth, w-depth
		} else {
			y, h = y+depth, h-depth
		}
		rest = rest[n:]
	}
}

// worstRatio returns the largest ratio of sides of the tiles in a row.
func worstRatio(row []tile, side, scale float64) (worst float64) {
	area := 0.0
	for i := range row {
		area += float64(row[i].Bytes) * scale
	}
	for i := range row {
		a := float64(row[i].Bytes) * scale
		length, depth := a*side/area, area/side
		worst = math.Max(worst, math.Max(length/depth, depth/length))
	}
	return worst
}

// label sets as much text of a tile as fits.
func (t *tile) label() {
	const letter, line = 7.6, 24.0
	room := int((t.W - 14) / letter)
	if room < 4 || t.H < line {
		return
	}
	t.Label = t.Name
	if n := utf8.RuneCountInString(t.Name); n > room {
		t.Label = string([]rune(t.Name)[:room-1]) + "…"
	}
	if amount := words.Size(t.Bytes); t.H >= 2*line && len(amount) <= room {
		t.Amount = amount
	}
}
