package report

import (
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// strays gathers foreign files by the name under which they leave the layout:
// one file manager or file system can put thousands of them everywhere.
type strays struct {
	names []string // in the order in which they were met
	of    map[string]*stray
}

// stray is what stands under one name.
type stray struct {
	count int
	bytes int64
	first []finding.Finding // of these, up to fewStrays
}

// fewStrays is how many foreign files of one name are listed one by one.
const fewStrays = 3

func (s *strays) add(f finding.Finding) {
	name := layout.Stray(f.Path)
	if f.Detail != "" { // there is more to say of it than where it stands
		name = f.Path
	}
	if s.of == nil {
		s.of = map[string]*stray{}
	}
	all := s.of[name]
	if all == nil {
		all = &stray{}
		s.of[name], s.names = all, append(s.names, name)
	}
	all.count++
	all.bytes += f.Bytes
	if len(all.first) < fewStrays {
		all.first = append(all.first, f)
	}
}

// strays writes foreign files behind the n entries that a list has, and returns
// how many it adds: where there are many under one name, that is one.
func (t *text) strays(s *strays, n int) (more int) {
	for _, name := range s.names {
		all := s.of[name]
		if all.count > fewStrays {
			if t.shown(n + more) {
				t.line(2, t.paint(bold, Clean(name)), "  ", Plural(all.count, "file", "files"), t.paint(dim, sized(all.bytes)))
				t.line(3, Clean(all.first[0].Path), t.paint(dim, "  and others"))
			}
			more++
			continue
		}
		for _, f := range all.first {
			if t.shown(n + more) {
				t.finding(f)
			}
			more++
		}
	}
	*s = strays{}
	return more
}
