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

// TestMedianWaitsForABasket starts at the first month that has a stratum to compare by.
func TestMedianWaitsForABasket(t *testing.T) {
	t.Parallel()
	at := month(t, "2026-01")
	m := model()
	m.MinStratum = 5
	b := newBench(t, m)
	for i := range 24 { // 3, 7, 7 and 7 contracts.
		b.apply(t, filed(fmt.Sprint("contract-", i), "u", "s", fmt.Sprint("p", i), at+domain.Month((i+4)/7), 40+int64((i+4)/7)))
	}
	res, err := b.series(t, rentindex.Query{Area: "u", Population: rentindex.New, Method: rentindex.Median})
	if err != nil || len(res.Points) != 4 || res.Points[0].Withheld != rentindex.WithheldNoBasket || res.Points[0].Index != nil {
		t.Fatalf("got %+v, %v", res, err)
	}
	for i, p := range res.Points[1:] {
		if want := 100 * float64(41+i) / 41; p.Index == nil || math.Abs(*p.Index-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", p.Month, p.Index, want)
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

// vintageIsSeries holds what a release gathers in one pass to each series asked for by itself.
func vintageIsSeries(t *testing.T, rt *rapid.T, b *bench, m domain.Month) {
	err := b.views.Read(t.Context(), b.p.Name(), func(r projections.Reader) error {
		v, err := b.p.Vintage(t.Context(), r, m)
		if err != nil {
			return err
		}
		for _, s := range v.Series {
			res, err := b.p.Series(t.Context(), r, rentindex.Query{Area: s.Area, Population: s.Population, Method: s.Method, To: m, Now: m})
			if err != nil || res.InputsSHA256 != s.InputsSHA256 || res.N != s.N || len(res.Points) != len(s.Points) {
				rt.Fatalf("%s %s %s: %+v, %v; in the vintage %+v", s.Area, s.Population, s.Method, res, err, s)
			}
			for i, p := range s.Points {
				if q := res.Points[i]; p.Month != q.Month || p.N != q.N || p.Withheld != q.Withheld || !cmpFloat(p.Index, q.Index) || !cmpFloat(p.SE, q.SE) {
					rt.Fatalf("%s %s %s %s: %+v, in the vintage %+v", s.Area, s.Population, s.Method, p.Month, q, p)
				}
			}
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
}

func cmpFloat(a, b *float64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// TestBadInput gives every method, population and area what registers hold at their worst: each month has a figure that is
// a number, or says why not.
func TestBadInput(t *testing.T) {
	t.Parallel()
	at := month(t, "2026-01")
	many := func(f func(i int, o *domain.Observation)) (events []projections.Event) {
		for i := range 60 {
			e := filed(fmt.Sprint("contract-", i), fmt.Sprint("u", i%2), fmt.Sprint("s", i%4), fmt.Sprint("p", i%5), at+domain.Month(i%6), 40+int64(i%11))
			x := e.Event.(contract.Filed)
			x.Observation.Unit = fmt.Sprint("h", i%12)
			f(i, &x.Observation)
			e.Event = x
			events = append(events, e)
		}
		return events
	}
	removed := many(func(int, *domain.Observation) {})
	for _, e := range removed[:len(removed):len(removed)] {
		removed = append(removed, projections.Event{Stream: e.Stream, Event: contract.FilingCancelled{Observations: []domain.Observation{e.Event.(contract.Filed).Observation}}})
	}
	for name, events := range map[string][]projections.Event{
		"nothing":           nil,
		"one observation":   many(func(int, *domain.Observation) {})[:1],
		"one lessor":        many(func(_ int, o *domain.Observation) { o.Lessor = "p" }),
		"all rents equal":   many(func(_ int, o *domain.Observation) { o.RentFen = 250000 }),
		"collinear factors": many(func(i int, o *domain.Observation) { o.LetMode, o.Bedrooms = []string{"WHOLE", "BY_ROOM"}[i%2], 1+i%2 }),
		"a level seen once": many(func(i int, o *domain.Observation) { o.Bedrooms = map[bool]int{true: 3}[i == 59] }),
		"missing months": many(func(i int, o *domain.Observation) {
			o.Month = at + domain.Month(i%2*9)
			o.From = o.Month
			o.To = o.From
		}),
		"outliers of a million": many(func(i int, o *domain.Observation) {
			o.RentFen *= map[bool]domain.Fen{true: 1_000_000, false: 1}[i%7 == 0]
		}),
		"everything removed again": removed,
		"a stratum that vanishes": many(func(i int, o *domain.Observation) {
			o.LetMode = []string{"WHOLE", "BY_ROOM"}[min(i%6, 1)]
		}),
		"every contract its own level": many(func(i int, o *domain.Observation) { o.LetMode = fmt.Sprint("M", i) }),
		"the longest terms":            many(func(_ int, o *domain.Observation) { o.To = o.From + 1200 }),
	} {
		for _, bounded := range []bool{true, false} {
			m := model()
			m.Disclosure = rentindex.Disclosure{Contracts: 1}
			if !bounded {
				m.Gate = rentindex.Gate{}
			}
			b := newBench(t, m)
			if len(events) > 0 {
				b.apply(t, slices.Clone(events)...)
			}
			for _, method := range rentindex.Methods {
				for _, population := range []string{rentindex.New, rentindex.Stock} {
					for _, area := range []string{rentindex.City, "u0", "s1"} {
						res, err := b.series(t, rentindex.Query{Area: area, Population: population, Method: method, Now: at + 12})
						if err != nil {
							continue // An area that never was; repeat rents of the stock.
						}
						for _, p := range res.Points {
							if (p.Index == nil) != (p.Withheld != "") {
								t.Errorf("%s, %s: %+v", name, method, p)
							}
							for _, v := range []*float64{p.Index, p.LogIndex, p.SE, p.Low, p.High, p.MonthBP, p.Laspeyres, p.Paasche} {
								if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
									t.Errorf("%s, %s %s %s: %v", name, method, area, p.Month, *v)
								}
							}
						}
					}
				}
			}
		}
	}
}
