package contract_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	. "zujian/domain/contract"
	"zujian/domain/domaintest"
)

func rise(to domain.Fen) ProposeAmendment {
	return ProposeAmendment{
		AmendmentID: "a1", By: "owner", Changes: Changes{MonthlyRentFen: fenp(to)}, EffectiveFrom: day("2027-06-15"),
	}
}

func TestAmend(t *testing.T) {
	h := filed(t, ordinary(), subject()).do(now, as("owner"), rise(370000))
	proposed := h.last().(AmendmentProposed)
	if judged(proposed.Rules, "C-23") != domain.OutcomeAlert {
		t.Error("a rise of 5.71 % within the term raises no alert")
	}
	owner := AmendmentSigned{AmendmentID: "a1", Party: "owner", Hash: proposed.Hash}
	byOwner := with(h.events, owner)
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "proposed again", Given: h.events, When: rise(370000)},
		{Name: "the same id, other content", Given: h.events, When: rise(360000), Err: ErrAmendmentExists},
		{Name: "nothing changed", Given: filed(t, ordinary(), subject()).events, When: rise(350000), Err: ErrAmendment},
		{
			Name: "from before the term", Given: filed(t, ordinary(), subject()).events,
			When: edit(rise(360000), func(a *ProposeAmendment) { a.EffectiveFrom = day("2026-11-30") }), Err: ErrAmendment,
		},
		{Name: "a rent of nothing", Given: filed(t, ordinary(), subject()).events, When: rise(0), Err: ErrAmount},
		{
			Name: "by a stranger", Given: filed(t, ordinary(), subject()).events,
			When: edit(rise(360000), func(a *ProposeAmendment) { a.By = "x" }), Err: ErrNotParty,
		},
		{Name: "of a draft", Given: drafted(t, ordinary(), subject()).events, When: rise(360000), Err: ErrWrongState},
		{Name: "signed by one", Given: h.events, When: SignAmendment{AmendmentID: "a1", Party: "owner", Hash: proposed.Hash}, Then: []Event{owner}},
		{Name: "signed over other content", Given: h.events, When: SignAmendment{AmendmentID: "a1", Party: "owner", Hash: sha("0")}, Err: ErrSignatureHash},
		{Name: "signed by a stranger", Given: h.events, When: SignAmendment{AmendmentID: "a1", Party: "x", Hash: proposed.Hash}, Err: ErrNotParty},
		{Name: "another amendment", Given: h.events, When: SignAmendment{AmendmentID: "a9", Party: "owner", Hash: proposed.Hash}, Err: ErrNoAmendment},
		{Name: "a rise by the lessor alone", Given: byOwner, When: ApplyAmendment{AmendmentID: "a1"}, Err: ErrUnilateralRise},
	})

	h.do(now, as("tenant"), SignAmendment{AmendmentID: "a1", Party: "tenant", Hash: proposed.Hash}).
		do(now, as("owner"), SignAmendment{AmendmentID: "a1", Party: "owner", Hash: proposed.Hash})
	a := h.last().(Amended)
	if a.Before.MonthlyRentFen != 350000 || a.After.MonthlyRentFen != 370000 || h.state.Terms.MonthlyRentFen != 370000 {
		t.Errorf("amended = %+v", a)
	}
	if a.ObservationBefore.RentFen != 350000 || a.Observation.RentFen != 370000 || a.Observation.From != day("2027-06-01").Month() {
		t.Errorf("observations %+v → %+v", a.ObservationBefore, a.Observation)
	}
	if n := len(h.state.Observations); n != 2 || h.state.Observations[0].To != day("2027-05-01").Month() {
		t.Errorf("segments = %+v", h.state.Observations)
	}
	if h.state.ContentHash != Hash(h.state.Terms) || h.state.DraftHash == h.state.ContentHash {
		t.Error("the content hash is not that of the terms in force")
	}
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "signed again when done", Given: h.events, When: SignAmendment{AmendmentID: "a1", Party: "owner", Hash: proposed.Hash}},
		{Name: "proposed again when done", Given: h.events, When: rise(370000)},
		{Name: "applied when done", Given: h.events, When: ApplyAmendment{AmendmentID: "a1"}},
		{Name: "drafted again when amended", Given: h.events, When: Draft{Terms: ordinary(), Subject: subject()}},
	})
}

