package seal

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"sync"
)

// identity is what the register itself keeps secret: the root of the blind-index keys and the signing key. They are
// not erased with anybody.
type identity struct {
	blind func() hash.Hash // Of the suite the folder was created with.
	root  [32]byte
	keys  sync.Map // Of blind indexes, by purpose: this program has a handful.
	sign  ed25519.PrivateKey
}

func (*identity) LogValue() slog.Value { return slog.StringValue("[redacted]") }
func (*identity) String() string       { return "[redacted]" }
func (*identity) GoString() string     { return "[redacted]" }

// A bundle is a file of named secrets: suite, KEK version, each wrapped secret, and a CRC-32C in hex.
type bundle struct {
	file  string
	names []string
}

var (
	identityBundle = bundle{"identity", []string{"blind", "sign"}}
	registerBundle = bundle{"register", []string{"log", "checkpoint", "checkpoint sm2"}}
	bundles        = []bundle{identityBundle, registerBundle}
)

func (b bundle) size() int { return 2 + len(b.names)*wrappedLen + 8 }

// open gives the secrets, and the suite they were made with. Where there is no file it makes them if create allows.
func (b bundle) open(ctx context.Context, d folder, suite Suite, w KeyWrapper, rand io.Reader, create bool) (Suite, [][]byte, error) {
	data, err := d.read(b.file)
	switch {
	case errors.Is(err, os.ErrNotExist) && create:
		parts := make([][]byte, len(b.names))
		for i := range parts {
			parts[i] = make([]byte, keyLen)
			if _, err := io.ReadFull(rand, parts[i]); err != nil {
				return 0, nil, fmt.Errorf("seal: make %s: %w", b.file, err)
			}
		}
		if data, err = b.wrap(ctx, suite, w, parts); err != nil {
			return 0, nil, err
		}
		if err := d.write(b.file, data); err != nil {
			return 0, nil, err
		}
	case err != nil:
		return 0, nil, fmt.Errorf("seal: read %s: %w", b.file, err)
	}
	body := data[:max(0, len(data)-8)]
	if len(data) != b.size() || string(data[len(body):]) != string(checksum(body)) {
		return 0, nil, fmt.Errorf("seal: the %s file is damaged: restore the key folder from its backup", b.file)
	}
	parts := make([][]byte, len(b.names))
	for i, name := range b.names {
		from := 2 + i*wrappedLen
		parts[i], err = w.Unwrap(ctx, data[1], Suite(data[0]), []byte("zujian "+name), data[from:from+wrappedLen])
		if err != nil {
			return 0, nil, fmt.Errorf("seal: open %s: %w", b.file, err)
		}
		if len(parts[i]) != keyLen {
			return 0, nil, fmt.Errorf("seal: open %s: the wrapper gave %d bytes", b.file, len(parts[i]))
		}
	}
	return Suite(data[0]), parts, nil
}

func (b bundle) wrap(ctx context.Context, suite Suite, w KeyWrapper, parts [][]byte) ([]byte, error) {
	data := []byte{byte(suite), w.KeyID()}
	for i, name := range b.names {
		wrapped, err := w.Wrap(ctx, suite, []byte("zujian "+name), parts[i])
		if err != nil {
			return nil, fmt.Errorf("seal: wrap %s: %w", b.file, err)
		}
		data = append(data, wrapped...)
	}
	return append(data, checksum(data)...), nil
}

// rewrap wraps the secrets under the wrapper's current KEK version, under the suite they have. No file is no error.
func (b bundle) rewrap(ctx context.Context, d folder, w KeyWrapper) error {
	if there, err := d.exists(b.file); err != nil || !there {
		return err
	}
	suite, parts, err := b.open(ctx, d, 0, w, nil, false)
	if err != nil {
		return err
	}
	data, err := b.wrap(ctx, suite, w, parts)
	for _, p := range parts {
		clear(p)
	}
	if err != nil {
		return err
	}
	return d.write(b.file, data)
}

func openIdentity(d folder, suite Suite, w KeyWrapper, rand io.Reader) (*identity, error) {
	made, parts, err := identityBundle.open(context.Background(), d, suite, w, rand, true)
	if err != nil {
		return nil, err
	}
	return &identity{
		blind: made.hash(), // Blind indexes hang on it.
		root:  [32]byte(parts[0]), sign: ed25519.NewKeyFromSeed(parts[1][:ed25519.SeedSize]),
	}, nil
}

// owner names the register in files that are its own.
func (i *identity) owner() subjectID {
	return sha256.Sum256(append([]byte("zujian register\x00"), i.sign.Public().(ed25519.PublicKey)...))
}

// RegisterKeys are the secrets of the verifiable register: the key of its leaves' tags, which can never change, and the
// seeds of its two signing keys. They are kept wrapped in DIR/keys/register. create allows making them; without it a
// missing file is an error, so that lost keys are never quietly replaced.
func (v *Vault) RegisterKeys(ctx context.Context, create bool) (log, ed, sm2 [32]byte, err error) {
	_, parts, err := registerBundle.open(ctx, v.folder, v.suite, v.wrapper, v.rand, create)
	if err != nil {
		return log, ed, sm2, err
	}
	return [32]byte(parts[0]), [32]byte(parts[1]), [32]byte(parts[2]), nil
}

func checksum(b []byte) []byte {
	return fmt.Appendf(nil, "%08x", crc32.Checksum(b, castagnoli))
}

// Blind is the blind index of a normalised value: 128 bits of HMAC in hex, under a key of its own for each purpose
// ("id_no", "phone"). Equal values have equal indexes, so treat it as personal data all the same.
func (v *Vault) Blind(purpose, value string) string {
	mac := hmac.New(v.identity.blind, v.identity.key(purpose))
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (i *identity) key(purpose string) []byte {
	if key, ok := i.keys.Load(purpose); ok {
		return key.([]byte)
	}
	key, err := hkdf.Key(i.blind, i.root[:], nil, "zujian blind "+purpose, 32)
	if err != nil {
		panic("seal: " + err.Error()) // Only an output longer than 255 hashes fails.
	}
	i.keys.Store(purpose, key)
	return key
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
