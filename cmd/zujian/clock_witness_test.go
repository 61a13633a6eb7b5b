package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zujian/eventstore/faults"
	"zujian/eventstore/register/witness"
)

// juror is a real witness whose answers somebody may come between.
type juror struct {
	*httptest.Server
	witness *witness.Witness
	answer  atomic.Pointer[http.HandlerFunc] // Instead of the witness's own; nil is its own.
}

func newJuror(t *testing.T, name, log string) *juror {
	t.Helper()
	w, err := witness.Open(witness.Options{Dir: t.TempDir(), Name: name, Logs: []string{log}})
	if err != nil {
		t.Fatal(err)
	}
	j := &juror{witness: w}
	j.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if f := j.answer.Load(); f != nil {
			(*f)(rw, r)
			return
		}
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { j.Close(); _ = w.Close() })
	return j
}

func (j *juror) says(f http.HandlerFunc) {
	if f == nil {
		j.answer.Store(nil)
		return
	}
	j.answer.Store(&f)
}

// away is a witness that can't be reached.
func away(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// forging is one whose cosignature another has made.
func forging(by *juror, as string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		by.witness.ServeHTTP(rec, r)
		name, _, _ := strings.Cut(by.witness.Key(), "+")
		_, _ = fmt.Fprint(rw, strings.Replace(rec.Body.String(), name, as, 1)) // To a test's own server.
	}
}

// TestClockByWitnesses starts a server that was down for forty days. Nobody knows which day it is while its witnesses are
// away, while one of three alone has cosigned, and while another's cosignature is forged; two that cosign end the doubt. By
// a clock that is years ahead of theirs, or behind, they end nothing, though all of them answer.
func TestClockByWitnesses(t *testing.T) {
	if testing.Short() {
		t.Skip("serves for half a minute")
	}
	t.Parallel()
	const day, year = 24 * time.Hour, 8766 * time.Hour
	c := faults.Clock{From: clock}
	data := t.TempDir()
	change := func(g *globals) { g.Now = c.Now }
	c.Set(-40 * day)
	s := serveInside(t, data, change)
	city := readFirstKey(t, data)
	s.must(t, http.StatusCreated, http.MethodPost, "/v1/parties", city, newPerson(1))
	s.signsAll(t, "at first")
	key := registerKey(t, &s.serverProcess)
	s.close(t)

	c.Set(0)
	var jury []*juror
	var args []string
	for _, name := range []string{"bureau.example", "bank.example", "notary.example"} {
		j := newJuror(t, name, key)
		j.says(away)
		jury, args = append(jury, j), append(args, "--witness", j.witness.Key()+"="+j.URL)
	}
	s = serveInside(t, data, change, args...)
	doubted := func(when string, want bool) {
		t.Helper()
		status := http.StatusCreated
		if want {
			status = http.StatusServiceUnavailable
		}
		s.must(t, status, http.MethodPost, "/v1/parties", city, newPerson(2))
		if got := metric(t, &s.serverProcess, "zujian_clock_doubted") == 1; got != want {
			t.Errorf("%s: doubted %v", when, got)
		}
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for began := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatalf("never: %s\n%s", what, s.logs)
			}
		}
	}
	round := func(when string) { // All have been asked again, and one at least has not cosigned.
		t.Helper()
		before := strings.Count(s.logs.String(), "witness refused or unreachable")
		until("a round "+when, func() bool {
			return strings.Count(s.logs.String(), "witness refused or unreachable") >= before+4
		})
		doubted(when, true)
	}
	agreeing := func(n float64) func() bool {
		return func() bool { return metric(t, &s.serverProcess, "zujian_register_witnesses_agreeing") == n }
	}
	round("with all witnesses away")
	jury[0].says(nil)
	jury[1].says(forging(newJuror(t, "stranger.example", key), "bank.example"))
	until("one has cosigned", agreeing(1))
	round("with one of three, and one forged")
	jury[1].says(nil)
	until("two have cosigned", agreeing(2))
	until("the doubt ends", func() bool { return metric(t, &s.serverProcess, "zujian_clock_doubted") == 0 })
	doubted("with two of three", false)
	jury[2].says(nil)
	for _, set := range []time.Duration{10 * year, -10 * year} {
		c.Set(set)
		doubted("set by years", true)
		jury[2].says(away) // So that they are asked again and again.
		round("set by years, and asked")
		doubted("set by years, and answered", true)
	}
	c.Set(0)
	doubted("back", false)
}
