package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"zujian/domain"
	"zujian/eventstore"
)

// Runner keeps views up to date with the log. Set the fields, then call Run once; the other methods may be called from
// any goroutine, before Run too.
//
// # Decisions
//
// Projections that stand at the same place follow the log as one group: an event is read and decoded once for all of
// them, on all cores, and skipped undecoded when none wants its type; each then applies its share in its own goroutine
// and commits its own checkpoint. The price: a group moves at the pace of its slowest member. So whoever fails or is
// being built follows alone, and joins the main group once it is at the head; the others never wait for it.
//
// Writing a checkpoint for a stretch that holds nothing a view wants is put off until the head.
type Runner struct {
	Store     eventstore.Store
	Views     Views
	Catalogue domain.Catalogue
	Now       func() time.Time // The clock; required.
	Logger    *slog.Logger     // nil is silent.
	Metrics   Metrics

	BatchMax   int           // Wanted events in one batch; 8192 if 0: what many of them touch is written once.
	BatchWait  time.Duration // How long a batch may collect; 50 ms if 0.
	Pace       time.Duration // At the head, least time from one look at the log to the next, twice that while it is busy: many small batches cost more than few.
	Workers    int           // Views applied at once; all if 0, which suits a view store that is far away.
	BackoffMin time.Duration // First pause after an infrastructure error; 1 s if 0. It doubles each time.
	BackoffMax time.Duration // Longest pause; 30 s if 0.

	mu      sync.Mutex
	tracks  map[string]*track
	started bool
	ctx     context.Context // Of the running Run; nil before and after.
	wg      sync.WaitGroup
	joiners []*member          // Waiting to enter the main group.
	arrived []*member          // Waiting to follow together, see Keep.
	ended   chan struct{}      // Closed when Run and all its goroutines are done.
	nudge   context.CancelFunc // Ends the main group's wait.
	head    mark               // The farthest anyone has read.
	failed  error              // Why Run must end.
	end     context.CancelFunc
}

// Metrics are called as things happen; nil fields are skipped. They must be quick and safe for concurrent use.
type Metrics struct {
	Batch func(name string, events int, took time.Duration) // A batch was applied and committed.
	Retry func(name string, err error)                      // Infrastructure failed; name is "" for the log itself.
	Stop  func(name string, err error)                      // A projection stopped for good.
}

func (r *Runner) batchMax() int            { return orElse(r.BatchMax, 8192) }
func (r *Runner) batchWait() time.Duration { return orElse(r.BatchWait, 50*time.Millisecond) }

