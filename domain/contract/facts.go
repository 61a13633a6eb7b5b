package contract

import (
	"cmp"
	"slices"

	"zujian/domain"
)

// Facts is what the rules of both contract stages read (CONTRACT_SIGN at the draft, at the last signature, at an
// amendment and at a change of occupants; FILING when the contract is filed). Every path below is present at both
// stages unless it says otherwise, so an ordinary contract never leaves a rule UNKNOWN. Kinds: int (int64), bool,
// text (string), day, texts ([]string), records ([]Facts). Areas are 0.01 ㎡, money fen, shares basis points.
//
//	scope.subject_kinds       texts  kinds and org kinds of the lessors
//	scope.let_mode            text   = lease.let_mode
//
//	lease.kind                text   HEAD, OUT
//	lease.tenure              text   MARKET, ARH (保租房), PRH (公租房)
//	lease.let_mode            text   WHOLE, BY_ROOM, BY_BED
//	lease.use                 text   RESIDENTIAL, …
//	lease.is_sublease         bool   it has a parent, or a lessor acts as SUBLESSOR
//	lease.parent              text   "" for none
//	lease.chain_depth         int    1 = from the owner, 2 = owner → operator → tenant
//	lease.start, lease.end    day    last day included
//	lease.signed_on           day    the day whose rules apply; at the draft today when the terms name none
//	lease.today               day    of the decision
//	lease.filed_on            day    = today; of a held filing the day it was asked for. FILING only
//	lease.filed_by            text   BROKERAGE, LESSOR, LESSEE, COUNTER. FILING only
//	lease.months              int    whole months of the term, end included (2026-12-01…2027-11-30 = 12)
//	lease.days_over           int    days of the term beyond those months: more than twenty years is months ≥ 240 and days_over > 0
//	lease.monthly_rent_fen    int
//	lease.total_rent_fen      int    rent × months, a month begun included
//	lease.pay_cycle_months    int
//	lease.deposit_fen         int
//	lease.deposit_return_days int    null when the contract names none
//	lease.deduction_grounds   texts
//	lease.sublease_consent    bool   of this contract to its own lessee
//	lease.rent_free_days      int
//	lease.escrow_mode         text   NONE, VOLUNTARY, MANDATORY
//	lease.by_operator         bool   a lessor or the payee is a RENTAL_ENTERPRISE or SUBLEASE_OPERATOR
//	lease.operator_opening_reported bool  every such operator has a published opening report; true when there is none
//	lease.payee_role          text   LESSOR, OWNER, OPERATOR, ESCROW, BROKERAGE, PRACTITIONER, NETWORK_PLATFORM
//	lease.payee_org_kind      text   org kind of the payee party, "" for a person
//	lease.via_brokerage       bool
//	lease.broker_person       bool   a practitioner is named
//	lease.practitioner_rostered bool on the roster of the brokerage named; true when none is named
//	lease.practitioner_banned bool
//	lease.fees                records {kind text, amount_fen int, listed bool, payee text}
//	lease.filing_fee_fen      int    Σ fees of kind FILING
//	lease.commission_payees   int    distinct payees of COMMISSION
//	lease.has_loan            bool
//	lease.loan_embedded       bool
//	lease.loan.amount_fen, lease.loan.months, lease.loan.pay_cycle_months  int   without a loan: 0, 0, the lease's cycle
//	lease.loan.to_lessee      bool   without a loan: true
//	lease.lessors, lease.lessees  records {id, kind, org_kind, capacity text; level, share_bp int; minor, suspended bool}
//	lease.occupants           records {room, relation, family_id text; minor bool}
//	lease.heads               int    occupants, at least one for each lessee who is a person, at least 1
//	lease.room_heads_max      int    most heads in one room; those with no room named are spread over the bedrooms let
//	lease.room_unrelated_max  int    the same, a room whose occupants are one family counting 0
//	lease.docs                texts  kinds of attachments
//	lease.guardian_consent    bool   a GUARDIAN_CONSENT is attached
//	lease.signers_mandated    bool   every signature so far is the party's own or under its mandate (C-19)
//	lease.relatives           bool
//	lease.prev_rent_fen       int    rent before this amendment or renewal; = monthly_rent_fen when there is none
//	lease.rent_rise_bp        int    rise over prev_rent_fen, rounded half up; 0 when none or falling
//	lease.amendment           bool   an amendment is judged
//	lease.lessees_consent     bool   all lessees stand behind these terms (false only when asked to apply without them)
//	lease.paper_unchecked     bool   paper recorded by a lessee alone, seen by no counter
//	lease.notice_given        bool   false at both stages; C-20 itself is judged in Terminate by its parameter min_days
//
//	space.id, space.report_unit, space.street, space.admin_code  text
//	space.planned_use         text   RESIDENTIAL, …; "" (not recorded) is absent
//	space.conversion_approved bool
//	space.is_complete_home    bool   成套住宅
//	space.land_kind           text   STATE, COLLECTIVE
//	space.safety_grade        text   A–D, "" = never appraised
//	space.flags               texts  SEIZED, MORTGAGED, OBJECTION, ILLEGAL, NOT_LETTABLE, USE_CHANGED
//	space.retired             bool
//	space.kinds, space.origins texts of the rooms let; empty for a whole flat
//	space.rooms               records {id, kind, origin text; usable_area_c int} of the rooms let
//	space.gross_area_c        int    of the whole flat
//	space.let_area_c          int    of what is let: gross area of the flat, usable area of rooms
//	space.heads_total         int    everyone in the flat: lease.heads and those of other contracts now in force
//	space.families            int    families in the flat, people without a family each counting one
//	space.unrelated_adults    int    adults in the flat who share no family with another occupant
//	space.gross_per_head_c    int    gross area of the flat ÷ heads_total
//	space.usable_per_head_c   int    usable (else inner, else gross) area of what is let ÷ lease.heads
//	space.owner_consent_bp    int    share of owners who are lessors or consented; absent when ownership is not recorded
//
//	party.kind, party.org_kind text  of the first lessor
//	party.verification_level  int    lowest of all lessors and lessees
//	party.suspended           bool   any lessor, lessee or brokerage
//	party.minor               bool   any lessor or lessee
//	party.market_entity       bool   no lessor is a natural person
//	party.subletting_homes    int    most homes or rooms any lessor sublets, this one included
//
//	parent.exists, parent.filed, parent.ended, parent.sublease_consent  bool
//	parent.lessee_is_lessor   bool   every lessor here is a lessee there
//	parent.covers_space       bool   same unit, and the rooms let are among its own
//	parent.start, parent.end  day
//	parent.monthly_rent_fen   int
//	parent.sum_out_rent_fen   int    Σ monthly rent of contracts under it, this one included
//	parent.fully_let          bool   the whole of it is let, this contract included
//	                                 (without a parent: exists false, the rest as if nothing were wrong)
//
//	project.recognised        bool   the unit belongs to a 保租房 or 公租房 project
//	project.recognition_no    text
//	project.assessed_rent_fen, project.prev_rent_fen_12m  int   0 when none
//	project.eligible          bool
//
//	operator.reserve_fen, operator.reserve_required_fen  int   of the business lessor's supervised account; 0 and 0 without
//
// Rules whose outcome on a contract is ROUTE (C-05, C-10, M-01) make its escrow MANDATORY when judged at the signature.
// U-02 and U-03 are judged on a change of occupants only if they are of stage CONTRACT_SIGN.
func (q Question) Facts() domain.Facts {
	return domain.Facts{
		"scope":    domain.Facts{"subject_kinds": q.lessorKinds(), "let_mode": q.Terms.LetMode},
		"lease":    q.lease(),
		"space":    q.space(),
		"party":    q.party(),
		"parent":   q.parent(),
		"project":  q.project(),
		"operator": q.operator(),
	}
}

