// Package redisviews keeps views in Redis 7 or a Redis Cluster: projections.Views for many processes over one log, the
// replies kept for idempotency, and the leases by which processes agree who keeps which view. It knows no projection.
// Only cmd/zujian opens it.
//
// Losing Redis loses nothing: views are built again from the log, replies are decided again, leases are taken again.
//
// # Keys
//
// All keys of one version of one view have the hash tag {name@version}, so that they lie in one slot and a script may
// touch them together. B is "<prefix>:{name@version}:" and G a generation, random, new whenever a version begins empty:
//
//	B m          → the generation in use
//	B G :g       → hash: seq (batches with writes), at (checkpoint), n (rows), live (readers may come), last (token of the last batch)
//	B G :r       → hash: key → value
//	B G :k       → sorted set of the same keys, all with score 0: their order
//	B G :u:<seq> → hash: what batch seq replaced, key → "1" + value or "0"; gone after [keepUndo]
//	<prefix>:{name}:a → the active version
//
// # Decisions
//
// A batch is one script: it checks generation, number, checkpoint and row count, writes, and moves the checkpoint, or does
// nothing. What is too large for one call is first laid beside in pieces, and the script takes it from there.
//
// Redis has no snapshots. So a batch on a version that readers see leaves behind what it replaced, for a minute, and a
// reader that finds the version moved under it lays those older values over what it reads: it sees its own moment to the
// end. The price is one more hash a batch; a version being built pays nothing.
//
// Redis may lose parts (an eviction, a shard). A version whose rows, order and count differ, or that is active without
// its mark, counts as not there, and is built again.
//
// Folding keeps the rows it used last in memory, as pebbleviews does; they are dropped when another process wrote.
package redisviews

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"zujian/eventstore"
	"zujian/projections"
)

// Options of a connection. URL is needed.
type Options struct {
	// URL is redis://, rediss:// (TLS) or unix://. A cluster is ?cluster=true and may name more nodes by ?addr=host:port.
	URL string
	// Prefix of all keys. It MUST differ between logs that share a Redis: views of one would look like the other's.
	Prefix   string
	RowCache int64 // Bytes of rows kept in memory for each view's folding; 16 MiB if 0, none if negative.
}

const (
	rowCacheBytes = 16 << 20
	keepUndo      = time.Minute     // How long a reader may take between two of its calls.
	callTimeout   = 5 * time.Second // Of one call; a context may end it earlier.
	dialTimeout   = 2 * time.Second
)

// Views implements projections.Views. Make one with Open.
type Views struct {
	db     redis.UniversalClient
	prefix string
	row    int64

	mu     sync.Mutex
	spaces map[space]*keyspace
	active map[string]int // Last seen: a guess that saves a call.
}

type space struct {
	name    string
	version int
}

func (s space) String() string { return s.name + "@" + strconv.Itoa(s.version) }

// keyspace is what this process remembers of one version. Its lock is held for a whole batch.
type keyspace struct {
	mu   sync.Mutex
	at   mark
	rows projections.RowCache
}

// mark is where a version stands. A Redis that came back older counts the same batches again: the last one's token tells.
type mark struct {
	gen  string // "" = it is not there.
	seq  uint64
	last string
}

var _ projections.Views = (*Views)(nil)

// Open prepares a connection; it does not need Redis to be there yet.
func Open(o Options) (*Views, error) {
	redis.SetLogger(silent{}) // What fails comes back as an error, once.
	db, err := connect(o.URL)
	if err != nil {
		return nil, err
	}
	row := o.RowCache
	if row == 0 {
		row = rowCacheBytes
	}
	prefix := o.Prefix
	if prefix == "" {
		prefix = "zujian"
	}
	return &Views{db: db, prefix: prefix, row: row, spaces: map[space]*keyspace{}, active: map[string]int{}}, nil
}

