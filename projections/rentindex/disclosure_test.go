package rentindex_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"zujian/domain/contract"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// TestNothingWithheldCanBeRecovered lets an attacker know every number that is shown, and that a city is the sum of its
// units and a unit that of its streets. No area that is withheld and not empty may follow by arithmetic.
func TestNothingWithheldCanBeRecovered(t *testing.T) {
	t.Parallel()
	at := month(t, "2026-01")
	rapid.Check(t, func(rt *rapid.T) {
		m := model()
		m.Disclosure = rentindex.Disclosure{Contracts: 4, Lessors: 2, ShareBP: 6000}
		b := newBench(t, m)
		var cells []string // Streets: the unknowns.
		units := rapid.IntRange(1, 4).Draw(rt, "units")
		for u := range units {
			for s := range rapid.IntRange(1, 4).Draw(rt, "streets") {
				street := fmt.Sprintf("u%ds%d", u, s)
				cells = append(cells, street)
				for i := range rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5, 8}).Draw(rt, "contracts") {
					lessor := fmt.Sprint("p", rapid.IntRange(0, 2).Draw(rt, "lessor"))
					b.apply(t, filed(fmt.Sprintf("contract-%s-%d", street, i), street[:2], street, lessor, at, 40))
				}
			}
		}
		for _, population := range []string{rentindex.New, rentindex.Stock} {
			attack(t, rt, b, cells, rentindex.Query{Population: population, Now: at})
		}
	})
}

func attack(t *testing.T, rt *rapid.T, b *bench, cells []string, q rentindex.Query) {
	areas := map[string][]float64{rentindex.City: make([]float64, len(cells))}
	for i, street := range cells {
		areas[street], areas[rentindex.City][i] = make([]float64, len(cells)), 1
		areas[street][i] = 1
		if areas[street[:2]] == nil {
			areas[street[:2]] = make([]float64, len(cells))
		}
		areas[street[:2]][i] = 1
	}
	var known, withheld [][]float64
	var names []string
	for area, row := range areas {
		q.Area = area
		res, err := b.series(t, q)
		switch {
		case err != nil || len(res.Points) == 0 || res.BorrowedFrom == "" && res.Points[0].Withheld == rentindex.WithheldNone:
			known = append(known, row) // Known to be empty.
		case res.BorrowedFrom != "" || res.Points[0].Withheld != "":
			withheld, names = append(withheld, row), append(names, area)
			if res.BorrowedFrom == "" && res.N != 0 {
				rt.Fatalf("%s is withheld and says %d", area, res.N)
			}
		default:
			known = append(known, row)
		}
	}
	r := rank(known)
	for i, row := range withheld {
		if rank(append(known[:len(known):len(known)], row)) == r && row != nil {
			rt.Fatalf("%s, %s: %s is withheld and follows from the others", q.Population, q.Area, names[i])
		}
	}
}

// rank is that of a matrix of small integers, by elimination.
func rank(rows [][]float64) (r int) {
	m := make([][]float64, len(rows))
	for i, row := range rows {
		m[i] = append([]float64(nil), row...)
	}
	for col := 0; len(m) > 0 && col < len(m[0]); col++ {
		best := r
		for i := r; i < len(m); i++ {
			if math.Abs(m[i][col]) > math.Abs(m[best][col]) {
				best = i
			}
		}
		if best >= len(m) || math.Abs(m[best][col]) < 1e-9 {
			continue
		}
		m[r], m[best] = m[best], m[r]
		for i := r + 1; i < len(m); i++ {
			f := m[i][col] / m[r][col]
			for j := range m[i] {
				m[i][j] -= f * m[r][j]
			}
		}
		if r++; r == len(m) {
			break
		}
	}
	return r
}

// TestNoTenancyWithheldCanBeRecovered does the same with new and sitting tenants, which together are the contracts shown.
func TestNoTenancyWithheldCanBeRecovered(t *testing.T) {
	t.Parallel()
	at := month(t, "2026-01")
	rapid.Check(t, func(rt *rapid.T) {
		m := model()
		m.Disclosure = rentindex.Disclosure{Contracts: 3, Lessors: 2, ShareBP: 7000}
		b := newBench(t, m)
		var cells []string
		for u := range rapid.IntRange(1, 4).Draw(rt, "units") {
			for s := range rapid.IntRange(1, 3).Draw(rt, "streets") {
				street := fmt.Sprintf("u%ds%d", u, s)
				cells = append(cells, street)
				for i := range rapid.SampledFrom([]int{0, 2, 4, 7, 9}).Draw(rt, "contracts") {
					stream := fmt.Sprintf("contract-%s-%d", street, i)
					if rapid.IntRange(0, 2).Draw(rt, "renews") > 0 {
						b.apply(t, projections.Event{Stream: stream, Event: contract.Drafted{Subject: contract.Subject{Renewal: &contract.RenewalFacts{Contract: "x", MonthlyRentFen: 190000}}}})
					}
					b.apply(t, filed(stream, street[:2], street, fmt.Sprint("p", rapid.IntRange(0, 3).Draw(rt, "lessor")), at, 40))
				}
			}
		}
		n := len(cells)
		rows := func(area string, sit, fresh bool) []float64 {
			row := make([]float64, 2*n)
			for i, street := range cells {
				if area == rentindex.City || area == street || area == street[:2] {
					row[i], row[n+i] = dummy(sit), dummy(fresh)
				}
			}
			return row
		}
		areas := map[string]bool{rentindex.City: true}
		for _, street := range cells {
			areas[street], areas[street[:2]] = true, true
		}
		var known, withheld [][]float64
		var names []string
		for area := range areas {
			tell := func(why string, row []float64, what string) {
				if why == "" || why == rentindex.WithheldNone {
					known = append(known, row)
				} else {
					withheld, names = append(withheld, row), append(names, what+" of "+area)
				}
			}
			q := rentindex.Query{Area: area, Population: rentindex.New, Now: at}
			if res, err := b.series(t, q); err == nil && res.BorrowedFrom == "" && len(res.Points) > 0 {
				tell(res.Points[0].Withheld, rows(area, true, true), "total")
			} else if err != nil {
				known = append(known, rows(area, true, false), rows(area, false, true))
				continue
			}
			err := b.views.Read(t.Context(), b.p.Name(), func(r projections.Reader) error {
				c, err := b.p.Comparison(t.Context(), r, q)
				if err == nil && len(c) > 0 {
					tell(c[0].Sitting.Withheld, rows(area, true, false), "sitting")
					tell(c[0].NewTenants.Withheld, rows(area, false, true), "new")
				}
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
		r := rank(known)
		for i, row := range withheld {
			if rank(append(known[:len(known):len(known)], row)) == r {
				rt.Fatalf("%s is withheld and follows from the others", names[i])
			}
		}
	})
}

func dummy(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
