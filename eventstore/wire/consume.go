package wire

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"zujian/eventstore"
)

// sortMessages puts messages in the order they were read, replayed ones first in the order they were parked.
func sortMessages(ms []*message) {
	slices.SortStableFunc(ms, func(a, b *message) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.parked, b.parked))
	})
}

func (g *group) pinned() bool {
	return g.set.Strategy == strategyPinned || g.set.Strategy == strategyCorrelation
}

// choose returns the consumer for a message, nil if none has room. The first in the list is tried first.
func (g *group) choose(m *message) *consumer {
	if len(g.consumers) == 0 {
		return nil
	}
	if g.pinned() {
		return g.pinnedTo(m)
	}
	for i, c := range g.consumers {
		if c.free() <= 0 {
			continue
		}
		if g.set.Strategy == strategyRoundRobin {
			i++ // The next one is tried first next time.
		}
		g.consumers = append(slices.Clone(g.consumers[i:]), g.consumers[:i]...)
		return c
	}
	return nil
}

// pinnedTo finds the consumer to which all events of a source go, by the highest hash of source and consumer: when one
// comes or goes, only what is its own moves.
func (g *group) pinnedTo(m *message) *consumer {
	source := g.source(m)
	var best *consumer
	var most uint64
	for _, c := range g.consumers {
		h := fnv.New64a()
		fmt.Fprintf(h, "%p\x00%s", c, source)
		if sum := mix(h.Sum64()); best == nil || sum > most {
			best, most = c, sum
		}
	}
	if best.free() <= 0 {
		return nil
	}
	return best
}

// mix spreads a hash over all bits, since FNV's upper ones hardly change with the last bytes.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// source is what a pinned message is pinned by: its stream, or its correlation id.
func (g *group) source(m *message) string {
	r := m.event
	if r == nil {
		r = m.link
	}
	if g.set.Strategy == strategyCorrelation {
		if id := correlation(r); id != "" {
			return id
		}
	}
	if r.Type == typeLink {
		if _, stream, ok := strings.Cut(string(r.Data), "@"); ok {
			return stream
		}
	}
	return r.Stream
}

func correlation(r *eventstore.Recorded) string {
	if !r.Meta.Outside {
		return r.Meta.Correlation
	}
	var m struct {
		Correlation string `json:"$correlationId"`
	}
	_ = json.Unmarshal([]byte(r.Meta.Raw), &m) // Whatever else it is, it has none.
	return m.Correlation
}

// ack ends messages of a consumer.
func (g *group) ack(c *consumer, ids [][16]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		m := c.held[id]
		if m == nil {
			continue // It was taken back, or never sent to this one.
		}
		if g.set.ExtraStatistics {
			c.took = append(c.took, g.server.o.Now().Sub(m.sent))
			if len(c.took) > 1000 {
				c.took = slices.Delete(c.took, 0, 500)
			}
		}
		g.release(m)
		g.finish(m)
	}
	g.wakeLocked()
}

// finish is what an acknowledged, skipped or parked message counts towards.
func (g *group) finish(m *message) {
	if m.parked >= 0 {
		delete(g.undone, m.parked)
		return
	}
	g.acked++
}

type nackAction int

const (
	nackRetry nackAction = iota
	nackPark
	nackSkip
	nackStop
)

// nack ends messages otherwise: tried again, parked, skipped, or given back by a consumer that stops.
func (g *group) nack(c *consumer, ids [][16]byte, action nackAction, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		m := c.held[id]
		if m == nil {
			continue
		}
		switch action {
		case nackRetry:
			g.release(m)
			g.again(m)
		case nackPark:
			g.release(m)
			g.parkLocked(m, reason)
		case nackSkip:
			g.release(m)
			g.finish(m)
		case nackStop:
		}
	}
	if action == nackStop {
		g.dropLocked(c, groupDropped(g.name))
	}
	g.wakeLocked()
}

func (g *group) wakeLocked() {
	if g.wake != nil {
		g.wake.ring()
	}
}

// again tries a message once more, or parks it when it was tried often enough.
func (g *group) again(m *message) {
	if m.retries >= g.set.MaxRetries {
		g.parkLocked(m, "Reached retry count of "+strconv.Itoa(int(g.set.MaxRetries)))
		return
	}
	m.retries++
	g.retryLocked([]*message{m})
}

// waiting is a message to be parked by the group's goroutine; until then it counts as not done.
type waiting struct {
	m      *message
	reason string
}

func (g *group) parkLocked(m *message, reason string) {
	g.toPark = append(g.toPark, waiting{m, reason})
	g.wakeLocked()
}

