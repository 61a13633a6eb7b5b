package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sort"

	"zujian/eventstore"
)

const scanWindow = 1 << 20

// scanner walks whole groups and checks every byte of them. It is for recovery and verification; readers of events
// walk frames (see reader).
type scanner struct {
	segs  []*segment
	seed  uint32
	limit eventstore.Position      // Where the log is known to end; noPosition to find out.
	guard func(func() error) error // Keeps the store open during f; nil if nothing can close it.

	window []byte // Bytes of the segment of from position at on.
	of     *segment
	at     eventstore.Position
}

func (s *scanner) guarded(f func() error) error {
	if s.guard == nil {
		return f()
	}
	return s.guard(f)
}

// segmentAt returns the index of the segment that holds the byte at pos.
func segmentAt(segs []*segment, pos eventstore.Position) int {
	return sort.Search(len(segs), func(i int) bool { return segs[i].base > pos }) - 1
}

// bytes returns n bytes of the segment from pos on, or as many as the file has.
func (s *scanner) bytes(g *segment, pos eventstore.Position, n int) ([]byte, error) {
	left := int64(g.base) + g.size - int64(pos)
	n = int(min(int64(n), max(left, 0)))
	if g != s.of || pos < s.at || pos+eventstore.Position(n) > s.at+eventstore.Position(len(s.window)) {
		size := int(min(max(int64(n), scanWindow), left))
		if cap(s.window) < size {
			s.window = make([]byte, size)
		}
		s.window, s.of, s.at = s.window[:size], g, pos
		if err := s.guarded(func() error { return g.read(s.window, int64(pos-g.base)) }); err != nil {
			s.of = nil
			return nil, err
		}
	}
	off := int(pos - s.at)
	return s.window[off : off+n], nil
}

// group reads and checks the group at m.pos. bad tells why there is none; err is a failed read. The body is valid until
// the next call.
func (s *scanner) group(g *segment, m mark) (body []byte, next mark, bad, err error) {
	head, err := s.bytes(g, m.pos, groupHeader)
	if err != nil {
		return nil, m, nil, err
	}
	h, bad := readGroupHead(head, s.seed, m.pos)
	if bad != nil {
		return nil, m, bad, nil
	}
	if body, err = s.bytes(g, m.pos+groupHeader, int(h.body)); err != nil {
		return nil, m, nil, err
	}
	if len(body) < int(h.body) {
		return nil, m, errShort, nil
	}
	if crc32.Update(s.seed, castagnoli, body) != h.bodyCRC {
		return nil, m, errCRC, nil
	}
	next, err = s.frames(h, body, m)
	return body, next, nil, err
}

// frames checks the frames of a group whose checksum is right: what is wrong now was written wrong.
func (s *scanner) frames(h groupHead, body []byte, m mark) (mark, error) {
	if h.ordinal != m.ordinal {
		return m, damage(m.pos, "the group starts with event %d, not %d", h.ordinal, m.ordinal)
	}
	next := mark{last: m.pos, pos: m.pos + groupHeader, ordinal: m.ordinal, storedAt: m.storedAt}
	for len(body) > 0 {
		f, bad := readFrame(body, s.seed, next.pos)
		if bad != nil {
			return m, damage(next.pos, "frame: %v", bad)
		}
		if f.ordinal() != next.ordinal {
			return m, damage(next.pos, "the frame is event %d, not %d", f.ordinal(), next.ordinal)
		}
		if f.storedAt() < next.storedAt {
			return m, damage(next.pos, "event %d was stored before the one before it", f.ordinal())
		}
		next.pos, next.ordinal, next.storedAt = f.position(), next.ordinal+1, f.storedAt()
		body = body[len(f):]
	}
	if n := next.ordinal - m.ordinal; n != uint64(h.events) {
		return m, damage(m.pos, "the group holds %d events, not %d", n, h.events)
	}
	return next, nil
}

