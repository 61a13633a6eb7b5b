package seal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// wrappedLen is the size of a wrapped subject key: nonce, key, tag.
const wrappedLen = nonceLen + keyLen + tagLen

// KeyWrapper encrypts subject keys under a key-encryption key (KEK) that it never shows: a file here, an HSM or 密码机
// (PKCS#11, GM/T 0018) where certification asks for one.
type KeyWrapper interface {
	// KeyID is the KEK version that Wrap uses, from 1.
	KeyID() byte
	// Wrap encrypts key, bound to label. The result has wrappedLen (76) bytes.
	Wrap(ctx context.Context, suite Suite, label, key []byte) ([]byte, error)
	// Unwrap undoes Wrap with KEK version id. It MUST fail if label or any bit differs.
	Unwrap(ctx context.Context, id byte, suite Suite, label, wrapped []byte) ([]byte, error)
}

// fileWrapper keeps the KEK versions in one file of mode 0600, one line each: "1 <base64> <CRC-32C>". The newest wraps.
type fileWrapper struct {
	folder folder
	keys   map[byte]*kek
	id     byte
	rand   io.Reader
}

// kek is a version of the key-encryption key with its ciphers, which many use at once: making one costs more than wrapping.
type kek struct {
	key      *secret
	intl, gm cipher.AEAD
}

func newKEK(key *secret) (*kek, error) {
	intl, err1 := INTL.aead(key)
	gm, err2 := GM.aead(key)
	return &kek{key, intl, gm}, errors.Join(err1, err2)
}

func (k *kek) aead(s Suite) (cipher.AEAD, error) {
	switch s {
	case INTL:
		return k.intl, nil
	case GM:
		return k.gm, nil
	}
	return nil, fmt.Errorf("%w: 0x%02x", ErrSuite, byte(s))
}

const kekName = "kek"

var _ KeyWrapper = (*fileWrapper)(nil)

// LogValue keeps key material out of logs.
func (w *fileWrapper) LogValue() slog.Value { return slog.StringValue("[redacted]") }
func (w *fileWrapper) String() string       { return "[redacted]" }
func (w *fileWrapper) GoString() string     { return "[redacted]" }

// openFileWrapper reads the folder's kek, or makes it when create allows: a folder that already has keys must not get a new KEK.
func openFileWrapper(d folder, rand io.Reader, create bool) (*fileWrapper, error) {
	path := d.path(kekName)
	data, err := d.read(kekName)
	if errors.Is(err, os.ErrNotExist) {
		if !create {
			return nil, fmt.Errorf("seal: %s is missing, but keys wrapped by it exist: restore it", path)
		}
		var key secret
		if _, err := io.ReadFull(rand, key[:]); err != nil {
			return nil, fmt.Errorf("seal: make key-encryption key: %w", err)
		}
		data = key.appendLine(nil, 1)
		if err := d.write(kekName, data); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, fmt.Errorf("seal: read key-encryption key: %w", err)
	}
	if mode, exposed := d.exposed(kekName); exposed {
		return nil, fmt.Errorf("seal: %s is readable by others (mode %o): chmod 600", path, mode)
	}
	w := &fileWrapper{folder: d, keys: map[byte]*kek{}, rand: rand}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		version, text, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		text, sum, summed := strings.Cut(text, " ") // A file from before there were sums has none.
		id, err := strconv.ParseUint(version, 10, 8)
		raw, err2 := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || err2 != nil || id == 0 || len(raw) != keyLen || summed && sum != string(checksum(raw)) {
			return nil, fmt.Errorf("seal: %s: a line is not a key version", path) // Never quote the line.
		}
		key := secret(raw)
		if w.keys[byte(id)], err = newKEK(&key); err != nil {
			return nil, err
		}
		w.id = max(w.id, byte(id))
	}
	if w.id == 0 {
		return nil, fmt.Errorf("seal: %s is empty", path)
	}
	return w, nil
}

// appendLine adds the line of a key version: its number, the key, and a sum by which damage is noticed.
func (s *secret) appendLine(dst []byte, id byte) []byte {
	return fmt.Appendf(dst, "%d %s %s\n", id, base64.StdEncoding.EncodeToString(s[:]), checksum(s[:]))
}

func (w *fileWrapper) KeyID() byte { return w.id }

func (w *fileWrapper) Wrap(_ context.Context, suite Suite, label, key []byte) ([]byte, error) {
	aead, err := w.keys[w.id].aead(suite)
	if err != nil {
		return nil, err
	}
	out := make([]byte, nonceLen, wrappedLen)
	if _, err := io.ReadFull(w.rand, out); err != nil {
		return nil, fmt.Errorf("seal: wrap key: %w", err)
	}
	return aead.Seal(out, out[:nonceLen], key, label), nil
}

func (w *fileWrapper) Unwrap(_ context.Context, id byte, suite Suite, label, wrapped []byte) ([]byte, error) {
	kek, ok := w.keys[id]
	if !ok || len(wrapped) != wrappedLen {
		return nil, fmt.Errorf("seal: unwrap key: no key-encryption key version %d", id)
	}
	aead, err := kek.aead(suite)
	if err != nil {
		return nil, err
	}
	key, err := aead.Open(nil, wrapped[:nonceLen], wrapped[nonceLen:], label)
	if err != nil {
		return nil, fmt.Errorf("seal: unwrap key: %w", err)
	}
	return key, nil
}
