package main

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestBenchIndex runs the measurement briefly: its figures are complete, not good. ZUJIAN_BENCH_SECONDS makes it long.
func TestBenchIndex(t *testing.T) {
	seconds := 0.2
	if s, err := strconv.ParseFloat(os.Getenv("ZUJIAN_BENCH_SECONDS"), 64); err == nil {
		seconds = s
	}
	g := &globals{Ctx: t.Context(), Stdout: io.Discard, Stderr: io.Discard, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	b := &bench{ctx: t.Context(), g: g, dir: t.TempDir(), seconds: seconds, say: t.Logf}
	rows, err := benchIndex(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 11 {
		t.Fatalf("got %d rows", len(rows))
	}
	for _, r := range rows {
		if r.Value <= 0 || r.Name == "" || r.Unit == "" || r.Limit != "" && (r.LimitValue <= 0 || r.Ratio <= 0) {
			t.Errorf("incomplete: %+v", r)
		}
		t.Logf("%-60s %10.4g %-4s %-26s %8.4g ratio %.2f", r.Name, r.Value, r.Unit, r.Limit, r.LimitValue, r.Ratio)
	}
}
