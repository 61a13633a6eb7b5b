package rentindex_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/projections"
	"zujian/projections/rentindex"
	"zujian/projections/rentindex/stat"
)

// standing are the observations that count in a month of a population.
func standing(lives []*life, q rentindex.Query, area string, at domain.Month) (out []domain.Observation) {
	for _, l := range lives {
		for i, o := range l.segments {
			value := float64(o.RentFen) / float64(o.AreaC)
			if o.Excluded != "" || value < 10 || value > 200 || area != rentindex.City && area != o.ReportUnit && area != o.Street {
				continue
			}
			if q.Population == rentindex.New && i == 0 && o.Month == at || q.Population == rentindex.Stock && o.To != 0 && o.From <= at && at <= o.To {
				out = append(out, o)
			}
		}
	}
	return out
}

// recountValues holds levels, medians and repeat rents to the rents that stand, sorted anew.
func recountValues(t *testing.T, rt *rapid.T, b *bench, lives []*life, q rentindex.Query) {
	err := b.views.Read(t.Context(), b.p.Name(), func(r projections.Reader) error {
		levels, err := b.p.Levels(t.Context(), r, q)
		if err != nil {
			return nil //nolint:nilerr // An area that never was.
		}
		area := cmp.Or(levels.BorrowedFrom, q.Area)
		for _, l := range levels.Levels {
			if l.Withheld != "" {
				if l.N != 0 || l.MedianFen != nil {
					rt.Fatalf("withheld %+v", l)
				}
				continue
			}
			var fen []float64
			for _, o := range standing(lives, q, area, l.Month) {
				fen = append(fen, float64(o.RentFen)*100/float64(o.AreaC))
			}
			slices.Sort(fen)
			n := len(fen)
			if median := (fen[(n-1)/2] + fen[n/2]) / 2; l.N != int64(n) || *l.MedianFen != median || *l.P25Fen > median || *l.P75Fen < median {
				rt.Fatalf("%+v %s: got %+v, want %v of %d", q, l.Month, l, median, n)
			}
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
	q.Method = rentindex.Median
	if got, err := b.series(t, q); err == nil && q.Area == rentindex.City {
		recountMedian(rt, lives, q, got)
	}
	q.Method = rentindex.Repeat
	if got, err := b.series(t, q); err == nil && q.Area == rentindex.City {
		recountPairs(rt, lives, got)
	}
	for _, q.Method = range []string{rentindex.Rolling, rentindex.Imputation} {
		if got, err := b.series(t, q); err == nil {
			for _, p := range got.Points {
				if (p.Index == nil) != (p.Withheld != "") || p.Index != nil && (math.IsNaN(*p.Index) || p.N < 2) {
					rt.Fatalf("%+v: %+v", q, p)
				}
			}
		}
	}
}

func recountMedian(rt *rapid.T, lives []*life, q rentindex.Query, got *rentindex.Result) {
	start := slices.IndexFunc(got.Points, func(p rentindex.Point) bool { return p.Withheld == "" })
	if start < 0 {
		return
	}
	var ps []stat.StrataPeriod
	for _, p := range got.Points[start:] {
		strata := stat.Strata{}
		for _, o := range standing(lives, q, rentindex.City, p.Month) {
			strata.Of(o.ReportUnit + "/" + o.LetMode).Add(int64(o.RentFen) * 100 / o.AreaC)
		}
		ps = append(ps, stat.StrataPeriod{Name: p.Month.String(), Strata: strata})
	}
	want, err := stat.StratifiedMedian(ps, 1)
	if err != nil {
		rt.Fatal(err)
	}
	for i, p := range got.Points[start:] {
		if p.Withheld == "" && (*p.Index != *want[i].Index || *p.Strata != want[i].Strata || p.N != want[i].N) {
			rt.Fatalf("%s: got %+v, want %+v", p.Month, p, want[i])
		}
	}
}

func recountPairs(rt *rapid.T, lives []*life, got *rentindex.Result) {
	type letting struct {
		order string
		o     domain.Observation
	}
	homes := map[string][]letting{}
	for _, l := range lives {
		if len(l.segments) == 0 {
			continue
		}
		o := l.segments[0]
		if value := float64(o.RentFen) / float64(o.AreaC); o.Excluded == "" && value >= 10 && value <= 200 && o.Unit != "" {
			homes[o.Unit] = append(homes[o.Unit], letting{o.Month.String() + "/" + o.From.String() + "/" + l.stream, o})
		}
	}
	first := slices.IndexFunc(got.Points, func(p rentindex.Point) bool {
		return p.Withheld == "" || p.Withheld == rentindex.WithheldPairs || p.Withheld == rentindex.WithheldNoFigure
	})
	if first < 0 {
		return
	}
	pairs := map[domain.Month]int64{}
	for _, lettings := range homes {
		slices.SortFunc(lettings, func(a, b letting) int { return cmp.Compare(a.order, b.order) })
		for i := 1; i < len(lettings); i++ {
			if a, b := lettings[i-1].o.Month, lettings[i].o.Month; a != b && a >= got.Points[first].Month {
				pairs[a]++
				pairs[b]++
			}
		}
	}
	for _, p := range got.Points[first:] {
		if p.Withheld == "" && (*p.Pairs > pairs[p.Month] || *p.Pairs < 2) {
			rt.Fatalf("%s: got %d pairs, want %d", p.Month, *p.Pairs, pairs[p.Month])
		}
	}
}

// TestEveryMethodFindsAKnownTruth files homes let again and again, each month 1 % dearer: city, unit and street agree.
func TestEveryMethodFindsAKnownTruth(t *testing.T) {
	t.Parallel()
	start := month(t, "2022-01")
	m := model()
	m.PerArea, m.Gate.Max = true, 10_000
	b := newBench(t, m)
	for i := range 40 {
		for home := range 12 {
			unit := fmt.Sprint("u", home%2)
			o := domain.Observation{
				Month: start + domain.Month(i), From: start + domain.Month(i), To: start + domain.Month(i), Unit: fmt.Sprint("h", home),
				RentFen: domain.Fen(math.Round(2e6 * math.Exp(0.01*float64(i)+0.1*float64(home%3)+0.2*float64(home%2)))), AreaC: 5000,
				ReportUnit: unit, Street: unit + fmt.Sprint("s", home%4), LetMode: "WHOLE", Bedrooms: home % 3, Lessor: fmt.Sprint("p", home),
			}
			b.apply(t, projections.Event{Stream: fmt.Sprintf("contract-%d-%d", i, home), Event: contract.Filed{Observation: o}})
		}
	}
	for _, method := range rentindex.Methods {
		for _, area := range []string{rentindex.City, "u0", "u1s3"} {
			for _, population := range []string{rentindex.New, rentindex.Stock} {
				res, err := b.series(t, rentindex.Query{Area: area, Population: population, Method: method, Now: start + 39})
				if population == rentindex.Stock && method == rentindex.Repeat {
					continue
				}
				if err != nil || len(res.Points) != 40 || res.BorrowedFrom != "" {
					t.Fatalf("%s %s: %+v, %v", method, area, res, err)
				}
				tolerance := 1e-5 // Rents are whole fen…
				if method == rentindex.Median {
					tolerance = 1e-3 // …and medians whole fen per ㎡.
				}
				for i, p := range res.Points {
					if p.Index == nil || math.Abs(*p.Index/100-math.Exp(0.01*float64(i))) > tolerance*math.Exp(0.01*float64(i)) {
						t.Fatalf("%s %s %s: got %+v", method, area, p.Month, p)
					}
					if i > 0 && (p.MonthAdjustedBP == nil || math.Abs(*p.MonthAdjustedBP-100) > 10 || math.Abs(*p.MonthBP-100) > 10) ||
						i >= 12 && math.Abs(*p.YearBP-1200) > 10 || p.SE != nil && p.Low == nil {
						t.Fatalf("%s %s: got %+v", method, p.Month, p)
					}
				}
			}
		}
	}
}

// TestSeason takes out what repeats every year, and only once there are three of them.
func TestSeason(t *testing.T) {
	t.Parallel()
	start := month(t, "2022-01")
	series := func(months int) *rentindex.Result {
		b := newBench(t, model())
		for i := range months {
			season := 0.0
			if i%12 == 6 {
				season = 0.05
			}
			for home := range 4 {
				e := filed(fmt.Sprint("contract-", i, "-", home), "u", "s", fmt.Sprint("p", home), start+domain.Month(i), 1)
				f := e.Event.(contract.Filed)
				f.Observation.RentFen = domain.Fen(math.Round(2e5 * math.Exp(0.002*float64(i)+season)))
				e.Event = f
				b.apply(t, e)
			}
		}
		res, err := b.series(t, rentindex.Query{Area: rentindex.City, Population: rentindex.New})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	for _, p := range series(37).Points[1:] {
		if math.Abs(*p.MonthAdjustedBP-20) > 1 {
			t.Errorf("%s: adjusted %v, unadjusted %v", p.Month, *p.MonthAdjustedBP, *p.MonthBP)
		}
	}
	for _, p := range series(36).Points {
		if p.MonthAdjustedBP != nil {
			t.Fatalf("%s: adjusted before three full years of changes", p.Month)
		}
	}
}
