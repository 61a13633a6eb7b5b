package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"

	"zujian/api"
	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/register"
	"zujian/projections"
	"zujian/projections/process"
	"zujian/projections/rentindex"
)

// The acceptance tests use the product as its users do: over HTTP, each with its own key. The whole program runs in
// this process over a folder of its own, with a clock that the test sets.

// world is a running product and the people who use it.
type world struct {
	t        testing.TB
	g        *globals
	base     string
	house    *house
	react    *process.Runner
	register *register.Register
	logs     *lockedBuffer
	keys     map[string]string // Who → key.
	ids      map[string]string // Who → party id.
	stop     func()
	linger   time.Duration // How long processes leave new events alone.
	asked    sync.Map      // Who and Idempotency-Key → the If-Match it was asked with first.
	stale    bool          // Each request that may carry If-Match is asked with a wrong one, too, before and after.

	now     atomic.Int64 // µs
	mu      sync.Mutex
	answers []answered // Every answer, for the search for personal data.
	serial  atomic.Int64
}

type answered struct {
	who, asked string
	body       string
}

// worldDay is the civil day on which scenarios begin unless they say otherwise.
const worldDay = "2026-11-23"

func civil(s string) domain.Day {
	d, err := domain.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

// newWorld opens an empty register at ten in the morning of a day, and gives it two city regulators.
func newWorld(t testing.TB, today string) *world {
	t.Helper()
	w := &world{t: t, logs: &lockedBuffer{}, keys: map[string]string{}, ids: map[string]string{}}
	w.onDay(today)
	w.g = &globals{
		Ctx: t.Context(), Stdout: w.logs, Stderr: w.logs, Data: t.TempDir(), Now: w.clock,
		Log: slog.New(slog.NewJSONHandler(w.logs, nil)), Config: &cli{City: "nanjing", Suite: "INTL"},
	}
	w.open()
	raw, err := os.ReadFile(filepath.Join(w.g.Data, firstKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	var first struct{ Key string }
	if err := json.Unmarshal(raw, &first); err != nil {
		t.Fatal(err)
	}
	w.keys["city"] = first.Key
	w.key("city2", `{"role":"city"}`)
	return w
}

// open starts the product over the folder, as serve does. Only the clock and the pauses are the test's.
func (w *world) open() {
	w.t.Helper()
	h, err := openHouse(w.g, openOptions{now: w.clock, deferSync: true}) // No test here cuts the power.
	if err != nil {
		w.t.Fatal(err)
	}
	w.house = h
	if err := errors.Join(h.firstKey(w.g), h.loadPlan(w.g.Ctx, operator(w.g))); err != nil {
		w.t.Fatal(err)
	}
	h.runner.(*projections.Runner).BatchWait = time.Millisecond
	w.react = h.reactor(w.g, w.g.Now).(*process.Runner)
	w.react.ResumeEvery, w.react.Linger, w.react.Logger = 20*time.Millisecond, w.linger, nil
	flags := registerFlags{Origin: "register.example/zujian"}
	g := *w.g
	g.Now = time.Now // The pace of checkpoints is no matter of the scenario's clock.
	if w.register, err = flags.open(&g, h, 0); err != nil {
		w.t.Fatal(err)
	}
	server, err := api.New(api.Options{
		Register: w.register, Desk: h.desk, Views: h.views, Kept: views(h.city), Waiter: h.runner, Keys: h.desk, Replies: h.replies, Store: h.store,
		Catalogue: h.catalogue, Index: rentindex.Projection{Model: h.city.Model}, Log: w.g.Log, Now: w.clock, NewID: uuid.New,
		Version: "test", StoreName: "embedded", RatePerSecond: -1, Status: h.status, Source: source(w.g), WebhookLoopback: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	failed := make(chan error, 3)
	work.Go(func() { failed <- w.register.Run(ctx) })
	work.Go(func() { failed <- h.runner.Run(ctx, views(h.city)) })
	work.Go(func() { failed <- w.react.Run(ctx, processes(h)) })
	front := httptest.NewServer(server)
	w.base = front.URL
	closed := false
	w.stop = func() {
		if closed {
			return
		}
		closed = true
		front.Close()
		cancel()
		work.Wait()
		simulated := nothingSimulated(h)
		if err := errors.Join(<-failed, <-failed, <-failed, simulated, w.register.Close(), h.Close(), h.memo.Check(catalogue())); err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(func() { w.stop() })
}

func (w *world) clock() time.Time { return time.UnixMicro(w.now.Load()).UTC() }

// onDay sets the clock to ten in the morning in Nanjing. Time does not pass by itself.
func (w *world) onDay(s string) { w.now.Store(civil(s).Start().Add(10 * time.Hour).UnixMicro()) }

// answer is one HTTP answer under test.
type answer struct {
	reply
	t     testing.TB
	asked string
}

// do asks as somebody ("" is anyone without a key). A body is JSON text, or something to marshal.
func (w *world) do(who, method, path string, body any, headers ...string) answer {
	w.t.Helper()
	key := ""
	if who != "" {
		var known bool
		if key, known = w.keys[who]; !known {
			w.t.Fatalf("nobody called %s has a key", who)
		}
	}
	if s, ok := body.(string); ok && s == "" {
		body = nil
	}
	return w.asKey(who, key, method, path, body, headers...)
}

func (w *world) asKey(who, key, method, path string, body any, headers ...string) answer {
	w.t.Helper()
	if w.stale && !slices.Contains(headers, "If-Match") {
		w.askStale(who, key, method, path, body)
		defer w.askStale(who, key, method, path, body)
		if tag := w.firstTag(who, headers, w.tagOf(key, method, path)); tag != "" {
			headers = append(slices.Clip(headers), "If-Match", tag)
		}
	}
	r, err := ask(w.t.Context(), w.base, method, path, key, body, headers...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := answer{r, w.t, who + ": " + method + " " + path}
	w.mu.Lock()
	w.answers = append(w.answers, answered{who, a.asked, string(r.body)})
	w.mu.Unlock()
	if r.status >= http.StatusInternalServerError && a.at("code") != "unavailable.behind" {
		w.t.Errorf("%s: %d %s", a.asked, r.status, r.body)
	}
	holdToDocument(w.t, method, w.base+path, a)
	return a
}

// get, post and money are the usual ways to ask. money sends an Idempotency-Key of its own.
func (w *world) get(who, path string, headers ...string) answer {
	w.t.Helper()
	return w.do(who, http.MethodGet, path, nil, headers...)
}

func (w *world) post(who, path string, body any, headers ...string) answer {
	w.t.Helper()
	return w.do(who, http.MethodPost, path, body, headers...)
}

func (w *world) money(who, path string, body any) answer {
	w.t.Helper()
	return w.post(who, path, body, "Idempotency-Key", "m"+strconv.FormatInt(w.serial.Add(1), 10))
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: got %d, want %d: %s", a.asked, a.status, status, a.body)
	}
	return a
}

// problem wants a refusal with a code.
func (a answer) problem(status int, code string) answer {
	a.t.Helper()
	if got, _ := a.at("code").(string); a.status != status || got != code {
		a.t.Fatalf("%s: got %d %s, want %d %s: %s", a.asked, a.status, got, status, code, a.body)
	}
	return a
}

// rule wants a refusal by a version of a rule.
func (a answer) rule(status int, code, rule string, version int64) answer {
	a.t.Helper()
	a.problem(status, code)
	if a.at("rule") != rule || a.num("rule_version") != version {
		a.t.Fatalf("%s: refused by %v@%v, want %s@%d", a.asked, a.at("rule"), a.at("rule_version"), rule, version)
	}
	return a
}

// at is the value at a path like "units.0.id"; nil if there is none.
func (a answer) at(path string) any {
	var v any
	d := json.NewDecoder(strings.NewReader(string(a.body)))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (a answer) text(path string) string {
	a.t.Helper()
	s, _ := a.at(path).(string)
	if s == "" {
		a.t.Fatalf("%s: no %s in %s", a.asked, path, a.body)
	}
	return s
}

func (a answer) num(path string) int64 {
	a.t.Helper()
	n, ok := a.at(path).(json.Number)
	if !ok {
		a.t.Fatalf("%s: no number %s in %s", a.asked, path, a.body)
	}
	v, err := n.Int64()
	if err != nil {
		a.t.Fatalf("%s: %s: %v", a.asked, path, err)
	}
	return v
}

func (a answer) list(path string) []any {
	a.t.Helper()
	l, _ := a.at(path).([]any)
	return l
}

// is wants a value, as JSON would print it.
func (a answer) is(path string, want any) answer {
	a.t.Helper()
	if got := fmt.Sprint(a.at(path)); got != fmt.Sprint(want) {
		a.t.Fatalf("%s: %s is %s, want %v: %s", a.asked, path, got, want, a.body)
	}
	return a
}

// texts wants a list of texts.
func (a answer) texts(path string, want ...string) answer {
	a.t.Helper()
	return a.is(path, want)
}

// document is openapi.yaml as an independent library reads it.
var document = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("image/svg+xml", openapi3filter.FileBodyDecoder) // The library knows no pictures.
	doc, err := openapi3.NewLoader().LoadFromFile("../../api/openapi.yaml")
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// holdToDocument wants every answer to be what openapi.yaml says.
func holdToDocument(t testing.TB, method, url string, a answer) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v1/") {
		return
	}
	router, err := document()
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host = "", ""
	route, params, err := router.FindRoute(r)
	if err != nil {
		if a.status < http.StatusBadRequest {
			t.Errorf("%s: openapi.yaml has no such operation, and it was answered %d", a.asked, a.status)
		}
		return
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if a.status == http.StatusNotModified {
		return
	}
	in.SetBodyBytes(a.body)
	if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
		t.Errorf("%s: not what openapi.yaml says: %v\n%s", a.asked, err, a.body)
	}
}

// settled waits until every process has answered all there is and every view shows it.
func (w *world) settled() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	if err := w.react.WaitIdle(ctx); err != nil {
		w.t.Fatal(err)
	}
	if err := w.house.runner.(*projections.Runner).WaitAll(ctx, w.logHead().Position); err != nil {
		w.t.Fatal(err)
	}
	for _, s := range w.react.Status() {
		if s.Error != "" {
			w.t.Fatalf("process %s: %s", s.Name, s.Error)
		}
	}
}

// eventually asks until f is content: what the clock brings about is done by a process that looks now and then.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for range 500 {
		w.settled()
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("never: %s", what)
}

// events are the records of the log after a position, of one stream or of all.
func (w *world) events(stream string, after eventstore.Position) (out []eventstore.Recorded) {
	w.t.Helper()
	for e, err := range w.house.store.All(w.t.Context(), after) {
		if err != nil {
			w.t.Fatal(err)
		}
		if stream == "" || e.Stream == stream {
			out = append(out, e)
		}
	}
	return out
}

// types are the event types of a stream, in order.
func (w *world) types(stream string) []string {
	var out []string
	for _, e := range w.events(stream, 0) {
		out = append(out, e.Type)
	}
	return out
}

// ruleResults are the results that fired in an event of a stream, as "C-04@1 REJECT".
func (w *world) ruleResults(stream, eventType string) (out []string) {
	w.t.Helper()
	for _, e := range w.events(stream, 0) {
		if e.Type != eventType {
			continue
		}
		var body struct {
			Rules domain.Verdict `json:"rules"`
		}
		if err := json.Unmarshal(e.Data, &body); err != nil {
			w.t.Fatal(err)
		}
		for _, r := range body.Rules.Fired() {
			out = append(out, fmt.Sprintf("%s@%d %s", r.Rule, r.Version, r.Outcome))
		}
	}
	return out
}

// head is how many events there are.
func (w *world) head() uint64 {
	return w.logHead().Events
}

func (w *world) logHead() eventstore.Head {
	h, err := w.house.store.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}
