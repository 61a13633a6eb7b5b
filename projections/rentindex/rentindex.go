// Package rentindex keeps the rent index (租金指数): exact sums of filed rents per population, reporting unit, street
// and month, and computes from them on request the series that may be shown. It owns what of a contract is an
// observation of which month, the range gate, and the disclosure rule; the arithmetic is package stat.
//
// Two populations are never mixed: new lettings (新签) count a contract once, in its month of signing at its first rent;
// the stock (在租) counts it in every month it is in force, at its rent of that month.
//
// # Decisions
//
// The stock is kept as differences: a rent enters a cell of the month it starts, and a cell of the month after it
// ends. A month's stock is the sum of all entries up to it less the leavers, exactly, since sums are integers. So a filing
// costs two cells however long its term, and a query walks the months once. A rent whose end is unknown is left out of
// the stock and counted as OPEN_END: it would stay in force for ever.
//
// Cells are cut by street, the finest area a series exists for; units and the city are merges, the city with a dummy
// for each unit. A figure can so be recomputed for another cut of areas without replay.
//
// The percentile gate judges an observation when it arrives, against what has arrived by then: a pure function of the
// log's order. Its verdict is kept (as the listing), so that a removal undoes what the addition did.
//
// The disclosure rule is judged exactly, from the counts by lessor of the months asked for: a query reads one key for each
// lessor, area and month of its window (the stock's: since its beginning). 60,000 contracts of three years answer in 0.1 s.
//
// One process keeps the whole index until one core no longer can; then it is kept in parts, see parts.go.
//
// Leading months that may not be shown are left out of the fit, so that the base of a series is a month that may.
package rentindex

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/index"
	"zujian/domain/listing"
	"zujian/projections"
	"zujian/projections/rentindex/stat"
)

// Populations.
const (
	New   = "new"   // 新签: contracts by month of signing.
	Stock = "stock" // 在租: contracts in force in a month.
)

// applyVersion is raised when the meaning of Apply changes; a model's own version counts below it.
const applyVersion = 4

// Projection keeps one model's cells. cmd/zujian/registry.go lists it.
type Projection struct {
	Model Model
	part  partition // Of which this keeps the rows; the zero partition is the whole.
}

// Name implements projections.Projection.
func (p Projection) Name() string {
	name := p.Model.View
	if name == "" {
		name = "rentindex"
	}
	return projections.PartName(name, p.part.index, p.part.of)
}

// Version implements projections.Projection.
func (p Projection) Version() int { return applyVersion*1000 + p.Model.Version }

// Types implements projections.Projection.
func (Projection) Types() []string {
	return []string{
		contract.Filed{}.EventType(), contract.LegacyRecorded{}.EventType(), contract.Amended{}.EventType(),
		contract.Terminated{}.EventType(), contract.FilingCancelled{}.EventType(), contract.Annulled{}.EventType(),
		contract.Drafted{}.EventType(), listing.Drafted{}.EventType(), listing.Edited{}.EventType(), listing.Submitted{}.EventType(),
		listing.Published{}.EventType(), listing.Revoked{}.EventType(),
		index.Computed{}.EventType(), index.Reviewed{}.EventType(), index.Released{}.EventType(), index.Withdrawn{}.EventType(),
	}
}

// Aside is one observation set aside, for the list a regulator reads.
type Aside struct {
	Stream     string       `json:"stream"`
	Month      domain.Month `json:"month"`
	From       domain.Month `json:"from"`
	ReportUnit string       `json:"report_unit,omitempty"`
	Street     string       `json:"street,omitempty"`
	RentFen    domain.Fen   `json:"rent_fen"`
	AreaC      int64        `json:"area_c,omitempty"`
	Reason     string       `json:"reason"`
}