func TestALowerRentNeedsBothToo(t *testing.T) {
	h := filed(t, ordinary(), subject()).do(now, as("owner"), rise(300000))
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "applied without signatures", Given: h.events, When: ApplyAmendment{AmendmentID: "a1"}, Err: ErrNotAllSigned},
	})
}

func TestOccupants(t *testing.T) {
	terms := edit(ordinary(), func(t *Terms) { t.LetMode, t.Rooms, t.PayCycleMonths = LetByRoom, []string{"r1"}, 1 })
	h := filed(t, terms, rooms())
	who := func(id string) Occupant { return Occupant{ID: id, Name: domain.Sealed("sealed-" + id)} }
	added := OccupantAdded{Occupant: who("o1"), Occupants: 1}
	h.do(now, as("tenant"), AddOccupant{Occupant: who("o1")})
	if got := h.last().(OccupantAdded); got.Occupant != added.Occupant || got.Occupants != 1 || len(got.Rules) != 2 {
		t.Errorf("added = %+v", got)
	}
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "the same again", Given: h.events, When: AddOccupant{Occupant: who("o1")}},
		{Name: "other data", Given: h.events, When: AddOccupant{Occupant: edit(who("o1"), func(o *Occupant) { o.Minor = true })}, Err: ErrOccupantExists},
		{Name: "in a room that is not let", Given: h.events, When: AddOccupant{Occupant: edit(who("o2"), func(o *Occupant) { o.Room = "r2" })}, Err: ErrOccupant},
		{Name: "nobody", Given: h.events, When: AddOccupant{Occupant: Occupant{ID: "o2"}}, Err: ErrOccupant},
		{Name: "a stranger leaves", Given: h.events, When: RemoveOccupant{OccupantID: "o9"}, Err: ErrOccupantNotFound},
		{
			Name: "leaves", Given: h.events, When: RemoveOccupant{OccupantID: "o1", On: day("2026-12-31")},
			Then: []Event{OccupantRemoved{OccupantID: "o1", On: day("2026-12-31")}},
		},
		{Name: "into a draft", Given: drafted(t, terms, rooms()).events, When: AddOccupant{Occupant: who("o1")}, Err: ErrWrongState},
	})

	h.do(now, as("tenant"), AddOccupant{Occupant: who("o2")}, AddOccupant{Occupant: who("o3")})
	if got := judged(h.last().(OccupantAdded).Rules, "U-02"); got != domain.OutcomeAlert {
		t.Errorf("three strangers in a room: %s", got)
	}
	family := begin(t)
	family.state = h.state
	family.state.Occupants = []Occupant{
		edit(who("o1"), func(o *Occupant) { o.FamilyID = "f" }), edit(who("o2"), func(o *Occupant) { o.FamilyID = "f" }),
	}
	family.do(now, as("tenant"), AddOccupant{Occupant: edit(who("o4"), func(o *Occupant) { o.FamilyID = "f" })})
	if got := judged(family.last().(OccupantAdded).Rules, "U-02"); got != domain.OutcomePass {
		t.Errorf("three of a family in a room: %s", got)
	}

	small := edit(rooms(), func(s *Subject) { s.Unit.GrossAreaC = 3500 })
	domaintest.Run(t, Decider, base(t), []tc{
		{
			Name:  "a fourth stranger on 35 ㎡",
			Given: filed(t, ordinary(), small).do(now, as("tenant"), AddOccupant{Occupant: who("o1")}, AddOccupant{Occupant: who("o2")}, AddOccupant{Occupant: who("o3")}).events,
			When:  AddOccupant{Occupant: who("o4")}, Err: rejected("contract.group_rental"),
		},
	})
}

