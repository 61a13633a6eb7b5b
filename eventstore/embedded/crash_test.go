package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/storetest"
)

// powerFS is a MemFS that may be cloned at any moment. MemFS takes its clone lock twice in these three calls, which
// hangs when a clone is asked for in between.
type powerFS struct {
	*vfs.MemFS
	mu sync.RWMutex
}

func newPowerFS(fs *vfs.MemFS) *powerFS { return &powerFS{MemFS: fs} }

func (p *powerFS) Lock(name string) (io.Closer, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.MemFS.Lock(name)
}

func (p *powerFS) Link(from, to string) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.MemFS.Link(from, to)
}

func (p *powerFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.MemFS.ReuseForWrite(from, to, c)
}

// fail returns the disk as a power failure at this moment would leave it.
func (p *powerFS) fail(cfg vfs.CrashCloneCfg) *powerFS {
	p.mu.Lock()
	defer p.mu.Unlock()
	return newPowerFS(p.CrashClone(cfg))
}

// acked is an append whose success a writer saw.
type acked struct {
	stream string
	res    eventstore.Appended
	events []eventstore.NewEvent
}

// crashRun is one life of a log on a file system that can lose power.
type crashRun struct {
	fs    *powerFS
	store *Store
	rng   *rand.Rand

	mu    sync.Mutex
	acks  []acked
	heads map[string]eventstore.Revision // As the log had them when this life began.
}

func crashOptions(fs vfs.FS, skipSync bool) Options {
	at := atomic.Int64{}
	segment := int64(16 << 10)
	if skipSync { // A new segment is always synced, and what is missing before one would stop the open first.
		segment = 256 << 10
	}
	return Options{
		Dir: "log", FS: fs, SegmentBytes: segment, Heads: 8, QueueAge: 24 * time.Hour, skipSync: skipSync,
		Now: func() time.Time { return time.Unix(1_700_000_000+at.Add(1), 0) },
	}
}

var survival = [...]int{0, 10, 50, 90, 100}

// crashes lives, crashes and recovers rounds times, each time going on with what survived, and returns what it found
// wrong. From time to time it deletes the index, crashes again in the middle of the recovery, or starts anew.
func crashes(t *testing.T, seed uint64, rounds int, skipSync bool) (crashed int, events int, err error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	fs := newPowerFS(vfs.NewCrashableMem())
	var kept []acked
	for crashed < rounds {
		if rng.IntN(12) == 0 { // Keep the log small: every round reads all of it.
			fs, kept = newPowerFS(vfs.NewCrashableMem()), nil
		}
		s, err := Open(crashOptions(fs, skipSync))
		if err != nil {
			return crashed, events, fmt.Errorf("crash %d: %w", crashed, err)
		}
		run := &crashRun{fs: fs, store: s, rng: rng, acks: kept}
		if run.heads, err = survivors(t, s, kept); err != nil {
			return crashed, events, errors.Join(fmt.Errorf("crash %d: %w", crashed, err), s.Close())
		}
		fs, kept = run.live()
		crashed++
		events += len(kept)
		if rng.IntN(3) == 0 { // The power fails again while the log is being recovered.
			if fs, err = crashWhileOpening(fs, rng, skipSync); err != nil {
				return crashed, events, fmt.Errorf("crash %d while opening: %w", crashed, err)
			}
			crashed++
		}
		if rng.IntN(5) == 0 {
			if err := fs.RemoveAll("log/" + indexName); err != nil {
				return crashed, events, err
			}
		}
	}
	return crashed, events, nil
}

// live has four writers append until a random number of appends was acknowledged. The writer that got the last of them
// then clones the disk as a power failure would leave it, while the others go on, and live returns the clone with all
// that was acknowledged before it was taken.
func (c *crashRun) live() (clone *powerFS, kept []acked) {
	const writers, beyond = 4, 8
	target := int64(1 + c.rng.IntN(24))
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: survival[c.rng.IntN(len(survival))], RNG: c.rng}
	var count atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		rng := rand.New(rand.NewPCG(c.rng.Uint64(), uint64(w)))
		stream := fmt.Sprintf("contract-%d", w)
		at, ok := c.heads[stream]
		if !ok {
			at = eventstore.NoStream
		}
		wg.Go(func() {
			for count.Load() < target+beyond {
				n := rng.IntN(1 << 30)
				es := storetest.Events(n, n+1+rng.IntN(3))
				es[0].Data = bytes.Repeat([]byte{'x'}, rng.IntN(1500))
				res, err := c.store.Append(t0, stream, at, es...)
				if err != nil {
					panic(err) // Nothing on this disk fails.
				}
				at = res.Revision
				c.mu.Lock()
				c.acks = append(c.acks, acked{stream, res, es})
				so := c.acks[:len(c.acks):len(c.acks)]
				c.mu.Unlock()
				if count.Add(1) == target {
					clone, kept = c.fs.fail(cfg), so
				}
			}
		})
	}
	wg.Wait()
	_ = c.store.Close() // The old disk is gone.
	return clone, kept
}

