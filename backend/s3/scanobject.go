package s3

// contents reads one object.
func (s *scanner) contents() bool {
	o := object{size: -1}
	dated := false
	for {
		s.space()
		name, k := s.tag()
		ok := true
		switch {
		case k == closing:
			s.p.objects = append(s.p.objects, o)
			return string(name) == "Contents" && len(o.key) > 0 && o.size >= 0 && dated
		case k == empty && !known(name):
		case k != opening:
			return false
		case string(name) == "Key":
			o.key, ok = s.value("Key")
		case string(name) == "LastModified":
			var v []byte
			if v, ok = s.value("LastModified"); ok {
				o.modified, ok = moment(v)
			}
			dated = true
		case string(name) == "ETag":
			o.etag, ok = s.etag()
		case string(name) == "Size":
			var v []byte
			if v, ok = s.value("Size"); ok {
				o.size, ok = number(v)
			}
		case string(name) == "StorageClass":
			var v []byte
			v, ok = s.value("StorageClass")
			o.archived = archived(string(v))
		default:
			ok = !known(name) && s.skip(name)
		}
		if !ok {
			return false
		}
	}
}

func (s *scanner) commonPrefixes() bool {
	for found := false; ; {
		s.space()
		name, k := s.tag()
		switch {
		case k == closing:
			return string(name) == "CommonPrefixes" && found
		case k != opening || string(name) != "Prefix" || found:
			return false
		}
		found = true
		v, ok := s.value("Prefix")
		if !ok {
			return false
		}
		s.p.prefixes = append(s.p.prefixes, string(v))
	}
}
