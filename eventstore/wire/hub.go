package wire

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"zujian/eventstore"
)

// hub wakes the subscriptions an event is for, so that ten thousand idle ones cost nothing when another stream grows.
// One goroutine reads the log's end while there is a subscription; a wake-up carries nothing, whoever is woken reads.
type hub struct {
	store eventstore.Store
	log   *slog.Logger

	mu      sync.Mutex
	topics  map[string]map[*bell]struct{}
	bells   int
	started chan struct{} // Holds a token when there is work for the goroutine.
}

// bell is rung when there is something new.
type bell struct {
	rung  chan struct{}
	topic string
}

const hubRetry = time.Second // After a failed read of the log.

func newHub(ctx context.Context, store eventstore.Store, log *slog.Logger, work *sync.WaitGroup) *hub {
	h := &hub{store: store, log: log, topics: map[string]map[*bell]struct{}{}, started: make(chan struct{}, 1)}
	work.Go(func() { h.run(ctx) })
	return h
}

// topicOf names what a subscription waits for.
func topicOf(stream string, v *virtual) string {
	switch {
	case stream == "":
		return "a"
	case v != nil:
		return "v" + stream
	}
	return "s" + stream
}

// listen returns a bell for a topic. Whoever listens reads first and waits then, so that nothing is missed.
func (h *hub) listen(topic string) *bell {
	b := &bell{rung: make(chan struct{}, 1), topic: topic}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.topics[topic] == nil {
		h.topics[topic] = map[*bell]struct{}{}
	}
	h.topics[topic][b] = struct{}{}
	if h.bells++; h.bells == 1 {
		select {
		case h.started <- struct{}{}:
		default:
		}
	}
	return b
}

func (h *hub) drop(b *bell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.topics[b.topic], b)
	if len(h.topics[b.topic]) == 0 {
		delete(h.topics, b.topic)
	}
	h.bells--
}

func (h *hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bells == 0
}

func (h *hub) run(ctx context.Context) {
	for {
		select {
		case <-h.started:
		case <-ctx.Done():
			return
		}
		h.follow(ctx)
	}
}

// follow rings until nobody listens. It starts by ringing everybody: whoever listened before it knew the head reads again.
func (h *hub) follow(ctx context.Context) {
	head, err := h.store.Head(ctx)
	at := head.Position
	for h.ringAll(); err == nil || !errors.Is(err, eventstore.ErrClosed); {
		if ctx.Err() != nil || h.idle() {
			return
		}
		if err == nil {
			err = h.store.Wait(ctx, at)
		}
		if err == nil {
			at, err = h.ring(ctx, at)
		}
		if err != nil && ctx.Err() == nil {
			h.log.Warn("subscriptions: read the log", slog.Any("err", err))
			pause(ctx, hubRetry)
			h.ringAll()
			if !errors.Is(err, eventstore.ErrClosed) {
				err = nil
			}
		}
	}
	h.ringAll() // They find the store closed themselves.
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (h *hub) ring(ctx context.Context, at eventstore.Position) (eventstore.Position, error) {
	for r, err := range h.store.All(ctx, at) {
		if err != nil {
			return at, err
		}
		at = r.Position
		h.mu.Lock()
		h.ringLocked("a")
		h.ringLocked("s" + r.Stream)
		h.ringLocked("v" + typePrefix + r.Type)
		if c := categoryOf(r.Stream); c != "" {
			h.ringLocked("v" + categoryPrefix + c)
		}
		h.mu.Unlock()
	}
	return at, nil
}

func (h *hub) ringLocked(topic string) {
	for b := range h.topics[topic] {
		b.ring()
	}
}

func (h *hub) ringAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, bells := range h.topics {
		for b := range bells {
			b.ring()
		}
	}
}

func (b *bell) ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}
