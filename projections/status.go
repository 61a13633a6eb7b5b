package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"zujian/eventstore"
)

// ErrBehind means the view had not reached the position in time; try again later.
var ErrBehind = errors.New("projections: view is behind")

// ErrUnknownView means no projection of that name is kept here.
var ErrUnknownView = errors.New("projections: unknown view")

// State of one version of a view.
type State string

// States. A live version is the one readers see, or the one they would if it were not behind.
const (
	StateBuilding State = "building"
	StateLive     State = "live"
	StateStopped  State = "stopped"
)

// Status is how one version of a view stands. During a rebuild a name has two, the one readers see first.
type Status struct {
	Name       string              `json:"name"`
	Version    int                 `json:"version"`
	State      State               `json:"state"`
	Active     bool                `json:"active"` // Readers see it.
	Checkpoint eventstore.Position `json:"checkpoint"`
	Head       eventstore.Position `json:"head"`               // The farthest any view's reader has seen; at first start it grows.
	LagEvents  uint64              `json:"lag_events"`         // Up to Head.
	LagSeconds float64             `json:"lag_seconds"`        // Age of the last event read, while behind Head; else 0.
	Error      string              `json:"error,omitempty"`    // Why it stopped, or what it is retrying.
	ErrorAt    eventstore.Position `json:"error_at,omitempty"` // The event it stopped at.
}

// track is everything known of one name: what readers see, what is being built, who waits.
type track struct {
	name string

	mu       sync.Mutex
	live     *progress // The member readers see; nil until one is active.
	building *progress
	retired  *member             // Replaced, but not dropped yet.
	frozen   int                 // A version readers see that nobody keeps any more: an older program's.
	seen     eventstore.Position // Readers see at least this.
	waiters  map[*waiter]struct{}
	unknown  bool
	turn     *turn // Of Keep; nil for those of Run's list.
	members  int   // In groups.
}

// progress is what others may know of a member.
type progress struct {
	member  *member // Only compared, never looked into.
	slot    int
	version int
	seen    mark
	saved   eventstore.Position
	err     error // Being retried, or the reason it stopped.
	errAt   eventstore.Position
	stopped bool
}

type waiter struct {
	position eventstore.Position
	done     chan error // Room for the one answer.
}

func (r *Runner) track(name string) *track {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trackLocked(name)
}

func (r *Runner) trackLocked(name string) *track {
	t, ok := r.tracks[name]
	if !ok {
		t = &track{name: name, waiters: map[*waiter]struct{}{}}
		if r.tracks == nil {
			r.tracks = map[string]*track{}
		}
		r.tracks[name] = t
	}
	return t
}

// forgetUnknown answers those who wait for names that Run does not keep.
func (r *Runner) forgetUnknown(list []Projection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, t := range r.tracks {
		if slices.ContainsFunc(list, func(p Projection) bool { return p.Name() == name }) {
			continue
		}
		t.mu.Lock()
		if t.turn == nil {
			t.unknown = true
			t.answer(fmt.Errorf("%w %q", ErrUnknownView, name))
			delete(r.tracks, name)
		}
		t.mu.Unlock()
	}
}

// find is the track of a name; before Run knows the names, any.
func (r *Runner) find(name string) (*track, error) {
	r.mu.Lock()
	t, ok := r.tracks[name]
	started := r.started
	r.mu.Unlock()
	if !ok && started {
		return nil, fmt.Errorf("%w %q", ErrUnknownView, name)
	}
	if !ok {
		t = r.track(name)
	}
	return t, nil
}

// WaitFor returns nil once readers of a view see everything up to position. It returns ErrBehind when ctx reaches its
// deadline first, or at once when the view has stopped; ErrUnknownView for a name not kept; ctx.Err() when ctx is cancelled.
func (r *Runner) WaitFor(ctx context.Context, name string, position eventstore.Position) error {
	t, err := r.find(name)
	if err != nil {
		return err
	}
	w, err := t.wait(position)
	if w == nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	t.mu.Lock()
	delete(t.waiters, w)
	t.mu.Unlock()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("wait for %s at %d: %w", name, position, ErrBehind)
	}
	return ctx.Err()
}

// WaitAll is WaitFor for every view kept. Call it after Run began.
func (r *Runner) WaitAll(ctx context.Context, position eventstore.Position) error {
	for _, s := range r.Status() {
		if err := r.WaitFor(ctx, s.Name, position); err != nil {
			return err
		}
	}
	return nil
}

// Status of every version of every view, by name.
func (r *Runner) Status() []Status {
	r.mu.Lock()
	head := r.head
	tracks := make([]*track, 0, len(r.tracks))
	for _, t := range r.tracks {
		tracks = append(tracks, t)
	}
	r.mu.Unlock()
	slices.SortFunc(tracks, func(a, b *track) int { return cmp.Compare(a.name, b.name) })
	var out []Status
	for _, t := range tracks {
		t.mu.Lock()
		for _, p := range []*progress{t.live, t.building} {
			if p != nil {
				out = append(out, r.statusOf(t, p, head))
			}
		}
		t.mu.Unlock()
	}
	return out
}

