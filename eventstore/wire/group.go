package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"zujian/eventstore"
)

// groupName is a persistent subscription: a group on a stream, or on $all.
type groupName struct{ stream, group string }

const allName = "$all"

func (g groupName) prefix() string {
	return "$persistentsubscription-" + g.stream + "::" + g.group
}
func (g groupName) checkpoints() string { return g.prefix() + "-checkpoint" }
func (g groupName) parked() string      { return g.prefix() + "-parked" }

// settings of a group, as they are kept.
type settings struct {
	ResolveLinks    bool        `json:"resolve_links,omitempty"`
	ExtraStatistics bool        `json:"extra_statistics,omitempty"`
	MaxRetries      int32       `json:"max_retries"`
	MinCheckpoint   int32       `json:"min_checkpoint"`
	MaxCheckpoint   int32       `json:"max_checkpoint"`
	MaxSubscribers  int32       `json:"max_subscribers"`
	LiveBuffer      int32       `json:"live_buffer"`
	ReadBatch       int32       `json:"read_batch"`
	HistoryBuffer   int32       `json:"history_buffer"`
	TimeoutMs       int32       `json:"timeout_ms"`
	CheckpointMs    int32       `json:"checkpoint_ms"`
	Strategy        string      `json:"strategy"`
	Filter          *filterSpec `json:"filter,omitempty"`
	StartFrom       string      `json:"start_from"` // As it was asked for and is told.
	From            uint64      `json:"from"`       // The first revision to deliver; of $all, the position to read after.
}

const (
	strategySingle      = "DispatchToSingle"
	strategyRoundRobin  = "RoundRobin"
	strategyPinned      = "Pinned"
	strategyCorrelation = "PinnedByCorrelation"

	deliveredMax = 10_000 // Messages one consumer may hold unacknowledged, whatever it asks.
	bufferMax    = 10_000 // Messages a group reads ahead, whatever its settings say.
	tick         = 100 * time.Millisecond
)

// message is an event on its way to a consumer.
type message struct {
	item
	seq     uint64 // Order in which it was read; 0 for one replayed.
	at      uint64 // Where a checkpoint behind it stands: revision or position.
	retries int32
	parked  eventstore.Revision // Where it is parked, if it is replayed from there; else -1.
	sent    time.Time
	to      *consumer
}

func (m *message) id() [16]byte { return m.original().ID }

// consumer is one connection to a group.
type consumer struct {
	name, user, from string
	slots            int
	held             map[[16]byte]*message // Sent and not acknowledged.
	queue            []*message            // To be sent.
	wake             bell
	ended            error // Why it was dropped.
	total, since     int64
	rate             rate
	took             []time.Duration // The last times to an acknowledgement, if statistics are wanted.
}

func (c *consumer) free() int { return c.slots - len(c.held) }

// rate measures per second since it was last asked.
type rate struct {
	last  time.Time
	count int64
}

func (r *rate) perSecond(now time.Time, total int64) int32 {
	if r.last.IsZero() {
		r.last = now
	}
	took := now.Sub(r.last).Seconds()
	if took < 1 {
		return int32(min(float64(total-r.count), math.MaxInt32))
	}
	n := float64(total-r.count) / took
	r.last, r.count = now, total
	return int32(min(n, math.MaxInt32))
}

// group is one persistent subscription. Its goroutine runs while it has consumers: it reads, hands out, gives up on what
// is not acknowledged in time, and writes checkpoints. What it has handed out and not seen acknowledged is handed out
// again after a restart.
type group struct {
	server *Server
	name   groupName
	filter *filter

	mu        sync.Mutex
	set       settings
	consumers []*consumer
	next      uint64 // The first revision to read; of $all, the position to read after.
	read      uint64 // Messages read.
	buffer    []*message
	retry     []*message
	toPark    []waiting
	held      map[[16]byte]*message
	replay    eventstore.Revision // Parked messages before it are replayed or were.
	replayTo  eventstore.Revision // Replay up to here, excluded.
	undone    map[eventstore.Revision]bool
	truncated eventstore.Revision // Parked messages before it are done with.

	parkedLast eventstore.Revision // The last parked message; -1 if there is none.

	checkpointAt uint64 // Where the last checkpoint stands.
	checkpointed bool   // There is one.
	acked        int32  // Since then.
	checkpointOn time.Time
	total, since int64
	rate         rate
	known        uint64 // The last revision or position it has seen of its source.
	seen         bool

	wake    *bell
	stop    context.CancelFunc
	done    chan struct{} // Closed when the goroutine has ended; nil if none runs.
	removed bool
}

