package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"zujian/eventstore/faults"
)

// HistoryConfig is one history of clients that write and read over HTTP while the server is killed.
type HistoryConfig struct {
	Bin, Data string // The program, and an empty folder.
	Seed      uint64
	Calls     int
	Kills     int            // SIGKILLs inside, at calls drawn from the seed.
	Stalls    int            // SIGSTOPs inside, each of half a second: a disk, or a machine, that hangs.
	Progress  func(done int) // Told now and then, if not nil.
}

// HistoryTally is what a history came to.
type HistoryTally struct {
	Calls    int           `json:"calls"`
	Kills    int           `json:"kills"`
	Stalls   int           `json:"stalls"`
	Lost     int           `json:"lost_answers"` // Appends whose answer never came, and reads.
	Repeated int           `json:"repeated"`     // Appends sent again under their Idempotency-Key after a kill.
	Views    int           `json:"views"`        // Reads of a view that must include the client's own writes.
	Shed     int           `json:"shed"`         // Refused unwritten.
	Check    time.Duration `json:"check_ns"`
}

const (
	historyClients = 8
	historyStreams = 20
	checkMax       = 2 * time.Minute // A check takes a second.
	stall          = 500 * time.Millisecond
	callMax        = 30 * time.Second
)

// Histories runs a history and checks it: linearizable by stream, forward for each client, and own writes visible by
// position in a view. The history comes with it, so that faults may be made in it.
func Histories(ctx context.Context, c HistoryConfig) (*faults.History, HistoryTally, error) {
	w := &historyWorld{c: c, began: time.Now(), rng: rand.New(rand.NewPCG(c.Seed, 3))}
	if err := w.start(); err != nil {
		return nil, w.tally(), err
	}
	defer func() { w.server.Kill() }()
	if err := w.prepare(ctx); err != nil {
		return nil, w.tally(), err
	}
	var clients sync.WaitGroup
	for n := range historyClients {
		clients.Go(func() { w.client(ctx, n) })
	}
	err := w.breakIt(ctx)
	w.left.Store(min(w.left.Load(), 0))
	clients.Wait()
	if err := errors.Join(err, ctx.Err(), w.failed()); err != nil {
		return &w.history, w.tally(), err
	}
	began := time.Now()
	err = w.history.Check(checkMax)
	t := w.tally()
	t.Check = time.Since(began)
	return &w.history, t, err
}

type historyWorld struct {
	c     HistoryConfig
	began time.Time
	rng   *rand.Rand // Of the goroutine that breaks.
	key   string
	units []string

	history       faults.History
	left          atomic.Int64 // Calls not begun.
	views, shed   atomic.Int64
	kills, stalls int
	server        *Server

	mu   sync.Mutex
	base string        // "" while the server is down.
	up   chan struct{} // Closed when it is up again.
	bad  error         // The first violation a client saw by itself.
}

func (w *historyWorld) tally() HistoryTally {
	lost, repeated := w.history.Counts()
	return HistoryTally{
		Calls: w.history.Len(), Kills: w.kills, Stalls: w.stalls, Lost: lost, Repeated: repeated,
		Views: int(w.views.Load()), Shed: int(w.shed.Load()),
	}
}

func (w *historyWorld) start() error {
	s, err := Start(w.c.Bin, w.c.Data)
	if err != nil {
		return err
	}
	w.server = s
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base = s.Base
	if w.up != nil {
		close(w.up)
		w.up = nil
	}
	return nil
}

func (w *historyWorld) down() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base, w.up = "", make(chan struct{})
}

// where is the server's address, waited for while it is down.
func (w *historyWorld) where(ctx context.Context) string {
	for {
		w.mu.Lock()
		base, up := w.base, w.up
		w.mu.Unlock()
		if base != "" || ctx.Err() != nil {
			return base
		}
		select {
		case <-up:
		case <-ctx.Done():
		}
	}
}

func (w *historyWorld) found(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bad == nil {
		w.bad = err
	}
}

func (w *historyWorld) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bad
}

