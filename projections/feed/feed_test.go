package feed_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"zujian/domain"
	"zujian/domain/webhook"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	. "zujian/projections/feed"
)

const patience = time.Minute // On a slow, busy machine.

func secretOf(sealed string) string {
	return SecretPrefix + base64.StdEncoding.EncodeToString([]byte(sealed+strings.Repeat("-", 32-len(sealed))))
}

// town is a log with endpoints, and a feed over it.
type town struct {
	t        *testing.T
	store    *memory.Store
	runner   aggregate.Runner
	schedule []time.Duration
	refuse   atomic.Bool // The log takes no records.
	n        atomic.Int64
	figures  Figures

	mu   sync.Mutex
	ids  []string
	stop func()
}

func newTown(t *testing.T) *town {
	w := &town{t: t, store: &memory.Store{}, schedule: []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond}}
	w.runner = aggregate.Runner{Store: w.store, Catalogue: domain.NewCatalogue(webhook.Types)}
	return w
}

func (w *town) do(ctx context.Context, id string, c webhook.Command) error {
	req := domain.Request[webhook.Command]{ID: uuid.NewString(), At: time.Now().UTC(), Command: c}
	_, err := aggregate.Execute(ctx, w.runner, webhook.Decider, id, req, aggregate.Options{})
	return err
}

func (w *town) must(id string, c webhook.Command) {
	w.t.Helper()
	if err := w.do(w.t.Context(), id, c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) state(id string) webhook.State {
	w.t.Helper()
	s, _, err := aggregate.Load(w.t.Context(), w.runner, webhook.Decider, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// endpoint registers one that sees streams which begin with sees.
func (w *town) endpoint(id, url, sees string, types ...string) {
	w.t.Helper()
	w.must(id, webhook.Register{URL: url, Types: types, Owner: webhook.Owner{Key: "k", Role: domain.RoleCompany, Party: sees}, Secret: "first"})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids = append(w.ids, id)
}

// happen writes one event of type contract.filed to each stream.
func (w *town) happen(streams ...string) {
	w.t.Helper()
	for _, s := range streams {
		e := eventstore.NewEvent{Type: "contract.filed", Data: []byte(`{"name":"王某"}`), Meta: eventstore.Metadata{Schema: 1}}
		binary.BigEndian.PutUint64(e.ID[:], uint64(w.n.Add(1)))
		if _, err := w.store.Append(w.t.Context(), s, eventstore.AnyRevision, e); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *town) start() {
	ctx, cancel := context.WithCancel(w.t.Context())
	log := slog.New(slog.DiscardHandler)
	bell := Local(w.store, uuid.NewString, log)
	f := New(Options{
		Store: w.store, Bell: bell, Now: time.Now, Source: "/zujian/test", Schedule: w.schedule, Loopback: true, Figures: &w.figures,
		Endpoints: func(context.Context) ([]string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.ids), nil
		},
		Load: func(ctx context.Context, id string) (webhook.State, error) {
			s, _, err := aggregate.Load(ctx, w.runner, webhook.Decider, id)
			return s, err
		},
		Record: func(ctx context.Context, id string, r webhook.Record) error {
			if w.refuse.Load() {
				return errors.New("the log is away")
			}
			return w.do(ctx, id, r)
		},
		Secret: func(_ context.Context, _ string, sealed domain.Sealed) (string, error) {
			return secretOf(string(sealed)), nil
		},
		Sees: func(_ context.Context, o webhook.Owner, stream string) (bool, error) {
			return strings.HasPrefix(stream, o.Party), nil
		},
	})
	var work sync.WaitGroup
	work.Go(func() { _ = bell.Run(ctx) })
	work.Go(func() { _ = f.Run(ctx) })
	w.stop = func() { cancel(); work.Wait() }
	w.t.Cleanup(w.stop)
}

func (w *town) until(what string, ok func() bool) {
	w.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			w.t.Fatalf("never: %s", what)
		}
	}
}

// receiver is a subscriber that checks what it gets by the reference library.
type receiver struct {
	*httptest.Server
	t       *testing.T
	secrets []string
	mu      sync.Mutex
	got     []Event
	answer  func(w http.ResponseWriter, e Event) // nil = 204.
}

func newReceiver(t *testing.T, secrets ...string) *receiver {
	r := &receiver{t: t, secrets: secrets}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	for _, s := range r.secrets {
		wh, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			r.t.Error(err)
			return
		}
		if err := wh.Verify(body, req.Header); err != nil {
			r.t.Errorf("the reference library refuses the signature: %v", err)
		}
	}
	var e Event
	if err := json.Unmarshal(body, &e); err != nil || req.Header.Get("webhook-id") != e.ID ||
		!strings.HasPrefix(req.Header.Get("Content-Type"), "application/cloudevents+json") {
		r.t.Errorf("%v: %v %s", err, req.Header, body)
	}
	if strings.Contains(string(body), "王") {
		r.t.Errorf("a message holds the event's data: %s", body)
	}
	r.mu.Lock()
	r.got = append(r.got, e)
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, e)
}