// Keys. Names are escaped, so that none holds a slash; months sort as text.
//
//	c/<set>/<month>/<unit>/<street>           cell; set is new, in (enters the stock) or out (leaves it)
//	l/<set>/<month>/<unit>/<street>/<lessor>  contracts of that lessor among them
//	q/<set>/<month>/<unit>/<street>           values (fen, per ㎡ with PerArea) by stratum, for medians and quartiles
//	p/<month>/<unit>/<street>                 pairs of successive new lettings of one home, by the month of the later
//	v/<home>                                  its new lettings in order
//	a/<month>/<unit>/<reason>                 observations set aside
//	x/<stream>/<from>                         one of them
//	h/<month>                                 observations by class of y, for the percentile gate
//	s/<stream>                                segments by rent, when there are more than one
//	u/<unit>, r/<street>                      the areas seen; a street's unit
//	i/…, j/…                                  releases, see releases.go
//	t/…, g/…, k/…                             renewals and asking rents, see comparison.go
const (
	setNew = "new"
	setIn  = "in"
	setOut = "out"
)

func escaped(s string) string {
	if s == "" {
		return "-"
	}
	if s == "-" {
		return "%2D"
	}
	return url.PathEscape(s)
}

func cellAt(o domain.Observation, set string, m domain.Month) string {
	return set + "/" + m.String() + "/" + escaped(o.ReportUnit) + "/" + escaped(o.Street)
}

func asideKey(stream string, o domain.Observation) string {
	return "x/" + escaped(stream) + "/" + o.From.String()
}

// Apply implements projections.Projection.
func (p Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	b := &work{
		ctx: ctx, v: v, m: &p.Model, cells: map[string]*stat.Cell{}, counts: map[string]int64{},
		bins: map[domain.Month]map[int64]int64{}, years: map[domain.Month]map[int64]int64{}, part: p.part,
		units: map[string]bool{}, streets: map[string]string{}, entries: map[spot]*entry{},
		strata: map[string]stat.Strata{}, pairs: map[string]*stat.Pairs{}, chains: map[string]stat.Chain{},
	}
	for _, e := range batch {
		if err := b.apply(e); err != nil {
			return fmt.Errorf("rentindex: %s at %d: %w", e.Stream, e.Position, err)
		}
	}
	b.flush()
	return nil
}

// work is one batch: what it read and changed, written once at the end.
type work struct {
	ctx    context.Context
	v      projections.View
	m      *Model
	cells  map[string]*stat.Cell
	strata map[string]stat.Strata
	pairs  map[string]*stat.Pairs
	chains map[string]stat.Chain
	counts map[string]int64
	bins   map[domain.Month]map[int64]int64
	part   partition
	years  map[domain.Month]map[int64]int64 // Sums of twelve months of bins.

	entries map[spot]*entry   // Those of cells and strata that enter met.
	units   map[string]bool   // Areas written down in this batch,
	streets map[string]string // and the unit written down last of each.
}

// spot is where a rent enters: many of a batch enter at one, and its keys are made once.
type spot struct {
	set          string
	month        domain.Month
	unit, street string
}

// entry is what stands at a spot.
type entry struct {
	at     string // What its keys have in common.
	cell   *stat.Cell
	strata stat.Strata
}

func (b *work) apply(e projections.Event) error {
	switch x := e.Event.(type) {
	case contract.Filed:
		return b.add(e.Stream, x.Observation, true)
	case contract.LegacyRecorded:
		return b.add(e.Stream, x.Observation, true)
	case contract.Amended:
		if x.Observation == nil || x.ObservationBefore == nil {
			return nil
		}
		return b.amend(e.Stream, *x.ObservationBefore, *x.Observation)
	case contract.Terminated:
		if x.ObservationBefore == nil {
			return nil
		}
		segments, err := b.count("s/" + escaped(e.Stream))
		if err != nil {
			return err
		}
		if x.Observation == nil {
			return b.remove(e.Stream, *x.ObservationBefore, segments < 2)
		}
		return b.replace(e.Stream, *x.ObservationBefore, *x.Observation, segments < 2)
	case contract.FilingCancelled:
		return b.removeAll(e.Stream, x.Observations)
	case contract.Annulled:
		return b.removeAll(e.Stream, x.Observations)
	}
	if err := b.compare(e); err != nil {
		return err
	}
	return b.release(e)
}

