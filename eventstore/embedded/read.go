package embedded

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/leaf"
)

const (
	readBlock    = 32 << 10 // The largest size the allocator keeps in spans; events of one block share it.
	streamChunk  = 256      // Positions looked up at once; the index is not held while events are yielded.
	frameGuess   = 2 << 10  // What most frames fit in.
	framesAtOnce = 64       // Between two looks whether the store is still open.
	noPosition   = ^eventstore.Position(0)
	segmentStart = eventstore.Position(segmentHeader)
)

// reader reads frames for one goroutine. It holds nothing of the store between calls.
type reader struct {
	store *Store
	dec   decoder
	block []byte // Bytes of the log from position at on. Never written again, nor unmapped: events share them.
	at    eventstore.Position
}

func (s *Store) reader() reader { return reader{store: s, dec: decoder{names: &s.names}} }

// take returns n bytes of a mapped segment that stay as they are: what is durable is never written again.
func (r *reader) take(g *segment, off, n int64) []byte {
	b := g.data[off : off+n : off+n]
	if !g.lends {
		return bytes.Clone(b) // Unlike make and copy, it clears nothing first.
	}
	if !r.store.lent.Load() {
		r.store.lent.Store(true)
	}
	return b
}

// fill makes block hold at least n bytes from pos on, as far as limit and the segment allow.
func (r *reader) fill(g *segment, pos, limit eventstore.Position, n int) error {
	end := g.base + eventstore.Position(g.size)
	if g.end != 0 {
		end = g.end
	}
	left := int64(min(end, limit)) - int64(pos)
	size := min(int64(max(n, readBlock)), left)
	if size < int64(n) {
		return damage(pos, "%s: an event reaches beyond the end", g.name)
	}
	if off := int64(pos - g.base); off+size <= int64(len(g.data)) {
		if g.lends {
			size = left // All there is: it costs nothing.
		}
		r.block, r.at = r.take(g, off, size), pos
		return nil
	}
	block := make([]byte, size)
	if err := g.read(block, int64(pos-g.base)); err != nil {
		return err
	}
	r.block, r.at = block, pos
	return nil
}

// frameAt returns the frame that starts at pos. The caller is reading.
func (r *reader) frameAt(pos eventstore.Position) (frame, error) {
	segs := *r.store.segs.Load()
	g := segs[segmentAt(segs, pos)]
	if g.data != nil {
		off := int(pos - g.base)
		if off+frameHeader <= len(g.data) {
			if n := int(le.Uint32(g.data[off:])); n >= frameHeader && n <= frameBytesMax && off+n <= len(g.data) {
				return check(readFrame(r.take(g, int64(off), int64(n)), r.store.seed, pos))(pos)
			}
		}
		return nil, damage(pos, "frame: %v", errLength)
	}
	n := min(int64(frameGuess), int64(g.base)+g.size-int64(pos))
	for {
		block := make([]byte, max(n, 0))
		if err := g.read(block, int64(pos-g.base)); err != nil {
			return nil, err
		}
		f, bad := readFrame(block, r.store.seed, pos)
		if errors.Is(bad, errShort) && len(block) >= 4 && n < int64(le.Uint32(block)) {
			n = int64(le.Uint32(block))
			if int64(pos-g.base)+n <= g.size {
				continue
			}
		}
		return check(f, bad)(pos)
	}
}

func check(f frame, bad error) func(eventstore.Position) (frame, error) {
	return func(pos eventstore.Position) (frame, error) {
		if bad != nil {
			return nil, damage(pos, "frame: %v", bad)
		}
		return f, nil
	}
}

// next returns the first frame at or after pos that ends by limit, or io.EOF. The caller is reading.
func (r *reader) next(pos, limit eventstore.Position) (frame, error) {
	for pos < limit {
		if !r.holds(pos, 4) {
			if g := r.segment(pos); pos == g.base { // No block holds a segment's header.
				pos += segmentStart
				continue
			}
		}
		rest, err := r.rest(pos, limit, 4)
		if err != nil {
			return nil, err
		}
		if le.Uint32(rest) == groupMagic {
			if rest, err = r.rest(pos, limit, groupHeader); err != nil {
				return nil, err
			}
			if _, bad := readGroupHead(rest, r.store.seed, pos); bad != nil {
				return nil, damage(pos, "group: %v", bad)
			}
			pos += groupHeader
			continue
		}
		f, bad := readFrame(rest, r.store.seed, pos)
		if errors.Is(bad, errShort) {
			if rest, err = r.rest(pos, limit, max(frameHeader, int(le.Uint32(rest)))); err != nil {
				return nil, err
			}
			f, bad = readFrame(rest, r.store.seed, pos)
		}
		return check(f, bad)(pos)
	}
	return nil, io.EOF
}

