package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Product is all that one data folder is, log, keys, register and views, open and at work on one disk.
type Product interface {
	// File makes filing n, for which another may have the place already: then it is ErrRefused. Asked for again, also in
	// another life, it is the same filing.
	File(ctx context.Context, n int) (Filing, error)
	// Signed is what anybody may be told now of what is signed.
	Signed() (size uint64, root [32]byte)
	// Check looks at everything: what was made is there, whole and alone, what was signed is signed, keys open, views are
	// what a replay gives, and nothing is half made.
	Check(ctx context.Context, made map[int]Filing, signed map[uint64][32]byte) error
	Close() error
}

// Filing is an acknowledged filing: what whoever asked for it holds.
type Filing struct {
	ID, Number string
	Position   uint64 // Of its last event.
}

// ErrRefused is a filing's place being taken.
var ErrRefused = errors.New("refused")

// ProductsConfig is a run of power losses under the whole product.
type ProductsConfig struct {
	Seed    uint64
	Crashes int                                               // Ends after so many; 0 is no end but ctx's.
	Filings int                                               // Places for them: n below it.
	Make    func(ctx context.Context, fs FS) error            // Makes the world they are filed in.
	Open    func(ctx context.Context, fs FS) (Product, error) // Opens it and lets it work.
	Each    func(crashes, verified int)                       // Told after each life, if not nil.
}

// ProductsTally is what a run did.
type ProductsTally struct {
	Crashes  int            // Power losses.
	Verified int            // Acknowledged filings looked for after a power loss,
	Signed   int            // and checkpoints that were handed out.
	Repeated int            // Unanswered filings asked for again.
	Refused  int            // Whose place was taken.
	At       map[string]int // Power losses by what was under way: "open log", "work register", "check views" …
}

const (
	clerks          = 3
	filingsOfLife   = 24 // At most.
	livesOfWorld    = 6  // Then it is made anew: each life looks at all of it.
	untilTheEnd     = 1 << 40
	signedLooks     = 200 // A millisecond each: for a checkpoint to come.
	handedOutByLife = 16  // Checkpoints kept to be looked for.
)

// Products lives, files, signs and keeps views, loses power at a random operation of the whole disk and recovers, or loses
// it while it recovers, each time going on with what survived, and returns what it found wrong.
func Products(ctx context.Context, c ProductsConfig) (t ProductsTally, err error) {
	rng := rand.New(rand.NewPCG(c.Seed, 19))
	t.At = map[string]int{}
	made := NewDisk()
	if err := c.Make(ctx, made); err != nil {
		return t, fmt.Errorf("make the world: %w", err)
	}
	base := made.PowerLoss(0, nil) // It was closed: all of it is durable.
	var ops, opening int64
	var l *productLife
	for n := 0; ctx.Err() == nil && (c.Crashes == 0 || t.Crashes < c.Crashes); n++ {
		if n%livesOfWorld == 0 {
			l = newProductLife(base.PowerLoss(0, nil), rng, nil)
		} else {
			l = newProductLife(l.after, rng, l)
		}
		switch { // The first life shows how many operations one has.
		case n == 0:
			l.left.Store(untilTheEnd)
		case rng.IntN(3) == 0:
			l.left.Store(1 + rng.Int64N(opening))
		default:
			l.left.Store(1 + rng.Int64N(ops))
		}
		opened, err := l.run(ctx, c, rng, &t)
		if err != nil {
			return t, fmt.Errorf("after %d power losses, the last at %q: %w", t.Crashes, l.at, err)
		}
		if n == 0 {
			ops, opening = untilTheEnd-l.left.Load(), untilTheEnd-opened
		}
		t.Crashes++
		t.At[l.at]++
		if c.Each != nil {
			c.Each(t.Crashes, t.Verified)
		}
	}
	return t, nil
}

// productLife is one life of the product on a disk that loses power once.
type productLife struct {
	fuse
	next atomic.Int64 // Filing that nobody has asked for yet.

	mu    sync.Mutex
	made  map[int]Filing      // Acknowledged,
	under map[int]bool        // asked for,
	shown map[uint64][32]byte // and checkpoints handed out.

	keptMade  map[int]Filing // Until the power was lost.
	keptUnder map[int]bool
	keptShown map[uint64][32]byte
}

func newProductLife(disk *Disk, rng *rand.Rand, before *productLife) *productLife {
	l := &productLife{
		fuse: fuse{disk: disk, loss: rng.Uint64(), place: productPlace},
		made: map[int]Filing{}, under: map[int]bool{}, shown: map[uint64][32]byte{},
	}
	if before != nil {
		l.made, l.under, l.shown = maps.Clone(before.keptMade), maps.Clone(before.keptUnder), maps.Clone(before.keptShown)
		l.next.Store(before.next.Load())
	}
	l.phase.Store("open")
	l.taken = func() func() {
		l.mu.Lock()
		l.keptMade, l.keptUnder, l.keptShown = maps.Clone(l.made), maps.Clone(l.under), maps.Clone(l.shown)
		return l.mu.Unlock
	}
	return l
}

