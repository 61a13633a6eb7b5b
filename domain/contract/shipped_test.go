package contract_test

import (
	"slices"
	"testing"

	"zujian/domain"
	. "zujian/domain/contract"
	"zujian/domain/ruleset"
)

// TestOrdinaryContractsPassTheShippedRules: whatever people commonly sign is filed at once, and no rule lacks a fact.
func TestOrdinaryContractsPassTheShippedRules(t *testing.T) {
	policy := ruleset.Shipped()
	whole := func() (Terms, Subject) { return ordinary(), subject() }
	cases := []struct {
		name   string
		make   func() (Terms, Subject)
		edit   func(*Terms, *Subject)
		byRole string
		paper  bool
	}{
		{name: "an owner and a tenant", make: whole},
		{name: "the tenant files alone", make: whole, byRole: ByLessee},
		{name: "on paper at a counter", make: whole, byRole: ByCounter, paper: true},
		{name: "without a deposit", make: whole, edit: func(t *Terms, _ *Subject) {
			t.DepositFen, t.DepositReturnDays, t.DeductionGrounds = 0, nil, nil
		}},
		{name: "without a day of signing or an escrow", make: whole, edit: func(t *Terms, _ *Subject) { t.SignedOn, t.Escrow = 0, Escrow{} }},
		{name: "a family of three", make: whole, edit: func(t *Terms, _ *Subject) {
			t.Occupants = []Occupant{
				{ID: "1", Party: "tenant", Relation: "SELF", FamilyID: "f"},
				{ID: "2", Name: "sealed", Relation: "SPOUSE", FamilyID: "f"},
				{ID: "3", Name: "sealed", Relation: "CHILD", FamilyID: "f", Minor: true},
			}
		}},
		{name: "a room", make: func() (Terms, Subject) { return ordinary(), rooms() }, edit: func(t *Terms, _ *Subject) {
			t.LetMode, t.Rooms, t.MonthlyRentFen, t.DepositFen = LetByRoom, []string{"r1"}, 120000, 120000
		}},
		{name: "an operator under its head lease", make: sublet},
		{name: "the head lease itself", make: whole, edit: func(t *Terms, s *Subject) {
			t.Kind, t.Lessees, t.SubleaseConsent, t.PayCycleMonths = KindHead, []PartyShare{{Party: "operator"}}, true, 1
			s.Parties[1] = PartyFacts{ID: "operator", Kind: "ORG", OrgKind: "SUBLEASE_OPERATOR", Level: 2, OpeningReported: true}
		}},
		{name: "through a broker", make: whole, byRole: ByBrokerage, edit: func(t *Terms, s *Subject) {
			t.Brokerage, t.Practitioner = "brokerage", "agent"
			t.Fees = []Fee{{Kind: "COMMISSION", AmountFen: 175000, Payee: "brokerage", Listed: true}}
			s.Parties = append(s.Parties, PartyFacts{ID: "brokerage", Kind: "ORG", OrgKind: "BROKERAGE", Level: 2, OpeningReported: true},
				edit(person("agent"), func(p *PartyFacts) { p.Roster = "brokerage" }))
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			terms, s := c.make()
			if c.edit != nil {
				c.edit(&terms, &s)
			}
			h := &history{t: t, policy: policy}
			h.do(now, as("owner"), Draft{Terms: terms, Subject: s})
			if c.paper {
				h.do(now, district, RecordPaper{ScanSHA256: sha("c"), ContentHash: h.state.ContentHash, ByRole: ByCounter})
			} else {
				for _, p := range h.state.Parties() {
					h.do(now, as(p), Sign{Party: p, ContentHash: h.state.ContentHash})
				}
			}
			f := File{Number: validNo, ByRole: ByLessor, By: terms.Lessors[0].Party}
			switch c.byRole {
			case ByLessee:
				f.ByRole, f.By = ByLessee, terms.Lessees[0].Party
			case ByBrokerage:
				f.ByRole, f.By = ByBrokerage, terms.Brokerage
			case ByCounter:
				f.ByRole, f.By = ByCounter, ""
			}
			h.do(now, as("owner"), f)
			if h.state.Stage != StageFiled {
				t.Errorf("%s: %v", h.state.Stage, h.last().(FilingHeld).Rules.Fired())
			}
			for _, e := range h.events {
				if d, ok := e.(Drafted); ok {
					checkFired(t, d.Rules)
				}
			}
		})
	}
}

