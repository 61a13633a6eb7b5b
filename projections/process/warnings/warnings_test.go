package warnings_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	"zujian/projections"
	"zujian/projections/process"
	"zujian/projections/process/warnings"
)

var (
	catalogue = domain.NewCatalogue(alert.Types)
	firm      = alert.Subject{Kind: alert.Operator, ID: "o1", District: "320115"}
	other     = alert.Subject{Kind: alert.Operator, ID: "o2", District: "320115"}
	city      = alert.Subject{Kind: alert.City, ID: alert.City}
	first     = domain.Date(2026, time.November, 1)
)

func books(t testing.TB) alert.Books {
	t.Helper()
	b, err := alert.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// figures is a scripted world: thousandths of an indicator by subject.
type figures struct {
	mu    sync.Mutex
	of    map[string]int64
	fail  int // Readings that fail before one succeeds.
	reads int
}

func (f *figures) set(indicator string, s alert.Subject, thousandths int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[string]int64{}
	}
	f.of[alert.ID(indicator, s)] = thousandths
}

func (f *figures) Readings(_ context.Context, _ alert.Book, day domain.Day) (out []warnings.Reading, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.fail--; f.fail >= 0 {
		return nil, projections.ErrBehind
	}
	for _, s := range []alert.Subject{firm, other, city} {
		for _, indicator := range []string{"SHORTFALL", "OWNER_ARREARS", "HIGH_IN_LOW_OUT"} {
			x := warnings.Reading{Indicator: indicator, Subject: s, To: day, Made: projections.Made{View: "money", Version: 3, Position: 100}}
			if v, ok := f.of[alert.ID(indicator, s)]; ok {
				x.Figure = alert.Figure{Num: v, Den: 1000, N: 40}
			} else {
				x.Reason = alert.Withheld
			}
			out = append(out, x)
		}
	}
	return out, nil
}

func (f *figures) Exposure(context.Context, string, domain.Day) (alert.Exposure, projections.Made, error) {
	return alert.Exposure{Homes: 12, DepositsFen: 34}, projections.Made{View: "money", Version: 3, Position: 101}, nil
}

// store fails the appends it is told to, before or after they are durable.
type store struct {
	*memory.Store
	mu          sync.Mutex
	n           int
	cut, unsaid map[int]bool
}

var errCut = errors.New("cut off")

func (s *store) Append(ctx context.Context, stream string, expected eventstore.Revision, events ...eventstore.NewEvent) (eventstore.Appended, error) {
	s.mu.Lock()
	s.n++
	cut, unsaid := s.cut[s.n], s.unsaid[s.n]
	s.mu.Unlock()
	if cut {
		return eventstore.Appended{}, errCut
	}
	a, err := s.Store.Append(ctx, stream, expected, events...)
	if unsaid {
		return eventstore.Appended{}, errCut
	}
	return a, err
}

// facts are the events of a log without their positions, by stream.
func facts(t testing.TB, s eventstore.Store) []string {
	t.Helper()
	var out []string
	for rec, err := range s.All(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %s", rec.Stream, rec.Type, rec.Data))
	}
	slices.Sort(out)
	return out
}

func base(day domain.Day) process.Base {
	return process.Base{ID: aggregate.CommandID("test", day.String()), At: day.Start().Add(time.Hour), Actor: domain.Actor{ID: "process:warnings", Role: domain.RoleSystem}}
}

