package target

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"regfsck/backend/s3"
)

// Bucket are the flags that say how buckets are reached. What they leave zero,
// the registry's configuration says, and then the surroundings: AWS_ENDPOINT_URL_S3
// and its like.
type Bucket struct {
	Endpoint, Region string
	CA               string // a file of certificates to be trusted too
	PathStyle        *bool
	Rate             float64 // requests a second; 0 is no limit
	RequesterPays    bool    // who asks bears the cost
}

// address finds the store of an address s3://bucket/prefix.
func address(store string, o Options) (Target, error) {
	u, err := url.Parse(store)
	switch {
	case err != nil:
		return Target{}, fmt.Errorf("%s: is no address like s3://bucket/prefix", hideUser(store))
	case u.User != nil:
		return Target{}, fmt.Errorf("%s: keys don't belong into an address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile", hideUser(store))
	case u.Host == "":
		return Target{}, fmt.Errorf("%s: names no bucket: an address is like s3://bucket/prefix", store)
	case u.RawQuery != "" || u.Fragment != "":
		return Target{}, fmt.Errorf("%s: nothing may follow the prefix: the flags --s3-endpoint and --s3-region say where the bucket is", hideUser(store))
	}
	return bucket(s3.Options{Bucket: u.Host, Root: outside(u.Path)}, o), nil
}

// outside cuts off the folders that a registry makes below its root.
func outside(path string) string {
	path = "/" + strings.Trim(path, "/")
	for _, part := range []string{"/" + inside, "/docker/registry"} {
		if root, ok := strings.CutSuffix(path, part); ok {
			return strings.Trim(root, "/")
		}
	}
	return strings.Trim(path, "/")
}

// bucket is the store at b, with what the flags say.
func bucket(b s3.Options, o Options) Target {
	b.Root, b.Look = strings.Trim(b.Root, "/"), inside
	if o.Bucket.Endpoint != "" {
		b.Endpoint = o.Bucket.Endpoint
	}
	if o.Bucket.Region != "" {
		b.Region = o.Bucket.Region
	}
	if o.Bucket.PathStyle != nil {
		b.PathStyle = o.Bucket.PathStyle
	}
	b.Rate, b.CA, b.UserAgent, b.RequesterPays = o.Bucket.Rate, o.Bucket.CA, "regfsck", o.Bucket.RequesterPays
	return Target{Bucket: &b, Name: strings.TrimSuffix("s3://"+b.Bucket+"/"+b.Root, "/")}
}

// parameters are what a registry's driver is told, each taken once.
type parameters map[string]any

// text takes a parameter as text; "" where there is none.
func (p parameters) text(name string) string {
	v, ok := p[name]
	delete(p, name)
	if !ok || v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// truth takes a parameter that is true or false, as a word of YAML or as text;
// nil where there is none.
func (p parameters) truth(name string) (*bool, error) {
	s := p.text(name)
	if s == "" {
		return nil, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return nil, fmt.Errorf("%s is true or false, not %q", name, s)
	}
	return &b, nil
}

// large are the parameters that say how a registry writes what is larger than a
// link, and what it tells of itself.
var large = []string{
	"chunksize", "multipartcopychunksize", "multipartcopymaxconcurrency", "multipartcopythresholdsize",
	"loglevel", "useragent",
}

// ofParameters reads the parameters of a registry's S3 driver. What concerns
// access is heeded, or is an error that names it.
func ofParameters(given map[string]any) (b s3.Options, err error) {
	p := parameters(maps.Clone(given))
	b = s3.Options{
		Bucket: p.text("bucket"), Root: p.text("rootdirectory"), Region: p.text("region"), Endpoint: p.text("regionendpoint"),
		AccessKey: p.text("accesskey"), SecretKey: p.text("secretkey"), SessionToken: p.text("sessiontoken"),
	}
	b.KeyID, b.StorageClass = p.text("keyid"), p.text("storageclass")
	if b.ACL = p.text("objectacl"); b.ACL == "private" {
		b.ACL = "" // what any object has that nothing is said of
	}
	for _, name := range large {
		p.text(name)
	}
	yes := map[string]*bool{}
	for _, name := range []string{"forcepathstyle", "secure", "skipverify", "v4auth", "usedualstack", "accelerate", "usefipsendpoint", "encrypt"} {
		if yes[name], err = p.truth(name); err != nil {
			return b, err
		}
	}
	is := func(name string, otherwise bool) bool {
		if yes[name] == nil {
			return otherwise
		}
		return *yes[name]
	}
	b.PathStyle, b.Insecure, b.SkipVerify = yes["forcepathstyle"], !is("secure", true), is("skipverify", false)
	b.Encrypt = is("encrypt", false)
	b.DualStack, b.Accelerate, b.FIPS = is("usedualstack", false), is("accelerate", false), is("usefipsendpoint", false)
	switch {
	case b.Bucket == "":
		return b, errors.New("no bucket is named")
	case (b.AccessKey == "") != (b.SecretKey == ""):
		return b, errors.New("accesskey and secretkey are given together, or neither is")
	case !is("v4auth", true):
		return b, errors.New("v4auth: false asks for signatures of version 2, which regfsck doesn't make")
	case len(p) > 0:
		return b, fmt.Errorf("the parameter %s is not one that regfsck knows", slices.Sorted(maps.Keys(p))[0])
	}
	return b, nil
}
