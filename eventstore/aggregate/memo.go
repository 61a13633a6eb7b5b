package aggregate

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"reflect"
	"sync/atomic"

	"zujian/domain"
)

// memoBytesMax is the longest event a Memo keeps: what is longer is rare, and would make it large.
const memoBytesMax = 16 << 10

// memoWays is how many events whose hashes fall on one place are kept: with one alone, a tenth of what was written a moment
// ago would be gone when its readers come.
const memoWays = 4

// memoHashed is how much of an event is hashed: its ids stand at its beginning.
const memoHashed = 256

// Texts that a Memo keeps: codes, kinds and ids, which states hold by the ten thousand. What is longer is seldom met twice.
const (
	memoTexts    = 1 << 13 // A power of two.
	memoTextsMax = 40      // Bytes of one.
)

// Memo is a domain.Memo of fixed size, safe for concurrent use without locks: a new event takes the place of the oldest of
// those its hash falls on. A find compares the whole event as stored, so it is never another's.
type Memo struct {
	seed  maphash.Seed
	sets  []memoSet
	texts [memoTexts]memoText
}

// memoText is a place for a text. One is kept when it comes twice before another does: most that come once never come again.
type memoText struct {
	last atomic.Uint32 // Tag of the text that came last and was not kept.
	tag  atomic.Uint32 // Of the text that is kept, as of events: another is seen without looking at it.
	kept atomic.Pointer[string]
}

// memoSet tells by its tags, which lie together, that an event is not there: most that are looked for were never kept, and
// those that were lie far apart. Two kept in one way at the same time may get each other's tag, and are then not found.
type memoSet struct {
	kept atomic.Uint32           // Events so far.
	tags [memoWays]atomic.Uint32 // Of the hashes of the events beside them.
	ways [memoWays]atomic.Pointer[remembered]
}

type remembered struct {
	name    string
	version int
	data    []byte
	event   domain.Event
}

// NewMemo keeps at most so many events, about 4 KB each; a power of two, four or more.
func NewMemo(events int) *Memo {
	if events < memoWays || events&(events-1) != 0 {
		panic("aggregate: the size of a memo is a power of two") // Only a programming error gets here.
	}
	return &Memo{seed: maphash.MakeSeed(), sets: make([]memoSet, events/memoWays)}
}

func (m *Memo) set(data []byte) (set *memoSet, tag uint32) {
	at, tag := m.hash(data[:min(len(data), memoHashed)])
	return &m.sets[at&uint32(len(m.sets)-1)], tag
}

// hash gives a place, to be cut down to how many there are, and a tag.
func (m *Memo) hash(b []byte) (at, tag uint32) {
	hash := maphash.Bytes(m.seed, b)
	return uint32(hash), uint32(hash >> 32)
}

// Find implements domain.Memo.
func (m *Memo) Find(name string, version int, data []byte) (domain.Event, bool) {
	set, tag := m.set(data)
	for i := range set.ways {
		if set.tags[i].Load() != tag {
			continue
		}
		if r := set.ways[i].Load(); r != nil && r.version == version && r.name == name && bytes.Equal(r.data, data) {
			return r.event, true
		}
	}
	return nil, false
}

// Keep implements domain.Memo.
func (m *Memo) Keep(name string, version int, data []byte, e domain.Event) {
	if len(data) <= memoBytesMax {
		set, tag := m.set(data)
		i := (set.kept.Add(1) - 1) % memoWays
		set.ways[i].Store(&remembered{name, version, data, e})
		set.tags[i].Store(tag)
	}
}

// Text implements domain.Memo.
func (m *Memo) Text(b []byte) string {
	if len(b) == 0 || len(b) > memoTextsMax {
		return string(b)
	}
	at, tag := m.hash(b)
	place := &m.texts[at%memoTexts]
	if place.tag.Load() == tag {
		if kept := place.kept.Load(); kept != nil && *kept == string(b) {
			return *kept
		}
	}
	text := string(b)
	if place.last.Swap(tag) == tag {
		place.keep(text, tag)
	}
	return text
}

func (t *memoText) keep(text string, tag uint32) {
	t.kept.Store(&text)
	t.tag.Store(tag)
}

// Check decodes again all that is kept, by a catalogue without memo, and names an event that a reader has changed. Tests
// call it after running everything that reads events.
func (m *Memo) Check(c domain.Catalogue) error {
	for i := range len(m.sets) * memoWays {
		r := m.sets[i/memoWays].ways[i%memoWays].Load()
		if r == nil {
			continue
		}
		fresh, err := c.Decode(r.name, r.version, r.data)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(fresh, r.event) {
			return fmt.Errorf("aggregate: somebody changed a decoded %s: %+v, stored %+v", r.name, r.event, fresh)
		}
	}
	return nil
}
