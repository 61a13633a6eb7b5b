package contract_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	. "zujian/domain/contract"
	"zujian/domain/domaintest"
)

type tc = domaintest.Case[Command, Event]

func rejected(code string) error { return domain.Reject(code, "") }

// judged is the outcome of one rule in a verdict.
func judged(v domain.Verdict, rule string) domain.Outcome {
	for _, r := range v {
		if r.Rule == rule {
			return r.Outcome
		}
	}
	return ""
}

func TestTheMainPathIsFiledAtOnce(t *testing.T) {
	h := filed(t, ordinary(), subject())
	want := []string{"contract.drafted", "contract.signed_by_party", "contract.signed_by_party", "contract.signed", "contract.filed"}
	var got []string
	for _, e := range h.events {
		got = append(got, e.EventType())
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Fatalf("events (got, want)\n%s", diff)
	}
	f := h.last().(Filed)
	if len(f.Rules.Fired()) != 0 {
		t.Errorf("an ordinary contract fired %+v", f.Rules.Fired())
	}
	wantObservation := domain.Observation{
		Month: day("2026-11-01").Month(), From: day("2026-12-01").Month(), To: day("2027-11-01").Month(), RentFen: 350000,
		AreaC: 8912, ReportUnit: "320115", Street: "320115004", AdminCode: "320115", Unit: "u1", LetMode: LetWhole, Bedrooms: 2,
		SizeBand: domain.Size90, FloorBand: domain.FloorMid, AgeBand: domain.Age15, MetroBand: domain.Metro1000, Lessor: "owner",
	}
	if diff := cmp.Diff(f.Observation, wantObservation); diff != "" {
		t.Errorf("observation (got, want)\n%s", diff)
	}
	if f.GuidanceVersion != "2026Q3/1" || f.Late || f.FilingNo != validNo || len(f.CertificateHash) != 64 {
		t.Errorf("filed = %+v", f)
	}
}

func TestDraft(t *testing.T) {
	draft := func(f func(*Terms, *Subject)) Draft {
		terms, s := ordinary(), subject()
		f(&terms, &s)
		return Draft{Terms: terms, Subject: s}
	}
	given := drafted(t, ordinary(), subject()).events
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "the same terms again", Given: given, When: Draft{Terms: ordinary(), Subject: subject()}},
		{Name: "other terms", Given: given, When: draft(func(t *Terms, _ *Subject) { t.MonthlyRentFen++ }), Err: ErrAlreadyDrafted},
		{Name: "no lessee", When: draft(func(t *Terms, _ *Subject) { t.Lessees = nil }), Err: ErrParties},
		{Name: "one party on both sides", When: draft(func(t *Terms, _ *Subject) { t.Lessees[0].Party = "owner" }), Err: ErrParties},
		{Name: "a party nobody registered", When: draft(func(t *Terms, _ *Subject) { t.Lessees[0].Party = "ghost" }), Err: ErrPartyUnknown},
		{Name: "an erased party", When: draft(func(_ *Terms, s *Subject) { s.Parties[1].Erased = true }), Err: ErrPartyUnknown},
		{Name: "an unverified party", When: draft(func(_ *Terms, s *Subject) { s.Parties[1].Level = 1 }), Err: rejected("contract.realname_required")},
		{Name: "shares of 9 999", When: draft(func(t *Terms, _ *Subject) { t.Lessors[0].ShareBP = 9999 }), Err: ErrShares},
		{Name: "another unit's facts", When: draft(func(_ *Terms, s *Subject) { s.Unit.ID = "u2" }), Err: ErrUnitUnknown},
		{Name: "a unit that was split", When: draft(func(_ *Terms, s *Subject) { s.Unit.Retired = true }), Err: ErrUnitUnknown},
		{Name: "a room that is not there", When: draft(func(t *Terms, _ *Subject) { t.LetMode, t.Rooms = LetByRoom, []string{"r9"} }), Err: ErrRooms},
		{Name: "by room without a room", When: draft(func(t *Terms, _ *Subject) { t.LetMode = LetByRoom }), Err: ErrRooms},
		{Name: "a shop", When: draft(func(t *Terms, _ *Subject) { t.Use = "SHOP" }), Err: ErrUse},
		{Name: "end before start", When: draft(func(t *Terms, _ *Subject) { t.End = day("2026-11-30") }), Err: ErrDates},
		{Name: "one day", When: draft(func(t *Terms, _ *Subject) { t.End = t.Start }), Err: rejected("contract.dates")},
		{Name: "signed tomorrow", When: draft(func(t *Terms, _ *Subject) { t.SignedOn = day("2026-11-24") }), Err: ErrSignedFuture},
		{Name: "no rent", When: draft(func(t *Terms, _ *Subject) { t.MonthlyRentFen = 0 }), Err: ErrAmount},
		{Name: "more rent than there is money", When: draft(func(t *Terms, _ *Subject) { t.MonthlyRentFen = domain.FenMax + 1 }), Err: ErrAmount},
		{Name: "more rent over the term than there is money", When: draft(func(t *Terms, _ *Subject) { t.MonthlyRentFen = domain.FenMax / 12 }), Err: ErrAmount},
		{Name: "more deposit beside the rent than there is money", When: draft(func(t *Terms, _ *Subject) { t.DepositFen = domain.FenMax }), Err: ErrAmount},
		{Name: "signed before leases were filed", When: draft(func(t *Terms, _ *Subject) { t.SignedOn = day("1994-12-31") }), Err: ErrDates},
		{Name: "running since before leases were filed", When: draft(func(t *Terms, _ *Subject) { t.Start, t.End = day("1900-01-01"), day("1900-12-31") }), Err: ErrDates},
		{Name: "negative deposit", When: draft(func(t *Terms, _ *Subject) { t.DepositFen = -1 }), Err: ErrAmount},
		{Name: "no payment cycle", When: draft(func(t *Terms, _ *Subject) { t.PayCycleMonths = 0 }), Err: ErrField},
		{Name: "an occupant without a name", When: draft(func(t *Terms, _ *Subject) { t.Occupants = []Occupant{{ID: "o1"}} }), Err: ErrOccupant},
		{Name: "two occupants of one id", When: draft(func(t *Terms, _ *Subject) {
			t.Occupants = []Occupant{{ID: "o1", Party: "a"}, {ID: "o1", Party: "b"}}
		}), Err: ErrOccupant},
		{Name: "half a co-owner", When: draft(func(_ *Terms, s *Subject) {
			s.Unit.Owners = []Owner{{Party: "owner", ShareBP: 5000}, {Party: "sister", ShareBP: 5000}}
		}), Err: rejected("contract.co_owner_consent")},
		{Name: "somebody else's flat", When: draft(func(_ *Terms, s *Subject) { s.Unit.Owners[0].Party = "stranger" }), Err: rejected("contract.co_owner_consent")},
		{Name: "renews what nobody found", When: draft(func(t *Terms, _ *Subject) { t.Renews = "c0" }), Err: ErrField},
		{Name: "sign before a draft", When: Sign{Party: "owner"}, Err: ErrNotFound},
		{Name: "file before a draft", When: File{Number: validNo}, Err: ErrNotFound},
	})
}

