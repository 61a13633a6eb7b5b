package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Vault is a folder of keys, one for each subject, each of which can be destroyed.
type Vault interface {
	Seal(ctx context.Context, subject, stream, field, plain string) (string, error)
	Open(ctx context.Context, subject, stream, field, sealed string) (string, error)
	Erase(ctx context.Context, subject string) error
	Rotate(ctx context.Context, retire bool, progress func(done, total int64)) (version byte, rewrapped int, err error)
	Close() error
}

// KeysConfig is a run of power losses under a vault.
type KeysConfig struct {
	Seed    uint64
	Crashes int                        // Ends after so many; 0 is no end but ctx's.
	Open    func(fs FS) (Vault, error) // Opens the vault on the disk.
	Erased  error                      // What Open and Seal say of a subject whose key was destroyed.

	// Forget tells a folder that is not open what erasures another folder knows, as a restore does with an old backup.
	Forget func(old FS, now FS) error
	Each   func(crashes, verified int) // Told after each life, if not nil.
}

// KeysTally is what a run did.
type KeysTally struct {
	Crashes  int            // Power losses, and processes killed.
	Verified int            // Acknowledged keys and erasures looked for after a power loss.
	Repeated int            // Unanswered calls made again.
	Restores int            // Old folders restored, and the power lost meanwhile.
	At       map[string]int // Power losses by what was under way: "erase erased", "open subjects", "rotate kek" …
}

const (
	keyWriters   = 3
	keyWorkMax   = 24 // Calls of one life.
	opsOfKeyLife = 90 // It does about so many operations that change something, with its opening
	opsOfKeyOpen = 14 // of about so many.
)

// fate is what became of a subject.
type fate uint8

const (
	fateAsked fate = iota // A key was asked for, without an answer.
	fateKept
	fateErasing // Its destruction was asked for, without an answer.
	fateErased  // Acknowledged, or once seen as gone.
)

type subject struct {
	sealed string // What was sealed for it, by an acknowledged call; the plain text is its name.
	fate   fate
}

// Keys lives, makes, destroys and rotates keys, loses power at a random operation and recovers. After each loss every
// acknowledged key opens what it sealed, none whose destruction was acknowledged does, one whose destruction was under
// way does or does not, for good; and a folder restored from before has forgotten whom the present one forgot.
func Keys(ctx context.Context, c KeysConfig) (t KeysTally, err error) {
	rng := rand.New(rand.NewPCG(c.Seed, 13))
	t.At = map[string]int{}
	w := &keyWorld{disk: NewDisk(), subjects: map[string]subject{}}
	for ctx.Err() == nil && (c.Crashes == 0 || t.Crashes < c.Crashes) {
		if rng.IntN(10) == 0 {
			w = &keyWorld{disk: NewDisk(), subjects: map[string]subject{}}
		}
		if w, err = w.live(ctx, c, rng, &t); err != nil {
			return t, fmt.Errorf("after %d power losses: %w", t.Crashes, err)
		}
		t.Crashes++
		if err := w.drill(ctx, c, rng, &t); err != nil {
			return t, fmt.Errorf("after %d power losses: restore: %w", t.Crashes, err)
		}
		if c.Each != nil {
			c.Each(t.Crashes, t.Verified)
		}
	}
	return t, nil
}

// keyWorld is a disk and what must be on it.
type keyWorld struct {
	disk     *Disk
	subjects map[string]subject
	made     int // Subjects named so far.

	old     *Disk // A copy from before, and what was on it.
	oldOnes map[string]subject
}

// keyLife is one life of a vault on a disk that loses power once.
type keyLife struct {
	fuse
	mu   sync.Mutex
	now  map[string]subject // What was asked and answered,
	kept map[string]subject // until the power was lost.
	made atomic.Int64
}

// keep notes what is acknowledged now. No other call begins until the disk is taken: what it destroys would be on it.
func (l *keyLife) keep() (goOn func()) {
	l.mu.Lock()
	l.kept = map[string]subject{}
	for name, s := range l.now {
		l.kept[name] = s
	}
	return l.mu.Unlock
}

