package demo_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/api/desk"
	"zujian/cmd/zujian/internal/demo"
	"zujian/cmd/zujian/internal/watch"
	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/alert"
	"zujian/domain/apikey"
	"zujian/domain/building"
	"zujian/domain/claim"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/guidance"
	"zujian/domain/listing"
	"zujian/domain/numbering"
	"zujian/domain/party"
	"zujian/domain/ruleset"
	"zujian/domain/statement"
	"zujian/domain/unit"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	"zujian/eventstore/seal"
	"zujian/eventstore/seal/remote"
	"zujian/projections"
	"zujian/projections/alerts"
	prices "zujian/projections/guidance"
	"zujian/projections/housing"
	"zujian/projections/money"
	"zujian/projections/people"
	planview "zujian/projections/plan"
	"zujian/projections/process"
	"zujian/projections/process/warnings"
	"zujian/projections/rentindex"
)

var (
	today     = domain.Date(2026, time.November, 23)
	catalogue = domain.NewCatalogue(account.Types, alert.Types, apikey.Types, building.Types, claim.Types, contract.Types, escrow.Types, guidance.Types,
		listing.Types, numbering.Types, party.Types, ruleset.Types, statement.Types, unit.Types)
	everything = projections.Scope{All: true}
)

// made is a demo city in memory.
type made struct {
	store *memory.Store
	keys  map[string]demo.Key
	truth *demo.Truth
	model rentindex.Model
	desk  *desk.Desk
	city  *domain.City
}

func judge(t *testing.T) money.Judge {
	t.Helper()
	books, err := alert.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return money.Judge{Policy: ruleset.Shipped(), Books: books}
}

func profile(t *testing.T) *domain.City {
	t.Helper()
	raw, err := os.ReadFile("../../profiles/nanjing/city.json")
	if err != nil {
		t.Fatal(err)
	}
	var city domain.City
	if err := json.Unmarshal(raw, &city); err != nil {
		t.Fatal(err)
	}
	return &city
}

func build(t *testing.T, homes, months int, seed uint64, watched bool) made {
	t.Helper()
	city := profile(t)
	model, ok := rentindex.Bundled(city.IndexModel)
	if !ok {
		t.Fatal("no index model")
	}
	var now atomic.Int64
	now.Store(today.AddMonths(-months - 3).Start().UnixMicro())
	clock := func() time.Time { return time.UnixMicro(now.Load()).UTC() }
	m := made{store: &memory.Store{Now: clock}, model: model, city: city}
	vault, err := seal.Open(t.TempDir(), seal.Options{Now: clock, DeferSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vault.Close() })
	views := &projections.Memory{}
	memo := aggregate.NewMemo(1 << 16) // All of the city's.
	types := catalogue.WithMemo(memo)
	runner := &projections.Runner{Store: m.store, Views: views, Catalogue: types, Now: clock, Logger: slog.New(slog.DiscardHandler)}
	index := rentindex.Projection{Model: model}
	kept := []projections.Projection{people.Projection{}, housing.Projection{}, money.Projection{}, prices.Projection{}}
	if watched {
		kept = append(kept, index, planview.Projection{}, alerts.Projection{})
	}
	caughtUp := func() error {
		head, err := m.store.Head(t.Context())
		for _, p := range kept {
			err = errors.Join(err, runner.WaitFor(t.Context(), p.Name(), head.Position))
		}
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(t.Context(), kept) }()
	m.desk = desk.New(desk.Options{
		Runner: aggregate.Runner{Store: m.store, Catalogue: types, Cache: aggregate.NewCache(10_000)}, Vault: remote.Here{Vault: vault},
		Views: views, City: city, Shipped: ruleset.Shipped(), Log: slog.New(slog.DiscardHandler), NewID: uuid.New,
	})
	var watching func(at time.Time, id string) error
	if watched {
		figures := watch.Figures{Views: views, City: city, Index: index, Desk: m.desk, Wait: func(context.Context) error { return caughtUp() }}
		books := judge(t).Books
		aggregates := aggregate.Runner{Store: m.store, Catalogue: types, Cache: aggregate.NewCache(10_000)}
		watching = func(at time.Time, id string) error {
			base := process.Base{ID: id, At: at, Actor: domain.Actor{ID: "process:warnings", Role: domain.RoleSystem}, Policy: ruleset.Shipped()}
			return warnings.Round(t.Context(), aggregates, base, figures, books, domain.DayOf(at))
		}
	}
	m.keys, m.truth, err = demo.Build(t.Context(), demo.Options{
		Watch: watching,
		Homes: homes, Months: months, Today: today, City: city, Seed: seed, Desk: m.desk, Clock: func(at time.Time) { now.Store(at.UnixMicro()) },
		Views: caughtUp,
	})
	if err = errors.Join(err, memo.Check(catalogue)); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m made) view(t *testing.T, p projections.Projection) projections.Reader {
	t.Helper()
	r, err := projections.Replay(t.Context(), m.store, catalogue, p, projections.PositionMax)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTheCity builds one city and looks for what demo-city says is in it.
func TestTheCity(t *testing.T) {
	m := build(t, 500, 36, 0, true)
	t.Run("keys for every role", func(t *testing.T) {
		for _, name := range []string{"landlord", "tenant", "company", "broker", "bank", "district", "city", "auditor"} {
			if m.keys[name].Key == "" {
				t.Errorf("no key of %s", name)
			}
		}
		if m.keys["landlord"].PartyID == "" || m.keys["tenant"].PartyID == "" || m.keys["district"].Area != "320115" {
			t.Errorf("keys: %v", m.keys)
		}
	})
	t.Run("events of every kind", m.testEvents)
	t.Run("filings in time, late, and by tenants alone", m.testFilings)
	t.Run("three differences and one firm in shortfall", m.testMoney)
	t.Run("who lets", m.testPeople)
	t.Run("the one operator at risk is found, and no other", m.testWarnings)
	t.Run("the index finds the truth", m.testTruth)
	t.Run("guidance prices hold what is signed under them", m.testGuidance)
}

func (m made) testEvents(t *testing.T) {
	types := map[string]int{}
	for rec, err := range m.store.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		types[rec.Type]++
	}
	for _, want := range []string{
		"contract.filed", "contract.terminated", "contract.expired", "listing.published", "listing.let", "listing.expired", "listing.revoked",
		"listing.suspended", "listing.withdrawn", "unit.leased", "escrow.funds_expected", "escrow.funds_received", "escrow.funds_released",
		"escrow.release_failed", "escrow.deduction_contested", "party.practitioner_rostered", "statement.day_reconciled",
		"guidance.published", "guidance.cell_adjusted", "guidance.objection_filed", "guidance.objection_answered",
	} {
		if types[want] == 0 {
			t.Errorf("no %s in %v", want, types)
		}
	}
	if types["listing.revoked"] != 1 {
		t.Errorf("%d fake listings", types["listing.revoked"])
	}
}