func TestTheDepositClauseFollowsTheDayOfSigning(t *testing.T) { // Scenario 3; Regulation 812 in force 2025-09-15.
	for on, want := range map[string]error{"2025-09-14": nil, "2025-09-15": rejected("contract.deposit_clause")} {
		terms := edit(ordinary(), func(t *Terms) {
			t.DepositReturnDays, t.DeductionGrounds, t.SignedOn, t.Start = nil, nil, day(on), day("2025-10-01")
		})
		req := base(t) // Filed more than a year later.
		req.Command = Draft{Terms: terms, Subject: subject()}
		if _, err := Decider.Decide(State{}, req); !errors.Is(err, want) {
			t.Errorf("signed %s: %v, want %v", on, err, want)
		}
	}
}

func TestSublease(t *testing.T) {
	draft := func(f func(*Terms, *Subject)) Draft {
		terms, s := sublet()
		p := *s.Parent
		s.Parent = &p
		f(&terms, &s)
		return Draft{Terms: terms, Subject: s}
	}
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "ends after the head lease", When: draft(func(t *Terms, _ *Subject) { // domain.md's worked case: max_end 2028-12-31.
			t.Start, t.End = day("2028-06-01"), day("2029-05-31")
		}), Err: rejected("contract.sublease_term")},
		{Name: "without consent", When: draft(func(_ *Terms, s *Subject) { s.Parent.SubleaseConsent = false }), Err: rejected("contract.no_sublease_consent")},
		{Name: "a sublessor without any head lease", When: draft(func(t *Terms, s *Subject) { t.Parent, s.Parent = "", nil }), Err: rejected("contract.no_sublease_consent")},
		{Name: "an ended head lease", When: draft(func(_ *Terms, s *Subject) { s.Parent.Ended = true }), Err: ErrParentUnknown},
		{Name: "a head lease that is not registered", When: draft(func(_ *Terms, s *Subject) { s.Parent = nil }), Err: ErrParentUnknown},
		{Name: "by somebody who is not its lessee", When: draft(func(_ *Terms, s *Subject) { s.Parent.Lessees = []string{"x"} }), Err: ErrOutsideParent},
		{Name: "of another unit", When: draft(func(_ *Terms, s *Subject) { s.Parent.Unit = "u2" }), Err: ErrOutsideParent},
		{Name: "before it begins", When: draft(func(_ *Terms, s *Subject) { s.Parent.Start = day("2027-01-01") }), Err: ErrOutsideParent},
	})

	terms, s := sublet()
	terms.Start, terms.End = day("2028-01-01"), day("2028-12-31") // Equal ends are right.
	s.Parent.MonthlyRentFen = 400000
	d := drafted(t, terms, s).last().(Drafted)
	if got := judged(d.Rules, "C-09"); got != domain.OutcomeAlert {
		t.Errorf("high in, low out: %s", got)
	}
	over := edit(s, func(s *Subject) { s.Parent = new(edit(*s.Parent, func(p *ParentFacts) { p.Ended = true })) })
	bySublessor := drafted(t, terms, s).do(now, as("operator"), Sign{Party: "operator", ContentHash: Hash(terms)})
	domaintest.Run(t, Decider, base(t), []tc{{
		Name: "signed when the head lease has ended", Given: bySublessor.events, As: as("tenant"),
		When: Sign{Party: "tenant", ContentHash: Hash(terms), Refreshed: &over}, Err: ErrParentUnknown,
	}})
	s.Parent.ChainDepth = 2
	h := signed(t, terms, s).do(now, as("operator"), File{Number: validNo, ByRole: ByLessor, By: "operator"})
	if held, ok := h.last().(FilingHeld); !ok || !cmp.Equal(held.Reasons, []string{"C-08"}) {
		t.Errorf("a chain of three: %+v", h.last())
	}
}

