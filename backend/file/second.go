//go:build unix

package file

// second is a second name of a file, in the folder where it is kept.
type second struct {
	name    string
	of, in  dir
	made    bool
	renamed bool // and the first is gone: the filesystem has no hard links
}

// same reports whether both names are of one file.
func (s *second) same() (bool, error) {
	a, err := s.of.look(s.name)
	if err != nil {
		return false, err
	}
	b, err := s.in.look(s.name)
	return a.Ino == b.Ino && a.Dev == b.Dev, err
}

// undo takes the second name back.
func (s *second) undo(move renaming) error {
	switch {
	case !s.made:
		return nil
	case s.renamed:
		return move(s.in, s.name, s.of, s.name)
	}
	return s.in.remove(s.name)
}

func (s *second) close() { s.in.close() }
