// Package plan decides the targets of a plan (规划目标), such as a city's five-year housing plan, and the counts that
// offices report against them. What the log itself shows is not reported: the projection of that name derives it.
//
// # Decisions
//
// A plan is loaded whole and never edited: its figures are what was printed. What districts file afterwards are
// TargetSet events beside it, so that the printed figure and the filed one can both be read.
package plan

import (
	"maps"
	"regexp"
	"slices"
	"strconv"

	"zujian/domain"
)

// Decider is the plan aggregate, one stream per plan.
var Decider = domain.Decider[State, Command, Event]{Category: "plan", Decide: decide, Evolve: evolve}

// Rejections.
var (
	ErrNotFound  = domain.Reject("plan.not_found", "no such plan is on record")
	ErrLoaded    = domain.Reject("plan.already_loaded", "the plan is on record with other figures; set targets instead")
	ErrPlan      = domain.Reject("plan.invalid", "the plan needs years, and indicators with code, name, kind and a target of their own form")
	ErrIndicator = domain.Reject("plan.unknown_indicator", "the plan has no such indicator")
	ErrYear      = domain.Reject("plan.wrong_year", "the year or day is outside the plan's period")
	ErrValue     = domain.Reject("plan.invalid_value", "a value is a whole number from 0 to 10^15; a share at most 10000 bp")
	ErrReason    = domain.Reject("plan.reason_required", "a target that replaces one needs its reason")
	ErrDerived   = domain.Reject("plan.derived", "the log itself gives this figure; it can't be reported")
	ErrSource    = domain.Reject("plan.source_required", "a report names the document or office it comes from")
)

// State is the plan, its filed targets, and what was reported.
type State struct {
	Plan     *Plan
	Targets  map[Key]int64
	Reported map[Point]int64
}

// Key names a target.
type Key struct {
	Indicator, Area string
	Year            int
}

// Point names a report.
type Point struct {
	Indicator, Area string
	On              domain.Day
}

const (
	valueMax      = int64(1e15)
	indicatorsMax = 500
	shareMax      = 10_000
	measureShare  = "bp"
)

var codeForm = regexp.MustCompile(`^[A-Z0-9][A-Z0-9-]{0,19}$`)

// indicator finds an indicator by its code.
func (s State) indicator(code string) (Indicator, bool) {
	for _, i := range s.Plan.Indicators {
		if i.Code == code {
			return i, true
		}
	}
	return Indicator{}, false
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	if c, ok := r.Command.(Load); ok {
		return load(s, c.Plan)
	}
	if s.Plan == nil {
		return nil, ErrNotFound
	}
	switch c := r.Command.(type) {
	case SetTarget:
		return setTarget(s, c)
	case Report:
		return report(s, c, domain.DayOf(r.At))
	}
	panic("plan: unhandled command") // Sealed set: only a programming error gets here.
}

func load(s State, p Plan) ([]Event, error) {
	if s.Plan != nil {
		if same(*s.Plan, p) {
			return nil, nil
		}
		return nil, ErrLoaded
	}
	if p.ID == "" || p.NameZH == "" || p.From < 1990 || p.To < p.From || p.To > 2100 || len(p.Indicators) == 0 || len(p.Indicators) > indicatorsMax {
		return nil, ErrPlan
	}
	codes := map[string]bool{}
	for n, i := range p.Indicators {
		if !i.sound(p) || codes[i.Code] || (i.PartOf != "" && !slices.ContainsFunc(p.Indicators, func(o Indicator) bool { return o.Code == i.PartOf })) {
			return nil, ErrPlan.At("/indicators/" + strconv.Itoa(n))
		}
		codes[i.Code] = true
	}
	return []Event{Loaded{Plan: p}}, nil
}

func (i Indicator) sound(p Plan) bool {
	if !codeForm.MatchString(i.Code) || i.NameZH == "" || i.Measure == "" || (i.Kind != KindTotal && i.Kind != KindLevel) ||
		!slices.Contains([]string{">=", "=", "~"}, i.Op) || !i.fits(i.Target) || (i.Attribute != "" && i.Attribute != Binding && i.Attribute != Expected) {
		return false
	}
	for year, v := range i.Yearly {
		if y, err := strconv.Atoi(year); err != nil || y < p.From || y > p.To || !i.fits(v) {
			return false
		}
	}
	for area, v := range i.Areas {
		if area == "" || !i.fits(v) {
			return false
		}
	}
	return true
}

func (i Indicator) fits(v int64) bool {
	return v >= 0 && v <= valueMax && (i.Measure != measureShare || v <= shareMax)
}

func setTarget(s State, c SetTarget) ([]Event, error) {
	i, ok := s.indicator(c.Indicator)
	switch old, had := s.Targets[Key{c.Indicator, c.Area, c.Year}]; {
	case !ok:
		return nil, ErrIndicator.At("/indicator")
	case c.Year != 0 && (c.Year < s.Plan.From || c.Year > s.Plan.To):
		return nil, ErrYear.At("/year")
	case !i.fits(c.Value):
		return nil, ErrValue.At("/value")
	case had && old == c.Value:
		return nil, nil
	case had && c.Reason == "":
		return nil, ErrReason.At("/reason")
	}
	return []Event{TargetSet(c)}, nil
}

func report(s State, c Report, today domain.Day) ([]Event, error) {
	i, ok := s.indicator(c.Indicator)
	year, _, _ := c.On.Date()
	switch old, had := s.Reported[Point{c.Indicator, c.Area, c.On}]; {
	case !ok:
		return nil, ErrIndicator.At("/indicator")
	case i.Derived != "":
		return nil, ErrDerived.At("/indicator")
	case c.On.IsZero() || year < s.Plan.From || year > s.Plan.To || c.On > today:
		return nil, ErrYear.At("/on")
	case !i.fits(c.Value):
		return nil, ErrValue.At("/value")
	case c.Source == "":
		return nil, ErrSource.At("/source")
	case had && old == c.Value:
		return nil, nil
	}
	return []Event{Reported(c)}, nil
}

func same(a, b Plan) bool {
	return a.ID == b.ID && a.NameZH == b.NameZH && a.NameEN == b.NameEN && a.From == b.From && a.To == b.To && a.Source == b.Source &&
		slices.EqualFunc(a.Indicators, b.Indicators, func(x, y Indicator) bool {
			xy, yy, xa, ya := x.Yearly, y.Yearly, x.Areas, y.Areas
			x.Yearly, y.Yearly, x.Areas, y.Areas = nil, nil, nil, nil
			return maps.Equal(xy, yy) && maps.Equal(xa, ya) && x.scalar() == y.scalar()
		})
}

// scalar is an indicator without its tables, to be compared.
func (i Indicator) scalar() [11]string {
	return [11]string{i.Code, i.NameZH, i.NameEN, i.Measure, i.Kind, i.Op, strconv.FormatInt(i.Target, 10), i.Attribute, i.PartOf, i.Derived, i.Note}
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Loaded:
		s.Plan = &e.Plan
	case TargetSet:
		s.Targets = with(s.Targets, Key{e.Indicator, e.Area, e.Year}, e.Value)
	case Reported:
		s.Reported = with(s.Reported, Point{e.Indicator, e.Area, e.On}, e.Value)
	}
	return s
}

// with is m with one entry more; m stays as it is, since older states share it.
func with[K comparable](m map[K]int64, k K, v int64) map[K]int64 {
	out := maps.Clone(m)
	if out == nil {
		out = map[K]int64{}
	}
	out[k] = v
	return out
}