func orElse[T ~int | ~int64](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

func (r *Runner) log() *slog.Logger {
	if r.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Logger
}

// Run keeps the projections, and those of Keep, until ctx ends, then returns nil when all its goroutines are done. It returns an error
// early only when it was set up wrongly or the store is closed; a projection that fails stops alone, see Status.
func (r *Runner) Run(ctx context.Context, list []Projection) error {
	if err := r.check(list); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	if r.started {
		r.mu.Unlock()
		return errors.New("projections: Run called twice")
	}
	r.started, r.ctx, r.end, r.ended = true, ctx, cancel, make(chan struct{})
	for _, p := range list { // Known from here on: who waits for the last is not told that there is none.
		r.trackLocked(p.Name())
	}
	r.mu.Unlock()
	defer close(r.ended)
	main, building, err := r.open(ctx, list)
	if err == nil {
		r.spawn(&group{runner: r, main: true, members: main})
		if len(building) > 0 {
			r.spawn(&group{runner: r, members: building})
		}
		<-ctx.Done()
	}
	r.mu.Lock()
	r.ctx = nil
	r.mu.Unlock()
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *Runner) check(list []Projection) error {
	if r.Store == nil || r.Views == nil || r.Now == nil {
		return errors.New("projections: Runner needs Store, Views and Now")
	}
	names := map[string]bool{}
	for _, p := range list {
		if err := CheckBatch(p.Name(), p.Version(), 0, 0); err != nil {
			return err
		}
		if p.Version() >= VersionMax {
			return fmt.Errorf("projections: %s: version %d is not below %d", p.Name(), p.Version(), VersionMax)
		}
		if names[p.Name()] {
			return fmt.Errorf("projections: view %s declared twice", p.Name())
		}
		names[p.Name()] = true
	}
	return nil
}

// open finds where each projection stands: those readers see, and those to build first.
func (r *Runner) open(ctx context.Context, list []Projection) (main, building []*member, err error) {
	for _, p := range list {
		m, live, err := r.openAgain(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		if live {
			main = append(main, m)
		} else {
			building = append(building, m)
		}
	}
	r.forgetUnknown(list)
	return main, building, nil
}

// openAgain opens a projection, again and again until ctx ends.
func (r *Runner) openAgain(ctx context.Context, p Projection) (m *member, live bool, err error) {
	t := r.track(p.Name())
	for failures := 1; ; failures++ {
		if m, live, err = r.openOne(ctx, t, p); err == nil {
			return m, live, nil
		}
		if err := r.pause(ctx, p.Name(), failures, err); err != nil {
			return nil, false, err
		}
	}
}

func (r *Runner) openOne(ctx context.Context, t *track, p Projection) (m *member, live bool, err error) {
	active, err := r.Views.Active(ctx, t.name)
	if err != nil {
		return nil, false, fmt.Errorf("open view %s: %w", t.name, err)
	}
	m = memberOf(t, p, p.Version())
	if live = active%VersionMax == p.Version(); live {
		m.slot = active
		if err := r.sweep(ctx, t.name, active); err != nil {
			return nil, false, fmt.Errorf("open view %s: %w", t.name, err)
		}
	}
	if m.saved, err = r.Views.Checkpoint(ctx, t.name, m.slot); err != nil {
		return nil, false, fmt.Errorf("open view %s: %w", t.name, err)
	}
	if err := reaches(ctx, r.Store, m.saved); err != nil {
		return nil, false, fmt.Errorf("open view %s: %w", t.name, err)
	}
	m.seen = mark{position: m.saved}
	seen := m.saved
	if !live && active != 0 {
		if seen, err = r.Views.Checkpoint(ctx, t.name, active); err != nil {
			return nil, false, fmt.Errorf("open view %s: %w", t.name, err)
		}
	}
	t.opened(m, live, active, seen)
	return m, live, nil
}

// CheckLog refuses views that readers see and that are of another log, or of one that went further than this one does, as
// after a restore from an older copy. A Runner waits for such a view for ever, and readers see what never was. What can't be
// read it leaves to the Runner, but ErrUnavailable says that it could not look: ask again.
func CheckLog(ctx context.Context, log eventstore.Store, views Views, list []Projection) error {
	for _, p := range list {
		saved := eventstore.Position(0)
		active, err := views.Active(ctx, p.Name())
		if err == nil && active > 0 {
			saved, err = views.Checkpoint(ctx, p.Name(), active)
		}
		if errors.Is(err, ErrUnavailable) {
			return err
		}
		if err != nil {
			continue
		}
		if err := reaches(ctx, log, saved); errors.Is(err, errOtherLog) {
			return fmt.Errorf("view %s: %w", p.Name(), err)
		}
	}
	return nil
}

// reaches refuses a view that knows of more than the log: what is written there now would be missing in the view.
func reaches(ctx context.Context, log eventstore.Store, saved eventstore.Position) error {
	if saved == 0 {
		return nil
	}
	for rec, err := range log.AllBack(ctx, saved) {
		if err != nil || rec.Position == saved {
			return err
		}
		break
	}
	return fmt.Errorf("%w: up to position %d", errOtherLog, saved)
}

var errOtherLog = errors.New("it knows of events that this log does not have, which is another or was restored from an older copy: delete the views")

const sweepMax = 16 // Versions back that are looked for; more were never left behind by one crash.

// sweep drops what a crash between a swap and its clean-up left, and rebuilds that were cut off.
func (r *Runner) sweep(ctx context.Context, name string, active int) error {
	version := active % VersionMax
	for v := max(1, version-sweepMax); v <= version; v++ {
		for _, slot := range []int{v, v + VersionMax} {
			if slot == active {
				continue
			}
			at, err := r.Views.Checkpoint(ctx, name, slot)
			if err == nil && at > 0 {
				err = r.Views.Drop(ctx, name, slot)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// otherSlot is where a view of the same version is built beside the one in use.
func otherSlot(slot int) int {
	if slot >= VersionMax {
		return slot - VersionMax
	}
	return slot + VersionMax
}

// spawn starts a group if Run is running.
func (r *Runner) spawn(g *group) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx == nil || r.ctx.Err() != nil {
		return false
	}
	ctx := r.ctx
	r.wg.Go(func() { g.follow(ctx) })
	return true
}

// join hands members that reached the head to the main group.
func (r *Runner) join(members []*member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joiners = append(r.joiners, members...)
	r.wakeMain()
}

func (r *Runner) wakeMain() {
	if r.nudge != nil {
		r.nudge()
		r.nudge = nil
	}
}

// admit takes the members waiting, and a context for the next wait that ends when there are more.
func (r *Runner) admit(ctx context.Context) ([]*member, context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.joiners
	r.joiners = nil
	r.wakeMain() // Frees the last wait's context.
	ctx, r.nudge = context.WithCancel(ctx)
	return in, ctx
}

// pause waits before another try: BackoffMin, doubled with each failure, at most BackoffMax.
func (r *Runner) pause(ctx context.Context, name string, failures int, cause error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.Metrics.Retry != nil {
		r.Metrics.Retry(name, cause)
	}
	least, most := orElse(r.BackoffMin, time.Second), orElse(r.BackoffMax, 30*time.Second)
	wait := min(least<<min(failures-1, 20), most)
	if wait <= 0 {
		wait = most
	}
	r.log().WarnContext(ctx, "view retries", slog.String("view", name), slog.Duration("wait", wait), slog.Any("err", cause))
	return idle(ctx, wait)
}

// fail ends Run with an error nothing can mend.
func (r *Runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil && r.ctx != nil && r.ctx.Err() == nil {
		r.failed = err
		r.end()
	}
}

func (r *Runner) sawHead(m mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.position > r.head.position {
		r.head = m
	}
}
