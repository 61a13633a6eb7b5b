package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"zujian/eventstore"
)

// group is some members following the log together in one goroutine. The main group lives as long as Run; any other
// ends by joining it at the head.
type group struct {
	runner   *Runner
	main     bool
	members  []*member
	failures int // Of the log, in a row.
	events   int // Of the last pass.
	room     readRoom
}

func (g *group) follow(ctx context.Context) {
	r := g.runner
	for ctx.Err() == nil {
		waitCtx := ctx
		began := r.Now()
		if g.main {
			var in []*member
			in, waitCtx = r.admit(ctx)
			g.members = append(g.members, in...)
		}
		g.dropRetired(ctx)
		g.depart()
		if len(g.members) == 0 {
			if !g.main {
				return
			}
			<-waitCtx.Done()
			continue
		}
		at, err := g.pass(ctx)
		if err == nil && len(g.members) > 0 {
			if !g.main {
				r.join(g.members)
				return
			}
			g.activate(ctx)
			err = r.Store.Wait(waitCtx, at)
			if early := g.pace() - r.Now().Sub(began); err == nil && early > 0 {
				_ = idle(waitCtx, early) // Only the context ends it, and the loop looks.
			}
		}
		switch {
		case ctx.Err() != nil || err == nil || waitCtx.Err() != nil:
			g.failures = 0
		case errors.Is(err, eventstore.ErrClosed):
			r.fail(fmt.Errorf("follow the log: %w", err))
			return
		default:
			g.failures++
			_ = r.pause(ctx, "", g.failures, err) // Only ctx ends it, and the loop looks.
		}
	}
}

// A log is busy when one look finds so many events. Then there is one look instead of two: many small
// batches cost more than few.
const (
	busyEvents = 64
	busyPaces  = 2
)

// pace is the least time from one look at the log to the next.
func (g *group) pace() time.Duration {
	if g.events < busyEvents {
		return g.runner.Pace
	}
	return busyPaces * g.runner.Pace
}

// pass brings the members from where the slowest stands to the head of the log.
func (g *group) pass(ctx context.Context) (head eventstore.Position, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := g.members[0].seen
	for _, m := range g.members {
		if m.seen.position < from.position {
			from = m.seen
		}
	}
	head, g.events = from.position, 0
	chunks := make(chan *chunk, 1)
	var readErr error
	var reader sync.WaitGroup
	reader.Go(func() { readErr = g.runner.read(ctx, from, sift(g.members), &g.room, chunks) })
	var room []Event
	for c := range chunks {
		head, g.events = c.last.position, g.events+len(c.events)
		g.runner.sawHead(c.last)
		g.feed(ctx, c)
		room = kept(c.events)
		if len(g.members) == 0 {
			break
		}
	}
	cancel()
	reader.Wait()
	for range chunks { // read has closed it; one may be left.
	}
	g.room.events = room
	if len(g.members) == 0 {
		return head, nil
	}
	return head, readErr
}

// feed gives a chunk to all members and waits for them. Who stops leaves; who fails tries again by itself.
func (g *group) feed(ctx context.Context, c *chunk) {
	r, errs := g.runner, make([]error, len(g.members))
	workers := len(g.members)
	if r.Workers > 0 {
		workers = min(workers, r.Workers)
		if len(c.events) < aloneMax {
			workers = 1
		}
	}
	order := g.longestFirst()
	var next atomic.Int64
	work := func() {
		for at := next.Add(1) - 1; at < int64(len(order)); at = next.Add(1) - 1 {
			i := order[at]
			m, began := g.members[i], r.Now()
			if errs[i] = m.feed(ctx, r, c); len(c.events) > 0 {
				m.took = r.Now().Sub(began)
			}
		}
	}
	var others sync.WaitGroup
	for range workers - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	kept := g.members[:0:0]
	for i, m := range g.members {
		if g.settle(ctx, m, errs[i]) {
			kept = append(kept, m)
		}
	}
	g.members = kept
	g.depart()
}

