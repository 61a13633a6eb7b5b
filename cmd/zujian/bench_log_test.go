package main

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

// TestBenchLog runs the measurement briefly: its figures are complete, not good. ZUJIAN_BENCH_SECONDS makes it long.
func TestBenchLog(t *testing.T) {
	seconds := 0.6
	if s, err := strconv.ParseFloat(os.Getenv("ZUJIAN_BENCH_SECONDS"), 64); err == nil {
		seconds = s
	}
	rows, err := benchLog(t.Context(), t.TempDir(), seconds)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 7 {
		t.Fatalf("got %d rows", len(rows))
	}
	for _, r := range rows {
		if r.Value <= 0 || r.Name == "" || r.Unit == "" || r.Limit != "" && (r.LimitValue <= 0 || r.Ratio <= 0) {
			t.Errorf("incomplete: %+v", r)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", b)
	}
}
