package guidance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/contract"
	prices "zujian/domain/guidance"
	"zujian/projections/guidance"
	"zujian/projections/projectiontest"
)

// under is a letting signed under a version.
func under(version string, o domain.Observation) contract.Filed {
	return contract.Filed{Observation: o, GuidanceVersion: version}
}

func priced(area string, from domain.Fen) prices.Cell {
	return prices.Cell{
		CellID: prices.CellID{Area: area, LetMode: "WHOLE", SizeBand: "30-50", Fitout: "SIMPLE"}, N: 10,
		Prices: prices.Prices{P10: from, P25: from + 200, Median: from + 400, P75: from + 700, P90: from + 800},
	}
}

// TestBacktest: each contract on file that was signed under the version is held to the nearest cell.
func TestBacktest(t *testing.T) {
	l := &projectiontest.Log{}
	sign := func(id int, street string, fen int64) domain.Observation {
		o := let(street, fmt.Sprint(id), july+3, fen)
		l.Add(fmt.Sprint("contract-", id), at, under("2026Q3/1", o))
		return o
	}
	for n, fen := range []int64{2999, 3000, 3400, 3800, 3801} {
		sign(n, "320115001", fen)
	}
	sign(10, "320115009", 5000)      // A street without a cell: the unit's.
	sign(11, "320102001", 1_000_000) // Of a unit without one: the city's.
	wrong := sign(12, "320115001", 90000)
	right := let("320115001", "12", july+3, 3400)
	l.Add("contract-12", at, contract.Amended{ObservationBefore: &wrong, Observation: &right})
	sign(13, "320115001", 3400)
	l.Add("contract-13", at, contract.FilingCancelled{})
	bed := let("320115001", "14", july+3, 3400)
	bed.LetMode = "BY_BED"
	l.Add("contract-14", at, under("2026Q3/1", bed))
	l.Add("contract-15", at, under("2026Q3/2", let("320115001", "15", july+3, 9999)))
	l.Add("contract-16", at, filed(let("320115001", "16", july+3, 9999)))
	head := let("320115001", "17", july+3, 9999)
	head.Excluded = domain.ExcludedHead
	l.Add("contract-17", at, under("2026Q3/1", head))

	v := prices.Version{Version: 1, Cells: []prices.Cell{priced("320115001", 3000), priced("320115", 4000), priced("city", 2000)}}
	test := func(v prices.Version) guidance.Backtest {
		b, err := guidance.Test(t.Context(), fold(t, l), "2026Q3", v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	bp := func(inside, bias, mad int64) (a, b, c *int64) { return &inside, &bias, &mad }
	fit := func(n, below, in, above int, inside, bias, mad int64) guidance.Fit {
		f := guidance.Fit{N: n, Below: below, Inside: in, Above: above}
		f.InsideBP, f.BiasBP, f.MADBP = bp(inside, bias, mad)
		return f
	}
	// 10 000·ln of 2999, 3000, 3400, 3800, 3801 over 3400: −1255, −1252, 0, 1112, 1115; and the corrected 0.
	want := guidance.Backtest{
		Period: "2026Q3", Version: 1, TargetBP: 8000, Unpriced: 1, Overall: fit(8, 1, 4, 3, 5000, 7665, 1183),
		Cells: []guidance.CellFit{
			{CellID: v.Cells[0].CellID, Median: 3400, Fit: fit(6, 1, 4, 1, 6666, -47, 1113)},
			{CellID: v.Cells[1].CellID, Median: 4400, Fit: fit(1, 0, 0, 1, 0, 1278, 1278)},
			{CellID: v.Cells[2].CellID, Median: 2400, Fit: fit(1, 0, 0, 1, 0, 60323, 60323)},
		},
	}
	slices.SortFunc(want.Cells, func(a, b guidance.CellFit) int { return strings.Compare(a.Area, b.Area) })
	got := test(v)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if none := test(prices.Version{Version: 7}); none.Overall.N != 0 || none.Overall.BiasBP != nil || len(none.Cells) != 0 {
		t.Errorf("of nothing: %+v", none)
	}
	if gone := test(prices.Version{Version: 1}); gone.Unpriced != 9 || gone.Overall.InsideBP != nil {
		t.Errorf("of a version without cells: %+v", gone)
	}
}

// TestAnyMarketGivesAnAnswer: whatever rents are on file, and whatever parameters the rules may have, quantiles are positive
// and rise, and an outlier moves nothing; draft checks them.
func TestAnyMarketGivesAnAnswer(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := &projectiontest.Log{}
		for n := range rapid.IntRange(0, 60).Draw(r, "lettings") {
			street := rapid.SampledFrom([]string{"320115001", "320115002", "320102001"}).Draw(r, "street")
			o := let(street, fmt.Sprint("l", rapid.IntRange(0, 20).Draw(r, "lessor")), july-domain.Month(rapid.IntRange(0, 14).Draw(r, "age")), 1)
			o.RentFen = domain.Fen(rapid.SampledFrom([]int64{0, 1, 50, 150000, 150000, 160000, 170000, 1_000_000, 100_000_000, int64(domain.FenMax)}).Draw(r, "rent"))
			o.AreaC = rapid.SampledFrom([]int64{0, 1, 5000, 5000, 5000}).Draw(r, "area")
			if rapid.IntRange(0, 9).Draw(r, "nowhere") == 0 {
				o.Street = ""
			}
			l.Add(fmt.Sprint("contract-", n), at, filed(o))
		}
		p := rules(r, func(p *prices.Parameters) {
			p.Contracts, p.Lessors = int64(rapid.IntRange(3, 30).Draw(r, "contracts")), int64(rapid.IntRange(3, 10).Draw(r, "lessors"))
			p.LessorBP = int64(rapid.SampledFrom([]int{1, 5000, 10000}).Draw(r, "share"))
			p.Window, p.HalfLife = int64(rapid.SampledFrom([]int{1, 12, 120}).Draw(r, "window")), int64(rapid.SampledFrom([]int{1, 6, 120}).Draw(r, "half-life"))
			p.FencePct, p.Thin = int64(rapid.SampledFrom([]int{0, 7, 150, 1000}).Draw(r, "fences")), int64(rapid.SampledFrom([]int{0, 30, 100000}).Draw(r, "thin"))
		})
		d, _ := compute(r, fold(t, l), guidance.Query{Period: "2026Q3", Parameters: p})
		v := prices.Version{Version: 1, Cells: d.At(0).Cells, Computed: d.At(0).Cells}
		if again, _ := compute(r, fold(t, l), guidance.Query{Period: "2026Q3", Parameters: p, Earlier: []prices.Version{v}}); again.Inputs != d.Inputs || !sameFigures(again, d) {
			r.Fatalf("the same market revised:\n%s", cmp.Diff(d, again))
		}
	})
}