// operator is the reserve of the business among the lessors that is furthest below what was set for it.
func (q Question) operator() domain.Facts {
	var reserve, required domain.Fen
	for _, p := range q.operators() {
		if p.ReserveFen-p.ReserveRequiredFen < reserve-required {
			reserve, required = p.ReserveFen, p.ReserveRequiredFen
		}
	}
	return domain.Facts{"reserve_fen": int64(reserve), "reserve_required_fen": int64(required)}
}

// Question is one contract put to the rules.
type Question struct {
	Terms     Terms
	Subject   Subject
	Occupants []Occupant // Who lives there now; at the draft, Terms.Occupants.
	SignedOn  domain.Day // The day whose rules apply.
	Today     domain.Day

	FiledOn domain.Day // FILING only.
	FiledBy string     // FILING only.

	PrevRentFen    domain.Fen // Before an amendment; 0 = no amendment, the renewed contract's rent counts.
	Amendment      bool
	WithoutLessees bool // Asked to apply without the lessees' signatures.
	Unmandated     bool // A signature was made for another without a mandate.
	PaperUnchecked bool
}

func (q Question) partyFacts(id string) (PartyFacts, bool) {
	for _, p := range q.Subject.Parties {
		if p.ID == id {
			return p, true
		}
	}
	return PartyFacts{}, false
}

