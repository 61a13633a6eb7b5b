package demo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"

	"zujian/api/desk"
	"zujian/api/whatif"
	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/guidance"
	"zujian/domain/listing"
	"zujian/domain/party"
	"zujian/domain/ruleset"
	"zujian/domain/unit"
	"zujian/projections"
	"zujian/projections/people"
	"zujian/projections/rentindex"
)

// simulate asks what would have been in a demo city.
func (m made) simulate(t *testing.T, r whatif.Request, o whatif.Options) *whatif.Result {
	t.Helper()
	res, err := m.try(t, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (m made) try(t *testing.T, r whatif.Request, o whatif.Options) (*whatif.Result, error) {
	o.Desk, o.Store, o.Catalogue, o.Index = m.desk, m.store, catalogue, rentindex.Projection{Model: m.model}
	s, err := whatif.Begin(t.Context(), o, r)
	if err != nil {
		return nil, err
	}
	return s.Run(t.Context())
}

func changed(t *testing.T, doc string) *whatif.Change {
	t.Helper()
	c, err := whatif.ParseChange([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestWhatIf simulates in a city whose every contract is known.
func TestWhatIf(t *testing.T) {
	m := build(t, 110, 18, 3, false)
	before, err := m.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("what is sublet, as the view has it", m.testSublettings)
	t.Run("nothing changed, nothing changes", m.testNothingChanged)
	t.Run("a parameter finds the contracts it turns on", m.testOneParameter)
	t.Run("a rent ceiling finds the rents above it", m.testCeiling)
	t.Run("a rule that holds, and one that warns", m.testHeldAndWarned)
	t.Run("a listing's code and its price", m.testListings)
	t.Run("a rule taken away eases", m.testRemoved)
	t.Run("the same bytes in any batches", m.testSameBytes)
	t.Run("what cannot be judged is refused", m.testBadInput)
	after, err := m.store.Head(t.Context())
	if err != nil || before != after {
		t.Errorf("the log went from %v to %v, %v", before, after, err)
	}
}

// testNothingChanged is the law of the simulation: under the rules that were in force every decision comes out as it was
// recorded, to the byte.
func (m made) testNothingChanged(t *testing.T) {
	for name, change := range map[string]*whatif.Change{
		"no change": nil, "the whole set": {Rules: rulesOf(t, ruleset.Shipped())},
		"a change to what is": changed(t, `{"change":[{"id":"M-01","params":{"op":">"}}]}`),
	} {
		res := m.simulate(t, whatif.Request{Change: change}, whatif.Options{})
		if res.Check.Otherwise > 0 || res.Check.AsRecorded != res.Decisions || res.Decisions < 500 {
			t.Errorf("%s: %d decisions, check %s", name, res.Decisions, text(t, res.Check))
		}
		if len(res.Effects) > 0 || res.Subjects > 0 || res.CasesAll > 0 || res.Index.Changed || len(res.Changed) > 0 ||
			res.Rules.Then != res.Rules.Now || res.Escrow.Then != res.Escrow.Now {
			t.Errorf("%s: effects %s, changed %s", name, text(t, res.Effects), text(t, res.Changed))
		}
	}
	judged, verdicts := 0, 0
	for e := range m.events(t) {
		if v := desk.Verdict([]domain.Event{e.Event}); len(v) > 0 && e.Type != (escrow.FundsExpected{}).EventType() {
			verdicts++
		}
	}
	res := m.simulate(t, whatif.Request{}, whatif.Options{})
	for _, row := range res.ByRule {
		judged = max(judged, row.Then.Judged)
	}
	if res.Decisions < verdicts || judged == 0 {
		t.Errorf("%d decisions of %d events with a verdict", res.Decisions, verdicts)
	}
}

func rulesOf(t *testing.T, p domain.Policy) (out []json.RawMessage) {
	t.Helper()
	for _, r := range p.Rules {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw)
	}
	return out
}

// events are the log's, decoded.
func (m made) events(t *testing.T) iter.Seq[projections.Event] {
	return func(yield func(projections.Event) bool) {
		for rec, err := range m.store.All(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			e, err := projections.Decode(catalogue, rec)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(e) {
				return
			}
		}
	}
}

// agreed is a contract as the log has it.
type agreed struct {
	terms    contract.Terms
	operator bool
	signed   bool
	filed    bool
	escrow   string
}

// contracts reads them without the simulation.
func (m made) contracts(t *testing.T) map[string]*agreed {
	out := map[string]*agreed{}
	for e := range m.events(t) {
		id := projections.ID(e.Stream)
		switch x := e.Event.(type) {
		case contract.Drafted:
			a := &agreed{terms: x.Terms}
			for _, p := range x.Subject.Parties {
				if p.ID == x.Terms.Lessors[0].Party {
					a.operator = p.OrgKind == party.OrgRentalEnterprise || p.OrgKind == party.OrgSubleaseOperator
				}
			}
			out[id] = a
		case contract.Signed:
			out[id].signed, out[id].escrow = true, x.Escrow.Mode
		case contract.Filed:
			out[id].filed = true
		}
	}
	return out
}

// count tells how many subjects have an effect on a kind of decision.
func count(res *whatif.Result, kind string, effect whatif.Effect) int {
	for _, row := range res.Effects {
		if row.Kind == kind && row.Effect == effect {
			return row.Subjects
		}
	}
	return 0
}

// testOneParameter turns "more than three months" into "three months or more", as the draft rule of the city has it.
func (m made) testOneParameter(t *testing.T) {
	res := m.simulate(t, whatif.Request{Change: changed(t, `{"change":[{"id":"M-01","params":{"op":">="}}]}`)}, whatif.Options{})
	want, deposits, rent, then := 0, domain.Fen(0), domain.Fen(0), 0
	for _, c := range m.contracts(t) {
		switch {
		case !c.signed || c.terms.Kind != contract.KindOut || !c.operator:
		case c.escrow == contract.EscrowMandatory:
			then++
		case c.terms.PayCycleMonths == 3:
			want++
			deposits += c.terms.DepositFen
			rent += c.terms.MonthlyRentFen * domain.Fen(c.terms.Start.MonthsUntil(c.terms.End))
		}
	}
	if want < 3 || count(res, desk.DecisionSignature, whatif.Supervised) != want || count(res, desk.DecisionDraft, whatif.Routed) < want || len(res.Effects) != 3 {
		t.Errorf("%d contracts of operators pay three months at once; effects %s", want, text(t, res.Effects))
	}
	e := res.Escrow
	if e.Then.Mandatory != then || e.Now.Mandatory != then+want || e.Now.DepositFen-e.Then.DepositFen != deposits || e.Now.RentFen-e.Then.RentFen != rent {
		t.Errorf("escrow then %+v, now %+v; want %d and %d more, deposits %d, rent %d", e.Then, e.Now, then, want, deposits, rent)
	}
	if res.Index.Changed || res.Check.Otherwise > 0 {
		t.Errorf("index %+v, check %+v", res.Index, res.Check)
	}
	higher := 0
	for _, d := range e.Days {
		if d.NowFen < d.ThenFen || d.ThenFen < 0 {
			t.Fatalf("on %s %d are held, %d would be", d.Day, d.ThenFen, d.NowFen)
		}
		if d.NowFen > d.ThenFen {
			higher++
		}
	}
	if higher == 0 || len(e.Days) != int(res.To-res.From)+1 {
		t.Errorf("%d of %d days hold more", higher, len(e.Days))
	}
	total := 0
	for _, row := range res.ByOwner {
		total += row.Effects[whatif.Supervised]
	}
	if total != want {
		t.Errorf("%d at operators: %s", total, text(t, res.ByOwner))
	}
}

// ceiling is a rule that refuses whole flats above 4,000 yuan a month.
const ceiling = `{"add":[{"id":"X-01","version":1,"title_zh":"租金上限","title_en":"rent ceiling","source":"TEST","article":"1",
	"effective_from":"2020-01-01","status":"ACTIVE","stages":["CONTRACT_SIGN"],
	"predicate":["and",["==","$lease.kind","OUT"],["==","$lease.tenure","MARKET"],[">","$lease.monthly_rent_fen","@max_fen"]],
	"params":{"max_fen":{"value":400000,"unit":"fen"}},"outcome":"REJECT","severity":3,"code":"rule.violated",
	"message_zh":"租金超过上限","message_en":"the rent is above the ceiling"}]}`

func (m made) testCeiling(t *testing.T) {
	drafts, filed := 0, map[domain.Month]int64{}
	for _, c := range m.contracts(t) {
		if c.terms.Kind == contract.KindOut && c.terms.MonthlyRentFen > 400_000 {
			drafts++
			if c.filed {
				filed[c.terms.SignedOn.Month()]++
			}
		}
	}
	out := m.simulate(t, whatif.Request{Change: changed(t, ceiling)}, whatif.Options{})
	if drafts < 10 || count(out, desk.DecisionDraft, whatif.Refused) != drafts || out.Subjects != drafts {
		t.Errorf("%d rents above; %d subjects, effects %s", drafts, out.Subjects, text(t, out.Effects))
	}
	i := slices.IndexFunc(out.ByRule, func(r whatif.RuleRow) bool { return r.Rule == "X-01" })
	if i < 0 || out.ByRule[i].Now.Reject < drafts || out.ByRule[i].Then != (whatif.OutcomeCount{}) {
		t.Errorf("by rule %+v", out.ByRule[max(i, 0)])
	}
	if out.Index.Out != drafts || out.Index.Capped != 0 || !out.Index.Changed {
		t.Errorf("index: %d out, %d capped, changed %v", out.Index.Out, out.Index.Capped, out.Index.Changed)
	}
	shown := 0
	for _, p := range out.Index.Series[0].Points {
		if p.NThen == nil || p.NNow == nil {
			continue
		}
		shown++
		if *p.NThen-*p.NNow != filed[p.Month] {
			t.Errorf("%s: the city's index lost %d of %d contracts, not %d", p.Month, *p.NThen-*p.NNow, *p.NThen, filed[p.Month])
		}
	}
	if out.Index.Series[0].Area != rentindex.City || shown == 0 {
		t.Errorf("the city's index: %s", text(t, out.Index.Series[0]))
	}

	capped := m.simulate(t, whatif.Request{Change: changed(t, ceiling), Refused: whatif.Capped, Cases: 100_000}, whatif.Options{})
	if capped.Index.Capped != drafts || capped.Index.Out != 0 {
		t.Errorf("index: %d out, %d capped", capped.Index.Out, capped.Index.Capped)
	}
	for _, c := range capped.Cases {
		if c.Effect == whatif.Refused && (c.CapFen != 400_000 || c.RentFen <= 400_000 || !slices.Equal(c.Rules, []string{"X-01"})) {
			t.Fatalf("case %+v", c)
		}
	}
	lower := 0
	for _, p := range capped.Index.Series[0].Points {
		if (p.NThen == nil) != (p.NNow == nil) || p.NThen != nil && *p.NThen != *p.NNow {
			t.Errorf("%s: other contracts when capped", p.Month)
		}
		if p.MedianThenFen != nil && p.MedianNowFen != nil {
			if *p.MedianNowFen > *p.MedianThenFen {
				t.Errorf("%s: the median rises from %v to %v", p.Month, *p.MedianThenFen, *p.MedianNowFen)
			}
			lower++
		}
	}
	if lower == 0 {
		t.Error("no medians")
	}
}

func (m made) testHeldAndWarned(t *testing.T) {
	for outcome, effect := range map[string]whatif.Effect{"HOLD": whatif.Held, "ALERT": whatif.Warned} {
		rule := strings.Replace(ceiling, `"REJECT"`, `"`+outcome+`"`, 1)
		res := m.simulate(t, whatif.Request{Change: changed(t, rule)}, whatif.Options{})
		filings, drafts := 0, 0
		for _, c := range m.contracts(t) {
			if c.terms.Kind == contract.KindOut && c.terms.MonthlyRentFen > 400_000 {
				drafts++
				if c.filed {
					filings++
				}
			}
		}
		got := map[whatif.Effect]int{whatif.Held: count(res, desk.DecisionFiling, whatif.Held), whatif.Warned: count(res, desk.DecisionDraft, whatif.Warned)}[effect]
		want := map[whatif.Effect]int{whatif.Held: filings, whatif.Warned: drafts}[effect]
		if effect == whatif.Held { // What its tenant filed alone was held anyhow.
			got += count(res, desk.DecisionFiling, whatif.Warned)
		}
		if got != want || res.Index.Changed || res.Subjects != drafts {
			t.Errorf("%s: %d, want %d; effects %s", outcome, got, want, text(t, res.Effects))
		}
	}
}

func (m made) testListings(t *testing.T) {
	whole, coded := 0, 0
	cells := []string{}
	for e := range m.events(t) {
		switch e.Event.(type) {
		case listing.Verified:
			coded++
		case listing.Published:
			whole++
		}
	}
	for _, size := range []string{"<=30", "30-50", "50-70", "70-90", "90-120", ">120"} {
		for _, fitout := range []string{"BARE", "SIMPLE", "FULL"} {
			cells = append(cells, fmt.Sprintf(`{"area":"city","let_mode":"WHOLE","size_band":%q,"fitout":%q,"n":100,"p10":1,"p25":2,"median":3,"p75":4,"p90":5}`, size, fitout))
		}
	}
	table, err := whatif.ParseTable([]byte(`{"cells":[`+strings.Join(cells, ",")+`]}`), m.city)
	if err != nil {
		t.Fatal(err)
	}
	res := m.simulate(t, whatif.Request{Guidance: table, Ceiling: whatif.CeilingP90, Refused: whatif.Capped}, whatif.Options{})
	if got := count(res, desk.DecisionListing, whatif.Warned); got != coded || coded < 3 || whole < 3 {
		t.Errorf("%d listings are warned of, %d were verified", got, coded)
	}
	g := res.Guidance
	all := func(p whatif.Bands) int { return p.Below10 + p.To25 + p.To75 + p.To90 + p.Above90 + p.Unpriced }
	if g == nil || g.Then.Unpriced == 0 || all(g.Now) != all(g.Then) || g.Now.Above90 != all(g.Then)-g.Now.Unpriced || g.Now.Above90 == 0 {
		t.Fatalf("guidance %+v", g)
	}
	if res.Index.Capped != g.Now.Above90 || res.Index.Out != 0 || count(res, desk.DecisionFiling, whatif.OverCeiling)+count(res, desk.DecisionReview, whatif.OverCeiling) != g.Now.Above90 {
		t.Errorf("index %d capped; effects %s", res.Index.Capped, text(t, res.Effects))
	}
	shorter := m.simulate(t, whatif.Request{Change: changed(t, `{"change":[{"id":"L-01","params":{"days":7}}]}`)}, whatif.Options{})
	if got := count(shorter, desk.DecisionListing, whatif.Other); got != coded {
		t.Errorf("%d of %d codes would end earlier: %s", got, coded, text(t, shorter.Effects))
	}
}

func (m made) testRemoved(t *testing.T) {
	res := m.simulate(t, whatif.Request{Change: changed(t, `{"remove":["C-14","C-15"]}`)}, whatif.Options{})
	late, alone := 0, 0
	for e := range m.events(t) {
		switch x := e.Event.(type) {
		case contract.Filed:
			if slices.ContainsFunc(x.Rules, func(r *domain.RuleResult) bool { return r.Rule == "C-14" && r.Outcome == domain.OutcomeAlert }) {
				late++
			}
		case contract.FilingHeld:
			alone++
		}
	}
	if got := count(res, desk.DecisionFiling, whatif.Eased) + count(res, desk.DecisionReview, whatif.Eased) + count(res, desk.DecisionFiling, whatif.Freed); late < 3 || got < late {
		t.Errorf("%d late filings, %d by tenants alone; effects %s", late, alone, text(t, res.Effects))
	}
}

func (m made) testSameBytes(t *testing.T) {
	r := func() whatif.Request { return whatif.Request{Change: changed(t, ceiling), Refused: whatif.Capped} }
	want := text(t, m.simulate(t, r(), whatif.Options{}))
	for _, o := range []whatif.Options{{Batch: 1, Workers: 1}, {Batch: 7, Workers: 3, States: 1}, {Batch: 100_000, Workers: 8}} {
		if got := text(t, m.simulate(t, r(), o)); got != want {
			t.Errorf("%+v gives another result", o)
		}
	}
	half := r()
	half.To = today.AddMonths(-12)
	other := r()
	other.From = half.To.AddDays(1)
	whole, one, two := m.simulate(t, r(), whatif.Options{}), m.simulate(t, half, whatif.Options{}), m.simulate(t, other, whatif.Options{})
	if one.Decisions+two.Decisions != whole.Decisions || one.CasesAll+two.CasesAll != whole.CasesAll {
		t.Errorf("two halves: %d + %d decisions of %d, %d + %d cases of %d",
			one.Decisions, two.Decisions, whole.Decisions, one.CasesAll, two.CasesAll, whole.CasesAll)
	}
}

func (m made) testBadInput(t *testing.T) {
	run := func(r whatif.Request) error {
		_, err := m.try(t, r, whatif.Options{})
		return err
	}
	future, begin := today.AddDays(400), m.truth.Start
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"a period in the future":    {run(whatif.Request{From: future}), whatif.ErrPeriod},
		"a period that ends first":  {run(whatif.Request{From: begin.AddDays(9), To: begin}), whatif.ErrPeriod},
		"a period before the log":   {run(whatif.Request{To: begin.AddDays(-400)}), whatif.ErrPeriod},
		"an unknown treatment":      {run(whatif.Request{Refused: "lost"}), whatif.ErrOption},
		"a ceiling without a table": {run(whatif.Request{Ceiling: whatif.CeilingP75}), whatif.ErrOption},
		"an unknown rule":           {run(whatif.Request{Change: changed(t, `{"remove":["Z-99"]}`)}), whatif.ErrRules},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// testSublettings holds the count on the way through the log to the view's.
func (m made) testSublettings(t *testing.T) {
	s, lessors, most := people.NewSublettings(), map[string]bool{}, 0
	for e := range m.events(t) {
		c, ok := e.Event.(contract.Event)
		if !ok || !s.Counts(e.Type) {
			continue
		}
		s.Add(projections.ID(e.Stream), c)
		if f, ok := c.(contract.Filed); ok {
			lessors[f.Summary.Lessors[0]] = true
		}
	}
	r := m.view(t, people.Projection{})
	for id := range lessors {
		want, err := people.Sublets(t.Context(), r, id)
		if err != nil || s.Of(id) != want {
			t.Errorf("%s sublets %d, in the view %d, %v", id, s.Of(id), want, err)
		}
		most = max(most, want)
	}
	if most == 0 {
		t.Error("nobody sublets")
	}
}

// TestVerdicts: whatever event holds what rules said, the simulation reads it.
func TestVerdicts(t *testing.T) {
	for _, e := range []domain.Event{
		contract.Drafted{},
		contract.Abandoned{},
		contract.SignedByParty{},
		contract.Signed{},
		contract.Declined{},
		contract.PaperRecorded{},
		contract.Filed{},
		contract.FilingHeld{},
		contract.FilingReturned{},
		contract.AmendmentProposed{},
		contract.AmendmentSigned{},
		contract.Amended{},
		contract.LessorReplaced{},
		contract.OccupantAdded{},
		contract.NoticeGiven{},
		contract.Terminated{},
		listing.Drafted{},
		listing.Edited{},
		listing.Submitted{},
		listing.Verified{},
		listing.Rejected{},
		listing.Held{},
		listing.Published{},
		listing.Let{},
		listing.CodeRenewed{},
		listing.Objected{},
		escrow.FundsExpected{},
		escrow.ReleaseOrdered{},
		escrow.DeductionHeld{},
		escrow.DeductionProposed{},
		escrow.DepositClaimed{},
		account.ReserveDeposited{},
		account.ReserveDrawn{},
		account.LoansDeclared{},
		account.ReserveSet{},
		guidance.CellAdjusted{},
		guidance.Published{},
		party.Registered{},
		party.OpeningReported{},
		party.PractitionerRostered{},
		party.DataCorrected{},
		unit.Registered{},
		unit.RoomsProposed{},
		unit.RoomsConfirmed{},
	} {
		v := reflect.New(reflect.TypeOf(e)).Elem()
		field := v.FieldByName("Rules")
		if !field.IsValid() {
			continue
		}
		field.Set(reflect.ValueOf(domain.Verdict{{Rule: "X-01"}}))
		if len(desk.Verdict([]domain.Event{v.Interface().(domain.Event)})) != 1 {
			t.Errorf("the verdict of %s is not read", e.EventType())
		}
	}
}
