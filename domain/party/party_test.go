package party_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/party"
)

var (
	at    = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	today = domain.Date(2026, time.November, 23)
	ask   = domain.Request[Command]{At: at}

	person = Register{Kind: KindPerson, Name: "s1", DocType: domain.DocCNID, DocNo: "s2", DocIndex: "ab12", Phone: "s3"}
	org    = Register{
		Kind: KindOrg, OrgKind: OrgRentalEnterprise, OrgName: "某某住房租赁有限公司", USCC: "91320102MA1TEXT06J",
		ScopeText: "住房租赁经营", LicenceIssued: domain.Date(2026, time.October, 1),
	}
	aPerson = []Event{Registered{Kind: KindPerson, Name: "s1", DocType: domain.DocCNID, DocNo: "s2", DocIndex: "ab12", Phone: "s3"}}
	anOrg   = []Event{Registered{
		Kind: KindOrg, OrgKind: OrgRentalEnterprise, OrgName: org.OrgName, USCC: org.USCC, ScopeText: org.ScopeText, LicenceIssued: org.LicenceIssued,
	}}
)

func given(first []Event, more ...Event) []Event { return append(slices.Clone(first), more...) }

func TestRegister(t *testing.T) {
	p := func(f func(*Register)) Register { c := person; f(&c); return c }
	o := func(f func(*Register)) Register { c := org; f(&c); return c }
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "a person", When: person, Then: aPerson},
		{Name: "an organisation", When: org, Then: anOrg},
		{Name: "again", Given: aPerson, When: person},
		{Name: "again, sealed anew", Given: aPerson, When: p(func(c *Register) { c.Name, c.DocNo, c.Phone = "t1", "t2", "t3" })},
		{Name: "again after a correction", Given: given(aPerson, DataCorrected{Name: "s9"}), When: person},
		{Name: "another identity", Given: aPerson, When: p(func(c *Register) { c.DocIndex = "cd34" }), Err: ErrExists},
		{Name: "no kind", When: Register{}, Err: ErrField},
		{Name: "a person without a name", When: p(func(c *Register) { c.Name = "" }), Err: ErrField},
		{Name: "a person without an index", When: p(func(c *Register) { c.DocIndex = "" }), Err: ErrField},
		{Name: "a person with a credit code", When: p(func(c *Register) { c.USCC = org.USCC }), Err: ErrField},
		{Name: "unknown document", When: p(func(c *Register) { c.DocType = "LIBRARY_CARD" }), Err: ErrField},
		{Name: "a wrong credit code", When: o(func(c *Register) { c.USCC = "91320102MA1TEXT06K" }), Err: domain.ErrUSCCChecksum},
		{Name: "an organisation of no kind", When: o(func(c *Register) { c.OrgKind = "" }), Err: ErrField},
		{Name: "a licence of tomorrow", When: o(func(c *Register) { c.LicenceIssued = today + 1 }), Err: ErrField},
		{
			Name: "a sole trader has both", When: Register{Kind: KindSoleTrader, Name: "s1", DocType: domain.DocCNID, DocNo: "s2", DocIndex: "i", OrgName: "小店", USCC: "93320113MA99A0B145"},
			Then: []Event{Registered{Kind: KindSoleTrader, Name: "s1", DocType: domain.DocCNID, DocNo: "s2", DocIndex: "i", OrgName: "小店", USCC: "93320113MA99A0B145"}},
		},
		{Name: "verify nobody", When: Verify{Level: 2, Method: MethodFace}, Err: ErrNotFound},
	})
}