func (r *receiver) answers(f func(w http.ResponseWriter, e Event)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.got {
		out = append(out, fmt.Sprintf("%s@%d", e.Subject, e.Data.Revision))
	}
	return out
}

func status(code int) func(http.ResponseWriter, Event) {
	return func(w http.ResponseWriter, _ Event) { w.WriteHeader(code) }
}

func TestDelivers(t *testing.T) {
	w := newTown(t)
	r := newReceiver(t, secretOf("first"))
	w.endpoint("e1", r.URL, "contract-mine", "contract.filed")
	w.happen("contract-mine1", "contract-theirs", "contract-mine2", "contract-mine1")
	w.start()
	w.until("three", func() bool { return len(r.seen()) == 3 })
	w.happen("unit-x", "contract-mine1")
	w.until("the fourth", func() bool { return len(r.seen()) == 4 })
	w.until("recorded", func() bool { s := w.state("e1"); return s.Cursor >= 6 && len(s.Open) == 0 })
	var ones []string
	for _, s := range r.seen() {
		if strings.HasPrefix(s, "contract-mine1") {
			ones = append(ones, s)
		}
	}
	if got := strings.Join(ones, " "); got != "contract-mine1@0 contract-mine1@1 contract-mine1@2" {
		t.Errorf("out of order: %s", got)
	}
	r.mu.Lock()
	e := r.got[0]
	r.mu.Unlock()
	if e.SpecVersion != "1.0" || e.Type != "cn.zujian.contract.filed.v1" || e.Source != "/zujian/test" || e.Data.Read != "/v1/contracts/"+e.Data.ID {
		t.Errorf("%+v", e)
	}
}

func TestBothSecretsSignWhileRotating(t *testing.T) {
	w := newTown(t)
	r := newReceiver(t, secretOf("first"), secretOf("second"))
	w.endpoint("e1", r.URL, "contract")
	w.must("e1", webhook.RotateSecret{Secret: "second"})
	w.happen("contract-1")
	w.start()
	w.until("one", func() bool { return len(r.seen()) == 1 })
}