func connect(address string) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("redisviews: the URL is not one") // It may hold a password: not repeated.
	}
	q := u.Query()
	cluster := q.Get("cluster") == "true" || q.Has("addr")
	q.Del("cluster")
	u.RawQuery = q.Encode()
	if cluster {
		opts, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, fmt.Errorf("redisviews: the URL of a cluster: %w", hide(err, address))
		}
		opts.ContextTimeoutEnabled, opts.ReadTimeout, opts.WriteTimeout = true, callTimeout, callTimeout
		opts.DialTimeout, opts.DialerRetries = dialTimeout, 1
		return redis.NewClusterClient(opts), nil
	}
	opts, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, fmt.Errorf("redisviews: the URL: %w", hide(err, address))
	}
	opts.ContextTimeoutEnabled, opts.ReadTimeout, opts.WriteTimeout = true, callTimeout, callTimeout
	opts.DialTimeout, opts.DialerRetries = dialTimeout, 1
	return redis.NewClient(opts), nil
}

// silent is the client library's logger.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// hide keeps a URL, which may hold a password, out of an error.
func hide(err error, secret string) error {
	return errors.New(strings.ReplaceAll(err.Error(), secret, "…"))
}

// Close ends the connections.
func (v *Views) Close() error { return v.db.Close() }

// Client is the connection, for what else is kept beside the views.
func (v *Views) Client() redis.UniversalClient { return v.db }

// Topic is the name of a stream of messages beside the views.
func (v *Views) Topic(name string) string { return v.prefix + ":topic:" + name }

// Check tells whether Redis is there, lets us in, and is set up so that it keeps what it is given.
func (v *Views) Check(ctx context.Context) error {
	info, err := v.db.Info(ctx, "memory", "replication").Result()
	for _, refused := range []string{"NOAUTH", "WRONGPASS"} {
		if redis.HasErrorPrefix(err, refused) { // It is not away, and will say the same again.
			return fmt.Errorf("redisviews: check: %w", err)
		}
	}
	if err != nil {
		return v.fail(ctx, "check", err)
	}
	for line := range strings.Lines(info) {
		what, is, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case what == "maxmemory_policy" && is != "noeviction":
			return fmt.Errorf("redisviews: maxmemory-policy is %s; views need noeviction", is)
		case what == "role" && is != "master":
			return errors.New("redisviews: this Redis is another's replica; views are written")
		}
	}
	return nil
}

// fail names a failed call. Only a context that ended is not the view store's fault.
func (v *Views) fail(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("redisviews: %s: %w: %w", what, projections.ErrUnavailable, err)
}

// base begins all keys of a version.
func (v *Views) base(s space) string { return v.prefix + ":{" + s.String() + "}:" }

func (v *Views) activeKey(name string) string { return v.prefix + ":{" + name + "}:a" }

func (v *Views) keyspace(s space) *keyspace {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := v.spaces[s]
	if k == nil {
		k = &keyspace{}
		v.spaces[s] = k
	}
	return k
}

func token() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // Never fails.
	return hex.EncodeToString(b[:])
}

// standing is what the open script tells.
type standing struct {
	mark
	at    eventstore.Position
	rows  int64
	live  bool
	there bool
}

func (v *Views) standing(ctx context.Context, s space) (standing, error) {
	raw, err := openScript.Run(ctx, v.db, []string{v.base(s)}).StringSlice()
	if err != nil {
		return standing{}, v.fail(ctx, "open "+s.String(), err)
	}
	return readStanding(raw)
}

func readStanding(raw []string) (st standing, err error) {
	if len(raw) == 0 {
		return st, nil
	}
	if len(raw) != 6 {
		return st, errors.New("redisviews: a damaged answer")
	}
	st.gen, st.live, st.last, st.there = raw[0], raw[4] == "1", raw[5], true
	var err1, err2, err3 error
	st.seq, err1 = strconv.ParseUint(raw[1], 10, 64)
	at, err2 := strconv.ParseUint(raw[2], 10, 64)
	st.rows, err3 = strconv.ParseInt(raw[3], 10, 64)
	st.at = eventstore.Position(at)
	return st, errors.Join(err1, err2, err3)
}

