package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/cmd/zujian/internal/tabular"
)

func testGlobals(t *testing.T) (g *globals, stdout *bytes.Buffer) {
	stdout = &bytes.Buffer{}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return &globals{Ctx: t.Context(), Stdout: stdout, Stderr: io.Discard, Now: func() time.Time { return at }}, stdout
}

func writeTemp(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fitTable runs the command and returns the result document.
func fitTable(t *testing.T, spec string, threads int, tables ...string) (*fitResult, error) {
	t.Helper()
	g, _ := testGlobals(t)
	out := filepath.Join(t.TempDir(), "result.json")
	err := (&indexFitCmd{Spec: writeTemp(t, "spec.json", spec), In: tables, Out: out, Threads: threads}).Run(g)
	if err != nil {
		if _, gone := os.Stat(out); !errors.Is(gone, os.ErrNotExist) {
			t.Error("a failed fit left a result")
		}
		return nil, err
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	r := &fitResult{}
	if err := json.Unmarshal(raw, r); err != nil {
		t.Fatal(err)
	}
	return r, nil
}

const rentSpec = `{"method": "hedonic", "_": "a note", "value": "rent", "log": true, "period": {"column": "on", "unit": "month"},
 "factors": [{"name": "area", "column": "postcode", "prefix": 2}, {"name": "bed"}], "numeric": [%s],
 "keep": [{"column": "rent", "min": 50, "max": 5000}, {"column": "bed", "integer": true, "max": 6}], "by": %s}`

// rentTable has a known truth: area 21 is 10 % dearer in logs, a second bedroom 20 %, and each month 1 %.
func rentTable() string {
	var b strings.Builder
	b.WriteString("on,postcode,bed,rent,age\n")
	for i := range 240 {
		area, bed, month, age := i%2, 1+i/2%2, i/4%3, i%7
		log := 6 + 0.1*float64(area) + 0.2*float64(bed-1) + 0.01*float64(month) - 0.003*float64(age)
		fmt.Fprintf(&b, "2026-0%d-15,2%d0%d,%d,%.9f,%d\n", month+1, area, i%10, bed, math.Exp(log), age)
	}
	return b.String()
}

func TestIndexFitFindsAKnownTruth(t *testing.T) {
	t.Parallel()
	r, err := fitTable(t, fmt.Sprintf(rentSpec, `"age"`, "null"), 2, writeTemp(t, "rents.csv", rentTable()))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"(Intercept)": 6, "area21": 0.1, "bed2": 0.2, "age": -0.003, "month2026-02": 0.01, "month2026-03": 0.02}
	for _, c := range r.Coefficients {
		if c.Estimate == nil || math.Abs(*c.Estimate-want[c.Term]) > 1e-9 {
			t.Errorf("%s: got %v, want %v", c.Term, c.Estimate, want[c.Term])
		}
		delete(want, c.Term)
	}
	if len(want) > 0 || r.RowsIn != 240 || r.RowsUsed != 240 || *r.DF != 234 || len(r.Series) != 3 || math.Abs(*r.Series[2].Index-100*math.Exp(0.02)) > 1e-7 {
		t.Errorf("missing %v in %+v", want, r)
	}
}

func TestIndexFitDoesNotDependOnThreadsOrFiles(t *testing.T) {
	t.Parallel()
	table := rentTable()
	header, rows, _ := strings.Cut(table, "\n")
	cut := len(rows)/2 + strings.IndexByte(rows[len(rows)/2:], '\n') + 1
	one := writeTemp(t, "all.csv", table)
	two := []string{writeTemp(t, "b.csv", header+"\n"+rows[cut:]), writeTemp(t, "a.csv", header+"\n"+rows[:cut])}
	spec := fmt.Sprintf(rentSpec, `"age"`, "null")
	want, err := fitTable(t, spec, 1, one)
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 2, 7} {
		got, err := fitTable(t, spec, threads, two...)
		if diff := cmp.Diff(got, want); diff != "" || err != nil {
			t.Errorf("%d threads: got, want\n%s%v", threads, diff, err)
		}
	}
}

