// Package feed tells others what the log says (事件订阅): webhooks, and the bell that wakes whoever follows the log live.
// It owns who is called when, how a message looks and is signed, and what may be called at all. It is never a source of
// truth: what it says lies in the log, and what became of a message is written there.
//
// # Decisions
//
// Watermill carries wake-ups, not events: a message says how far the log has come, in-process when embedded, over Redis
// Streams when many nodes run. Each endpoint then reads the log from its own cursor at its own pace. So a lost or doubled
// wake-up harms nothing, a slow subscriber holds up itself alone, and memory is bounded without dropping anything.
//
// A message is thin: ids and where to read more, with the reader's own key and scope. What an endpoint hears of is what
// its owner may see when the message is made.
//
// Messages about one subject (one stream) go out in order, the next after the last was taken; subjects do not wait for
// each other. Who is called is decided when the connection is made, by address: a name may be pointed elsewhere later.
package feed

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"zujian/domain"
	"zujian/domain/webhook"
	"zujian/eventstore"
)

// Options of a Feed. All but Schedule, Loopback and Logger are needed.
type Options struct {
	Store     eventstore.Store
	Bell      *Bell
	Endpoints func(ctx context.Context) ([]string, error) // Ids of all there are.
	Load      func(ctx context.Context, id string) (webhook.State, error)
	Record    func(ctx context.Context, id string, r webhook.Record) error
	Secret    func(ctx context.Context, id string, sealed domain.Sealed) (string, error)  // "whsec_…"
	Sees      func(ctx context.Context, owner webhook.Owner, stream string) (bool, error) // The one scope function.
	Source    string                                                                      // CloudEvents source: "/zujian/nanjing".
	Now       func() time.Time
	Schedule  []time.Duration // Pauses before the second and further attempts; DefaultSchedule if nil.
	Loopback  bool            // Development: this machine's own addresses, any port and plain http may be called. Never in service.
	Logger    *slog.Logger
	Figures   *Figures // Kept here for others to read; its own if nil.
}

// DefaultSchedule is when a message that was not taken is sent again; each pause is lengthened by up to a tenth. After the
// last the message is a dead letter and the endpoint is disabled.
var DefaultSchedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Limits.
const (
	pendingMax   = 500                    // Messages of one endpoint read and not taken.
	parallelMax  = 4                      // Calls to one endpoint at once.
	flushAfter   = 200 * time.Millisecond // Longest an outcome waits to be recorded.
	scanMax      = 5000                   // Events looked at before outcomes are looked after again.
	cursorEvery  = 100_000                // Events without a message after which the cursor is recorded all the same.
	lookEvery    = time.Second            // For new endpoints, and without a bell.
	retryRecords = time.Second            // After the log refused a record.
)

// Feed sends webhooks. One at a time may run over a log; a second one would only send twice.
type Feed struct {
	o      Options
	client *http.Client
}

// New prepares a Feed.
func New(o Options) *Feed {
	if o.Schedule == nil {
		o.Schedule = DefaultSchedule
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Figures == nil {
		o.Figures = &Figures{}
	}
	return &Feed{o: o, client: newClient(o.Loopback)}
}

// Run serves every endpoint until ctx ends, then returns nil when nothing is under way any more.
func (f *Feed) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	defer f.client.CloseIdleConnections()
	var mu sync.Mutex
	served := map[string]bool{}
	for ctx.Err() == nil {
		ring := f.o.Bell.C()
		ids, err := f.o.Endpoints(ctx)
		if err != nil && ctx.Err() == nil {
			f.o.Logger.WarnContext(ctx, "list webhook endpoints", slog.Any("err", err))
		}
		for _, id := range ids {
			mu.Lock()
			known := served[id]
			served[id] = true
			mu.Unlock()
			if known {
				continue
			}
			work.Go(func() {
				newWorker(f, id).run(ctx)
				mu.Lock()
				delete(served, id)
				mu.Unlock()
			})
		}
		wait(ctx, ring, lookEvery)
		pause(ctx, lookEvery/5) // A busy log rings all the time.
	}
	return nil
}

// wait ends with the ring, the time or ctx.
func wait(ctx context.Context, ring <-chan struct{}, most time.Duration) {
	timer := time.NewTimer(max(most, 0))
	defer timer.Stop()
	select {
	case <-ring:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func pause(ctx context.Context, d time.Duration) { wait(ctx, nil, d) }
