package seal

import (
	"context"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
)

// readyMax bounds the ciphers kept: several fields of one subject are sealed or opened in a row, those of the companies and
// owners of the day again and again, and making a cipher costs more than either. A cipher is 1.3 KB.
const readyMax = 2048

// readyCipher is a subject's cipher, ready for use by many at once.
type readyCipher struct {
	of    *subject
	suite Suite
	aead  cipher.AEAD
}

// readyCiphers are those made last.
type readyCiphers struct {
	made atomic.Uint32 // How many were, wrapping round.
	ring [readyMax]atomic.Pointer[readyCipher]
}

// keep puts a cipher in the place of the oldest. The caller holds the lock of its subject.
func (r *readyCiphers) keep(c *readyCipher) {
	place := (r.made.Add(1) - 1) % readyMax
	r.ring[place].Store(c)
	c.of.ready.Store(place + 1)
}

// get gives the cipher of a subject, or nil if it is not kept any more.
func (r *readyCiphers) get(s *subject) *readyCipher {
	place := s.ready.Load()
	if place == 0 {
		return nil
	}
	if c := r.ring[place-1].Load(); c != nil && c.of == s {
		return c
	}
	return nil
}

// forget lets go of a subject's cipher. The caller holds the lock of the subject: none is kept meanwhile.
func (r *readyCiphers) forget(s *subject) {
	if c := r.get(s); c != nil {
		r.ring[s.ready.Load()-1].CompareAndSwap(c, nil)
	}
	s.ready.Store(0)
}

// cipher gives the cipher of a suite under the subject's key; create allows making the key.
func (v *Vault) cipher(ctx context.Context, id subjectID, suite Suite, create bool) (cipher.AEAD, error) {
	s, err := v.subject(ctx, id, create)
	if err != nil {
		return nil, err
	}
	if c := v.ready.get(s); c != nil && c.suite == suite {
		return c.aead, nil
	}
	return v.newCipher(ctx, id, s, suite)
}

// newCipher makes a cipher. It is kept and forgotten under the subject's lock, so none outlives its key there.
func (v *Vault) newCipher(ctx context.Context, id subjectID, s *subject, suite Suite) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.erased {
		return nil, ErrErased
	}
	if !s.opened {
		raw, err := v.wrapper.Unwrap(ctx, s.kek, s.suite, label(id), s.sealed[:])
		if err != nil {
			return nil, err
		}
		if len(raw) != keyLen {
			return nil, fmt.Errorf("seal: the wrapper gave a key of %d bytes", len(raw))
		}
		s.key, s.opened = secret(raw), true
	}
	aead, err := suite.aead(&s.key)
	if err == nil {
		v.ready.forget(s)
		v.ready.keep(&readyCipher{s, suite, aead})
	}
	return aead, err
}

// encoding is the one spelling of a sealed value.
var encoding = base64.RawURLEncoding.Strict()

// desk is the room in which one value at a time is sealed or opened.
type desk struct{ raw, text, bound []byte }

const deskKept = 4 << 10 // One that grew for a rare long value is left to the collector.

var desks = sync.Pool{New: func() any { return new(desk) }}

// clear leaves nothing on the desk that somebody may not know, and gives it to the next.
func (w *desk) clear() {
	clear(w.raw[:cap(w.raw)])
	if cap(w.raw) <= deskKept && cap(w.text) <= deskKept && cap(w.bound) <= deskKept {
		desks.Put(w)
	}
}

// appendBound adds the data that bind a ciphertext to its place: suite and KEK version, then each part with its length.
func appendBound(dst, head []byte, parts ...string) []byte {
	dst = append(dst, head...)
	for _, p := range parts {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p)))
		dst = append(dst, p...)
	}
	return dst
}
