package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/projections/pebbleviews"
)

// TestKilledCatchUp kills a server again and again while it builds its views anew from a city's log, with memory tables as
// large as the machine's memory lets them be. What was built is never lost but for its end, and once it is let be every view
// is what a replay gives.
func TestKilledCatchUp(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	const kills, tries = 3, 16
	data := filepath.Join(t.TempDir(), "data")
	p := startServer(t, data, "--demo", "--homes", "600", "--months", "12")
	p.stop(t)
	head := reached(t, data)
	if head.least == 0 || head.least != head.most {
		t.Fatalf("the views of a city just made stand at %+v", head)
	}
	anew := func() {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(data, "views")); err != nil {
			t.Fatal(err)
		}
	}
	anew()
	before, killed := stand{}, 0
	wait := 200 * time.Millisecond
	for try := 0; killed < kills; try++ {
		if try == tries {
			t.Fatalf("killed in the middle %d times of %d", killed, tries)
		}
		p = startServer(t, data, "--demo")
		time.Sleep(wait)
		late := caughtUp(string(p.must(t, 200, "GET", "/metrics", "", nil).body)) // The last few KB of it die with the process.
		p.kill()
		now := reached(t, data)
		t.Logf("killed after %v: views at %d to %d of %d", wait, now.least, now.most, head.most)
		switch {
		case now.least < before.least || now.most < before.most:
			t.Errorf("a kill took views from %+v back to %+v", before, now)
		case late, now.least >= head.most: // A start writes a little itself.
			wait, before = wait/2, stand{}
			anew()
			continue
		case now == before: // Too early.
			wait = wait * 3 / 2
			continue
		}
		before = now
		killed++
	}
	var keys struct{ City struct{ Key string } }
	raw, err := os.ReadFile(filepath.Join(data, demoKeysFile))
	if err = errors.Join(err, json.Unmarshal(raw, &keys)); err != nil {
		t.Fatal(err)
	}
	p = startServer(t, data, "--demo")
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		r, err := ask(t.Context(), p.base, "GET", "/v1/views/housing/contracts?limit=1", keys.City.Key, nil, "Zujian-At-Least", strconv.FormatUint(uint64(head.most), 10))
		if err == nil && r.status == 200 && caughtUp(string(p.must(t, 200, "GET", "/metrics", "", nil).body)) {
			break
		}
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("the views do not come to the head\n%s", p.logs)
		}
	}
	p.kill()
	code, res, said := verified(t, data)
	if code != 0 || len(res.Views) != len(views(mustCity(t))) {
		t.Errorf("verify: exit %d, %d views\n%s", code, len(res.Views), said)
	}
}

// caughtUp tells whether all views are at the head, by what /metrics shows.
func caughtUp(metrics string) bool {
	lines := 0
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "zujian_view_lag_events{") {
			if lines++; !strings.HasSuffix(line, " 0\n") {
				return false
			}
		}
	}
	return lines > 0
}

// stand is how far the views of a folder are: the one that is behind, and the one ahead.
type stand struct{ least, most eventstore.Position }

// reached looks at a copy of the views of a folder that is not in use.
func reached(t *testing.T, data string) (s stand) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "views")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(data, "views"))); err != nil {
		t.Fatal(err)
	}
	v, err := pebbleviews.Open(dir, pebbleviews.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range views(mustCity(t)) {
		at, err := v.Checkpoint(t.Context(), p.Name(), p.Version())
		if err != nil {
			t.Fatal(err)
		}
		if s.most = max(s.most, at); i == 0 || at < s.least {
			s.least = at
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

func mustCity(t *testing.T) *cityProfile {
	t.Helper()
	c, err := loadCity("nanjing")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