// productPlace names the part of the product whose folder an operation is in.
func productPlace(op errorfs.Op) string {
	part, rest, _ := strings.Cut(strings.TrimPrefix(op.Path, "/"), "/")
	if part == logDir {
		return place(errorfs.Op{Path: rest})
	}
	return part
}

func (l *productLife) run(ctx context.Context, c ProductsConfig, rng *rand.Rand, t *ProductsTally) (opened int64, err error) {
	p, err := c.Open(ctx, l.fs())
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	l.phase.Store("check")
	err = l.again(ctx, p, t)
	if err == nil {
		l.mu.Lock()
		made, shown := maps.Clone(l.made), maps.Clone(l.shown)
		l.mu.Unlock()
		t.Verified += len(made)
		t.Signed += len(shown)
		err = p.Check(ctx, made, shown)
	}
	if err != nil {
		return 0, errors.Join(err, p.Close())
	}
	opened = l.left.Load()
	l.phase.Store("work")
	if err = l.work(ctx, c, p, rng, t); err == nil && rng.IntN(4) > 0 {
		l.blow("idle")
	}
	l.phase.Store("close")
	err = errors.Join(err, p.Close())
	l.blow("closed")
	return opened, err
}

// again asks twice for what was not answered: both answers are one.
func (l *productLife) again(ctx context.Context, p Product, t *ProductsTally) error {
	l.mu.Lock()
	under := maps.Clone(l.under)
	l.mu.Unlock()
	for n := range under {
		first, err := l.file(ctx, p, n)
		second, err2 := l.file(ctx, p, n)
		switch {
		case errors.Is(err, ErrRefused) && errors.Is(err2, ErrRefused):
			t.Refused++
		case err != nil || err2 != nil:
			return fmt.Errorf("filing %d asked for again: %w", n, errors.Join(err, err2))
		case first.ID != second.ID || first.Number != second.Number:
			return fmt.Errorf("CHANGED: filing %d was asked for again, and is %v, then %v", n, first, second)
		}
		t.Repeated++
	}
	return nil
}

// file asks for a filing and notes the answer.
func (l *productLife) file(ctx context.Context, p Product, n int) (Filing, error) {
	l.mu.Lock()
	l.under[n] = true
	l.mu.Unlock()
	f, err := p.File(context.WithoutCancel(ctx), n)
	l.mu.Lock()
	if err == nil {
		l.made[n] = f
	}
	if err == nil || errors.Is(err, ErrRefused) {
		delete(l.under, n)
	}
	l.mu.Unlock()
	return f, errors.Join(err, l.show(p.Signed()))
}

// show notes a checkpoint that was handed out.
func (l *productLife) show(size uint64, root [32]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.shown[size]; ok && was != root {
		return fmt.Errorf("CHANGED: two roots of %d leaves were handed out", size)
	}
	l.shown[size] = root
	for old := range l.shown {
		if len(l.shown) > handedOutByLife && old != size {
			delete(l.shown, old)
		}
	}
	return nil
}

// signed waits until more is signed than was, for a while.
func (l *productLife) signed(p Product) error {
	was, _ := p.Signed()
	for range signedLooks {
		if now, _ := p.Signed(); now > was || l.dead.Load() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return l.show(p.Signed())
}

// work has the clerks file until the power has failed or enough was filed.
func (l *productLife) work(ctx context.Context, c ProductsConfig, p Product, rng *rand.Rand, t *ProductsTally) error {
	var calls, refused atomic.Int64
	enough := int64(1 + rng.IntN(filingsOfLife))
	errs := make([]error, clerks)
	var all sync.WaitGroup
	for w := range clerks {
		all.Go(func() {
			for calls.Add(1) <= enough && !l.dead.Load() && ctx.Err() == nil {
				n := int(l.next.Add(1)) - 1
				if n >= c.Filings {
					return
				}
				_, err := l.file(ctx, p, n)
				if errors.Is(err, ErrRefused) {
					refused.Add(1)
					continue
				}
				if err == nil && n%3 == 0 {
					err = l.signed(p) // Its receipt's checkpoint.
				}
				if err != nil {
					errs[w] = fmt.Errorf("filing %d: %w", n, err)
					return
				}
			}
		})
	}
	all.Wait()
	t.Refused += int(refused.Load())
	return errors.Join(errs...)
}
