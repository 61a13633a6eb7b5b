package rentindex_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/index"
	"zujian/domain/listing"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// TestPartsAreTheWhole: an index kept in any number of parts, each at its own pace, is byte for byte the one kept whole:
// with the percentile gate, corrections that move a home, late filings, removals, asking rents and releases.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	base := month(t, "2026-01")
	rapid.Check(t, func(rt *rapid.T) {
		m := model()
		if rapid.Bool().Draw(rt, "percentiles") {
			m.Gate.LowBP, m.Gate.HighBP, m.Gate.After = 1000, 9000, 5
		}
		events := history(rt, base)
		whole, parts := comparedInParts(t, rt, m, events)
		for _, q := range []rentindex.Query{
			{Area: rentindex.City, Population: rentindex.New, Method: rentindex.Hedonic},
			{Area: rentindex.City, Population: rentindex.Stock, Method: rentindex.Median},
			{Area: rentindex.City, Population: rentindex.New, Method: rentindex.Repeat},
		} {
			q.Now = base + 14
			want, err := whole.series(t, q)
			got, err2 := parts.series(t, q)
			if diff := cmp.Diff(got, want); diff != "" || err != nil || err2 != nil {
				rt.Fatalf("%+v: parts, whole (%v, %v)\n%s", q, err2, err, diff)
			}
		}
	})
}

// comparedInParts gives the events to a whole and to parts, and compares every row.
func comparedInParts(t *testing.T, rt *rapid.T, m rentindex.Model, events []projections.Event) (*bench, *parted) {
	whole, parts := newBench(t, m), newParted(t, m, rapid.IntRange(2, 7).Draw(rt, "parts"))
	whole.apply(t, slices.Clone(events)...)
	parts.run(t, rt, events)
	if diff := cmp.Diff(parts.content(t), whole.content(t)); diff != "" {
		rt.Fatalf("%d parts, whole\n%s", len(parts.at), diff)
	}
	return whole, parts
}

// TestPartsKnowTheGate: what the gate set aside, in whatever part its home lies, is taken out again as what it was.
func TestPartsKnowTheGate(t *testing.T) {
	t.Parallel()
	at := month(t, "2026-01")
	m := model()
	m.Gate.LowBP, m.Gate.HighBP, m.Gate.After = 500, 9500, 40
	var events []projections.Event
	let := func(i int, yuan int64) projections.Event {
		e := filed(fmt.Sprint("contract-", i), "u", fmt.Sprint("s", i%7), fmt.Sprint("p", i), at, yuan)
		f := e.Event.(contract.Filed)
		f.Observation.Unit = fmt.Sprint("home ", i)
		e.Event = f
		return e
	}
	for i := range 60 {
		events = append(events, let(i, int64(40+i%20)))
	}
	for i := 60; i < 80; i++ {
		e := let(i, 190)
		gone := e.Event.(contract.Filed).Observation
		events = append(events, e, projections.Event{Stream: e.Stream, Event: contract.FilingCancelled{Observations: []domain.Observation{gone}}})
	}
	aside := newBench(t, m)
	aside.apply(t, slices.Clone(events[:61])...)
	if aside.content(t)["a/2026-01/u/OUT_OF_PERCENTILE"] == "" {
		t.Fatal("the gate let it in")
	}
	rapid.Check(t, func(rt *rapid.T) { comparedInParts(t, rt, m, events) })
}

