package plan_test

import (
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/plan"
)

func edit[T any](v T, f func(*T)) T { f(&v); return v }

func five() Plan {
	return Plan{ID: "145", NameZH: "规划", From: 2021, To: 2025, Source: "示例", Indicators: []Indicator{
		{Code: "A", NameZH: "总量", Measure: "homes", Kind: KindTotal, Op: ">=", Target: 300, Yearly: map[string]int64{"2021": 60}, Areas: map[string]int64{"320115": 90}},
		{Code: "B", NameZH: "比例", Measure: "bp", Kind: KindLevel, Op: ">=", Target: 2800, Attribute: Binding},
		{Code: "C", NameZH: "新增", Measure: "homes", Kind: KindTotal, Op: ">=", Target: 70, PartOf: "A", Derived: "HOMES_FIRST_LET"},
	}}
}

func TestDecide(t *testing.T) {
	ask := domain.Request[Command]{At: time.Date(2023, 7, 1, 2, 0, 0, 0, time.UTC)}
	loaded := []Event{Loaded{Plan: five()}}
	with := func(f func(*Indicator)) Load { p := five(); f(&p.Indicators[0]); return Load{Plan: p} }
	day := domain.Date(2023, 6, 30)
	set := SetTarget{Indicator: "A", Area: "320115", Year: 2023, Value: 20}
	said := Report{Indicator: "A", Area: AreaCity, On: day, Value: 31, Source: "月报"}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "load", When: Load{Plan: five()}, Then: loaded},
		{Name: "load again", Given: loaded, When: Load{Plan: five()}},
		{Name: "load other figures", Given: loaded, When: with(func(i *Indicator) { i.Target++ }), Err: ErrLoaded},
		{Name: "load other yearly figures", Given: loaded, When: with(func(i *Indicator) { i.Yearly = map[string]int64{"2021": 61} }), Err: ErrLoaded},
		{Name: "no indicator", When: Load{Plan: edit(five(), func(p *Plan) { p.Indicators = nil })}, Err: ErrPlan},
		{Name: "years the wrong way round", When: Load{Plan: edit(five(), func(p *Plan) { p.To = 2020 })}, Err: ErrPlan},
		{Name: "a code twice", When: with(func(i *Indicator) { i.Code = "B" }), Err: ErrPlan},
		{Name: "a share over the whole", When: with(func(i *Indicator) { i.Measure, i.Target = "bp", 10_001 }), Err: ErrPlan},
		{Name: "a year outside", When: with(func(i *Indicator) { i.Yearly = map[string]int64{"2026": 1} }), Err: ErrPlan},
		{Name: "part of nothing", When: with(func(i *Indicator) { i.PartOf = "Z" }), Err: ErrPlan},
		{Name: "a target before the plan", When: set, Err: ErrNotFound},
		{Name: "a district's target", Given: loaded, When: set, Then: []Event{TargetSet(set)}},
		{Name: "the same target", Given: append(loaded, TargetSet(set)), When: set},
		{Name: "another target without a reason", Given: append(loaded, TargetSet(set)), When: edit(set, func(s *SetTarget) { s.Value = 21 }), Err: ErrReason},
		{Name: "a target of no indicator", Given: loaded, When: edit(set, func(s *SetTarget) { s.Indicator = "Z" }), Err: ErrIndicator},
		{Name: "a target outside the years", Given: loaded, When: edit(set, func(s *SetTarget) { s.Year = 2026 }), Err: ErrYear},
		{Name: "a negative target", Given: loaded, When: edit(set, func(s *SetTarget) { s.Value = -1 }), Err: ErrValue},
		{Name: "a report", Given: loaded, When: said, Then: []Event{Reported(said)}},
		{Name: "the same report", Given: append(loaded, Reported(said)), When: said},
		{
			Name: "a report corrected", Given: append(loaded, Reported(said)), When: edit(said, func(r *Report) { r.Value = 30 }),
			Then: []Event{Reported(edit(said, func(r *Report) { r.Value = 30 }))},
		},
		{Name: "a report of the future", Given: loaded, When: edit(said, func(r *Report) { r.On = domain.Date(2023, 7, 2) }), Err: ErrYear},
		{Name: "a report of what is derived", Given: loaded, When: edit(said, func(r *Report) { r.Indicator = "C" }), Err: ErrDerived},
		{Name: "a report without a source", Given: loaded, When: edit(said, func(r *Report) { r.Source = "" }), Err: ErrSource},
		{Name: "a share over the whole, reported", Given: loaded, When: edit(said, func(r *Report) { r.Indicator, r.Value = "B", 10_001 }), Err: ErrValue},
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
