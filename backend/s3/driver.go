package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/walker/layout"
)

// traits are common to all buckets.
var traits = backend.Traits{
	Noun: "bucket", KeptAs: "noncurrent versions in the bucket", NamedBy: "the endpoint and the bucket as they are written",
	RequestsCost: true, TimesFixed: true, ListsRemoved: true, Leased: true,
	Parallel: 64, // requests take long, and waiting costs little
}

// Driver returns the driver of S3 buckets.
func Driver() backend.Driver {
	return backend.Driver{
		Scheme: "s3", Form: "s3://bucket/prefix", ConfigNames: []string{"s3", "s3aws", "s3_v2"}, Traits: traits,
		Options: []backend.Option{
			{Name: "s3-endpoint", Usage: "ask the S3 server at `URL` instead of AWS"},
			{Name: "s3-region", Usage: "the bucket's `REGION`"},
			{Name: "s3-path-style", Usage: "name the bucket in the path, not in the host", Default: "wherever there is an endpoint", Switch: true},
			{Name: "s3-ca", Usage: "trust the certificates in `FILE` (PEM) too, as AWS_CA_BUNDLE names them"},
			{Name: "s3-requester-pays", Usage: "pay for requests to a requester-pays bucket of another account", Switch: true},
			{Name: "s3-rate", Usage: "send `N` requests a second at most", Default: "no limit", Check: func(value string) error {
				_, err := rate(value)
				return err
			}},
		},
		Parse:      parse,
		FromConfig: configured,
	}
}

// rate parses a number of requests per second; "" is 0.
func rate(value string) (n float64, err error) {
	if value == "" {
		return 0, nil
	}
	n, err = strconv.ParseFloat(value, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 1) {
		return 0, fmt.Errorf("is a number of requests a second, not %q", value)
	}
	return n, nil
}

// parse returns the store at an address s3://bucket/prefix.
func parse(store string, v backend.Values) (backend.Location, error) {
	bucket, root, err := split(store)
	if err != nil {
		return nil, err
	}
	return locate(Options{Bucket: bucket, Root: root}, v)
}

// split splits an address s3://bucket/prefix.
func split(store string) (bucket, root string, err error) {
	u, err := url.Parse(store)
	switch {
	case err != nil || u.Scheme != "s3":
		return "", "", fmt.Errorf("%s: is no address like s3://bucket/prefix", backend.HideUser(store))
	case u.User != nil:
		return "", "", fmt.Errorf("%s: keys don't belong into an address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile", backend.HideUser(store))
	case u.Host == "":
		return "", "", fmt.Errorf("%s: names no bucket: an address is like s3://bucket/prefix", store)
	case u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("%s: nothing may follow the prefix; pass the address of the bucket with --s3-endpoint and --s3-region", backend.HideUser(store))
	}
	return u.Host, outside(u.Path), nil
}

// configured returns the store of a registry's configuration.
func configured(c backend.Config, v backend.Values) (backend.Location, error) {
	o, err := ofParameters(c.Parameters)
	if err != nil {
		return nil, fmt.Errorf("%s: storage driver %s: %w", c.Where, c.Name, err)
	}
	return locate(o, v)
}

// outside removes from a path the directories that a registry creates below its root.
func outside(path string) string {
	path = "/" + strings.Trim(path, "/")
	for _, part := range []string{"/" + layout.Root, "/docker/registry"} {
		if root, ok := strings.CutSuffix(path, part); ok {
			return strings.Trim(root, "/")
		}
	}
	return strings.Trim(path, "/")
}

// locate returns the store of the options. The operator's settings take precedence, then those
// of the registry's configuration, then the environment, such as AWS_ENDPOINT_URL_S3.
func locate(o Options, v backend.Values) (*location, error) {
	o.Root, o.TestDir = strings.Trim(o.Root, "/"), layout.Root
	o.Endpoint, o.Region = cmp.Or(v.Option("s3-endpoint"), o.Endpoint), cmp.Or(v.Option("s3-region"), o.Region)
	if yes := true; v.Option("s3-path-style") != "" {
		o.PathStyle = &yes
	}
	o.CA, o.RequesterPays, o.UserAgent = v.Option("s3-ca"), v.Option("s3-requester-pays") != "", "regfsck"
	var err error
	if o.Rate, err = rate(v.Option("s3-rate")); err != nil {
		return nil, fmt.Errorf("--s3-rate %w", err)
	}
	return &location{o, v.Getenv}, nil
}

