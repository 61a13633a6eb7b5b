package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"zujian/eventstore"
)

// ErrorsConfig is a sweep of disk errors.
type ErrorsConfig struct {
	Seed uint64
	// Open opens the log on the disk. It calls fatal, and never comes back from it, where it would end the process.
	Open  func(fs vfs.FS, fatal func(error)) (Log, error)
	Kinds []string // All if nil.
	// Derived is the folder of a Pebble database, "" if there is none: it panics in a goroutine of its own when this
	// folder can't be synced, which ends the process. The sweep ends its run instead.
	Derived string
}

// ErrorsTally is what a sweep did.
type ErrorsTally struct {
	Points  map[string]int // Runs with an error, by kind of operation: "write once", "sync for ever" …
	Outcome map[string]int // What the error came to: "open refused", "append refused", "stopped", "fatal", "close failed", "unnoticed".
}

const (
	sweepAppends = 24
	pointsAtOnce = 8
	notReached   = "not reached"
	sweepMax     = 5000            // Operations of one kind in a run; more means that it does not end.
	hangAfter    = 2 * time.Minute // On a busy machine; a run takes milliseconds.
)

// Errors fails the k-th operation of each kind, for k = 0, 1, 2 … until a run ends before its k-th: once that operation
// alone, once it and all of its kind after it. After each run the power fails, and a log opened on what is left must
// hold all that was acknowledged and nothing else, and take the unanswered appends again.
func Errors(ctx context.Context, c ErrorsConfig) (t ErrorsTally, err error) {
	t = ErrorsTally{Points: map[string]int{}, Outcome: map[string]int{}}
	base := &sweep{rng: rand.New(rand.NewPCG(c.Seed, 11)), disk: NewDisk(), open: c.Open, died: make(chan error, 1)}
	if outcome, err := base.run(ctx, nil); err != nil || outcome != "unnoticed" {
		return t, fmt.Errorf("without an error: %s: %w", outcome, err)
	}
	kinds := c.Kinds
	if kinds == nil {
		kinds = Kinds
	}
	for _, kind := range kinds {
		for _, forever := range []bool{false, true} {
			if err := t.kind(ctx, c, base, kind, forever); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

// kind fails each operation of one kind. Points wait more than they compute, so several run at once.
func (t *ErrorsTally) kind(ctx context.Context, c ErrorsConfig, base *sweep, kind string, forever bool) error {
	name := kind + " once"
	if forever {
		name = kind + " for ever"
	}
	for first := 0; first < sweepMax && ctx.Err() == nil; first += pointsAtOnce {
		var outcomes [pointsAtOnce]string
		var errs [pointsAtOnce]error
		var wg sync.WaitGroup
		for i := range pointsAtOnce {
			wg.Go(func() {
				s := &sweep{
					rng: rand.New(rand.NewPCG(c.Seed, uint64(first+i))), disk: base.disk.PowerLoss(0, nil), open: c.Open,
					acks: base.acks[:len(base.acks):len(base.acks)], died: make(chan error, 1),
				}
				outcomes[i], errs[i] = s.point(ctx, c.Derived, kind, first+i, forever)
			})
		}
		wg.Wait()
		for i, outcome := range outcomes {
			if errs[i] != nil {
				return fmt.Errorf("%s, operation %d (%s): %w", name, first+i, outcome, errs[i])
			}
			if outcome == notReached {
				return nil
			}
			t.Points[name]++
			t.Outcome[outcome]++
		}
	}
	return nil
}

// sweep is one run of a log on a disk that fails.
type sweep struct {
	rng  *rand.Rand
	disk *Disk
	open func(vfs.FS, func(error)) (Log, error)
	died chan error // The process ended.

	mu   sync.Mutex // A process that ended goes on here until it notices.
	acks []acked
	last *attempt // Not answered.
}

func (s *sweep) asks(a attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = &a
}

func (s *sweep) answered(a attempt, res eventstore.Appended) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks, s.last = append(s.acks, acked{a.stream, res, a.events}), nil
}

func (s *sweep) point(ctx context.Context, derived, kind string, k int, forever bool) (outcome string, err error) {
	var seen atomic.Int64
	broken := []error{syscall.EIO, syscall.ENOSPC}[k%2]
	if kind != "write" && kind != "create" {
		broken = syscall.EIO
	}
	outcome, err = s.run(ctx, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if Kind(op) != kind {
			return nil
		}
		if n := seen.Add(1) - 1; n == int64(k) || forever && n > int64(k) {
			err := &injected{op.Path, broken}
			if kind == "sync" && derived != "" && op.Path == derived {
				s.die(err)
			}
			return err
		}
		return nil
	}))
	if err != nil {
		return outcome, err
	}
	if seen.Load() <= int64(k) {
		return notReached, nil
	}
	return outcome, s.after(ctx)
}

