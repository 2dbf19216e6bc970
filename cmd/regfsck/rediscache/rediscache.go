// Package rediscache makes a registry forget, in the Redis that it has as a cache of
// blob descriptors, what it has ever seen in its storage.
//
// A registry asks its cache before it looks at its storage, and what stands there has
// no expiry. After a removal it would take a push of what is gone for done, and no
// restart helps. So it would for a blob that was lost before. Registries 2.x and 3.x have
// the same keys:
//
//	blobs::<digest>                      a hash: the descriptor, of a blob in any repository
//	repository::<name>::blobs            a set: the digests that the repository has
//	repository::<name>::blobs::<digest>  a hash: the media type that they have there
//
// All of them are deleted, and not only those of what a run removed: what was lost before,
// what an earlier run removed and what it didn't get to are forgotten alike. It costs the
// registry one look at its storage for each blob that is asked for. Redis may hold other
// things besides: a key is deleted only where it has exactly this form and type.
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
		c.client.Scan(ctx, 0, "blobs::*", 1).Err(), c.client.Type(ctx, key).Err(), c.client.Del(ctx, key, "blobs::"+probe).Err(),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// batch is how many keys are asked for, and deleted, at once.
const batch = 1000

// Forget deletes all that the cache knows, and returns how many keys these were. After an
// error some may be left; to call it again does no harm.
func (c *Cache) Forget(ctx context.Context) (deleted int, err error) {
	for _, pattern := range []string{"blobs::*", "repository::*"} {
		for cursor := uint64(0); ; {
			var keys []string
			if keys, cursor, err = c.client.Scan(ctx, cursor, pattern, batch).Result(); err != nil {
				return deleted, err
			}
			n, err := c.forget(ctx, keys)
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

// forget deletes those of some keys that a registry wrote.
func (c *Cache) forget(ctx context.Context, keys []string) (deleted int, err error) {
	types, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Type(ctx, key)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	var written []string
	for i, key := range keys {
		if t := typeOf(key); t != "" && types[i].(*redis.StatusCmd).Val() == t {
			written = append(written, key)
		}
	}
	if len(written) == 0 {
		return 0, nil
	}
	n, err := c.client.Del(ctx, written...).Result()
	return int(n), err
}

// typeOf returns the type that a key has if a registry wrote it; "" for another key.
func typeOf(key string) string {
	if digest, ok := strings.CutPrefix(key, "blobs::"); ok {
		if isDigest(digest) {
			return "hash"
		}
		return ""
	}
	rest, ok := strings.CutPrefix(key, "repository::")
	repository, rest, _ := strings.Cut(rest, "::")
	if !ok || repository == "" {
		return ""
	}
	if rest == "blobs" {
		return "set"
	}
	if digest, ok := strings.CutPrefix(rest, "blobs::"); ok && isDigest(digest) {
		return "hash"
	}
	return ""
}

var digestForm = regexp.MustCompile(`^[a-z0-9]+:[0-9a-f]{32,}$`)

func isDigest(s string) bool { return digestForm.MatchString(s) }
