package whatif

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// IndexEffect is what a change does to the rent index: it is computed from the log as it is, and once more without the
// contracts that would be refused, or with their rents capped.
type IndexEffect struct {
	Changed    bool          `json:"changed"`
	Out        int           `json:"contracts_out"`
	Capped     int           `json:"contracts_capped"`
	Amendments int           `json:"amendments_out"`
	Series     []IndexSeries `json:"series"` // The city, and each reporting unit with such a contract.
}

// IndexSeries is one area's series of new lettings, twice.
type IndexSeries struct {
	Area       string       `json:"area"`
	Population string       `json:"population"`
	Method     string       `json:"method"`
	InputsThen string       `json:"inputs_sha256_then"`
	InputsNow  string       `json:"inputs_sha256_now"`
	Points     []IndexPoint `json:"points"`
}

// IndexPoint is one month. What may not be shown is null. Both indices are 100 in the first month that both show.
type IndexPoint struct {
	Month         domain.Month `json:"month"`
	NThen         *int64       `json:"n_then"` // Contracts.
	NNow          *int64       `json:"n_now"`
	Then          *float64     `json:"index_then"`
	Now           *float64     `json:"index_now"`
	MedianThenFen *float64     `json:"median_then_fen"` // Per ㎡ and month.
	MedianNowFen  *float64     `json:"median_now_fen"`
}

// rents are the contracts whose rents the index would not have, or have otherwise.
type rents struct {
	touched    map[string]*rewritten // By contract id.
	units      map[string]bool
	amendments int
}

// rewritten is one contract: out of the figures, or with a highest rent, or without some of its amendments.
type rewritten struct {
	out      bool
	cap      domain.Fen
	dropped  map[string]bool      // Amendment ids.
	segments []domain.Observation // As the changed figures have them.
}

func (r *rents) begin() { *r = rents{touched: map[string]*rewritten{}, units: map[string]bool{}} }

func (r *rents) of(id string) *rewritten {
	if r.touched[id] == nil {
		r.touched[id] = &rewritten{dropped: map[string]bool{}}
	}
	return r.touched[id]
}

// decided takes note of a contract refused or above the ceiling, or of an amendment refused.
func (r *rents) decided(d *desk.Decision, j judged) {
	if j.effect != Refused && j.effect != OverCeiling {
		return
	}
	id := aggregate.ID(d.Stream)
	switch {
	case mayCap(d.Kind) || j.effect == OverCeiling:
		x := r.of(id)
		switch {
		case j.cap == 0:
			x.out = true
		case x.cap == 0 || j.cap < x.cap:
			x.cap = j.cap
		}
	case d.Kind == desk.DecisionAmendment:
		for _, e := range d.Recorded {
			if a, ok := e.(contract.Amended); ok {
				r.of(id).dropped[a.AmendmentID] = true
				r.amendments++
			}
		}
	default:
		return
	}
	r.units[d.Concern.ReportUnit] = true
}

// otherRents is the log as the index would have seen it.
type otherRents struct {
	eventstore.Store
	types   domain.Catalogue
	touched map[string]*rewritten
}

// All yields the log with the events of the contracts touched rewritten.
func (o otherRents) All(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for rec, err := range o.Store.All(ctx, after) {
			keep := true
			if err == nil {
				rec, keep, err = o.rewrite(rec)
			}
			if keep && !yield(rec, err) {
				return
			}
		}
	}
}

func (o otherRents) rewrite(rec eventstore.Recorded) (_ eventstore.Recorded, keep bool, err error) {
	x := o.touched[aggregate.ID(rec.Stream)]
	if x == nil {
		return rec, true, nil
	}
	e, err := o.types.Decode(rec.Type, rec.Meta.Schema, rec.Data)
	if err != nil {
		return rec, true, err
	}
	c, ok := e.(contract.Event)
	if !ok {
		return rec, true, nil
	}
	changed, keep := x.event(c)
	if !keep {
		return rec, false, nil
	}
	if rec.Data, err = json.Marshal(changed); err != nil {
		return rec, true, err
	}
	rec.Meta.Schema = o.types[rec.Type].Version
	return rec, true, nil
}

// event is what the index would have seen in place of e; keep is false for nothing.
func (x *rewritten) event(e contract.Event) (_ contract.Event, keep bool) {
	switch e := e.(type) {
	case contract.Filed:
		if x.out {
			return e, false
		}
		e.Observation = x.capped(e.Observation)
		x.segments = []domain.Observation{e.Observation}
		return e, true
	case contract.Amended:
		return x.amended(e)
	case contract.Terminated:
		n := len(x.segments)
		if e.ObservationBefore == nil || n == 0 {
			return e, e.ObservationBefore == nil
		}
		before := x.segments[n-1]
		e.ObservationBefore = &before
		if e.Observation == nil {
			x.segments = x.segments[:n-1]
			return e, true
		}
		after := before
		after.To = min(after.To, e.Observation.To)
		x.segments[n-1] = after
		e.Observation = &after
		return e, true
	case contract.FilingCancelled:
		e.Observations = x.segments
		return e, len(x.segments) > 0
	case contract.Annulled:
		e.Observations = x.segments
		return e, len(x.segments) > 0
	}
	return e, true
}