func (l *keyLife) set(name string, s subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now[name] = s
}

func (l *keyLife) get(name string) (subject, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.now[name]
	return s, ok
}

// keyPlace names the file of an operation, without what is only there for a moment.
func keyPlace(op errorfs.Op) string {
	name := op.Path[strings.LastIndexByte(op.Path, '/')+1:]
	return strings.TrimSuffix(name, ".tmp")
}

func (w *keyWorld) live(ctx context.Context, c KeysConfig, rng *rand.Rand, t *KeysTally) (*keyWorld, error) {
	l := &keyLife{fuse: fuse{disk: w.disk, loss: rng.Uint64(), place: keyPlace, kill: rng.IntN(5) == 0}, now: map[string]subject{}}
	l.taken = l.keep
	for name, s := range w.subjects {
		l.now[name] = s
	}
	l.made.Store(int64(w.made))
	l.left.Store(int64(1 + rng.IntN(opsOfKeyLife)))
	if rng.IntN(4) == 0 {
		l.left.Store(int64(1 + rng.IntN(opsOfKeyOpen)))
	}
	if !l.kill && rng.IntN(4) == 0 {
		l.fails, l.stays = true, rng.IntN(2) == 0
	}
	if err := l.run(ctx, c, rng, t); err != nil && !errors.Is(err, errKilled) && !errors.As(err, new(*injected)) {
		return nil, err
	}
	l.blow("closed")
	t.At[l.at]++
	next := &keyWorld{disk: l.after, subjects: l.kept, made: int(l.made.Load()), old: w.old, oldOnes: w.oldOnes}
	if len(l.kept) > 0 && (w.old == nil || rng.IntN(4) == 0) { // Only what had become durable can be a backup; the disk left is all that.
		next.old, next.oldOnes = l.after.PowerLoss(0, nil), l.kept
	}
	return next, nil
}

func (l *keyLife) run(ctx context.Context, c KeysConfig, rng *rand.Rand, t *KeysTally) error {
	l.phase.Store("open")
	v, err := c.Open(l.fs())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	n, err := l.verify(ctx, c, v)
	t.Verified += n
	if err == nil {
		err = l.work(ctx, c, v, rng, t)
	}
	l.phase.Store("close")
	if cerr := v.Close(); err == nil {
		err = cerr
	}
	return err
}

// verify holds the vault to what is known, and notes which of the erasures under way were done.
func (l *keyLife) verify(ctx context.Context, c KeysConfig, v Vault) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return hold(ctx, c, v, l.now)
}

func hold(ctx context.Context, c KeysConfig, v Vault, subjects map[string]subject) (n int, err error) {
	for name, s := range subjects {
		if s.fate == fateAsked {
			continue
		}
		plain, err := v.Open(ctx, name, "stream", "field", s.sealed)
		gone := errors.Is(err, c.Erased)
		switch {
		case err == nil && plain != name || err != nil && !gone:
			return n, fmt.Errorf("LOST: the key of %s (%d): %q %v", name, s.fate, plain, err)
		case gone && s.fate == fateKept:
			return n, fmt.Errorf("LOST: the key of %s is gone, and nobody destroyed it", name)
		case !gone && s.fate == fateErased:
			return n, fmt.Errorf("CAME BACK: the key of %s, whose destruction was acknowledged", name)
		case gone && s.fate == fateErasing:
			subjects[name] = subject{s.sealed, fateErased}
		}
		n++
	}
	return n, nil
}

