package seal

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	folders "zujian/eventstore/folder"
)

// Errors of opening. None quotes a value.
var (
	ErrErased = errors.New("seal: the subject's key was erased")
	// ErrUnavailable means a vault elsewhere did not answer; try again later.
	ErrUnavailable = errors.New("seal: the vault can't be reached")
	// ErrFull means the vault's disk has no room for a new key or erasure; nothing was written. Keys that are there open.
	ErrFull   = errors.New("seal: the vault's disk is full")
	ErrForged = errors.New("seal: the value is not what was sealed for this subject, stream and field")
	ErrNoKey  = errors.New("seal: the subject has no key here")
	ErrTooBig = errors.New("seal: the value is longer than 65,536 bytes")
)

const plainMax = 1 << 16

// Options of a vault.
type Options struct {
	FS        vfs.FS           // The real disk if nil.
	Suite     Suite            // Of new values; zero means INTL.
	Now       func() time.Time // Required: dates the tombstones.
	Rand      io.Reader        // nil means crypto/rand.
	Wrapper   KeyWrapper       // nil means the file DIR/keys/kek.
	DeferSync bool             // New keys are durable only after Sync: for loading that can be thrown away.

	growth int64 // Bytes that the file of keys is a multiple of; 0 means as many as become its size. Tests make it small.
}

// Vault is the keys of all data subjects (数据主体) under one folder. Its methods may be called concurrently.
type Vault struct {
	suite    Suite
	now      func() time.Time
	rand     io.Reader
	folder   folder
	wrapper  KeyWrapper
	slots    *slotFile
	identity *identity
	lock     io.Closer
	copied   bool // See Copied.

	mu       sync.RWMutex
	subjects map[subjectID]*subject
	ciphers  [cipherMax]atomic.Pointer[readyCipher]

	erasing sync.Mutex // One erasure at a time; guards graves.
	graves  *tombstones
}

// subject is one key. While it is being made, made is open; then the rest never changes but key and erased, under mu.
type subject struct {
	made   chan struct{}
	err    error
	slot   uint64
	suite  Suite
	kek    byte
	sealed [wrappedLen]byte

	mu     sync.Mutex
	key    *secret // Cached once unwrapped.
	erased bool
	buried bool // There is a tombstone.
}

// LogValue keeps keys out of logs; String and GoString out of fmt.
func (v *Vault) LogValue() slog.Value { return slog.StringValue("[redacted]") }
func (v *Vault) String() string       { return "[redacted]" }
func (v *Vault) GoString() string     { return "[redacted]" }