func TestEnding(t *testing.T) {
	h := filed(t, ordinary(), subject())
	mid := time.Date(2027, 3, 1, 2, 0, 0, 0, time.UTC)
	notice := GiveNotice{By: SideLessor, Party: "owner", Ground: "SALE", NoticeDate: day("2027-03-01"), VacateBy: day("2027-04-01")}
	given := NoticeGiven{By: SideLessor, Party: "owner", Ground: "SALE", NoticeDate: day("2027-03-01"), VacateBy: day("2027-04-01")}
	short := edit(given, func(n *NoticeGiven) { n.VacateBy, n.Held = day("2027-03-15"), true })
	evict := Terminate{By: SideLessor, Party: "owner", Ground: "SALE", On: day("2027-04-01")}
	agree := func(party string) Terminate {
		return Terminate{By: Agreed, Party: party, Ground: "MOVE", On: day("2027-03-31")}
	}
	word := TerminationAgreed{Party: "owner", Ground: "MOVE", On: day("2027-03-31")}
	before := h.state.Observations[0]
	after := edit(before, func(o *domain.Observation) { o.To = day("2027-03-01").Month() })
	inApril := edit(before, func(o *domain.Observation) { o.To = day("2027-04-01").Month() })
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "a notice", Given: h.events, At: mid, When: notice, Then: []Event{given}},
		{Name: "a short notice", Given: h.events, At: mid, When: edit(notice, func(n *GiveNotice) { n.VacateBy = day("2027-03-15") }), Then: []Event{short}},
		{Name: "a notice dated back", Given: h.events, At: mid, When: edit(notice, func(n *GiveNotice) { n.NoticeDate, n.VacateBy = day("2027-01-02"), day("2027-03-15") }), Then: []Event{
			edit(short, func(n *NoticeGiven) { n.NoticeDate = day("2027-01-02") }),
		}},
		{Name: "the same notice when there is less time left", Given: with(h.events, given), At: mid.AddDate(0, 0, 25), When: notice},
		{Name: "a notice without a day to leave", Given: h.events, At: mid, When: edit(notice, func(n *GiveNotice) { n.VacateBy = 0 }), Err: ErrNotice},
		{Name: "a notice dated tomorrow", Given: h.events, At: mid, When: edit(notice, func(n *GiveNotice) { n.NoticeDate = day("2027-03-02") }), Err: ErrNotice},
		{Name: "the tenant's notice in the owner's name", Given: h.events, At: mid, When: edit(notice, func(n *GiveNotice) { n.Party = "tenant" }), Err: ErrNotParty},
		{Name: "eviction without a notice", Given: h.events, At: mid, When: evict, Err: ErrNoticeRequired},
		{Name: "eviction before the notice is up", Given: with(h.events, given), At: mid, When: edit(evict, func(e *Terminate) { e.On = day("2027-03-31") }), Err: ErrBeforeVacate},
		{Name: "eviction on a short notice", Given: with(h.events, short), At: mid, When: evict, Err: ErrNoticeHeld},
		{Name: "eviction after a notice", Given: with(h.events, given), At: mid, When: evict, Then: []Event{Terminated{
			By: SideLessor, Party: "owner", Ground: "SALE", On: day("2027-04-01"), Unit: "u1", Kind: KindOut, ObservationBefore: &before, Observation: &inApril,
		}}},
		{Name: "one side agrees", Given: h.events, At: mid, When: agree("owner"), Then: []Event{word}},
		{Name: "one side agrees again", Given: with(h.events, word), At: mid, When: agree("owner")},
		{Name: "both agree", Given: with(h.events, word), At: mid, When: agree("tenant"), Then: []Event{
			edit(word, func(w *TerminationAgreed) { w.Party = "tenant" }),
			Terminated{By: Agreed, Party: "tenant", Ground: "MOVE", On: day("2027-03-31"), Unit: "u1", Kind: KindOut, ObservationBefore: &before, Observation: &after},
		}},
		{
			Name: "both agree on different days", Given: with(h.events, edit(word, func(w *TerminationAgreed) { w.On++ })), At: mid, When: agree("tenant"),
			Then: []Event{edit(word, func(w *TerminationAgreed) { w.Party = "tenant" })},
		},
		{Name: "a stranger agrees", Given: h.events, At: mid, When: agree("x"), Err: ErrNotParty},
		{Name: "a court in a party's mouth", Given: h.events, At: mid, As: as("owner"), When: Terminate{By: Court, Party: "owner", DecisionNo: "1", On: day("2027-03-31")}, Err: ErrAuthority},
		{Name: "a court without a number", Given: h.events, At: mid, As: district, When: Terminate{By: Court, On: day("2027-03-31")}, Err: ErrDecisionNo},
		{Name: "the tenant without a ground", Given: h.events, At: mid, When: Terminate{By: SideLessee, Party: "tenant", On: day("2027-03-31")}, Err: ErrEnd},
		{Name: "the tenant from yesterday on", Given: h.events, At: mid, As: as("tenant"), When: Terminate{By: SideLessee, Party: "tenant", Ground: "MOVE", On: day("2027-02-28")}, Err: ErrEnd},
		{Name: "the tenant from today on", Given: h.events, At: mid, As: as("tenant"), When: Terminate{By: SideLessee, Party: "tenant", Ground: "MOVE", On: day("2027-03-01")}, Then: []Event{
			Terminated{By: SideLessee, Party: "tenant", Ground: "MOVE", On: day("2027-03-01"), Unit: "u1", Kind: KindOut, ObservationBefore: &before, Observation: &after},
		}},
		{Name: "after the term", Given: h.events, At: mid, When: Terminate{By: Court, DecisionNo: "1", On: day("2027-12-01")}, Err: ErrEnd},
		{Name: "before it began: no rent stays", Given: h.events, At: mid, As: district, When: Terminate{By: Court, DecisionNo: "1", On: day("2026-11-25")}, Then: []Event{
			Terminated{By: Court, DecisionNo: "1", On: day("2026-11-25"), Unit: "u1", Kind: KindOut, ObservationBefore: &before},
		}},
		{Name: "of a draft", Given: drafted(t, ordinary(), subject()).events, When: evict, Err: ErrWrongState},
		{Name: "expiry on the last day", Given: h.events, At: day("2027-11-30").Start(), When: Expire{}, Err: ErrNotDue},
		{Name: "expiry the day after", Given: h.events, At: day("2027-12-01").Start(), When: Expire{}, Then: []Event{Expired{On: day("2027-11-30"), Unit: "u1", Kind: KindOut}}},
		{Name: "renewed", Given: h.events, When: Renew{NewContract: "c2"}, Then: []Event{Renewed{NewContract: "c2"}}},
		{Name: "renewed twice", Given: with(h.events, Renewed{NewContract: "c2"}), When: Renew{NewContract: "c3"}, Err: ErrAlreadyRenewed},
	})
}