func newGroup(s *Server, name groupName, set settings) (*group, error) {
	g := &group{server: s, name: name, set: set, held: map[[16]byte]*message{}, undone: map[eventstore.Revision]bool{}, next: set.From}
	if set.Filter != nil {
		var err error
		if g.filter, err = newFilter(*set.Filter); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *group) all() bool { return g.name.stream == allName }

// load finds where the group stands: its last checkpoint, and what is parked.
func (g *group) load(ctx context.Context) error {
	w, err := g.server.window(ctx, g.name.checkpoints())
	if err != nil {
		return err
	}
	if !w.gone && !w.deleted && w.first <= w.last {
		r, err := g.server.last(ctx, g.name.checkpoints())
		if err != nil {
			return err
		}
		if at, ok := parseCheckpoint(r.Data, g.all()); ok {
			g.checkpointAt, g.checkpointed, g.known, g.seen = at, true, at, true
			g.next = at
			if !g.all() {
				g.next++
			}
		}
	}
	if w, err = g.server.window(ctx, g.name.parked()); err != nil {
		return err
	}
	g.truncated = w.first
	if w.gone || w.deleted {
		g.truncated = w.last + 1
	}
	g.replay, g.replayTo, g.parkedLast = g.truncated, g.truncated, w.last
	return nil
}

func formatCheckpoint(at uint64, all bool) string {
	if all {
		return fmt.Sprintf("C:%d/P:%d", at, at)
	}
	return strconv.FormatUint(at, 10)
}

func parseCheckpoint(data []byte, all bool) (uint64, bool) {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return 0, false
	}
	if all {
		var ok bool
		if text, ok = strings.CutPrefix(text, "C:"); !ok {
			return 0, false
		}
		text, _, _ = strings.Cut(text, "/")
	}
	at, err := strconv.ParseUint(text, 10, 63)
	return at, err == nil
}

// connect adds a consumer, and starts the goroutine with the first.
func (g *group) connect(c *consumer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.removed:
		return groupMissing(g.name)
	case g.set.MaxSubscribers > 0 && len(g.consumers) >= int(g.set.MaxSubscribers):
		return groupFull(g.name)
	}
	g.consumers = append(g.consumers, c)
	if g.done == nil {
		var ctx context.Context
		ctx, g.stop = context.WithCancel(g.server.ctx)
		source := g.name.stream
		if g.all() {
			source = ""
		}
		g.wake = g.server.hub.listen(topicOf(source, g.server.virtual.of(source)))
		g.done = make(chan struct{})
		done, wake := g.done, g.wake
		g.server.work.Go(func() {
			defer close(done)
			defer g.server.hub.drop(wake)
			g.run(ctx, wake)
		})
	}
	g.wake.ring()
	return nil
}

// disconnect takes a consumer out; what it held goes to the others. The last one's leaving writes the checkpoint.
func (g *group) disconnect(c *consumer) {
	g.mu.Lock()
	g.dropLocked(c, nil)
	last := len(g.consumers) == 0
	done, stop := g.done, g.stop
	if last {
		g.done, g.stop = nil, nil
	}
	g.mu.Unlock()
	if last && done != nil {
		stop()
		<-done
		g.flush()
	}
}

// dropLocked ends a consumer. Its messages are tried again, in order.
func (g *group) dropLocked(c *consumer, why error) {
	for i, have := range g.consumers {
		if have != c {
			continue
		}
		g.consumers = append(g.consumers[:i:i], g.consumers[i+1:]...)
		var back []*message
		for id, m := range c.held {
			delete(g.held, id)
			m.to = nil
			back = append(back, m)
		}
		c.held, c.queue = map[[16]byte]*message{}, nil
		g.retryLocked(back)
	}
	if c.ended == nil {
		c.ended = why
	}
	c.wake.ring()
	if g.wake != nil {
		g.wake.ring()
	}
}

// dropAll ends every consumer, and the goroutine.
func (g *group) dropAll(why error) {
	g.mu.Lock()
	for len(g.consumers) > 0 {
		g.dropLocked(g.consumers[0], why)
	}
	done, stop := g.done, g.stop
	g.done, g.stop = nil, nil
	g.mu.Unlock()
	if done != nil {
		stop()
		<-done
	}
}

// run is the group's goroutine.
func (g *group) run(ctx context.Context, wake *bell) {
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for {
		more, err := g.work(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, eventstore.ErrClosed) {
			g.server.o.Log.Error("persistent subscription", slog.String("stream", g.name.stream), slog.String("group", g.name.group), slog.Any("err", err))
			if f, ok := errors.AsType[*failure](err); ok && f.kind == "stream-deleted" {
				go g.dropAll(groupDropped(g.name)) // It waits for this goroutine.
			}
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-wake.rung:
		case <-timer.C:
		}
	}
}