func isOperator(orgKind string) bool {
	return orgKind == "RENTAL_ENTERPRISE" || orgKind == "SUBLEASE_OPERATOR"
}

// operators are the lessors, or the payee, that let as a business.
func (q Question) operators() []PartyFacts {
	var out []PartyFacts
	for _, l := range append(partyIDs(q.Terms.Lessors), q.Terms.Payee.Party) {
		if p, ok := q.partyFacts(l); ok && isOperator(p.OrgKind) {
			out = append(out, p)
		}
	}
	return out
}

func (q Question) lessorKinds() []string {
	kinds := []string{}
	for _, l := range q.Terms.Lessors {
		p, _ := q.partyFacts(l.Party)
		for _, k := range []string{p.Kind, p.OrgKind} {
			if k != "" && !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	return kinds
}

func (q Question) tenure() string {
	switch p := q.Subject.Project; {
	case p == nil:
		return "MARKET"
	case p.Public:
		return "PRH"
	default:
		return "ARH"
	}
}

func (q Question) isSublease() bool {
	return q.Terms.Parent != "" || slices.ContainsFunc(q.Terms.Lessors, func(l PartyShare) bool {
		return l.Capacity == CapacitySublessor
	})
}

func (q Question) chainDepth() int {
	if q.Subject.Parent != nil && q.Subject.Parent.Exists {
		return max(q.Subject.Parent.ChainDepth, 1) + 1
	}
	if q.isSublease() {
		return 2
	}
	return 1
}

func (q Question) lease() domain.Facts {
	t := q.Terms
	months := t.Start.MonthsUntil(t.End)
	begun := int64(months)
	over := int64(t.End-t.Start.AddMonths(months)) + 1
	if over > 0 {
		begun++
	}
	total, err := t.MonthlyRentFen.Times(begun)
	if err != nil {
		total = domain.FenMax
	}
	opened := !slices.ContainsFunc(q.operators(), func(p PartyFacts) bool { return !p.OpeningReported })
	payee, _ := q.partyFacts(t.Payee.Party)
	practitioner, _ := q.partyFacts(t.Practitioner)
	heads, unrelated := q.roomHeads()
	prev, rise := q.rise()
	f := domain.Facts{
		"kind": t.Kind, "tenure": q.tenure(), "let_mode": t.LetMode, "use": t.Use,
		"is_sublease": q.isSublease(), "parent": t.Parent, "chain_depth": int64(q.chainDepth()),
		"start": t.Start, "end": t.End, "signed_on": q.SignedOn, "today": q.Today,
		"months": int64(months), "days_over": max(over, 0),
		"monthly_rent_fen": int64(t.MonthlyRentFen), "total_rent_fen": int64(total),
		"pay_cycle_months": int64(t.PayCycleMonths), "deposit_fen": int64(t.DepositFen),
		"deposit_return_days": nil, "deduction_grounds": texts(t.DeductionGrounds),
		"sublease_consent": t.SubleaseConsent, "rent_free_days": int64(t.RentFreeDays),
		"escrow_mode": cmp.Or(t.Escrow.Mode, EscrowNone), "by_operator": len(q.operators()) > 0,
		"operator_opening_reported": opened,
		"payee_role":                cmp.Or(t.Payee.Role, "LESSOR"), "payee_org_kind": payee.OrgKind,
		"via_brokerage": t.Brokerage != "", "broker_person": t.Practitioner != "",
		"practitioner_rostered": t.Practitioner == "" || (t.Brokerage != "" && practitioner.Roster == t.Brokerage),
		"practitioner_banned":   practitioner.Banned,
		"has_loan":              t.Loan != nil, "loan_embedded": t.Loan != nil && t.Loan.Embedded,
		"loan":    q.loan(),
		"lessors": q.side(t.Lessors), "lessees": q.side(t.Lessees), "occupants": q.occupants(),
		"heads": int64(q.heads()), "room_heads_max": int64(heads), "room_unrelated_max": int64(unrelated),
		"docs": q.docs(), "guardian_consent": q.hasDoc("GUARDIAN_CONSENT"),
		"signers_mandated": !q.Unmandated, "relatives": t.Relatives,
		"prev_rent_fen": int64(prev), "rent_rise_bp": rise, "amendment": q.Amendment,
		"lessees_consent": !q.WithoutLessees, "notice_given": false,
	}
	if t.DepositReturnDays != nil {
		f["deposit_return_days"] = int64(*t.DepositReturnDays)
	}
	q.filing(f)
	q.fees(f)
	return f
}

// filing are the facts that a filing adds or changes.
func (q Question) filing(lease domain.Facts) {
	lease["paper_unchecked"] = q.PaperUnchecked
	if q.FiledBy != "" {
		lease["filed_by"], lease["filed_on"] = q.FiledBy, q.FiledOn
	}
}

// filingFacts are their paths.
var filingFacts = []string{"lease.paper_unchecked", "lease.filed_by", "lease.filed_on"}

func (q Question) fees(lease domain.Facts) {
	fees, payees := []domain.Facts{}, []string{}
	var filing domain.Fen
	for _, fee := range q.Terms.Fees {
		fees = append(fees, domain.Facts{
			"kind": fee.Kind, "amount_fen": int64(fee.AmountFen), "listed": fee.Listed, "payee": fee.Payee,
		})
		if fee.Kind == "FILING" {
			filing += fee.AmountFen // At most feesMax amounts of at most FenMax: far from overflow.
		}
		if fee.Kind == "COMMISSION" && !slices.Contains(payees, fee.Payee) {
			payees = append(payees, fee.Payee)
		}
	}
	lease["fees"], lease["filing_fee_fen"], lease["commission_payees"] = fees, int64(filing), int64(len(payees))
}

func (q Question) loan() domain.Facts {
	if l := q.Terms.Loan; l != nil {
		return domain.Facts{
			"amount_fen": int64(l.AmountFen), "months": int64(l.Months),
			"pay_cycle_months": int64(l.PayCycleMonths), "to_lessee": l.ToLessee,
		}
	}
	return domain.Facts{
		"amount_fen": int64(0), "months": int64(0),
		"pay_cycle_months": int64(q.Terms.PayCycleMonths), "to_lessee": true,
	}
}

func (q Question) side(parties []PartyShare) []domain.Facts {
	out := []domain.Facts{}
	for _, s := range parties {
		f := domain.Facts{"id": s.Party, "capacity": cmp.Or(s.Capacity, CapacityOwner), "share_bp": int64(s.ShareBP)}
		if p, ok := q.partyFacts(s.Party); ok {
			f["kind"], f["org_kind"], f["level"] = p.Kind, p.OrgKind, int64(p.Level)
			f["minor"], f["suspended"] = p.Minor, p.Suspended
		}
		out = append(out, f)
	}
	return out
}

func (q Question) docs() []string {
	kinds := []string{}
	for _, d := range q.Terms.Docs {
		kinds = append(kinds, d.Kind)
	}
	return kinds
}

func (q Question) hasDoc(kind string) bool { return slices.Contains(q.docs(), kind) }

// rise is the rent before and the rise over it in basis points.
func (q Question) rise() (domain.Fen, int64) {
	prev := q.PrevRentFen
	if prev == 0 && q.Subject.Renewal != nil {
		prev = q.Subject.Renewal.MonthlyRentFen
	}
	now := q.Terms.MonthlyRentFen
	if prev <= 0 || now <= prev {
		return cmp.Or(prev, now), 0
	}
	bp, err := (now - prev).MulDiv(10_000, int64(prev))
	if err != nil {
		bp = domain.FenMax
	}
	return prev, int64(bp)
}

func (q Question) party() domain.Facts {
	t := q.Terms
	first, _ := q.partyFacts(t.Lessors[0].Party)
	f := domain.Facts{"kind": first.Kind, "org_kind": first.OrgKind}
	level, homes := 3, 0
	suspended, minor, market := false, false, true
	for _, id := range slices.Concat(partyIDs(t.Lessors), partyIDs(t.Lessees)) {
		p, _ := q.partyFacts(id) // Unknown counts as unverified.
		level = min(level, p.Level)
		suspended = suspended || p.Suspended
		minor = minor || p.Minor
	}
	for _, id := range partyIDs(t.Lessors) {
		p, _ := q.partyFacts(id)
		market = market && p.Kind != "PERSON"
		n := p.SublettingHomes
		if q.isSublease() {
			n += max(len(t.Rooms), 1)
		}
		homes = max(homes, n)
	}
	if b, ok := q.partyFacts(t.Brokerage); ok {
		suspended = suspended || b.Suspended
	}
	f["verification_level"], f["suspended"], f["minor"] = int64(level), suspended, minor
	f["market_entity"], f["subletting_homes"] = market, int64(homes)
	return f
}

func (q Question) parent() domain.Facts {
	t, p := q.Terms, q.Subject.Parent
	if p == nil || !p.Exists {
		sublease := q.isSublease() // A sublease without its head lease has nobody's consent.
		return domain.Facts{
			"exists": false, "filed": !sublease, "ended": false, "sublease_consent": !sublease, "lessee_is_lessor": !sublease,
			"covers_space": true, "start": t.Start, "end": t.End, "monthly_rent_fen": int64(0),
			"sum_out_rent_fen": int64(t.MonthlyRentFen), "fully_let": false,
		}
	}
	covers := p.Unit == t.Unit
	if len(p.Rooms) > 0 {
		covers = covers && len(t.Rooms) > 0 && containsAll(p.Rooms, t.Rooms)
	}
	space := p.Rooms
	if len(space) == 0 {
		for _, r := range q.Subject.Unit.Rooms {
			if r.Kind == "BEDROOM" || r.Kind == "" {
				space = append(space, r.ID)
			}
		}
	}
	let := slices.Concat(p.LetRooms, t.Rooms)
	return domain.Facts{
		"exists": true, "filed": p.Filed, "ended": p.Ended,
		"sublease_consent": p.SubleaseConsent || q.hasDoc("OWNER_SUBLEASE_CONSENT"),
		"lessee_is_lessor": containsAll(p.Lessees, partyIDs(t.Lessors)), "covers_space": covers,
		"start": p.Start, "end": p.End, "monthly_rent_fen": int64(p.MonthlyRentFen),
		"sum_out_rent_fen": int64(p.SumOutRentFen) + int64(t.MonthlyRentFen),
		"fully_let":        len(t.Rooms) == 0 || containsAll(let, space),
	}
}

func (q Question) project() domain.Facts {
	p := q.Subject.Project
	if p == nil {
		p = &ProjectFacts{}
	}
	return domain.Facts{
		"recognised": q.Subject.Project != nil, "recognition_no": p.RecognitionNo,
		"assessed_rent_fen": int64(p.AssessedRentFen), "prev_rent_fen_12m": int64(p.PrevRentFen), "eligible": p.Eligible,
	}
}
