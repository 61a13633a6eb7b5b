package main

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"zujian/cmd/zujian/internal/wallclock"
	"zujian/domain"
	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
)

// TestClockLeaps sets the clock under a server with contracts that end in five days, by an hour, ten days and ten years,
// and back: none ends, also after a start under the wrong clock, nothing is filed by it, and reading goes on. Once an operator
// has confirmed the clock each ends, once, however the clock is set from there on.
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
	refuses := func(when string) {
		t.Helper()
		answer := s.must(t, http.StatusServiceUnavailable, http.MethodPost, "/v1/parties", w.city, newPerson(700))
		if got := answer.field(t, "code"); got != "unavailable.clock" || answer.header.Get("Retry-After") == "" {
			t.Errorf("%s: %s, retry after %q", when, got, answer.header.Get("Retry-After"))
		}
	}
	stands := func(when string, held bool, stage string) {
		t.Helper()
		if got := metric(t, &s.serverProcess, "zujian_clock_held") == 1; got != held {
			t.Errorf("%s: held %v", when, got)
		}
		if said := strings.Contains(string(s.must(t, http.StatusOK, http.MethodGet, "/readyz", "", nil).body), "nor done by its date"); said != held {
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
		if leap > time.Hour {
			refuses("after a leap of " + leap.String())
		} else {
			file()
		}
		c.Set(0)
		stands("and back", false, "FILED")
		file()
	}
	c.Set(10 * day)
	stands("after another leap", true, "FILED")
	s.close(t)
	s = serveInside(t, data, change)
	stands("after a start under the wrong clock", true, "FILED")
	refuses("after a start under the wrong clock")

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
	s.must(t, http.StatusCreated, http.MethodPost, "/v1/parties", w.city, newPerson(790))
	c.Set(0)
	stands("and set back", false, "ENDED")
	refuses("and set back")
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

func newPerson(n int) map[string]any {
	return map[string]any{"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(n), "phone": "13800000000"}
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

// TestRecorder: a log does not record by a clock that has leapt.
func TestRecorder(t *testing.T) {
	t.Parallel()
	c := faults.Clock{From: clock}
	r := recorder{now: c.Now}
	guard, err := wallclock.Open(wallclock.Options{Now: c.Now, Dir: t.TempDir(), Logger: discardLog()})
	if err != nil {
		t.Fatal(err)
	}
	r.guard.Store(guard)
	for _, set := range []time.Duration{0, time.Hour, 3660 * 24 * time.Hour} {
		c.Set(set)
		if ahead := r.Now().Sub(time.Now().Round(0)); ahead > 2*time.Hour {
			t.Errorf("with the clock set by %v it records %v ahead", set, ahead)
		}
	}
}

// TestStoreDoubtsItsClock: the log alone takes no writes while its clock is in doubt, serves reads, and takes them again.
func TestStoreDoubtsItsClock(t *testing.T) {
	t.Parallel()
	c := faults.Clock{From: clock}
	logs, done := &lockedBuffer{}, make(chan int, 1)
	ctx, end := context.WithCancel(t.Context())
	go func() {
		args := []string{"store", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--insecure", "--reserve=4"}
		done <- run(ctx, args, logs, logs, func(g *globals) { g.Now = c.Now })
	}()
	defer func() {
		end()
		if code := <-done; code != 0 {
			t.Errorf("it ended with %d\n%s", code, logs)
		}
	}()
	var address string
	for began := time.Now(); address == ""; time.Sleep(5 * time.Millisecond) {
		if _, rest, ok := strings.Cut(logs.String(), "esdb://"); ok {
			address, _, _ = strings.Cut(rest, "\n")
		} else if time.Since(began) > 2*time.Minute {
			t.Fatalf("it does not serve\n%s", logs)
		}
	}
	client := storeClient(t, "esdb://"+address+"&maxDiscoverAttempts=1")
	defer client.Close()
	event := esdb.EventData{EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
	written := 0
	for _, step := range []struct {
		set     time.Duration
		refused bool
	}{{0, false}, {3 * time.Hour, true}, {0, false}, {-3 * time.Hour, true}, {0, false}} {
		c.Set(step.set)
		_, err := client.AppendToStream(t.Context(), "theirs", esdb.AppendToStreamOptions{}, event)
		if refused := err != nil; refused != step.refused {
			t.Errorf("with the clock set by %v: %v", step.set, err)
		}
		if err == nil {
			written++
		} else if e, ok := esdb.FromError(err); ok || e.Code() != esdb.ErrorUnavailable {
			t.Errorf("with the clock set by %v: %v", step.set, err)
		}
		stream, err := client.ReadStream(t.Context(), "theirs", esdb.ReadStreamOptions{}, 100)
		if err != nil {
			t.Fatalf("reading with the clock set by %v: %v", step.set, err)
		}
		n := 0
		for ; ; n++ {
			if _, err := stream.Recv(); err != nil {
				break
			}
		}
		stream.Close()
		if n != written {
			t.Errorf("with the clock set by %v there are %d events, want %d", step.set, n, written)
		}
	}
}
