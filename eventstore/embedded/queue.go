package embedded

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"zujian/eventstore"
)

// request is one append on its way through the leader.
type request struct {
	stream   string
	expected eventstore.Revision
	events   int
	frames   []byte
	since    time.Time
	taken    bool       // Under the queue's lock: it can no longer be withdrawn.
	rest     []*request // The other parts of an append in parts. Each gets its own answer.

	result    eventstore.Appended
	err       error
	mayRepeat bool                // Not written: the stream is beyond expected. Perhaps these events are there.
	actual    eventstore.Revision // Where the stream is.
	done      chan struct{}       // Holds one token when the answer is there.
}

const framesKept = 64 << 10 // Larger buffers are left to the collector.

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

func newRequest(stream string, expected eventstore.Revision, events int) *request {
	r := requests.Get().(*request)
	*r = request{stream: stream, expected: expected, events: events, frames: r.frames[:0], done: r.done}
	return r
}

// release gives r back. Only after its answer was received.
func (r *request) release() {
	r.stream, r.rest = "", nil
	if cap(r.frames) > framesKept {
		r.frames = nil
	}
	requests.Put(r)
}

func (r *request) encode(suite byte, random *salts, events []eventstore.NewEvent) error {
	size := 0
	for i := range events {
		size += frameSize(r.stream, &events[i])
	}
	r.frames = slices.Grow(r.frames, size)
	for _, e := range events {
		if e.Meta.Salt.IsZero() && !e.Meta.Outside {
			var err error
			if e.Meta.Salt, err = random.salt(suite); err != nil {
				return err
			}
		}
		r.frames = appendFrame(r.frames, r.stream, &e)
	}
	return nil
}

func (r *request) ids() [][16]byte {
	ids := make([][16]byte, 0, r.events)
	for b := r.frames; len(b) > 0; b = b[le.Uint32(b):] {
		ids = append(ids, [16]byte(frame(b).id()))
	}
	return ids
}

func (r *request) answer(res eventstore.Appended, err error) {
	r.result, r.err = res, err
	r.done <- struct{}{}
}

// refuse answers all parts.
func (r *request) refuse(err error) {
	for _, p := range r.rest {
		p.answer(eventstore.Appended{}, err)
	}
	r.answer(eventstore.Appended{}, err)
}

// size is the bytes of the frames of all parts.
func (r *request) size() int {
	n := len(r.frames)
	for _, p := range r.rest {
		n += len(p.frames)
	}
	return n
}

// queue holds the appends that wait for a group, and says who leads.
type queue struct {
	mu      sync.Mutex
	idle    sync.Cond // Signalled when nobody leads.
	waiting []*request
	bytes   int
	leading bool
	closed  error
	shutBy  bool
	kick    chan struct{} // One token wakes the leading goroutine.
}

func (q *queue) init() {
	q.idle.L = &q.mu
	q.kick = make(chan struct{}, 1)
}

// put adds r. lead is true if nobody leads: then the caller does, and must call passOn afterwards.
func (q *queue) put(r *request, now time.Time, ageMax time.Duration) (lead bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return false, q.closed
	}
	if n := len(q.waiting); n > 0 {
		age := now.Sub(q.waiting[0].since)
		if n >= queueAppendsMax || q.bytes+r.size() > queueBytesMax || age > ageMax {
			return false, fmt.Errorf("%w: %d appends wait, the oldest for %v", eventstore.ErrOverloaded, n, age)
		}
	}
	r.since = now
	q.waiting = append(q.waiting, r)
	q.bytes += r.size()
	lead = !q.leading
	q.leading = true
	return lead, nil
}

// withdraw takes r out again, if no leader has taken it.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.taken {
		return false
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(o *request) bool { return o == r })
	q.bytes -= r.size()
	return true
}

// take moves appends that fit one group to dst. Parts stay together.
func (q *queue) take(dst []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for _, r := range q.waiting {
		if n > 0 && bytes+r.size() > groupBytesMax {
			break
		}
		bytes += r.size()
		r.taken = true
		n++
	}
	dst = append(dst, q.waiting[:n]...)
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.bytes -= bytes
	return dst
}

// putBack returns an append that must wait for the next group to the queue's front.
func (q *queue) putBack(rs []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range rs {
		if q.closed != nil {
			r.refuse(q.closed)
			continue
		}
		r.taken = false
		q.bytes += r.size()
	}
	if q.closed == nil {
		q.waiting = slices.Insert(q.waiting, 0, rs...)
	}
}

// passOn ends the caller's lead. Appends that came meanwhile are for the leading goroutine.
func (q *queue) passOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.closed == nil {
		q.kick <- struct{}{}
		return
	}
	q.release()
}

// release ends the lead; under the lock.
func (q *queue) release() {
	q.leading = false
	q.idle.Broadcast()
}

// stay tells the leading goroutine whether there is more; if not, its lead has ended.
func (q *queue) stay() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.closed == nil {
		return true
	}
	q.release()
	return false
}

// lead makes the caller the leader once there is none.
func (q *queue) lead() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.leading && q.closed == nil {
		q.idle.Wait()
	}
	if q.closed != nil {
		return q.closed
	}
	q.leading = true
	return nil
}

// close refuses what waits and what comes.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
	}
	for _, r := range q.waiting {
		r.taken = true
		r.refuse(q.closed)
	}
	q.waiting, q.bytes = nil, 0
}

// shut closes the queue for good and waits until nobody leads. It returns false if it was shut before.
func (q *queue) shut() bool {
	q.close(eventstore.ErrClosed)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.shutBy {
		return false
	}
	q.shutBy = true
	for q.leading {
		q.idle.Wait()
	}
	close(q.kick)
	return true
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// point is a position that only grows, and that others wait for.
type point struct {
	pos   atomic.Uint64
	mu    sync.Mutex
	grown chan struct{} // Closed when pos grows; nil while nobody waits.
	err   error         // Why it will not grow any more.
}

func (p *point) load() eventstore.Position { return eventstore.Position(p.pos.Load()) }

func (p *point) wake() {
	if p.grown != nil {
		close(p.grown)
		p.grown = nil
	}
}

func (p *point) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.wake()
}

// until waits for the first position that is enough. closedFirst makes the closed store win over what is there.
func (p *point) until(ctx context.Context, enough func(eventstore.Position) bool, closedFirst bool) error {
	for {
		p.mu.Lock()
		ok, err := enough(p.load()), p.err
		if ok && (err == nil || !closedFirst) {
			p.mu.Unlock()
			return nil
		}
		if err != nil {
			p.mu.Unlock()
			return err
		}
		if p.grown == nil {
			p.grown = make(chan struct{})
		}
		grown := p.grown
		p.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// durablePoint is the end of the last durable event, and how many there are.
type durablePoint struct {
	point
	events uint64
	last   eventstore.Position // Where the last group starts; 0 if there is none.
}

func (p *durablePoint) set(m mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pos.Store(uint64(m.pos))
	p.events, p.last = m.ordinal, m.last
	p.wake()
}

func (p *durablePoint) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *durablePoint) wait(ctx context.Context, after eventstore.Position) error {
	return p.until(ctx, func(pos eventstore.Position) bool { return pos > after }, true)
}

// indexedPoint is how far the index has come.
type indexedPoint struct{ point }

func (p *indexedPoint) set(pos eventstore.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pos.Store(uint64(pos))
	p.wake()
}

func (p *indexedPoint) wait(ctx context.Context, pos eventstore.Position) error {
	if p.load() >= pos {
		return nil
	}
	return p.until(ctx, func(at eventstore.Position) bool { return at >= pos }, false)
}