// history is what may happen in a city of random names, so that areas, homes and listings lie in any parts.
func history(t *rapid.T, base domain.Month) (events []projections.Event) {
	salt := rapid.StringMatching(`[a-z]{0,2}`).Draw(t, "salt")
	var lives []*life
	revisions := map[string]eventstore.Revision{}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		n := len(events)
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			stream := fmt.Sprint("contract-", len(lives)+rapid.IntRange(0, 3).Draw(t, "renewing"))
			e := contract.Drafted{}
			if rapid.IntRange(0, 3).Draw(t, "renewal") > 0 {
				e.Subject.Renewal = &contract.RenewalFacts{MonthlyRentFen: 200_000}
			}
			events = append(events, projections.Event{Stream: stream, Event: e})
		case 1, 2:
			events = append(events, asked(t, base, salt)...)
		case 3:
			v := rapid.IntRange(1, 3).Draw(t, "vintage")
			events = append(events, projections.Event{Stream: "index-" + base.String(), Event: index.Computed{Version: v}})
		default:
			e := step(t, &lives, base)
			salted(&e, salt)
			events = append(events, e)
		}
		for i := n; i < len(events); i++ {
			events[i].Revision = revisions[events[i].Stream]
			revisions[events[i].Stream]++
		}
	}
	return events
}

// asked is one listing's life, or a piece of it.
func asked(t *rapid.T, base domain.Month, salt string) (out []projections.Event) {
	stream := fmt.Sprint("listing-", salt, rapid.IntRange(0, 3).Draw(t, "listing"))
	o := observation(t, base)
	offer := listing.Offer{RentFen: o.RentFen, AreaC: o.AreaC, Owner: o.Lessor}
	for _, e := range []domain.Event{
		listing.Drafted{Offer: offer},
		listing.Submitted{ReportUnit: o.ReportUnit + salt, Street: o.Street + salt},
		listing.Published{On: o.Month.First()},
		listing.Revoked{},
	} {
		if rapid.IntRange(0, 4).Draw(t, "said") > 0 {
			out = append(out, projections.Event{Stream: stream, Event: e})
		}
	}
	return out
}

// salted renames the places and homes of an event. Some contracts have no street, and one street lies
// now in this unit and now in that.
func salted(e *projections.Event, salt string) {
	in := func(o domain.Observation) domain.Observation {
		o.ReportUnit += salt
		switch o.Street += salt; o.Bedrooms {
		case 4:
			o.Street = "moves" + salt // From one unit to another.
		case 5:
			o.Street = ""
		}
		if o.Unit != "" {
			o.Unit += salt
		}
		return o
	}
	at := func(o *domain.Observation) *domain.Observation {
		if o == nil {
			return nil
		}
		moved := in(*o)
		return &moved
	}
	switch x := e.Event.(type) {
	case contract.Filed:
		x.Observation = in(x.Observation)
		e.Event = x
	case contract.LegacyRecorded:
		x.Observation = in(x.Observation)
		e.Event = x
	case contract.Amended:
		x.ObservationBefore, x.Observation = at(x.ObservationBefore), at(x.Observation)
		e.Event = x
	case contract.Terminated:
		x.ObservationBefore, x.Observation = at(x.ObservationBefore), at(x.Observation)
		e.Event = x
	case contract.FilingCancelled:
		x.Observations = slices.Clone(x.Observations)
		for i, o := range x.Observations {
			x.Observations[i] = in(o)
		}
		e.Event = x
	}
}

// parted is a bench whose view is kept in parts.
type parted struct {
	bench
	joined *projections.Joined
	kept   []projections.Projection
	at     []int // Events each part has taken in.
}

