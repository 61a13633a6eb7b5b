package contract

import (
	"cmp"
	"iter"
	"slices"

	"zujian/domain"
)

// What facts rest on.

// partyFacts are those of a party; of one that nobody knows, none.
func (q *Question) partyFacts(id string) *PartyFacts {
	if p := q.known(id); p != nil {
		return p
	}
	return &PartyFacts{}
}

func (q *Question) known(id string) *PartyFacts {
	for i := range q.Subject.Parties {
		if p := &q.Subject.Parties[i]; p.ID == id {
			return p
		}
	}
	return nil
}

// sides are the facts of lessors and lessees.
func (q *Question) sides() iter.Seq[*PartyFacts] {
	return func(yield func(*PartyFacts) bool) {
		for _, side := range [][]PartyShare{q.Terms.Lessors, q.Terms.Lessees} {
			for i := range side {
				if !yield(q.partyFacts(side[i].Party)) {
					return
				}
			}
		}
	}
}

func isOperator(orgKind string) bool {
	return orgKind == "RENTAL_ENTERPRISE" || orgKind == "SUBLEASE_OPERATOR"
}

// operators are the lessors, and the payee, that let as a business.
func (q *Question) operators() []*PartyFacts {
	var out []*PartyFacts
	add := func(id string) {
		if p := q.known(id); p != nil && isOperator(p.OrgKind) {
			out = append(out, p)
		}
	}
	for i := range q.Terms.Lessors {
		add(q.Terms.Lessors[i].Party)
	}
	add(q.Terms.Payee.Party)
	return out
}

