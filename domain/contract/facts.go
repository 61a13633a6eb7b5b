package contract

import (
	"cmp"
	"slices"
	"strings"

	"zujian/domain"
)

// Question is one contract put to the rules of both contract stages: CONTRACT_SIGN at the draft, at the last signature, at
// an amendment and at a change of occupants; FILING when the contract is filed. It gives the facts below, at both stages
// unless it says otherwise, so an ordinary contract never leaves a rule UNKNOWN. Areas are 0.01 ㎡, money fen, shares basis
// points. Rules ask for most facts once or not at all, so each is worked out when it is asked for.
//
// Rules whose outcome on a contract is ROUTE (C-05, C-10, M-01) make its escrow MANDATORY when judged at the signature.
// U-02 and U-03 are judged on a change of occupants only if they are of stage CONTRACT_SIGN.
type Question struct {
	Terms     Terms
	Subject   Subject
	Occupants []Occupant // Who lives there now; at the draft, Terms.Occupants.
	SignedOn  domain.Day // The day whose rules apply.
	Today     domain.Day

	FiledOn domain.Day // FILING only.
	FiledBy string     // FILING only.

	Amendment        bool
	PrevRentFen      domain.Fen // Before an amendment; 0 = no amendment, the renewed contract's rent counts.
	ContractSignedOn domain.Day // Before an amendment.
	WithoutLessees   bool       // Asked to apply without the lessees' signatures.
	Unmandated       bool       // A signature was made for another without a mandate.
	PaperUnchecked   bool

	lessors, lessees domain.Value // Once they were asked for.
}

// Fact implements domain.Source.
func (q *Question) Fact(path string) domain.Value {
	record, name, _ := strings.Cut(path, ".")
	switch record {
	case "lease":
		return q.lease(name)
	case "space":
		return q.space(name)
	case "party":
		return q.party(name)
	case "parent":
		return q.parent(name)
	case "scope":
		return q.scope(name)
	case "project":
		return q.project(name)
	case "operator":
		return q.operator(name)
	}
	return domain.Value{}
}

func (q *Question) lease(name string) domain.Value {
	t := &q.Terms
	switch name {
	case "kind": // HEAD, OUT
		return domain.FactText(t.Kind)
	case "tenure": // MARKET, ARH (保租房), PRH (公租房)
		return domain.FactText(q.tenure())
	case "let_mode": // WHOLE, BY_ROOM, BY_BED
		return domain.FactText(t.LetMode)
	case "use": // RESIDENTIAL, …
		return domain.FactText(t.Use)
	case "is_sublease": // It has a parent, or a lessor acts as SUBLESSOR.
		return domain.FactBool(q.isSublease())
	case "sublease_consent": // Of this contract to its own lessee.
		return domain.FactBool(t.SubleaseConsent)
	case "parent": // "" for none.
		return domain.FactText(t.Parent)
	case "chain_depth": // 1 = from the owner, 2 = owner → operator → tenant.
		return domain.FactInt(q.chainDepth())
	case "start":
		return domain.FactDay(t.Start)
	case "end": // Last day included.
		return domain.FactDay(t.End)
	case "months": // Whole months of the term, end included: 2026-12-01…2027-11-30 = 12.
		months, _ := q.term()
		return domain.FactInt(months)
	case "days_over": // Days of the term beyond those: more than twenty years is months ≥ 240 and days_over > 0.
		_, over := q.term()
		return domain.FactInt(over)
	case "signed_on": // At the draft today when the terms name none.
		if q.Amendment {
			return domain.FactDay(q.ContractSignedOn) // C-03 looks back from the contract's own signing.
		}
		return domain.FactDay(q.SignedOn)
	case "today": // Of the decision.
		return domain.FactDay(q.Today)
	case "filed_by", "filed_on", "paper_unchecked":
		return q.filing(name)
	case "amendment": // An amendment is judged.
		return domain.FactBool(q.Amendment)
	case "lessees_consent": // All lessees stand behind these terms: false only when asked to apply without them.
		return domain.FactBool(!q.WithoutLessees)
	case "signers_mandated": // Every signature so far is the party's own or under its mandate (C-19).
		return domain.FactBool(!q.Unmandated)
	case "notice_given": // False at both stages; C-20 itself is judged in Terminate by its parameter min_days.
		return domain.FactBool(false)
	case "relatives":
		return domain.FactBool(t.Relatives)
	case "docs": // Kinds of attachments.
		return domain.FactTexts(q.docs())
	case "guardian_consent": // A GUARDIAN_CONSENT is attached.
		return domain.FactBool(q.hasDoc("GUARDIAN_CONSENT"))
	}
	if v := q.money(name); v.Kind() != "" {
		return v
	}
	return q.people(name)
}

