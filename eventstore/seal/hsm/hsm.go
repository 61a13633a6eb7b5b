//go:build pkcs11

package hsm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"zujian/eventstore/seal"
)

const (
	labelPrefix = "zujian-kek-"
	keyBytes    = 32
	nonceBytes  = 12
	tagBits     = 128
)

// Options name a token. The zero mechanism and key type are AES's.
type Options struct {
	Module  string // The vendor's library, a .so file.
	Token   string // Label of the token.
	PINFile string // File with the user PIN; readable by its owner alone.

	Mechanism uint // GCM encryption; CKM_AES_GCM if 0.
	Generate  uint // Key generation; CKM_AES_KEY_GEN if 0.
	KeyType   uint // CKK_AES if 0.
}

// Wrapper is the token's side of a vault. Its methods may be called concurrently.
type Wrapper struct {
	o       Options
	ctx     *pkcs11.Ctx
	mu      sync.Mutex // A session does one thing at a time.
	session pkcs11.SessionHandle
	keys    map[byte]pkcs11.ObjectHandle
	id      byte
}

var _ seal.Rotator = (*Wrapper)(nil)

// Open logs in to the token, and makes the first version of the key if the token has none and create is set.
func Open(o Options, create bool) (_ *Wrapper, err error) {
	if o.Mechanism == 0 {
		o.Mechanism, o.Generate, o.KeyType = pkcs11.CKM_AES_GCM, pkcs11.CKM_AES_KEY_GEN, pkcs11.CKK_AES
	}
	pin, err := readPIN(o.PINFile)
	if err != nil {
		return nil, err
	}
	w := &Wrapper{o: o, ctx: pkcs11.New(o.Module), keys: map[byte]pkcs11.ObjectHandle{}}
	if w.ctx == nil {
		return nil, fmt.Errorf("hsm: %s is no PKCS#11 library", o.Module)
	}
	if err := w.ctx.Initialize(); err != nil {
		w.ctx.Destroy()
		return nil, fmt.Errorf("hsm: initialise %s: %w", o.Module, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if err := w.login(pin); err != nil {
		return nil, err
	}
	if err := w.find(); err != nil {
		return nil, err
	}
	if w.id == 0 {
		if !create {
			return nil, fmt.Errorf("hsm: token %s has no key %s1", o.Token, labelPrefix)
		}
		err = w.Rotate(context.Background())
	}
	return w, err
}

func readPIN(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("hsm: PIN file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("hsm: %s is readable by others (mode %o): chmod 600", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("hsm: PIN file: %w", err)
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

func (w *Wrapper) login(pin string) error {
	slots, err := w.ctx.GetSlotList(true)
	if err != nil {
		return fmt.Errorf("hsm: list slots: %w", err)
	}
	for _, slot := range slots {
		info, err := w.ctx.GetTokenInfo(slot)
		if err != nil || strings.TrimRight(info.Label, " \x00") != w.o.Token {
			continue // An empty slot, or another's token.
		}
		if w.session, err = w.ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION); err != nil {
			return fmt.Errorf("hsm: open session: %w", err)
		}
		if err := w.ctx.Login(w.session, pkcs11.CKU_USER, pin); err != nil {
			return fmt.Errorf("hsm: log in to token %s: %w", w.o.Token, err)
		}
		return nil
	}
	return fmt.Errorf("hsm: no slot holds a token %s", w.o.Token)
}

// find reads which versions the token holds.
func (w *Wrapper) find() error {
	class := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true)}
	if err := w.ctx.FindObjectsInit(w.session, class); err != nil {
		return fmt.Errorf("hsm: find keys: %w", err)
	}
	var found []pkcs11.ObjectHandle
	for {
		some, _, err := w.ctx.FindObjects(w.session, 64)
		if err != nil {
			return fmt.Errorf("hsm: find keys: %w", err)
		}
		if len(some) == 0 {
			break
		}
		found = append(found, some...)
	}
	if err := w.ctx.FindObjectsFinal(w.session); err != nil {
		return fmt.Errorf("hsm: find keys: %w", err)
	}
	for _, key := range found {
		got, err := w.ctx.GetAttributeValue(w.session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil)})
		if err != nil {
			return fmt.Errorf("hsm: read a key's label: %w", err)
		}
		text, ours := strings.CutPrefix(string(got[0].Value), labelPrefix)
		if version, err := strconv.ParseUint(text, 10, 8); ours && err == nil && version > 0 {
			w.keys[byte(version)], w.id = key, max(w.id, byte(version))
		}
	}
	return nil
}

// Close logs out and unloads the library.
func (w *Wrapper) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.ctx.Finalize()
	w.ctx.Destroy()
	return err
}

// KeyID implements seal.KeyWrapper.
func (w *Wrapper) KeyID() byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id
}

// Wrap implements seal.KeyWrapper.
func (w *Wrapper) Wrap(_ context.Context, _ seal.Suite, label, key []byte) ([]byte, error) {
	nonce := make([]byte, nonceBytes)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("hsm: make nonce: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	params := pkcs11.NewGCMParams(nonce, label, tagBits)
	defer params.Free()
	if err := w.ctx.EncryptInit(w.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(w.o.Mechanism, params)}, w.keys[w.id]); err != nil {
		return nil, fmt.Errorf("hsm: wrap: %w", err)
	}
	sealed, err := w.ctx.Encrypt(w.session, key)
	if err != nil {
		return nil, fmt.Errorf("hsm: wrap: %w", err)
	}
	if iv := params.IV(); len(iv) == nonceBytes {
		nonce = iv // Some tokens choose it themselves.
	}
	return append(nonce, sealed...), nil
}

// Unwrap implements seal.KeyWrapper.
func (w *Wrapper) Unwrap(_ context.Context, id byte, _ seal.Suite, label, wrapped []byte) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kek, ok := w.keys[id]
	if !ok || len(wrapped) < nonceBytes {
		return nil, fmt.Errorf("hsm: unwrap: the token has no key version %d", id)
	}
	params := pkcs11.NewGCMParams(wrapped[:nonceBytes], label, tagBits)
	defer params.Free()
	if err := w.ctx.DecryptInit(w.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(w.o.Mechanism, params)}, kek); err != nil {
		return nil, fmt.Errorf("hsm: unwrap: %w", err)
	}
	key, err := w.ctx.Decrypt(w.session, wrapped[nonceBytes:])
	if err != nil {
		return nil, fmt.Errorf("hsm: unwrap: %w", err)
	}
	return key, nil
}

// Rotate implements seal.Rotator: the token makes the next version.
func (w *Wrapper) Rotate(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.id == 255 {
		return errors.New("hsm: 255 key versions are the most")
	}
	key, err := w.ctx.GenerateKey(w.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(w.o.Generate, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, w.o.KeyType),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, keyBytes),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, labelPrefix+strconv.Itoa(int(w.id)+1)),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
	})
	if err != nil {
		return fmt.Errorf("hsm: make key version %d: %w", w.id+1, err)
	}
	w.id++
	w.keys[w.id] = key
	return nil
}

// Retire implements seal.Rotator: the token destroys all versions but the current one.
func (w *Wrapper) Retire(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, key := range w.keys {
		if id == w.id {
			continue
		}
		if err := w.ctx.DestroyObject(w.session, key); err != nil {
			return fmt.Errorf("hsm: destroy key version %d: %w", id, err)
		}
		delete(w.keys, id)
	}
	return nil
}