func TestSign(t *testing.T) {
	h := drafted(t, ordinary(), subject())
	hash := h.state.ContentHash
	owner := SignedByParty{Party: "owner", ContentHash: hash, Method: MethodKey, At: now}
	byOwner := with(h.events, owner)
	tenant := SignedByParty{Party: "tenant", ContentHash: hash, Method: MethodKey, At: now}
	done := signed(t, ordinary(), subject())
	conclusion := done.last().(Signed)
	unverified := edit(subject(), func(s *Subject) { s.Parties[1].Level = 0 })
	erased := edit(subject(), func(s *Subject) { s.Parties[0].Erased = true })
	retired := edit(subject(), func(s *Subject) { s.Unit.Retired = true })
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "the first", Given: h.events, When: Sign{Party: "owner", ContentHash: hash}, Then: []Event{owner}},
		{
			Name: "the last", Given: byOwner, As: as("tenant"), When: Sign{Party: "tenant", ContentHash: hash, GuidanceVersion: "2026Q3/1"},
			Then: []Event{tenant, conclusion},
		},
		{Name: "again when all have", Given: done.events, When: Sign{Party: "tenant", ContentHash: hash}, As: as("tenant")},
		{Name: "other content", Given: h.events, When: Sign{Party: "owner", ContentHash: sha("0")}, Err: ErrSignatureHash},
		{Name: "no party", Given: h.events, When: Sign{Party: "x", ContentHash: hash}, As: as("x"), Err: ErrNotParty},
		{Name: "with another's key", Given: h.events, When: Sign{Party: "tenant", ContentHash: hash}, Err: ErrNotSigner},
		{Name: "for another without a mandate", Given: h.events, When: Sign{Party: "tenant", ContentHash: hash, Method: MethodMandate}, Err: ErrNoMandate},
		{
			Name: "for another with one", Given: h.events, As: as("agent"),
			When: Sign{Party: "owner", ContentHash: hash, Method: MethodMandate, Mandated: true},
			Then: []Event{edit(owner, func(e *SignedByParty) { e.Method, e.By = MethodMandate, "agent" })},
		},
		{Name: "electronically without evidence", Given: h.events, When: Sign{Party: "owner", ContentHash: hash, Method: MethodESign}, Err: ErrEvidence},
		{
			Name: "electronically", Given: h.events, As: as("company"),
			When: Sign{Party: "owner", ContentHash: hash, Method: MethodESign, Evidence: sha("a")},
			Then: []Event{edit(owner, func(e *SignedByParty) { e.Method, e.Evidence = MethodESign, sha("a") })},
		},
		{
			Name: "by a party that lost its verification", Given: byOwner, As: as("tenant"),
			When: Sign{Party: "tenant", ContentHash: hash, Refreshed: &unverified}, Err: rejected("contract.realname_required"),
		},
		{Name: "beside one who is erased", Given: byOwner, As: as("tenant"), When: Sign{Party: "tenant", ContentHash: hash, Refreshed: &erased}, Err: ErrPartyUnknown},
		{Name: "for a unit that was split", Given: byOwner, As: as("tenant"), When: Sign{Party: "tenant", ContentHash: hash, Refreshed: &retired}, Err: ErrUnitUnknown},
		{Name: "declined", Given: byOwner, When: Decline{Party: "tenant", Reason: "price"}, Then: []Event{Declined{Party: "tenant", Reason: "price"}}},
		{Name: "after a refusal", Given: with(byOwner, Declined{Party: "tenant"}), When: Sign{Party: "tenant", ContentHash: hash}, As: as("tenant"), Err: ErrWrongState},
		{Name: "abandoned", Given: h.events, When: AbandonDraft{Reason: "let"}, Then: []Event{Abandoned{Reason: "let"}}},
		{Name: "abandon what all signed", Given: done.events, When: AbandonDraft{}, Err: ErrWrongState},
	})
}

