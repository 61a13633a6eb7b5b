package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"zujian/eventstore"
)

// headRow is the value of a stream's head, as far as the index has come.
type headRow []byte

func (h headRow) bad() bool {
	if len(h) == 0 || len(h)%headEntry != 0 || h.frames() > headFrames {
		return true
	}
	for i := eventstore.Revision(1); i < h.frames(); i++ {
		if h.start(i) <= h.start(i-1) {
			return true
		}
	}
	return false
}

// frames is how many frames it tells of; there may be more if it is full.
func (h headRow) frames() eventstore.Revision { return eventstore.Revision(len(h) / headEntry) }
func (h headRow) full() bool                  { return h.frames() == headFrames }

// start is where the frame of revision i starts.
func (h headRow) start(i eventstore.Revision) eventstore.Position {
	return eventstore.Position(be.Uint64(h[headEntry*i:]))
}

// idSum is that of the id of revision i.
func (h headRow) idSum(i eventstore.Revision) uint32 { return be.Uint32(h[headEntry*i+8:]) }

// headKeys are what heads are looked up by. One that grew for a long name is as long as names may be.
var headKeys = sync.Pool{New: func() any { k := make([]byte, 0, 128); return &k }}

// headOf calls look with the stream's head, or not at all if it has none. Nothing was written to the stream from upTo on.
func (x *index) headOf(stream string, upTo eventstore.Position, look func(headRow)) error {
	k := headKeys.Get().(*[]byte)
	defer headKeys.Put(k)
	*k = append(append((*k)[:0], keyHead), stream...)
	err := x.get(*k, upTo, func(v []byte) error {
		if headRow(v).bad() {
			return fmt.Errorf("%d bytes, which is no head", len(v))
		}
		look(v)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look up head of %s: %w", stream, err)
	}
	return nil
}

// get calls look with the value of a key that nothing was written of from upTo on, if it has one.
func (x *index) get(k []byte, upTo eventstore.Position, look func([]byte) error) error {
	if upTo != noPosition {
		i, err := x.tables.get(max(upTo, x.opened))
		if err != nil {
			return err
		}
		if i != nil {
			v, err := i.look(k)
			if err == nil && v != nil {
				err = look(v)
			}
			return errors.Join(err, i.Close())
		}
	}
	v, done, err := x.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(look(v), done.Close())
}

// head returns the stream's last revision as far as the index has come, which is upTo or further. Nothing was written to it
// from there on.
func (x *index) head(stream string, upTo eventstore.Position) (eventstore.Revision, error) {
	last := eventstore.NoStream
	err := x.headOf(stream, upTo, func(h headRow) { last = h.frames() - 1 })
	if err != nil || last < headFrames-1 {
		return last, err
	}
	err = x.later(stream, headFrames, -1, (*pebble.Iterator).Last, nil, func(rev eventstore.Revision, _ eventstore.Position) bool {
		last = rev
		return false
	})
	return last, err
}

// later calls each for the events of a stream behind its head, from revision from to upTo, -1 being beyond all: in the order of
// first and next, until it returns false.
func (x *index) later(stream string, from, upTo eventstore.Revision, first, next func(*pebble.Iterator) bool,
	each func(eventstore.Revision, eventstore.Position) bool,
) error {
	it, err := x.db.NewIter(&pebble.IterOptions{
		LowerBound: eventKey(stream, max(from, headFrames)), UpperBound: append(eventKey(stream, upTo), 0), // Just behind it.
	})
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream, err)
	}
	for ok := first(it); ok; ok = next(it) {
		v, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		k := it.Key()
		if !each(eventstore.Revision(be.Uint64(k[len(k)-8:])), eventstore.Position(be.Uint64(v))) {
			break
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// starts appends to dst where up to limit events of the stream start, from revision from on. The head, behind a bloom
// filter, tells most who ask all of it: they ask for a short stream, or for one that is yet to be. Nothing was written to the
// stream from upTo on, or at least nothing that must be found.
func (x *index) starts(dst []eventstore.Position, stream string, from eventstore.Revision, limit int, upTo eventstore.Position,
) ([]eventstore.Position, error) {
	more, end := false, len(dst)+limit
	err := x.headOf(stream, upTo, func(h headRow) {
		for i := from; i < h.frames() && len(dst) < end; i++ {
			dst = append(dst, h.start(i))
		}
		more = h.full() && len(dst) < end
	})
	if err != nil || !more {
		return dst, err
	}
	err = x.later(stream, from, -1, (*pebble.Iterator).First, (*pebble.Iterator).Next, func(_ eventstore.Revision, at eventstore.Position) bool {
		dst = append(dst, at)
		return len(dst) < end
	})
	return dst, err
}

// startsBack appends to dst where up to n events of the stream start, from revision from down. What starts at limit or
// later is passed over.
func (x *index) startsBack(dst []eventstore.Position, stream string, from eventstore.Revision, n int, limit eventstore.Position,
) ([]eventstore.Position, error) {
	end := len(dst) + n
	add := func(_ eventstore.Revision, at eventstore.Position) bool {
		if at < limit {
			dst = append(dst, at)
		}
		return len(dst) < end
	}
	var head [headFrames]eventstore.Position
	frames := eventstore.Revision(0)
	err := x.headOf(stream, noPosition, func(h headRow) {
		frames = h.frames()
		for i := range frames {
			head[i] = h.start(i)
		}
	})
	if err == nil && frames == headFrames && from >= headFrames {
		err = x.later(stream, headFrames, from, (*pebble.Iterator).Last, (*pebble.Iterator).Prev, add)
	}
	for i := min(from, frames-1); i >= 0 && len(dst) < end; i-- {
		add(i, head[i])
	}
	return dst, err
}

const fullKept = 4096 // Heads of 192 bytes.

// withID returns where events start that may have this id: in the stream, whose last revision is last, or in one whose name has
// the same hash. Only the leader asks, of the same long streams again and again: their full heads, which stay as they are, are
// kept, since each lies in pieces that are merged until it is compacted.
func (x *index) withID(id []byte, stream string, last eventstore.Revision) (starts []eventstore.Position, err error) {
	head := x.full[stream]
	if head == nil {
		err = x.headOf(stream, noPosition, func(h headRow) { head = bytes.Clone(h) })
		if head.full() {
			if len(x.full) == fullKept {
				clear(x.full)
			}
			x.full[strings.Clone(stream)] = head
		}
	}
	sum := idSum(id)
	for i := range head.frames() {
		if head.idSum(i) == sum {
			starts = append(starts, head.start(i))
		}
	}
	if err != nil || last < headFrames {
		return starts, err
	}
	var k [idKeyBytes]byte
	putIDKey(k[:], id, []byte(stream))
	if err = x.get(k[:], noPosition, func(v []byte) error {
		for ; len(v) >= 8; v = v[8:] {
			starts = append(starts, eventstore.Position(be.Uint64(v)))
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look up event id: %w", err)
	}
	return starts, nil
}
