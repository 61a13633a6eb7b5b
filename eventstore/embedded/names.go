package embedded

import (
	"hash/maphash"
	"sync/atomic"
)

const nameSlots = 1024 // Types, roles and the actors of the day. A power of two.

// names keeps one copy of texts that many events share, for all readers. Two have room where a text belongs: a new one
// takes the place of the older.
type names struct {
	seed  maphash.Seed
	slots [nameSlots]atomic.Pointer[string]
}

// one returns b as a string, the one returned before if it is still there.
func (n *names) one(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	at := maphash.Bytes(n.seed, b) % nameSlots &^ 1
	first := n.slots[at].Load()
	if first != nil && *first == string(b) {
		return *first
	}
	other := n.slots[at+1].Load()
	if other != nil && *other == string(b) {
		return *other
	}
	s := string(b)
	n.slots[at+1].Store(first)
	n.slots[at].Store(&s)
	return s
}