// walk calls each for every group from m on. It returns the end of the last good group, and why no other follows it.
// Damage before the end of the last segment is an error.
func (s *scanner) walk(ctx context.Context, m mark, each func(start mark, body []byte, next mark) error) (end mark, torn, err error) {
	at := m.pos // Where the next group may start; m stays at the end of the last.
	for {
		if err := ctx.Err(); err != nil {
			return m, nil, err
		}
		if m.pos >= s.limit {
			return m, nil, nil
		}
		i := segmentAt(s.segs, at)
		g := s.segs[i]
		if at == g.base {
			if g.ordinal != m.ordinal {
				return m, nil, damage(at, "%s starts with event %d, not %d", g.name, g.ordinal, m.ordinal)
			}
			if at += segmentHeader; at == g.end {
				continue // Its first group did not fit.
			}
		}
		start := m
		start.pos = at
		body, next, bad, err := s.group(g, start)
		if err != nil {
			return m, nil, err
		}
		if bad != nil {
			if g.end != 0 {
				return m, nil, damage(start.pos, "%s: %v, and %s follows", g.name, bad, s.segs[i+1].name)
			}
			return m, bad, nil
		}
		if g.end != 0 && next.pos > g.end {
			return m, nil, damage(start.pos, "%s: a group reaches into %s", g.name, s.segs[i+1].name)
		}
		if err := each(start, body, next); err != nil {
			return m, nil, err
		}
		m, at = next, next.pos
	}
}

// writable returns where the group after m starts: behind the header if the last segment has no group yet.
func (s *scanner) writable(m mark) mark {
	m.pos = max(m.pos, s.segs[len(s.segs)-1].base+segmentHeader)
	return m
}

// tail looks behind the end of the log in the last segment. A group there that says all before it was durable makes
// what ends the log damage. Otherwise it returns the end of what is not zero: the remains of a group never acknowledged.
func (s *scanner) tail(end mark, torn error) (dirty eventstore.Position, err error) {
	g := s.segs[len(s.segs)-1]
	magic := le.AppendUint32(nil, groupMagic)
	last := g.base + eventstore.Position(g.size)
	for pos := end.pos; pos < last; {
		b, err := s.bytes(g, pos, scanWindow)
		if err != nil {
			return 0, err
		}
		if n := len(bytes.TrimRight(b, "\x00")); n > 0 {
			dirty = pos + eventstore.Position(n)
		}
		for off := 0; ; off++ {
			i := bytes.Index(b[off:], magic)
			if i < 0 {
				break
			}
			off += i
			at := pos + eventstore.Position(off)
			if at == end.pos {
				continue
			}
			h, bad := readGroupHead(b[off:], s.seed, at)
			if errors.Is(bad, errShort) {
				break // The windows overlap by a header: it is seen whole in the next one.
			}
			if bad == nil && h.synced > end.pos {
				return 0, damage(end.pos, "%v, though the group at %d was written after it was durable", torn, at)
			}
		}
		if len(b) < scanWindow {
			break
		}
		pos += scanWindow - groupHeader
	}
	return dirty, nil
}

// resume checks the group before the index's mark: the index saw it durable, so it cannot be torn.
func (s *scanner) resume(m mark) error {
	last := s.segs[len(s.segs)-1]
	if m.pos > last.base+eventstore.Position(last.size) {
		return damage(last.base+eventstore.Position(last.size), "the log is cut short: its index goes to %d", m.pos)
	}
	if m.last == 0 {
		return nil
	}
	g := s.segs[segmentAt(s.segs, m.last)]
	b, err := s.bytes(g, m.last, groupHeader)
	if err != nil {
		return err
	}
	h, bad := readGroupHead(b, s.seed, m.last)
	if bad == nil {
		_, next, why, err := s.group(g, mark{pos: m.last, ordinal: h.ordinal})
		if err != nil {
			return err
		}
		if bad = why; bad == nil && (next.pos != m.pos || next.ordinal != m.ordinal) {
			bad = fmt.Errorf("ends at %d with event %d", next.pos, next.ordinal)
		}
	}
	if bad != nil {
		return damage(m.last, "the last group the index knows: %v", bad)
	}
	return nil
}