// amend replaces the last segment by rent, or closes it and opens another (see contract.Amended).
func (b *work) amend(stream string, before, after domain.Observation) error {
	key := "s/" + escaped(stream)
	segments, err := b.count(key)
	if err != nil {
		return err
	}
	first := segments < 2
	if after.From <= before.From {
		return b.replace(stream, before, after, first)
	}
	b.counts[key] = max(segments, 1) + 1
	closed := before
	closed.To = after.From - 1
	if err := b.replace(stream, before, closed, first); err != nil {
		return err
	}
	return b.add(stream, after, false)
}

func (b *work) removeAll(stream string, all []domain.Observation) error {
	b.counts["s/"+escaped(stream)] = 0
	for i, o := range all {
		if err := b.remove(stream, o, i == 0); err != nil {
			return err
		}
	}
	return nil
}

// replace keeps the gate's verdict, and the new-lettings cell untouched, when only the end moves.
func (b *work) replace(stream string, before, after domain.Observation, first bool) error {
	moved := before
	moved.To = after.To
	raw1, err1 := json.Marshal(moved)
	raw2, err2 := json.Marshal(after)
	if err1 != nil || err2 != nil || string(raw1) != string(raw2) {
		if err := b.remove(stream, before, first); err != nil {
			return err
		}
		return b.add(stream, after, first)
	}
	if !b.part.place(before) {
		return nil
	}
	s, reason := b.m.observe(before)
	if _, listed, err := b.v.Get(b.ctx, asideKey(stream, before)); err != nil || listed || reason != "" {
		return err
	}
	if err := b.stock(before, s, -1); err != nil {
		return err
	}
	return b.stock(after, s, +1)
}

// add takes an observation in: to the stock, and if it is the contract's first also to the new lettings. The gate counts
// it in every part.
func (b *work) add(stream string, o domain.Observation, first bool) error {
	place, home := b.part.place(o), b.part.home(o)
	s, reason := b.m.observe(o)
	if reason == "" {
		if err := b.countBin(o, s, +1); err != nil || !place && !home {
			return err
		}
		outside, err := b.gate(o, s)
		if err != nil {
			return err
		}
		if outside {
			reason = AsidePercentile
		}
	}
	if reason != "" {
		return b.setAside(stream, o, reason, place, home)
	}
	if place {
		b.knows(o)
		if err := b.stock(o, s, +1); err != nil {
			return err
		}
	}
	if !first {
		return nil
	}
	return b.let(stream, o, s, +1)
}

// setAside counts and lists what is set aside. The part of the home, too, must know of a verdict that it can't find again.
func (b *work) setAside(stream string, o domain.Observation, reason string, place, home bool) error {
	if o.Excluded == "" && (place || home && reason == AsidePercentile) {
		projections.Put(b.v, asideKey(stream, o), Aside{
			Stream: stream, Month: o.Month, From: o.From, ReportUnit: o.ReportUnit, Street: o.Street,
			RentFen: o.RentFen, AreaC: o.AreaC, Reason: reason,
		})
	}
	if !place {
		return nil
	}
	return b.bump(asideCount(o, reason), +1)
}

// knows writes the areas of an observation down, once a batch.
func (b *work) knows(o domain.Observation) {
	if !b.units[o.ReportUnit] {
		b.units[o.ReportUnit] = true
		b.v.Set("u/"+escaped(o.ReportUnit), []byte("1"))
	}
	if o.Street != "" && b.streets[o.Street] != o.ReportUnit {
		b.streets[o.Street] = o.ReportUnit
		b.v.Set("r/"+escaped(o.Street), []byte(o.ReportUnit))
	}
}

// let counts a new letting, and pairs it with those of the same home before and after it; sign -1 takes it out.
func (b *work) let(stream string, o domain.Observation, s stat.Observation, sign int64) error {
	if b.part.place(o) {
		if err := b.enter(setNew, o.Month, o, s, sign); err != nil {
			return err
		}
		if err := b.renewal(stream, o, sign); err != nil {
			return err
		}
	}
	if !b.part.home(o) {
		return nil
	}
	return b.chain(stream, o, s, sign)
}

