// Package projections is the port of views and the runner that keeps them: batches, checkpoint, lag, versions.
// A view is a pure function of the log: same events in the same order, in whatever batches, same view. Concrete
// views live in projections/<view>, their stores in projections/pebbleviews and projections/redisviews.
package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
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

// Skipper is a Projection that can tell of some events, of the types it wants, that they change nothing, before they are
// decoded: that costs more than all else. An event that every view skips is never decoded.
type Skipper interface {
	Projection
	// Skips MUST be a pure function. Apply MUST do nothing with an event for which it is true: it may be given it or not.
	Skips(e eventstore.Recorded) bool
}

// Reader is a consistent snapshot of one view. Keys are byte strings in bytewise order. A value read may be kept after
// the reader is gone and MUST NOT be changed.
type Reader interface {
	Get(ctx context.Context, key string) ([]byte, bool, error)
	// Scan yields the pairs with from <= key < to in key order; to "" means no upper bound. Reverse gives the opposite order.
	// Inside a batch it sees the writes made before Scan was called, and writing while it runs does not disturb it.
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
// commits the writes together with the checkpoint; a projection never commits and never keeps a View. A value set belongs
// to the view and MUST NOT be changed afterwards. Position is the checkpoint before the batch.
type View interface {
	Reader
	Set(key string, value []byte)
	Delete(key string)
}

// Views is the port a view store implements. projections/viewstest states its laws.
type Views interface {
	// Batch calls f once with a fresh View and, if f succeeds, stores its writes and checkpoint next atomically.
	// It MUST fail with ErrFenced if the checkpoint is not at prev any more. An error of f comes back as it is.
	// next may equal prev: then the checkpoint stays and the writes are stored.
	Batch(ctx context.Context, name string, version int, prev, next eventstore.Position, f func(View) error) error
	// Checkpoint is where the version stands; 0 for one never built.
	Checkpoint(ctx context.Context, name string, version int) (eventstore.Position, error)
	// Active is the version readers see; 0 when none was activated yet.
	Active(ctx context.Context, name string) (int, error)
	// Activate moves readers to version.
	Activate(ctx context.Context, name string, version int) error
	// Drop deletes a version whole, its checkpoint with it. ErrActive if readers see it.
	Drop(ctx context.Context, name string, version int) error
	// Read calls f with a consistent snapshot of the active version. ErrNotBuilt if there is none.
	Read(ctx context.Context, name string, f func(Reader) error) error
}

// ErrNotBuilt means no version of the view is active yet.
var ErrNotBuilt = errors.New("projections: view not built yet")

// ErrUnavailable means the view store can't be reached, or gave up on this call; try again later.
var ErrUnavailable = errors.New("projections: view store unavailable")

// ErrActive means the version is the one readers see: it can't be dropped.
var ErrActive = errors.New("projections: version is active")

// Limits of a view's name and version.
const (
	NameBytesMax = 64
	VersionMax   = 1 << 20 // Exclusive; view stores see numbers up to twice that, see Runner.Rebuild.
)

// CheckBatch refuses names, versions and checkpoints no view store should accept. Every store calls it first.
func CheckBatch(name string, version int, prev, next eventstore.Position) error {
	if name == "" || len(name) > NameBytesMax {
		return fmt.Errorf("projections: view name %q is not 1 to %d bytes", name, NameBytesMax)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return fmt.Errorf("projections: view name %q holds more than a-z, 0-9, _ and -", name)
		}
	}
	if version < 1 || version >= 2*VersionMax {
		return fmt.Errorf("projections: %s: version %d is not 1 to %d", name, version, 2*VersionMax-1)
	}
	if next < prev {
		return fmt.Errorf("projections: %s@%d: checkpoint would go back from %d to %d", name, version, prev, next)
	}
	return nil
}

// Limits of a reply kept for idempotency.
const (
	ReplyKeyBytesMax   = 512
	ReplyValueBytesMax = 2 << 20
)

// CheckReply refuses replies no store should keep.
func CheckReply(key string, value []byte, expires time.Time) error {
	switch {
	case key == "" || len(key) > ReplyKeyBytesMax:
		return fmt.Errorf("put reply: key of %d bytes, not 1 to %d", len(key), ReplyKeyBytesMax)
	case len(value) > ReplyValueBytesMax:
		return fmt.Errorf("put reply: %d bytes, more than %d", len(value), ReplyValueBytesMax)
	case expires.UnixMicro() < 0:
		return errors.New("put reply: expires before 1970")
	}
	return nil
}

// Get reads the row at key, stored as JSON or as its type says (Packed); a missing key is the zero T. Inside a batch the
// value may be shared with the view's rows in memory: whoever changes what it points to MUST Put or Delete it before the
// batch goes on.
func Get[T any](ctx context.Context, r Reader, key string) (t T, err error) {
	if v, ok := r.(*rowView); ok {
		return getRow[T](ctx, v, key)
	}
	raw, ok, err := r.Get(ctx, key)
	if err == nil && ok {
		t, err = RowOf[T](Pair{key, raw})
	}
	return t, err
}

// GetOwn is Get of a row of an event's own stream, one that events of no other stream write: at the first event there is
// none yet, and it is not looked for.
func GetOwn[T any](ctx context.Context, v View, key string, e Event) (t T, err error) {
	if rows, ok := v.(*rowView); e.Revision == 0 && (!ok || rows.asked(key)) {
		return t, nil
	}
	return Get[T](ctx, v, key)
}

// Put stores a view value. It is encoded at the end of the batch, so it MUST NOT be changed but through another Put.
func Put[T any](v View, key string, value T) {
	if r, ok := v.(*rowView); ok {
		putRow(r, key, value)
		return
	}
	setRow(v, key, value)
}

// setRow is apart so that the value of Put stays where it is.
//
//go:noinline
func setRow[T any](v View, key string, value T) {
	room := packRooms.Get().(*domain.PackRoom)
	v.Set(key, appendRow(nil, room, &value))
	packRooms.Put(room)
}

// packRooms are for rows of a view whose rows are bytes, which a replay has.
var packRooms = sync.Pool{New: func() any { return new(domain.PackRoom) }}