// work makes the calls again that were not answered, rotates now and then, and has writers make and destroy keys.
func (l *keyLife) work(ctx context.Context, c KeysConfig, v Vault, rng *rand.Rand, t *KeysTally) error {
	n, err := l.again(ctx, c, v)
	t.Repeated += n
	if err != nil {
		return err
	}
	if n > 0 && rng.IntN(3) == 0 {
		l.blow("asked again") // What was on the disk before they were must be durable, too, now that they are answered.
		return nil
	}
	if rng.IntN(6) == 0 {
		l.phase.Store("rotate")
		if _, _, err := v.Rotate(ctx, rng.IntN(2) == 0, nil); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
	}
	l.phase.Store("work")
	var calls atomic.Int64
	errs := make(chan error, keyWriters)
	var writers sync.WaitGroup
	for n := range keyWriters {
		rng := rand.New(rand.NewPCG(rng.Uint64(), uint64(n)))
		writers.Go(func() {
			for calls.Add(1) <= keyWorkMax && !l.dead.Load() && ctx.Err() == nil {
				if err := l.call(ctx, c, v, rng); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	writers.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func (l *keyLife) again(ctx context.Context, c KeysConfig, v Vault) (n int, err error) {
	l.phase.Store("ask again")
	l.mu.Lock()
	open := map[string]fate{}
	for name, s := range l.now {
		if s.fate == fateAsked || s.fate == fateErasing {
			open[name] = s.fate
		}
	}
	l.mu.Unlock()
	for name, f := range open {
		if f == fateErasing {
			err = l.erase(ctx, v, name)
		} else {
			err = l.seal(ctx, c, v, name)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// call makes a key, or seals once more for a subject, or destroys a key.
func (l *keyLife) call(ctx context.Context, c KeysConfig, v Vault, rng *rand.Rand) error {
	name := fmt.Sprintf("party-%d", rng.IntN(int(l.made.Load())+1))
	switch rng.IntN(3) {
	case 0:
		name = fmt.Sprintf("party-%d", l.made.Add(1))
	case 1:
		if s, known := l.get(name); known && s.fate >= fateKept {
			return l.erase(ctx, v, name)
		}
	}
	return l.seal(ctx, c, v, name)
}

func (l *keyLife) seal(ctx context.Context, c KeysConfig, v Vault, name string) error {
	l.mu.Lock()
	if _, known := l.now[name]; !known {
		l.now[name] = subject{fate: fateAsked}
	}
	l.mu.Unlock()
	sealed, err := v.Seal(ctx, name, "stream", "field", name)
	was, _ := l.get(name)
	if errors.Is(err, c.Erased) && was.fate >= fateErasing {
		return nil
	}
	if err != nil {
		return fmt.Errorf("seal for %s: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if was = l.now[name]; was.fate <= fateKept {
		l.now[name] = subject{sealed, fateKept}
	}
	return nil
}

func (l *keyLife) erase(ctx context.Context, v Vault, name string) error {
	l.mu.Lock()
	s := l.now[name]
	if s.fate == fateKept {
		s.fate = fateErasing
		l.now[name] = s
	}
	l.mu.Unlock()
	if err := v.Erase(ctx, name); err != nil {
		return fmt.Errorf("erase %s: %w", name, err)
	}
	s.fate = fateErased
	l.set(name, s)
	return nil
}

// drill restores an old folder as an operator does: the erasures of the present folder are told to it first. The power
// fails meanwhile, and it is done again. Then the old folder knows nobody whose key was destroyed since, and all others.
func (w *keyWorld) drill(ctx context.Context, c KeysConfig, rng *rand.Rand, t *KeysTally) (err error) {
	if c.Forget == nil || w.old == nil || rng.IntN(4) != 0 {
		return nil
	}
	l := &keyLife{fuse: fuse{disk: w.old.PowerLoss(0, nil), loss: rng.Uint64(), place: keyPlace}}
	l.taken = func() func() { return func() {} }
	l.left.Store(int64(1 + rng.IntN(opsOfKeyOpen)))
	l.phase.Store("restore")
	if err := c.Forget(l.fs(), w.disk); err != nil {
		return err
	}
	l.blow("restored")
	t.At[l.at]++
	if err := c.Forget(l.after, w.disk); err != nil {
		return err
	}
	v, err := c.Open(l.after)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	expected := map[string]subject{}
	for name, s := range w.oldOnes {
		if now := w.subjects[name]; s.fate != fateAsked && now.fate > s.fate {
			s.fate = now.fate
		}
		expected[name] = s
	}
	n, err := hold(ctx, c, v, expected)
	t.Verified += n
	t.Restores++
	return err
}
