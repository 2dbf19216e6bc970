// Package rediscache empties a registry's cache of blob descriptors in Redis.
//
// A registry asks this cache before its storage, and entries don't expire. After a removal it
// would answer a push of a removed blob as if the blob existed, even after a restart.
// Registries 2.x and 3.x have the same keys:
//
//	blobs::<digest>                      a hash: the blob's descriptor, for any repository
//	repository::<name>::blobs            a set: digests in the repository
//	repository::<name>::blobs::<digest>  a hash: the blob's media type there
//
// All of them are deleted, not only those of removed blobs: entries of blobs that were lost
// before, or that an earlier run removed, are as wrong. The registry reads its storage once
// for each blob that is requested later. Other keys in the Redis remain: a key is deleted
// only if it has exactly this form and type.
//
// The address may hold a password: no error and no name contains it.
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

// Cache is a registry's cache in Redis.
type Cache struct {
	client *redis.Client
}

// Parse parses the address of a Redis: redis://[user:password@]host:port/database, or
// rediss:// for TLS. It doesn't connect.
func Parse(address string) (*Cache, error) {
	o, err := redis.ParseURL(address)
	if err != nil { // the error may quote the password
		return nil, errors.New("is an address like redis://localhost:6379/0, and this is none")
	}
	o.DisableIdentity = true // the connection needs no name
	return &Cache{redis.NewClient(o)}, nil
}

// HasPassword reports whether an address may hold a password: any text before an @ may be
// one.
func HasPassword(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return strings.Contains(address, "@")
	}
	return u.User != nil
}

// String returns host, port and database, such as "localhost:6379/0".
func (c *Cache) String() string {
	o := c.client.Options()
	return o.Addr + "/" + strconv.Itoa(o.DB)
}

// Close closes the connections.
func (c *Cache) Close() error { return c.client.Close() }

// probe is part of a key that no registry writes.
const probe = "regfsck-asks-what-it-may"

// Answers returns nil if the Redis answers, isn't a cluster (a server has only a part of its
// keys), and permits listing and deletion of keys. It changes nothing.
func (c *Cache) Answers(ctx context.Context) error {
	info, err := c.client.Info(ctx, "cluster").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "cluster_enabled:0") {
		return errors.New("it is, or may be, a part of a Redis Cluster, and one server of a cluster has only some of the keys; leave --redis out, and delete the keys blobs::* and repository::* on every server of it")
	}
	key := "repository::" + probe // a registry's key would continue with ::blobs
	for _, err := range []error{
		c.client.Scan(ctx, 0, "blobs::*", 1).Err(), c.client.Type(ctx, key).Err(), c.client.Del(ctx, key, "blobs::"+probe).Err(),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// batch is how many keys are listed or deleted in one request.
const batch = 1000

// Forget deletes all cache entries and returns their number. After an error some may remain;
// it can be called again.
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

// forget deletes those keys that a registry wrote.
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

// The keys that a registry writes, by their type.
var (
	sets   = regexp.MustCompile(`^repository::[^:]+::blobs$`)
	hashes = regexp.MustCompile(`^(repository::[^:]+::)?blobs::[a-z0-9]+:[0-9a-f]{32,}$`)
)

// typeOf returns the type of a key that a registry writes; "" for another key.
func typeOf(key string) string {
	switch {
	case sets.MatchString(key):
		return "set"
	case hashes.MatchString(key):
		return "hash"
	}
	return ""
}
