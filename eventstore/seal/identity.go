package seal

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
)

// identity is what the register itself keeps secret: the root of the blind-index keys and the signing key. They are
// not erased with anybody.
type identity struct {
	blind func() hash.Hash // Of the suite the folder was created with.
	root  [32]byte
	sign  ed25519.PrivateKey
}

func (*identity) LogValue() slog.Value { return slog.StringValue("[redacted]") }
func (*identity) String() string       { return "[redacted]" }
func (*identity) GoString() string     { return "[redacted]" }

// The file: suite, KEK version, then the wrapped root and the wrapped signing seed, and a CRC-32C in hex.
const identityLen = 2 + 2*wrappedLen + 8

func openIdentity(path string, suite Suite, w KeyWrapper, rand io.Reader) (*identity, error) {
	ctx := context.Background()
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if data, err = newIdentity(ctx, suite, w, rand); err != nil {
			return nil, err
		}
		if err := writeFile(path, data); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("seal: read identity: %w", err)
	}
	body := data[:max(0, len(data)-8)]
	if len(data) != identityLen || string(data[len(body):]) != string(checksum(body)) {
		return nil, errors.New("seal: the identity file is damaged: restore the key folder from its backup")
	}
	var parts [2][]byte
	for i, name := range []string{"blind", "sign"} {
		from := 2 + i*wrappedLen
		parts[i], err = w.Unwrap(ctx, data[1], Suite(data[0]), []byte("zujian "+name), data[from:from+wrappedLen])
		if err != nil {
			return nil, fmt.Errorf("seal: open identity: %w", err)
		}
	}
	return &identity{
		blind: Suite(data[0]).hash(),
		root:  [32]byte(parts[0][:32]),
		sign:  ed25519.NewKeyFromSeed(parts[1][:ed25519.SeedSize]),
	}, nil
}

func newIdentity(ctx context.Context, suite Suite, w KeyWrapper, rand io.Reader) ([]byte, error) {
	data := []byte{byte(suite), w.KeyID()}
	for _, name := range []string{"blind", "sign"} {
		var key secret
		if _, err := io.ReadFull(rand, key[:]); err != nil {
			return nil, fmt.Errorf("seal: make identity: %w", err)
		}
		wrapped, err := w.Wrap(ctx, suite, []byte("zujian "+name), key[:])
		if err != nil {
			return nil, fmt.Errorf("seal: make identity: %w", err)
		}
		data = append(data, wrapped...)
	}
	return append(data, checksum(data)...), nil
}

func checksum(b []byte) []byte {
	return fmt.Appendf(nil, "%08x", crc32.Checksum(b, castagnoli))
}

// Blind is the blind index of a normalised value: 128 bits of HMAC in hex, under a key of its own for each purpose
// ("id_no", "phone"). Equal values have equal indexes, so treat it as personal data all the same.
func (v *Vault) Blind(purpose, value string) string {
	key, err := hkdf.Key(v.identity.blind, v.identity.root[:], nil, "zujian blind "+purpose, 32)
	if err != nil {
		panic("seal: " + err.Error()) // Only an output longer than 255 hashes fails.
	}
	mac := hmac.New(v.identity.blind, key)
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Sign signs data with the register's Ed25519 key (RFC 8032): certificates and verification answers.
func (v *Vault) Sign(data []byte) []byte { return ed25519.Sign(v.identity.sign, data) }

// Verify checks a signature of this register.
func (v *Vault) Verify(data, signature []byte) bool { return Verify(v.PublicKey(), data, signature) }

// PublicKey is the key others verify with, 32 bytes.
func (v *Vault) PublicKey() []byte {
	return []byte(v.identity.sign.Public().(ed25519.PublicKey))
}

// Verify checks an Ed25519 signature; false for a key of the wrong length.
func Verify(publicKey, data, signature []byte) bool {
	return len(publicKey) == ed25519.PublicKeySize && ed25519.Verify(publicKey, data, signature)
}