// longestFirst is the order in which few workers are soonest done with all members: that of the time they took last.
func (g *group) longestFirst() []int {
	order := make([]int, len(g.members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(g.members[j].took, g.members[i].took) })
	return order
}

// settle reports whether m stays in the group after a chunk.
func (g *group) settle(ctx context.Context, m *member, err error) bool {
	r := g.runner
	if err == nil {
		m.failures = 0
		m.track.moved(m)
		return true
	}
	if ctx.Err() != nil {
		return true
	}
	if m.track.isRetired(m) {
		return true // The next look lets it go.
	}
	if errors.Is(err, ErrFenced) && m.track.fenced() {
		return true // The next look lets it go.
	}
	if stop, ok := errors.AsType[*stopError](err); ok {
		r.log().ErrorContext(ctx, "view stopped", slog.String("view", m.track.name), slog.Int("version", m.projection.Version()),
			slog.Uint64("position", uint64(stop.at)), slog.Any("err", stop.err))
		if r.Metrics.Stop != nil {
			r.Metrics.Stop(m.track.name, stop.err)
		}
		m.track.moved(m)
		m.track.stopped(m, stop)
		m.track.out()
		return false
	}
	m.failures++
	m.track.retries(m, err)
	alone := &group{runner: r, members: []*member{m}}
	r.spawnAfter(alone, m.failures, err)
	return false
}

// spawnAfter starts a group once the member's pause is over.
func (r *Runner) spawnAfter(g *group, failures int, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx == nil || r.ctx.Err() != nil {
		return
	}
	ctx, t := r.ctx, g.members[0].track
	r.wg.Go(func() {
		wait, cancel := context.WithCancel(ctx)
		defer t.whenOver(cancel)()
		if r.pause(wait, t.name, failures, cause) == nil || ctx.Err() == nil {
			g.follow(ctx)
		}
	})
}

// activate shows readers the members that were built, and drops what they replace. Only the main group does it, at the
// head, where the old version and the new stand at the same position: readers never go back.
func (g *group) activate(ctx context.Context) {
	r := g.runner
	kept := g.members[:0:0]
	for _, m := range g.members {
		if m.track.isLive(m) || m.track.isRetired(m) { // A rebuilt copy before it in the list may just have retired it.
			kept = append(kept, m)
			continue
		}
		if err := r.Views.Activate(ctx, m.track.name, m.slot); err != nil {
			if g.settle(ctx, m, fmt.Errorf("activate %s@%d: %w", m.track.name, m.slot, err)) {
				kept = append(kept, m)
			}
			continue
		}
		kept = append(kept, m)
		r.log().InfoContext(ctx, "view active", slog.String("view", m.track.name), slog.Int("version", m.projection.Version()),
			slog.Uint64("position", uint64(m.seen.position)))
		r.drop(ctx, m.track.name, m.track.activated(m))
	}
	g.members = kept
	g.dropRetired(ctx)
}

// dropRetired lets go of members that a rebuilt version has replaced.
func (g *group) dropRetired(ctx context.Context) {
	kept := g.members[:0:0]
	for _, m := range g.members {
		if m.track.isRetired(m) {
			g.runner.drop(ctx, m.track.name, m.slot)
			m.track.dropped(m)
			m.track.out()
			continue
		}
		kept = append(kept, m)
	}
	g.members = kept
}

// depart lets go of members whose turn is over.
func (g *group) depart() {
	g.members = slices.DeleteFunc(g.members, func(m *member) bool {
		over := m.track.over()
		if over {
			m.track.out()
		}
		return over
	})
}

// drop deletes a version nobody reads. What fails is only space, freed when the view is next opened.
func (r *Runner) drop(ctx context.Context, name string, slot int) {
	if slot == 0 {
		return
	}
	if err := r.Views.Drop(ctx, name, slot); err != nil {
		r.log().WarnContext(ctx, "view not dropped", slog.String("view", name), slog.Int("version", slot), slog.Any("err", err))
	}
}