// filing are the facts that a filing changes, filingFacts their paths.
func (q *Question) filing(name string) domain.Value {
	switch {
	case name == "paper_unchecked": // Paper recorded by a lessee alone, seen by no counter.
		return domain.FactBool(q.PaperUnchecked)
	case q.FiledBy == "": // FILING only.
		return domain.Value{}
	case name == "filed_by": // BROKERAGE, LESSOR, LESSEE, COUNTER
		return domain.FactText(q.FiledBy)
	}
	return domain.FactDay(q.FiledOn) // = today; of a held filing the day it was asked for.
}

var filingFacts = []string{"lease.paper_unchecked", "lease.filed_by", "lease.filed_on"}

// money are facts of a lease.
func (q *Question) money(name string) domain.Value {
	t := &q.Terms
	switch name {
	case "monthly_rent_fen":
		return domain.FactInt(t.MonthlyRentFen)
	case "total_rent_fen": // Rent × months, a month begun included.
		return domain.FactInt(q.totalRent())
	case "prev_rent_fen": // Before this amendment or renewal; = monthly_rent_fen when there is none.
		prev, _ := q.rise()
		return domain.FactInt(prev)
	case "rent_rise_bp": // Over prev_rent_fen, rounded half up; 0 when none or falling.
		_, rise := q.rise()
		return domain.FactInt(rise)
	case "rent_free_days":
		return domain.FactInt(t.RentFreeDays)
	case "pay_cycle_months":
		return domain.FactInt(t.PayCycleMonths)
	case "deposit_fen":
		return domain.FactInt(t.DepositFen)
	case "deposit_return_days": // None when the contract names none.
		if t.DepositReturnDays == nil {
			return domain.FactNone()
		}
		return domain.FactInt(*t.DepositReturnDays)
	case "deduction_grounds":
		return domain.FactTexts(t.DeductionGrounds)
	case "escrow_mode": // NONE, VOLUNTARY, MANDATORY
		return domain.FactText(cmp.Or(t.Escrow.Mode, EscrowNone))
	case "fees":
		return domain.FactRecords(t.Fees)
	case "filing_fee_fen": // Σ fees of kind FILING; at most feesMax amounts of at most FenMax: far from overflow.
		return domain.FactInt(q.filingFees())
	case "commission_payees": // Different payees of COMMISSION.
		return domain.FactInt(q.commissionPayees())
	case "has_loan":
		return domain.FactBool(t.Loan != nil)
	case "loan_embedded":
		return domain.FactBool(t.Loan != nil && t.Loan.Embedded)
	case "loan.amount_fen":
		return domain.FactInt(q.loan().AmountFen)
	case "loan.months":
		return domain.FactInt(q.loan().Months)
	case "loan.pay_cycle_months":
		return domain.FactInt(q.loan().PayCycleMonths)
	case "loan.to_lessee":
		return domain.FactBool(q.loan().ToLessee)
	}
	return domain.Value{}
}

// people are facts of a lease.
func (q *Question) people(name string) domain.Value {
	t := &q.Terms
	switch name {
	case "lessors":
		return q.side(&q.lessors, t.Lessors)
	case "lessees":
		return q.side(&q.lessees, t.Lessees)
	case "occupants":
		return domain.FactRecords(q.Occupants)
	case "heads": // Occupants, at least one for each lessee who is a person, at least 1.
		return domain.FactInt(q.heads())
	case "room_heads_max": // Most heads in one room; those with no room named are spread over the bedrooms let.
		heads, _ := q.roomHeads()
		return domain.FactInt(heads)
	case "room_unrelated_max": // The same, a room whose occupants are one family counting 0.
		_, unrelated := q.roomHeads()
		return domain.FactInt(unrelated)
	case "by_operator": // A lessor or the payee is a RENTAL_ENTERPRISE or SUBLEASE_OPERATOR.
		return domain.FactBool(len(q.operators()) > 0)
	case "operator_opening_reported": // Every such operator has a published opening report; true when there is none.
		return domain.FactBool(!slices.ContainsFunc(q.operators(), func(p *PartyFacts) bool { return !p.OpeningReported }))
	case "payee_role": // LESSOR, OWNER, OPERATOR, ESCROW, BROKERAGE, PRACTITIONER, NETWORK_PLATFORM
		return domain.FactText(cmp.Or(t.Payee.Role, "LESSOR"))
	case "payee_org_kind": // Of the payee party, "" for a person.
		return domain.FactText(q.partyFacts(t.Payee.Party).OrgKind)
	case "via_brokerage":
		return domain.FactBool(t.Brokerage != "")
	case "broker_person": // A practitioner is named.
		return domain.FactBool(t.Practitioner != "")
	case "practitioner_rostered": // On the roster of the brokerage named; true when none is named.
		return domain.FactBool(t.Practitioner == "" || (t.Brokerage != "" && q.partyFacts(t.Practitioner).Roster == t.Brokerage))
	case "practitioner_banned":
		return domain.FactBool(q.partyFacts(t.Practitioner).Banned)
	}
	return domain.Value{}
}