func TestVerification(t *testing.T) {
	fail := VerificationFailed{Method: MethodFace, On: today}
	five := given(aPerson, fail, fail, fail, fail, fail)
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "verify", Given: aPerson, When: Verify{2, MethodIDNameMatch}, Then: []Event{IdentityVerified{2, MethodIDNameMatch}}},
		{Name: "a lower level changes nothing", Given: given(aPerson, IdentityVerified{Level: 3}), When: Verify{2, MethodIDNameMatch}},
		{Name: "a phone does not prove a name", Given: aPerson, When: Verify{2, MethodSMS}, Err: ErrLevel},
		{Name: "unknown method", Given: aPerson, When: Verify{1, "GUESS"}, Err: ErrLevel},
		{Name: "level nought", Given: aPerson, When: Verify{0, MethodFace}, Err: ErrLevel},
		{Name: "a person has no credit code", Given: aPerson, When: Verify{3, MethodUSCCRep}, Err: ErrOrgRequired},
		{Name: "fail", Given: aPerson, When: FailVerification{MethodFace}, Then: []Event{fail}, Repeats: true},
		{Name: "the sixth failure of a day", Given: five, When: FailVerification{MethodFace}, Err: ErrTries},
		{Name: "no success after five failures", Given: five, When: Verify{3, MethodFace}, Err: ErrTries},
		{Name: "the next day", Given: five, At: at.AddDate(0, 0, 1), When: Verify{3, MethodFace}, Then: []Event{IdentityVerified{3, MethodFace}}},
	})
}

func TestOpening(t *testing.T) {
	o := Opening{AdminCode: "320115", Place: "某路1号", Homes: 120, AccountLast: "0018"}
	reported := OpeningReported{Opening: o}
	other := o
	other.Homes++
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "report", Given: anOrg, When: ReportOpening{o}, Then: []Event{reported}},
		{Name: "a person does not report", Given: aPerson, When: ReportOpening{o}, Err: ErrNoOpening},
		{Name: "report after a return", Given: given(anOrg, reported, OpeningReturned{}), When: ReportOpening{o}, Then: []Event{reported}},
		{Name: "report a change", Given: given(anOrg, reported, OpeningPublished{}), When: ReportOpening{other}, Then: []Event{OpeningReported{Opening: other}}},
		{Name: "no place", Given: anOrg, When: ReportOpening{Opening{AdminCode: "320115"}}, Err: ErrField},
		{Name: "a whole account number", Given: anOrg, When: ReportOpening{Opening{AdminCode: "320115", Place: "x", AccountLast: "6222020000000000018"}}, Err: ErrField},
		{Name: "publish", Given: given(anOrg, reported), When: PublishOpening{}, Then: []Event{OpeningPublished{On: today}}},
		{Name: "publish nothing", Given: anOrg, When: PublishOpening{}, Err: ErrWrongState},
		{Name: "return", Given: given(anOrg, reported), When: ReturnOpening{"no lease"}, Then: []Event{OpeningReturned{"no lease"}}},
		{Name: "return without a reason", Given: given(anOrg, reported), When: ReturnOpening{}, Err: ErrField},
		{Name: "return what is public", Given: given(anOrg, reported, OpeningPublished{}), When: ReturnOpening{"x"}, Err: ErrWrongState},
	})
}

