package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"zujian/api/desk"
	"zujian/domain"
)

const (
	benchGrowthTimes  = 10
	benchGrowthFiled  = 300 // Filings measured on each register, at most.
	benchGrowthAsked  = 2000
	benchGrowthRounds = 5    // Of building all views, a fifth of a second each where few contracts are.
	benchReplayGrowth = 1.05 // Required at most, with ten times as many contracts; of the time an event.
	benchFilingGrowth = 1.1
	benchQueryGrowth  = 1.2
)

// benchGrown is what one register measured.
type benchGrown struct {
	contracts int
	replay    float64       // Microseconds an event to build every view.
	cpu       time.Duration // Of the process for one more filing: client, server, views and register.
	query     slicing
}

// benchGrowth fills a register with contracts and one with ten times as many, and measures on each what must not grow
// with them: what an event takes in building all views anew, one more filing, and queries for one contract and one page.
func benchGrowth(b *bench) (rows []benchRow, err error) {
	contracts := min(max(int(b.seconds*50), 20), (benchFlatsMax-benchGrowthFiled)/benchGrowthTimes)
	filed := min(contracts, benchGrowthFiled)
	small, err := b.grow("small", contracts, filed)
	if err != nil {
		return nil, err
	}
	large, err := b.grow("large", contracts*benchGrowthTimes, filed)
	if err != nil {
		return nil, err
	}
	row := func(name, unit string, own, peer, most float64) benchRow {
		return benchRow{
			Name: fmt.Sprintf("%s, with %d contracts (required at most %g)", name, large.contracts, most), Value: own, Unit: unit, Limit: fmt.Sprintf("with %d", small.contracts), LimitValue: peer, Ratio: own / peer,
		}
	}
	query := row("query, p99", "ms", float64(large.query.at(0.99))/1e6, float64(small.query.at(0.99))/1e6, benchQueryGrowth)
	query.P50, query.P99 = large.query.at(0.5), large.query.at(0.99)
	return []benchRow{
		row("building all views anew, an event", "µs", large.replay, small.replay, benchReplayGrowth),
		row("processor time of a filing", "ms", float64(large.cpu)/1e6, float64(small.cpu)/1e6, benchFilingGrowth),
		query,
	}, nil
}

func (b *bench) grow(name string, contracts, more int) (out benchGrown, err error) {
	g := b.below(name)
	s, world, err := serveBench(b, g, contracts+more)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.close(), os.RemoveAll(g.Data)) }()
	call := desk.Call{ID: "bench query", At: g.Now(), Actor: domain.Actor{ID: "bench", Role: domain.RoleCity}}
	asker, _, _, err := s.h.desk.IssueKey(b.ctx, call, desk.NewKey{Role: domain.RoleCity, Expires: g.Now().Add(time.Hour)})
	if err != nil {
		return out, err
	}
	b.say("filing %d contracts", contracts)
	today := domain.DayOf(g.Now())
	var next atomic.Int64
	ids := make([]string, len(world))
	file := func(limit int) func() (bool, error) {
		return func() (bool, error) {
			n := int(next.Add(1) - 1)
			if n >= limit {
				return false, nil
			}
			answer, _, err := s.ask(filingBody(world[n], today, "E_SIGN"), world[n].key, http.StatusCreated)
			var doc struct {
				ID string `json:"contract_id"`
			}
			if err == nil {
				err = json.Unmarshal(answer, &doc)
			}
			ids[n] = doc.ID
			return true, err
		}
	}
	if _, err := s.hammer(time.Hour, file(contracts)); err != nil {
		return out, err
	}
	out.contracts = contracts
	next.Store(int64(contracts))
	if err := s.settled(); err != nil {
		return out, err
	}
	before := processorTime()
	if _, err := s.hammer(time.Hour, file(len(world))); err != nil {
		return out, err
	}
	if err := s.settled(); err != nil {
		return out, err
	}
	out.cpu = (processorTime() - before) / time.Duration(more)
	b.say("asking")
	for n := range benchGrowthAsked {
		path := "/v1/contracts/" + ids[rand.IntN(len(ids))]
		if n%4 == 0 {
			path = "/v1/views/housing/contracts?limit=20"
		}
		start := time.Now()
		if err := s.get(path, asker); err != nil {
			return out, err
		}
		out.query.took = append(out.query.took, time.Since(start))
	}
	slices.Sort(out.query.took)
	head, err := s.h.store.Head(b.ctx)
	if err != nil {
		return out, err
	}
	b.say("building the views of %d events", head.Events)
	out.replay, err = b.foldMedian(s.h)
	return out, err
}

// foldMedian is the median of some rounds of building every view, microseconds an event. The first warms up: it fetches the
// log and the memory that a process of some age has: in fresh memory an event takes up to twice as long.
func (b *bench) foldMedian(h *house) (float64, error) {
	var took []float64
	for round := -1; round < benchGrowthRounds; round++ {
		runtime.GC() // Else the garbage of earlier rounds is collected in one of them.
		folded, err := foldAll(b, h)
		if err != nil {
			return 0, err
		}
		if round >= 0 {
			took = append(took, 1e6/max(folded.rate, 1e-9))
		}
	}
	return median(took), nil
}

// settled waits until the views show all that is filed.
func (s *benchServer) settled() error {
	head, err := s.h.store.Head(s.b.ctx)
	if err != nil {
		return err
	}
	return s.seen(s.b.ctx, head.Position)
}

// get reads with a key, or with none what is public.
func (s *benchServer) get(path, key string) error {
	req, err := http.NewRequestWithContext(s.b.ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s was answered %d: %.300s", path, res.StatusCode, said)
	}
	return err
}

// processorTime is what this process has used, in user and system mode.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("bench: " + err.Error()) // It takes no argument that could be wrong.
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
