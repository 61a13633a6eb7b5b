// Package projections is the port of views and the runner that keeps them: batches, checkpoint, lag, versions.
// A view is a pure function of the log: same events in the same order, in whatever batches, same view. Concrete
// views live in projections/<view>, their stores in projections/pebbleviews (and later redisviews).
package projections

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"zujian/domain"
	"zujian/eventstore"
)

// ErrFenced means another runner moved the view's checkpoint: this one must stop.
var ErrFenced = errors.New("projections: fenced: another runner took over")

// Event is a decoded event of the log.
type Event struct {
	Stream   string // "contract-<id>"
	Revision eventstore.Revision
	Position eventstore.Position
	Ordinal  uint64
	EventID  [16]byte
	Type     string
	StoredAt time.Time // Recorded time.
	Meta     eventstore.Metadata
	Event    domain.Event // The concrete event, by value: contract.Filed, …
}

// Projection folds events into one view.
type Projection interface {
	Name() string    // Never changes: names the view's keyspace.
	Version() int    // Raised when Apply's meaning changes; the new version is built beside the old, then swapped in.
	Types() []string // Event types it wants; nil means all.
	Apply(ctx context.Context, v View, batch []Event) error
}

// Reader is a consistent snapshot of one view. Keys are byte strings in bytewise order.
type Reader interface {
	Get(ctx context.Context, key string) ([]byte, bool, error)
	// Scan yields the pairs with from <= key < to in key order; to "" means no upper bound. Reverse gives the opposite order.
	Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[Pair, error]
	// Position is the checkpoint this snapshot stands at.
	Position() eventstore.Position
}

// Pair is one entry of a view.
type Pair struct {
	Key   string
	Value []byte
}

// View is one version of one projection's keyspace inside one batch. Reads see the batch's own writes. The runner
// commits the writes together with the checkpoint; a projection never commits and never keeps a View.
type View interface {
	Reader
	Set(key string, value []byte)
	Delete(key string)
}

// Views is the port a view store implements. projections/viewstest states its laws.
type Views interface {
	// Batch calls f once with a fresh View and, if f succeeds, stores its writes and checkpoint next atomically.
	// It MUST fail with ErrFenced if the checkpoint is not at prev any more.
	Batch(ctx context.Context, name string, version int, prev, next eventstore.Position, f func(View) error) error
	// Checkpoint is where the version stands; 0 for one never built.
	Checkpoint(ctx context.Context, name string, version int) (eventstore.Position, error)
	// Active is the version readers see; 0 when none was activated yet.
	Active(ctx context.Context, name string) (int, error)
	// Activate moves readers to version.
	Activate(ctx context.Context, name string, version int) error
	// Drop deletes a version that is not active, whole.
	Drop(ctx context.Context, name string, version int) error
	// Read calls f with a consistent snapshot of the active version. ErrNotBuilt if there is none.
	Read(ctx context.Context, name string, f func(Reader) error) error
}

// ErrNotBuilt means no version of the view is active yet.
var ErrNotBuilt = errors.New("projections: view not built yet")

// Get reads the JSON value at key; a missing key is the zero T.
func Get[T any](ctx context.Context, r Reader, key string) (t T, err error) {
	raw, ok, err := r.Get(ctx, key)
	if err == nil && ok {
		err = json.Unmarshal(raw, &t)
	}
	return t, err
}

// Put stores a view value. View values are plain structs, so encoding can't fail.
func Put[T any](v View, key string, value T) {
	raw, err := json.Marshal(value)
	if err != nil {
		panic("projections: " + err.Error())
	}
	v.Set(key, raw)
}
