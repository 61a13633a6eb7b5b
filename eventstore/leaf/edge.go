package leaf

import "crypto/sha256"

// Edge is the right edge of an RFC 6962 tree: the roots of its full subtrees, the largest first. It is all that is needed
// to go on adding leaves and to know the root over them. The zero Edge is the empty tree.
type Edge struct {
	size uint64
	full [][32]byte
}

// Add appends a leaf by its [NodeHash].
func (e *Edge) Add(h [32]byte) {
	for n := e.size; n&1 == 1; n >>= 1 {
		h = parent(e.full[len(e.full)-1], h)
		e.full = e.full[:len(e.full)-1]
	}
	e.full = append(e.full, h)
	e.size++
}

// Size is how many leaves there are.
func (e *Edge) Size() uint64 { return e.size }

// Root is the root over all leaves (RFC 6962 §2.1).
func (e *Edge) Root() [32]byte {
	if len(e.full) == 0 {
		return sha256.Sum256(nil)
	}
	h := e.full[len(e.full)-1]
	for i := len(e.full) - 2; i >= 0; i-- {
		h = parent(e.full[i], h)
	}
	return h
}

func parent(left, right [32]byte) [32]byte {
	var b [1 + 64]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
