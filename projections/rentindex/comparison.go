package rentindex

import (
	"context"
	"fmt"
	"math"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/listing"
	"zujian/projections"
	"zujian/projections/rentindex/stat"
)

// What is asked, what new tenants sign and what sitting ones do. Keys:
//
//	t/<contract stream>            rent of the contract that this one renews
//	g/<listing stream>             what the listing asks, where
//	k/<month>/<unit>/<street>      values by kind: sit (renewals), rise (their rise in basis points), ask (asking rents)
//	l/sit/…, l/ask/…               lessors of these, as of the cells
//
// New tenants are the new lettings less the renewals.
const (
	kindSitting = "sit"
	kindRise    = "rise"
	kindAsking  = "ask"
)

// asking is what a listing asks, and where; and as what it counts, which stays when the listing changes until it is published
// again.
type asking struct {
	RentFen    domain.Fen `json:"rent_fen"`
	AreaC      int64      `json:"area_c"`
	Lessor     string     `json:"lessor"`
	ReportUnit string     `json:"report_unit,omitempty"`
	Street     string     `json:"street,omitempty"`
	Counted    *counted   `json:"counted,omitempty"`
}

// counted is an asking rent among those of the month its listing was published.
type counted struct {
	Month      domain.Month `json:"month"`
	ReportUnit string       `json:"report_unit"`
	Street     string       `json:"street,omitempty"`
	Lessor     string       `json:"lessor"`
	Fen        int64        `json:"fen"`
}

// compare takes in what an event says of renewals and asking rents.
func (b *work) compare(e projections.Event) error {
	switch x := e.Event.(type) {
	case contract.Drafted:
		if prev := x.Subject.Renewal; prev != nil && prev.MonthlyRentFen > 0 {
			b.counts["t/"+escaped(e.Stream)] = int64(prev.MonthlyRentFen)
		} else if n, err := b.count("t/" + escaped(e.Stream)); err != nil || n != 0 {
			b.counts["t/"+escaped(e.Stream)] = 0
			return err
		}
		return nil
	case listing.Drafted:
		return b.offer(e.Stream, x.Offer)
	case listing.Edited:
		return b.offer(e.Stream, x.Offer)
	case listing.Submitted:
		return b.listed(e.Stream, func(a *asking) error { a.ReportUnit, a.Street = x.ReportUnit, x.Street; return nil })
	case listing.Published:
		return b.listed(e.Stream, func(a *asking) error { return b.ask(a, x.On.Month()) })
	case listing.Revoked: // A listing that was none.
		return b.listed(e.Stream, func(a *asking) error { return b.ask(a, 0) })
	}
	return nil
}

func (b *work) offer(stream string, o listing.Offer) error {
	return b.listed(stream, func(a *asking) error { a.RentFen, a.AreaC, a.Lessor = o.RentFen, o.AreaC, o.Owner; return nil })
}

func (b *work) listed(stream string, change func(*asking) error) error {
	if !b.part.has(stream) {
		return nil
	}
	key := "g/" + escaped(stream)
	a, err := projections.Get[asking](b.ctx, b.v, key)
	if err == nil {
		err = change(&a)
	}
	if err == nil {
		projections.Put(b.v, key, a)
	}
	return err
}

// ask counts a listing in a month instead of where it counts now; 0 is nowhere. The bounds of the gate hold for it too.
func (b *work) ask(a *asking, month domain.Month) error {
	if c := a.Counted; c != nil {
		if err := b.kind(kindAsking, c.Month, c.ReportUnit, c.Street, c.Fen, c.Lessor, -1); err != nil {
			return err
		}
		a.Counted = nil
	}
	o := domain.Observation{RentFen: a.RentFen, AreaC: a.AreaC}
	if month == 0 || a.ReportUnit == "" || a.RentFen <= 0 || b.m.PerArea && a.AreaC <= 0 {
		return nil
	}
	if v := b.m.value(o); v < b.m.Gate.Min || b.m.Gate.Max > 0 && v > b.m.Gate.Max {
		return nil
	}
	a.Counted = &counted{month, a.ReportUnit, a.Street, a.Lessor, b.m.fen(o)}
	return b.kind(kindAsking, month, a.ReportUnit, a.Street, a.Counted.Fen, a.Lessor, +1)
}

// renewal counts a new letting among the sitting tenants if it renews another contract.
func (b *work) renewal(stream string, o domain.Observation, sign int64) error {
	prev, err := b.count("t/" + escaped(stream))
	if err != nil || prev == 0 {
		return err
	}
	if err := b.kind(kindSitting, o.Month, o.ReportUnit, o.Street, b.m.fen(o), o.Lessor, sign); err != nil {
		return err
	}
	rise := int64(math.RoundToEven(10000 * (float64(o.RentFen)/float64(prev) - 1)))
	return b.kind(kindRise, o.Month, o.ReportUnit, o.Street, rise, "", sign)
}

func (b *work) kind(kind string, m domain.Month, unit, street string, value int64, lessor string, sign int64) error {
	place := m.String() + "/" + escaped(unit) + "/" + escaped(street)
	s, err := read(b, b.strata, "k/"+place, func() stat.Strata { return stat.Strata{} }, stat.DecodeStrata)
	if err != nil {
		return err
	}
	if sign > 0 {
		s.Of(kind).Add(value)
	} else if err := s.Of(kind).Remove(value); err != nil {
		return fmt.Errorf("%s of %s: %w", kind, place, err)
	}
	if kind == kindRise || b.m.Disclosure.Lessors == 0 {
		return nil
	}
	return b.bump("l/"+kind+"/"+place+"/"+escaped(lessor), sign)
}