// crashWhileOpening crashes at a random moment of the recovery.
func crashWhileOpening(fs *powerFS, rng *rand.Rand, skipSync bool) (*powerFS, error) {
	opened := make(chan error, 1)
	go func() {
		s, err := Open(crashOptions(fs, skipSync))
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	time.Sleep(time.Duration(rng.IntN(1500)) * time.Microsecond)
	clone := fs.fail(vfs.CrashCloneCfg{UnsyncedDataPercent: survival[rng.IntN(len(survival))], RNG: rng})
	return clone, <-opened
}

// survivors checks the log after a crash: everything acknowledged is there unchanged, numbers have no gaps, and nothing
// is there that nobody appended.
func survivors(t *testing.T, s *Store, kept []acked) (heads map[string]eventstore.Revision, err error) {
	heads = map[string]eventstore.Revision{}
	byPosition := map[eventstore.Position]eventstore.Recorded{}
	want := uint64(0)
	for r, err := range s.All(t0, 0) {
		if err != nil {
			return nil, fmt.Errorf("read all: %w", err)
		}
		last, ok := heads[r.Stream]
		if !ok {
			last = eventstore.NoStream
		}
		if r.Ordinal != want || r.Revision != last+1 {
			return nil, fmt.Errorf("GAP: ordinal %d revision %d of %s, want %d and %d", r.Ordinal, r.Revision, r.Stream, want, last+1)
		}
		if r.Type != "test.happened" || len(r.Stream) != len("contract-0") {
			return nil, fmt.Errorf("PHANTOM: %+v", r)
		}
		heads[r.Stream] = r.Revision
		byPosition[r.Position] = r
		want++
	}
	if h, err := s.Head(t0); err != nil || h.Events != want {
		return nil, fmt.Errorf("GAP: the head counts %d events (%w), the log yields %d", h.Events, err, want)
	}
	for _, a := range kept {
		last := a.events[len(a.events)-1]
		r, ok := byPosition[a.res.Position]
		if !ok || r.ID != last.ID || r.Stream != a.stream || r.Revision != a.res.Revision {
			return nil, fmt.Errorf("ACKNOWLEDGED EVENT LOST: %s revision %d at %d", a.stream, a.res.Revision, a.res.Position)
		}
		i := 0
		for r, err := range s.Stream(t0, a.stream, a.res.Revision-eventstore.Revision(len(a.events))+1) {
			if err != nil {
				return nil, fmt.Errorf("read stream: %w", err)
			}
			if r.ID != a.events[i].ID || !bytes.Equal(r.Data, a.events[i].Data) {
				return nil, fmt.Errorf("ACKNOWLEDGED EVENT CHANGED: %s revision %d", a.stream, r.Revision)
			}
			if i++; i == len(a.events) {
				break
			}
		}
		if i < len(a.events) {
			return nil, fmt.Errorf("ACKNOWLEDGED EVENT LOST: %s revision %d is not in its stream", a.stream, a.res.Revision)
		}
	}
	if err := s.Verify(t0, nil); err != nil {
		return nil, err
	}
	return heads, nil
}

func TestCrash(t *testing.T) {
	t.Parallel()
	const rounds = 1000
	seed := uint64(time.Now().UnixNano())
	crashed, events, err := crashes(t, seed, rounds, false)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	t.Logf("seed %d: %d crashes, %d times an acknowledged append was looked for again", seed, crashed, events)
	if crashed < rounds || events < rounds {
		t.Fatalf("seed %d: only %d crashes with %d acknowledged appends", seed, crashed, events)
	}
}

// TestCrashFindsMissingSync shows that the loop finds a log that does not sync, each time, and that it is lost
// acknowledged events by which it does.
func TestCrashFindsMissingSync(t *testing.T) {
	t.Parallel()
	const rounds = 100
	lost := 0
	for seed := range uint64(20) {
		crashed, _, err := crashes(t, seed, rounds, true)
		if err == nil {
			t.Fatalf("seed %d: a log that never syncs came through %d crashes", seed, crashed)
		}
		if strings.Contains(err.Error(), "ACKNOWLEDGED EVENT LOST") {
			lost++
		}
	}
	if lost == 0 {
		t.Fatal("no acknowledged event was seen to be lost")
	}
}

var t0 = context.Background()