// parkWaiting writes what is to be parked: a link each, with when and why.
func (g *group) parkWaiting(ctx context.Context) error {
	for {
		g.mu.Lock()
		if len(g.toPark) == 0 {
			g.mu.Unlock()
			return nil
		}
		w := g.toPark[0]
		g.mu.Unlock()
		meta, err := json.Marshal(map[string]any{"added": g.server.o.Now().UTC(), "reason": strings.ToValidUTF8(w.reason, "?"), "subscriptionEventNumber": w.m.at})
		if err != nil {
			return err
		}
		original := w.m.original()
		e := g.server.system(typeLink, linkTo(original))
		if original.Type == typeLink {
			e.Data = original.Data // A link is parked as what it points at.
		}
		e.Meta.Raw = string(meta)
		if _, err := g.server.write(ctx, g.name.parked(), expectation{revision: eventstore.AnyRevision}, []eventstore.NewEvent{e}); err != nil {
			return fmt.Errorf("park: %w", err)
		}
		g.mu.Lock()
		g.toPark = g.toPark[1:]
		g.parkedLast++
		g.finish(w.m)
		g.mu.Unlock()
	}
}

// readReplay reads parked messages that are to be replayed. They go to the consumers before all others.
func (g *group) readReplay(ctx context.Context) error {
	g.mu.Lock()
	from, to := g.replay, g.replayTo
	g.mu.Unlock()
	if from >= to {
		return nil
	}
	var ms []*message
	for r, err := range g.server.o.Store.Stream(ctx, g.name.parked(), from) {
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		if r.Revision >= to || len(ms) == bufferMax {
			break
		}
		it, err := g.server.resolve(ctx, r)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		from = r.Revision + 1
		if it.event != nil && it.link != nil { // What is no longer to be seen is not replayed.
			ms = append(ms, &message{item: item{event: it.event}, parked: r.Revision})
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replay = from
	for _, m := range ms {
		g.undone[m.parked] = true
	}
	g.retryLocked(ms)
	return nil
}

// truncateParked hides the parked messages that were replayed and are done.
func (g *group) truncateParked(ctx context.Context) error {
	g.mu.Lock()
	first := g.replay
	for rev := range g.undone {
		first = min(first, rev)
	}
	due := first > g.truncated && (len(g.undone) == 0 || first >= g.truncated+eventstore.Revision(g.set.MaxCheckpoint))
	g.mu.Unlock()
	if !due {
		return nil
	}
	mu := g.server.states.stripe(g.name.parked())
	mu.Lock()
	err := g.server.truncate(ctx, g.name.parked(), int64(first))
	mu.Unlock()
	if err != nil {
		return fmt.Errorf("end replay: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.truncated = first
	return nil
}

// reached is the last place before which everything is done.
func (g *group) reached() (at uint64, ok bool) {
	at, ok = g.next, g.seen
	if !g.all() {
		ok = ok && at > 0
		at--
	}
	var first *message
	look := func(m *message) {
		if m.parked < 0 && (first == nil || m.seq < first.seq) {
			first = m
		}
	}
	for _, m := range g.held {
		look(m)
	}
	for _, m := range g.retry {
		look(m)
	}
	for _, m := range g.buffer {
		look(m)
	}
	for _, w := range g.toPark {
		look(w.m)
	}
	if first != nil {
		if first.at == 0 {
			return 0, false
		}
		at = first.at - 1 // Of $all, too: a position between two events is as good as the one before.
	}
	return at, ok && (!g.checkpointed || at > g.checkpointAt)
}

func (g *group) checkpointIfDue(ctx context.Context) error {
	g.mu.Lock()
	now := g.server.o.Now()
	after := time.Duration(g.set.CheckpointMs) * time.Millisecond
	due := (g.set.MaxCheckpoint > 0 && g.acked >= g.set.MaxCheckpoint) || (g.acked >= max(g.set.MinCheckpoint, 1) && now.Sub(g.checkpointOn) >= after)
	g.mu.Unlock()
	if !due {
		return nil
	}
	return g.writeCheckpoint(ctx)
}

func (g *group) writeCheckpoint(ctx context.Context) error {
	g.mu.Lock()
	at, ok := g.reached()
	removed := g.removed
	if ok {
		g.acked, g.checkpointOn = 0, g.server.o.Now()
	}
	g.mu.Unlock()
	if !ok || removed {
		return nil
	}
	data, err := json.Marshal(formatCheckpoint(at, g.all()))
	if err != nil {
		return err
	}
	e := g.server.system("$SubscriptionCheckpoint", data)
	if _, err := g.server.write(ctx, g.name.checkpoints(), expectation{revision: eventstore.AnyRevision}, []eventstore.NewEvent{e}); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checkpointAt, g.checkpointed = at, true
	return nil
}

// flush writes what a group that stops would otherwise do again: its checkpoint, what is to be parked, what was replayed.
func (g *group) flush() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.server.ctx), 5*time.Second)
	defer cancel()
	err := g.parkWaiting(ctx)
	if err == nil {
		err = g.truncateParked(ctx)
	}
	if err == nil {
		g.mu.Lock()
		acked := g.acked
		g.mu.Unlock()
		if acked > 0 {
			err = g.writeCheckpoint(ctx)
		}
	}
	if err != nil {
		g.server.o.Log.Warn("persistent subscription: what is done may be delivered again", slog.String("stream", g.name.stream),
			slog.String("group", g.name.group), slog.Any("err", err))
	}
}
