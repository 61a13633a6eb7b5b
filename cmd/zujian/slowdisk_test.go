package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"zujian/eventstore/faults"
)

// TestSlowDisk serves from a disk on which a sync of the log takes seconds: writes that would wait are refused with 503
// and Retry-After, reads go on, and everything acknowledged is there, once, also what was refused and asked for again.
func TestSlowDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("serves for some seconds")
	}
	data := t.TempDir()
	disk := faults.NewSlow("/log/")
	s := serveInside(t, data, func(g *globals) { g.disk = disk })
	city := readFirstKey(t, data)
	register := func(n int) reply {
		r, err := ask(t.Context(), s.base, http.MethodPost, "/v1/parties", city, map[string]any{
			"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(n), "phone": "13800000000",
		}, "Idempotency-Key", fmt.Sprintf("slow-%d", n))
		if err != nil {
			t.Errorf("register: %v\n%s", err, s.logs)
		}
		return r
	}
	before := register(0)
	if before.status != http.StatusCreated {
		t.Fatalf("before: %d %s", before.status, before.body)
	}
	disk.Take(1500 * time.Millisecond) // The log sheds when an append has waited for one.
	var mu sync.Mutex
	made, shed := map[int]string{}, map[int]bool{}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	client := func(n int) {
		r := register(n)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.status == http.StatusCreated:
			made[n] = r.field(t, "id")
		case r.status == http.StatusServiceUnavailable && topText(r.body, "code") == "unavailable.overloaded":
			shed[n] = true
			if wait, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || wait < 1 {
				t.Errorf("shed with Retry-After %q", r.header.Get("Retry-After"))
			}
		default:
			t.Errorf("on a slow disk: %d %s", r.status, r.body)
		}
		if len(shed) >= 20 && len(made) >= 3 {
			stop()
		}
	}
	var clients sync.WaitGroup
	reads := 0
	for n := 1; n < 900 && ctx.Err() == nil; n++ { // They come whether those before were answered or not.
		clients.Go(func() { client(n) })
		if s.must(t, http.StatusOK, http.MethodGet, "/v1/parties/"+before.field(t, "id"), city, nil); ctx.Err() == nil {
			reads++ // Reads don't wait for the disk.
		}
		time.Sleep(60 * time.Millisecond)
	}
	clients.Wait()
	if len(shed) < 20 || len(made) < 3 || reads < 3 {
		t.Errorf("%d shed, %d made, %d reads", len(shed), len(made), reads)
	}
	disk.Take(0)
	for n := range shed {
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			if r := register(n); r.status == http.StatusCreated {
				made[n] = r.field(t, "id")
				break
			} else if time.Since(began) > time.Minute {
				t.Fatalf("on a disk that is fast again: %d %s", r.status, r.body)
			}
		}
	}
	ids := map[string]int{}
	for n, id := range made {
		if other, twice := ids[id]; twice {
			t.Errorf("one id for %d and %d", n, other)
		}
		ids[id] = n
		s.must(t, http.StatusOK, http.MethodGet, "/v1/parties/"+id, city, nil)
		if again := register(n); again.status != http.StatusCreated || again.field(t, "id") != id {
			t.Errorf("%d again: %d %s", n, again.status, again.body)
		}
	}
	shedTotal := metric(t, &s.serverProcess, "zujian_log_shed_total")
	if shedTotal < 20 {
		t.Errorf("the log counts %v shed", shedTotal)
	}
	s.close(t)
	var out, errs lockedBuffer
	if code := run(t.Context(), []string{"verify", "--data", data}, &out, &errs); code != 0 {
		t.Errorf("verify: exit %d\n%s\n%s", code, &out, &errs)
	}
	t.Logf("%d shed, %d made, %d reads meanwhile", len(shed), len(made), reads)
}
