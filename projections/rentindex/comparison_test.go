package rentindex_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/listing"
	"zujian/projections"
	"zujian/projections/rentindex"
)

func (b *bench) comparison(t testing.TB, q rentindex.Query) (out []rentindex.Comparison) {
	t.Helper()
	err := b.views.Read(t.Context(), b.p.Name(), func(r projections.Reader) (err error) {
		out, err = b.p.Comparison(t.Context(), r, q)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestComparison files two renewals and three new lettings a month, and asks for more than is signed.
func TestComparison(t *testing.T) {
	t.Parallel()
	at := month(t, "2026-01")
	b := newBench(t, model())
	for i := range 5 {
		stream := fmt.Sprint("contract-", i)
		if i < 2 {
			b.apply(t, projections.Event{Stream: stream, Event: contract.Drafted{Subject: contract.Subject{Renewal: &contract.RenewalFacts{MonthlyRentFen: 200_000}}}})
		}
		b.apply(t, filed(stream, "u", "s", fmt.Sprint("p", i%3), at, []int64{42, 44, 50, 52, 54}[i])) // 50 ㎡: 2,100 and 2,200 yuan against 2,000.
	}
	for i, rent := range []domain.Fen{275_000, 275_000, 330_000, 1} {
		stream := fmt.Sprint("listing-", i)
		offer := listing.Offer{RentFen: 1, AreaC: 5000, Owner: fmt.Sprint("p", i%3)}
		b.apply(t, projections.Event{Stream: stream, Event: listing.Drafted{Offer: offer}})
		offer.RentFen = rent
		b.apply(t, projections.Event{Stream: stream, Event: listing.Edited{Offer: offer}})
		b.apply(t, projections.Event{Stream: stream, Event: listing.Submitted{ReportUnit: "u", Street: "s"}})
		b.apply(t, projections.Event{Stream: stream, Event: listing.Published{On: at.First()}})
	}
	q := rentindex.Query{Area: "u", Now: at}
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	c := b.comparison(t, q)[0]
	near("new tenants", c.NewTenants.MedianFen, 5200)
	near("sitting tenants", c.Sitting.MedianFen, 4300)
	near("rise", c.RiseBP, 750)
	near("asking", c.Asking.MedianFen, 5500)
	near("gap", c.GapBP, 1000)
	if c.NewTenants.N != 3 || c.Sitting.N != 2 || c.Asking.N != 3 { // The offer of one fen is beyond the bounds.
		t.Errorf("got %+v", c)
	}
	// A fake listing does not count, and with one renewal gone the other would tell.
	b.apply(t, projections.Event{Stream: "listing-2", Event: listing.Revoked{}})
	gone := filed("contract-1", "u", "s", "p1", at, 44).Event.(contract.Filed).Observation
	b.apply(t, projections.Event{Stream: "contract-1", Event: contract.FilingCancelled{Observations: []domain.Observation{gone}}})
	c = b.comparison(t, q)[0]
	if c.Asking.N != 2 || c.Sitting.Withheld == "" || c.NewTenants.Withheld == "" || c.RiseBP != nil {
		t.Errorf("got %+v", c)
	}
	if len(b.comparison(t, rentindex.Query{Area: rentindex.City, Now: at})) != 1 {
		t.Error("the city has no comparison")
	}
}

// TestAskingAgain: a listing published again counts anew, with whom and where it says now, and no longer as before.
func TestAskingAgain(t *testing.T) {
	t.Parallel()
	on := month(t, "2026-01").First()
	published := func(owner, street string) []projections.Event {
		return []projections.Event{
			{Stream: "listing-1", Event: listing.Edited{Offer: listing.Offer{RentFen: 275_000, AreaC: 5000, Owner: owner}}},
			{Stream: "listing-1", Event: listing.Submitted{ReportUnit: "u", Street: street}},
			{Stream: "listing-1", Event: listing.Published{On: on}},
		}
	}
	once, twice := newBench(t, model()), newBench(t, model())
	once.apply(t, published("p2", "s2")...)
	twice.apply(t, published("p1", "s1")...)
	twice.apply(t, published("p2", "s2")...)
	if diff := cmp.Diff(twice.content(t), once.content(t)); diff != "" {
		t.Errorf("published twice, once\n%s", diff)
	}
}
