// Package plan is the view of plan progress (规划进度): each indicator's target, what was reached, and where it leads by the
// end of the period. What the log itself shows is counted from filed contracts; the rest is what offices reported.
//
// # Decisions
//
// A derived figure is named by the indicator (Derived) and defined here, once: [HomesFirstLet]. A city adds indicators as
// data; a new way to derive one is a case in Apply.
//
// The forecast takes the count as a random walk with drift: the mean rate so far goes on, and the interval widens with the
// unevenness of the increments and the time left. It is honest for counts reported at irregular days, needs three of them,
// and assumes nothing else. A forecast is never stored: anyone computes it again from the rows.
package plan

import (
	"context"
	"fmt"
	"strconv"

	"zujian/domain"
	"zujian/domain/contract"
	plans "zujian/domain/plan"
	"zujian/projections"
)

// Projection is listed in cmd/zujian/registry.go.
type Projection struct{}

// Name of the view's keyspace.
func (Projection) Name() string { return "plan" }

// Version of Apply's meaning.
func (Projection) Version() int { return 3 }

// Types the view reads.
func (Projection) Types() []string {
	out := []string{
		contract.Filed{}.EventType(), contract.LegacyRecorded{}.EventType(), contract.FilingCancelled{}.EventType(),
		contract.Annulled{}.EventType(),
	}
	for _, t := range plans.Types {
		out = append(out, t.Name)
	}
	return out
}

// HomesFirstLet counts homes let on the market for the first time on this register, in the month of their first filing.
const HomesFirstLet = "HOMES_FIRST_LET"

// Keys of the view. Days are "2026-03-01", months "2026-03".
const (
	keyPlan    = "p" // plan → Record
	keyTarget  = "t" // plan, indicator, area, year → target
	keyReport  = "r" // plan, indicator, area, day → Point
	keyHome    = "h" // unit → home
	keyOf      = "c" // contract → unit
	keyDerived = "d" // derived, area, month → Counters{n}
)

// Record is a plan and what its row was made from.
type Record struct {
	Plan  plans.Plan        `json:"plan"`
	Trail projections.Trail `json:"trail"`
}

// Point is a count on a day.
type Point struct {
	On     domain.Day `json:"on"`
	Value  int64      `json:"value"`
	Source string     `json:"source,omitempty"`
}

// home is one home's filed market lettings.
type home struct {
	Filed map[string]letting `json:"filed,omitempty"` // Contract → letting.
}

// Packed implements projections.Packed.
func (home) Packed() {}

type letting struct {
	On         domain.Day `json:"on"`
	ReportUnit string     `json:"report_unit,omitempty"`
}

// effect counts the home in the month of its first letting.
func (h home) effect() (e projections.Effect) {
	var first letting
	for _, l := range h.Filed {
		if first.On.IsZero() || l.On < first.On || (l.On == first.On && l.ReportUnit < first.ReportUnit) {
			first = l
		}
	}
	if first.On.IsZero() {
		return e
	}
	for _, area := range []string{plans.AreaCity, first.ReportUnit} {
		if area != "" {
			e.Sum(projections.Key(keyDerived, HomesFirstLet, area, first.On.Month().String()), "n", 1)
		}
	}
	return e
}

// Apply folds a batch.
func (Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	for _, e := range batch {
		if err := apply(ctx, v, e); err != nil {
			return fmt.Errorf("plan: %s@%d: %w", e.Stream, e.Revision, err)
		}
	}
	return nil
}

func apply(ctx context.Context, v projections.View, e projections.Event) error {
	id := projections.ID(e.Stream)
	switch ev := e.Event.(type) {
	case contract.Filed:
		return let(ctx, v, id, ev.Summary.Unit, ev.FiledOn, ev.Observation)
	case contract.LegacyRecorded:
		return let(ctx, v, id, ev.Observation.Unit, ev.FiledOn, ev.Observation)
	case contract.FilingCancelled, contract.Annulled:
		return unlet(ctx, v, id)
	case plans.Loaded:
		var t projections.Trail
		projections.Put(v, projections.Key(keyPlan, id), Record{Plan: ev.Plan, Trail: t.Add(e)})
		return nil
	case plans.TargetSet:
		projections.Put(v, projections.Key(keyTarget, id, ev.Indicator, ev.Area, strconv.Itoa(ev.Year)), ev.Value)
	case plans.Reported:
		projections.Put(v, projections.Key(keyReport, id, ev.Indicator, ev.Area, ev.On.String()), Point{On: ev.On, Value: ev.Value, Source: ev.Source})
	}
	key := projections.Key(keyPlan, id)
	rec, err := projections.Get[Record](ctx, v, key)
	if err == nil {
		rec.Trail = rec.Trail.Add(e)
		projections.Put(v, key, rec)
	}
	return err
}

func let(ctx context.Context, v projections.View, id, unit string, on domain.Day, o domain.Observation) error {
	if unit == "" || o.Excluded != "" || on.IsZero() {
		return nil
	}
	projections.Put(v, projections.Key(keyOf, id), unit)
	return change(ctx, v, unit, func(filed map[string]letting) { filed[id] = letting{On: on, ReportUnit: o.ReportUnit} })
}

func unlet(ctx context.Context, v projections.View, id string) error {
	unit, err := projections.Get[string](ctx, v, projections.Key(keyOf, id))
	if err != nil || unit == "" {
		return err
	}
	return change(ctx, v, unit, func(filed map[string]letting) { delete(filed, id) })
}

func change(ctx context.Context, v projections.View, unit string, f func(map[string]letting)) error {
	key := projections.Key(keyHome, unit)
	before, err := projections.Get[home](ctx, v, key)
	if err != nil {
		return err
	}
	after := home{Filed: map[string]letting{}}
	for id, l := range before.Filed {
		after.Filed[id] = l
	}
	f(after.Filed)
	projections.Put(v, key, after)
	return after.effect().Replace(ctx, v, before.effect())
}