// rest returns the block's bytes from pos on, at least n.
func (r *reader) rest(pos, limit eventstore.Position, n int) ([]byte, error) {
	if !r.holds(pos, n) {
		if err := r.fill(r.segment(pos), pos, limit, n); err != nil {
			return nil, err
		}
	}
	return r.block[pos-r.at:], nil
}

// holds tells whether the block has n bytes from pos on.
func (r *reader) holds(pos eventstore.Position, n int) bool {
	return pos >= r.at && pos+eventstore.Position(n) <= r.at+eventstore.Position(len(r.block))
}

func (r *reader) segment(pos eventstore.Position) *segment {
	segs := *r.store.segs.Load()
	return segs[segmentAt(segs, pos)]
}

// All implements eventstore.Store.
func (s *Store) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	limit := s.durable.load()
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.after(ctx, after, limit, func(f frame, e *eventstore.Recorded, d *decoder) bool {
			if e != nil {
				return yield(*e, nil)
			}
			return yield(d.event(f), nil)
		}); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

// after calls each for what ends after after and by limit, in order, until it returns false: with the event, where that is
// decoded already, or with who decodes it.
func (s *Store) after(ctx context.Context, after, limit eventstore.Position,
	each func(frame, *eventstore.Recorded, *decoder) bool,
) error {
	if events, ok := s.latest.since(ctx, after, limit); ok {
		return s.each(ctx, events, func(e *read) bool { return each(e.frame, &e.event, nil) })
	}
	r := s.reader()
	return s.frames(ctx, &r, after, limit, func(f frame) bool { return each(f, nil, &r.dec) })
}

// frames calls each for every frame that ends after after and by limit, until it returns false.
func (s *Store) frames(ctx context.Context, r *reader, after, limit eventstore.Position, each func(frame) bool) error {
	pos, batch := noPosition, make([]frame, 0, framesAtOnce)
	for {
		batch = batch[:0]
		err := s.reading(func() (err error) {
			if pos == noPosition {
				if pos, err = s.seek(r, after, limit); err != nil {
					return err
				}
			}
			batch, pos, err = r.batch(batch, pos, limit)
			return err
		})
		for _, f := range batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			if f.position() > after && !each(f) {
				return nil
			}
		}
		if err != nil || len(batch) == 0 {
			if err == nil {
				err = ctx.Err()
			}
			return err
		}
	}
}

// batch reads the frames of one block, so that the store is held once for all of them. At the limit it returns none.
func (r *reader) batch(dst []frame, pos, limit eventstore.Position) ([]frame, eventstore.Position, error) {
	for len(dst) < cap(dst) {
		f, err := r.next(pos, limit)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return dst, pos, err
		}
		dst = append(dst, f)
		pos = f.position()
	}
	return dst, pos, nil
}

// seek returns where to start reading what ends after after: there, if an event or a group starts there, else at the
// start of its segment.
func (s *Store) seek(r *reader, after, limit eventstore.Position) (eventstore.Position, error) {
	if after >= limit {
		return limit, nil
	}
	segs := *s.segs.Load()
	g := segs[segmentAt(segs, after)]
	if after < g.base+segmentStart {
		return g.base, nil
	}
	_, err := r.next(after, limit)
	if err == nil || errors.Is(err, io.EOF) {
		return after, nil
	}
	if _, damaged := errors.AsType[*DamageError](err); !damaged {
		return 0, err
	}
	// Not a boundary: from the start of the group it is in. Damaged: then reading from the segment's start will meet it.
	if groups, err := s.groupStarts(g, after); err == nil && len(groups) > 0 {
		return groups[len(groups)-1], nil
	}
	return g.base, nil
}