// location is a store in a bucket.
type location struct {
	options Options
	getenv  func(string) string
}

// String implements backend.Location.
func (l *location) String() string {
	return strings.TrimSuffix("s3://"+l.options.Bucket+"/"+l.options.Root, "/")
}

// Identity implements backend.Location. It contains the endpoint, since another server may
// have a bucket of the same name.
func (l *location) Identity() string {
	at := cmp.Or(l.options.Endpoint, l.getenv("AWS_ENDPOINT_URL_S3"), l.getenv("AWS_ENDPOINT_URL"))
	if at == "" {
		return l.String()
	}
	return l.String() + backend.AtServer + at
}

// Traits implements backend.Location.
func (l *location) Traits() backend.Traits {
	t := traits
	t.Label = l.options.Bucket
	if l.options.Root != "" {
		t.Prefix = l.options.Root + "/"
	}
	return t
}

// Near implements backend.Location.
func (l *location) Near(address string) (backend.Location, error) {
	bucket, root, err := split(address)
	if err != nil {
		return nil, err
	}
	near := *l
	near.options.Bucket, near.options.Root = bucket, root
	return &near, nil
}

// with returns the options for opening the store.
func (l *location) with(a backend.Access) (Options, error) {
	if len(a.Follow) > 0 {
		return Options{}, errors.New("--follow names links and mounts of a filesystem, and a bucket has none")
	}
	o := l.options
	o.Workers, o.Say = a.Workers, a.Say
	return o, nil
}

// Open implements backend.Location.
func (l *location) Open(ctx context.Context, a backend.Access) (backend.OpenedReader, error) {
	o, err := l.with(a)
	if err != nil {
		return nil, err
	}
	r, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if a.Any {
		return r, nil
	}
	if err := l.holds(ctx, r); err != nil {
		return nil, backend.Join(err, r.Close())
	}
	return r, nil
}

// errSome ends a listing that only tests whether there is anything.
var errSome = errors.New("there is something")

// holds returns an error for a bucket, or a prefix, that contains no registry's storage.
func (l *location) holds(ctx context.Context, r *Reader) error {
	none := func(string) backend.Hint { return backend.Hint{} }
	for _, part := range []string{"/repositories", "/blobs"} {
		err := r.List(ctx, layout.Root+part, none, func(backend.Batch) error { return errSome })
		if !errors.Is(err, fs.ErrNotExist) {
			return nil // reading it returns any other error
		}
	}
	return fmt.Errorf("%s holds nothing below %s: is this the bucket, and the path in it that the registry's configuration calls rootdirectory?", l, layout.Root)
}

// OpenStore implements backend.Location.
func (l *location) OpenStore(ctx context.Context, a backend.Access, state string) (backend.OpenedStore, error) {
	o, err := l.with(a)
	if err != nil {
		return nil, err
	}
	s, err := OpenStore(ctx, o)
	if err != nil {
		return nil, err
	}
	s.claim = statedir.Claim{State: state, Store: l.Identity()}
	return s, nil
}

// parameters are those of a registry's driver; each is removed once used.
type parameters map[string]any

// text removes a parameter and returns it as text; "" if not set.
func (p parameters) text(name string) string {
	v, ok := p[name]
	delete(p, name)
	if !ok || v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// truth removes a boolean parameter, in YAML or as text, and returns it; nil if not set.
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

// large are parameters about a registry's large uploads and logs, which have no effect here.
var large = []string{
	"chunksize", "multipartcopychunksize", "multipartcopymaxconcurrency", "multipartcopythresholdsize",
	"loglevel", "useragent",
}

// ofParameters parses the parameters of a registry's S3 driver. A parameter about access is
// applied, or is an error that names it.
func ofParameters(given map[string]any) (b Options, err error) {
	p := parameters(maps.Clone(given))
	b = Options{
		Bucket: p.text("bucket"), Root: p.text("rootdirectory"), Region: p.text("region"), Endpoint: p.text("regionendpoint"),
		AccessKey: p.text("accesskey"), SecretKey: p.text("secretkey"), SessionToken: p.text("sessiontoken"),
	}
	b.KeyID, b.StorageClass = p.text("keyid"), p.text("storageclass")
	if b.ACL = p.text("objectacl"); b.ACL == "private" {
		b.ACL = "" // the default of any object
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
