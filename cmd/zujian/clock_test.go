package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
)

// TestWallClock shows that the clock of these tests does what a set clock does.
func TestWallClock(t *testing.T) {
	c := faults.Clock{From: clock}
	for _, d := range []time.Duration{time.Hour, -time.Hour, 5 * 8766 * time.Hour, -8766 * time.Hour} {
		c.Set(0)
		before := c.Now()
		c.Set(d)
		after := c.Now()
		if moved := after.Round(0).Sub(before.Round(0)); (moved - d).Abs() > time.Minute {
			t.Errorf("set by %v, the wall clock moved by %v", d, moved)
		}
		if passed := after.Sub(before); passed < -time.Microsecond || passed > time.Minute {
			t.Errorf("set by %v, %v passed", d, passed)
		}
		if after.Nanosecond()%1000 != 0 {
			t.Errorf("not in whole microseconds: %v", after)
		}
	}
}

// TestClockJumps sets the clock under a server at work, by an hour or so, by days and by years, to and fro: what is asked
// meanwhile is either taken or, while nobody can say which day it is, refused as that; checkpoints go on, no flat is let twice
// and no number given twice, an answer is the same under its key also when it is asked for later, and recorded time never
// goes back.
func TestClockJumps(t *testing.T) {
	if testing.Short() {
		t.Skip("serves for some seconds")
	}
	const homes, jumps = 100, 12
	c := faults.Clock{From: clock}
	data := t.TempDir()
	change := func(g *globals) { g.Now = c.Now }
	s := serveInside(t, data, change)
	w := prepareHomes(t, &s.serverProcess, data, homes/100)
	s.signsAll(t, "before")

	first, status := w.fileStatus(t.Context(), s.base, 0)
	if status != http.StatusCreated {
		t.Fatalf("filing: %d", status)
	}
	var next, most atomic.Int64
	next.Store(2)
	var mu sync.Mutex
	refused, acked, paid := 0, map[string]filed{first.contract: first}, map[string]int64{}
	met := func() int {
		mu.Lock()
		defer mu.Unlock()
		return refused
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	for range 3 {
		load.Go(func() {
			for ctx.Err() == nil && next.Load() < 2*homes {
				if next.Load() >= most.Load() { // Some are left for every clock.
					time.Sleep(time.Millisecond)
					continue
				}
				n := int(next.Add(1)) - 1
				f, status := w.fileStatus(t.Context(), s.base, n)
				mu.Lock()
				switch {
				case status == http.StatusCreated:
					acked[f.contract] = f
				case status == http.StatusServiceUnavailable:
					refused++
					next.Add(-1)
				case status >= 500 || status == 0 && n < 2*homes:
					t.Errorf("filing %d under a jumping clock: %d", n, status)
				}
				mu.Unlock()
			}
		})
	}
	for n := range jumps {
		by := time.Duration(20+7*n%30) * time.Minute
		if n%3 == 2 {
			by *= 60 // Out of all doubt wrong.
		}
		if n%2 == 1 {
			by = -by
		}
		c.Set(by)
		most.Store(2 * homes * int64(n+1) / jumps)
		when := fmt.Sprintf("with the clock set by %v", by)
		if n%3 == 2 {
			before := met()
			s.doubts(t, w, when)
			for began := time.Now(); met() == before && time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
			}
		} else {
			s.signsAll(t, when)
		}
		time.Sleep(100 * time.Millisecond) // The load goes on under each clock.
		if n%3 == 2 {
			c.Set(0)
		}
	}
	stop()
	load.Wait()
	c.Set(0)
	if refused == 0 || len(acked) < homes/4 {
		t.Errorf("%d filings, %d refused", len(acked), refused)
	}
	for _, ahead := range []time.Duration{30 * time.Hour, -30 * time.Hour, 400 * 24 * time.Hour} { // Answers are kept for 24 hours.
		c.Set(ahead)
		if _, status := w.fileStatus(t.Context(), s.base, 0); status != http.StatusServiceUnavailable {
			t.Errorf("the first filing again with the clock set by %v: %d", ahead, status)
		}
		c.Set(0)
		if again, status := w.fileStatus(t.Context(), s.base, 0); status != http.StatusCreated || again != first {
			t.Errorf("the first filing again after the clock was set by %v: %d %+v, was %+v", ahead, status, again, first)
		}
	}
	years(t, &c, s, w, data, change)
	c.Set(0)
	s.confirm(t, data, change)
	w.check(t, &s.serverProcess, acked, paid)
	saneDurations(t, string(s.must(t, http.StatusOK, http.MethodGet, "/metrics", "", nil).body))
	if !strings.Contains(s.logs.String(), "the clock is behind the last recorded time") {
		t.Errorf("nothing was said of a clock set back\n%s", s.logs)
	}
	s.close(t)
	recordedForward(t, data, &c)
	settled(t, data, acked)
	var out, errs lockedBuffer
	if code := run(t.Context(), []string{"verify", "--data", data}, &out, &errs); code != 0 {
		t.Errorf("verify: exit %d\n%s\n%s", code, &out, &errs)
	}
	t.Logf("%d filings under %d clocks, %d refused", len(acked), jumps+5, refused)
}