func (q *Question) lessorKinds() []string {
	kinds := []string{}
	for _, l := range q.Terms.Lessors {
		p := q.partyFacts(l.Party)
		for _, k := range []string{p.Kind, p.OrgKind} {
			if k != "" && !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	return kinds
}

func (q *Question) tenure() string {
	switch p := q.Subject.Project; {
	case p == nil:
		return "MARKET"
	case p.Public:
		return "PRH"
	default:
		return "ARH"
	}
}

func (q *Question) isSublease() bool {
	return q.Terms.Parent != "" || slices.ContainsFunc(q.Terms.Lessors, func(l PartyShare) bool {
		return l.Capacity == CapacitySublessor
	})
}

func (q *Question) chainDepth() int {
	if q.Subject.Parent != nil && q.Subject.Parent.Exists {
		return max(q.Subject.Parent.ChainDepth, 1) + 1
	}
	if q.isSublease() {
		return 2
	}
	return 1
}

// term is the whole months from start to end, and the days beyond them.
func (q *Question) term() (months, over int) {
	months = q.Terms.Start.MonthsUntil(q.Terms.End)
	return months, max(int(q.Terms.End-q.Terms.Start.AddMonths(months))+1, 0)
}

func (q *Question) totalRent() domain.Fen {
	begun, over := q.term()
	if over > 0 {
		begun++
	}
	total, err := q.Terms.MonthlyRentFen.Times(int64(begun))
	if err != nil {
		return domain.FenMax
	}
	return total
}

// rise is the rent before and the rise over it in basis points.
func (q *Question) rise() (prev domain.Fen, bp domain.Fen) {
	prev = q.PrevRentFen
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
	return prev, bp
}

// Fact implements domain.Source, for lease.fees.
func (f *Fee) Fact(name string) domain.Value {
	switch name {
	case "kind":
		return domain.FactText(f.Kind)
	case "amount_fen":
		return domain.FactInt(f.AmountFen)
	case "listed":
		return domain.FactBool(f.Listed)
	case "payee":
		return domain.FactText(f.Payee)
	}
	return domain.Value{}
}

func (q *Question) filingFees() (sum domain.Fen) {
	for _, fee := range q.Terms.Fees {
		if fee.Kind == "FILING" {
			sum += fee.AmountFen
		}
	}
	return sum
}

func (q *Question) commissionPayees() int {
	var payees []string
	for _, fee := range q.Terms.Fees {
		if fee.Kind == "COMMISSION" && !slices.Contains(payees, fee.Payee) {
			payees = append(payees, fee.Payee)
		}
	}
	return len(payees)
}

// loan is that of the terms; without one, none to the lessee in the cycle of the lease.
func (q *Question) loan() Loan {
	if q.Terms.Loan != nil {
		return *q.Terms.Loan
	}
	return Loan{PayCycleMonths: q.Terms.PayCycleMonths, ToLessee: true}
}

// side are the parties on one side.
func (q *Question) side(known *domain.Value, parties []PartyShare) domain.Value {
	if known.Kind() != "" {
		return *known
	}
	out := make([]sideParty, len(parties))
	for i := range parties {
		out[i] = sideParty{&parties[i], q.known(parties[i].Party)}
	}
	*known = domain.FactRecords(out)
	return *known
}

// sideParty is a party with its share; who is nil if nobody knows it.
type sideParty struct {
	share *PartyShare
	who   *PartyFacts
}

// Fact implements domain.Source, for lease.lessors and lease.lessees.
func (s *sideParty) Fact(name string) domain.Value {
	switch name {
	case "id":
		return domain.FactText(s.share.Party)
	case "capacity":
		return domain.FactText(cmp.Or(s.share.Capacity, CapacityOwner))
	case "share_bp":
		return domain.FactInt(s.share.ShareBP)
	}
	if s.who == nil {
		return domain.Value{}
	}
	switch name {
	case "kind":
		return domain.FactText(s.who.Kind)
	case "org_kind":
		return domain.FactText(s.who.OrgKind)
	case "level":
		return domain.FactInt(s.who.Level)
	case "minor":
		return domain.FactBool(s.who.Minor)
	case "suspended":
		return domain.FactBool(s.who.Suspended)
	}
	return domain.Value{}
}

func (q *Question) docs() []string {
	kinds := make([]string, len(q.Terms.Docs))
	for i, d := range q.Terms.Docs {
		kinds[i] = d.Kind
	}
	return kinds
}

func (q *Question) hasDoc(kind string) bool {
	return slices.ContainsFunc(q.Terms.Docs, func(d Doc) bool { return d.Kind == kind })
}

func (q *Question) sublettingHomes() int {
	homes := 0
	for _, l := range q.Terms.Lessors {
		n := q.partyFacts(l.Party).SublettingHomes
		if q.isSublease() {
			n += max(len(q.Terms.Rooms), 1)
		}
		homes = max(homes, n)
	}
	return homes
}

// lesseesLet tells whether all lessors are lessees of the head lease, of which there is one.
func (q *Question) lesseesLet() bool {
	return containsAll(q.Subject.Parent.Lessees, partyIDs(q.Terms.Lessors))
}

// coversSpace tells whether the space let is the head lease's.
func (q *Question) coversSpace() bool {
	p, t := q.Subject.Parent, &q.Terms
	return p.Unit == t.Unit && (len(p.Rooms) == 0 || len(t.Rooms) > 0 && containsAll(p.Rooms, t.Rooms))
}

// fullyLet tells whether the contracts under the head lease, with this one, let all its space.
func (q *Question) fullyLet() bool {
	if len(q.Terms.Rooms) == 0 {
		return true
	}
	space := q.Subject.Parent.Rooms
	if len(space) == 0 {
		for _, r := range q.Subject.Unit.Rooms {
			if r.Kind == "BEDROOM" || r.Kind == "" {
				space = append(space, r.ID)
			}
		}
	}
	return containsAll(slices.Concat(q.Subject.Parent.LetRooms, q.Terms.Rooms), space)
}

func partyIDs(shares []PartyShare) []string {
	out := make([]string, len(shares))
	for i, s := range shares {
		out[i] = s.Party
	}
	return out
}

func containsAll(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}
