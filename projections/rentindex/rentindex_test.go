package rentindex_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/rentindex"
	"zujian/projections/rentindex/stat"
)

// model is small enough to check by hand: two factors, bounds, and the full disclosure rule.
func model() rentindex.Model {
	return rentindex.Model{
		Name: "test", Version: 1, PerArea: true, AreaFactor: "area",
		Factors:    []rentindex.Factor{{Name: "mode", Field: "let_mode"}, {Name: "bed", Field: "bedrooms", Cap: 3}},
		Gate:       rentindex.Gate{Min: 10, Max: 200},
		Disclosure: rentindex.Disclosure{Contracts: 2, Lessors: 2, ShareBP: 6000}, ProvisionalMonths: 3,
		Strata: []string{"mode"}, MinStratum: 1, Window: 3,
	}
}

// bench runs a projection over events in a memory view.
type bench struct {
	p     rentindex.Projection
	views projections.Memory
	at    eventstore.Position
}

func newBench(t testing.TB, m rentindex.Model) *bench {
	b := &bench{p: rentindex.Projection{Model: m}}
	if err := b.views.Activate(t.Context(), b.p.Name(), b.p.Version()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) apply(t testing.TB, events ...projections.Event) {
	t.Helper()
	for i := range events {
		events[i].Position = b.at + eventstore.Position(i) + 1
	}
	next := b.at + eventstore.Position(len(events))
	err := b.views.Batch(t.Context(), b.p.Name(), b.p.Version(), b.at, next, func(v projections.View) error {
		return b.p.Apply(t.Context(), v, events)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.at = next
}

func (b *bench) series(t testing.TB, q rentindex.Query) (res *rentindex.Result, err error) {
	t.Helper()
	readErr := b.views.Read(t.Context(), b.p.Name(), func(r projections.Reader) error {
		res, err = b.p.Series(context.Background(), r, q)
		return nil
	})
	if readErr != nil {
		t.Fatal(readErr)
	}
	return res, err
}

func (b *bench) content(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := b.views.Read(t.Context(), b.p.Name(), func(r projections.Reader) error {
		for pair, err := range r.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			all[pair.Key] = string(pair.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func month(t testing.TB, s string) domain.Month {
	m, err := domain.ParseMonth(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// life is one contract in the random history: its segments by rent, and what may still happen to it.
type life struct {
	stream   string
	segments []domain.Observation
	over     bool
}

func observation(t *rapid.T, base domain.Month) domain.Observation {
	from := base + domain.Month(rapid.IntRange(0, 6).Draw(t, "from"))
	o := domain.Observation{
		Month: from, From: from, To: from + domain.Month(rapid.IntRange(0, 5).Draw(t, "term")),
		RentFen: domain.Fen(rapid.IntRange(5, 250).Draw(t, "rent")) * 5000, AreaC: 5000,
		ReportUnit: rapid.SampledFrom([]string{"320102", "320104", "a/b"}).Draw(t, "unit"),
		LetMode:    rapid.SampledFrom([]string{"WHOLE", "BY_ROOM"}).Draw(t, "mode"), Bedrooms: rapid.IntRange(0, 5).Draw(t, "bed"),
		Lessor: rapid.SampledFrom([]string{"p1", "p2", "p3", ""}).Draw(t, "lessor"),
		Unit:   rapid.SampledFrom([]string{"h1", "h2/3", "h 4", ""}).Draw(t, "home"),
	}
	o.Street = o.ReportUnit + rapid.SampledFrom([]string{"001", "002"}).Draw(t, "street")
	if rapid.IntRange(0, 9).Draw(t, "excluded") == 0 {
		o.Excluded = domain.ExcludedHead
	}
	if rapid.IntRange(0, 9).Draw(t, "open end") == 0 {
		o.To = 0
	}
	return o
}

// step lets something happen and returns its event.
func step(t *rapid.T, lives *[]*life, base domain.Month) projections.Event {
	var live []*life
	for _, l := range *lives {
		if !l.over {
			live = append(live, l)
		}
	}
	if len(live) == 0 || rapid.IntRange(0, 2).Draw(t, "new") > 0 {
		l := &life{stream: fmt.Sprintf("contract-%d", len(*lives)), segments: []domain.Observation{observation(t, base)}}
		*lives = append(*lives, l)
		if rapid.Bool().Draw(t, "legacy") {
			return projections.Event{Stream: l.stream, Event: contract.LegacyRecorded{Observation: l.segments[0]}}
		}
		return projections.Event{Stream: l.stream, Event: contract.Filed{Observation: l.segments[0]}}
	}
	l := rapid.SampledFrom(live).Draw(t, "which")
	n := len(l.segments)
	before := l.segments[n-1]
	after := before
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0: // Another rent, from now or from later.
		after.RentFen = domain.Fen(rapid.IntRange(5, 250).Draw(t, "rent")) * 5000
		after.From += domain.Month(rapid.IntRange(0, 2).Draw(t, "later"))
		if rapid.IntRange(0, 3).Draw(t, "elsewhere") == 0 { // A correction of where the home is.
			there := observation(t, base)
			after.ReportUnit, after.Street = there.ReportUnit, there.Street
		}
		if after.From > before.From {
			l.segments[n-1].To = after.From - 1
			l.segments = append(l.segments, after)
		} else {
			l.segments[n-1] = after
		}
		return projections.Event{Stream: l.stream, Event: contract.Amended{ObservationBefore: &before, Observation: &after}}
	case 1: // The end moves.
		l.over = true
		after.To = after.From
		l.segments[n-1] = after
		return projections.Event{Stream: l.stream, Event: contract.Terminated{ObservationBefore: &before, Observation: &after}}
	case 2: // It never began.
		l.over = true
		l.segments = l.segments[:n-1]
		return projections.Event{Stream: l.stream, Event: contract.Terminated{ObservationBefore: &before}}
	}
	all := slices.Clone(l.segments)
	l.over, l.segments = true, nil
	return projections.Event{Stream: l.stream, Event: contract.FilingCancelled{Observations: all}}
}

// TestLaws holds the view to a plain recount of what stands, after any history in any batches.
func TestLaws(t *testing.T) {
	t.Parallel()
	base := month(t, "2026-01")
	rapid.Check(t, func(rt *rapid.T) {
		var lives []*life
		var events []projections.Event
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			events = append(events, step(rt, &lives, base))
		}
		m := model()
		if rapid.Bool().Draw(rt, "percentiles") {
			m.Gate.LowBP, m.Gate.HighBP, m.Gate.After = 1000, 9000, 5
		}
		whole, pieces := newBench(t, m), newBench(t, m)
		whole.apply(t, slices.Clone(events)...)
		for rest := events; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			pieces.apply(t, slices.Clone(rest[:n])...)
			rest = rest[n:]
		}
		if diff := cmp.Diff(pieces.content(t), whole.content(t)); diff != "" {
			rt.Fatalf("pieces, whole\n%s", diff)
		}
		vintageIsSeries(t, rt, whole, base+8)
		if m.Gate.HighBP > 0 {
			return // Which rents it sets aside depends on the order; the recount below has none.
		}
		for _, q := range []rentindex.Query{
			{Area: rentindex.City, Population: rentindex.New},
			{Area: rentindex.City, Population: rentindex.Stock},
			{Area: "a/b", Population: rentindex.New},
			{Area: "320102", Population: rentindex.Stock},
			{Area: "320102001", Population: rentindex.New},
		} {
			q.Now = base + 14
			recount(t, rt, whole, lives, q)
			recountValues(t, rt, whole, lives, q)
		}
	})
}

// recount computes a series from the segments that stand and compares.
func recount(t *testing.T, rt *rapid.T, b *bench, lives []*life, q rentindex.Query) {
	got, err := b.series(t, q)
	if err != nil {
		return // An area that never was.
	}
	area := q.Area
	if got.BorrowedFrom != "" {
		area = got.BorrowedFrom
	}
	cells := map[string]*stat.Cell{}
	for _, l := range lives {
		for i, o := range l.segments {
			value := float64(o.RentFen) / float64(o.AreaC)
			if o.Excluded != "" || value < 10 || value > 200 || area != rentindex.City && area != o.ReportUnit && area != o.Street {
				continue
			}
			from, to := o.From, o.To
			if q.Population == rentindex.New {
				if i > 0 {
					continue
				}
				from, to = o.Month, o.Month
			} else if o.To == 0 {
				continue
			}
			y, _ := stat.Log(value)
			qy, _ := stat.Quantise(y)
			so := stat.Observation{Y: qy, Levels: []string{"mode=" + o.LetMode, fmt.Sprintf("bed=%d", min(o.Bedrooms, 3))}}
			if area == rentindex.City {
				so.Levels = append(so.Levels, "area="+o.ReportUnit)
			}
			for at := from; at <= to && at <= q.Now; at++ {
				if cells[at.String()] == nil {
					cells[at.String()] = &stat.Cell{}
				}
				if err := cells[at.String()].Add(so); err != nil {
					rt.Fatal(err)
				}
			}
		}
	}
	design := stat.Design{Factors: []string{"mode", "bed"}}
	if area == rentindex.City {
		design.Factors = []string{"area", "mode", "bed"}
	}
	var ps []stat.Period
	shown := false
	for _, p := range got.Points {
		if shown = shown || p.Withheld == ""; shown {
			ps = append(ps, stat.Period{Name: p.Month.String(), Cell: cells[p.Month.String()]})
		}
		if n := cells[p.Month.String()]; p.Withheld == "" && p.N != n.N() || p.Withheld != "" && (p.N != 0 || p.Index != nil) {
			rt.Fatalf("%+v %s: got %+v, want n %d", q, p.Month, p, n.N())
		}
	}
	if !shown {
		return
	}
	want, err := stat.TimeDummy(design, ps)
	if err != nil {
		rt.Fatalf("%+v: %v", q, err)
	}
	for i, w := range want.Points {
		g := got.Points[len(got.Points)-len(ps)+i]
		if g.Withheld == "" && (*g.Index != *w.Index || !cmp.Equal(g.SE, w.SE)) {
			rt.Fatalf("%+v %s: got %v, want %v", q, g.Month, *g.Index, *w.Index)
		}
	}
}

// TestNothingLeftBehind cancels everything again.
func TestNothingLeftBehind(t *testing.T) {
	t.Parallel()
	base := month(t, "2026-01")
	rapid.Check(t, func(rt *rapid.T) {
		m := model()
		m.Gate.LowBP, m.Gate.HighBP, m.Gate.After = 1000, 9000, 5
		b := newBench(t, m)
		var lives []*life
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			b.apply(t, step(rt, &lives, base))
		}
		for _, l := range lives {
			if len(l.segments) > 0 {
				b.apply(t, projections.Event{Stream: l.stream, Event: contract.Annulled{Observations: l.segments}})
			}
		}
		for key := range b.content(t) {
			if key[:2] != "u/" && key[:2] != "r/" && key[:2] != "s/" {
				rt.Fatalf("%s is left", key)
			}
		}
	})
}

func filed(stream, unit, street, lessor string, m domain.Month, yuan int64) projections.Event {
	return projections.Event{Stream: stream, Event: contract.Filed{Observation: domain.Observation{
		Month: m, From: m, To: m + 11, RentFen: domain.Fen(yuan * 5000), AreaC: 5000, ReportUnit: unit, Street: street, LetMode: "WHOLE", Lessor: lessor,
	}}}
}

func TestDisclosure(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	m10 := model()
	m10.Disclosure = rentindex.Disclosure{Contracts: 10, Lessors: 5, ShareBP: 5000}
	b := newBench(t, m10)
	file := func(unit, street string, month domain.Month, lessors ...int) {
		n := 0
		for l, count := range lessors {
			for range count {
				n++
				b.apply(t, filed(fmt.Sprintf("contract-%s-%s-%d-%d", unit, street, month, n), unit, street, fmt.Sprint("p", l), month, 40+int64(n)))
			}
		}
	}
	file("u1", "s1", m, 2, 2, 2, 2, 2)   // Shown: 10 of 5 lessors.
	file("u1", "s1", m+1, 2, 2, 2, 2, 1) // 9 contracts.
	file("u1", "s1", m+2, 3, 3, 3, 3)    // 4 lessors.
	file("u1", "s1", m+3, 6, 1, 1, 1, 1) // One has 6 of 10.
	file("u1", "s1", m+5, 5, 1, 1, 1, 2) // Shown: exactly half.
	for i := range domain.Month(6) {
		if i != 4 {
			file("u2", "s2", m+i, 4, 4, 4, 4, 4, 4)
			file("u3", "s3", m+i, 3, 3, 3, 3, 3, 3)
		}
	}
	why := func(q rentindex.Query) (out []string) {
		t.Helper()
		res, err := b.series(t, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range res.Points {
			if (p.Withheld == "") != (p.Index != nil && p.N > 0) {
				t.Errorf("%+v: got %+v", q, p)
			}
			out = append(out, p.Withheld)
		}
		return out
	}
	want := []string{"", "FEW_CONTRACTS", "FEW_LESSORS", "DOMINANT_LESSOR", "NO_CONTRACTS", ""}
	if diff := cmp.Diff(why(rentindex.Query{Area: "u1", Population: rentindex.New}), want); diff != "" {
		t.Errorf("u1: got, want\n%s", diff)
	}
	// Where u1 alone is withheld the city less the others would tell, so the smaller of them is withheld too.
	want = []string{"", "COMPLEMENT", "COMPLEMENT", "COMPLEMENT", "NO_CONTRACTS", ""}
	if diff := cmp.Diff(why(rentindex.Query{Area: "u3", Population: rentindex.New}), want); diff != "" {
		t.Errorf("u3: got, want\n%s", diff)
	}
	want = []string{"", "", "", "", "NO_CONTRACTS", ""}
	if diff := cmp.Diff(why(rentindex.Query{Area: "u2", Population: rentindex.New}), want); diff != "" {
		t.Errorf("u2: got, want\n%s", diff)
	}
}

func TestStreetBorrowsFromItsUnit(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	b := newBench(t, model())
	for i := range 6 {
		b.apply(t, filed(fmt.Sprint("contract-", i), "u1", fmt.Sprint("s", i), fmt.Sprint("p", i), m+domain.Month(i/3), 40+int64(i)))
	}
	res, err := b.series(t, rentindex.Query{Area: "s1", Population: rentindex.New})
	if err != nil || res.BorrowedFrom != "u1" || res.Area != "s1" || len(res.Points) != 2 || res.Points[0].N != 3 {
		t.Errorf("got %+v, %v", res, err)
	}
	if _, err := b.series(t, rentindex.Query{Area: "nowhere", Population: rentindex.New}); err == nil {
		t.Error("an unknown area has a series")
	}
	for _, q := range []rentindex.Query{{Area: "u1"}, {Area: "u1", Population: "asked"}, {Area: "u1", Population: rentindex.New, Method: "magic"}, {Area: "u1", Population: rentindex.New, From: m + 1, To: m}, {Area: "u1", Population: rentindex.Stock, Method: rentindex.Repeat}} {
		if _, err := b.series(t, q); err == nil {
			t.Errorf("%+v has a series", q)
		}
	}
}

// TestSetAside counts and lists what the gate and the rules leave out.
func TestSetAside(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	b := newBench(t, model())
	for i, change := range []func(*domain.Observation){
		func(o *domain.Observation) { o.RentFen = 1 },
		func(o *domain.Observation) { o.RentFen = 0 },
		func(o *domain.Observation) { o.AreaC = 0 },
		func(o *domain.Observation) { o.ReportUnit = "" },
		func(o *domain.Observation) { o.LetMode = "" },
		func(o *domain.Observation) { o.Excluded = domain.ExcludedARH },
		func(o *domain.Observation) { o.To = 0 },
	} {
		e := filed(fmt.Sprint("contract-", i), "u1", "s1", "p1", m, 50)
		f := e.Event.(contract.Filed)
		change(&f.Observation)
		e.Event = f
		b.apply(t, e)
	}
	res, err := b.series(t, rentindex.Query{Area: rentindex.City, Population: rentindex.New})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		rentindex.AsideBounds: 1, rentindex.AsideRent: 1, rentindex.AsideArea: 1, rentindex.AsideUnit: 1, "factor:mode": 1,
		domain.ExcludedARH: 1, rentindex.AsideOpenEnd: 1,
	}
	if diff := cmp.Diff(res.SetAside, want); diff != "" {
		t.Errorf("got, want\n%s", diff)
	}
	err = b.views.Read(t.Context(), b.p.Name(), func(r projections.Reader) error {
		first, err := b.p.SetAside(t.Context(), r, "", 3)
		if err != nil {
			return err
		}
		rest, err := b.p.SetAside(t.Context(), r, first[2].Stream, 9)
		if len(first) != 3 || len(rest) != 2 || first[0].Reason != rentindex.AsideBounds || rest[1].Reason != "factor:mode" {
			t.Errorf("got %+v and %+v", first, rest)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPercentileGate(t *testing.T) {
	t.Parallel()
	m := model()
	m.Gate.LowBP, m.Gate.HighBP, m.Gate.After = 100, 9900, 50
	b := newBench(t, m)
	at := month(t, "2026-01")
	for i := range 300 {
		b.apply(t, filed(fmt.Sprint("contract-", i), "u1", "s1", fmt.Sprint("p", i%9), at, 50+int64(i%7)))
	}
	b.apply(t, filed("contract-high", "u1", "s1", "p", at, 150), filed("contract-low", "u1", "s1", "p", at+3, 12), filed("contract-new-year", "u1", "s1", "p", at+12, 12))
	res, err := b.series(t, rentindex.Query{Area: rentindex.City, Population: rentindex.New})
	if err != nil || res.SetAside[rentindex.AsidePercentile] != 2 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestBundledModels(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nanjing", "nsw"} {
		if m, ok := rentindex.Bundled(name); !ok || m.Name != name {
			t.Errorf("%s: got %+v", name, m)
		}
	}
	if _, ok := rentindex.Bundled("atlantis"); ok {
		t.Error("atlantis has a model")
	}
	for _, bad := range []string{``, `{}`, `{"name":"x","version":1,"area_factor":"a","disclosure":{"contracts":10},"factors":[{"name":"x","field":"colour"}]}`, `{"name":"x","versions":1}`} {
		if _, err := rentindex.ParseModel([]byte(bad)); err == nil {
			t.Errorf("%s is a model", bad)
		}
	}
}

// TestWeeksAndMonths converts a rent of another period.
func TestWeeksAndMonths(t *testing.T) {
	t.Parallel()
	nsw, _ := rentindex.Bundled("nsw")
	nsw.Disclosure.Contracts = 1
	b := newBench(t, nsw)
	at := month(t, "2026-01")
	for i, o := range []domain.Observation{{RentFen: 84 * 500, RentPer: domain.RentPerWeek}, {RentFen: 365 * 500}} {
		o.Month, o.From, o.ReportUnit = at+domain.Month(i), at, "200"
		o.Factors = []domain.Factor{{Name: "dwelling", Level: "F"}, {Name: "bed", Level: "2"}}
		b.apply(t, projections.Event{Stream: fmt.Sprint("contract-", i), Event: contract.LegacyRecorded{Observation: o}})
	}
	res, err := b.series(t, rentindex.Query{Area: "200", Population: rentindex.New})
	if err != nil || len(res.Points) != 2 || math.Abs(*res.Points[1].Index-100) > 1e-6 {
		t.Errorf("got %+v, %v", res, err)
	}
}
