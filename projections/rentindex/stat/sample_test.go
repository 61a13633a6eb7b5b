package stat_test

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zujian/projections/rentindex/stat"
)

// lodgement is one row of the bond register that the rules of the reference keep.
type lodgement struct {
	month, area, dwelling, bed string
	rent                       float64
}

// lodgements reads a table of bond lodgements with the reference's rules: a rent of 50 to 5,000, at most 6 bedrooms,
// dwelling F, H or T.
func lodgements(t testing.TB, path string) (rows []lodgement) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	in := csv.NewReader(z)
	if _, err := in.Read(); err != nil {
		t.Fatal(err)
	}
	for {
		rec, err := in.Read()
		if err == io.EOF {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rent, err1 := strconv.ParseFloat(rec[4], 64)
		bed, err2 := strconv.Atoi(rec[3])
		if err1 != nil || err2 != nil || bed > 6 || rent < 50 || rent > 5000 || !strings.Contains("FHT", rec[2]) {
			continue
		}
		rows = append(rows, lodgement{month: rec[0][:7], area: rec[1][:3], dwelling: rec[2], bed: rec[3], rent: rent})
	}
}

func (l lodgement) observation(t testing.TB, withArea bool) stat.Observation {
	y, ok := stat.Log(l.rent)
	q, ok2 := stat.Quantise(y)
	if !ok || !ok2 {
		t.Fatalf("no logarithm of %v", l.rent)
	}
	o := stat.Observation{Y: q, Levels: []string{stat.Level("dwelling", l.dwelling), stat.Level("factor(bed)", l.bed)}}
	if withArea {
		o.Levels = append(o.Levels, stat.Level("area", l.area))
	}
	return o
}

// periods sums rows into one cell a month.
func periods(t testing.TB, rows []lodgement, withArea bool) []stat.Period {
	cells := map[string]*stat.Cell{}
	for _, r := range rows {
		if cells[r.month] == nil {
			cells[r.month] = &stat.Cell{}
		}
		if err := cells[r.month].Add(r.observation(t, withArea)); err != nil {
			t.Fatal(err)
		}
	}
	return inOrder(cells)
}

func inOrder(cells map[string]*stat.Cell) (ps []stat.Period) {
	for m, c := range cells {
		ps = append(ps, stat.Period{Name: m, Cell: c})
	}
	slices.SortFunc(ps, func(a, b stat.Period) int { return strings.Compare(a.Name, b.Name) })
	return ps
}
