package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"zujian/api"
	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/register"
	"zujian/projections/rentindex"
)

const (
	benchHTTPRounds   = 3                      // Slices of each kind, in turn.
	benchFilingsMax   = 6000                   // A second; more homes than that are not made ready.
	benchHTTPTimeout  = 30 * time.Second       //
	benchWatchers     = 64                     // Filings whose way into the views is watched at once.
	benchP99Required  = 50 * time.Millisecond  // Of a filing.
	benchSeenRequired = time.Second            // From its answer until every view and the index show it.
	benchSeenWait     = 20 * time.Second       // Longer is an error.
	benchSettle       = 200 * time.Millisecond // Warming up, for each kind.
)

// benchHTTP files contracts over HTTP: companies file for owners whose mandate they hold, in one call with every
// party's e-signature and an occupant to seal. Beside it the same request, except that its signatures are scans of
// paper: the key, the limits, the JSON, the schema and the idempotency record are the same, and the desk refuses it
// before it reads or decides anything. Client and server share the processor, and so do all views and processes: then once
// more without those, as on a node that only answers (--role api), which is the filing alone.
func benchHTTP(b *bench) (_ []benchRow, err error) {
	g := b.below("http")
	flats := min(max(int(b.seconds*benchFilingsMax*1.2), 8*b.clients), benchFlatsMax)
	s, world, err := serveBench(b, g, flats)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	b.say("filing with %d clients", b.clients)
	return profiled(b, func() ([]benchRow, error) { return s.measure(world) })
}

// benchServer is the product on a loopback port, as serve runs it.
type benchServer struct {
	b   *bench
	h   *house
	url string

	register *register.Register
	client   *http.Client
	server   *http.Server
	stop     context.CancelFunc
	work     sync.WaitGroup
	failed   chan error

	halt    context.CancelFunc // Ends the views and the processes.
	follows sync.WaitGroup
}

// serveBench serves a register of its own with so many homes ready to be let.
func serveBench(b *bench, g *globals, flats int) (_ *benchServer, world []benchFlat, err error) {
	b.say("making %d homes", flats)
	if world, err = makeBenchWorld(b, g, flats); err != nil {
		return nil, nil, fmt.Errorf("make homes: %w", err)
	}
	s, err := serveHouse(b, g, false)
	return s, world, err
}

const benchOrigin = "localhost/bench"