// work does what can be done now, and says whether there is more to read.
func (g *group) work(ctx context.Context) (more bool, err error) {
	g.expire()
	if err := g.readReplay(ctx); err != nil {
		return false, err
	}
	if err := g.parkWaiting(ctx); err != nil {
		return false, err
	}
	g.dispatch()
	if more, err = g.fill(ctx); err != nil {
		return false, err
	}
	g.dispatch()
	if err := g.checkpointIfDue(ctx); err != nil {
		return false, err
	}
	return more, g.truncateParked(ctx)
}

// fill reads ahead while there is room.
func (g *group) fill(ctx context.Context) (more bool, err error) {
	g.mu.Lock()
	room := int(min(max(g.set.HistoryBuffer, 1), bufferMax)) - len(g.buffer)
	want := min(int(max(g.set.ReadBatch, 1)), room)
	next, resolve := g.next, g.set.ResolveLinks
	g.mu.Unlock()
	if want <= 0 {
		return false, nil
	}
	if g.all() {
		return g.fillAll(ctx, next, want, resolve)
	}
	return g.fillStream(ctx, next, want, resolve)
}

func (g *group) fillStream(ctx context.Context, next uint64, want int, resolve bool) (more bool, err error) {
	s := g.server
	v := s.virtual.of(g.name.stream)
	var w window
	if v != nil {
		w, err = v.window(ctx, s.o.Store)
	} else {
		w, err = s.window(ctx, g.name.stream)
	}
	if err == nil && w.deleted {
		err = streamDeleted(g.name.stream)
	}
	if err != nil || w.gone || int64(w.last) < int64(next) {
		return false, err
	}
	err = s.walk(ctx, g.name.stream, v, w, eventstore.Revision(next), false, resolve, func(it item) error {
		rev := uint64(it.original().Revision)
		g.push(&message{item: it, at: rev, parked: -1}, rev+1, uint64(w.last))
		if want--; want == 0 {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return true, nil
	}
	return false, err
}

const scanMax = 4096 // Events a filtered group reads at once in vain.

func (g *group) fillAll(ctx context.Context, after uint64, want int, resolve bool) (more bool, err error) {
	scanned := 0
	own := "$persistentsubscription-" + allName + "::" // Its own progress is no news to it.
	for r, err := range g.server.o.Store.All(ctx, eventstore.Position(after)) {
		if err != nil {
			return false, err
		}
		at := uint64(r.Position)
		if strings.HasPrefix(base(r.Stream), own) || (g.filter != nil && !g.filter.match(&r)) {
			g.push(nil, at, at)
		} else {
			it := item{event: &r}
			if resolve {
				if it, err = g.server.resolve(ctx, r); err != nil {
					return false, err
				}
			}
			g.push(&message{item: it, at: at, parked: -1}, at, at)
			want--
		}
		if scanned++; want == 0 || scanned == scanMax {
			return true, nil
		}
	}
	return false, nil
}

// push takes what was read into the buffer; nil is an event that was passed over.
func (g *group) push(m *message, next, known uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next, g.known, g.seen = next, max(g.known, known), true
	if m != nil {
		g.read++
		m.seq = g.read
		g.buffer = append(g.buffer, m)
	}
}

// dispatch hands out what can be, what is tried again first.
func (g *group) dispatch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retry = g.handOut(g.retry)
	g.buffer = g.handOut(g.buffer)
}

// handOut gives messages to consumers and returns those that must wait. Unless messages belong to certain consumers, the
// first that nobody has room for ends it.
func (g *group) handOut(ms []*message) (left []*message) {
	for i, m := range ms {
		var c *consumer
		if g.held[m.id()] == nil {
			if c = g.choose(m); c == nil && !g.pinned() {
				return append(left, ms[i:]...)
			}
		}
		if c == nil {
			left = append(left, m)
			continue
		}
		m.to, m.sent = c, g.server.o.Now()
		g.held[m.id()], c.held[m.id()] = m, m
		c.queue = append(c.queue, m)
		c.wake.ring()
		c.total++
		c.since++
		g.total++
		g.since++
	}
	return left
}

// retryLocked puts messages back, in the order they were read, before all others.
func (g *group) retryLocked(ms []*message) {
	g.retry = append(g.retry, ms...)
	sortMessages(g.retry)
}

// expire takes back what was not acknowledged in time.
func (g *group) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.set.TimeoutMs <= 0 {
		return
	}
	due := g.server.o.Now().Add(-time.Duration(g.set.TimeoutMs) * time.Millisecond)
	for _, m := range g.held {
		if m.sent.Before(due) {
			g.release(m)
			g.again(m)
		}
	}
}

// release takes a message back from its consumer.
func (g *group) release(m *message) {
	delete(g.held, m.id())
	if m.to != nil {
		delete(m.to.held, m.id())
		for i, q := range m.to.queue {
			if q == m {
				m.to.queue = append(m.to.queue[:i:i], m.to.queue[i+1:]...)
				break
			}
		}
	}
	m.to = nil
}