func (r *Runner) statusOf(t *track, p *progress, head mark) Status {
	s := Status{
		Name: t.name, Version: p.version, State: StateBuilding, Active: p == t.live,
		Checkpoint: p.seen.position, Head: max(head.position, p.seen.position), ErrorAt: p.errAt,
	}
	switch {
	case p.stopped:
		s.State = StateStopped
	case s.Active:
		s.State = StateLive
	}
	if p.err != nil {
		s.Error = p.err.Error()
	}
	if p.seen.position < head.position {
		s.LagEvents = head.ordinal - min(p.seen.ordinal, head.ordinal)
		if !p.seen.storedAt.IsZero() {
			s.LagSeconds = max(0, r.Now().Sub(p.seen.storedAt).Seconds())
		}
	}
	return s
}

// Rebuild builds a view again from the first event beside the one readers see, which stays up to date meanwhile, and
// swaps them at the head. It returns at once; Status tells how far it is. It also revives a stopped view.
//
// The copy has the same version; in the view store it stands under that plus [VersionMax], or without, in turn.
func (r *Runner) Rebuild(ctx context.Context, name string) error {
	t, err := r.find(name)
	if err != nil {
		return err
	}
	m, before, err := t.startRebuild()
	if err != nil {
		return err
	}
	if err := r.Views.Drop(ctx, name, m.slot); err != nil {
		t.undoRebuild(before)
		return fmt.Errorf("rebuild %s: %w", name, err)
	}
	if !r.spawn(&group{runner: r, members: []*member{m}}) {
		t.undoRebuild(before)
		return fmt.Errorf("rebuild %s: not running", name)
	}
	return nil
}

// startRebuild takes the place of the version being built. It returns what was there before.
func (t *track) startRebuild() (m *member, before *progress, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var p *progress
	switch {
	case t.building != nil && !t.building.stopped, t.retired != nil:
		return nil, nil, fmt.Errorf("rebuild %s: it is being built", t.name)
	case t.live != nil:
		p = &progress{slot: otherSlot(t.live.slot), version: t.live.version, member: t.live.member}
	case t.building != nil: // It stopped before it was ever active.
		p = &progress{slot: t.building.slot, version: t.building.version, member: t.building.member}
	default:
		return nil, nil, fmt.Errorf("rebuild %s: not opened yet", t.name)
	}
	p.member = memberOf(t, p.member.projection, p.slot)
	before, t.building = t.building, p
	t.members++
	return p.member, before, nil
}

// undoRebuild puts back what startRebuild replaced.
func (t *track) undoRebuild(p *progress) {
	t.mu.Lock()
	t.building = p
	t.mu.Unlock()
	t.out()
}

func (t *track) opened(m *member, live bool, active int, seen eventstore.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.members++
	p := &progress{member: m, slot: m.slot, version: m.projection.Version(), seen: m.seen, saved: m.saved}
	if live {
		t.live = p
	} else {
		t.building, t.frozen = p, active
	}
	if live || active != 0 {
		t.reached(seen)
	}
}

// reached tells those who wait that readers see everything up to a position.
func (t *track) reached(seen eventstore.Position) {
	t.seen = max(t.seen, seen)
	for w := range t.waiters {
		if w.position <= t.seen {
			w.done <- nil
			delete(t.waiters, w)
		}
	}
}

func (t *track) answer(err error) {
	for w := range t.waiters {
		w.done <- err
		delete(t.waiters, w)
	}
}

func (t *track) wait(position eventstore.Position) (*waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.unknown:
		return nil, fmt.Errorf("%w %q", ErrUnknownView, t.name)
	case (t.live != nil || t.frozen != 0) && position <= t.seen:
		return nil, nil
	case t.hopeless() != nil:
		return nil, t.hopeless()
	}
	w := &waiter{position, make(chan error, 1)}
	t.waiters[w] = struct{}{}
	return w, nil
}

// hopeless is the error of a view that no version is going to move.
func (t *track) hopeless() error {
	var last *progress
	for _, p := range []*progress{t.live, t.building} {
		if p != nil && !p.stopped {
			return nil
		}
		if p != nil {
			last = p
		}
	}
	if last == nil {
		return nil
	}
	return fmt.Errorf("wait for %s: %w: stopped at %d: %w", t.name, ErrBehind, last.errAt, last.err)
}

func (t *track) of(m *member) *progress {
	for _, p := range []*progress{t.live, t.building} {
		if p != nil && p.member == m {
			return p
		}
	}
	return &progress{} // Retired: nobody asks any more.
}

func (t *track) moved(m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.of(m)
	p.seen, p.saved, p.err = m.seen, m.saved, nil
	if p == t.live {
		t.reached(m.seen.position)
	}
}

func (t *track) retries(m *member, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.of(m)
	p.seen, p.err = m.seen, err
}

func (t *track) stopped(m *member, s *stopError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.of(m)
	p.stopped, p.err, p.errAt = true, s.err, s.at
	if err := t.hopeless(); err != nil {
		t.answer(err)
	}
}

func (t *track) isLive(m *member) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live != nil && t.live.member == m
}

// activated makes m what readers see. It returns the version replaced if the caller must drop it, else 0: then its own
// group lets it go.
func (t *track) activated(m *member) (old int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.live == nil:
		old = t.frozen
	case t.live.stopped:
		old = t.live.slot
	default:
		t.retired = t.live.member
	}
	t.live, t.building, t.frozen = t.building, nil, 0
	t.seen = 0
	t.reached(m.seen.position)
	return old
}

func (t *track) isRetired(m *member) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of(m).member == nil
}

// dropped ends a retirement.
func (t *track) dropped(m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired == m {
		t.retired = nil
	}
}
