package feed

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"zujian/domain/webhook"
	"zujian/eventstore"
)

// letter is one message on its way to one endpoint.
type letter struct {
	message  string
	position uint64
	kind     string // Type of the event.
	subject  string
	stored   time.Time
	body     []byte
	attempt  int // Made so far.
	due      time.Time
	again    bool
	life     int // The worker's when it was read.
}

// lane names the letters that keep their order among each other.
func (l *letter) lane() string {
	if l.again {
		return "again/" + strconv.FormatUint(l.position, 10)
	}
	return l.subject
}

type outcome struct {
	letter *letter
	answer answered
	at     time.Time
}

// worker serves one endpoint.
type worker struct {
	feed     *Feed
	id       string
	life     int // Raised when everything begins anew from what is recorded.
	round    int
	enabled  bool
	read     eventstore.Position // Read up to here.
	passed   int                 // Events read since the last record.
	more     bool                // There is more to read.
	lanes    map[string][]*letter
	pending  int
	flying   map[string]bool // Lanes with a call under way.
	outcomes chan outcome
	items    []webhook.Delivery // To be recorded.
	since    time.Time          // When the first of them came.
	blocked  time.Time          // No record before this.
}

func newWorker(f *Feed, id string) *worker {
	return &worker{feed: f, id: id, outcomes: make(chan outcome, parallelMax)}
}

func (w *worker) run(ctx context.Context) {
	calls, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		w.feed.o.Figures.leave(w.id)
		for range w.flying {
			<-w.outcomes // The last calls end; what they brought is sent again after a restart.
		}
	}()
	first := true
	for ctx.Err() == nil {
		ring := w.feed.o.Bell.C()
		st, err := w.feed.o.Load(ctx, w.id)
		if err == nil && st.Stage != webhook.StageRemoved {
			enabled := st.Stage == webhook.StageEnabled
			if first || st.Round != w.round || enabled != w.enabled {
				w.begin(st, enabled)
				first = false
			}
			err = w.work(ctx, calls, st)
			w.feed.o.Figures.stand(w.id, w.standing())
			if err == nil {
				w.sleep(ctx, ring)
				continue
			}
		}
		if err == nil {
			return // Removed.
		}
		if ctx.Err() == nil {
			w.feed.o.Logger.WarnContext(ctx, "serve webhook endpoint", slog.String("endpoint", w.id), slog.Any("err", err))
			pause(ctx, retryRecords)
		}
	}
}

// begin takes up what is recorded.
func (w *worker) begin(st webhook.State, enabled bool) {
	w.life++
	w.round, w.enabled, w.read, w.passed, w.more = st.Round, enabled, eventstore.Position(st.Cursor), 0, true
	w.lanes, w.pending = map[string][]*letter{}, 0
	w.items = slices.DeleteFunc(w.items, func(d webhook.Delivery) bool { return !d.Again }) // Those belong to no round.
	if w.flying == nil {
		w.flying = map[string]bool{}
	}
}

// work reads, sends and records what can be now.
func (w *worker) work(ctx, calls context.Context, st webhook.State) error {
	if w.enabled {
		if err := w.again(ctx, st); err != nil {
			return err
		}
		if err := w.fill(ctx, st); err != nil {
			return err
		}
		if err := w.launch(calls, st); err != nil {
			return err
		}
	}
	return w.record(ctx)
}

// again takes up messages that somebody asked for once more.
func (w *worker) again(ctx context.Context, st webhook.State) error {
	for _, position := range st.Redeliver {
		l := &letter{position: position, again: true, life: w.life}
		if len(w.lanes[l.lane()]) > 0 || w.isItem(l) {
			continue
		}
		for e, err := range w.feed.o.Store.All(ctx, eventstore.Position(position-1)) {
			if err != nil {
				return err
			}
			if uint64(e.Position) == position {
				w.address(l, e)
				w.put(l)
			}
			break
		}
	}
	return nil
}

func (w *worker) isItem(l *letter) bool {
	for _, x := range w.items {
		if x.Position == l.position && x.Again == l.again {
			return true
		}
	}
	return false
}

func (w *worker) address(l *letter, e eventstore.Recorded) {
	l.message, l.kind, l.subject = uuid.UUID(e.ID).String(), e.Type, e.Stream
	l.stored = e.StoredAt
	l.position, l.body = uint64(e.Position), About(w.feed.o.Source, e).JSON()
}

func (w *worker) put(l *letter) {
	w.lanes[l.lane()] = append(w.lanes[l.lane()], l)
	w.pending++
}

// fill reads the log on, as far as the limits allow. An endpoint whose letters stay stops reading, alone.
func (w *worker) fill(ctx context.Context, st webhook.State) error {
	tried := make(map[uint64]webhook.Delivery, len(st.Open))
	for _, d := range st.Open {
		tried[d.Position] = d
	}
	room := func() bool {
		return w.pending < pendingMax && w.pending+len(st.Open)+len(w.items) < webhook.OpenMax
	}
	w.more = false
	if !room() {
		return nil
	}
	scanned := 0
	for e, err := range w.feed.o.Store.All(ctx, w.read) {
		if err != nil {
			return err
		}
		if st.Wants(e.Type) {
			d, was := tried[uint64(e.Position)]
			sees := was
			if !was {
				if sees, err = w.feed.o.Sees(ctx, st.Owner, e.Stream); err != nil {
					return err
				}
			}
			if sees && (!was || d.Outcome == webhook.Retry) {
				l := &letter{attempt: d.Attempt, due: d.Next, life: w.life}
				w.address(l, e)
				w.put(l)
			}
		}
		w.read = e.Position
		w.passed++
		if scanned++; scanned == scanMax || !room() {
			w.more = room()
			return nil
		}
	}
	return nil
}

