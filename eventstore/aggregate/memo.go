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

// Memo is a domain.Memo of fixed size, safe for concurrent use without locks: a new event takes the place of whichever
// its hash falls on. A find compares the whole event as stored, so it is never another's.
type Memo struct {
	seed  maphash.Seed
	slots []atomic.Pointer[remembered]
}

type remembered struct {
	name    string
	version int
	data    []byte
	event   domain.Event
}

// NewMemo keeps at most so many events, about 4 KB each; a power of two.
func NewMemo(events int) *Memo {
	if events < 1 || events&(events-1) != 0 {
		panic("aggregate: the size of a memo is a power of two") // Only a programming error gets here.
	}
	return &Memo{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[remembered], events)}
}

func (m *Memo) slot(data []byte) *atomic.Pointer[remembered] {
	return &m.slots[maphash.Bytes(m.seed, data)&uint64(len(m.slots)-1)]
}

// Find implements domain.Memo.
func (m *Memo) Find(name string, version int, data []byte) (domain.Event, bool) {
	r := m.slot(data).Load()
	if r == nil || r.version != version || r.name != name || !bytes.Equal(r.data, data) {
		return nil, false
	}
	return r.event, true
}

// Keep implements domain.Memo.
func (m *Memo) Keep(name string, version int, data []byte, e domain.Event) {
	if len(data) <= memoBytesMax {
		m.slot(data).Store(&remembered{name, version, data, e})
	}
}

// Check decodes again all that is kept, by a catalogue without memo, and names an event that a reader has changed. Tests
// call it after running everything that reads events.
func (m *Memo) Check(c domain.Catalogue) error {
	for i := range m.slots {
		r := m.slots[i].Load()
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
