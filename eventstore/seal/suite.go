package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// Suite is a set of algorithms; its number is stored with everything it made.
type Suite byte

// Suites.
const (
	INTL Suite = 0x01 // AES-256-GCM, HMAC-SHA-256.
	GM   Suite = 0x02 // SM4-GCM, HMAC-SM3 (国密).
)

func (s Suite) String() string {
	switch s {
	case INTL:
		return "INTL"
	case GM:
		return "GM"
	}
	return fmt.Sprintf("suite 0x%02x", byte(s))
}

// ParseSuite reads "INTL" or "GM".
func ParseSuite(name string) (Suite, error) {
	switch name {
	case "INTL":
		return INTL, nil
	case "GM":
		return GM, nil
	}
	return 0, fmt.Errorf("seal: no suite %q (INTL or GM)", name)
}

// ErrSuite means a value was made by a suite this program does not have.
var ErrSuite = errors.New("seal: unknown suite")

const (
	nonceLen = 12
	tagLen   = 16
	keyLen   = 48 // 32 for AES-256, then 16 for SM4: one subject key serves both suites, with no bit shared.
)

// secret is key material. It never prints.
type secret [keyLen]byte

func (secret) String() string   { return "[redacted]" }
func (secret) GoString() string { return "[redacted]" }

// aead is the cipher of suite s under key.
func (s Suite) aead(key *secret) (cipher.AEAD, error) {
	var block cipher.Block
	var err error
	switch s {
	case INTL:
		block, err = aes.NewCipher(key[:32])
	case GM:
		block, err = sm4.NewCipher(key[32:])
	default:
		return nil, fmt.Errorf("%w: 0x%02x", ErrSuite, byte(s))
	}
	if err != nil {
		return nil, fmt.Errorf("seal: make cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

func (s Suite) hash() func() hash.Hash {
	if s == GM {
		return sm3.New
	}
	return sha256.New
}
