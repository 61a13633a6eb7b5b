package eventstore

import (
	"encoding/hex"
	"fmt"
	"io"
)

// Salt makes an event's commitment unguessable (package leaf): its first byte is the suite of the commitment, 0x01
// SHA-256 or 0x02 SM3, the other 15 are random. It is part of the event, so that a copy of a log has the same
// commitments; the zero Salt lets the store draw one. An event from outside has none: its id takes its place.
type Salt [16]byte

// Suites of a commitment; the numbers are those of package seal.
const (
	SaltINTL byte = 0x01 // SHA-256.
	SaltGM   byte = 0x02 // SM3 (国密).
)

// NewSalt draws a salt of suite from random.
func NewSalt(suite byte, random io.Reader) (s Salt, err error) {
	s[0] = suite
	if _, err := io.ReadFull(random, s[1:]); err != nil {
		return Salt{}, fmt.Errorf("draw salt: %w", err)
	}
	return s, nil
}

// Suite is the suite of the commitment: SaltINTL if there is no salt.
func (s Salt) Suite() byte { return max(s[0], SaltINTL) }

// IsZero tells whether the store is to draw one.
func (s Salt) IsZero() bool { return s == Salt{} }

// MarshalText implements encoding.TextMarshaler: 32 hexadecimal digits.
func (s Salt) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Salt) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("salt of %d characters, not %d", len(text), hex.EncodedLen(len(s)))
	}
	_, err := hex.Decode(s[:], text)
	return err
}

func (s Salt) known() bool { return s.IsZero() || s[0] == SaltINTL || s[0] == SaltGM }