// remove undoes add.
func (b *work) remove(stream string, o domain.Observation, first bool) error {
	place, home := b.part.place(o), b.part.home(o)
	s, reason := b.m.observe(o)
	if reason == "" {
		if err := b.countBin(o, s, -1); err != nil {
			return err
		}
	}
	if !place && !home {
		return nil
	}
	key := asideKey(stream, o)
	listed, err := projections.Get[Aside](b.ctx, b.v, key)
	if err != nil {
		return err
	}
	if listed.Reason != "" {
		reason = listed.Reason
		b.v.Delete(key)
	}
	switch {
	case reason != "" && place:
		return b.bump(asideCount(o, reason), -1)
	case reason != "":
		return nil
	}
	if place {
		if err := b.stock(o, s, -1); err != nil {
			return err
		}
	}
	if !first {
		return nil
	}
	return b.let(stream, o, s, -1)
}

func asideCount(o domain.Observation, reason string) string {
	return "a/" + o.Month.String() + "/" + escaped(o.ReportUnit) + "/" + escaped(reason)
}

// stock lets a rent enter the stock and leave it again.
func (b *work) stock(o domain.Observation, s stat.Observation, sign int64) error {
	switch {
	case o.To == 0 || o.From == 0:
		return b.bump(asideCount(o, AsideOpenEnd), sign)
	case o.To < o.From:
		return nil
	}
	if err := b.enter(setIn, o.From, o, s, sign); err != nil {
		return err
	}
	return b.enter(setOut, o.To+1, o, s, sign)
}

// enter adds s to a cell, and its lessor to those of the cell; sign -1 takes it out.
func (b *work) enter(set string, month domain.Month, o domain.Observation, s stat.Observation, sign int64) error {
	x, err := b.entry(set, month, o)
	if err != nil {
		return err
	}
	if sign > 0 {
		err = x.cell.Add(s)
	} else {
		err = x.cell.Remove(s)
	}
	if err != nil {
		return fmt.Errorf("cell %s: %w", x.at, err)
	}
	if err := b.m.level(x.strata, o, sign); err != nil {
		return fmt.Errorf("levels %s: %w", x.at, err)
	}
	if b.m.Disclosure.Lessors == 0 {
		return nil
	}
	return b.bump("l/"+x.at+"/"+escaped(o.Lessor), sign)
}

func (b *work) count(key string) (int64, error) {
	if n, ok := b.counts[key]; ok {
		return n, nil
	}
	raw, ok, err := b.v.Get(b.ctx, key)
	if err != nil || !ok {
		return 0, err
	}
	return strconv.ParseInt(string(raw), 10, 64)
}

func (b *work) bump(key string, by int64) error {
	n, err := b.count(key)
	b.counts[key] = n + by
	return err
}

// gate says whether the percentiles set aside an observation that is counted already.
func (b *work) gate(o domain.Observation, s stat.Observation) (outside bool, err error) {
	if b.m.Gate.HighBP == 0 {
		return false, nil
	}
	year := b.years[o.Month]
	if year == nil {
		year = map[int64]int64{}
		for m := o.Month - 11; m <= o.Month; m++ {
			bins, err := b.month(m)
			if err != nil {
				return false, err
			}
			for bin, n := range bins {
				year[bin] += n
			}
		}
		b.years[o.Month] = year
	}
	return b.m.Gate.outside(binOf(s.Y), year), nil
}

func (b *work) countBin(o domain.Observation, s stat.Observation, sign int64) error {
	if b.m.Gate.HighBP == 0 {
		return nil
	}
	bins, err := b.month(o.Month)
	if err != nil {
		return err
	}
	bin := binOf(s.Y)
	if bins[bin] += sign; bins[bin] == 0 {
		delete(bins, bin)
	}
	for m := o.Month; m < o.Month+12; m++ {
		if year := b.years[m]; year != nil {
			year[bin] += sign
		}
	}
	return nil
}

func (b *work) month(m domain.Month) (map[int64]int64, error) {
	if bins := b.bins[m]; bins != nil {
		return bins, nil
	}
	bins, err := projections.Get[map[int64]int64](b.ctx, b.v, binsKey(m))
	if err != nil {
		return nil, err
	}
	if bins == nil {
		bins = map[int64]int64{}
	}
	b.bins[m] = bins
	return bins, nil
}

func binsKey(m domain.Month) string { return "h/" + m.String() }