// Part is one kind of rent in a month: its median, or why it is withheld.
type Part struct {
	N         int64    `json:"n"`
	MedianFen *float64 `json:"median_fen"` // Per ㎡ and month where the model is per area.
	Withheld  string   `json:"withheld,omitempty"`
}

// Comparison is one month of what is asked and what is signed, by whom.
type Comparison struct {
	Month       domain.Month `json:"month"`
	NewTenants  Part         `json:"new_tenants"`
	Sitting     Part         `json:"sitting_tenants"` // Renewals.
	RiseBP      *float64     `json:"rise_bp"`         // Median rise of rent at renewal.
	Asking      Part         `json:"asking"`          // Listings by month of publication.
	GapBP       *float64     `json:"gap_bp"`          // Median asking over median signed, less one.
	Provisional bool         `json:"provisional,omitempty"`
}

// Comparison compares asking with signed rents and new with sitting tenants, month by month, of new lettings.
func (p Projection) Comparison(ctx context.Context, r projections.Reader, q Query) ([]Comparison, error) {
	q.Population, q.Method = New, Median
	s, err := p.prepare(ctx, r, q)
	if err != nil {
		return nil, err
	}
	months, err := s.months()
	if err != nil {
		return nil, err
	}
	out := []Comparison{}
	if len(months) == 0 {
		return out, nil
	}
	levels, err := s.levels(months)
	if err != nil {
		return nil, err
	}
	for i, d := range months {
		c, err := s.compared(d, levels[i])
		if err != nil {
			return nil, err
		}
		c.Provisional = int(s.last-d.month) < s.m.ProvisionalMonths
		out = append(out, c)
	}
	return out, nil
}

func (s *series) compared(d monthData, signed stat.Strata) (c Comparison, err error) {
	c.Month = d.month
	mine := stat.Strata{}
	sit, ask, fresh := newTally(), newTally(), newTally()
	prefix := "k/" + d.month.String()
	for pair, err := range s.r.Scan(s.ctx, prefix+"/", prefix+"0", false) {
		if err != nil {
			return c, err
		}
		place, err := parseCellKey("k/" + pair.Key)
		if err != nil {
			return c, err
		}
		kinds, err := stat.DecodeStrata(pair.Value)
		if err != nil {
			return c, fmt.Errorf("%s: %w", pair.Key, err)
		}
		s.tallyPlace(sit, place, kinds.Of(kindSitting).N())
		s.tallyPlace(ask, place, kinds.Of(kindAsking).N())
		s.tallyPlace(fresh, place, -kinds.Of(kindSitting).N())
		if _, is, _ := s.sibling(place); is {
			mine.Merge(kinds)
		}
	}
	cells := "c/" + setNew + "/" + d.month.String()
	for pair, err := range s.r.Scan(s.ctx, cells+"/", cells+"0", false) {
		if err != nil {
			return c, err
		}
		place, err := parseCellKey(pair.Key)
		if err != nil {
			return c, err
		}
		n, err := stat.EncodedN(pair.Value)
		if err != nil {
			return c, err
		}
		s.tallyPlace(fresh, place, n)
	}
	for _, l := range []struct {
		t    *tally
		set  string
		sign int64
	}{{sit, kindSitting, +1}, {ask, kindAsking, +1}, {fresh, setNew, +1}, {fresh, kindSitting, -1}} {
		if err := s.addLessors(l.t, l.set, d.month, l.sign); err != nil {
			return c, err
		}
	}
	all := &stat.Multiset{}
	for _, m := range signed {
		all.Merge(m)
	}
	tenants := &stat.Multiset{}
	tenants.Merge(all)
	if err := tenants.Unmerge(mine.Of(kindSitting)); err != nil {
		return c, err
	}
	judge := func(t *tally) string { return s.m.Disclosure.judge(t, s) }
	c.NewTenants, c.Sitting, c.Asking = part(tenants, judge(fresh)), part(mine.Of(kindSitting), judge(sit)), part(mine.Of(kindAsking), judge(ask))
	s.settle(&c, d, mine, all)
	return c, nil
}

// settle withholds what the month's total would tell, and fills what compares.
func (s *series) settle(c *Comparison, d monthData, mine stat.Strata, all *stat.Multiset) {
	hidden := func(p Part) bool { return p.Withheld != "" && p.Withheld != WithheldNone }
	switch {
	case d.withheld != "":
		c.NewTenants.hide(d.withheld)
		c.Sitting.hide(d.withheld)
	case hidden(c.NewTenants) || hidden(c.Sitting): // Both together are the month's contracts, which are shown.
		c.NewTenants.hide(WithheldSecond)
		c.Sitting.hide(WithheldSecond)
	}
	if c.Sitting.Withheld == "" {
		c.RiseBP = quantile(mine.Of(kindRise), 2)
	}
	if c.Asking.Withheld == "" && d.withheld == "" {
		if signed := quantile(all, 2); signed != nil && *signed > 0 {
			v := 10000 * (*c.Asking.MedianFen / *signed - 1)
			c.GapBP = &v
		}
	}
}

func part(m *stat.Multiset, withheld string) Part {
	if withheld != "" {
		return Part{Withheld: withheld}
	}
	return Part{N: m.N(), MedianFen: quantile(m, 2)}
}

func (p *Part) hide(why string) {
	if p.Withheld == "" || p.Withheld == WithheldNone { // That there are none is told as little as how many.
		*p = Part{Withheld: why}
	}
}

// tallyPlace counts n contracts of a place among the siblings.
func (s *series) tallyPlace(t *tally, place cellKeyParts, n int64) {
	if s.street != "" {
		t.above.n[place.unit] += n
	}
	if name, _, counts := s.sibling(place); counts {
		t.n[name] += n
	}
}