// Open opens the vault in DIR/keys, making the folder and its key-encryption key at the first start.
func Open(dir string, o Options) (*Vault, error) {
	if o.Suite == 0 {
		o.Suite = INTL
	}
	if o.Suite != INTL && o.Suite != GM {
		return nil, fmt.Errorf("%w: 0x%02x", ErrSuite, byte(o.Suite))
	}
	if o.Now == nil {
		return nil, errors.New("seal: Options.Now is required")
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	d := keyFolder(o.FS, dir)
	if err := d.fs.MkdirAll(d.dir, privateFolder); err != nil {
		return nil, fmt.Errorf("seal: make key folder: %w", err)
	}
	lock, err := d.lock()
	if err != nil {
		return nil, fmt.Errorf("seal: keys: %w", err)
	}
	v := &Vault{
		suite: o.Suite, now: o.Now, rand: &lockedReader{r: o.Rand}, folder: d, wrapper: o.Wrapper, lock: lock,
		subjects: map[subjectID]*subject{},
	}
	if err := v.load(d, o); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

func (v *Vault) load(d folder, o Options) (err error) {
	there, err := d.exists(identityBundle.file)
	if err != nil {
		return fmt.Errorf("seal: look for %s: %w", identityBundle.file, err)
	}
	fresh := !there
	if info, err := d.fs.Stat(d.path(slotsName)); fresh && err == nil && info.Size() > 0 {
		return errors.New("seal: the identity file is missing, but keys exist: restore the key folder from its backup")
	}
	if v.wrapper == nil {
		if v.wrapper, err = openFileWrapper(d, v.rand, fresh); err != nil {
			return err
		}
	}
	if v.identity, err = openIdentity(d, v.suite, v.wrapper, v.rand); err != nil {
		return err
	}
	before, err := readSeen(d)
	if err != nil {
		return err
	}
	made := make(chan struct{})
	close(made)
	var repeated []uint64 // Slots of a subject seen twice: never written by us, so the folder was tampered with.
	v.slots, err = openSlots(d, before.slots, o, func(n uint64, s slot) {
		if _, twice := v.subjects[s.subject]; twice {
			repeated = append(repeated, n)
			return
		}
		v.subjects[s.subject] = &subject{
			made: made, slot: n, suite: s.suite, kek: s.kek, sealed: s.wrapped, erased: s.status == slotErased,
		}
	})
	if err != nil {
		return err
	}
	if len(repeated) > 0 {
		return fmt.Errorf("seal: key slot %d repeats a subject", repeated[0])
	}
	var unfinished error
	v.graves, err = openTombstones(d, before.graveyard, func(id subjectID) {
		s, known := v.subjects[id]
		if !known {
			v.subjects[id] = &subject{made: made, erased: true, buried: true}
			return
		}
		s.buried = true
		if !s.erased && unfinished == nil {
			unfinished = v.destroy(id, s) // A crash came between tombstone and slot, or an old key file was restored.
		}
	})
	if err := errors.Join(err, unfinished); err != nil {
		return err
	}
	there, err = d.settled(v.slots.f)
	if err != nil {
		return err
	}
	v.copied = !there
	// The folder's own name, too: an open that was killed may never have made it durable.
	if err := errors.Join(d.sync(), folders.Sync(d.fs, d.fs.PathDir(d.dir))); err != nil {
		return err
	}
	return v.note()
}

// Close releases the folder. Values sealed before stay readable by the next vault. A second Close does nothing.
func (v *Vault) Close() error {
	if v.lock == nil {
		return nil
	}
	var errs []error
	if v.slots != nil {
		errs = append(errs, v.slots.sync())
	}
	if v.slots != nil && v.graves != nil && errors.Join(errs...) == nil && v.graves.failed == nil {
		errs = append(errs, v.note())
	}
	if v.slots != nil {
		errs = append(errs, v.slots.f.Close())
	}
	if v.graves != nil {
		errs = append(errs, v.graves.f.Close())
	}
	errs = append(errs, v.lock.Close())
	v.lock = nil
	return errors.Join(errs...)
}

// Sync makes keys made under DeferSync durable.
func (v *Vault) Sync() error { return v.slots.sync() }

// Seal encrypts plain for one field of one stream under its subject's key, which the first use makes and makes durable.
// "" stays "". An erased subject gets no new key: ErrErased.
func (v *Vault) Seal(ctx context.Context, subject, stream, field, plain string) (string, error) {
	if plain == "" {
		return "", nil
	}
	if len(plain) > plainMax {
		return "", ErrTooBig
	}
	id := idOf(subject)
	s, err := v.keyOf(ctx, id, true)
	if err != nil {
		return "", err
	}
	aead, err := v.cipher(ctx, id, s, v.suite)
	if err != nil {
		return "", err
	}
	out := make([]byte, 2+nonceLen, 2+nonceLen+len(plain)+tagLen)
	out[0], out[1] = byte(v.suite), v.wrapper.KeyID()
	if _, err := io.ReadFull(v.rand, out[2:]); err != nil {
		return "", fmt.Errorf("seal: make nonce: %w", err)
	}
	text := append(out, plain...)[len(out):] // Sealed in its place.
	out = aead.Seal(out, out[2:2+nonceLen], text, additional(out[:2], subject, stream, field))
	return base64.RawURLEncoding.EncodeToString(out), nil
}

// Open decrypts what Seal made for the same subject, stream and field.
func (v *Vault) Open(ctx context.Context, subject, stream, field, sealed string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw) < 2+nonceLen+tagLen {
		return "", ErrForged
	}
	suite := Suite(raw[0])
	id := idOf(subject)
	s, err := v.keyOf(ctx, id, false)
	if err != nil {
		return "", err
	}
	aead, err := v.cipher(ctx, id, s, suite)
	if err != nil {
		return "", err
	}
	plain, err := aead.Open(nil, raw[2:2+nonceLen], raw[2+nonceLen:], additional(raw[:2], subject, stream, field))
	if err != nil {
		return "", ErrForged
	}
	return string(plain), nil
}

// Erase destroys the subject's key for ever (PIPL Art 47): what was sealed for it can't be opened by anyone, and it
// never gets a key again. Erasing an unknown or erased subject is no error.
func (v *Vault) Erase(ctx context.Context, name string) error {
	id := idOf(name)
	v.erasing.Lock()
	defer v.erasing.Unlock()
	s, err := v.keyOf(ctx, id, false)
	if errors.Is(err, ErrErased) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if err := v.graves.add(id, v.now()); err != nil {
		return err
	}
	if s == nil {
		v.mu.Lock()
		if s = v.subjects[id]; s == nil { // Else a key was made since: it is destroyed below.
			made := make(chan struct{})
			close(made)
			v.subjects[id] = &subject{made: made, erased: true, buried: true}
			v.mu.Unlock()
			return nil
		}
		v.mu.Unlock()
		if <-s.made; s.err != nil {
			return s.err
		}
	}
	return v.destroy(id, s)
}

func (v *Vault) destroy(id subjectID, s *subject) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := v.slots.overwrite(s.slot, slot{status: slotErased, subject: id}); err != nil {
		return err
	}
	if s.key != nil {
		*s.key = secret{}
	}
	at := v.place(id)
	if c := at.Load(); c != nil && c.id == id { // Only under this lock a cipher of id comes there.
		at.CompareAndSwap(c, nil)
	}
	s.key, s.sealed, s.erased, s.buried = nil, [wrappedLen]byte{}, true, true
	return nil
}

