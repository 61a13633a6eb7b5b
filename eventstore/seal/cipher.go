package seal

import (
	"context"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync"
)

// readyMax bounds the ciphers kept: several fields of one subject are sealed or opened in a row, those of the companies and
// owners of the day again and again, and making a cipher costs more than either. A cipher is 1.3 KB.
const readyMax = 2048

// readyCipher is a subject's cipher, ready for use by many at once.
type readyCipher struct {
	suite Suite
	aead  cipher.AEAD
}

// readySubjects are those whose ciphers are kept, by when they were made.
type readySubjects struct {
	mu   sync.Mutex
	ring [readyMax]*subject
	next int // The oldest.
}

// keep adds a subject and lets go of the oldest one's cipher.
func (r *readySubjects) keep(s *subject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if oldest := r.ring[r.next]; oldest != nil && oldest != s {
		oldest.ready.Store(nil)
	}
	r.ring[r.next] = s
	r.next = (r.next + 1) % readyMax
}

// cipher gives the cipher of a suite under the subject's key; create allows making the key.
func (v *Vault) cipher(ctx context.Context, id subjectID, suite Suite, create bool) (cipher.AEAD, error) {
	s, err := v.subject(ctx, id, create)
	if err != nil {
		return nil, err
	}
	if c := s.ready.Load(); c != nil && c.suite == suite {
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
	if s.key == nil {
		raw, err := v.wrapper.Unwrap(ctx, s.kek, s.suite, label(id), s.sealed[:])
		if err != nil {
			return nil, err
		}
		if len(raw) != keyLen {
			return nil, fmt.Errorf("seal: the wrapper gave a key of %d bytes", len(raw))
		}
		key := secret(raw)
		s.key = &key
	}
	aead, err := suite.aead(s.key)
	if err == nil {
		s.ready.Store(&readyCipher{suite, aead})
		v.ready.keep(s)
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
