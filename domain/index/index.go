// Package index decides the releases of the rent index (租金指数发布): a month's figures are computed, reviewed, approved by
// a second person and published, and from then on never change. A revision is a further vintage of the same month. It does
// not compute the figures; the projection of that name does.
//
// # Decisions
//
// The released event carries the figures whole, so that a reader of the log needs no view, and the position and hashes by
// which anyone holding the log computes them again.
package index

import (
	"reflect"
	"regexp"
	"slices"

	"zujian/domain"
)

// Decider is the index release aggregate, one stream per month.
var Decider = domain.Decider[State, Command, Event]{Category: "index", Decide: decide, Evolve: evolve}

// Rejections.
var (
	ErrNotFound = domain.Reject("index.not_found", "no such vintage was computed")
	ErrVersion  = domain.Reject("index.wrong_version", "vintages count up by one without a gap")
	ErrFourEyes = domain.Reject("index.four_eyes", "a vintage is reviewed and approved by another person than computed it")
	ErrReview   = domain.Reject("index.not_reviewed", "a vintage is reviewed before it is approved")
	ErrReason   = domain.Reject("index.reason_required", "a revision or withdrawal needs its reason")
	ErrVintage  = domain.Reject("index.invalid_vintage", "the figures of a vintage are incomplete, or of a month that is not over")
)

// State is every published vintage's place, and the one that is open.
type State struct {
	Released []Placed // In order; Released[i].Version == i+1.
	Open     *Computed
	Reviewed string // Actor who reviewed Open; "" = nobody.
}

// Placed is a published vintage without its figures, which stand in the log.
type Placed struct {
	Version  int
	On       domain.Day
	Position uint64
}

const seriesMax = 10_000

var inputsForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Compute:
		return compute(s, r, c)
	case Review:
		switch {
		case s.Open == nil || s.Open.Version != c.Version:
			return nil, done(s, c.Version)
		case s.Open.ComputedBy == r.Actor.ID:
			return nil, ErrFourEyes
		case s.Reviewed == r.Actor.ID:
			return nil, nil
		}
		return []Event{Reviewed{Version: c.Version, ReviewedBy: r.Actor.ID, Note: c.Note}}, nil
	case Approve:
		switch {
		case s.Open == nil || s.Open.Version != c.Version:
			return nil, done(s, c.Version)
		case s.Open.ComputedBy == r.Actor.ID:
			return nil, ErrFourEyes
		case s.Reviewed == "":
			return nil, ErrReview
		}
		return []Event{Released{
			Version: c.Version, On: r.Today(), Vintage: s.Open.Vintage, Reason: s.Open.Reason, ComputedBy: s.Open.ComputedBy,
			ReviewedBy: s.Reviewed, ApprovedBy: r.Actor.ID,
		}}, nil
	case Withdraw:
		switch {
		case s.Open == nil || s.Open.Version != c.Version:
			return nil, nil // Nothing of that version is open: it is as the asker wants it.
		case c.Reason == "":
			return nil, ErrReason.At("/reason")
		}
		return []Event{Withdrawn(c)}, nil
	}
	panic("index: unhandled command") // Sealed set: only a programming error gets here.
}

// done is nil for a version that is published: it is as the asker wants it.
func done(s State, version int) error {
	if version >= 1 && version <= len(s.Released) {
		return nil
	}
	return ErrNotFound
}

func compute(s State, r domain.Request[Command], c Compute) ([]Event, error) {
	e := Computed{Version: c.Version, Vintage: c.Vintage, Reason: c.Reason, ComputedBy: r.Actor.ID}
	switch {
	case s.Open != nil && reflect.DeepEqual(*s.Open, e):
		return nil, nil
	case c.Version != len(s.Released)+1:
		return nil, ErrVersion.With("next", len(s.Released)+1).At("/version")
	case c.Version > 1 && c.Reason == "":
		return nil, ErrReason.At("/reason")
	}
	v := c.Vintage
	if v.Month >= r.Today().Month() || v.Month <= 0 || v.Model == "" || len(v.Series) == 0 || len(v.Series) > seriesMax {
		return nil, ErrVintage.At("/month")
	}
	last := v.Month
	for _, x := range v.Series {
		if !inputsForm.MatchString(x.InputsSHA256) || x.Area == "" || x.Method == "" ||
			slices.ContainsFunc(x.Points, func(p Point) bool { return p.Month > last || p.Withheld != "" && p.Index != nil }) {
			return nil, ErrVintage.With("area", x.Area)
		}
	}
	return []Event{e}, nil
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Computed:
		s.Open, s.Reviewed = &e, ""
	case Reviewed:
		s.Reviewed = e.ReviewedBy
	case Released:
		s.Open, s.Reviewed = nil, ""
		s.Released = append(slices.Clip(s.Released), Placed{e.Version, e.On, e.Vintage.Position})
	case Withdrawn:
		s.Open, s.Reviewed = nil, ""
	}
	return s
}