// Erased tells whether a subject's key was destroyed.
func (v *Vault) Erased(name string) bool {
	return v.says(name, func(s *subject) bool { return s.erased })
}

// says asks a subject that has or had a key; of any other the answer is no.
func (v *Vault) says(name string, ask func(*subject) bool) bool {
	v.mu.RLock()
	s := v.subjects[idOf(name)]
	v.mu.RUnlock()
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return ask(s)
}

// keyOf finds the subject, or makes it once for all who ask at the same time.
func (v *Vault) keyOf(ctx context.Context, id subjectID, create bool) (*subject, error) {
	v.mu.RLock()
	s := v.subjects[id]
	v.mu.RUnlock()
	if s == nil {
		if !create {
			return nil, ErrNoKey
		}
		v.mu.Lock()
		if s = v.subjects[id]; s == nil {
			s = &subject{made: make(chan struct{})}
			v.subjects[id] = s
			v.mu.Unlock()
			v.make(ctx, id, s)
		} else {
			v.mu.Unlock()
		}
	}
	select {
	case <-s.made:
	default:
		select {
		case <-s.made:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.erased {
		return nil, ErrErased
	}
	return s, nil
}

// make fills s with a new durable key and lets the waiting go on. It runs to its end even if ctx ends: others wait.
func (v *Vault) make(ctx context.Context, id subjectID, s *subject) {
	defer close(s.made)
	ctx = context.WithoutCancel(ctx)
	s.err = func() error {
		var key secret
		if _, err := io.ReadFull(v.rand, key[:]); err != nil {
			return fmt.Errorf("seal: make key: %w", err)
		}
		s.suite, s.kek = v.suite, v.wrapper.KeyID()
		wrapped, err := v.wrapper.Wrap(ctx, s.suite, label(id), key[:])
		if err != nil {
			return err
		}
		if len(wrapped) != wrappedLen {
			return fmt.Errorf("seal: the wrapper gave %d bytes, not %d", len(wrapped), wrappedLen)
		}
		copy(s.sealed[:], wrapped)
		s.slot, err = v.slots.append(slot{status: slotLive, suite: s.suite, kek: s.kek, subject: id, wrapped: s.sealed})
		s.key = &key
		return err
	}()
	if s.err != nil {
		v.mu.Lock()
		delete(v.subjects, id)
		v.mu.Unlock()
	}
}

// cipherMax bounds the ciphers kept: several fields of one subject are sealed or opened in a row, those of the companies and
// owners of the day again and again, and making a cipher costs more than either. A cipher is 1.3 KB.
const cipherMax = 2048

// readyCipher is a subject's cipher, ready for use by many at once.
type readyCipher struct {
	id    subjectID
	suite Suite
	aead  cipher.AEAD
}

// place is where a subject's cipher is kept, if it is.
func (v *Vault) place(id subjectID) *atomic.Pointer[readyCipher] {
	return &v.ciphers[binary.LittleEndian.Uint16(id[:])%cipherMax]
}

// cipher gives the cipher of a suite under the subject's key. It is kept and forgotten under the subject's lock, so none
// outlives its key there.
func (v *Vault) cipher(ctx context.Context, id subjectID, s *subject, suite Suite) (cipher.AEAD, error) {
	at := v.place(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.erased {
		return nil, ErrErased
	}
	if c := at.Load(); c != nil && c.id == id && c.suite == suite {
		return c.aead, nil
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
		at.Store(&readyCipher{id, suite, aead})
	}
	return aead, err
}

func label(id subjectID) []byte {
	return append(append(make([]byte, 0, 64), "zujian subject key\x00"...), id[:]...)
}

// additional is the data that bind a ciphertext to its place: suite and KEK version, then each part with its length.
func additional(head []byte, parts ...string) []byte {
	size := len(head)
	for _, p := range parts {
		size += 4 + len(p)
	}
	out := append(make([]byte, 0, size), head...)
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

// lockedReader lets any source of randomness serve many callers.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}