func TestUpstreamEnded(t *testing.T) { // Scenario 6.
	terms, s := sublet()
	h := filed(t, terms, s)
	mark := MarkUpstreamEnded{Head: "h1", On: day("2027-01-31")}
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "its head lease", Given: h.events, When: mark, Then: []Event{UpstreamEnded{Head: "h1", On: day("2027-01-31")}}},
		{Name: "another head lease", Given: h.events, When: MarkUpstreamEnded{Head: "h2"}, Err: ErrNotUnder},
		{Name: "ended itself", Given: with(h.events, Expired{On: day("2027-11-30")}), When: mark},
	})
}

func TestCancellationNeedsFourEyes(t *testing.T) {
	h := filed(t, ordinary(), subject())
	proposed := with(h.events, CancellationProposed{Reason: "FRAUD", DecisionNo: "D1", ProposedBy: district.ID})
	o := h.state.Observations[0]
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "proposed", Given: h.events, As: district, When: CancelFiling{Reason: "FRAUD", DecisionNo: "D1"}, Then: proposed[len(h.events):]},
		{Name: "without a number", Given: h.events, As: district, When: CancelFiling{Reason: "FRAUD"}, Err: ErrDecisionNo},
		{Name: "a second one", Given: proposed, As: city, When: CancelFiling{Reason: "ERROR", DecisionNo: "D2"}, Err: ErrCancellation},
		{Name: "by the same hand", Given: proposed, As: district, When: ApproveCancellation{DecisionNo: "D1"}, Err: ErrFourEyes},
		{Name: "of another decision", Given: proposed, As: city, When: ApproveCancellation{DecisionNo: "D2"}, Err: ErrNoProposal},
		{Name: "by another", Given: proposed, As: city, When: ApproveCancellation{DecisionNo: "D1"}, Then: []Event{FilingCancelled{
			FilingNo: validNo, Reason: "FRAUD", DecisionNo: "D1", CancelledOn: day("2026-11-23"), Unit: "u1", Observation: &o, Observations: []domain.Observation{o},
		}}},
		{Name: "rejected", Given: proposed, As: city, When: RejectCancellation{DecisionNo: "D1"}, Then: []Event{CancellationRejected{DecisionNo: "D1"}}},
		{Name: "of what was never filed", Given: signed(t, ordinary(), subject()).events, As: district, When: CancelFiling{Reason: "x", DecisionNo: "D"}, Err: ErrWrongState},
		{Name: "annulled", Given: h.events, As: domain.Actor{ID: "process:leasing", Role: domain.RoleSystem}, When: Annul{Reason: "RESERVATION_LOST"}, Then: []Event{
			Annulled{Reason: "RESERVATION_LOST", FilingNo: validNo, Unit: "u1", Observation: &o, Observations: []domain.Observation{o}},
		}},
		{Name: "annul a draft", Given: drafted(t, ordinary(), subject()).events, When: Annul{Reason: "x"}, Err: ErrWrongState},
	})
}

