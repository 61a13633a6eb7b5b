package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/domain"
	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
)

// TestClockLeaps sets the clock under a server with contracts that end in five days, by an hour, ten days and ten years,
// and back: none ends, also after a start under the wrong clock, and filing goes on. Once an operator has confirmed the
// clock each ends, once, however the clock is set from there on.
func TestClockLeaps(t *testing.T) {
	if testing.Short() {
		t.Skip("serves for some seconds")
	}
	const contracts, day = 5, 24 * time.Hour
	c := faults.Clock{From: clock}
	data := t.TempDir()
	change := func(g *globals) { g.Now, g.resumeEvery = c.Now, 20*time.Millisecond }
	s := serveInside(t, data, change)
	w := prepareHomes(t, &s.serverProcess, data, 1)
	today := domain.DayOf(c.Now())
	w.term = [3]string{today.String(), today.String(), today.AddDays(5).String()}
	var made []filed
	file := func() {
		t.Helper()
		f, status := w.fileStatus(t.Context(), s.base, 2*len(made))
		if status != http.StatusCreated {
			t.Fatalf("filing %d: %d\n%s", len(made), status, s.logs)
		}
		made = append(made, f)
	}
	for range contracts {
		file()
	}
	stands := func(when string, held bool, stage string) {
		t.Helper()
		if got := metric(t, &s.serverProcess, "zujian_clock_held") == 1; got != held {
			t.Errorf("%s: held %v", when, got)
		}
		if said := strings.Contains(string(s.must(t, http.StatusOK, http.MethodGet, "/readyz", "", nil).body), "zujian clock --confirm"); said != held {
			t.Errorf("%s: /readyz says so: %v", when, said)
		}
		time.Sleep(400 * time.Millisecond) // The processes look for what is due every twenty.
		for _, f := range made[:contracts] {
			if got := s.must(t, http.StatusOK, http.MethodGet, "/v1/contracts/"+f.contract, w.city, nil).field(t, "stage"); got != stage {
				t.Fatalf("%s: a contract is %s, want %s\n%s", when, got, stage, s.logs)
			}
		}
	}
	stands("at first", false, "FILED")
	for _, leap := range []time.Duration{time.Hour, 10 * day, 3660 * day} {
		c.Set(leap)
		stands("after a leap of "+leap.String(), leap > time.Hour, "FILED")
		if leap < 300*day { // Keys end within a year.
			file()
		}
		c.Set(0)
		stands("and back", false, "FILED")
	}
	c.Set(10 * day)
	stands("after another leap", true, "FILED")
	s.close(t)
	s = serveInside(t, data, change)
	stands("after a start under the wrong clock", true, "FILED")

	var out, errs lockedBuffer
	if code := run(t.Context(), []string{"clock", "--data", data, "--confirm"}, &out, &errs, change); code != 0 || !strings.Contains(out.String(), "240h0m") {
		t.Fatalf("zujian clock --confirm: exit %d\n%s\n%s", code, &out, &errs)
	}
	for began := time.Now(); ended(t, s, w, made) < contracts; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d of %d contracts have ended a minute after the clock was confirmed\n%s", ended(t, s, w, made), contracts, s.logs)
		}
	}
	stands("confirmed", false, "ENDED")
	c.Set(0)
	stands("and set back", false, "ENDED")
	c.Set(10 * day)
	stands("and forward again", false, "ENDED")
	s.close(t)
	expired := map[string]int{}
	eachEvent(t, data, func(stream, kind string) {
		if kind == "contract.expired" {
			expired[stream]++
		}
	})
	for stream, n := range expired {
		if n != 1 {
			t.Errorf("%s expired %d times", stream, n)
		}
	}
	if len(expired) != len(made) {
		t.Errorf("%d contracts expired, %d were filed", len(expired), len(made))
	}
	if code := run(t.Context(), []string{"verify", "--data", data}, &out, &errs); code != 0 {
		t.Errorf("verify: exit %d\n%s\n%s", code, &out, &errs)
	}
}

// ended counts the contracts that have.
func ended(t *testing.T, s *insideServer, w *loadWorld, made []filed) (n int) {
	t.Helper()
	for _, f := range made {
		if s.must(t, http.StatusOK, http.MethodGet, "/v1/contracts/"+f.contract, w.city, nil).field(t, "stage") == "ENDED" {
			n++
		}
	}
	return n
}

// eachEvent reads the log of a folder that is not in use.
func eachEvent(t *testing.T, data string, f func(stream, kind string)) {
	t.Helper()
	log, err := embedded.Open(embedded.Options{Dir: filepath.Join(data, "log")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for r, err := range log.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		f(r.Stream, r.Type)
	}
}