func TestRetriesKeepTheOrderOfTheirSubjectAndHoldNobodyElse(t *testing.T) {
	w := newTown(t)
	r, other := newReceiver(t), newReceiver(t)
	var fails atomic.Int64
	fails.Store(3)
	r.answers(func(rw http.ResponseWriter, e Event) {
		if e.Subject == "contract-bad" && fails.Add(-1) >= 0 {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	w.endpoint("e1", r.URL, "contract")
	w.endpoint("e2", other.URL, "contract")
	w.happen("contract-bad", "contract-bad", "contract-good", "contract-good")
	w.start()
	w.until("all", func() bool { s := w.state("e1"); return s.Cursor >= 6 && len(s.Open) == 0 })
	w.until("the other's", func() bool { return len(other.seen()) == 4 })
	got := strings.Join(slices.DeleteFunc(r.seen(), func(s string) bool { return strings.HasPrefix(s, "contract-good") }), " ")
	if got != "contract-bad@0 contract-bad@0 contract-bad@0 contract-bad@0 contract-bad@1" {
		t.Errorf("got %s", got)
	}
}

// TestSlowSubscriber never answers in time: the other one hears of everything meanwhile, and the log grows.
func TestSlowSubscriberHoldsOnlyItself(t *testing.T) {
	w := newTown(t)
	slow, quick := newReceiver(t), newReceiver(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	slow.answers(func(http.ResponseWriter, Event) { <-hang })
	w.endpoint("slow", slow.URL, "contract")
	w.endpoint("quick", quick.URL, "contract")
	w.start()
	for i := range 700 { // More than the slow one may have pending.
		w.happen(fmt.Sprint("contract-", i%50))
	}
	w.until("everything to the quick one", func() bool { return len(quick.seen()) == 700 })
	if n := len(slow.seen()); n > 8 {
		t.Errorf("%d calls at once to one that does not answer", n)
	}
}

func TestDeadLetterDisablesAndCanBeSentAgain(t *testing.T) {
	w := newTown(t)
	r := newReceiver(t)
	r.answers(status(http.StatusBadGateway))
	w.endpoint("e1", r.URL, "contract")
	w.happen("contract-1")
	w.start()
	w.until("disabled", func() bool { return w.state("e1").Stage == webhook.StageDisabled })
	if s := w.state("e1"); s.Reason != webhook.ReasonExhausted || len(r.seen()) != 4 {
		t.Errorf("%d attempts, %+v", len(r.seen()), s)
	}
	w.until("the figures", func() bool {
		f := w.figures.Read(time.Now())
		return f.Attempts[webhook.Retry] == 3 && f.Attempts[webhook.Dead] == 1 && f.Attempts[webhook.Delivered] == 0 && f.Waiting == 0 && f.Lag == 0
	})
	w.happen("contract-2")
	r.answers(nil)
	w.must("e1", webhook.Enable{})
	w.until("the next message", func() bool { return slices.Contains(r.seen(), "contract-2@0") })
	dead := w.position("contract-1")
	w.must("e1", webhook.Redeliver{Position: dead})
	w.until("the dead letter again", func() bool { return len(r.seen()) == 6 && len(w.state("e1").Redeliver) == 0 })
	w.must("e1", webhook.Replay{After: 0})
	w.until("both once more", func() bool { return len(r.seen()) == 8 })
	var attempts []webhook.Outcome
	for e, err := range w.store.Stream(t.Context(), "webhook-e1", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if d, err := w.runner.Catalogue.Decode(e.Type, e.Meta.Schema, e.Data); err == nil {
			if rec, ok := d.(webhook.DeliveriesRecorded); ok {
				for _, x := range rec.Items {
					attempts = append(attempts, x.Outcome)
				}
			}
		}
	}
	if got := fmt.Sprint(attempts[:6]); got != "[RETRY RETRY RETRY DEAD DELIVERED DELIVERED]" {
		t.Errorf("recorded %v", attempts)
	}
	r.answers(status(http.StatusGone))
	w.happen("contract-3")
	w.until("gone", func() bool { return w.state("e1").Reason == webhook.ReasonGone })
}

// TestFiguresTellWhoIsBehind: what waits ages, whoever else is up to date.
func TestFiguresTellWhoIsBehind(t *testing.T) {
	w := newTown(t)
	w.schedule = []time.Duration{24 * time.Hour}
	bad, good := newReceiver(t), newReceiver(t)
	bad.answers(status(http.StatusBadGateway))
	w.endpoint("bad", bad.URL, "contract")
	w.endpoint("good", good.URL, "contract")
	w.happen("contract-1", "contract-1", "unit-1")
	w.start()
	w.until("two taken, two waiting", func() bool {
		f := w.figures.Read(time.Now())
		return f.Endpoints == 2 && f.Waiting == 2 && f.Attempts[webhook.Delivered] == 2 && f.Attempts[webhook.Retry] == 1
	})
	var stored time.Time
	for e, err := range w.store.Stream(t.Context(), "contract-1", 0) {
		if err != nil {
			t.Fatal(err)
		}
		stored = e.StoredAt
		break
	}
	if f := w.figures.Read(stored.Add(time.Hour)); f.Lag != time.Hour {
		t.Errorf("a lag of %v", f.Lag)
	}
	w.stop()
	if f := w.figures.Read(stored.Add(time.Hour)); f.Endpoints != 0 || f.Waiting != 0 || f.Lag != 0 {
		t.Errorf("after the end: %+v", f)
	}
}

func (w *town) position(stream string) uint64 {
	for e, err := range w.store.Stream(w.t.Context(), stream, 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		return uint64(e.Position)
	}
	return 0
}

// TestNothingIsLostWhenTheFeedDies: it ends anywhere, records fail; each message comes at least once, in order.
func TestNothingIsLostWhenTheFeedDies(t *testing.T) {
	w := newTown(t)
	r := newReceiver(t)
	var n atomic.Int64
	r.answers(func(rw http.ResponseWriter, _ Event) {
		if n.Add(1)%7 == 0 {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	w.endpoint("e1", r.URL, "contract")
	for i := range 120 {
		w.happen(fmt.Sprint("contract-", i%6))
	}
	for round := range 4 {
		w.refuse.Store(round%2 == 1)
		w.start()
		want := 20 * (round + 1)
		w.until("some", func() bool { return len(r.seen()) >= want })
		w.stop()
	}
	w.refuse.Store(false)
	w.start()
	w.until("all", func() bool { s := w.state("e1"); return s.Cursor >= 121 && len(s.Open) == 0 })
	first := map[string]int{}
	for i, s := range r.seen() {
		if _, again := first[s]; !again {
			first[s] = i
		}
	}
	if len(first) != 120 {
		t.Errorf("%d of 120 messages came", len(first))
	}
	for i := range 6 {
		for rev := 1; rev < 20; rev++ {
			if a, b := first[fmt.Sprintf("contract-%d@%d", i, rev-1)], first[fmt.Sprintf("contract-%d@%d", i, rev)]; a > b {
				t.Errorf("contract-%d: %d came before %d", i, rev, rev-1)
			}
		}
	}
}

func TestBadAnswersAreNoAnswers(t *testing.T) {
	w := newTown(t)
	w.schedule = nil
	w.schedule = []time.Duration{}
	elsewhere := newReceiver(t)
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, Event)
		code   string
	}{
		"an endless body": {func(rw http.ResponseWriter, _ Event) {
			chunk := make([]byte, 32<<10)
			for range 64 {
				if _, err := rw.Write(chunk); err != nil {
					return
				}
			}
		}, "answer_too_long"},
		"a redirect": {func(rw http.ResponseWriter, _ Event) {
			rw.Header().Set("Location", elsewhere.URL)
			rw.WriteHeader(http.StatusTemporaryRedirect)
		}, "redirect"},
		"a refusal": {status(http.StatusForbidden), "status"},
		"another protocol": {func(rw http.ResponseWriter, _ Event) {
			c, _, err := rw.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
		}, "status"},
	} {
		r := newReceiver(t)
		r.answers(c.answer)
		w.endpoint(name, r.URL, "contract")
		t.Cleanup(func() {
			last := lastDelivery(t, w, name)
			if last.Error != c.code || last.Outcome != webhook.Dead {
				t.Errorf("%s: %+v", name, last)
			}
		})
	}
	w.happen("contract-1")
	w.start()
	for _, id := range w.ids {
		w.until(id, func() bool { return w.state(id).Stage == webhook.StageDisabled })
	}
	if len(elsewhere.seen()) > 0 {
		t.Error("a redirect was followed")
	}
}

func lastDelivery(t *testing.T, w *town, id string) (last webhook.Delivery) {
	for e, err := range w.store.Stream(context.Background(), "webhook-"+id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if d, err := w.runner.Catalogue.Decode(e.Type, e.Meta.Schema, e.Data); err == nil {
			if rec, ok := d.(webhook.DeliveriesRecorded); ok && len(rec.Items) > 0 {
				last = rec.Items[len(rec.Items)-1]
			}
		}
	}
	return last
}
