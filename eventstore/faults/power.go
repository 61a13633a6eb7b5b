package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
)

// PowerConfig is a run of power losses.
type PowerConfig struct {
	Seed    uint64
	Crashes int                             // Ends after so many; 0 is no end but ctx's.
	Open    func(fs vfs.FS) (Log, error)    // Opens the log on the disk.
	Derived string                          // A folder that may be deleted while the log is closed; "" if there is none.
	Each    func(crashes, acknowledged int) // Told after each life, if not nil.
}

// PowerTally is what a run did. With no loss in n crashes, the loss rate per crash is below 3/n (95 %).
type PowerTally struct {
	Crashes  int            // Power losses, and processes killed.
	Verified int            // Acknowledged appends looked for after a power loss.
	Rebuilds int            // Lives that began without the derived folder.
	Repeated int            // Unanswered appends sent again after the power came back.
	At       map[string]int // Power losses by what was under way: "open log", "append index", "append spare" …
}

const (
	writers      = 4
	appendsMax   = 24  // Of one life.
	opsOfOpening = 40  // An open of a small log does about so many operations that change something,
	opsOfLife    = 110 // a life about so many,
	opsOfClosing = 25  // and a close with an index to write down.
)

// PowerLoss lives, loses power at a random operation and recovers, each time going on with what survived, and returns
// what it found wrong. From time to time it deletes what is derived, or starts anew.
func PowerLoss(ctx context.Context, c PowerConfig) (t PowerTally, err error) {
	rng := rand.New(rand.NewPCG(c.Seed, 7))
	t.At = map[string]int{}
	disk := NewDisk()
	var kept []acked
	var open []attempt
	for ctx.Err() == nil && (c.Crashes == 0 || t.Crashes < c.Crashes) {
		if rng.IntN(8) == 0 { // Keep the log small: every life reads all of it.
			disk, kept, open = NewDisk(), nil, nil
		}
		if c.Derived != "" && rng.IntN(5) == 0 {
			t.Rebuilds++
			if err := disk.RemoveAll(c.Derived); err != nil {
				return t, err
			}
		}
		l := life{fuse: fuse{disk: disk, loss: rng.Uint64(), place: place}, rng: rng, acks: kept, under: map[int]attempt{}}
		l.taken = l.keep
		for w, a := range open {
			l.under[w] = a
		}
		l.left.Store(int64(1 + rng.IntN(opsOfLife)))
		switch rng.IntN(6) {
		case 0, 1:
			l.left.Store(int64(1 + rng.IntN(opsOfOpening)))
		case 2:
			l.kill = true
		case 3:
			l.closes = int64(1 + rng.IntN(opsOfClosing))
			l.left.Store(1 << 30)
		}
		if err := l.run(ctx, c.Open); err != nil {
			return t, fmt.Errorf("after %d power losses: %w", t.Crashes, err)
		}
		t.Crashes++
		t.Verified += len(kept)
		t.Repeated += len(open)
		t.At[l.at]++
		disk, kept, open = l.after, l.kept, l.open
		if c.Each != nil {
			c.Each(t.Crashes, t.Verified)
		}
	}
	return t, nil
}

// life is one life of a log on a disk that loses power once.
type life struct {
	fuse
	rng    *rand.Rand // Of the goroutine that runs it.
	closes int64      // The power fails at this operation of the close, if not 0.

	mu    sync.Mutex
	acks  []acked
	under map[int]attempt // By writer.

	kept []acked
	open []attempt
}

// keep notes what is acknowledged now. What is under way may or may not be there.
func (l *life) keep() (goOn func()) {
	l.mu.Lock()
	l.kept = l.acks[:len(l.acks):len(l.acks)]
	for w := range writers {
		if a, ok := l.under[w]; ok {
			l.open = append(l.open, a)
		}
	}
	return l.mu.Unlock
}

func (l *life) run(ctx context.Context, open func(vfs.FS) (Log, error)) error {
	l.phase.Store("open")
	s, err := open(l.fs())
	if errors.Is(err, errKilled) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	heads, err := survivors(ctx, s, l.acks)
	if err == nil {
		l.phase.Store("append")
		if !l.dead.Load() { // Else the next life repeats them.
			err = l.repeat(ctx, s, heads)
		}
	}
	if err != nil && !errors.Is(err, errKilled) {
		return errors.Join(err, s.Close())
	}
	l.append(ctx, s, heads)
	if l.closes > 0 {
		l.phase.Store("close")
		l.left.Store(l.closes)
		err = s.Close()
		l.blow("closed")
		return err
	}
	l.blow("idle")
	if err = s.Close(); l.kill {
		return nil
	}
	return err // The old disk is gone, but nothing on it failed.
}

// repeat sends the unanswered appends of the last life again.
func (l *life) repeat(ctx context.Context, s Log, heads map[string]eventstore.Revision) error {
	for w := range writers {
		l.mu.Lock()
		a, there := l.under[w]
		l.mu.Unlock()
		if !there {
			continue
		}
		res, err := repeated(ctx, s, a)
		if err != nil {
			return err
		}
		heads[a.stream] = max(head(heads, a.stream), res.Revision)
		l.mu.Lock()
		l.acks = append(l.acks, acked{a.stream, res, a.events})
		delete(l.under, w)
		l.mu.Unlock()
	}
	return nil
}

func head(heads map[string]eventstore.Revision, stream string) eventstore.Revision {
	if rev, ok := heads[stream]; ok {
		return rev
	}
	return eventstore.NoStream
}

// append has the writers append until the power has failed or enough was acknowledged.
func (l *life) append(ctx context.Context, s Log, heads map[string]eventstore.Revision) {
	var count atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		rng := rand.New(rand.NewPCG(l.rng.Uint64(), uint64(w)))
		a := attempt{stream: streamName(w), expected: head(heads, streamName(w))}
		wg.Go(func() {
			for !l.dead.Load() && count.Add(1) <= appendsMax && ctx.Err() == nil {
				a.events = newEvents(rng, 1+rng.IntN(3), 1500)
				l.mu.Lock()
				l.under[w] = a
				l.mu.Unlock()
				res, err := s.Append(context.WithoutCancel(ctx), a.stream, a.expected, a.events...)
				if errors.Is(err, errKilled) {
					return
				}
				if err != nil {
					panic(err) // Nothing on this disk fails.
				}
				l.mu.Lock()
				l.acks = append(l.acks, acked{a.stream, res, a.events})
				delete(l.under, w)
				l.mu.Unlock()
				a.expected = res.Revision
			}
		})
	}
	wg.Wait()
}