// sameFigures ignores the mark of a kept kind.
func sameFigures(a, b guidance.Draft) bool {
	plain := func(d guidance.Draft) (out []prices.Cell) {
		for _, c := range d.Cells {
			c.KeptFrom = 0
			out = append(out, c.Cell)
		}
		return out
	}
	return slices.Equal(plain(a), plain(b))
}

// TestParametersMakeTheDraft: window, half-life, fences and least numbers are the rule's.
func TestParametersMakeTheDraft(t *testing.T) {
	l := market()
	for n := range 20 { // A year before, and dearer.
		l.Add(fmt.Sprint("contract-old-", n), at, filed(let("320115001", fmt.Sprint("old", n), july-12, 4000)))
	}
	city := func(f func(*prices.Parameters)) guidance.Cell {
		_, cells := compute(t, fold(t, l), guidance.Query{Period: "2026Q3", Parameters: rules(t, f)})
		return cells["city"]
	}
	if c := city(func(*prices.Parameters) {}); c.N != 20 || c.Median != 3400 {
		t.Errorf("the shipped rules: %+v", c)
	}
	if c := city(func(p *prices.Parameters) { p.Window = 24 }); c.N != 40 || c.Median != 3600 {
		t.Errorf("two years: %+v", c)
	}
	if c := city(func(p *prices.Parameters) { p.Window, p.HalfLife = 24, 120 }); c.N != 40 || c.Median != 3900 {
		t.Errorf("two years, hardly fading: %+v", c)
	}
	if c := city(func(p *prices.Parameters) { p.FencePct = 0 }); c.N != 12 || c.P10 != 3200 || c.P90 != 3700 {
		t.Errorf("quartiles for fences: %+v", c)
	}
	if c := city(func(p *prices.Parameters) { p.FencePct = 1000 }); c.N != 20 { // 10⁶ fen is further yet.
		t.Errorf("wide fences: %+v", c)
	}
	if c := city(func(p *prices.Parameters) { p.Contracts = 21 }); c.Area != "" {
		t.Errorf("more contracts than there are: %+v", c)
	}
	if c := city(func(p *prices.Parameters) { p.Lessors = 21 }); c.Area != "" {
		t.Errorf("more lessors than there are: %+v", c)
	}
}
