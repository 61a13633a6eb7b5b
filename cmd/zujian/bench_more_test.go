package main

import (
	"io"
	"log/slog"
	"os"
	"testing"
	"time"
)

// TestBenchMore runs the parts that stand beside other stores and the ones that grow, briefly: their figures are
// complete, not good.
func TestBenchMore(t *testing.T) {
	for _, part := range []struct {
		name string
		rows int // At least.
		run  func(*bench) ([]benchRow, error)
	}{{"bare", 1, benchBare}, {"growth", 3, benchGrowth}, {"size", 14, benchSize}, {"live", 4, benchLive}} {
		t.Run(part.name, func(t *testing.T) {
			rows, err := part.run(shortBench(t))
			complete(t, rows, err, part.rows)
		})
	}
	t.Run("peers", func(t *testing.T) {
		b := shortBench(t)
		dir, err := os.MkdirTemp("", "zj") // A socket's path is short, and a Postgres runs as another user.
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		b.dir = dir
		rows, err := benchPeers(b)
		complete(t, rows, err, 3) // With leaves, and SQLite twice; the others where they are installed.
	})
}

func shortBench(t *testing.T) *bench {
	g := &globals{Ctx: t.Context(), Stdout: io.Discard, Stderr: io.Discard, Log: slog.New(slog.DiscardHandler), Now: time.Now, Config: &cli{City: "nanjing", Suite: "INTL"}}
	return &bench{ctx: t.Context(), g: g, dir: t.TempDir(), seconds: 0.4, clients: 4, events: benchSizeLeast, say: t.Logf}
}

func complete(t *testing.T, rows []benchRow, err error, least int) {
	t.Helper()
	if err != nil || len(rows) < least {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		if r.Value <= 0 || r.Unit == "" || r.Limit != "" && (r.LimitValue <= 0 || r.Ratio <= 0) {
			t.Errorf("incomplete: %+v", r)
		}
		t.Logf("%s: %s %s, %s %s: %.2f (p50 %s, p99 %s)", r.Name, figure(r.Value), r.Unit, r.Limit, figure(r.LimitValue), r.Ratio, took(r.P50), took(r.P99))
	}
}