func TestTheMoneyOfAnOperatorOverTheLimitIsRouted(t *testing.T) {
	terms, s := sublet()
	terms.DepositFen++
	if got := signed(t, terms, s).last().(Signed).Escrow.Mode; got != EscrowMandatory {
		t.Errorf("escrow = %q", got)
	}
	terms.DepositFen--
	if got := signed(t, terms, s).last().(Signed).Escrow.Mode; got != EscrowVoluntary {
		t.Errorf("escrow at the limit = %q", got)
	}
}

func TestFile(t *testing.T) {
	h := signed(t, ordinary(), subject())
	byOwner := File{Number: validNo, ByRole: ByLessor, By: "owner"}
	held := edit(subject(), func(s *Subject) { s.Unit.Flags = []string{"OBJECTION"} })
	onHold := signed(t, ordinary(), held).do(now, as("owner"), byOwner)
	late := domain.Date(2026, time.December, 24).Start().Add(time.Hour)
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "a draft", Given: drafted(t, ordinary(), subject()).events, When: byOwner, Err: ErrNotAllSigned},
		{Name: "twice", Given: filed(t, ordinary(), subject()).events, When: edit(byOwner, func(f *File) { f.Number = "other" })},
		{Name: "a wrong check character", Given: h.events, When: edit(byOwner, func(f *File) { f.Number = validNo[:18] + "!" }), Err: ErrFilingNo},
		{Name: "a verification code for a number", Given: h.events, When: edit(byOwner, func(f *File) { f.Number = number("HY" + validNo[2:18]) }), Err: ErrFilingNo},
		{Name: "as a lessor who is none", Given: h.events, When: File{Number: validNo, ByRole: ByLessor, By: "tenant"}, Err: ErrNotParty},
		{Name: "as a brokerage nobody named", Given: h.events, When: File{Number: validNo, ByRole: ByBrokerage, By: "b"}, Err: ErrNotParty},
		{Name: "returned without a reason", Given: onHold.events, When: DecideFiling{}, Err: ErrReason},
		{Name: "returned", Given: onHold.events, When: DecideFiling{Reason: "court"}, As: district, Then: []Event{FilingReturned{Reason: "court"}}},
		{Name: "deciding what is not held", Given: h.events, When: DecideFiling{Accept: true}, Err: ErrWrongState},
	})

	alone := h.do(late, as("tenant"), File{Number: validNo, ByRole: ByLessee, By: "tenant"}).last().(Filed)
	if !alone.Late || alone.ByRole != ByLessee || judged(alone.Rules, "C-14") != domain.OutcomeAlert {
		t.Errorf("a tenant alone on day 31: %+v", alone)
	}
	if got := onHold.last().(FilingHeld); !cmp.Equal(got.Reasons, []string{"U-07"}) {
		t.Errorf("held for %v", got.Reasons)
	}
	accepted := onHold.do(late, district, DecideFiling{Accept: true}).last().(Filed)
	if accepted.FilingNo != validNo || accepted.Late || accepted.FiledOn != day("2026-12-24") {
		t.Errorf("a filing held in time is in time: %+v", accepted)
	}
}

