package guidance_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/contract"
	prices "zujian/domain/guidance"
	"zujian/domain/ruleset"
	"zujian/projections"
	"zujian/projections/guidance"
	"zujian/projections/projectiontest"
)

var (
	at   = time.Date(2026, 9, 1, 2, 0, 0, 0, time.UTC)
	july = domain.Date(2026, time.July, 1).Month()
)

// let is a letting of 50 ㎡ at fen per ㎡.
func let(street, lessor string, month domain.Month, fen int64) domain.Observation {
	return domain.Observation{
		Month: month, From: month, RentFen: domain.Fen(fen * 50), AreaC: 5000, ReportUnit: street[:6], Street: street,
		LetMode: "WHOLE", SizeBand: "30-50", Fitout: "SIMPLE", Lessor: lessor,
	}
}

func filed(o domain.Observation) contract.Filed { return contract.Filed{Observation: o} }

// rules are the parameters of the shipped rules, which a test may change.
func rules(t rapid.TB, change ...func(*prices.Parameters)) prices.Parameters {
	t.Helper()
	p, err := prices.ParametersOn(ruleset.Shipped(), domain.DayOf(at))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&p)
	}
	return p
}

func draft(t rapid.TB, r projections.Reader, period string, earlier ...prices.Version) (guidance.Draft, map[string]guidance.Cell) {
	t.Helper()
	return compute(t, r, guidance.Query{Period: period, Parameters: rules(t), Earlier: earlier})
}

// compute makes a draft with at most one kind of letting, and its cells by area.
func compute(t rapid.TB, r projections.Reader, q guidance.Query) (guidance.Draft, map[string]guidance.Cell) {
	t.Helper()
	d, err := guidance.Compute(context.Background(), r, q)
	if err != nil {
		t.Fatal(err)
	}
	cells := map[string]guidance.Cell{}
	for _, c := range d.Cells {
		if !slices.IsSorted([]domain.Fen{1, c.P10, c.P25, c.Median, c.P75, c.P90, domain.FenMax}) {
			t.Fatalf("quantiles of %+v", c)
		}
		cells[c.Area] = c
	}
	return d, cells
}

func TestView(t *testing.T) {
	l := &projectiontest.Log{}
	first, later := let("320115001", "a", july, 3000), let("320115001", "a", july+1, 9000)
	l.Add("contract-1", at, under("2026Q2/1", first))
	l.Add("contract-1", at, contract.Amended{ObservationBefore: &first, Observation: &later}) // A later rent is no new letting.
	wrong, right := let("320115002", "b", july, 90000), let("320115002", "b", july-1, 3100)
	right.From = wrong.From
	l.Add("contract-2", at, under("2026Q2/1", wrong))
	l.Add("contract-2", at, contract.Amended{ObservationBefore: &wrong, Observation: &right})
	l.Add("contract-3", at, under("2026Q2/1", first), contract.FilingCancelled{})
	l.Add("contract-4", at, contract.LegacyRecorded{Observation: first}, contract.Annulled{})
	closed := first
	closed.To = july
	l.Add("contract-5", at, filed(first), contract.Terminated{ObservationBefore: &first, Observation: &closed})
	head := first
	head.Excluded = domain.ExcludedHead
	l.Add("contract-6", at, filed(head))
	projectiontest.Golden(t, projectiontest.Laws(t, guidance.Projection{}, l))
}

// market is ten lettings of ten lessors in each of two streets of a unit, from 3000 to 3900 fen, with an outlier in one.
func market() *projectiontest.Log {
	l := &projectiontest.Log{}
	for n := range int64(20) {
		street := []string{"320115001", "320115002"}[n%2]
		l.Add(fmt.Sprintf("contract-%d", n), at, filed(let(street, fmt.Sprint("lessor", n), july, 3000+n/2*100)))
	}
	l.Add("contract-99", at, filed(let("320115001", "z", july, 1_000_000)))
	return l
}

func fold(t testing.TB, l *projectiontest.Log) projections.Reader {
	return projectiontest.Fold(t, guidance.Projection{}, l.Events, 5)
}

