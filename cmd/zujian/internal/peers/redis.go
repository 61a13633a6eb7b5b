package peers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// RedisServer is a Redis of the measurement's own.
type RedisServer struct {
	URL string // unix://…

	server server
}

// StartRedis starts redis-server on a socket in dir, with the settings given. It may not answer yet.
func StartRedis(dir string, settings ...string) (*RedisServer, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("redis-server is %w", ErrNotInstalled)
	}
	socket := filepath.Join(dir, "redis.sock")
	args := append([]string{"--port", "0", "--unixsocket", socket, "--dir", dir, "--save", ""}, settings...)
	s, err := start(exec.Command("redis-server", args...), syscall.SIGTERM)
	if err != nil {
		return nil, fmt.Errorf("start redis-server: %w", err)
	}
	return &RedisServer{URL: "unix://" + socket, server: s}, nil
}

// Close ends the server.
func (r *RedisServer) Close() error { return r.server.end() }

// RedisRows are rows of a Redis, by its own commands.
type RedisRows struct{ client *redis.Client }

// Rows has Redis write a log from now on that it does not wait for, and keeps rows there.
func (r *RedisServer) Rows(ctx context.Context) (*RedisRows, error) {
	o, err := redis.ParseURL(r.URL)
	if err != nil {
		return nil, err
	}
	c := redis.NewClient(o)
	if err := errors.Join(c.ConfigSet(ctx, "appendfsync", "everysec").Err(), c.ConfigSet(ctx, "appendonly", "yes").Err()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &RedisRows{c}, nil
}

// Change reads rows, nil where there is none, and writes what they become, in a call each.
func (r *RedisRows) Change(ctx context.Context, keys []string, next func(row []byte) []byte) error {
	rows, err := r.client.MGet(ctx, keys...).Result()
	if err != nil {
		return err
	}
	pairs := make([]any, 0, 2*len(keys))
	for i, row := range rows {
		text, _ := row.(string)
		pairs = append(pairs, keys[i], next([]byte(text)))
	}
	return r.client.MSet(ctx, pairs...).Err()
}

// Get reads a row, which is there.
func (r *RedisRows) Get(ctx context.Context, key string) error { return r.client.Get(ctx, key).Err() }

// Close ends the connections.
func (r *RedisRows) Close() error { return r.client.Close() }

// redisLog keeps each stream as a Redis stream whose entry numbers are the revisions; Redis itself refuses one that is
// taken. It keeps no table of event ids: its append does less than the others'.
type redisLog struct {
	server *RedisServer
	client *redis.Client
}

// Redis keeps events in Redis streams, its append-only file synchronised before every answer.
func Redis(ctx context.Context, dir string, connections int) (_ Peer, err error) {
	s, err := StartRedis(dir, "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		return nil, err
	}
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	o.PoolSize = connections
	r := &redisLog{s, redis.NewClient(o)}
	if err := Until(ctx, func(ctx context.Context) error { return r.client.Ping(ctx).Err() }); err != nil {
		return nil, fmt.Errorf("Redis: %w", errors.Join(err, r.Close()))
	}
	return r, nil
}

func (r *redisLog) Append(ctx context.Context, e Event) error {
	return r.client.XAdd(ctx, &redis.XAddArgs{
		Stream: e.Stream, ID: fmt.Sprintf("%d-0", e.Revision+1), Values: []any{"id", e.ID[:], "type", e.Type, "meta", e.Meta, "data", e.Data},
	}).Err()
}

func (r *redisLog) Load(ctx context.Context, stream string) (int, error) {
	all, err := r.client.XRange(ctx, stream, "-", "+").Result()
	return len(all), err
}

func (r *redisLog) Close() error { return errors.Join(r.client.Close(), r.server.Close()) }
