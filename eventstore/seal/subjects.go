package seal

import (
	"sync"
	"sync/atomic"
)

// subject is one key, which is durable. There is one for every person that the register ever knew: it holds no pointer, so
// that a collector of garbage need not look at it.
type subject struct {
	slot   uint64
	suite  Suite
	kek    byte
	sealed [wrappedLen]byte
	ready  atomic.Uint32 // Where its cipher was put last, counted from one: it is there unless another came since.

	mu     sync.Mutex
	key    secret // Once unwrapped.
	opened bool   // The key is.
	erased bool
	buried bool // There is a tombstone.
}

// subjects finds them by id. Their memory comes in blocks, which never move.
type subjects struct {
	at     map[subjectID]uint32
	blocks []*[subjectBlock]subject
}

const subjectBlock = 256

// get gives a subject, or nil.
func (l *subjects) get(id subjectID) *subject {
	n, ok := l.at[id]
	if !ok {
		return nil
	}
	return &l.blocks[n/subjectBlock][n%subjectBlock]
}

// add gives room for a subject that is not there.
func (l *subjects) add(id subjectID) *subject {
	n := uint32(len(l.at))
	if n%subjectBlock == 0 {
		l.blocks = append(l.blocks, new([subjectBlock]subject))
	}
	l.at[id] = n
	return &l.blocks[n/subjectBlock][n%subjectBlock]
}

// bury adds a subject that has no key and never gets one.
func (l *subjects) bury(id subjectID) {
	s := l.add(id)
	s.erased, s.buried = true, true
}

// holds makes a subject that of a slot.
func (s *subject) holds(n uint64, of slot) {
	s.slot, s.suite, s.kek, s.sealed, s.erased = n, of.suite, of.kek, of.wrapped, of.status == slotErased
}

func (s *subject) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.erased
}

// destroyed notes that the key is gone; the caller holds the subject's lock.
func (s *subject) destroyed() {
	s.key, s.opened, s.sealed, s.erased, s.buried = secret{}, false, [wrappedLen]byte{}, true, true
}