func TestAReturnedFilingMayBeAskedForAgain(t *testing.T) {
	held := edit(subject(), func(s *Subject) { s.Unit.Flags = []string{"OBJECTION"} })
	clear := subject()
	h := signed(t, ordinary(), held).
		do(now, as("owner"), File{Number: validNo, ByRole: ByLessor, By: "owner"}).
		do(now, district, DecideFiling{Reason: "title"}).
		do(now, as("owner"), File{Number: validNo, ByRole: ByLessor, By: "owner", Refreshed: &clear})
	if _, ok := h.last().(Filed); !ok {
		t.Errorf("after the objection was lifted: %+v", h.last())
	}
}

func TestAFilingIsJudgedByTheDayOfTheLastSignature(t *testing.T) {
	terms := edit(ordinary(), func(t *Terms) { t.SignedOn, t.Start, t.DepositReturnDays = 0, day("2025-10-01"), nil })
	before, after := day("2025-09-14").Start(), day("2025-09-20").Start()
	h := begin(t).do(before, as("owner"), Draft{Terms: terms, Subject: subject()})
	h.do(before, as("owner"), Sign{Party: "owner", ContentHash: h.state.ContentHash}).
		do(before, as("tenant"), Sign{Party: "tenant", ContentHash: h.state.ContentHash}).
		do(after, as("owner"), File{Number: validNo, ByRole: ByLessor, By: "owner"})
	if f, ok := h.last().(Filed); !ok || f.SignedOn != day("2025-09-14") || f.Observation.Month != day("2025-09-14").Month() {
		t.Errorf("signed before the deposit clause was law, filed after: %+v", h.last())
	}
}

func TestFacts(t *testing.T) {
	q := Question{Terms: ordinary(), Subject: subject(), SignedOn: day("2026-11-23"), Today: day("2026-11-23")}
	is := func(path string, want int64) {
		t.Helper()
		if got := q.Fact(path); got != domain.FactInt(want) {
			t.Errorf("%s = %+v, want %d", path, got, want)
		}
	}
	is("lease.total_rent_fen", 12*350000)
	q.Terms.End = day("2027-12-05")
	is("lease.total_rent_fen", 13*350000)
	is("lease.days_over", 5)
	q.Subject.Unit.OtherHeads, q.Subject.Unit.OtherFamilies, q.Subject.Unit.OtherAdults = 7, 4, 6
	for name, want := range map[string]int64{"heads_total": 8, "families": 5, "unrelated_adults": 7, "gross_per_head_c": 8912 / 8} {
		is("space."+name, want)
	}
	q.Subject.Unit.Owners = nil
	if got := q.Fact("space.owner_consent_bp"); got.Kind() != "" {
		t.Errorf("ownership nobody recorded = %+v", got)
	}
}

func TestTheDeadlineMovesToTheNextWorkingDay(t *testing.T) {
	p := testPolicy(t)
	for signed, want := range map[string]string{
		"2026-11-23": "2026-12-23", // A Wednesday.
		"2026-11-20": "2026-12-21", // The 30th day is a Sunday.
	} {
		if got := FilingDue(p, day(signed)); got != day(want) {
			t.Errorf("signed %s: due %s, want %s", signed, got, want)
		}
	}
}

func TestPaper(t *testing.T) {
	h := drafted(t, ordinary(), subject())
	paper := RecordPaper{ScanSHA256: sha("b"), ContentHash: h.state.ContentHash, ByRole: ByCounter}
	mine := edit(paper, func(p *RecordPaper) { p.ByRole, p.By = ByLessee, "tenant" })
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "without a scan", Given: h.events, When: edit(paper, func(p *RecordPaper) { p.ScanSHA256 = "" }), Err: ErrEvidence},
		{Name: "of other content", Given: h.events, When: edit(paper, func(p *RecordPaper) { p.ContentHash = "x" }), Err: ErrSignatureHash},
		{Name: "by the lessor", Given: h.events, When: edit(paper, func(p *RecordPaper) { p.ByRole, p.By = ByLessor, "owner" }), Err: ErrField},
		{Name: "by a stranger", Given: h.events, When: edit(mine, func(p *RecordPaper) { p.By = "x" }), Err: ErrNotParty},
		{Name: "again", Given: drafted(t, ordinary(), subject()).do(now, district, paper).events, When: paper},
	})
	if e := drafted(t, ordinary(), subject()).do(now, district, paper, File{Number: validNo, ByRole: ByCounter}).last(); e.EventType() != "contract.filed" {
		t.Errorf("at a counter: %s", e.EventType())
	}
	e := h.do(now, as("tenant"), mine, File{Number: validNo, ByRole: ByLessee, By: "tenant"}).last()
	if held, ok := e.(FilingHeld); !ok || !cmp.Equal(held.Reasons, []string{"C-15"}) {
		t.Errorf("paper of a lessee alone: %+v", e)
	}
}
