package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/api/whatif"
)

// TestSimulate asks the command line what would have been, twice, and looks into every file it writes.
func TestSimulate(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	g := &globals{
		Ctx: t.Context(), Stdout: io.Discard, Stderr: io.Discard, Log: slog.New(slog.DiscardHandler), Data: data,
		Now:    func() time.Time { return time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC) },
		Config: &cli{Suite: "INTL", City: "nanjing"},
	}
	if err := loadDemo(g, 60, 8, 1); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	simulate := func(args ...string) (out, errs string, code int) {
		var o, e bytes.Buffer
		code = run(t.Context(), append([]string{"simulate", "--data", data}, args...), &o, &e)
		return o.String(), e.String(), code
	}
	out, errs, code := simulate()
	if code != 0 || !strings.Contains(out, "nothing would have been decided otherwise") || strings.Contains(out, "otherwise:") {
		t.Fatalf("the rules in force: %d\n%s\n%s", code, out, errs)
	}
	rules := write("rules.json", `{"change":[{"id":"M-01","params":{"op":">="}},{"id":"C-23","severity":5}]}`)
	files := []string{filepath.Join(dir, "a.json"), filepath.Join(dir, "a.csv"), filepath.Join(dir, "a.svg")}
	out, errs, code = simulate("--rules", rules, "--out", files[0], "--out", files[1], "--out", files[2])
	for _, want := range []string{"changed M-01@1 应当监管", "supervised  signature", "reporting unit", "month's end", "█"} {
		if !strings.Contains(out, want) {
			t.Errorf("the page lacks %q:\n%s\n%s", want, out, errs)
		}
	}
	if code != 0 || !strings.Contains(errs, "simulate 100 %") {
		t.Errorf("exit %d, progress %q", code, errs)
	}
	document, _, code := simulate("--rules", rules, "--json")
	kept, err := os.ReadFile(files[0])
	if err != nil || code != 0 || document != string(kept) {
		t.Errorf("run again: exit %d, %d bytes and %d, %v", code, len(document), len(kept), err)
	}
	var res whatif.Result
	if err := json.Unmarshal(kept, &res); err != nil || len(res.Cases) == 0 || res.Check.Otherwise != 0 {
		t.Errorf("%d cases, check %+v, %v", len(res.Cases), res.Check, err)
	}
	list, err := os.ReadFile(files[1])
	if err != nil || strings.Count(string(list), "\n") != len(res.Cases)+1 {
		t.Errorf("the list of %d cases: %s, %v", len(res.Cases), list, err)
	}
	picture, err := os.ReadFile(files[2])
	if err != nil || !strings.HasPrefix(string(picture), "<svg ") || !strings.Contains(string(picture), "监管资金") || strings.Contains(string(picture), "NaN") {
		t.Errorf("the picture: %.200s, %v", picture, err)
	}
	older := filepath.Join(dir, "older.json")
	if err := os.Link(files[0], older); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := simulate("--out", files[0]); code != 0 {
		t.Fatalf("over an older result: exit %d: %s", code, errs)
	}
	if was, err := os.ReadFile(older); err != nil || !bytes.Equal(was, kept) {
		t.Errorf("an older result is written over in place, and half of either when that is cut short: %v", err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"/change/0/params/op: rule M-01: the parameter is a text, not a whole number", []string{"--rules", write("kind.json", `{"change":[{"id":"M-01","params":{"op":3}}]}`)}},
		{"/remove/0: rule Z-01: there is no such rule", []string{"--rules", write("gone.json", `{"remove":["Z-01"]}`)}},
		{"/cells/0/area: the city has no area", []string{"--guidance", write("cells.json", `{"cells":[{"area":"x","let_mode":"WHOLE","size_band":"<=30","p10":1,"p25":1,"median":1,"p75":1,"p90":1}]}`)}},
		{"it lies in the future", []string{"--from", "2031-01-01"}},
		{"--from", []string{"--from", "2026-13-01"}},
		{"rules decided nothing", []string{"--from", "2026-03-25", "--to", "2026-03-25"}},
		{"neither p75 nor p90", []string{"--ceiling", "p50"}},
		{"--out", []string{"--out", filepath.Join(dir, "a.txt")}},
		{"no such file", []string{"--rules", filepath.Join(dir, "none.json")}},
	} {
		if out, errs, code := simulate(c.args...); code != exitUsage || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%v: exit %d, %q, %q; want %q", c.args, code, out, errs, c.want)
		}
	}
}
