package projections

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"zujian/domain"
	"zujian/eventstore"
)

// ErrDiffers means a view is not what its events say.
var ErrDiffers = errors.New("projections: view differs from its replay")

// PositionMax asks Replay for everything up to the head.
const PositionMax = ^eventstore.Position(0)

// Replay builds a view from the first event in memory, up to and including position upTo, and returns it as a Reader.
func Replay(ctx context.Context, store eventstore.Store, types domain.Catalogue, p Projection, upTo eventstore.Position) (Reader, error) {
	var views Memory
	if err := replayInto(ctx, &views, store, types, p, upTo); err != nil {
		return nil, err
	}
	k := views.load(p.Name(), p.Version())
	return &memoryReader{root: k.root, position: k.checkpoint}, nil
}

// replayInto builds a view in a view store that has nothing of it. It uses nothing of what Run stored or keeps in memory:
// every row is read from its bytes.
func replayInto(ctx context.Context, views Views, store eventstore.Store, types domain.Catalogue, p Projection, upTo eventstore.Position) error {
	wants := newFilter(p.Types())
	var batch []Event
	var at eventstore.Position
	flush := func(next eventstore.Position) error {
		err := views.Batch(ctx, p.Name(), p.Version(), at, next, func(v View) error {
			if len(batch) == 0 {
				return nil
			}
			return apply(ctx, p, v, batch)
		})
		at, batch = next, batch[:0:0]
		if err != nil {
			return fmt.Errorf("replay %s before %d: %w", p.Name(), next, err)
		}
		return nil
	}
	last := at
	for rec, err := range store.All(ctx, 0) {
		if err != nil {
			return fmt.Errorf("replay %s after %d: %w", p.Name(), last, err)
		}
		if rec.Position > upTo {
			break
		}
		last = rec.Position
		if !wants.wants(rec.Type) {
			continue
		}
		e, err := Decode(types, rec)
		if err != nil {
			return fmt.Errorf("replay %s: %w", p.Name(), err)
		}
		if batch = append(batch, e); len(batch) == replayBatch {
			if err := flush(last); err != nil {
				return err
			}
		}
	}
	return flush(last)
}

// replayBatch is not the runner's, on purpose: a view must not depend on how its events were cut.
const replayBatch = 2003

// CompareReplay replays a projection up to where its active view stands, into a view store that has nothing of it, and
// compares every pair. It returns nil if they are equal bit for bit, and otherwise ErrDiffers naming the first key that is
// not. Run may go on meanwhile. What was replayed is left in fresh; a [Memory] holds any view of a test, not a city's.
func CompareReplay(ctx context.Context, store eventstore.Store, views Views, types domain.Catalogue, p Projection, fresh Views) error {
	return views.Read(ctx, p.Name(), func(kept Reader) error {
		err := replayInto(ctx, fresh, store, types, p, kept.Position())
		if err == nil {
			err = fresh.Activate(ctx, p.Name(), p.Version())
		}
		if err != nil {
			return err
		}
		return fresh.Read(ctx, p.Name(), func(replayed Reader) error { return compare(ctx, p.Name(), kept, replayed) })
	})
}

func compare(ctx context.Context, name string, kept, fresh Reader) error {
	nextKept, stopKept := iter.Pull2(kept.Scan(ctx, "", "", false))
	defer stopKept()
	nextFresh, stopFresh := iter.Pull2(fresh.Scan(ctx, "", "", false))
	defer stopFresh()
	for {
		a, errA, okA := nextKept()
		b, errB, okB := nextFresh()
		if err := errors.Join(errA, errB); err != nil {
			return fmt.Errorf("compare %s: %w", name, err)
		}
		switch {
		case !okA && !okB:
			return nil
		case !okB || (okA && a.Key < b.Key):
			return fmt.Errorf("%w: %s holds key %q, which no event put there", ErrDiffers, name, KeyText(a.Key))
		case !okA || b.Key < a.Key:
			return fmt.Errorf("%w: %s lacks key %q", ErrDiffers, name, KeyText(b.Key))
		case !bytes.Equal(a.Value, b.Value):
			return fmt.Errorf("%w: %s has another value at key %q", ErrDiffers, name, KeyText(a.Key))
		}
	}
}

// Digest is a SHA-256 over all pairs of a view in key order, in hex, and how many there are. Two views are equal bit for
// bit if their digests are.
func Digest(ctx context.Context, r Reader) (sum string, pairs int, err error) {
	h := sha256.New()
	var size [16]byte
	for p, err := range r.Scan(ctx, "", "", false) {
		if err != nil {
			return "", 0, fmt.Errorf("digest view: %w", err)
		}
		binary.BigEndian.PutUint64(size[:8], uint64(len(p.Key)))
		binary.BigEndian.PutUint64(size[8:], uint64(len(p.Value)))
		h.Write(size[:])
		h.Write([]byte(p.Key))
		h.Write(p.Value)
		pairs++
	}
	return hex.EncodeToString(h.Sum(nil)), pairs, nil
}
