package embedded

import (
	"context"
	"sort"
	"sync"

	"zujian/eventstore"
)

// latestBytes is how much of the log's end is kept as events: what is written in some tenths of a second under full load,
// and nobody who follows the log at its head stays longer behind.
const latestBytes = 4 << 20

// latestRoom is how many times what is kept has room at once: so much is read until it is moved.
const latestRoom = 4

// latest is the end of the log as its followers read it: who comes first reads, checks and decodes for all. It begins where
// the log ended when it was opened, so that whoever reads the past reads the segments.
type latest struct {
	bytes eventstore.Position // It keeps no more of the log.

	mu       sync.Mutex
	rd       reader
	from, to eventstore.Position // Kept are the events that end after from and by to.
	kept     []read              // Only appended to and cut off in front: others still read it.
}

// read is an event as it was read.
type read struct {
	frame frame
	event eventstore.Recorded
}

// since returns what ends after after and by limit. ok is false if the segments must be asked: that is too long ago, or
// cannot be read.
func (l *latest) since(ctx context.Context, after, limit eventstore.Position) (events []read, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case after >= limit:
		return nil, true
	case after < l.from, limit-after > l.bytes:
		return nil, false
	}
	if after > l.to { // Nobody followed for a while.
		l.from, l.to, l.kept = after, after, nil
	}
	if limit > l.to && !l.grow(ctx, limit) {
		return nil, false
	}
	return l.kept[l.index(after):l.index(limit)], true
}

// index is how many of the events kept end by pos.
func (l *latest) index(pos eventstore.Position) int {
	return sort.Search(len(l.kept), func(i int) bool { return l.kept[i].event.Position > pos })
}

// grow reads on up to limit, and lets go of what is too much then.
func (l *latest) grow(ctx context.Context, limit eventstore.Position) bool {
	grown := l.kept
	err := l.rd.store.frames(ctx, &l.rd, l.to, limit, func(f frame) bool {
		grown = append(grown, read{f, l.rd.dec.event(f)})
		return true
	})
	if err != nil {
		return false
	}
	l.kept, l.to = grown, limit
	if l.to-l.from > l.bytes {
		n := l.index(l.to - l.bytes)
		if n > 0 {
			l.from = l.kept[n-1].event.Position
		}
		l.kept = l.kept[n:]
		if cap(l.kept)-len(l.kept) < len(l.kept)/latestRoom { // Grown by itself it would be copied whole for each quarter of it.
			l.kept = append(make([]read, 0, latestRoom*len(l.kept)), l.kept...)
		}
	}
	return true
}

// each calls yield for every event until it returns false, as long as the store is open.
func (s *Store) each(ctx context.Context, events []read, yield func(*read) bool) error {
	for i := range events {
		if i%framesAtOnce == 0 {
			if err := s.reading(ctx.Err); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(&events[i]) {
			return nil
		}
	}
	return s.reading(ctx.Err)
}