func TestPractitioner(t *testing.T) {
	in := PractitionerRostered{Brokerage: "b1", From: today}
	out := PractitionerRemoved{Brokerage: "b1", On: today}
	year := today.AddMonths(12)
	banned := PractitionerBanned{Until: year, OrderNo: "o1"}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "roster", Given: aPerson, When: Roster{Brokerage: "b1"}, Then: []Event{in}},
		{Name: "roster again tomorrow", Given: given(aPerson, in), At: at.AddDate(0, 0, 1), When: Roster{Brokerage: "b1"}},
		{Name: "a second brokerage", Given: given(aPerson, in), When: Roster{Brokerage: "b2"}, Err: ErrElsewhere},
		{Name: "after leaving the first", Given: given(aPerson, in, out), When: Roster{Brokerage: "b2"}, Then: []Event{PractitionerRostered{Brokerage: "b2", From: today}}},
		{Name: "an organisation is no practitioner", Given: anOrg, When: Roster{Brokerage: "b1"}, Err: ErrPersonRequired},
		{Name: "while suspended", Given: given(aPerson, Suspended{OrderNo: "o"}), When: Roster{Brokerage: "b1"}, Err: ErrSuspended},
		{Name: "leave", Given: given(aPerson, in), When: Unroster{Brokerage: "b1"}, Then: []Event{out}},
		{Name: "leave another", Given: given(aPerson, in), When: Unroster{Brokerage: "b2"}, Err: ErrNotRostered},
		{Name: "a ban takes off the roster", Given: given(aPerson, in), When: Ban{year, "o1"}, Then: []Event{banned, out}},
		{Name: "banned", Given: given(aPerson, banned), When: Roster{Brokerage: "b1"}, Err: ErrBanned},
		{Name: "banned, from a day after the ban", Given: given(aPerson, banned), When: Roster{Brokerage: "b1", From: year + 1}, Err: ErrBanned},
		{Name: "on the last day of the ban", Given: given(aPerson, banned), At: year.Start(), When: Roster{Brokerage: "b1"}, Err: ErrBanned},
		{Name: "the day after", Given: given(aPerson, banned), At: (year + 1).Start(), When: Roster{Brokerage: "b1"}, Then: []Event{PractitionerRostered{Brokerage: "b1", From: year + 1}}},
		{Name: "a ban without an order", Given: aPerson, When: Ban{Until: year}, Err: ErrOrderNo},
		{Name: "a ban that is over", Given: aPerson, When: Ban{today, "o1"}, Err: ErrField},
	})
}

func TestMandatesAndRepresentatives(t *testing.T) {
	grant := GrantMandate{MandateID: "m1", To: "b1", Scope: []string{ScopeList, ScopeSign}, Units: []string{"u1"}, Until: today + 30}
	granted := MandateGranted{Mandate(grant)}
	with := func(f func(*GrantMandate)) GrantMandate { c := grant; f(&c); return c }
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "grant", Given: aPerson, When: grant, Then: []Event{granted}},
		{Name: "grant again", Given: given(aPerson, granted), When: grant},
		{Name: "the same id, other content", Given: given(aPerson, granted), When: with(func(c *GrantMandate) { c.To = "b2" }), Err: ErrMandateExists},
		{Name: "a revoked one does not return", Given: given(aPerson, granted, MandateRevoked{"m1"}), When: grant, Err: ErrMandateExists},
		{Name: "unknown scope", Given: aPerson, When: with(func(c *GrantMandate) { c.Scope = []string{"SELL"} }), Err: ErrMandate},
		{Name: "already over", Given: aPerson, When: with(func(c *GrantMandate) { c.Until = today - 1 }), Err: ErrMandate},
		{Name: "revoke", Given: given(aPerson, granted), When: RevokeMandate{"m1"}, Then: []Event{MandateRevoked{"m1"}}},
		{Name: "revoke none", Given: aPerson, When: RevokeMandate{"m1"}, Err: ErrMandateNotFound},
		{Name: "bind", Given: anOrg, When: BindRepresentative{"p1", today + 9}, Then: []Event{RepresentativeBound{"p1", today + 9}}},
		{Name: "bind to a person", Given: aPerson, When: BindRepresentative{"p1", today + 9}, Err: ErrOrgRequired},
		{Name: "bind for ever", Given: anOrg, When: BindRepresentative{"p1", domain.DayMax}, Err: ErrRepresentative},
	})

	s := Decider.Fold(State{}, given(aPerson, granted, MandateGranted{Mandate{MandateID: "m2", To: "b2", Scope: []string{ScopeFile}, Until: today}})...)
	for _, c := range []struct {
		to, scope, unit string
		on              domain.Day
		want            bool
	}{
		{"b1", ScopeSign, "u1", today, true},
		{"b1", ScopeSign, "u1", today + 30, true},
		{"b1", ScopeSign, "u1", today + 31, false},
		{"b1", ScopeSign, "u2", today, false},
		{"b1", ScopeSign, "", today, false},
		{"b1", ScopeFile, "u1", today, false},
		{"b2", ScopeFile, "u7", today, true},
		{"", ScopeFile, "u7", today, false},
	} {
		if got := s.Mandated(c.to, c.scope, c.unit, c.on); got != c.want {
			t.Errorf("Mandated(%q, %s, %q, %v) = %v", c.to, c.scope, c.unit, c.on, got)
		}
	}
	bound := Decider.Fold(State{}, given(anOrg, RepresentativeBound{"p1", today})...)
	if !bound.Represented("p1", today) || bound.Represented("p1", today+1) || bound.Represented("", today) {
		t.Error("a representative acts through the last day, and nobody else does")
	}
}

