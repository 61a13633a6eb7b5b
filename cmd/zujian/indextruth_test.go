package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/domain"
)

// TestIndexTruth holds a demo city's index to what its rents were made with, from the command line.
func TestIndexTruth(t *testing.T) {
	g := &globals{
		Ctx: t.Context(), Stdout: io.Discard, Stderr: io.Discard, Log: slog.New(slog.DiscardHandler), Data: filepath.Join(t.TempDir(), "data"),
		Now:    func() time.Time { return time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC) },
		Config: &cli{Suite: "INTL", City: "nanjing"},
	}
	if err := loadDemo(g, 120, 12, 1); err != nil {
		t.Fatal(err)
	}
	truth := func(data string, args ...string) (out, errs string, code int) {
		var o, e bytes.Buffer
		code = run(t.Context(), append([]string{"index", "truth", "--data", data}, args...), &o, &e)
		return o.String(), e.String(), code
	}
	out, errs, code := truth(g.Data, "--json")
	var r truthReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, errs)
	}
	if r.Start != domain.Date(2025, 11, 1) {
		t.Errorf("month 0 begins on %s", r.Start)
	}
	for _, m := range r.Methods[:2] { // Hedonic and rolling; the others want more contracts than there are.
		if m.Months < 6 || m.Inside*10 < m.Months*7 || m.RMSZ <= 0 || m.RMSZ > 2 {
			t.Errorf("%s: %d of %d months hold the truth, %.2f standard errors off", m.Method, m.Inside, m.Months, m.RMSZ)
		}
	}
	season := 0.0
	for _, p := range r.Methods[0].Points {
		season = max(season, p.Truth)
	}
	if season <= 100 {
		t.Error("the truth has no season")
	}
	if out, errs, code := truth(g.Data); code != 0 || !strings.Contains(out, "hedonic") || !strings.Contains(out, "in 95 %") {
		t.Errorf("exit %d: %s %s", code, out, errs)
	}
	if _, errs, code := truth(t.TempDir()); code != exitUsage || !strings.Contains(errs, "holds no demo city") {
		t.Errorf("another folder: exit %d, %s", code, errs)
	}
}
