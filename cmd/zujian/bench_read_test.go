package main

import (
	"context"
	"testing"
)

// TestBenchReading runs the measurement briefly: its figures are complete, not good.
func TestBenchReading(t *testing.T) {
	b := &bench{ctx: t.Context(), dir: t.TempDir(), seconds: 0.1, say: t.Logf}
	rows, err := benchReading(b)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		if r.Value <= 0 || r.Unit == "" || r.Limit == "" || r.LimitValue <= 0 || r.Ratio <= 0 {
			t.Errorf("incomplete: %+v", r)
		}
		t.Logf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.ctx, b.dir = ctx, t.TempDir()
	if _, err := benchReading(b); err == nil {
		t.Error("a cancelled measurement gave figures")
	}
}
