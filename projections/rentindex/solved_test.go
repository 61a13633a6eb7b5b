package rentindex_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// counted counts the rows that are read.
type counted struct {
	projections.Views
	rows atomic.Int64
}

type countedReader struct {
	projections.Reader
	rows *atomic.Int64
}

func (c *counted) Read(ctx context.Context, name string, f func(projections.Reader) error) error {
	return c.Views.Read(ctx, name, func(r projections.Reader) error { return f(countedReader{r, &c.rows}) })
}

func (r countedReader) Scan(ctx context.Context, from, to string, reverse bool) iter.Seq2[projections.Pair, error] {
	return func(yield func(projections.Pair, error) bool) {
		for p, err := range r.Reader.Scan(ctx, from, to, reverse) {
			r.rows.Add(1)
			if !yield(p, err) {
				return
			}
		}
	}
}

// TestSolvedIsTheSeries: whatever is filed, asked and built anew between, what is kept is what would be solved, and the
// second of two equal questions reads no row.
func TestSolvedIsTheSeries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, base, n := newBench(t, model()), month(t, "2026-01"), 0
		views := &counted{Views: &b.views}
		var s rentindex.Solved
		queries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) rentindex.Query {
			return rentindex.Query{
				Area:       rapid.SampledFrom([]string{rentindex.City, "u0", "u1", "nowhere"}).Draw(t, "area"),
				Population: rapid.SampledFrom([]string{rentindex.New, rentindex.Stock, "none"}).Draw(t, "population"),
				Method:     rapid.SampledFrom(rentindex.Methods).Draw(t, "method"), To: base + 5,
			}
		}), 2, 4).Draw(rt, "queries")
		for range rapid.IntRange(1, 6).Draw(rt, "rounds") {
			for range rapid.SampledFrom([]int{0, 1, 30}).Draw(rt, "filed") {
				n++
				unit := fmt.Sprint("u", n%2)
				b.apply(t, filed(fmt.Sprint("contract-", n), unit, "s"+unit, fmt.Sprint("p", n%7), base+domain.Month(n%3), 30+int64(n%11)))
			}
			for _, q := range queries {
				want, wantErr := b.series(t, q)
				for again := range 2 {
					before := views.rows.Load()
					got, err := s.Series(t.Context(), views, b.p, q)
					if fmt.Sprint(err) != fmt.Sprint(wantErr) || !cmp.Equal(got, want) {
						rt.Fatalf("%+v: %v, want %v:\n%s", q, err, wantErr, cmp.Diff(got, want))
					}
					if read := views.rows.Load() - before; again == 1 && err == nil && read > 0 {
						rt.Fatalf("%+v asked again: %d rows were read", q, read)
					}
				}
			}
		}
	})
}

// TestSolvedOnce: who asks at the same moment waits for one answer, a rebuilt view has none of the old one's, and an older
// snapshot than the newest is answered from its own rows.
func TestSolvedOnce(t *testing.T) {
	b, base := newBench(t, model()), month(t, "2026-01")
	file := func(n int) {
		for i := range n {
			b.apply(t, filed(fmt.Sprint("contract-", b.at), "u1", "s1", fmt.Sprint("p", i), base, 40+int64(i)))
		}
	}
	file(10)
	views := &counted{Views: &b.views}
	var s rentindex.Solved
	q := rentindex.Query{Area: "u1", Population: rentindex.New}
	ask := func() *rentindex.Result {
		res, err := s.Series(t.Context(), views, b.p, q)
		if err != nil {
			t.Error(err)
		}
		return res
	}
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() { ask() })
	}
	asking.Wait()
	once := views.rows.Load()
	if ask(); views.rows.Load() != once {
		t.Errorf("%d rows were read, then %d", once, views.rows.Load())
	}
	fresh := &counted{Views: &b.views}
	var other rentindex.Solved
	if _, err := other.Series(t.Context(), fresh, b.p, q); err != nil || fresh.rows.Load() != once {
		t.Errorf("eight who asked at once read %d rows, one reads %d: %v", once, fresh.rows.Load(), err)
	}

	err := views.Read(t.Context(), b.p.Name(), func(old projections.Reader) error {
		file(5)
		if n := ask().N; n != 15 {
			t.Errorf("%d contracts, want 15", n)
		}
		still := &counted{Views: stale{&b.views, old}}
		res, err := s.Series(t.Context(), still, b.p, q)
		if err == nil && res.N != 10 {
			t.Errorf("an older snapshot has %d contracts, want 10", res.N)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := ask().N; n != 15 {
		t.Errorf("%d contracts after an older snapshot was read, want 15", n)
	}

	// The same position in another slot, whose rows are others.
	slot := b.p.Version() + projections.VersionMax
	err1 := b.views.Batch(t.Context(), b.p.Name(), slot, 0, b.at, func(v projections.View) error {
		return b.p.Apply(t.Context(), v, []projections.Event{filed("contract-x", "u1", "s1", "p", base, 40), filed("contract-y", "u1", "s1", "q", base, 41)})
	})
	if err := errors.Join(err1, b.views.Activate(t.Context(), b.p.Name(), slot)); err != nil {
		t.Fatal(err)
	}
	if n := ask().N; n != 2 {
		t.Errorf("%d contracts in the view built anew, want 2", n)
	}
}

// stale reads an older snapshot.
type stale struct {
	projections.Views
	old projections.Reader
}

func (s stale) Read(_ context.Context, _ string, f func(projections.Reader) error) error {
	return f(s.old)
}