func TestDraft(t *testing.T) {
	d, cells := draft(t, fold(t, market()), "2026Q3")
	for _, area := range []string{"city", "320115", "320115001", "320115002"} {
		c := cells[area]
		got := []int{c.N, int(c.P10), int(c.P25), int(c.Median), int(c.P75), int(c.P90)}
		n := 20
		if len(area) == 9 {
			n = 10
		}
		if want := []int{n, 3000, 3200, 3400, 3700, 3800}; !slices.Equal(got, want) || c.Reason != "" {
			t.Errorf("%s: %v %s, want %v", area, got, c.Reason, want)
		}
	}
	l := market()
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(l.Events), func(i, j int) {
		l.Events[i].Stream, l.Events[j].Stream = l.Events[j].Stream, l.Events[i].Stream
		l.Events[i].Event, l.Events[j].Event = l.Events[j].Event, l.Events[i].Event
	})
	if again, _ := draft(t, fold(t, l), "2026Q3"); !cmp.Equal(again, d) {
		t.Error("another order, another draft", cmp.Diff(again, d))
	}
	if next, _ := draft(t, fold(t, l), "2027Q2"); next.Inputs == d.Inputs {
		t.Error("the same inputs at another age")
	}
	l.Add("contract-late", at, filed(let("320115002", "late", july-9, 3000)))
	if late, _ := draft(t, fold(t, l), "2026Q3"); late.Inputs == d.Inputs {
		t.Error("a late filing changes nothing")
	}
}

func TestTheRecentCountsMore(t *testing.T) {
	l := &projectiontest.Log{}
	for n := range 20 {
		month, fen := july+2, int64(4000)
		if n%2 == 0 {
			month, fen = july-4, 3000 // Half a year before: half the weight.
		}
		l.Add(fmt.Sprint("contract-", n), at, filed(let("320115001", fmt.Sprint("l", n), month, fen)))
	}
	_, cells := draft(t, fold(t, l), "2026Q3")
	if c := cells["city"]; c.P25 != 3000 || c.Median != 4000 {
		t.Errorf("%+v", c)
	}
}

func TestLittleToSay(t *testing.T) {
	one := &projectiontest.Log{}
	one.Add("contract-1", at, filed(let("320115001", "a", july, 3000)))
	lessor, equal := &projectiontest.Log{}, &projectiontest.Log{}
	for n := range 40 {
		lessor.Add(fmt.Sprint("contract-", n), at, filed(let("320115001", "a", july, int64(3000+n))))
		equal.Add(fmt.Sprint("contract-", n), at, filed(let("320115001", fmt.Sprint(n), july, 3000)))
	}
	for name, c := range map[string]struct {
		log    *projectiontest.Log
		period string
		cells  int
	}{
		"an empty period": {equal, "2020Q1", 0}, "one letting": {one, "2026Q3", 0}, "one lessor": {lessor, "2026Q3", 0},
		"all equal": {equal, "2026Q3", 3},
	} {
		d, _ := draft(t, fold(t, c.log), c.period)
		if len(d.Cells) != c.cells || len(d.Inputs) != 64 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	for _, bad := range []string{"", "2026", "2026Q5", "2026Q0", "xQ1"} {
		if _, err := guidance.Compute(t.Context(), fold(t, one), guidance.Query{Period: bad, Parameters: rules(t)}); err == nil {
			t.Errorf("period %q", bad)
		}
	}
}

// TestNothingWithheldCanBeRecovered takes counts of shown areas from their parent's: what is left over is of nobody, or of
// two areas at least and ten contracts together.
func TestNothingWithheldCanBeRecovered(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l, n := &projectiontest.Log{}, 0
		truth := map[string]int{}
		for street := range rapid.IntRange(1, 8).Draw(r, "streets") {
			code := fmt.Sprintf("32011%d00%d", street%3, street)
			lessors := rapid.IntRange(1, 14).Draw(r, "lessors")
			for range rapid.IntRange(1, 30).Draw(r, "lettings") {
				n++
				l.Add(fmt.Sprint("contract-", n), at, filed(let(code, fmt.Sprint(code, n%lessors), july, 3000)))
				truth[code]++
				truth[code[:6]]++
			}
		}
		_, cells := draft(r, fold(t, l), "2026Q3")
		for parent, p := range cells {
			if p.BorrowedFrom != "" || len(parent) == 9 {
				continue
			}
			left, hidden := p.N, 0
			for _, area := range slices.Sorted(maps.Keys(truth)) {
				if parent == "city" && len(area) != 6 || parent != "city" && (len(area) != 9 || area[:6] != parent) {
					continue
				}
				switch c := cells[area]; {
				case c.BorrowedFrom == "" && (c.N != truth[area] || c.N < 10):
					r.Fatalf("%+v, of %d", c, truth[area])
				case c.BorrowedFrom == "":
					left -= c.N
				case c.N != 0 || c.Reason == "":
					r.Fatalf("%+v tells of itself", c)
				default:
					hidden++
				}
			}
			if left > 0 && (hidden < 2 || left < 10) {
				r.Fatalf("%s: %d contracts of %d withheld areas are left over", parent, left, hidden)
			}
		}
	})
}