func checkFired(t *testing.T, v domain.Verdict) {
	t.Helper()
	for _, res := range v.Fired() {
		if res.Outcome == domain.OutcomeUnknown || res.Outcome == domain.OutcomeAlert {
			t.Errorf("%s on an ordinary contract: %+v", res.Outcome, res)
		}
	}
}

// TestFactsAreThoseOfTheVocabulary: every fact the rules may read is given, in its kind, with and without head lease.
func TestFactsAreThoseOfTheVocabulary(t *testing.T) {
	sub, subFacts := sublet()
	for _, q := range []Question{
		{Terms: ordinary(), Subject: subject(), SignedOn: day("2026-11-23"), Today: day("2026-11-23"), FiledBy: ByLessor, FiledOn: day("2026-11-23")},
		{Terms: sub, Subject: subFacts, SignedOn: day("2026-11-23"), Today: day("2026-11-23"), FiledBy: ByLessor, FiledOn: day("2026-11-23")},
	} {
		for _, g := range ruleset.Facts() {
			if g.From != "domain/contract" {
				continue
			}
			for path, kind := range g.Facts {
				if got := q.Fact(path).Kind(); got != kind {
					t.Errorf("%s is %q, want %q", path, got, kind)
				}
			}
		}
	}
}

func TestGoldenScenariosUnderTheShippedRules(t *testing.T) {
	policy := ruleset.Shipped()
	draft := func(terms Terms, s Subject) error {
		req := domain.Request[Command]{At: now, Actor: as("owner"), Policy: policy, Command: Draft{Terms: terms, Subject: s}}
		_, err := Decider.Decide(State{}, req)
		return err
	}
	kind := func(k, signedOn string) error { // Scenario 2: a space that is no room.
		s := rooms()
		s.Unit.Rooms = slices.Clone(s.Unit.Rooms)
		s.Unit.Rooms[0].Kind = k
		return draft(edit(ordinary(), func(t *Terms) {
			t.LetMode, t.Rooms, t.SignedOn, t.Start = LetByRoom, []string{"r1"}, day(signedOn), day(signedOn)
		}), s)
	}
	arh := func(rent domain.Fen, p ProjectFacts) error { // Scenario 10.
		p.Eligible, p.RecognitionNo = true, "XM"
		return draft(edit(ordinary(), func(t *Terms) { t.MonthlyRentFen, t.DepositFen = rent, 0 }),
			edit(subject(), func(s *Subject) { s.Project = &p }))
	}
	first := ProjectFacts{AssessedRentFen: 400000}
	next := ProjectFacts{AssessedRentFen: 410000, PrevRentFen: 360000}
	rich := ProjectFacts{AssessedRentFen: 500000, PrevRentFen: 360000}
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"a kitchen":                     {kind("KITCHEN", "2026-11-23"), "unit.non_habitable"},
		"a kitchen in 2024":             {kind("KITCHEN", "2024-01-01"), "unit.non_habitable"},
		"a garage in 2024 is only held": {kind("GARAGE", "2024-01-01"), ""},
		"a garage since 2025-09-15":     {kind("GARAGE", "2025-09-15"), "unit.non_habitable"},
		"at the cap":                    {arh(360000, first), ""},
		"a fen over the cap":            {arh(360001, first), "contract.arh_rent_cap"},
		"within the rise, over the cap": {arh(370000, next), "contract.arh_rent_cap"},
		"at both limits":                {arh(369000, next), ""},
		"a fen over the rise":           {arh(378001, rich), "contract.arh_rent_rise"},
		"twenty years":                  {draft(edit(ordinary(), func(t *Terms) { t.End = day("2046-11-30") }), subject()), ""},
		"twenty years and a day":        {draft(edit(ordinary(), func(t *Terms) { t.End = day("2046-12-01") }), subject()), "contract.term_too_long"},
	} {
		got := ""
		if r, ok := c.err.(*domain.Rejection); ok {
			got = r.Code
			if r.Rule == "" {
				t.Errorf("%s: refused without its rule", name)
			}
		} else if c.err != nil {
			t.Errorf("%s: %v", name, c.err)
		}
		if got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}
}