// TestLaws: cut off anywhere, with or without its last append durable, a round that begins again leaves exactly the facts
// of one that was not; and once it is closed, the day is over whatever the figures become.
func TestLaws(t *testing.T) {
	b := books(t)
	rapid.Check(t, func(rt *rapid.T) {
		var f figures
		whole := &store{Store: &memory.Store{}}
		broken := &store{
			Store: &memory.Store{}, cut: rapid.MapOfN(rapid.IntRange(1, 40), rapid.Just(true), 0, 8).Draw(rt, "cut"),
			unsaid: rapid.MapOfN(rapid.IntRange(1, 40), rapid.Just(true), 0, 8).Draw(rt, "unsaid"),
		}
		round := func(s *store, day domain.Day) error {
			return warnings.Round(context.Background(), aggregate.Runner{Store: s, Catalogue: catalogue}, base(day), &f, b, day)
		}
		for n := range rapid.IntRange(1, 12).Draw(rt, "days") {
			day := first.AddDays(n)
			for _, s := range []alert.Subject{firm, other, city} {
				f.set("SHORTFALL", s, rapid.Int64Range(850, 1150).Draw(rt, "coverage"))
				f.set("OWNER_ARREARS", s, rapid.Int64Range(0, 120).Draw(rt, "arrears"))
			}
			if err := round(whole, day); err != nil {
				rt.Fatal(err)
			}
			tries := 0
			for err := error(errCut); err != nil; tries++ {
				if err = round(broken, day); err != nil && !errors.Is(err, errCut) || tries > 40 {
					rt.Fatalf("try %d: %v", tries, err)
				}
			}
		}
		// What a round counts of itself is what it did in its last try.
		strip := func(all []string) []string {
			return slices.DeleteFunc(all, func(f string) bool { return strings.Contains(f, "alert.round_done") })
		}
		if got, want := strip(facts(t, broken)), strip(facts(t, whole)); !slices.Equal(got, want) {
			rt.Fatalf("cut off\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		before := facts(t, whole)
		f.set("SHORTFALL", firm, 1)
		for n := range 12 {
			if first.AddDays(n) <= lastRound(t, whole) {
				if err := round(whole, first.AddDays(n)); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if after := facts(t, whole); !slices.Equal(before, after) {
			rt.Fatalf("a day that was over changed: %v", after)
		}
	})
}

func lastRound(t testing.TB, s eventstore.Store) domain.Day {
	t.Helper()
	st, _, err := aggregate.Load(context.Background(), aggregate.Runner{Store: s, Catalogue: catalogue}, alert.Decider, alert.RoundID(first.Month()))
	if err != nil {
		t.Fatal(err)
	}
	return st.Round
}

func count(all []string, part string) (n int) {
	for _, f := range all {
		if strings.Contains(f, part) {
			n++
		}
	}
	return n
}

// TestOperatorAtRisk follows one operator from calm to the blow-up watch and back, beside one that only pays late.
func TestOperatorAtRisk(t *testing.T) {
	b, s := books(t), &memory.Store{}
	r := aggregate.Runner{Store: s, Catalogue: catalogue}
	var f figures
	f.set("OWNER_ARREARS", other, 90) // One sign alone is no blow-up, however long.
	f.set("SHORTFALL", other, 1100)
	level := func(s alert.Subject) alert.State {
		t.Helper()
		st, _, err := aggregate.Load(t.Context(), r, alert.Decider, alert.ID(alert.BlowUp, s))
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	for _, c := range []struct {
		days              int
		coverage, arrears int64
		want              alert.Level
	}{
		{3, 1100, 0, alert.None},
		{2, 900, 0, alert.None},    // Days 4–5: short.
		{6, 900, 90, alert.Orange}, // Days 6–11: both, not yet for seven days.
		{3, 900, 90, alert.Red},    // Day 12 is the seventh.
		{1, 900, 45, alert.Red},    // Owners: 4.5 % is below ORANGE, but not past its clearing point.
		{1, 1100, 90, alert.None},  // Covered again.
	} {
		for range c.days {
			day := lastRound(t, s) + 1
			if day == 1 {
				day = first
			}
			f.set("SHORTFALL", firm, c.coverage)
			f.set("OWNER_ARREARS", firm, c.arrears)
			if err := warnings.Round(t.Context(), r, base(day), &f, b, day); err != nil {
				t.Fatal(err)
			}
			if got := level(firm).Level; got != c.want {
				t.Errorf("%s: %s, want %s", day, got, c.want)
			}
		}
	}
	if st := level(firm); len(st.Episodes) != 1 || st.Episodes[0].From != first.AddDays(5) || st.Episodes[0].To != first.AddDays(15) {
		t.Errorf("episodes: %+v", st.Episodes)
	}
	if st := level(other); len(st.Episodes) != 0 {
		t.Errorf("the innocent: %+v", st.Episodes)
	}
	for rec, err := range s.Stream(t.Context(), "alert-BLOW_UP.operator.o1", 0) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := catalogue.Decode(rec.Type, 1, rec.Data)
		if up, ok := e.(alert.Raised); err != nil || ok && (up.Evidence.Exposure == nil || up.Evidence.Exposure.Homes != 12 || up.Evidence.Position != 101 || len(up.Evidence.Signs) != 5) {
			t.Errorf("%+v %v", e, err)
		}
	}
	all := facts(t, s)
	if n := count(all, "alert-HEALTH.city.city "); n != 0 {
		t.Errorf("%d scores of nothing judged", n)
	}
	if n := count(all, "alert.round_done"); n != 16 {
		t.Errorf("%d rounds", n)
	}
}

// TestTheProcess runs it: once a day, through failures, a restart that finds its view and one that has lost it.
func TestTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory.Store{Now: time.Now}
		f := &figures{fail: 3}
		f.set("SHORTFALL", firm, 900)
		f.set("SHORTFALL", city, 1100)
		views := &projections.Memory{}
		p := warnings.Process{Figures: f, Books: books(t)}
		p.Books[0].EffectiveFrom = domain.DayOf(time.Now()).AddDays(-1) // The clock here begins long ago.
		start := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			r := &process.Runner{
				Aggregates: aggregate.Runner{Store: s, Catalogue: catalogue}, Views: views, Now: time.Now,
				Policy: func(context.Context) (domain.Policy, error) { return domain.Policy{}, nil },
			}
			done := make(chan error)
			go func() { done <- r.Run(ctx, []process.Process{p}) }()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		stop := start()
		time.Sleep(10 * time.Minute)
		if all := facts(t, s); count(all, "alert.raised") != 1 || count(all, "alert.round_done") != 1 || count(all, "alert.health_scored") != 1 {
			t.Fatalf("after a morning: %v", all)
		}
		reads := f.reads
		f.set("SHORTFALL", other, 900)
		stop()
		stop = start()
		time.Sleep(10 * time.Minute)
		if f.reads != reads {
			t.Errorf("the day was read again: %d times", f.reads-reads)
		}
		stop()
		views = &projections.Memory{} // Lost.
		stop = start()
		time.Sleep(10 * time.Minute)
		if all := facts(t, s); count(all, "alert.raised") != 1 || count(all, "alert.round_done") != 1 {
			t.Errorf("after the view was lost: %v", all)
		}
		time.Sleep(24 * time.Hour)
		if all := facts(t, s); count(all, "alert.raised") != 2 || count(all, "alert.round_done") != 2 || count(all, "alert.health_scored") != 1 {
			t.Errorf("after the next day: %v", all)
		}
		stop()
	})
}