// prepare registers the homes whose streams the clients write.
func (w *historyWorld) prepare(ctx context.Context) (err error) {
	if w.key, err = FirstKey(w.c.Data); err != nil {
		return err
	}
	units := make([]map[string]any, historyStreams)
	for i := range units {
		units[i] = map[string]any{"unit_no": fmt.Sprint(101 + i), "floor": 1, "gross_area_c": 8912, "bedrooms": 2, "planned_use": "RESIDENTIAL", "rooms": []any{}}
	}
	r, err := Ask(ctx, w.server.Base, http.MethodPost, "/v1/buildings", w.key, map[string]any{
		"estate": "试验苑", "building_no": "1", "street": "320115004", "address": "示例路 9 号", "units": units,
	})
	if err != nil || r.Status != http.StatusCreated {
		return fmt.Errorf("register homes: %d %s: %w", r.Status, r.Body, err)
	}
	var made struct {
		Units []struct {
			ID string `json:"id"`
		} `json:"units"`
	}
	if err := json.Unmarshal(r.Body, &made); err != nil {
		return err
	}
	for n, u := range made.Units {
		r, err := Ask(ctx, w.server.Base, http.MethodGet, "/v1/units/"+u.ID, w.key, nil)
		if err != nil || r.Status != http.StatusOK {
			return fmt.Errorf("read home: %d: %w", r.Status, err)
		}
		for rev := range revision(r) + 1 { // The model begins with an empty stream.
			at := time.Duration(2 * (int64(n)*100 + rev))
			w.history.Add(faults.Call{Client: -1, Stream: u.ID, Append: true, Revision: rev, Start: at, End: at + 1})
		}
		w.units = append(w.units, u.ID)
	}
	w.left.Store(int64(w.c.Calls))
	return nil
}

func revision(r Reply) int64 {
	n, err := strconv.ParseInt(strings.Trim(r.Header.Get("ETag"), `"`), 10, 64)
	if err != nil {
		return -2
	}
	return n
}

// breakIt kills and stalls the server at calls drawn from the seed, until no call is left.
func (w *historyWorld) breakIt(ctx context.Context) error {
	done := func() int { return w.c.Calls - int(max(w.left.Load(), 0)) }
	all := w.c.Kills + w.c.Stalls
	stalls := w.c.Stalls
	for n := range all {
		from, to := w.c.Calls*(n+1)/(all+2), w.c.Calls*(n+2)/(all+2)
		if !w.wait(ctx, done, from+w.rng.IntN(max(to-from, 1))) {
			return nil
		}
		if w.rng.IntN(all-n) < stalls {
			stalls--
			w.stalls++
			err := w.server.Signal(syscall.SIGSTOP)
			time.Sleep(stall)
			if err := errors.Join(err, w.server.Signal(syscall.SIGCONT)); err != nil {
				return fmt.Errorf("stall the server: %w", err)
			}
			continue
		}
		w.kills++
		w.down()
		w.server.Kill()
		if err := w.start(); err != nil {
			return fmt.Errorf("after kill %d: %w", w.kills, err)
		}
	}
	w.wait(ctx, done, w.c.Calls)
	return nil
}

// wait waits until so many calls have begun, and tells whether they have.
func (w *historyWorld) wait(ctx context.Context, done func() int, calls int) bool {
	for told := 0; done() < calls; {
		if ctx.Err() != nil || w.failed() != nil {
			return false
		}
		time.Sleep(2 * time.Millisecond)
		if n := done(); w.c.Progress != nil && n-told >= 500 {
			told = n
			w.c.Progress(n)
		}
	}
	return true
}

// client makes calls until none is left.
func (w *historyWorld) client(ctx context.Context, n int) {
	rng := rand.New(rand.NewPCG(w.c.Seed, uint64(100+n)))
	seen := uint64(0) // The latest position it was told.
	for i := 0; w.left.Add(-1) >= 0 && ctx.Err() == nil && w.failed() == nil; i++ {
		unit := w.units[rng.IntN(len(w.units))]
		switch kind := rng.IntN(20); {
		case kind < 9:
			seen = max(seen, w.append(ctx, rng, n, i, unit))
		case kind < 19:
			w.read(ctx, n, unit)
		default:
			w.view(ctx, unit, seen)
		}
	}
}