func TestIndexFitBy(t *testing.T) {
	t.Parallel()
	table := writeTemp(t, "rents.csv", rentTable())
	r, err := fitTable(t, fmt.Sprintf(rentSpec, `"age"`, `"area"`), 2, table)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Series) != 6 || *r.Series[0].By != "20" || *r.Series[5].By != "21" || len(r.Fits) != 2 || r.Sigma != nil {
		t.Fatalf("got %+v", r)
	}
	for _, p := range r.Series {
		if want := map[string]float64{"2026-01": 0, "2026-02": 0.01, "2026-03": 0.02}[p.Period]; math.Abs(*p.LogIndex-want) > 1e-9 || p.N != 40 {
			t.Errorf("%s %s: got %v of %d", *p.By, p.Period, *p.LogIndex, p.N)
		}
	}
}

func TestIndexFitCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	rows := "on,postcode,bed,rent\n2026-01-01,2000,1,100\n2026-02-01,2000,1.0,110\n" +
		",2000,1,100\n2026-01,2000,1,\nnever,2000,1,100\n2026-01-01,2000,1,U\n2026-01-01,2000,1.5,100\n" +
		"2026-01-01,2000,7,100\n2026-01-01,2000,U,100\n2026-01-01,,1,100\n2026-01-01,2000,1,5\n2026-01-01,2000,1,99999\n" +
		"2026-01-01,2000,1,0\n2026-01-01,2000,1,NA\n2026-01-01,2000\n"
	r, err := fitTable(t, fmt.Sprintf(rentSpec, "", "null"), 2, writeTemp(t, "rents.csv", rows))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		"on: missing": 1, "on: not a date": 1, "rent: missing": 2, "rent: not a number": 1, "rent: not positive": 1, "rent: below 50": 1,
		"rent: above 5000": 1, "bed: not whole": 1, "bed: above 6": 1, "bed: not a number": 1, "postcode: missing": 1, "row: not readable": 1,
	}
	if diff := cmp.Diff(r.Dropped, want); diff != "" || r.RowsIn != 15 || r.RowsUsed != 2 {
		t.Errorf("%d of %d used; got, want\n%s", r.RowsUsed, r.RowsIn, diff)
	}
	if len(r.Coefficients) != 2 { // Bed 1 and 1.0 are one level.
		t.Errorf("got %+v", r.Coefficients)
	}
}

func TestIndexFitRefusals(t *testing.T) {
	t.Parallel()
	good := fmt.Sprintf(rentSpec, "", "null")
	table := writeTemp(t, "rents.csv", rentTable())
	for name, spec := range map[string]string{
		"a window of one":      strings.Replace(good, `"hedonic"`, `"rolling", "window": 1`, 1),
		"a negative stratum":   strings.Replace(good, `"hedonic"`, `"hedonic", "min_stratum": -1`, 1),
		"an unknown method":    strings.Replace(good, "hedonic", "magic", 1),
		"an unknown member":    strings.Replace(good, `"log"`, `"logs"`, 1),
		"an unknown unit":      strings.Replace(good, `"month"`, `"week"`, 1),
		"a factor twice":       strings.Replace(good, `"name": "area"`, `"name": "bed"`, 1),
		"a by that is not one": strings.Replace(good, `"by": null`, `"by": "street"`, 1),
		"no JSON":              "{",
	} {
		if _, err := fitTable(t, spec, 1, table); !errors.Is(err, errUsage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(rentTable()))
	_ = w.Close()
	cut := writeTemp(t, "cut.csv.gz", z.String()[:z.Len()-20])
	if _, err := fitTable(t, good, 2, table, cut); !errors.Is(err, tabular.ErrTruncated) || !strings.Contains(err.Error(), "cut.csv.gz") {
		t.Errorf("a truncated file: got %v", err)
	}
	empty := writeTemp(t, "empty.csv", "on,postcode,bed,rent\n2026-01-01,2000,1,U\n")
	if _, err := fitTable(t, good, 2, empty); err == nil || !strings.Contains(err.Error(), "not a number") {
		t.Errorf("no usable row: got %v", err)
	}
	if _, err := fitTable(t, good, 2, filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
}

func TestProgressOffTheTerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := newProgress(&b, "read", 200)
	for range 40 {
		p.add(6)
	}
	p.end()
	if got := b.String(); !strings.HasPrefix(got, "read 10 %\nread 20 %\n") || !strings.HasSuffix(got, "read 100 %\n") || strings.Count(got, "\n") != 10 {
		t.Errorf("got %q", got)
	}
}