// Stream implements eventstore.Store. It yields what was durable when it was called.
func (s *Store) Stream(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	from = max(from, 0)
	known := s.recent.look(stream, from)
	limit := s.durable.load()
	if known.known && known.n == 0 && ctx.Err() == nil && s.open() { // Most know all of it.
		return nothing
	}
	captured := span{stream, from, limit, known}
	return func(yield func(eventstore.Recorded, error) bool) {
		w := captured // Which is so kept by the closure itself, not beside it.
		if err := s.readStream(ctx, &w, yield); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

func nothing(func(eventstore.Recorded, error) bool) {}

// End implements eventstore.Ending.
func (s *Store) End(stream string) (last eventstore.Revision, known bool) {
	last, known, _ = s.recent.end(stream)
	return last, known && s.open()
}

// Settle implements eventstore.Settling: what is stamped can be read, and what is not yet will be stamped later, by the clock
// of whoever asks.
func (s *Store) Settle(ctx context.Context, _ time.Time) error {
	s.stamped.RLock()
	defer s.stamped.RUnlock()
	return ctx.Err()
}

// span is what one call of Stream reads.
type span struct {
	stream string
	from   eventstore.Revision
	limit  eventstore.Position // What was durable when it was called.
	seen                       // Just before.
}

// written is where the log held all that may be expected of the stream.
func (w *span) written() eventstore.Position { return min(w.upTo+1, w.limit) }

// loader is what reading a stream needs, used by one reader after the other.
type loader struct {
	reader
	starts []eventstore.Position
	frames []frame
}

var loaders = sync.Pool{New: func() any { return &loader{frames: make([]frame, 0, 16)} }}

func (s *Store) loader() *loader {
	l := loaders.Get().(*loader)
	l.reader = s.reader()
	return l
}

func (l *loader) release() {
	clear(l.frames[:cap(l.frames)]) // Their bytes are the readers'.
	l.reader = reader{}
	loaders.Put(l)
}

func (s *Store) readStream(ctx context.Context, w *span, yield func(eventstore.Recorded, error) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !w.known {
		if err := s.indexed.wait(ctx, w.written()); err != nil {
			return err
		}
	}
	l := s.loader()
	defer l.release()
	for from := w.from; ; {
		err := l.load(w, from)
		for _, f := range l.frames {
			if f.revision() != from || string(f.stream()) != w.stream {
				return damage(f.position()-eventstore.Position(len(f)),
					"index: expected revision %d of %s, found %d of %s", from, w.stream, f.revision(), f.stream())
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(l.dec.event(f), nil) {
				return nil
			}
			from++
		}
		more := len(l.frames) == streamChunk
		if err == nil && !w.known && !more {
			s.recent.readTo(w.stream, w.from, from-1, l.starts[:len(l.frames)], w.rotations)
		}
		if err != nil || w.known || !more {
			return err
		}
	}
}

// load reads the frames of the span from a revision on, as many as are looked up at once.
func (l *loader) load(w *span, from eventstore.Revision) error {
	l.frames = l.frames[:0]
	return l.store.reading(func() (err error) {
		if w.known {
			l.starts = append(l.starts[:0], w.starts[:w.n]...)
		} else if l.starts, err = l.store.index.starts(l.starts[:0], w.stream, from, streamChunk, w.written()); err != nil {
			return err
		}
		l.frames, err = l.framesAt(l.frames, l.starts, w.limit)
		return err
	})
}

// framesAt reads the frames that start at starts, up to limit. The caller is reading.
func (r *reader) framesAt(dst []frame, starts []eventstore.Position, limit eventstore.Position) ([]frame, error) {
	for _, at := range starts {
		if at >= limit {
			break
		}
		f, err := r.frameAt(at)
		if err != nil {
			return dst, err
		}
		dst = append(dst, f)
	}
	return dst, nil
}

// Leaves yields what the transparency log needs of every event after position after, in order, up to the head when it
// was called. It is the commitment as stored; Verify compares it with the event.
func (s *Store) Leaves(ctx context.Context, after eventstore.Position) iter.Seq2[leaf.Committed, error] {
	limit := s.durable.load()
	return func(yield func(leaf.Committed, error) bool) {
		if err := s.after(ctx, after, limit, func(f frame, _ *eventstore.Recorded, _ *decoder) bool {
			return yield(leaf.Committed{
				Ordinal: f.ordinal(), Revision: f.revision(), Position: f.position(), Suite: f.suite(),
				Commitment: [32]byte(f[offCommitment:]), Stream: f.stream(),
			}, nil)
		}); err != nil {
			yield(leaf.Committed{}, err)
		}
	}
}
