package embedded

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"zujian/eventstore"
)

// StreamBack implements eventstore.Store. It yields what was durable when it was called.
func (s *Store) StreamBack(ctx context.Context, stream string, from eventstore.Revision) iter.Seq2[eventstore.Recorded, error] {
	limit := s.durable.load()
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.readStreamBack(ctx, stream, from, limit, yield); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

func (s *Store) readStreamBack(ctx context.Context, stream string, from eventstore.Revision, limit eventstore.Position,
	yield func(eventstore.Recorded, error) bool,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.indexed.wait(ctx, limit); err != nil {
		return err
	}
	r := s.reader()
	var starts []eventstore.Position
	var frames []frame
	for chunk := 1; from >= 0; chunk = streamChunk { // Most want the last event only.
		err := s.reading(func() (err error) {
			frames = frames[:0]
			if starts, err = s.index.startsBack(starts[:0], stream, from, chunk, limit); err != nil {
				return err
			}
			for _, at := range starts {
				f, err := r.frameAt(at)
				if err != nil {
					return err
				}
				frames = append(frames, f)
			}
			return nil
		})
		for i, f := range frames {
			if i == 0 {
				from = f.revision() // It may have been asked from beyond the end.
			}
			if f.revision() != from || string(f.stream()) != stream {
				return damage(f.position()-eventstore.Position(len(f)),
					"index: expected revision %d of %s, found %d of %s", from, stream, f.revision(), f.stream())
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(r.dec.event(f), nil) {
				return nil
			}
			from--
		}
		if err != nil || len(frames) < chunk {
			return err
		}
	}
	return nil
}

// AllBack implements eventstore.Store. A segment's groups are found by their headers, from its start; most want the last
// events only, and the last group is known.
func (s *Store) AllBack(ctx context.Context, upTo eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	s.durable.mu.Lock()
	limit, last := s.durable.load(), s.durable.last
	s.durable.mu.Unlock()
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.readBack(ctx, upTo, limit, last, yield); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

func (s *Store) readBack(ctx context.Context, upTo, limit, last eventstore.Position, yield func(eventstore.Recorded, error) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	segs := *s.segs.Load() // Sealed segments stay; a later one holds nothing by limit.
	r := s.reader()
	end := min(upTo, limit) // Groups that start before it are still to be read.
	if upTo >= limit && last > 0 {
		if more, err := r.groupBack(ctx, segs[segmentAt(segs, last)], last, upTo, yield); err != nil || !more {
			return err
		}
		end = last
	}
	for i := segmentAt(segs, end); i >= 0; i-- {
		var groups []eventstore.Position
		err := s.reading(func() (err error) {
			groups, err = s.groupStarts(segs[i], end)
			return err
		})
		if err != nil {
			return err
		}
		for _, start := range slices.Backward(groups) {
			if more, err := r.groupBack(ctx, segs[i], start, upTo, yield); err != nil || !more {
				return err
			}
		}
	}
	return s.reading(ctx.Err)
}

// groupBack yields the group's events up to upTo, last first. more is false once yield has had enough.
func (r *reader) groupBack(ctx context.Context, g *segment, start, upTo eventstore.Position, yield func(eventstore.Recorded, error) bool) (more bool, err error) {
	var frames []frame
	err = r.store.reading(func() (err error) {
		frames, err = r.group(g, start)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, f := range slices.Backward(frames) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if f.position() <= upTo && !yield(r.dec.event(f), nil) {
			return false, nil
		}
	}
	return true, nil
}

// groupStarts returns where the groups of the segment start that start before limit. The caller is reading.
func (s *Store) groupStarts(g *segment, limit eventstore.Position) (starts []eventstore.Position, err error) {
	if g.end != 0 {
		limit = min(limit, g.end)
	}
	var head [groupHeader]byte
	for pos := g.base + segmentStart; pos < limit; {
		if err := g.read(head[:], int64(pos-g.base)); err != nil {
			return nil, err
		}
		h, bad := readGroupHead(head[:], s.seed, pos)
		if bad != nil {
			return nil, damage(pos, "group: %v", bad)
		}
		starts = append(starts, pos)
		pos += groupHeader + eventstore.Position(h.body)
	}
	return starts, nil
}

// group returns the frames of the group that starts at pos. The caller is reading.
func (r *reader) group(g *segment, pos eventstore.Position) (frames []frame, err error) {
	var head [groupHeader]byte
	if err := g.read(head[:], int64(pos-g.base)); err != nil {
		return nil, err
	}
	h, bad := readGroupHead(head[:], r.store.seed, pos)
	if bad != nil {
		return nil, damage(pos, "group: %v", bad)
	}
	pos += groupHeader
	for end := pos + eventstore.Position(h.body); pos < end; {
		f, err := r.next(pos, end)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		frames = append(frames, f)
		pos = f.position()
	}
	return frames, nil
}
