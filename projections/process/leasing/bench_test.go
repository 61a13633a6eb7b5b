package leasing_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/unit"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	"zujian/projections/pebbleviews"
	"zujian/projections/process"
	"zujian/projections/process/leasing"
)

// BenchmarkFilings answers what filings in one call wrote, of which nothing is left to do.
func BenchmarkFilings(b *testing.B) {
	const filings = 10_000
	catalogue := domain.NewCatalogue(contract.Types, unit.Types, escrow.Types)
	var log memory.Store
	end := domain.DayOf(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	room, n := []byte(nil), uint64(0)
	id := func() string {
		n++
		var u uuid.UUID
		binary.BigEndian.PutUint64(u[:], n*0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(u[8:], n)
		return u.String()
	}
	write := func(stream string, events ...domain.Event) {
		var out []eventstore.NewEvent
		for _, e := range events {
			w, err := catalogue.Write(&room, e)
			if err != nil {
				b.Fatal(err)
			}
			out = append(out, eventstore.NewEvent{ID: uuid.MustParse(id()), Type: w.Type.Name, Data: w.Data, Meta: eventstore.Metadata{
				Schema: w.Type.Version, Actor: "a", Role: "broker", Command: "c", Correlation: "c", At: time.UnixMicro(1), Policy: 1,
			}})
		}
		if _, err := log.Append(b.Context(), stream, eventstore.AnyRevision, out...); err != nil {
			b.Fatal(err)
		}
	}
	for range filings {
		c, u := id(), id()
		write("unit-"+u, unit.Reserved{Contract: c, Kind: contract.KindOut, Until: end, ExpiresAt: time.UnixMicro(1)})
		write("contract-"+c, contract.Drafted{Terms: contract.Terms{Unit: u, Kind: contract.KindOut, End: end, MonthlyRentFen: 500000}}, contract.Filed{FilingNo: "1"})
		write("unit-"+u, unit.Leased{Contract: c, Kind: contract.KindOut, Until: end})
		write("escrow-"+c, escrow.FundsExpected{Contract: c, Unit: u})
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		views, err := pebbleviews.Open(b.TempDir(), pebbleviews.Options{Scratch: true})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		r := process.Runner{
			Aggregates: aggregate.Runner{Store: &log, Catalogue: catalogue}, Views: views, Now: time.Now,
			Policy: func(context.Context) (domain.Policy, error) { return domain.Policy{}, nil },
		}
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx, []process.Process{leasing.Process{}}) }()
		err = r.WaitIdle(ctx)
		b.StopTimer()
		cancel()
		if err := errors.Join(err, <-done, views.Close()); err != nil {
			b.Fatal(err)
		}
		if s := r.Status()[0]; s.Sent > filings/20 {
			b.Fatalf("%+v", s)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*filings), "ns/filing")
}
