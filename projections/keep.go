package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zujian/eventstore"
)

// turn is the time this process keeps a view that others may keep too.
type turn struct {
	ctx   context.Context // Ends with it.
	end   context.CancelCauseFunc
	gone  chan struct{} // Closed when it is over and no group has a member of it.
	empty bool          // It is closed.
}

const gather = 20 * time.Millisecond // Views whose turns begin within this follow the log together.

// Keep keeps a view that other processes may keep too, beside those of Run, until ctx ends: then it returns nil. Being fenced
// ends it with ErrFenced; another Keep begins where the view store is then. When it returns the view is left alone. Run MUST be
// running or Keep fails at once, and Run's end ends it.
func (r *Runner) Keep(ctx context.Context, p Projection) error {
	if err := r.check([]Projection{p}); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	k := &turn{ctx: ctx, end: end, gone: make(chan struct{})}
	t, run, err := r.begin(p.Name(), k)
	if err != nil {
		return fmt.Errorf("keep %s: %w", p.Name(), err)
	}
	defer t.left()
	defer context.AfterFunc(run, func() { end(run.Err()) })()
	m, _, err := r.openAgain(ctx, p)
	if err != nil {
		return nil // Only ctx ends it.
	}
	r.arrive(m)
	<-ctx.Done()
	t.out0()
	r.mu.Lock()
	r.wakeMain()
	r.mu.Unlock()
	select {
	case <-k.gone:
	case <-r.ended:
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrFenced) {
		return cause
	}
	return nil
}

// arrive lets a member follow together with those that arrive at the same time: what they read is decoded once.
func (r *Runner) arrive(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived = append(r.arrived, m)
	if len(r.arrived) > 1 || r.ctx == nil || r.ctx.Err() != nil {
		return
	}
	ctx := r.ctx
	r.wg.Go(func() {
		_ = idle(ctx, gather)
		r.mu.Lock()
		g := &group{runner: r, members: r.arrived}
		r.arrived = nil
		r.mu.Unlock()
		g.follow(ctx)
	})
}

// begin begins a turn, unless one is on or Run keeps the view. It gives the context of Run.
func (r *Runner) begin(name string, k *turn) (t *track, run context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx == nil {
		return nil, nil, errors.New("not running")
	}
	t = r.trackLocked(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turn != nil || t.members > 0 {
		return nil, nil, errors.New("it is kept already")
	}
	t.turn = k
	return t, r.ctx, nil
}

// over tells whether members of the view must leave.
func (t *track) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.turn != nil && t.turn.ctx.Err() != nil
}

// whenOver calls f when the turn is over, if there is one; what it returns stops that.
func (t *track) whenOver(f func()) (stop func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turn == nil {
		return f
	}
	off := context.AfterFunc(t.turn.ctx, f)
	return func() { off(); f() }
}

// fenced ends the turn, if there is one.
func (t *track) fenced() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turn != nil {
		t.turn.end(fmt.Errorf("keep %s: %w", t.name, ErrFenced))
	}
	return t.turn != nil
}

// saved is how far the views kept by turns are committed, those that readers see.
func (r *Runner) saved() map[string]eventstore.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]eventstore.Position{}
	for name, t := range r.tracks {
		t.mu.Lock()
		if t.turn != nil && t.live != nil {
			out[name] = t.live.saved
		}
		t.mu.Unlock()
	}
	return out
}

// out notes that a member is in no group any more.
func (t *track) out() {
	t.mu.Lock()
	t.members--
	t.mu.Unlock()
	t.out0()
}

// out0 tells Keep once its turn is over and all members are gone.
func (t *track) out0() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.turn; k != nil && !k.empty && t.members == 0 && k.ctx.Err() != nil {
		k.empty = true
		close(k.gone)
	}
}

// left forgets what was known of a view that another process keeps now.
func (t *track) left() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn, t.members, t.seen = nil, 0, eventstore.Position(0)
	t.live, t.building, t.retired, t.frozen = nil, nil, nil, 0
}