func (x *rewritten) amended(e contract.Amended) (contract.Event, bool) {
	n := len(x.segments)
	switch {
	case e.Observation == nil || e.ObservationBefore == nil:
		return e, true
	case n == 0 || x.dropped[e.AmendmentID]:
		return e, false
	}
	before := x.segments[n-1]
	after := before
	after.RentFen, after.To = e.Observation.RentFen, e.Observation.To
	after = x.capped(after)
	if after.RentFen != before.RentFen {
		after.From = max(before.From, e.Observation.From)
	}
	if after.RentFen == before.RentFen && after.To == before.To {
		return e, false
	}
	e.ObservationBefore, e.Observation = &before, &after
	if after.From <= before.From {
		x.segments[n-1] = after
		return e, true
	}
	x.segments[n-1].To = after.From - 1
	x.segments = append(x.segments, after)
	return e, true
}

func (x *rewritten) capped(o domain.Observation) domain.Observation {
	if x.cap > 0 && o.RentPer == "" {
		o.RentFen = min(o.RentFen, x.cap)
	}
	return o
}

// index computes the series twice.
func (s *Simulation) index(ctx context.Context) error {
	res := &s.res.Index
	res.Series, res.Amendments = []IndexSeries{}, s.rents.amendments
	for _, x := range s.rents.touched { // Counts: the order does not matter.
		switch {
		case x.out:
			res.Out++
		case x.cap > 0:
			res.Capped++
		}
	}
	if len(s.rents.touched) == 0 {
		return nil
	}
	then, err := projections.Replay(ctx, s.o.Store, s.o.Catalogue, s.o.Index, s.head.Position)
	if err != nil {
		return err
	}
	other := otherRents{s.o.Store, s.o.Catalogue, s.rents.touched}
	now, err := projections.Replay(ctx, other, s.o.Catalogue, s.o.Index, s.head.Position)
	if err != nil {
		return fmt.Errorf("index without what would be refused: %w", err)
	}
	areas := []string{}
	for unit := range s.rents.units {
		if unit != "" {
			areas = append(areas, unit)
		}
	}
	slices.Sort(areas)
	for _, area := range append([]string{rentindex.City}, areas...) {
		series, err := s.series(ctx, then, now, area)
		if errors.Is(err, rentindex.ErrUnknown) { // Nothing of it was ever counted, or nothing would be left.
			continue
		}
		if err != nil {
			return err
		}
		res.Changed = res.Changed || series.InputsThen != series.InputsNow
		res.Series = append(res.Series, series)
	}
	return nil
}

func (s *Simulation) series(ctx context.Context, then, now projections.Reader, area string) (out IndexSeries, err error) {
	q := rentindex.Query{Area: area, Population: rentindex.New, Method: rentindex.Hedonic, To: s.last.Month(), Now: s.last.Month()}
	out = IndexSeries{Area: area, Population: q.Population, Method: q.Method, Points: []IndexPoint{}}
	at := map[domain.Month]int{}
	point := func(m domain.Month) *IndexPoint {
		i, ok := at[m]
		if !ok {
			i = len(out.Points)
			at[m] = i
			out.Points = append(out.Points, IndexPoint{Month: m})
		}
		return &out.Points[i]
	}
	for i, r := range []projections.Reader{then, now} {
		res, err := s.o.Index.Series(ctx, r, q)
		if err != nil {
			return out, err
		}
		levels, err := s.o.Index.Levels(ctx, r, q)
		if err != nil {
			return out, err
		}
		for _, p := range res.Points {
			x, n := point(p.Month), &p.N
			if p.LogIndex == nil {
				n = nil
			}
			if i == 0 {
				x.NThen, x.Then, out.InputsThen = n, p.LogIndex, res.InputsSHA256
			} else {
				x.NNow, x.Now, out.InputsNow = n, p.LogIndex, res.InputsSHA256
			}
		}
		for _, l := range levels.Levels {
			if i == 0 {
				point(l.Month).MedianThenFen = l.MedianFen
			} else {
				point(l.Month).MedianNowFen = l.MedianFen
			}
		}
	}
	slices.SortFunc(out.Points, func(a, b IndexPoint) int { return int(a.Month) - int(b.Month) })
	base := slices.IndexFunc(out.Points, func(p IndexPoint) bool { return p.Then != nil && p.Now != nil })
	for i := range out.Points { // Logs until here.
		p := &out.Points[i]
		if base < 0 {
			p.Then, p.Now = nil, nil
		} else if i != base {
			p.Then, p.Now = rebased(p.Then, *out.Points[base].Then), rebased(p.Now, *out.Points[base].Now)
		}
	}
	if base >= 0 {
		hundred := 100.0
		out.Points[base].Then, out.Points[base].Now = &hundred, &hundred
	}
	return out, nil
}

func rebased(log *float64, base float64) *float64 {
	if log == nil {
		return nil
	}
	index := 100 * math.Exp(*log-base)
	return &index
}
