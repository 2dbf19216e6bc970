package manifest

import "encoding/json"

// What the registries decode a manifest into: 2.8 and 3.1 alike, but for what is
// said. They decode the bytes that are stored, whatever was said when those were
// pushed. The types of fields that nothing here needs count too: where one is
// wrong, the registry takes no manifest.
type (
	versioned struct {
		SchemaVersion int
		MediaType     string
	}
	registryDescriptor struct {
		MediaType   string
		Size        *int64
		Digest      string
		URLs        []string
		Annotations map[string]string
		Platform    *registryPlatform
	}
	registryPlatform struct {
		Architecture string
		OS           string
		OSVersion    string   `json:"os.version"`
		OSFeatures   []string `json:"os.features"`
		Variant      string
	}
	registryImage struct {
		versioned
		Config registryDescriptor
		Layers []registryDescriptor
	}
	registryOCIImage struct {
		registryImage
		Annotations map[string]string
	}
	// registryList is a manifest list of both, and the index of 2.8.
	registryList struct {
		versioned
		Manifests []struct {
			registryDescriptor
			Platform struct {
				registryPlatform
				Features []string
			}
		}
	}
	// registryIndex is the index of 3.1.
	registryIndex struct {
		versioned
		Manifests []struct {
			registryDescriptor
			Data         []byte
			ArtifactType string
		}
		Annotations map[string]string
	}
	// registrySchema1 is only 2.8's.
	registrySchema1 struct {
		versioned
		Name, Tag, Architecture string
		FSLayers                []struct{ BlobSum string }
		History                 []struct{ V1Compatibility string }
	}
)

// registryReads returns the form in which a registry reads a body, of either
// version, 0 where neither does, and what it finds referred to in it.
func registryReads(body []byte) (Kind, []Ref) {
	var v versioned
	if json.Unmarshal(body, &v) != nil {
		return 0, nil
	}
	switch kind := kindOf(v.MediaType); {
	case v.SchemaVersion == 1:
		return readSchema1(body)
	case v.SchemaVersion != 2:
	case v.MediaType == typeDockerList || v.MediaType == typeIndex:
		refs, _, ok := readIndex(body, v.MediaType)
		if ok {
			return Index, refs
		}
	case v.MediaType == "":
		refs, filled, ok := readIndex(body, typeIndex)
		switch {
		case filled:
			return Index, refs
		case ok:
			return readImage(body, v.MediaType)
		}
	case kind == Image:
		return readImage(body, v.MediaType)
	}
	return 0, nil
}

// readIndex reads an index; filled says that it has a list of manifests, which may
// be empty.
func readIndex(body []byte, mediaType string) (refs []Ref, filled, ok bool) {
	var list registryList
	if json.Unmarshal(body, &list) == nil {
		for i := range list.Manifests {
			refs, _ = list.Manifests[i].appendTo(refs, inManifests)
		}
		return refs, list.Manifests != nil, true
	}
	var index registryIndex
	if mediaType == typeDockerList || json.Unmarshal(body, &index) != nil {
		return nil, false, false
	}
	for i := range index.Manifests {
		refs, _ = index.Manifests[i].appendTo(refs, inManifests)
	}
	return refs, index.Manifests != nil, true
}

// readImage reads an image. One with something else in place of a digest that it
// needs is none: no registry takes it.
func readImage(body []byte, mediaType string) (Kind, []Ref) {
	var image registryOCIImage
	var err error
	if mediaType == typeDocker {
		err = json.Unmarshal(body, &image.registryImage)
	} else {
		err = json.Unmarshal(body, &image)
	}
	if err != nil {
		return 0, nil
	}
	var refs []Ref
	valid := true
	if image.Config.Digest != "" {
		refs, valid = image.Config.appendTo(refs, inConfig)
	}
	for i := range image.Layers {
		var is bool
		refs, is = image.Layers[i].appendTo(refs, inLayers)
		valid = valid && is
	}
	if !valid {
		return 0, nil
	}
	if claims(body, mediaType) {
		for i := range refs {
			if refs[i].Role != MayBeAbsent {
				refs[i].Role = Claimed
			}
		}
	}
	return Image, refs
}

func readSchema1(body []byte) (Kind, []Ref) {
	var m registrySchema1
	if json.Unmarshal(body, &m) != nil {
		return 0, nil
	}
	var refs []Ref
	for _, l := range m.FSLayers {
		ref, ok := refTo(l.BlobSum)
		if !ok {
			return 0, nil
		}
		ref.Role, ref.Read, ref.Size = Layer, true, -1
		refs = append(refs, ref)
	}
	return Schema1, refs
}

// appendTo appends what a descriptor in that place refers to. It is false where the
// descriptor needs a digest and has none.
func (d *registryDescriptor) appendTo(refs []Ref, at place) ([]Ref, bool) {
	role := roleOf(at, []byte(d.MediaType), len(d.URLs) > 0)
	ref, ok := refTo(d.Digest)
	if !ok {
		return refs, role == MayBeAbsent
	}
	ref.Role, ref.Read, ref.Size = role, true, -1
	if d.Size != nil && *d.Size >= 0 {
		ref.Size = *d.Size
	}
	return append(refs, ref), true
}

// claims reports whether a registry may have taken an image as something else, so
// that it looked for none of its blobs: as an index, which must not have a config or
// layers, the last of each if there are several, and which an image must not be
// either; or, 2.8, as what schema 1 signs, whatever that is.
func claims(body []byte, mediaType string) bool {
	var doc struct{ Config, Layers, Manifests, Name any }
	if json.Unmarshal(body, &doc) != nil || doc.Name != nil {
		return true
	}
	switch mediaType {
	case "":
		return doc.Manifests != nil || doc.Config == nil && doc.Layers == nil
	case typeImage:
		return doc.Manifests != nil
	}
	return false
}
