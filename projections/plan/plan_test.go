package plan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
	plans "zujian/domain/plan"
	"zujian/projections"
	"zujian/projections/plan"
	"zujian/projections/projectiontest"
)

var at = time.Date(2023, 7, 1, 2, 0, 0, 0, time.UTC)

func filed(unit, area string, on domain.Day) contract.Filed {
	return contract.Filed{FiledOn: on, Summary: contract.Summary{Unit: unit}, Observation: domain.Observation{ReportUnit: area, RentFen: 1}}
}

func loaded(indicators ...plans.Indicator) plans.Loaded {
	return plans.Loaded{Plan: plans.Plan{ID: "145", NameZH: "规划", From: 2021, To: 2025, Source: "示例", Indicators: indicators}}
}

var (
	total   = plans.Indicator{Code: "A", NameZH: "总量", Measure: "homes", Kind: plans.KindTotal, Op: ">=", Target: 300, Yearly: map[string]int64{"2023": 60}, Areas: map[string]int64{"320115": 90}}
	level   = plans.Indicator{Code: "B", NameZH: "比例", Measure: "bp", Kind: plans.KindLevel, Op: ">=", Target: 2800}
	letting = plans.Indicator{Code: "C", NameZH: "新增", Measure: "homes", Kind: plans.KindTotal, Op: ">=", Target: 2, Derived: plan.HomesFirstLet}
)

func scenario() *projectiontest.Log {
	l := &projectiontest.Log{}
	d := domain.Date
	l.Add("plan-145", at, loaded(total, level, letting))
	l.Add("plan-145", at, plans.TargetSet{Indicator: "A", Area: "320115", Year: 2023, Value: 20})
	report := func(code, area string, on domain.Day, value int64) {
		l.Add("plan-145", at, plans.Reported{Indicator: code, Area: area, On: on, Value: value, Source: "s"})
	}
	report("A", "320115", d(2021, 12, 31), 20)
	report("A", "320115", d(2022, 12, 31), 30)
	report("A", "320102", d(2022, 12, 31), 40)
	report("A", "320115", d(2023, 6, 30), 9)
	report("B", "city", d(2021, 12, 31), 2500)
	report("B", "city", d(2022, 12, 31), 2600)
	l.Add("contract-c1", at, filed("u1", "320115", d(2021, 3, 5)))
	l.Add("contract-c2", at, filed("u1", "320115", d(2022, 3, 5))) // The same home again.
	l.Add("contract-c3", at, filed("u2", "320102", d(2022, 3, 5)))
	l.Add("contract-c4", at, filed("u3", "320102", d(2022, 4, 5)))
	l.Add("contract-c4", at, contract.FilingCancelled{}) // Counts no more.
	l.Add("contract-c1", at, contract.FilingCancelled{}) // Then u1 was first let in 2022.
	excluded := filed("u4", "320102", d(2022, 4, 5))
	excluded.Observation.Excluded = domain.ExcludedHead
	l.Add("contract-c5", at, excluded)
	return l
}

func progress(t *testing.T, r projections.Reader, q plan.Query) map[string]plan.Row {
	t.Helper()
	_, rows, err := plan.Progress(t.Context(), r, q)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]plan.Row{}
	for _, row := range rows {
		out[row.Indicator.Code] = row
	}
	return out
}

