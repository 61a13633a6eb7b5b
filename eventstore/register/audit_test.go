package register

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/leaf"
	"zujian/eventstore/memory"
)

// changed is a log of which one event is another than was signed, from some time on.
type changed struct {
	Log
	ordinal  uint64
	now      atomic.Bool
	position atomic.Uint64 // Of the event.
}

func (c *changed) Leaves(ctx context.Context, after eventstore.Position) iter.Seq2[leaf.Committed, error] {
	return func(yield func(leaf.Committed, error) bool) {
		for e, err := range c.Log.Leaves(ctx, after) {
			if err == nil && e.Ordinal == c.ordinal && c.now.Load() {
				e.Commitment[5] ^= 1
				c.position.Store(uint64(e.Position))
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// forged is a log of which one event was changed, and its checksum made to fit, but not its commitment beside it.
type forged struct {
	*embedded.Store
	ordinal uint64
}

func (f forged) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for e, err := range f.Store.All(ctx, after) {
			if e.Ordinal == f.ordinal {
				e.Data = []byte(`{}`)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// TestForgedEventIsFound: the event is compared with what was signed, not what its store keeps of it.
func TestForgedEventIsFound(t *testing.T) {
	const events = 3 * tailLeaves
	s := openLog(t, t.TempDir())
	o := options(t.TempDir(), s)
	o.auditPause = time.Millisecond
	for n := 0; n < events; n += tailLeaves {
		fill(t, s, n, n+tailLeaves)
		r := mustOpen(t, o)
		stop := run(t, r)
		signedSize(t, r, uint64(n+tailLeaves))
		stop()
	}
	last, _, err := loadSigned(disk(nil), o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, ordinal := range []uint64{7, events - 2} {
		o.Log = forged{s, ordinal}
		if err := CheckAgainst(t.Context(), o.Log, o.Keys, o.Origin, last.Note); !errors.Is(err, ErrForked) {
			t.Errorf("event %d was changed, and a checkpoint of before is that log's: %v", ordinal, err)
		}
		r, err := Open(t.Context(), o)
		if err == nil {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err = errors.Join(r.Run(ctx), r.Close())
			cancel()
		}
		var d *DamageError
		if !errors.As(err, &d) || !strings.HasPrefix(d.What, fmt.Sprintf("event %d is not the one that was signed", ordinal)) {
			t.Errorf("event %d was changed: %v", ordinal, err)
		}
	}
}

// TestOldChangesAreFound: an event of the tail that was changed is found at the start, an older one in the background,
// wherever the comparison is, and after a restart it goes on where it was.
func TestOldChangesAreFound(t *testing.T) {
	const events = 5*tailLeaves + 100
	s := &memory.Store{}
	dir := t.TempDir()
	o := options(dir, Over(s))
	o.auditPause = time.Millisecond
	for n := 0; n < events; n += tailLeaves { // Signed as it grows.
		fill(t, s, n, min(n+tailLeaves, events))
		r := mustOpen(t, o)
		stop := run(t, r)
		signedSize(t, r, uint64(min(n+tailLeaves, events)))
		stop()
	}
	last, _, err := loadSigned(disk(nil), dir)
	if err != nil || last.Size-last.tail().Events < tailLeaves || last.Size-last.tail().Events > 3*tailLeaves {
		t.Fatalf("the tail begins at %+v of %d: %v", last.tail(), last.Size, err)
	}

	for _, ordinal := range []uint64{events - 1, events - 2, events - tailLeaves} {
		log := &changed{Log: Over(s), ordinal: ordinal}
		log.now.Store(true)
		bad := o
		bad.Log = log
		r, err := Open(t.Context(), bad)
		if err == nil {
			_ = r.Close()
		}
		at(t, err, log)
	}
	for _, ordinal := range []uint64{0, 77, 2 * tailLeaves} {
		log := &changed{Log: Over(s), ordinal: ordinal}
		log.now.Store(true)
		bad := o
		bad.Log = log
		r := mustOpen(t, bad)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		at(t, r.Run(ctx), log)
		cancel()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}

	r := mustOpen(t, o)
	stop := run(t, r)
	until(t, "some of a round", func() bool { return r.Status().Audited > 3*auditChunk })
	fill(t, s, events, events+1)
	signedSize(t, r, events+1)
	stop()
	kept, _, err := loadSigned(disk(nil), dir)
	if err != nil || kept.Audited.Events == 0 || kept.Audited.Events > events {
		t.Errorf("the next start would go on from %+v: %v", kept.Audited, err)
	}
	r = mustOpen(t, o)
	if from := r.audited.mark.Load(); *from != kept.Audited {
		t.Errorf("the next start goes on from %+v, not %+v", *from, kept.Audited)
	}
	stop = run(t, r)
	until(t, "a round", func() bool { return r.Status().Rounds > 0 })
	stop()
}

// at checks that the error names the event that was changed.
func at(t *testing.T, err error, log *changed) {
	t.Helper()
	var d *DamageError
	if !errors.As(err, &d) || uint64(d.Position) != log.position.Load() || !strings.Contains(d.What, "is not the one that was signed") {
		t.Errorf("event %d at %d was changed: %v", log.ordinal, log.position.Load(), err)
	}
}
