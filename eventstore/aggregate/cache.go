package aggregate

import (
	"slices"
	"sync"

	"zujian/eventstore"
)

// recentMax is how many last events of a stream are searched for a repeated command. A retry comes while the client
// still waits; no stream of one contract or unit sees this many events meanwhile.
const recentMax = 64

// entry is a state folded up to a revision; nil is that of a stream without events. What the cache or a context of [Once]
// holds is shared and never changes: who folds more takes a copy of its own.
type entry[S any] struct {
	state    S
	revision eventstore.Revision
	position eventstore.Position
	recent   []mark
}

// now is the state.
func (e *entry[S]) now() (s S) {
	if e != nil {
		s = e.state
	}
	return s
}

// at is the revision.
func (e *entry[S]) at() eventstore.Revision {
	if e == nil {
		return eventstore.NoStream
	}
	return e.revision
}

// own is a copy that may change.
func (e *entry[S]) own() *entry[S] {
	if e == nil {
		return &entry[S]{revision: eventstore.NoStream}
	}
	own := *e
	own.recent = slices.Clip(own.recent)
	return &own
}

type mark struct {
	id   [16]byte
	name string
}

func (e *entry[S]) result(written int) Result {
	if e == nil {
		return Result{Revision: eventstore.NoStream}
	}
	return Result{Revision: e.revision, Position: e.position, Events: written}
}

func (e *entry[S]) find(id [16]byte) (typeName string, ok bool) {
	if e == nil {
		return "", false
	}
	for i := range e.recent {
		if e.recent[i].id == id {
			return e.recent[i].name, true
		}
	}
	return "", false
}

func (e *entry[S]) remember(id [16]byte, name string) {
	if len(e.recent) == cap(e.recent) { // Full, or shared.
		last := e.recent[max(0, len(e.recent)-recentMax):]
		e.recent = append(make([]mark, 0, len(last)+max(4, len(last)/2)), last...)
	}
	e.recent = append(e.recent, mark{id, name})
}

// Cache keeps the folded states of the streams used last. It is safe for concurrent use.
type Cache struct {
	max   int
	mu    sync.Mutex
	slots map[string]*slot
	ring  slot // Of all slots; the one used last comes after it, the one least lately before.
}

type slot struct {
	stream       string
	revision     eventstore.Revision
	entry        any // *entry[S] of the stream's decider.
	before, next *slot
}

// leave takes a slot out of its ring.
func (s *slot) leave() { s.before.next, s.next.before = s.next, s.before }

// enter puts it after another.
func (s *slot) enter(after *slot) {
	s.before, s.next = after, after.next
	s.before.next, s.next.before = s, s
}

// NewCache keeps at most streams states, least recently used out first. A state is some hundred bytes to a few KB.
func NewCache(streams int) *Cache {
	c := &Cache{max: max(streams, 1), slots: map[string]*slot{}}
	c.ring.before, c.ring.next = &c.ring, &c.ring
	return c
}

// start is the cached state of a stream, or nil.
func start[S any](c *Cache, stream string) *entry[S] {
	e, _ := c.find(stream).(*entry[S]) // That of another decider of the same category is none: only tests have one.
	return e
}

func (c *Cache) find(stream string) any {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.used(stream); s != nil {
		return s.entry
	}
	return nil
}

// used finds a slot and notes that it is used now; under the lock.
func (c *Cache) used(stream string) *slot {
	s := c.slots[stream]
	if s != nil {
		s.leave()
		s.enter(&c.ring)
	}
	return s
}

// keep remembers a state unless a newer one is there.
func keep[S any](c *Cache, stream string, e *entry[S]) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.used(stream); s != nil {
		if s.revision < e.revision {
			s.revision, s.entry = e.revision, e
		}
		return
	}
	s := &slot{stream: stream, revision: e.revision, entry: e}
	c.slots[stream] = s
	s.enter(&c.ring)
	if len(c.slots) > c.max {
		last := c.ring.before
		delete(c.slots, last.stream)
		last.leave()
	}
}
