package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections"
)

const (
	followMax  = 8 // Rejections answered with commands that are rejected: no real process comes near.
	racesMax   = 4 // Executions of one command that lost all their races, before the batch is tried again later.
	resumeMark = "resume"
)

// parcel is an Outgoing with its address.
type parcel struct {
	Outgoing
	base  Base
	cause *projections.Event // nil from Resume.
	key   string             // Where a rejection is recorded.
	depth int
}

// doneBy tells whether one of some events shows that there is nothing left to do.
func (o *Outgoing) doneBy(events []projections.Event) bool {
	for i := range events {
		if e := &events[i]; o.Done != nil && e.Stream == o.Target && o.Done(e.Event) {
			return true
		}
	}
	return false
}

// stopError ends a process at an event.
type stopError struct {
	at  eventstore.Position
	err error
}

func (e *stopError) Error() string { return fmt.Sprintf("stopped at %d: %v", e.at, e.err) }
func (e *stopError) Unwrap() error { return e.err }

func orPlace(id string, n int) string {
	if id != "" {
		return id
	}
	return strconv.Itoa(n)
}

// fromEvent addresses what React returned, and adds it to parcels, but for what later events show to be done.
func (w *worker) fromEvent(parcels []parcel, e *projections.Event, out []Outgoing, later []projections.Event, policy domain.Policy) []parcel {
	for n, o := range out {
		if o.doneBy(later) {
			continue
		}
		cause := uuid.UUID(e.EventID).String()
		b := w.base(aggregate.CommandID(cause, w.process.Name(), orPlace(o.ID, n)), policy)
		b.Options = aggregate.Options{Causation: cause, Correlation: e.Meta.Correlation}
		key := fmt.Sprintf("%s%020d/%s", rejectedPrefix, uint64(e.Position), orPlace(o.ID, n))
		parcels = append(parcels, parcel{Outgoing: o, base: b, cause: e, key: key})
	}
	return parcels
}

// fromResume addresses what Resume returned, without what was rejected before.
func (w *worker) fromResume(ctx context.Context, r projections.Reader, out []Outgoing, policy domain.Policy) ([]parcel, error) {
	var parcels []parcel
	now := w.runner.now().Format("20060102T150405.000000")
	for n, o := range out {
		key := rejectedPrefix + resumeMark + "/" + o.Target + "/" + o.ID
		id := o.ID
		if id != "" {
			_, refused, err := r.Get(ctx, key)
			if err != nil {
				return nil, err
			}
			if refused {
				continue
			}
		} else {
			id = now + "/" + strconv.Itoa(n)
		}
		b := w.base(aggregate.CommandID(resumeMark, w.process.Name(), o.Target, id), policy)
		parcels = append(parcels, parcel{Outgoing: o, base: b, key: key})
	}
	return parcels, nil
}

func (w *worker) base(id string, policy domain.Policy) Base {
	return Base{ID: id, At: w.runner.now(), Actor: domain.Actor{ID: w.actor(), Role: domain.RoleSystem}, Policy: policy}
}

func (w *worker) actor() string { return "process:" + w.process.Name() }

// lanes parts parcels so that those with the same cause or the same target stay together, in order.
func lanes(parcels []parcel) [][]parcel {
	parent := map[string]string{}
	var find func(string) string
	find = func(s string) string {
		p, ok := parent[s]
		if !ok || p == s {
			return s
		}
		root := find(p)
		parent[s] = root
		return root
	}
	target := func(p *parcel) string { return "target/" + p.Target }
	for i := range parcels {
		if p := &parcels[i]; p.cause != nil {
			parent[find("cause/"+p.cause.Stream)] = find(target(p))
		}
	}
	var out [][]parcel
	index := map[string]int{}
	for _, p := range parcels {
		root := find(target(&p))
		at, ok := index[root]
		if !ok {
			at = len(out)
			index[root] = at
			out = append(out, nil)
		}
		out[at] = append(out[at], p)
	}
	return out
}

// deliver executes parcels and returns what was rejected for good. The first other error stops the rest.
func (w *worker) deliver(ctx context.Context, parcels []parcel) (map[string]Rejected, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	rejected := map[string]Rejected{}
	queue := lanes(parcels)
	work := make(chan []parcel, len(queue))
	for _, lane := range queue {
		work <- lane
	}
	close(work)
	var wg sync.WaitGroup
	for range min(len(queue), w.runner.parallel()) {
		wg.Go(func() {
			for lane := range work {
				for len(lane) > 0 && ctx.Err() == nil {
					p := lane[0]
					more, refused, err := w.execute(ctx, p)
					if err != nil {
						cancel(err)
						return
					}
					if refused != nil {
						mu.Lock()
						rejected[p.key] = *refused
						mu.Unlock()
					}
					lane = append(more, lane[1:]...)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return rejected, nil
}

// execute runs one command. It returns what follows from a rejection, or the rejection.
func (w *worker) execute(ctx context.Context, p parcel) (more []parcel, refused *Rejected, err error) {
	for races := 1; ; races++ {
		err = run(ctx, w.runner.Aggregates, p)
		if !errors.Is(err, eventstore.ErrWrongRevision) || races == racesMax {
			break
		}
	}
	w.count(p, err)
	no, isNo := errors.AsType[*domain.Rejection](err)
	switch {
	case err == nil:
		return nil, nil, nil
	case !isNo:
		err = fmt.Errorf("send %s to %s: %w", p.base.ID, p.Target, err)
		if errors.Is(err, eventstore.ErrInvalid) || errors.Is(err, aggregate.ErrCommandReused) || errors.Is(err, errPanic) {
			var at eventstore.Position
			if p.cause != nil {
				at = p.cause.Position
			}
			return nil, nil, &stopError{at, err} // Trying again can't help.
		}
		return nil, nil, err
	}
	if p.OnReject != nil && p.depth < followMax {
		for n, o := range p.OnReject(no) {
			next := parcel{Outgoing: o, base: p.base, cause: p.cause, depth: p.depth + 1}
			next.base.ID = aggregate.CommandID(p.base.ID, "rejected", orPlace(o.ID, n))
			next.key = p.key + "/" + orPlace(o.ID, n)
			more = append(more, next)
		}
		if len(more) > 0 {
			return more, nil, nil
		}
	}
	refused = &Rejected{
		Target: p.Target, Command: p.base.ID, Code: no.Code, Pointer: no.Pointer, Rule: no.Rule, At: p.base.At,
	}
	if p.cause != nil {
		refused.Cause, refused.Stream = uuid.UUID(p.cause.EventID).String(), p.cause.Stream
		refused.Position = uint64(p.cause.Position)
	}
	return nil, refused, nil
}

var errPanic = errors.New("panic")

// run turns a panic of a decider into an error: one broken command must not take the program down.
func run(ctx context.Context, r aggregate.Runner, p parcel) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, x, debug.Stack())
		}
	}()
	return p.Run(ctx, r, p.base)
}

func decodeRejected(p projections.Pair) (Rejected, error) {
	x := Rejected{Key: p.Key}
	if err := json.Unmarshal(p.Value, &x); err != nil {
		return x, fmt.Errorf("decode %s: %w", p.Key, err)
	}
	return x, nil
}