func TestDataAndStanding(t *testing.T) {
	suspended := Suspended{Reason: "fraud", OrderNo: "o1"}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "correct a name", Given: aPerson, When: ReplaceData{Name: "s9", Evidence: "e1"}, Then: []Event{DataCorrected{Name: "s9", Evidence: "e1"}}},
		{Name: "correct nothing", Given: aPerson, When: ReplaceData{Name: "s1", Evidence: "e1"}},
		{Name: "correct without evidence", Given: aPerson, When: ReplaceData{Name: "s9"}, Err: ErrField},
		{Name: "a person has no business scope", Given: aPerson, When: ReplaceData{ScopeText: "x", Evidence: "e1"}, Err: ErrIdentityImmutable},
		{Name: "an organisation's name is public", Given: anOrg, When: ReplaceData{Name: "s9", Evidence: "e1"}, Err: ErrIdentityImmutable},
		{Name: "suspend", Given: aPerson, When: Suspend{"fraud", "o1"}, Then: []Event{suspended}},
		{Name: "suspend by another order", Given: given(aPerson, suspended), When: Suspend{"fraud", "o2"}, Err: ErrWrongState},
		{Name: "suspend without an order", Given: aPerson, When: Suspend{Reason: "x"}, Err: ErrOrderNo},
		{Name: "reinstate", Given: given(aPerson, suspended), When: Reinstate{"o2"}, Then: []Event{Reinstated{"o2"}}},
		{Name: "reinstate who is not suspended", Given: aPerson, When: Reinstate{"o2"}},
		{Name: "ten rooms sublet", Given: aPerson, When: ReachScale{10}, Then: []Event{SublettingScaleReached{10}}},
		{Name: "eleven", Given: given(aPerson, SublettingScaleReached{10}), When: ReachScale{11}},
		{Name: "an enterprise is at scale", Given: anOrg, When: ReachScale{10}, Err: ErrPersonRequired},
		{Name: "propose an erasure", Given: aPerson, As: domain.Actor{ID: "k1", Role: domain.RoleCity}, When: Erase{Reason: "asked", DecisionNo: "d1"}, Then: []Event{ErasureProposed{"asked", "d1", "k1"}}},
		{Name: "approve it alone", Given: given(aPerson, ErasureProposed{"asked", "d1", "k1"}), As: domain.Actor{ID: "k1", Role: domain.RoleCity}, When: Erase{Reason: "asked", DecisionNo: "d1"}},
		{Name: "approve it", Given: given(aPerson, ErasureProposed{"asked", "d1", "other"}), As: domain.Actor{ID: "k1", Role: domain.RoleCity}, When: Erase{Reason: "asked", DecisionNo: "d1"}, Then: []Event{PersonalDataErased{"asked", "d1"}}},
		{Name: "another decision proposes anew", Given: given(aPerson, ErasureProposed{"asked", "d1", "other"}), As: domain.Actor{ID: "k1", Role: domain.RoleCity}, When: Erase{Reason: "asked", DecisionNo: "d2"}, Then: []Event{ErasureProposed{"asked", "d2", "k1"}}},
		{Name: "erase with a ledger that holds money", Given: aPerson, When: Erase{Reason: "asked", DecisionNo: "d1", UnsettledLedgers: 1}, Err: ErrUnsettled},
		{Name: "erase under open contracts", Given: aPerson, When: Erase{Reason: "asked", DecisionNo: "d1", OpenContracts: 1}, Err: ErrHasOpenContracts},
		{Name: "erase on the last day of retention", Given: aPerson, When: Erase{Reason: "asked", DecisionNo: "d1", RetainUntil: today}, Err: ErrRetention},
		{Name: "erase without a decision", Given: aPerson, When: Erase{Reason: "asked"}, Err: ErrOrderNo},
		{Name: "nothing after it", Given: given(aPerson, PersonalDataErased{}), When: Verify{2, MethodFace}, Err: ErrErased},
	})
}

