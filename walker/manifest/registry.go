package manifest

import "encoding/json"

// The types into which registries decode a manifest; 2.8 and 3.1 alike unless a comment
// says otherwise. They decode the stored bytes, whatever the media type of the push was.
// Types of fields that nothing here uses count too: if one is wrong, the registry rejects
// the manifest.
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
	// registryList is a manifest list of both versions, and the index of 2.8.
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
	// registrySchema1 is 2.8's only.
	registrySchema1 struct {
		versioned
		Name, Tag, Architecture string
		FSLayers                []struct{ BlobSum string }
		History                 []struct{ V1Compatibility string }
	}
)

// registryReads returns the form in which a registry of either version reads a body, 0 if
// neither does, and the references that it finds.
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

// readIndex reads an index. filled reports whether it has a list of manifests, which may be
// empty.
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

// readImage reads an image. If a digest that it needs is invalid it is none: registries
// reject it.
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
	if unchecked(body, mediaType) {
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

// appendTo appends the reference of a descriptor in that field. It returns false if the
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

// unchecked reports whether a registry may have accepted an image as something else at the
// push, without checking that its blobs exist: as an index, which has no config and no
// layers (of several equal keys the last counts), and which no image is either; or, in 2.8,
// as a signed schema 1 manifest, whatever it contains.
func unchecked(body []byte, mediaType string) bool {
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
