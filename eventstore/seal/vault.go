package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
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

	mu       sync.Mutex // Of an RWMutex, a writer waiting for a processor would keep all readers out.
	subjects subjects
	making   map[subjectID]*making
	ready    readyCiphers

	erasing sync.Mutex // One erasure at a time; guards graves.
	graves  *tombstones
}

// making is a subject's key on its way to the disk: when done is closed the subject is there, or err says why not.
type making struct {
	done    chan struct{}
	subject *subject
	err     error
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
	} else {
		o.Rand = &lockedReader{r: o.Rand}
	}
	if o.FS == nil {
		o.FS = folders.Real()
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
		suite: o.Suite, now: o.Now, rand: o.Rand, folder: d, wrapper: o.Wrapper, lock: lock,
		subjects: subjects{at: map[subjectID]uint32{}}, making: map[subjectID]*making{},
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
	var first, last slot
	var repeated []uint64 // Slots of a subject seen twice: never written by us, so the folder was tampered with.
	v.slots, err = openSlots(d, before.slots, o, func(n uint64, s slot) {
		if v.subjects.get(s.subject) != nil {
			repeated = append(repeated, n)
			return
		}
		if s.status == slotLive {
			if last = s; first.status == 0 {
				first = s
			}
		}
		v.subjects.add(s.subject).holds(n, s)
	})
	if err != nil {
		return err
	}
	if len(repeated) > 0 {
		return fmt.Errorf("seal: key slot %d repeats a subject", repeated[0])
	}
	if err := v.ours(first, last); err != nil {
		return err
	}
	var unfinished error
	owner := v.identity.owner()
	v.graves, err = openTombstones(d, before.graveyard, &owner, func(id subjectID) {
		s := v.subjects.get(id)
		if s == nil {
			v.subjects.bury(id)
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
	there, err = d.settled(v.slots.f, before == (seen{}) && v.Keys() > 0)
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

// ours refuses keys that were not made here: each slot is whole, but another folder's, or older than the key-encryption
// key that is left. The first and the last tell; opening all would take minutes of a large folder. Else new keys were made
// behind them, to be lost when the right file is put back.
func (v *Vault) ours(slots ...slot) error {
	for _, s := range slots {
		if s.status != slotLive {
			continue
		}
		key, err := v.wrapper.Unwrap(context.Background(), s.kek, s.suite, label(s.subject), s.wrapped[:])
		if err != nil {
			return fmt.Errorf("seal: the keys in %q are another folder's, or of before their key-encryption key was retired: restore the key folder from its backup: %w", slotsName, err)
		}
		clear(key)
	}
	return nil
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
	aead, err := v.cipher(ctx, idOf(subject), v.suite, true)
	if err != nil {
		return "", err
	}
	w := desks.Get().(*desk)
	defer w.clear()
	raw := append(w.raw[:0], byte(v.suite), v.wrapper.KeyID())
	raw = slices.Grow(raw, nonceLen+len(plain)+tagLen)[:2+nonceLen]
	if _, err := io.ReadFull(v.rand, raw[2:]); err != nil {
		return "", fmt.Errorf("seal: make nonce: %w", err)
	}
	w.bound = appendBound(w.bound[:0], raw[:2], subject, stream, field)
	text := append(raw, plain...)[len(raw):] // Sealed in its place.
	w.raw = aead.Seal(raw, raw[2:], text, w.bound)
	w.text = encoding.AppendEncode(w.text[:0], w.raw)
	return string(w.text), nil
}

// Open decrypts what Seal made for the same subject, stream and field.
func (v *Vault) Open(ctx context.Context, subject, stream, field, sealed string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	w := desks.Get().(*desk)
	defer w.clear()
	w.text = append(w.text[:0], sealed...)
	raw, err := encoding.AppendDecode(w.raw[:0], w.text)
	if err != nil || len(raw) < 2+nonceLen+tagLen {
		return "", ErrForged
	}
	w.raw = raw
	aead, err := v.cipher(ctx, idOf(subject), Suite(raw[0]), false)
	if err != nil {
		return "", err
	}
	w.bound = appendBound(w.bound[:0], raw[:2], subject, stream, field)
	nonce, text := raw[2:2+nonceLen], raw[2+nonceLen:]
	plain, err := aead.Open(text[:0], nonce, text, w.bound) // In its place.
	if err != nil {
		return "", ErrForged
	}
	return string(plain), nil
}

// Erase destroys the subject's key for ever (PIPL Art 47): what was sealed for it can't be opened by anyone, and it
// never gets a key again. Erasing an unknown or erased subject is no error.
func (v *Vault) Erase(_ context.Context, name string) error {
	id := idOf(name)
	v.erasing.Lock()
	defer v.erasing.Unlock()
	s := v.known(id)
	if s != nil && s.gone() {
		return nil
	}
	if err := v.graves.add(id, v.now()); err != nil {
		return err
	}
	if s == nil {
		if s = v.bury(id); s == nil {
			return nil
		}
	}
	return v.destroy(id, s)
}

// bury notes that a subject without a key never gets one. If one was made since, it gives the subject instead.
func (v *Vault) bury(id subjectID) *subject {
	for {
		v.mu.Lock()
		s, m := v.subjects.get(id), v.making[id]
		if s == nil && m == nil {
			v.subjects.bury(id)
		}
		v.mu.Unlock()
		if s != nil || m == nil {
			return s
		}
		<-m.done
	}
}

func (v *Vault) destroy(id subjectID, s *subject) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := v.slots.overwrite(s.slot, slot{status: slotErased, subject: id}); err != nil {
		return err
	}
	v.ready.forget(s) // Only under this lock another comes there.
	s.destroyed()
	return nil
}

// Erased tells whether a subject's key was destroyed.
func (v *Vault) Erased(name string) bool { return v.says(name, (*subject).gone) }

// says asks a subject that has or had a key; of any other the answer is no.
func (v *Vault) says(name string, ask func(*subject) bool) bool {
	s := v.known(idOf(name))
	return s != nil && ask(s)
}

// known gives a subject that has or had a key, or nil.
func (v *Vault) known(id subjectID) *subject {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.subjects.get(id)
}

// subject finds the subject, or makes it once for all who ask at the same time.
func (v *Vault) subject(ctx context.Context, id subjectID, create bool) (*subject, error) {
	v.mu.Lock()
	s := v.subjects.get(id)
	if s != nil {
		v.mu.Unlock()
		return s, nil
	}
	m := v.making[id]
	first := m == nil && create
	if first {
		m = &making{done: make(chan struct{})}
		v.making[id] = m
	}
	v.mu.Unlock()
	switch {
	case m == nil:
		return nil, ErrNoKey
	case first:
		v.make(ctx, id, m)
		return m.subject, m.err
	}
	select {
	case <-m.done:
		return m.subject, m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// make gives a subject a new durable key and lets the waiting go on. It runs to its end even if ctx ends: others wait.
func (v *Vault) make(ctx context.Context, id subjectID, m *making) {
	key, of, n, err := v.newKey(context.WithoutCancel(ctx), id)
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.making, id)
	if m.err = err; err == nil {
		m.subject = v.subjects.add(id)
		m.subject.holds(n, of)
		m.subject.key, m.subject.opened = key, true
	}
	close(m.done)
}

// newKey makes a key that is durable in a slot when it returns.
func (v *Vault) newKey(ctx context.Context, id subjectID) (key secret, of slot, n uint64, err error) {
	if _, err := io.ReadFull(v.rand, key[:]); err != nil {
		return key, of, 0, fmt.Errorf("seal: make key: %w", err)
	}
	of = slot{status: slotLive, suite: v.suite, kek: v.wrapper.KeyID(), subject: id}
	wrapped, err := v.wrapper.Wrap(ctx, of.suite, label(id), key[:])
	if err != nil {
		return key, of, 0, err
	}
	if len(wrapped) != wrappedLen {
		return key, of, 0, fmt.Errorf("seal: the wrapper gave %d bytes, not %d", len(wrapped), wrappedLen)
	}
	copy(of.wrapped[:], wrapped)
	n, err = v.slots.append(of)
	return key, of, n, err
}

func label(id subjectID) []byte {
	return append(append(make([]byte, 0, 64), "zujian subject key\x00"...), id[:]...)
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