func TestAPartyRuleRefusesRegistration(t *testing.T) {
	rule := domain.Rule{
		ID: "S-04", Version: 3, EffectiveFrom: domain.Date(2025, 9, 15), Status: domain.RuleActive, Stages: []domain.Stage{domain.StageParty},
		Outcome: domain.OutcomeRequireDoc, Code: "party.scope_wording", Scope: domain.Scope{SubjectKinds: []string{OrgRentalEnterprise}},
	}
	if err := rule.Predicate.UnmarshalJSON([]byte(`["!=","$party.scope_text",["text","住房租赁经营"]]`)); err != nil {
		t.Fatal(err)
	}
	req := ask
	req.Policy.Rules = []domain.Rule{rule}
	bad := org
	bad.ScopeText = "餐饮"
	req.Command = bad
	_, err := Decider.Decide(State{}, req)
	if no, _ := errors.AsType[*domain.Rejection](err); no == nil || no.Rule != "S-04" || no.RuleVersion != 3 {
		t.Errorf("got %v", err)
	}
	for _, c := range []Register{org, person} { // The wording is right; a person is out of scope.
		req.Command = c
		if events, err := Decider.Decide(State{}, req); err != nil || len(events) != 1 {
			t.Errorf("%s: %v %v", c.Kind, events, err)
		}
	}
}

// TestOneBrokerageAtATime is S-07: in any order of joining, leaving and banning, a practitioner is on one roster at
// most, and on none during a ban.
func TestOneBrokerageAtATime(t *testing.T) {
	moves := 0
	rapid.Check(t, func(t *rapid.T) {
		s := Decider.Fold(State{}, aPerson...)
		log := slices.Clone(aPerson)
		on := map[string]bool{}
		now := at
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, "days"))
			day := domain.DayOf(now)
			b := rapid.SampledFrom([]string{"b1", "b2"}).Draw(t, "brokerage")
			c := rapid.SampledFrom([]Command{Roster{Brokerage: b}, Roster{Brokerage: b}, Unroster{Brokerage: b}, Ban{day + 5, "o"}}).Draw(t, "command")
			events, err := Decider.Decide(s, domain.Request[Command]{At: now, Command: c})
			if err != nil {
				continue
			}
			s = Decider.Fold(s, events...)
			log = append(log, events...)
			for _, e := range events {
				switch e := e.(type) {
				case PractitionerRostered:
					moves++
					on[e.Brokerage] = true
					if s.Banned(day) {
						t.Fatalf("rostered on %v, banned until %v", day, s.BannedUntil)
					}
				case PractitionerRemoved:
					delete(on, e.Brokerage)
				}
			}
			if len(on) > 1 || (s.Banned(day) && len(on) > 0) {
				t.Fatalf("on %v: %v, banned until %v", day, on, s.BannedUntil)
			}
			for _, b := range []string{"b1", "b2"} {
				if s.RosteredAt(b, day) != on[b] {
					t.Fatalf("RosteredAt(%s, %v) = %v", b, day, !on[b])
				}
			}
		}
		if diff := cmp.Diff(s, Decider.Fold(State{}, log...)); diff != "" {
			t.Fatal(diff)
		}
	})
	if moves == 0 {
		t.Error("nobody was ever rostered: the law was not tried")
	}
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