// serveHouse serves a folder, or what is elsewhere as its configuration says: then no register is kept, as in service. A
// quiet one runs no process, so that nothing comes into its log.
func serveHouse(b *bench, g *globals, quiet bool) (_ *benchServer, err error) {
	h, err := openHouse(g, openOptions{})
	if err != nil {
		return nil, err
	}
	s := &benchServer{b: b, h: h, failed: make(chan error, 4), stop: func() {}, halt: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if h.log != nil {
		flags := registerFlags{Origin: benchOrigin}
		if s.register, err = flags.open(g, h, 0); err != nil {
			return nil, err
		}
	}
	server, err := api.New(api.Options{
		Desk: h.desk, Views: h.views, Kept: views(h.city), Waiter: h.runner, Keys: h.desk, Replies: h.replies, Store: h.store,
		Catalogue: h.catalogue, Index: rentindex.Projection{Model: h.city.Model}, Log: g.Log, Now: g.Now, NewID: uuid.New, Version: version,
		Register: s.register, StoreName: h.storeName(), RatePerSecond: -1, InFlight: max(api.InFlightDefault, b.clients),
	})
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(b.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.url = "http://" + listener.Addr().String()
	s.client = benchClient(b.clients)
	s.server = server.HTTPServer("")
	ctx, stop := context.WithCancel(b.ctx)
	s.stop = stop
	following, halt := context.WithCancel(ctx)
	s.halt = halt
	s.run(&s.follows, func() error { return h.runner.Run(following, views(h.city)) })
	if s.register != nil {
		s.run(&s.work, func() error { return keepRegister(ctx, g, s.register) })
	}
	if !quiet {
		s.run(&s.follows, func() error { return h.reactor(g, g.Now).Run(following, processes(h)) })
	}
	s.run(&s.work, func() error {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	head, err := h.store.Head(b.ctx)
	if err != nil {
		return nil, err
	}
	return s, s.seen(b.ctx, head.Position)
}

// benchClient keeps a connection for each of so many clients.
func benchClient(clients int) *http.Client {
	return &http.Client{Timeout: benchHTTPTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}}
}

func (s *benchServer) run(in *sync.WaitGroup, f func() error) {
	in.Go(func() {
		if err := f(); err != nil {
			s.failed <- err
		}
	})
}

func (s *benchServer) close() error {
	var err error
	if s.server != nil {
		err = s.server.Close()
		s.client.CloseIdleConnections()
	}
	s.halt()
	s.stop()
	s.follows.Wait()
	s.work.Wait()
	close(s.failed)
	for e := range s.failed {
		err = errors.Join(err, e)
	}
	if s.register != nil {
		err = errors.Join(err, s.register.Close())
	}
	return errors.Join(err, s.h.Close())
}

// seen waits until every view shows a position.
func (s *benchServer) seen(ctx context.Context, at eventstore.Position) error {
	for _, v := range views(s.h.city) {
		if err := s.h.runner.WaitFor(ctx, v.Name(), at); err != nil {
			return err
		}
	}
	return nil
}

// measure runs filings and refusals in turn and makes the rows.
func (s *benchServer) measure(world []benchFlat) ([]benchRow, error) {
	today := domain.DayOf(s.b.g.Now())
	slice := time.Duration(s.b.seconds * float64(time.Second) / (2 * benchHTTPRounds))
	watch := s.watch()
	var next, filed atomic.Int64
	file := func() (ok bool, err error) {
		n := next.Add(1) - 1
		if n >= int64(len(world)) {
			return false, nil
		}
		at, err := s.post(filingBody(world[n], today, "E_SIGN"), world[n].key, http.StatusCreated)
		if err == nil {
			filed.Add(1)
			if watch != nil {
				watch.take(at)
			}
		}
		return true, err
	}
	var spare atomic.Int64
	refuse := func() (bool, error) {
		f := world[spare.Add(1)%int64(len(world))]
		_, err := s.post(filingBody(f, today, "PAPER"), f.key, http.StatusUnprocessableEntity)
		return true, err
	}
	events, before := int64(0), int64(0)
	got, peer, err := s.inTurn(refuse, file, slice, func() { events, before = s.h.log.Stats().Events, filed.Load() })
	if err := errors.Join(err, watch.end()); err != nil {
		return nil, err
	}
	if len(got) == 0 {
		return nil, errors.New("the homes ran out before anything was measured")
	}
	rows := benchHTTPRows(s.b.clients, got, peer, watch.took, float64(s.h.log.Stats().Events-events)/float64(max(filed.Load()-before, 1)))
	watch = nil
	s.halt()
	s.follows.Wait()
	if got, peer, err = s.inTurn(refuse, file, slice, func() {}); err != nil {
		return nil, err
	}
	if len(got) == 0 {
		s.b.say("the homes ran out before filings alone were measured: with fewer seconds they are")
		return rows, nil
	}
	return append(rows, benchAlone(s.b.clients, got, peer)...), nil
}

// inTurn measures filings and refusals in turn, as long as there are homes, after warming up; warm is called then.
func (s *benchServer) inTurn(refuse, file func() (bool, error), slice time.Duration, warm func()) (got, peer []slicing, err error) {
	for round := -1; round < benchHTTPRounds; round++ { // The first warms up.
		length := slice
		if round < 0 {
			length = min(slice, benchSettle)
		} else if round == 0 {
			warm()
		}
		theirs, err1 := s.hammer(length, refuse)
		ours, err2 := s.hammer(length, file)
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, err
		}
		if round >= 0 && len(ours.took) > 0 {
			got, peer = append(got, ours), append(peer, theirs)
		}
	}
	return got, peer, nil
}

func benchHTTPRows(clients int, got, peer []slicing, seen []time.Duration, events float64) []benchRow {
	name := fmt.Sprintf("filing over HTTP, %d clients", clients)
	row, work := benchFiling(name, "CPU of a filing, client and views included", got, peer)
	refused := compare(name+", refused", "requests/s", "", peer, peer, func(s slicing) float64 { return s.rate })
	refused.Limit, refused.LimitValue, refused.Ratio = "", 0, 0
	tail := benchLimit(name+", p99", "ms", row.P99, "required at most", benchP99Required)
	slices.Sort(seen)
	all := slicing{took: seen}
	shown := benchLimit("filing answered → in all views and the index, p99", "ms", all.at(0.99), "required at most", benchSeenRequired)
	shown.P50, shown.P99 = all.at(0.5), all.at(0.99)
	return []benchRow{row, refused, work, tail, {Name: "events of a filing", Value: events, Unit: "events"}, shown}
}

// benchAlone makes the rows of filings while no view and no process follows.
func benchAlone(clients int, got, peer []slicing) []benchRow {
	row, work := benchFiling(fmt.Sprintf("filing alone, %d clients", clients), "CPU of a filing alone, client included", got, peer)
	return []benchRow{row, work}
}

// benchFiling makes the rows of filings beside refusals: how many a second, and what one takes of the processors.
func benchFiling(name, cpu string, got, peer []slicing) (row, work benchRow) {
	row = compare(name, "filings/s", "same request refused before it decides", got, peer, func(s slicing) float64 { return s.rate })
	work = compare(cpu, "ms", "the same refused", got, peer, func(s slicing) float64 { return float64(s.cpu) / 1e6 })
	work.P50, work.P99 = 0, 0
	return row, work
}

// benchLimit is a time beside the longest it may be.
func benchLimit(name, unit string, v time.Duration, limit string, most time.Duration) benchRow {
	return benchRow{
		Name: name, Value: float64(v) / 1e6, Unit: unit, Limit: limit, LimitValue: float64(most) / 1e6, Ratio: float64(v) / float64(most),
	}
}

// hammer lets every client send one request after the other for so long, or until there is nothing left to send.
func (s *benchServer) hammer(length time.Duration, one func() (bool, error)) (slicing, error) {
	took, errs := make([][]time.Duration, s.b.clients), make([]error, s.b.clients)
	var failed atomic.Bool
	var clients sync.WaitGroup
	start, used := time.Now(), processorTime()
	for c := range s.b.clients {
		clients.Go(func() {
			for last := start; last.Sub(start) < length && !failed.Load(); {
				more, err := one()
				if err != nil {
					errs[c] = err
					failed.Store(true)
				}
				if !more || err != nil {
					return
				}
				now := time.Now()
				took[c] = append(took[c], now.Sub(last))
				last = now
			}
		})
	}
	clients.Wait()
	elapsed, cpu := time.Since(start).Seconds(), processorTime()-used
	all := slices.Concat(took...)
	slices.Sort(all)
	for _, err := range errs {
		if err != nil {
			return slicing{}, err // One of many alike.
		}
	}
	return slicing{rate: float64(len(all)) / elapsed, took: all, cpu: cpu / time.Duration(max(len(all), 1))}, s.b.ctx.Err()
}

// post sends one filing and returns the position of its answer.
func (s *benchServer) post(body []byte, key string, want int) (eventstore.Position, error) {
	_, at, err := s.ask(body, key, want)
	return at, err
}

// ask sends one filing and returns its answer and the position of it. A refusal has none.
func (s *benchServer) ask(body []byte, key string, want int) (answer []byte, at eventstore.Position, err error) {
	req, err := http.NewRequestWithContext(s.b.ctx, http.MethodPost, s.url+"/v1/filings", bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Idempotency-Key", uuid.NewString())
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != want || want == http.StatusCreated && !strings.Contains(string(answer), `"stage":"FILED"`) {
		return nil, 0, fmt.Errorf("a filing was answered %d: %.300s", resp.StatusCode, answer)
	}
	n, _ := strconv.ParseUint(resp.Header.Get("Zujian-Position"), 10, 63)
	return answer, eventstore.Position(n), nil
}

// filingBody is the whole contract in one document.
func filingBody(f benchFlat, today domain.Day, method string) []byte {
	evidence := func(who uuid.UUID) map[string]any {
		e := map[string]any{"party": who, "method": method, "document_sha256": strings.Repeat("ab", 32)}
		if method == "PAPER" {
			delete(e, "document_sha256")
			e["scan_sha256"] = strings.Repeat("ab", 32)
		}
		return e
	}
	raw, err := json.Marshal(map[string]any{
		"contract": map[string]any{
			"kind": "OUT", "unit_id": f.unit, "rooms": []string{}, "let_mode": "WHOLE", "lessors": []any{map[string]any{"party_id": f.owner}},
			"lessees":   []any{map[string]any{"party_id": f.tenant}},
			"occupants": []any{map[string]any{"name": "示例", "doc_type": domain.DocCNID, "doc_no": benchID(f.occupant), "relation": "SELF"}},
			"use":       "RESIDENTIAL", "start": today.AddDays(1), "end": today.AddDays(1).AddMonths(12).AddDays(-1), "signed_on": today,
			"monthly_rent_fen": 350_000, "pay_cycle_months": 3, "deposit_fen": 350_000, "deposit_return_days": 7,
			"deduction_grounds": []string{"ARREARS", "DAMAGE"}, "escrow": map[string]any{"mode": "VOLUNTARY"},
		},
		"signatures": []any{evidence(f.owner), evidence(f.tenant)},
	})
	if err != nil {
		panic("bench: " + err.Error()) // Strings and numbers encode.
	}
	return raw
}

// watching follows a sample of filings into the views.
type watching struct {
	in   chan watched
	wg   sync.WaitGroup
	mu   sync.Mutex
	took []time.Duration
	err  error
}

type watched struct {
	at       eventstore.Position
	answered time.Time
}

func (s *benchServer) watch() *watching {
	w := &watching{in: make(chan watched)} // No room: one that no watcher is free for is not watched, and not late either.
	for range benchWatchers {
		w.wg.Go(func() {
			for x := range w.in {
				ctx, cancel := context.WithTimeout(s.b.ctx, benchSeenWait)
				err := s.seen(ctx, x.at)
				took := time.Since(x.answered)
				cancel()
				w.mu.Lock()
				w.took, w.err = append(w.took, took), errors.Join(w.err, err)
				w.mu.Unlock()
			}
		})
	}
	return w
}

func (w *watching) take(at eventstore.Position) {
	select {
	case w.in <- watched{at, time.Now()}:
	default:
	}
}

func (w *watching) end() error {
	close(w.in)
	w.wg.Wait()
	return w.err
}