func newParted(t testing.TB, m rentindex.Model, of int) *parted {
	t.Helper()
	p := &parted{at: make([]int, of)}
	p.p = rentindex.Projection{Model: m}
	p.joined = projections.Join(&p.views, []projections.Projection{p.p})
	p.kept = projections.PartsOf(p.p, of)
	if err := projections.SetParts(t.Context(), &p.views, p.p.Name(), of); err != nil {
		t.Fatal(err)
	}
	for _, part := range p.kept {
		if err := p.views.Activate(t.Context(), part.Name(), part.Version()); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// run gives the events to the parts, each in batches of its own, and looks at the whole now and then.
func (p *parted) run(t *testing.T, rt *rapid.T, events []projections.Event) {
	left := map[int]bool{}
	for i := range p.at {
		if len(events) > 0 {
			left[i] = true
		}
	}
	for len(left) > 0 {
		i := rapid.SampledFrom(slices.Sorted(maps.Keys(left))).Draw(rt, "part")
		n := rapid.IntRange(1, len(events)-p.at[i]).Draw(rt, "batch")
		part := p.kept[i]
		var batch []projections.Event
		for j := p.at[i]; j < p.at[i]+n; j++ {
			if e := events[j]; !part.(projections.Skipper).Skips(recorded(rt, e)) {
				e.Position = eventstore.Position(j + 1)
				batch = append(batch, e)
			}
		}
		err := p.views.Batch(t.Context(), part.Name(), part.Version(), eventstore.Position(p.at[i]), eventstore.Position(p.at[i]+n), func(v projections.View) error {
			return part.Apply(t.Context(), v, batch)
		})
		if err != nil {
			rt.Fatal(err)
		}
		if p.at[i] += n; p.at[i] == len(events) {
			delete(left, i)
		}
	}
}

// recorded is an event as it stands in the log.
func recorded(t *rapid.T, e projections.Event) eventstore.Recorded {
	data, err := json.Marshal(e.Event)
	if err != nil {
		t.Fatal(err)
	}
	r := eventstore.Recorded{Stream: e.Stream, Revision: e.Revision}
	r.Type, r.Data = e.Event.EventType(), data
	return r
}

// TestPartsApart: while one part is ahead, the whole stands where the last one stands, and gives no release.
func TestPartsApart(t *testing.T) {
	t.Parallel()
	at := month(t, "2026-01")
	p := newParted(t, model(), 3)
	for i, upTo := range []eventstore.Position{1, 2, 2} {
		err := p.views.Batch(t.Context(), p.kept[i].Name(), p.kept[i].Version(), 0, upTo, func(projections.View) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	p.read(t, func(r projections.Reader) error {
		if r.Position() != 1 {
			t.Errorf("the whole stands at %d", r.Position())
		}
		if _, err := p.p.Vintage(t.Context(), r, at); !errors.Is(err, projections.ErrBehind) {
			t.Errorf("a release of two positions: %v", err)
		}
		return nil
	})
	if err := p.views.Batch(t.Context(), p.kept[0].Name(), p.kept[0].Version(), 1, 2, func(projections.View) error { return nil }); err != nil {
		t.Fatal(err)
	}
	p.read(t, func(r projections.Reader) error {
		if _, err := p.p.Vintage(t.Context(), r, at); r.Position() != 2 || err != nil {
			t.Errorf("at %d: %v", r.Position(), err)
		}
		return nil
	})
}

func (p *parted) read(t testing.TB, f func(projections.Reader) error) {
	t.Helper()
	if err := p.joined.Read(t.Context(), p.p.Name(), f); err != nil {
		t.Fatal(err)
	}
}

func (p *parted) content(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	p.read(t, func(r projections.Reader) error {
		last := ""
		for pair, err := range r.Scan(t.Context(), "", "", true) {
			if err != nil {
				return err
			}
			if last != "" && pair.Key >= last {
				t.Errorf("%q after %q, backwards", pair.Key, last)
			}
			last, all[pair.Key] = pair.Key, string(pair.Value)
		}
		for pair, err := range r.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			if value, ok, err := r.Get(t.Context(), pair.Key); !ok || err != nil || string(value) != all[pair.Key] || all[pair.Key] != string(pair.Value) {
				t.Errorf("%s: scanned %q and %q, got %q, %v", pair.Key, pair.Value, all[pair.Key], value, err)
			}
		}
		return nil
	})
	return all
}

func (p *parted) series(t testing.TB, q rentindex.Query) (res *rentindex.Result, err error) {
	t.Helper()
	p.read(t, func(r projections.Reader) error {
		res, err = p.p.Series(t.Context(), r, q)
		return nil
	})
	return res, err
}