// ask asks the server where it is now. never is true when it can't have heard of it.
func (w *historyWorld) ask(ctx context.Context, method, path string, body any, headers ...string) (r Reply, never bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	r, err = Ask(ctx, w.where(ctx), method, path, w.key, body, headers...)
	return r, errors.Is(err, syscall.ECONNREFUSED), err
}

func (w *historyWorld) read(ctx context.Context, client int, unit string) {
	c := faults.Call{Client: client, Stream: unit, Start: time.Since(w.began)}
	r, _, err := w.ask(ctx, http.MethodGet, "/v1/units/"+unit, nil)
	c.End = time.Since(w.began)
	if c.Lost = err != nil || r.Status != http.StatusOK; !c.Lost {
		c.Revision, c.Value = revision(r), r.Text("safety_grade")
	}
	w.history.Add(c)
}

// append records a safety grade. Of the answers lost with a killed server, half are asked for again under the same
// Idempotency-Key.
func (w *historyWorld) append(ctx context.Context, rng *rand.Rand, client, i int, unit string) uint64 {
	c := faults.Call{Client: client, Stream: unit, Append: true, Value: string(rune('A' + rng.IntN(4)))}
	body := map[string]any{"grade": c.Value, "report_no": fmt.Sprintf("鉴字%d-%d", client, i)}
	again := rng.IntN(2) == 0
	for try := 0; ; try++ {
		if try == 0 {
			w.where(ctx)
			c.Start = time.Since(w.began)
		}
		r, never, err := w.ask(ctx, http.MethodPost, "/v1/units/"+unit+"/safety", body, "Idempotency-Key", fmt.Sprintf("h-%d-%d", client, i))
		c.End = time.Since(w.began)
		switch {
		case err == nil && r.Status == http.StatusOK:
			c.Repeated = try > 0
			c.Revision = revision(r)
			c.Position, _ = strconv.ParseUint(r.Header.Get("Zujian-Position"), 10, 64)
			w.history.Add(c)
			return c.Position
		case try == 0 && (never || err == nil && unwritten(r)):
			w.shed.Add(1)
			return 0 // It never happened.
		case err == nil && r.Status < http.StatusInternalServerError && !unwritten(r):
			w.found(fmt.Errorf("REFUSED: %s: %d %s", unit, r.Status, r.Body))
			return 0
		case !again || ctx.Err() != nil || try > 100:
			c.Lost = true
			w.history.Add(c)
			return 0
		}
		time.Sleep(time.Millisecond) // The address may be of the server just killed.
	}
}

// unwritten tells whether an answer says that nothing was written.
func unwritten(r Reply) bool {
	switch r.Text("code") {
	case "unavailable.overloaded", "conflict.stream_moved", "request.in_progress", "limit.rate":
		return true
	}
	return false
}

// view reads a view that must include the client's own writes.
func (w *historyWorld) view(ctx context.Context, unit string, seen uint64) {
	r, _, err := w.ask(ctx, http.MethodGet, "/v1/views/housing/units/"+unit, nil, "Zujian-At-Least", strconv.FormatUint(seen, 10))
	if err != nil || r.Status >= http.StatusInternalServerError {
		return // Killed, or behind and said so.
	}
	if seen == 0 && r.Status == http.StatusNotFound {
		return // It has written nothing yet, and the view may not know the home.
	}
	var v struct {
		Made struct {
			Position uint64 `json:"position"`
		} `json:"made"`
	}
	if json.Unmarshal(r.Body, &v) != nil || r.Status != http.StatusOK || v.Made.Position < seen {
		w.found(fmt.Errorf("OWN WRITE MISSING: asked for position %d, got %d %s", seen, r.Status, r.Body))
	}
	w.views.Add(1)
}
