package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"zujian/projections/feed"
)

// subscriber is somebody's own server: it verifies what it gets by the reference library.
type subscriber struct {
	*httptest.Server
	t      testing.TB
	mu     sync.Mutex
	secret string
	got    []feed.Event
	down   bool
}

func newSubscriber(t testing.TB) *subscriber {
	s := &subscriber{t: t}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		wh, err := standardwebhooks.NewWebhook(s.secret)
		if err == nil {
			err = wh.Verify(body, r.Header)
		}
		var e feed.Event
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil {
			s.t.Errorf("%v: %s", err, body)
		}
		s.got = append(s.got, e)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *subscriber) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *subscriber) types() (out []string) {
	s.with(func() {
		for _, e := range s.got {
			out = append(out, e.Data.Event)
		}
	})
	return out
}

// feeding runs webhooks beside the world, by the real clock: a signature is good for five minutes.
func (w *world) feeding() {
	g := *w.g
	g.Now = time.Now
	bell, err := w.house.openBell(&g, true)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = bell.Run(ctx) })
	work.Go(func() { _ = w.house.runFeed(ctx, &g, bell, true) })
	stop := w.stop
	w.stop = func() { cancel(); work.Wait(); stop() }
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestWebhooks: everybody hears of what they may see, signed, thin, and of nothing else.
func TestWebhooks(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	flat := w.home("3")
	subs := map[string]*subscriber{}
	ids := map[string]string{}
	var secrets []string
	for _, who := range []string{"landlord", "tenant2", "city", "xuanwu"} {
		subs[who] = newSubscriber(t)
		body := fmt.Sprintf(`{"url":%q,"types":["contract.drafted","contract.filed"]}`, subs[who].URL)
		a := w.post(who, "/v1/webhook-endpoints", body, "Idempotency-Key", "hook").want(http.StatusCreated)
		ids[who] = a.text("id")
		subs[who].with(func() { subs[who].secret = a.text("secret") })
		secrets = append(secrets, strings.TrimPrefix(a.text("secret"), feed.SecretPrefix))
		w.post(who, "/v1/webhook-endpoints", body, "Idempotency-Key", "hook").problem(http.StatusConflict, "request.reply_not_kept")
	}
	w.feeding()
	contract := w.filed(flat, "landlord", "tenant", nil)
	for _, who := range []string{"landlord", "city"} {
		until(t, who+" hears of the filing", func() bool { return slices.Contains(subs[who].types(), "contract.filed") })
	}
	subs["landlord"].with(func() {
		e := subs["landlord"].got[0]
		if e.Subject != "contract-"+contract || e.Source != "/zujian/nanjing" || e.Type != "cn.zujian.contract.drafted.v1" || e.Data.Read != "/v1/contracts/"+contract {
			t.Errorf("%+v", e)
		}
		w.get("landlord", e.Data.Read).want(http.StatusOK) // The message says where to read on.
	})
	if got := append(subs["tenant2"].types(), subs["xuanwu"].types()...); len(got) > 0 {
		t.Errorf("a stranger and another district hear of it: %v", got)
	}
	var message string
	until(t, "recorded", func() bool {
		items := w.get("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/deliveries").want(http.StatusOK).list("items")
		if len(items) < 2 {
			return false
		}
		message = w.get("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/deliveries?limit=1").is("items.0.outcome", "DELIVERED").text("items.0.message")
		return true
	})
	a := w.get("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/deliveries?limit=1")
	if next := w.get("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/deliveries?limit=1&cursor="+a.text("next_cursor")); next.text("items.0.message") == message {
		t.Errorf("the second page is the first: %s", next.body)
	}

	// Once more, with a new secret; and everything again.
	before := len(subs["landlord"].types())
	w.post("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/deliveries/"+message+"/redeliver", nil).want(http.StatusOK)
	until(t, "sent again", func() bool { return len(subs["landlord"].types()) >= before+1 })
	fresh := w.post("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/secret", nil).want(http.StatusOK).text("secret")
	secrets = append(secrets, strings.TrimPrefix(fresh, feed.SecretPrefix))
	subs["landlord"].with(func() { subs["landlord"].secret = fresh })
	w.post("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/replays", `{"after_position":0}`).want(http.StatusOK)
	until(t, "replayed", func() bool { return len(subs["landlord"].types()) >= before+1+2 })

	w.foreignEndpoints(ids, message)
	w.post("landlord", "/v1/webhook-endpoints/"+ids["landlord"]+"/deliveries/"+nobody+"/redeliver", nil).problem(http.StatusNotFound, "webhook.no_such_delivery")
	w.do("landlord", http.MethodDelete, "/v1/webhook-endpoints/"+ids["landlord"], nil).want(http.StatusOK)
	w.get("landlord", "/v1/webhook-endpoints/"+ids["landlord"]).problem(http.StatusNotFound, "resource.not_found")
	w.settled()
	if rows := w.get("landlord", "/v1/webhook-endpoints").want(http.StatusOK).list("items"); len(rows) > 0 {
		t.Errorf("a removed endpoint is listed: %v", rows)
	}
	for e, err := range w.house.store.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if bytes.Contains(e.Data, []byte(s)) {
				t.Errorf("a secret stands in clear in %s", e.Type)
			}
		}
	}
	for _, s := range secrets {
		if strings.Contains(w.logs.String(), s) {
			t.Error("a secret stands in the log lines")
		}
	}
}