func (m made) testFilings(t *testing.T) {
	f, err := housing.FilingRate(t.Context(), m.view(t, housing.Projection{}), housing.AreaCity, m.truth.Start.Month()-3, today.Month())
	if err != nil {
		t.Fatal(err)
	}
	if f.RateBP < 8200 || f.RateBP > 9200 || f.Late*100 < f.Filed*3 || f.SelfFiled == 0 || f.Renewed*100 < f.Filed*15 || f.EndedBy[contract.Agreed] == 0 {
		t.Errorf("filings: %+v", f)
	}
}

func (m made) testMoney(t *testing.T) {
	r, p := m.view(t, money.Projection{}), m.view(t, people.Projection{})
	kinds := map[statement.Kind]int{}
	days, found, open := 0, 0, 0
	boards, _, err := money.Boards(t.Context(), r, everything, judge(t), money.BoardBank, "", today, projections.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bank := range boards {
		for page := (projections.Page{Limit: projections.LimitMax}); ; {
			list, next, err := money.Statements(t.Context(), r, everything, bank.ID, false, page)
			if err != nil {
				t.Fatal(err)
			}
			days += len(list)
			for _, d := range list {
				open += d.Open
				found += len(d.Discrepancies)
				for _, x := range d.Discrepancies {
					kinds[x.Kind]++
				}
			}
			if page.Cursor = next; next == "" {
				break
			}
		}
	}
	if days < 100 || found != 3 || open != 2 || kinds[statement.MissingInLedger] != 2 || kinds[statement.Amount] != 1 {
		t.Errorf("%d days of statements, %d differences, %d open: %v", days, found, open, kinds)
	}
	boards, _, err = money.Boards(t.Context(), r, everything, judge(t), money.BoardParty, "", today, projections.Page{})
	if err != nil {
		t.Fatal(err)
	}
	short := 0
	for _, b := range boards {
		firm, _, err := people.SubjectOf(t.Context(), p, everything, b.ID, today)
		if err != nil {
			t.Fatal(err)
		}
		if b.CoverageBP == nil || *b.CoverageBP >= 10_000 {
			if b.Warning != nil && *b.Warning >= alert.Orange {
				t.Errorf("%s is warned of: %+v", firm.OrgName, b)
			}
			continue
		}
		short++
		if firm.OrgName != "示例蓝杉转租" || *b.CoverageBP > 9000 || b.OwnerUnpaidFen == 0 || b.ShortfallFen == 0 || b.Warning == nil || *b.Warning != alert.Red {
			t.Errorf("%s is short: %+v", firm.OrgName, b)
		}
	}
	if short != 1 {
		t.Errorf("%d firms are short", short)
	}
}

// testWarnings scores what was raised in the last sixty days against what the city is known to hold: one operator pays
// high, lets low, collects beside its account and leaves its owners unpaid. Verdicts are those of the truth.
func (m made) testWarnings(t *testing.T) {
	r, p := m.view(t, alerts.Projection{}), m.view(t, people.Projection{})
	guilty := map[string]bool{}
	for _, kind := range []string{party.OrgRentalEnterprise, party.OrgSubleaseOperator} {
		list, _, err := people.Subjects(t.Context(), p, everything, people.Filter{Kind: "ORG", OrgKind: kind, On: today}, projections.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			guilty[s.ID] = s.OrgName == "示例蓝杉转租"
		}
	}
	if len(guilty) != 6 {
		t.Fatalf("%d companies", len(guilty))
	}
	rows, _, err := alerts.List(t.Context(), r, everything, alerts.Filter{Kind: alert.Operator}, projections.Page{Limit: projections.LimitMax})
	if err != nil {
		t.Fatal(err)
	}
	for indicator, least := range map[string]alert.Level{
		alert.BlowUp: alert.Red, "SHORTFALL": alert.Orange, "HIGH_IN_LOW_OUT": alert.Red, "OWNER_ARREARS": alert.Orange,
	} {
		found, right := 0, 0
		for _, row := range rows {
			if row.Indicator != indicator || !slices.ContainsFunc(row.Episodes, func(e alerts.Episode) bool { return e.Highest >= least }) {
				continue
			}
			found++
			if guilty[row.Subject.ID] {
				right++
			}
		}
		t.Logf("%s from %s: %d found, %d of them rightly: precision %d %%, recall %d %%", indicator, least, found, right, 100*right/max(found, 1), 100*right)
		if exact := indicator != "HIGH_IN_LOW_OUT"; right != 1 || exact && found != 1 {
			t.Errorf("%s: %d found, %d rightly", indicator, found, right)
		}
	}
	for _, row := range rows {
		if row.Indicator != alert.BlowUp {
			continue
		}
		e := row.Evidence.Exposure
		if row.Level != alert.Red || e == nil || e.Homes == 0 || e.Tenants == 0 || e.Owners == 0 || e.ShortfallFen == 0 || e.OwnersFen == 0 || e.DepositsFen+e.PrepaidFen == 0 || e.UnheldFen == 0 {
			t.Errorf("the watch: %+v", row)
		}
	}
	city := alert.Subject{Kind: alert.City, ID: alert.City}
	scores, err := alerts.Scores(t.Context(), r, everything, city, today-90, today)
	if err != nil || len(scores) < 2 || scores[len(scores)-1].Score >= scores[0].Score {
		t.Errorf("the city's health does not fall with it: %+v %v", scores, err)
	}
}

func (m made) testPeople(t *testing.T) {
	r := m.view(t, people.Projection{})
	count, err := people.Figures(t.Context(), r, "city")
	if err != nil {
		t.Fatal(err)
	}
	for kind, n := range map[string]int64{
		party.OrgBrokerage: 9, party.OrgSupervisingBank: 4, party.OrgSubleaseOperator: 2, party.OrgRentalEnterprise: 4,
	} {
		if count["parties_"+kind] != n {
			t.Errorf("%d of %s, want %d", count["parties_"+kind], kind, n)
		}
	}
	most := int64(0)
	for page := (projections.Page{Limit: projections.LimitMax}); ; {
		list, next, err := people.Subjects(t.Context(), r, everything, people.Filter{Kind: "PERSON", On: today}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Tally["lessee_head"] > 0 {
				most = max(most, s.Tally["rooms"])
			}
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	if most < 7 { // Some of his rooms may be vacant today.
		t.Errorf("the subletter lets %d rooms", most)
	}
}

// testGuidance looks at the latest quarter's prices: a revision follows an upheld objection, one is dismissed, one waits; and
// the prices published so far hold most of the rents signed under them.
func (m made) testGuidance(t *testing.T) {
	var latest guidance.State
	r := m.view(t, prices.Projection{})
	inside, n := 0, 0
	for _, period := range []string{"2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3"} {
		latest = guidance.State{}
		for rec, err := range m.store.Stream(t.Context(), "guidance-"+period, 0) {
			if err != nil {
				t.Fatal(err)
			}
			e, err := catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data)
			if err != nil {
				t.Fatal(err)
			}
			latest = guidance.Decider.Evolve(latest, e.(guidance.Event))
		}
		for _, v := range latest.Versions {
			b, err := prices.Test(t.Context(), r, period, v)
			if err != nil {
				t.Fatal(err)
			}
			inside, n = inside+b.Overall.Inside, n+b.Overall.N
		}
	}
	t.Logf("%d of %d rents lie within p10 and p90", inside, n)
	if n < 100 || inside*100 < n*65 || inside*100 > n*90 {
		t.Errorf("%d of %d rents lie within p10 and p90", inside, n)
	}
	var states []string
	for _, o := range latest.Objections {
		states = append(states, o.State())
	}
	if got := strings.Join(states, " "); got != "REVISED DISMISSED FILED" && got != "REVISED DISMISSED OVERDUE" || len(latest.Versions) != 2 {
		t.Fatalf("objections of the latest quarter: %s; %d versions", got, len(latest.Versions))
	}
	if a := latest.Versions[0].Adjustments; len(a) != 1 || latest.Versions[1].Book()[a[0].Cell].Adjusted {
		t.Errorf("adjusted %+v; revised %+v", a, latest.Versions[1].Book()[a[0].Cell])
	}
}

// testTruth holds the city's index to the month effects the rents were made with: month by month within its standard
// errors, and the fall of rents over the shock, which a flat line misses by several.
func (m made) testTruth(t *testing.T) {
	p := rentindex.Projection{Model: m.model}
	r := m.view(t, p)
	for _, area := range []string{rentindex.City} {
		s, err := p.Series(t.Context(), r, rentindex.Query{Area: area, Population: rentindex.New, Now: today.Month()})
		if err != nil {
			t.Fatal(err)
		}
		near, n := 0.0, 0
		var got, want, weight [2]float64 // Before and after the shock.
		base := domain.Month(0)
		for _, pt := range s.Points {
			if pt.LogIndex == nil {
				continue
			}
			if base == 0 {
				base = pt.Month
				continue
			}
			truth := m.truth.Month(area, pt.Month) - m.truth.Month(area, base)
			near += math.Pow((*pt.LogIndex-truth) / *pt.SE, 2)
			n++
			part := 0
			if pt.Month >= m.truth.Start.Month()+18 {
				part = 1
			}
			w := float64(pt.N)
			got[part], want[part], weight[part] = got[part]+w**pt.LogIndex, want[part]+w*truth, weight[part]+w
		}
		fell, fall := got[1]/weight[1]-got[0]/weight[0], want[1]/weight[1]-want[0]/weight[0]
		sd := *s.Sigma * math.Sqrt(1/weight[0]+1/weight[1])
		t.Logf("%s: %d months, mean squared error %.2f in standard errors; fell by %.4f ± %.4f, in truth by %.4f", area, n, near/float64(n), fell, sd, fall)
		if n < 30 || near > 2*float64(n) || math.Abs(fell-fall) > 3.5*sd || math.Abs(fell) < 2*sd {
			t.Errorf("%s: the index does not find what the rents were made with", area)
		}
	}
}

// TestSeedDecides: the same seed gives the same events but for keys and seals, another seed others.
func TestSeedDecides(t *testing.T) {
	digest := func(seed uint64) string {
		m, h := build(t, 40, 8, seed, false), sha256.New()
		for rec, err := range m.store.All(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			stream := rec.Stream
			if strings.HasPrefix(stream, "claim-identity.") || strings.HasPrefix(stream, "apikey-") {
				stream = "" // Named by a random key.
			}
			fmt.Fprintln(h, stream, rec.Revision, rec.Type, rec.Meta.At)
		}
		return fmt.Sprintf("%x", h.Sum(nil))
	}
	one := digest(7)
	if two := digest(7); one != two {
		t.Error("the same seed gave another city")
	}
	if other := digest(8); one == other {
		t.Error("another seed gave the same city")
	}
}
