// Package rediscache makes a registry forget, in the Redis that it has as a cache of
// blob descriptors, what was removed from its storage.
//
// A registry asks its cache before it looks at its storage, and what stands there has
// no expiry. After a removal it would take a push of what is gone for done, and no
// restart helps. Registries 2.x and 3.x have the same keys:
//
//	blobs::<digest>                      a hash: the descriptor, of a blob in any repository
//	repository::<name>::blobs            a set: the digests that the repository has
//	repository::<name>::blobs::<digest>  a hash: the media type that they have there
//
// Redis may hold other things besides, of this registry and of others. Keys are deleted
// only where they have exactly this form and are about what was removed. To delete too
// much costs the registry a look at its storage, and nothing else.
//
// The address may hold a password: no error and no name holds it.
package rediscache

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Removed is what was removed from a storage.
type Removed struct {
	All   bool            // forget everything: it isn't known what was removed
	Blobs map[string]bool // digests of blobs
	Links map[Link]bool   // of layers and manifests
}

// Link is a digest that a repository has had.
type Link struct{ Repository, Digest string }

// blob reports whether nothing may be known of a blob any more. An alias, a digest of
// another algorithm, is always forgotten: what it stands for isn't in its key.
func (r Removed) blob(digest string) bool {
	return r.All || r.Blobs[digest] || !strings.HasPrefix(digest, "sha256:")
}

func (r Removed) link(repository, digest string) bool {
	return r.blob(digest) || r.Links[Link{repository, digest}]
}

// Cache is the cache of a registry.
type Cache struct {
	client *redis.Client
}

// Parse reads the address of a Redis: redis://[user:password@]host:port/database, or
// rediss:// for TLS. Nothing is asked yet.
func Parse(address string) (*Cache, error) {
	o, err := redis.ParseURL(address)
	if err != nil { // which may repeat the password
		return nil, errors.New("is an address like redis://localhost:6379/0, and this is none")
	}
	o.DisableIdentity = true // a name for the connection is of no use here
	return &Cache{redis.NewClient(o)}, nil
}

// HasPassword reports whether an address holds one. What stands before an @ may be one,
// also where it looks like a user's name.
func HasPassword(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return strings.Contains(address, "@")
	}
	return u.User != nil
}

// String returns the host, port and database of the Redis, as in "localhost:6379/0".
func (c *Cache) String() string {
	o := c.client.Options()
	return o.Addr + "/" + strconv.Itoa(o.DB)
}

// Close ends the connections.
func (c *Cache) Close() error { return c.client.Close() }

// probe is part of keys that no registry has.
const probe = "regfsck-asks-what-it-may"

// Answers returns nil if the Redis answers, is no cluster, of which one server has but
// a part of the keys, and lets its keys be listed and deleted. Nothing is changed.
func (c *Cache) Answers(ctx context.Context) error {
	info, err := c.client.Info(ctx, "cluster").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "cluster_enabled:0") {
		return errors.New("it is, or may be, a part of a Redis Cluster, and one server of a cluster has only some of the keys; leave --redis out, and delete the keys blobs::* and repository::* on every server of it")
	}
	key := "repository::" + probe // a repository's go on with ::blobs
	for _, err := range []error{
		c.client.Scan(ctx, 0, "blobs::*", 1).Err(), c.client.Type(ctx, key).Err(), c.client.SScan(ctx, key, 0, "", 1).Err(),
		c.client.SRem(ctx, key, probe).Err(), c.client.Del(ctx, key, "blobs::"+probe).Err(),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// batch is how many keys are asked for, and deleted, at once.
const batch = 1000

// Forget deletes what the cache knows of what was removed, and returns how many keys
// and members of sets these were. After an error some may be left; to call it again
// does no harm.
func (c *Cache) Forget(ctx context.Context, gone Removed) (deleted int, err error) {
	for _, pattern := range []string{"blobs::*", "repository::*"} {
		for cursor := uint64(0); ; {
			var keys []string
			if keys, cursor, err = c.client.Scan(ctx, cursor, pattern, batch).Result(); err != nil {
				return deleted, err
			}
			n, err := c.forget(ctx, keys, gone)
			deleted += n
			if err != nil {
				return deleted, err
			}
			if cursor == 0 {
				break
			}
		}
	}
	return deleted, nil
}

// forget does so for some keys.
func (c *Cache) forget(ctx context.Context, keys []string, gone Removed) (deleted int, err error) {
	var hashes []string
	for _, key := range keys {
		if digest, ok := strings.CutPrefix(key, "blobs::"); ok {
			if isDigest(digest) && gone.blob(digest) {
				hashes = append(hashes, key)
			}
			continue
		}
		repository, digest, ok := split(key)
		switch {
		case !ok:
		case digest == "":
			n, err := c.forgetMembers(ctx, key, repository, gone)
			deleted += n
			if err != nil {
				return deleted, err
			}
		case gone.link(repository, digest):
			hashes = append(hashes, key)
		}
	}
	if len(hashes) == 0 {
		return deleted, nil
	}
	n, err := c.client.Del(ctx, hashes...).Result()
	return deleted + int(n), err
}

// forgetMembers takes what was removed out of the set of a repository's digests.
func (c *Cache) forgetMembers(ctx context.Context, key, repository string, gone Removed) (deleted int, err error) {
	for cursor := uint64(0); ; {
		var digests []string
		if digests, cursor, err = c.client.SScan(ctx, key, cursor, "", batch).Result(); err != nil {
			if redis.HasErrorPrefix(err, "WRONGTYPE") { // no registry wrote it
				return deleted, nil
			}
			return deleted, err
		}
		var members []any
		for _, digest := range digests {
			if gone.link(repository, digest) {
				members = append(members, digest)
			}
		}
		if len(members) > 0 {
			n, err := c.client.SRem(ctx, key, members...).Result()
			deleted += int(n)
			if err != nil {
				return deleted, err
			}
		}
		if cursor == 0 {
			return deleted, nil
		}
	}
}

// split takes apart a key of a repository. digest is "" for the set of its digests.
func split(key string) (repository, digest string, ok bool) {
	rest, ok := strings.CutPrefix(key, "repository::")
	if !ok {
		return "", "", false
	}
	repository, digest, _ = strings.Cut(rest, "::")
	if digest == "blobs" {
		return repository, "", repository != ""
	}
	digest, ok = strings.CutPrefix(digest, "blobs::")
	return repository, digest, ok && repository != "" && isDigest(digest)
}

var digestForm = regexp.MustCompile(`^[a-z0-9]+:[0-9a-f]{32,}$`)

func isDigest(s string) bool { return digestForm.MatchString(s) }