// foreignEndpoints: another's endpoint is not there.
func (w *world) foreignEndpoints(ids map[string]string, message string) {
	w.t.Helper()
	at := "/v1/webhook-endpoints/" + ids["landlord"]
	for _, who := range []string{"tenant2", "city", "auditor"} {
		w.get(who, at).problem(http.StatusNotFound, "resource.not_found")
		w.get(who, at+"/deliveries").problem(http.StatusNotFound, "resource.not_found")
		w.do(who, http.MethodDelete, at, nil).problem(http.StatusNotFound, "resource.not_found")
		for _, act := range []string{"/secret", "/enablement", "/disablement", "/deliveries/" + message + "/redeliver"} {
			w.post(who, at+act, nil).problem(http.StatusNotFound, "resource.not_found")
		}
		w.post(who, at+"/replays", `{"after_position":0}`).problem(http.StatusNotFound, "resource.not_found")
		w.settled()
		for _, x := range w.get(who, "/v1/webhook-endpoints").want(http.StatusOK).list("items") {
			if x.(map[string]any)["id"] == ids["landlord"] {
				w.t.Errorf("%s lists another's endpoint", who)
			}
		}
	}
}

// frame is one event of a live stream.
type frame struct{ id, event, data string }

// stream follows live events until stop.
func (w *world) stream(who, query string, headers ...string) (frames func() []frame, stop func()) {
	w.t.Helper()
	frames, stop, _ = w.streaming(who, query, headers...)
	return frames, stop
}

func (w *world) streaming(who, query string, headers ...string) (frames func() []frame, stop func(), ended <-chan struct{}) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+"/v1/events/stream"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.keys[who])
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("%v %v", res, err)
	}
	var mu sync.Mutex
	var got []frame
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer res.Body.Close()
		var f frame
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				f.id = value
			case "event":
				f.event = value
			case "data":
				f.data = value
			case "":
				if f.event != "" {
					mu.Lock()
					got = append(got, f)
					mu.Unlock()
				}
				f = frame{}
			}
		}
	}()
	return func() []frame { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }, func() { cancel(); <-done }, done
}

func has(frames func() []frame, event string) func() bool {
	return func() bool { return slices.ContainsFunc(frames(), func(f frame) bool { return f.event == event }) }
}

// TestLiveEvents: what happens is told as it happens, by scope, and a client that comes back misses nothing.
func TestLiveEvents(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	flat := w.home("3")
	w.feeding()
	landlord, stopLandlord := w.stream("landlord", "")
	stranger, stopStranger := w.stream("tenant2", "?after=0")
	auditor, stopAuditor := w.stream("auditor", "?types=contract.filed")
	defer stopAuditor()
	defer stopStranger()
	draft := w.signed(flat, "landlord", "tenant", nil)
	until(t, "signed", has(landlord, "contract.signed"))
	stopLandlord() // Away while it is filed.
	seen := landlord()
	w.post("landlord", "/v1/contracts/"+draft+"/filing", nil).want(http.StatusOK)
	until(t, "the auditor hears of the filing", has(auditor, "contract.filed"))
	if got := auditor(); len(got) != 1 {
		t.Errorf("the auditor asked for filings: %v", got)
	}
	back, stopBack := w.stream("landlord", "", "Last-Event-ID", seen[len(seen)-1].id)
	defer stopBack()
	until(t, "the landlord hears of it after all", has(back, "contract.filed"))
	for _, f := range back() {
		if slices.Contains(seen, f) {
			t.Errorf("told twice: %v", f)
		}
		var e feed.Event
		if err := json.Unmarshal([]byte(f.data), &e); err != nil || e.SpecVersion != "1.0" || fmt.Sprint(e.Data.Position) != f.id {
			t.Errorf("%v: %s", err, f.data)
		}
	}
	for _, f := range stranger() {
		if !strings.Contains(f.data, `"party-`+w.ids["tenant2"]) {
			t.Errorf("a stranger hears of %s", f.data)
		}
	}
	key := w.post("city", "/v1/keys", `{"role":"auditor"}`).want(http.StatusCreated)
	w.keys["short"] = key.text("key")
	_, stopShort, ended := w.streaming("short", "")
	defer stopShort()
	w.do("city", http.MethodDelete, "/v1/keys/"+key.text("id"), nil).want(http.StatusOK)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("a stream outlives its key")
	}
	w.get("landlord", "/v1/events/stream", "Last-Event-ID", "x").problem(http.StatusBadRequest, "request.header")
	w.get("landlord", "/v1/events/stream?types=no.such").problem(http.StatusBadRequest, "request.parameter")
	w.get("partner", "/v1/events/stream").problem(http.StatusForbidden, "auth.forbidden")
}