func TestLegacy(t *testing.T) {
	row := RecordLegacy{
		Source: LegacySource{Name: "bonds.xlsx", Row: 7}, Missing: []string{"lessors", "end"}, Number: "OLD-1",
		Observation:    domain.Observation{Month: day("2018-04-01").Month(), From: day("2018-04-01").Month(), RentFen: 45000, Factors: []domain.Factor{{Name: "dwelling", Level: "F"}}},
		MonthlyRentFen: 45000, Start: day("2018-04-03"),
	}
	recorded := LegacyRecorded{
		Source: row.Source, Missing: row.Missing, Observation: row.Observation, Kind: KindOut, FilingNo: "OLD-1",
		MonthlyRentFen: 45000, Start: row.Start,
	}
	given := []Event{recorded}
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "a row", When: row, Then: given},
		{Name: "the same row", Given: given, When: row},
		{Name: "another row", Given: given, When: edit(row, func(r *RecordLegacy) { r.Source.Row = 8 }), Err: ErrLegacyExists},
		{Name: "no source", When: edit(row, func(r *RecordLegacy) { r.Source.Name = "" }), Err: ErrLegacySource},
		{Name: "no rent", When: edit(row, func(r *RecordLegacy) { r.Observation.RentFen = 0 }), Err: ErrLegacySource},
		{
			Name: "no rent, set aside", When: edit(row, func(r *RecordLegacy) { r.Observation.RentFen, r.Observation.Excluded = 0, "NO_RENT" }),
			Then: []Event{edit(recorded, func(r *LegacyRecorded) { r.Observation.RentFen, r.Observation.Excluded = 0, "NO_RENT" })},
		},
		{Name: "amended", Given: given, When: rise(50000), Err: ErrLegacyTerms},
		{Name: "lived in", Given: given, When: AddOccupant{Occupant: Occupant{ID: "o", Party: "p"}}, Err: ErrLegacyTerms},
		{Name: "signed", Given: given, When: Sign{Party: "p"}, Err: ErrNotParty},
		{Name: "filed", Given: given, When: File{Number: validNo}},
		{Name: "expired without an end", Given: given, When: Expire{}, Err: ErrNotDue},
	})
	h := begin(t).do(now, district, row, Terminate{By: Court, DecisionNo: "1", On: day("2019-01-31")})
	if got := h.last().(Terminated); got.Observation.To != day("2019-01-01").Month() {
		t.Errorf("ended: %+v", got.Observation)
	}
}

func TestTheHashIsOfTheContentAlone(t *testing.T) {
	a, b := ordinary(), ordinary()
	b.Rooms, b.Fees, b.DeductionGrounds = []string{}, []Fee{}, append([]string{}, a.DeductionGrounds...)
	if Hash(a) != Hash(b) {
		t.Error("an empty list hashes unlike an absent one: the stored terms would not verify")
	}
	b.MonthlyRentFen++
	if Hash(a) == Hash(b) {
		t.Error("another rent, the same hash")
	}
	// Computed with an independent implementation of RFC 8785 over the same JSON.
	if got, want := Hash(ordinary()), "52471511832f8de34bcee413a106f4adc39bb3124e841259085182734c718d5c"; !cmp.Equal(got, want) {
		t.Errorf("hash = %s, want %s: every signature ever given would stop verifying", got, want)
	}
}