// Checkpoint implements projections.Views.
func (v *Views) Checkpoint(ctx context.Context, name string, version int) (eventstore.Position, error) {
	st, err := v.standing(ctx, space{name, version})
	return st.at, err
}

// Active implements projections.Views. A version that was lost is not active.
func (v *Views) Active(ctx context.Context, name string) (int, error) {
	version, _, err := v.current(ctx, name)
	return version, err
}

// current finds the active version and where it stands, in one round trip when the version is the one seen last.
func (v *Views) current(ctx context.Context, name string) (version int, st standing, err error) {
	v.mu.Lock()
	guess := max(v.active[name], 1)
	v.mu.Unlock()
	for range 8 { // It may change between two calls, but not again and again.
		s := space{name, guess}
		pipe := v.db.Pipeline()
		active := pipe.Get(ctx, v.activeKey(name))
		opened := openScript.EvalSha(ctx, pipe, []string{v.base(s)})
		_, _ = pipe.Exec(ctx) // Each command has its own answer.
		if err := active.Err(); errors.Is(err, redis.Nil) {
			return 0, standing{}, nil
		} else if err != nil {
			return 0, standing{}, v.fail(ctx, "find "+name, err)
		}
		if version, err = active.Int(); err != nil {
			return 0, standing{}, fmt.Errorf("redisviews: active version of %s: %w", name, err)
		}
		if version != guess {
			guess = version
			v.mu.Lock()
			v.active[name] = version
			v.mu.Unlock()
			continue
		}
		raw, err := opened.StringSlice()
		switch {
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			st, err = v.standing(ctx, s)
		case err != nil:
			err = v.fail(ctx, "open "+s.String(), err)
		default:
			st, err = readStanding(raw)
		}
		if err != nil || !st.live {
			return 0, standing{}, err
		}
		return version, st, nil
	}
	return 0, standing{}, fmt.Errorf("redisviews: find %s: %w: its active version does not stand still", name, projections.ErrUnavailable)
}

// Activate implements projections.Views.
func (v *Views) Activate(ctx context.Context, name string, version int) error {
	if err := projections.CheckBatch(name, version, 0, 0); err != nil {
		return err
	}
	s := space{name, version}
	if err := liveScript.Run(ctx, v.db, []string{v.base(s)}, token()).Err(); err != nil {
		return v.fail(ctx, "activate "+s.String(), err)
	}
	if err := v.db.Set(ctx, v.activeKey(name), version, 0).Err(); err != nil {
		return v.fail(ctx, "activate "+s.String(), err)
	}
	return nil
}

// Drop implements projections.Views. Readers inside keep their snapshot; the space is free after a while.
func (v *Views) Drop(ctx context.Context, name string, version int) error {
	if err := projections.CheckBatch(name, version, 0, 0); err != nil {
		return err
	}
	s := space{name, version}
	active, err := v.db.Get(ctx, v.activeKey(name)).Int()
	switch {
	case err == nil && active == version:
		return fmt.Errorf("drop %s: %w", s, projections.ErrActive)
	case err != nil && !errors.Is(err, redis.Nil):
		return v.fail(ctx, "drop "+s.String(), err)
	}
	if err := dropScript.Run(ctx, v.db, []string{v.base(s)}, keepUndo.Milliseconds()).Err(); err != nil {
		return v.fail(ctx, "drop "+s.String(), err)
	}
	return nil
}

// Read implements projections.Views.
func (v *Views) Read(ctx context.Context, name string, f func(projections.Reader) error) error {
	version, st, err := v.current(ctx, name)
	if err != nil {
		return err
	}
	if version == 0 {
		return fmt.Errorf("read %s: %w", name, projections.ErrNotBuilt)
	}
	return f(&reader{views: v, space: space{name, version}, from: st.mark, moved: st.seq, position: st.at})
}
