package pebbleviews_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/eventstore/memory"
	"zujian/projections"
	. "zujian/projections/pebbleviews"
)

// filed is the size and shape of a common event: some 550 B of JSON.
type filed struct {
	Contract  string   `json:"contract_id"`
	Unit      string   `json:"unit_id"`
	District  string   `json:"district"`
	Estate    string   `json:"estate"`
	Lessors   []string `json:"lessors"`
	Lessees   []string `json:"lessees"`
	RentFen   int64    `json:"rent_fen"`
	Deposit   int64    `json:"deposit_fen"`
	From      string   `json:"from"`
	To        string   `json:"to"`
	FilingNo  string   `json:"filing_no"`
	Hash      string   `json:"content_hash"`
	Rules     []string `json:"rules"`
	PayMonths int      `json:"pay_cycle_months"`
}

func (filed) EventType() string { return "bench.filed" }

// rows folds each event into an entity and a total, read and written.
type rows struct{ name string }

type entity struct {
	Rent  int64  `json:"rent_fen"`
	Until string `json:"until"`
	Count int    `json:"count"`
}

func (r rows) Name() string  { return r.name }
func (rows) Version() int    { return 1 }
func (rows) Types() []string { return []string{"bench.filed"} }

func (r rows) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	for _, e := range batch {
		f := e.Event.(filed)
		for _, key := range []string{"unit/" + f.Unit, "cell/" + f.District + "/" + f.From[:7]} {
			row, err := projections.Get[entity](ctx, v, key)
			if err != nil {
				return err
			}
			row.Rent += f.RentFen
			row.Until = f.To
			row.Count++
			projections.Put(v, key, row)
		}
	}
	return nil
}

func benchStore(b *testing.B, events, units int) *memory.Store {
	b.Helper()
	store := &memory.Store{}
	for i := 0; i < events; i += 500 {
		batch := make([]eventstore.NewEvent, 500)
		for n := range batch {
			j := i + n
			data, err := json.Marshal(filed{
				Contract: fmt.Sprintf("ct-%08d-6f1c-4b7e-9d2a", j), Unit: fmt.Sprintf("un-%08d-6f1c-4b7e", j*7919%units), District: fmt.Sprint(320100 + j%12),
				Estate: "es-00000012-6f1c-4b7e-9d2a", Lessors: []string{"pa-00000012-6f1c-4b7e-9d2a"}, Lessees: []string{"pa-00000013-6f1c-4b7e-9d2a"},
				RentFen: 350000, Deposit: 350000, From: "2026-03-01", To: "2027-02-28", FilingNo: fmt.Sprintf("BA3201152611%08d", j),
				Hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", PayMonths: 3,
				Rules: []string{"C-01@1", "C-02@1", "C-03@1", "C-04@1", "C-05@1", "C-06@2", "U-02@1?"},
			})
			if err != nil {
				b.Fatal(err)
			}
			batch[n] = eventstore.NewEvent{Type: "bench.filed", Data: data, Meta: eventstore.Metadata{Schema: 1, Actor: "k", Command: "c"}}
			binary.BigEndian.PutUint64(batch[n].ID[:], uint64(j+1))
		}
		if _, err := store.Append(b.Context(), fmt.Sprint("contract-", i), eventstore.NoStream, batch...); err != nil {
			b.Fatal(err)
		}
	}
	return store
}

// BenchmarkCatchUp is all views from the first event to the head, on disk: decoding alone is the limit it is held against.
func BenchmarkCatchUp(b *testing.B) {
	const events = 100_000
	store := benchStore(b, events, 30_000)
	types := domain.NewCatalogue([]domain.Type{domain.Stored[filed]()})
	b.Run("decode alone, one core", func(b *testing.B) {
		for b.Loop() {
			for rec, err := range store.All(b.Context(), 0) {
				if err != nil {
					b.Fatal(err)
				}
				if _, err := projections.Decode(types, rec); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	for _, views := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("%d views", views), func(b *testing.B) {
			for b.Loop() {
				catchUp(b, store, types, views, events)
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func catchUp(b *testing.B, store eventstore.Store, types domain.Catalogue, views int, head eventstore.Position) {
	b.Helper()
	v, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	var list []projections.Projection
	for i := range views {
		list = append(list, rows{name: fmt.Sprint("view", i)})
	}
	r := &projections.Runner{Store: store, Views: v, Catalogue: types, Now: time.Now}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, list) }()
	for _, p := range list {
		if err := r.WaitFor(ctx, p.Name(), head); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if err := v.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkVisible is from an event's append until all of 8 views show it, nothing else going on.
func BenchmarkVisible(b *testing.B) {
	store := benchStore(b, 500, 500)
	types := domain.NewCatalogue([]domain.Type{domain.Stored[filed]()})
	v, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	var list []projections.Projection
	for i := range 8 {
		list = append(list, rows{name: fmt.Sprint("view", i)})
	}
	r := &projections.Runner{Store: store, Views: v, Catalogue: types, Now: time.Now}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, list) }()
	e := eventstore.NewEvent{Type: "bench.filed", Data: []byte(`{"unit_id":"u","district":"320115","from":"2026-03-01"}`), Meta: eventstore.Metadata{Schema: 1}}
	n := uint64(1 << 40)
	for b.Loop() {
		n++
		binary.BigEndian.PutUint64(e.ID[:], n)
		at, err := store.Append(ctx, "contract-live", eventstore.AnyRevision, e)
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range list {
			if err := r.WaitFor(ctx, p.Name(), at.Position); err != nil {
				b.Fatal(err)
			}
		}
	}
	cancel()
	if err := errors.Join(<-done, v.Close()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPoint is a query of one row among many, as the API asks it.
func BenchmarkPoint(b *testing.B) {
	v, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	const n = 200_000
	for at := 0; at < n; at += 1000 {
		err := v.Batch(b.Context(), "a", 1, eventstore.Position(at), eventstore.Position(at+1000), func(v projections.View) error {
			for i := range 1000 {
				projections.Put(v, fmt.Sprintf("unit/%08d", (at+i)*7919%n), entity{Rent: 350000, Until: "2027-02-28", Count: i})
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := v.Activate(b.Context(), "a", 1); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		err := v.Read(b.Context(), "a", func(r projections.Reader) error {
			_, ok, err := r.Get(b.Context(), fmt.Sprintf("unit/%08d", i*104729%n))
			if !ok {
				b.Fatal("missing")
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
