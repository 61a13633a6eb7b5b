package feed

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/redis/go-redis/v9"

	"zujian/eventstore"
)

// Bell rings when the log has grown. Make one with Local or Distributed, and Run it.
type Bell struct {
	store eventstore.Store
	pub   message.Publisher
	sub   message.Subscriber
	topic string
	relay bool // This process tells the others.
	id    func() string
	log   *slog.Logger

	mu   sync.Mutex
	ring chan struct{}
}

const (
	localTopic  = "zujian.events"
	streamMax   = 1000        // Wake-ups kept in Redis: only the last matters.
	listenAgain = time.Second // After the messages stopped coming.
	unheard     = 2 * time.Second
)

// plumbing is where Watermill tells of itself: what it informs about is no change an operator cares for.
func plumbing(log *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
}

// Local is a bell within one process.
func Local(store eventstore.Store, id func() string, log *slog.Logger) *Bell {
	ch := gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: 16}, plumbing(log))
	return &Bell{store: store, pub: ch, sub: ch, topic: localTopic, relay: true, id: id, log: log, ring: make(chan struct{})}
}

// Distributed is a bell between processes, over a Redis stream of the log named by topic. relay says that this process
// watches the log and tells the others. group shares the wake-ups between the members of a consumer group; with "" each
// process hears them all.
func Distributed(store eventstore.Store, db redis.UniversalClient, topic, group string, relay bool, id func() string, log *slog.Logger) (*Bell, error) {
	logger := plumbing(log)
	pub, err := redisstream.NewPublisher(redisstream.PublisherConfig{Client: db, DefaultMaxlen: streamMax}, logger)
	if err != nil {
		return nil, err
	}
	sub, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{Client: db, ConsumerGroup: group}, logger)
	if err != nil {
		return nil, err
	}
	return &Bell{store: store, pub: pub, sub: sub, topic: topic, relay: relay, id: id, log: log, ring: make(chan struct{})}, nil
}

// C is closed at the next ring.
func (b *Bell) C() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ring
}

func (b *Bell) strike() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ring)
	b.ring = make(chan struct{})
}

// Run listens, and relays if it is this process's part, until ctx ends. A log that grows unheard rings within seconds.
func (b *Bell) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() { b.listen(ctx) })
	work.Go(func() { b.watch(ctx) })
	if b.relay {
		work.Go(func() { b.tell(ctx) })
	}
	<-ctx.Done()
	work.Wait()
	return nil
}

func (b *Bell) listen(ctx context.Context) {
	for ctx.Err() == nil {
		messages, err := b.sub.Subscribe(ctx, b.topic)
		if err == nil {
			for m := range messages {
				b.strike()
				m.Ack()
			}
		}
		pause(ctx, listenAgain)
	}
}

// tell publishes how far the log has come, whenever it grows.
func (b *Bell) tell(ctx context.Context) {
	var at eventstore.Position
	for ctx.Err() == nil {
		head, err := b.store.Head(ctx)
		if err == nil && head.Position > at {
			at = head.Position
			m := message.NewMessage(b.id(), []byte(strconv.FormatUint(uint64(at), 10)))
			err = b.pub.Publish(b.topic, m)
		}
		if err == nil {
			err = b.store.Wait(ctx, at)
		}
		if err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "tell how far the log has come", slog.Any("err", err))
			pause(ctx, listenAgain)
		}
	}
}

// watch rings for what nobody told.
func (b *Bell) watch(ctx context.Context) {
	var at eventstore.Position
	for ctx.Err() == nil {
		if head, err := b.store.Head(ctx); err == nil && head.Position > at {
			at = head.Position
			b.strike()
		}
		pause(ctx, unheard)
	}
}