// injected is an error of the disk.
type injected struct {
	path string
	err  error
}

func (e *injected) Error() string { return e.path + ": injected: " + e.err.Error() }
func (e *injected) Unwrap() error { return e.err }

// run opens, appends, reads and closes, and says what became of it. err is what a log must never do, error or not.
func (s *sweep) run(ctx context.Context, inj errorfs.Injector) (outcome string, err error) {
	fs := vfs.FS(s.disk)
	if inj != nil {
		fs = errorfs.Wrap(fs, inj)
	}
	type end struct {
		outcome string
		err     error
	}
	ended := make(chan end, 1)
	go func() {
		outcome, err := s.work(ctx, fs)
		ended <- end{outcome, err}
	}()
	select {
	case e := <-ended:
		return e.outcome, e.err
	case <-s.died:
		// What a writer was told before counts; it can't be told anything now, as its process is gone.
		return "fatal", nil
	case <-time.After(hangAfter):
		return "hangs", errors.New("HANGS: neither an answer nor an error")
	}
}

// die is where the process would end: whatever is open stays as it is.
func (s *sweep) die(err error) {
	select {
	case s.died <- err:
	default:
	}
	select {}
}

func (s *sweep) work(ctx context.Context, fs vfs.FS) (outcome string, err error) {
	l, err := s.open(fs, s.die)
	if err != nil {
		return "open refused", nil
	}
	outcome, err = s.use(ctx, l)
	if cerr := l.Close(); cerr != nil && outcome == "unnoticed" {
		outcome = "close failed"
	}
	return outcome, err
}

// use appends and reads. Only an answer counts: an error may mean anything, silence nothing.
func (s *sweep) use(ctx context.Context, l Log) (outcome string, err error) {
	outcome = "unnoticed"
	heads := map[string]eventstore.Revision{}
	for _, a := range s.acks {
		heads[a.stream] = a.res.Revision
	}
	for n := range sweepAppends {
		a := attempt{streamName(n % 3), head(heads, streamName(n%3)), newEvents(s.rng, 1+n%3, 1200)}
		s.asks(a)
		for try := 0; ; try++ {
			res, err := l.Append(ctx, a.stream, a.expected, a.events...)
			if err == nil {
				s.answered(a, res)
				heads[a.stream] = res.Revision
				break
			}
			if errors.Is(err, eventstore.ErrClosed) {
				return "stopped", s.read(ctx, l)
			}
			outcome = "append refused"
			if try == 3 {
				return outcome, s.read(ctx, l)
			}
		}
	}
	return outcome, s.read(ctx, l)
}

// read reads everything: it ends with an error, or holds all that was acknowledged.
func (s *sweep) read(ctx context.Context, l Log) error {
	events := 0
	for _, a := range s.acks {
		events += len(a.events)
	}
	got, failed := 0, error(nil)
	for _, err := range l.All(ctx, 0) {
		if failed = err; err == nil {
			got++
		}
	}
	if failed == nil && got < events {
		return fmt.Errorf("LOST: read %d events without an error, %d were acknowledged", got, events)
	}
	for n := range 3 {
		want := eventstore.NoStream
		for _, a := range s.acks {
			if a.stream == streamName(n) {
				want = a.res.Revision
			}
		}
		last, failed := eventstore.NoStream, error(nil)
		for r, err := range l.Stream(ctx, streamName(n), 0) {
			if failed = err; err == nil {
				last = r.Revision
			}
		}
		if failed == nil && last < want {
			return fmt.Errorf("LOST: stream %d ends at %d without an error, %d was acknowledged", n, last, want)
		}
	}
	return nil
}

// after takes the power away, opens what is left, and checks it.
func (s *sweep) after(ctx context.Context) error {
	s.mu.Lock()
	acks, last := s.acks[:len(s.acks):len(s.acks)], s.last
	s.mu.Unlock()
	left := s.disk.PowerLoss(Survival[s.rng.IntN(len(Survival))], s.rng)
	l, err := s.open(left, func(err error) { panic(err) })
	if err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	_, err = survivors(ctx, l, acks)
	if err == nil && last != nil {
		_, err = repeated(ctx, l, *last)
	}
	return errors.Join(err, l.Close())
}