func (q *Question) party(name string) domain.Value {
	t := &q.Terms
	switch name {
	case "kind": // Of the first lessor.
		return domain.FactText(q.partyFacts(t.Lessors[0].Party).Kind)
	case "org_kind": // The same.
		return domain.FactText(q.partyFacts(t.Lessors[0].Party).OrgKind)
	case "verification_level": // Lowest of all lessors and lessees; who is unknown counts as unverified.
		level := 3
		for p := range q.sides() {
			level = min(level, p.Level)
		}
		return domain.FactInt(level)
	case "suspended": // Any lessor, lessee or brokerage.
		suspended := q.partyFacts(t.Brokerage).Suspended
		for p := range q.sides() {
			suspended = suspended || p.Suspended
		}
		return domain.FactBool(suspended)
	case "minor": // Any lessor or lessee.
		minor := false
		for p := range q.sides() {
			minor = minor || p.Minor
		}
		return domain.FactBool(minor)
	case "market_entity": // No lessor is a natural person.
		return domain.FactBool(!slices.ContainsFunc(t.Lessors, func(l PartyShare) bool { return q.partyFacts(l.Party).Kind == "PERSON" }))
	case "subletting_homes": // Most homes or rooms any lessor sublets, this one included.
		return domain.FactInt(q.sublettingHomes())
	}
	return domain.Value{}
}

// parent are facts of the head lease; without one it does not exist, and the rest is as if nothing were wrong.
func (q *Question) parent(name string) domain.Value {
	p := q.Subject.Parent
	if p == nil || !p.Exists {
		return q.noParent(name)
	}
	switch name {
	case "exists":
		return domain.FactBool(true)
	case "filed":
		return domain.FactBool(p.Filed)
	case "ended":
		return domain.FactBool(p.Ended)
	case "sublease_consent":
		return domain.FactBool(p.SubleaseConsent || q.hasDoc("OWNER_SUBLEASE_CONSENT"))
	case "lessee_is_lessor": // Every lessor here is a lessee there.
		return domain.FactBool(q.lesseesLet())
	case "covers_space": // Same unit, and the rooms let are among its own.
		return domain.FactBool(q.coversSpace())
	case "start":
		return domain.FactDay(p.Start)
	case "end":
		return domain.FactDay(p.End)
	case "monthly_rent_fen":
		return domain.FactInt(p.MonthlyRentFen)
	case "sum_out_rent_fen": // Σ monthly rent of contracts under it, this one included.
		return domain.FactInt(p.SumOutRentFen + q.Terms.MonthlyRentFen)
	case "fully_let": // The whole of it is let, this contract included.
		return domain.FactBool(q.fullyLet())
	}
	return domain.Value{}
}

func (q *Question) noParent(name string) domain.Value {
	switch name {
	case "exists", "ended", "fully_let":
		return domain.FactBool(false)
	case "filed", "sublease_consent", "lessee_is_lessor": // A sublease without its head lease has nobody's consent.
		return domain.FactBool(!q.isSublease())
	case "covers_space":
		return domain.FactBool(true)
	case "start":
		return domain.FactDay(q.Terms.Start)
	case "end":
		return domain.FactDay(q.Terms.End)
	case "monthly_rent_fen":
		return domain.FactInt(0)
	case "sum_out_rent_fen":
		return domain.FactInt(q.Terms.MonthlyRentFen)
	}
	return domain.Value{}
}

func (q *Question) scope(name string) domain.Value {
	switch name {
	case "subject_kinds": // Kinds and org kinds of the lessors.
		return domain.FactTexts(q.lessorKinds())
	case "let_mode": // = lease.let_mode
		return domain.FactText(q.Terms.LetMode)
	}
	return domain.Value{}
}

func (q *Question) project(name string) domain.Value {
	p := q.Subject.Project
	if p == nil {
		p = &ProjectFacts{}
	}
	switch name {
	case "recognised": // The unit belongs to a 保租房 or 公租房 project.
		return domain.FactBool(q.Subject.Project != nil)
	case "recognition_no":
		return domain.FactText(p.RecognitionNo)
	case "assessed_rent_fen": // 0 when none.
		return domain.FactInt(p.AssessedRentFen)
	case "prev_rent_fen_12m": // 0 when none.
		return domain.FactInt(p.PrevRentFen)
	case "eligible":
		return domain.FactBool(p.Eligible)
	}
	return domain.Value{}
}

// operator are facts of the supervised account of the business among the lessors whose reserve is furthest below what was
// set for it; 0 and 0 without.
func (q *Question) operator(name string) domain.Value {
	var reserve, required domain.Fen
	for _, p := range q.operators() {
		if p.ReserveFen-p.ReserveRequiredFen < reserve-required {
			reserve, required = p.ReserveFen, p.ReserveRequiredFen
		}
	}
	switch name {
	case "reserve_fen":
		return domain.FactInt(reserve)
	case "reserve_required_fen":
		return domain.FactInt(required)
	}
	return domain.Value{}
}