func TestView(t *testing.T) {
	r := projectiontest.Laws(t, plan.Projection{}, scenario())
	projectiontest.Golden(t, r)
	on := domain.Date(2023, 7, 1)
	value := func(v *int64) int64 {
		if v == nil {
			return -1
		}
		return *v
	}
	for _, c := range []struct {
		q                   plan.Query
		code                string
		target, actual, bps int64
		status              string
	}{
		{plan.Query{Area: "city", On: on}, "A", 300, 99, 3300, plan.AtRisk},                         // 20 + 30 + 40 + 9 of the areas.
		{plan.Query{Area: "320115", On: on}, "A", 90, 59, 6556, plan.OnTrack},                       //
		{plan.Query{Area: "320115", Year: 2023, On: on}, "A", 20, 9, 4500, plan.NoData},             // One report: no forecast.
		{plan.Query{Area: "city", Year: 2023, On: on}, "A", 60, 9, 1500, plan.NoData},               //
		{plan.Query{Area: "320102", Year: 2023, On: on}, "A", -1, -1, 0, plan.NoData},               //
		{plan.Query{Area: "city", On: domain.Date(2022, 1, 1)}, "A", 300, 20, 667, plan.NoData},     // As it was known to hold then.
		{plan.Query{Area: "city", On: on}, "B", 2800, 2600, 9286, plan.NoData},                      //
		{plan.Query{Area: "city", On: on}, "C", 2, 2, 10_000, plan.Met},                             //
		{plan.Query{Area: "320115", Year: 2022, On: on}, "C", -1, 1, 0, plan.NoData},                // First let in 2022, the older filing being gone.
		{plan.Query{Area: "city", Year: 2021, On: on}, "C", -1, 0, 0, plan.NoData},                  //
		{plan.Query{Area: "city", On: domain.Date(2026, 3, 1)}, "B", 2800, 2600, 9286, plan.Missed}, //
	} {
		c.q.Plan = "145"
		row := progress(t, r, c.q)[c.code]
		if value(row.Target) != c.target || value(row.Actual) != c.actual || row.ShareBP != c.bps || row.Status != c.status {
			t.Errorf("%+v %s: target %d, actual %d, %d bp, %s; want %+v", c.q, c.code, value(row.Target), value(row.Actual), row.ShareBP, row.Status, c)
		}
	}
	if _, _, err := plan.Progress(t.Context(), r, plan.Query{Plan: "155", Area: "city", On: on}); err == nil {
		t.Error("a plan that is not there stands somehow")
	}
	if _, _, err := plan.Progress(t.Context(), r, plan.Query{Plan: "145", Area: "city", Year: 2030, On: on}); err == nil {
		t.Error("a year outside the plan stands somehow")
	}
}

// TestForecastCoverage draws counts that grow at a known mean, reported at irregular days: nine to ten of ten intervals
// hold what comes, and the forecast is right on average.
func TestForecastCoverage(t *testing.T) {
	const runs = 400
	held, bias := 0, 0.0
	for run := range runs {
		rng := rand.New(rand.NewPCG(uint64(run), 5))
		l := &projectiontest.Log{}
		l.Add("plan-145", at, loaded(total))
		sum, day := 0.0, domain.Date(2021, 1, 1)
		grow := func(days int) {
			sum += 100*float64(days) + rng.NormFloat64()*300*math.Sqrt(float64(days))
			day = day.AddDays(days)
		}
		cut := domain.Date(2021, 9, 1)
		for day < cut {
			grow(20 + rng.IntN(20))
			l.Add("plan-145", at, plans.Reported{Indicator: "A", Area: "city", On: day, Value: int64(sum), Source: fmt.Sprint(run)})
		}
		r := projectiontest.Fold(t, plan.Projection{}, l.Events, 50)
		f := progress(t, r, plan.Query{Plan: "145", Area: "city", Year: 2021, On: day})["A"].Forecast
		grow(int(domain.Date(2021, 12, 31) - day))
		if f == nil {
			t.Fatal("no forecast")
		}
		if float64(f.Low) <= sum && sum <= float64(f.High) {
			held++
		}
		bias += (float64(f.Value) - sum) / runs
	}
	if share := float64(held) / runs; share < 0.92 || share > 0.98 {
		t.Errorf("%.1f %% of the 95 %% intervals hold the truth", share*100)
	}
	if math.Abs(bias) > 600 { // The mean of 400 forecasts moves by about 220.
		t.Errorf("the forecast is off by %.0f on average", bias)
	}
}
