package register

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"

	"github.com/emmansun/gmsm/ecdh"
	"github.com/emmansun/gmsm/sm2"
	"golang.org/x/mod/sumdb/note"
)

// Keys are the register's secrets, each of its own. They come from the vault.
type Keys struct {
	Log     [32]byte // Of the tags. It can never change.
	Ed25519 [32]byte // Seed of the signature others check (RFC 8032).
	SM2     [32]byte // Seed of the second signature (GB/T 32918).
}

// String keeps the keys out of fmt.
func (Keys) String() string { return "[redacted]" }

// GoString keeps the keys out of fmt.
func (Keys) GoString() string { return "[redacted]" }

// LogValue keeps the keys out of logs.
func (Keys) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// PublicKeys are what outsiders check the two signature lines with, as verifier keys of signed notes.
type PublicKeys struct{ Ed25519, SM2 string }

const (
	sm2Type = "\xffzujian/sm2-sm3"  // C2SP has no number for it: 0xff and a name.
	sm2User = "1234567812345678"    // The default of GM/T 0009.
	sm2Sign = "zujian register SM2" // Domain of the private key's derivation.
)

// signer is a note.Signer and a note.Verifier of one key.
type signer struct {
	name   string
	id     uint32
	key    string // What others need to verify.
	sign   func(text []byte) ([]byte, error)
	verify func(text, sig []byte) bool
}

func (s *signer) Name() string                     { return s.name }
func (s *signer) KeyHash() uint32                  { return s.id }
func (s *signer) Sign(text []byte) ([]byte, error) { return s.sign(text) }
func (s *signer) Verify(text, sig []byte) bool     { return s.verify(text, sig) }
func (s *signer) String() string                   { return s.key }

// keyID is the id of a key in a signed note.
func keyID(name, typ string, public []byte) uint32 {
	h := sha256.Sum256([]byte(name + "\n" + typ + string(public)))
	return binary.BigEndian.Uint32(h[:])
}

func verifierKey(name, typ string, public []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, typ, public), base64.StdEncoding.EncodeToString(append([]byte(typ), public...)))
}

func newEd25519(name string, seed [32]byte) *signer {
	const typ = "\x01"
	private := ed25519.NewKeyFromSeed(seed[:])
	public := private.Public().(ed25519.PublicKey)
	return &signer{
		name: name, id: keyID(name, typ, public), key: verifierKey(name, typ, public),
		sign:   func(text []byte) ([]byte, error) { return ed25519.Sign(private, text), nil },
		verify: func(text, sig []byte) bool { return ed25519.Verify(public, text, sig) },
	}
}

// newSM2 makes the key 1 + SHA-256(domain ‖ seed) mod (n − 2), which is in [1, n − 2] as GB/T 32918.1 asks.
func newSM2(name string, seed [32]byte) *signer {
	h := sha256.Sum256(append([]byte(sm2Sign), seed[:]...))
	d := new(big.Int).Mod(new(big.Int).SetBytes(h[:]), new(big.Int).Sub(sm2.P256().Params().N, big.NewInt(2)))
	d.Add(d, big.NewInt(1))
	scalar, err := ecdh.P256().NewPrivateKey(d.FillBytes(make([]byte, 32)))
	if err != nil {
		panic("register: " + err.Error()) // Only a scalar out of range fails.
	}
	point := scalar.PublicKey().Bytes()
	//lint:ignore SA1019 As in sm2Point.
	key := &sm2.PrivateKey{PrivateKey: ecdsa.PrivateKey{PublicKey: sm2Point(point), D: d}}
	return &signer{
		name: name, id: keyID(name, sm2Type, point), key: verifierKey(name, sm2Type, point),
		sign:   func(text []byte) ([]byte, error) { return key.SignWithSM2(rand.Reader, []byte(sm2User), text) },
		verify: sm2Verify(point),
	}
}

// sm2Point is the public key of an uncompressed point: 0x04 ‖ x ‖ y.
func sm2Point(b []byte) ecdsa.PublicKey {
	x, y := new(big.Int).SetBytes(b[1:33]), new(big.Int).SetBytes(b[33:65])
	//lint:ignore SA1019 gmsm's keys are those of crypto/ecdsa, which itself can't read a point of this curve.
	return ecdsa.PublicKey{Curve: sm2.P256(), X: x, Y: y}
}

func sm2Verify(point []byte) func(text, sig []byte) bool {
	public := sm2Point(point)
	return func(text, sig []byte) bool { return sm2.VerifyASN1WithSM2(&public, []byte(sm2User), text, sig) }
}

// NewSM2Verifier reads the second key as the register shows it.
func NewSM2Verifier(key string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(key, "+")
	_, text, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	point := bytes.TrimPrefix(raw, []byte(sm2Type))
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(point) // Uncompressed, and on the curve.
	}
	if err != nil || key != verifierKey(name, sm2Type, point) {
		return nil, errors.New("register: malformed SM2 verifier key")
	}
	return &signer{name: name, id: keyID(name, sm2Type, point), key: key, verify: sm2Verify(point)}, nil
}

// checkOrigin refuses what cannot be the name of a key.
func checkOrigin(origin string) error {
	if origin == "" || strings.ContainsAny(origin, " +\t\r\n") || strings.Contains(origin, "://") || strings.HasSuffix(origin, "/") {
		return fmt.Errorf("register: origin %q must be the log's URL without scheme and closing slash", origin)
	}
	return nil
}