// years writes with the clock five years ahead, then a year behind: neither is taken before the clock is confirmed, both
// are then, and signed.
func years(t *testing.T, c *faults.Clock, s *insideServer, w *loadWorld, data string, change func(*globals)) {
	t.Helper()
	for n, ahead := range []time.Duration{5 * 8766 * time.Hour, -8766 * time.Hour} {
		c.Set(ahead)
		s.doubts(t, w, fmt.Sprintf("with the clock set by %v", ahead))
		s.confirm(t, data, change)
		s.must(t, http.StatusCreated, http.MethodPost, "/v1/parties", w.city, newPerson(500+n))
		s.must(t, http.StatusOK, http.MethodGet, "/readyz", "", nil)
		s.signsAll(t, fmt.Sprintf("with the clock set by %v", ahead))
	}
}

// doubts holds the server to refusing what it would decide, and answering what is only asked.
func (s *insideServer) doubts(t *testing.T, w *loadWorld, when string) {
	t.Helper()
	if got := s.must(t, http.StatusServiceUnavailable, http.MethodPost, "/v1/parties", w.city, newPerson(499)).field(t, "code"); got != "unavailable.clock" {
		t.Errorf("%s: %s", when, got)
	}
	s.must(t, http.StatusOK, http.MethodGet, "/v1/parties/"+w.owner, w.city, nil)
	if said := string(s.must(t, http.StatusOK, http.MethodGet, "/readyz", "", nil).body); !strings.Contains(said, "zujian clock --confirm") {
		t.Errorf("%s: /readyz says %s", when, said)
	}
}

// confirm says that the clock is right, and waits until the server has heard it.
func (s *insideServer) confirm(t *testing.T, data string, change func(*globals)) {
	t.Helper()
	var out, errs lockedBuffer
	if code := run(t.Context(), []string{"clock", "--data", data, "--confirm"}, &out, &errs, change); code != 0 {
		t.Fatalf("zujian clock --confirm: exit %d\n%s\n%s", code, &out, &errs)
	}
	for began := time.Now(); metric(t, &s.serverProcess, "zujian_clock_doubted") != 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("the clock is in doubt a minute after it was confirmed\n%s", s.logs)
		}
	}
}

// saneDurations looks for a measured time that the clock's jumps are in.
func saneDurations(t *testing.T, metrics string) {
	t.Helper()
	found := 0
	for line := range strings.Lines(metrics) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if i := strings.Index(name, "{"); i >= 0 {
			_, value, _ = strings.Cut(strings.TrimSpace(line), "} ")
			name = name[:i]
		}
		if !strings.HasSuffix(name, "_seconds_sum") || !strings.HasPrefix(name, "zujian_") {
			continue
		}
		found++
		if v, err := strconv.ParseFloat(value, 64); err != nil || v < 0 || v > 1800 {
			t.Errorf("a measured time that a jump is in: %s", line)
		}
	}
	if found == 0 {
		t.Error("no measured times in /metrics")
	}
}

// recordedForward reads the whole log: recorded times never go back, and the last is of the clock five years ahead.
func recordedForward(t *testing.T, data string, c *faults.Clock) {
	t.Helper()
	log, err := embedded.Open(embedded.Options{Dir: filepath.Join(data, "log"), Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var last time.Time
	for r, err := range log.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.StoredAt.Before(last) {
			t.Fatalf("event %d is recorded at %v, the one before at %v", r.Ordinal, r.StoredAt, last)
		}
		last = r.StoredAt
	}
	if ahead := last.Sub(c.Now()); ahead < 4*8766*time.Hour {
		t.Errorf("the last event is recorded at %v, though the clock was five years ahead", last)
	}
}