// launch calls for the first letter of every lane that is due.
func (w *worker) launch(calls context.Context, st webhook.State) error {
	now := w.feed.o.Now()
	var secrets []string
	for lane, letters := range w.lanes {
		l := letters[0]
		if len(w.flying) >= parallelMax {
			return nil
		}
		if w.flying[lane] || l.due.After(now) {
			continue
		}
		if secrets == nil {
			for _, sealed := range st.Secrets(now) {
				s, err := w.feed.o.Secret(calls, w.id, sealed)
				if err != nil {
					return err
				}
				secrets = append(secrets, s)
			}
		}
		w.flying[lane] = true
		go func() { // Ended by its timeout at the latest; run waits for it.
			a := post(calls, w.feed.client, st.URL, now, l.message, l.body, secrets)
			w.outcomes <- outcome{l, a, w.feed.o.Now()}
		}()
	}
	return nil
}

// settle takes in what came of a call.
func (w *worker) settle(o outcome) {
	l := o.letter
	lane := l.lane()
	delete(w.flying, lane)
	switch first := w.lanes[lane]; {
	case l.again && len(first) == 0: // Everything began anew meanwhile; what was asked for again belongs to no round.
		w.put(l)
	case l.again:
		l = first[0]
	case l.life != w.life || len(first) == 0 || first[0] != l:
		return // From before everything began anew: it will go out again.
	}
	l.attempt++
	d := webhook.Delivery{
		Message: l.message, Position: l.position, Type: l.kind, Subject: l.subject, Attempt: l.attempt, Outcome: webhook.Delivered,
		Status: o.answer.status, Error: o.answer.code, At: o.at.UTC().Truncate(time.Microsecond), Again: l.again,
	}
	switch schedule := w.feed.o.Schedule; {
	case o.answer.taken():
	case o.answer.status == http.StatusGone, l.attempt > len(schedule):
		d.Outcome = webhook.Dead
	default:
		wait := schedule[l.attempt-1]
		d.Outcome, d.Next = webhook.Retry, d.At.Add(wait+time.Duration(rand.Int64N(int64(wait)/10+1)))
		l.due = d.Next
	}
	w.feed.o.Figures.count(d.Outcome)
	if d.Outcome != webhook.Retry {
		if w.lanes[lane] = w.lanes[lane][1:]; len(w.lanes[lane]) == 0 {
			delete(w.lanes, lane)
		}
		w.pending--
	}
	if len(w.items) == 0 {
		w.since = o.at
	}
	w.items = append(w.items, d)
}

// cursor is up to where everything is settled.
func (w *worker) cursor() uint64 {
	at := uint64(w.read)
	for _, letters := range w.lanes {
		for _, l := range letters {
			if !l.again {
				at = min(at, l.position-1)
				break // Letters of a lane are in order.
			}
		}
	}
	return at
}

// record writes outcomes down when there are enough, or they have waited long enough, or nothing else goes on.
func (w *worker) record(ctx context.Context) error {
	now := w.feed.o.Now()
	due := len(w.items) >= webhook.ItemsMax/2 || (len(w.items) > 0 && now.Sub(w.since) >= flushAfter) || w.passed >= cursorEvery
	if !due || now.Before(w.blocked) {
		return nil
	}
	for len(w.items) > 0 || w.passed >= cursorEvery {
		n := min(len(w.items), webhook.ItemsMax)
		r := webhook.Record{Round: w.round, Items: w.items[:n], Cursor: w.cursor()}
		if n < len(w.items) {
			r.Cursor = 0 // What is recorded next is not settled yet.
		}
		if err := w.feed.o.Record(ctx, w.id, r); err != nil {
			w.blocked = now.Add(retryRecords)
			return err
		}
		w.items, w.passed = w.items[n:], 0
	}
	w.items = nil
	return nil
}

// sleep waits for whatever comes next: an outcome, a ring, a letter that gets due.
func (w *worker) sleep(ctx context.Context, ring <-chan struct{}) {
	most := 5 * lookEvery
	now := w.feed.o.Now()
	if len(w.items) > 0 {
		most = min(most, max(flushAfter-now.Sub(w.since), w.blocked.Sub(now), time.Millisecond))
	}
	if w.enabled {
		for lane, letters := range w.lanes {
			if !w.flying[lane] && len(w.flying) < parallelMax {
				most = min(most, max(letters[0].due.Sub(now), time.Millisecond))
			}
		}
		if w.more {
			ring, most = nil, 0
		}
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case o := <-w.outcomes:
		w.settle(o)
		for range len(w.outcomes) {
			w.settle(<-w.outcomes)
		}
	case <-ring:
		pause(ctx, 20*time.Millisecond) // A busy log rings all the time.
	case <-timer.C:
	case <-ctx.Done():
	}
}
