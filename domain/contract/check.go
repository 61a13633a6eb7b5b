package contract

import (
	"fmt"
	"slices"
	"time"

	"zujian/domain"
)

// Limits of one contract's terms. They keep an event under some tens of kilobytes.
const (
	partiesMax    = 20 // On each side.
	occupantsMax  = 200
	roomsMax      = 50
	listMax       = 20  // Fees, documents, deduction grounds.
	codeMax       = 40  // Bytes of a code or id-like word.
	cycleMonthMax = 240 // A payment for the longest lease at once.
	freeDaysMax   = 3660
	returnDaysMax = 365
	loanMonthMax  = 600
)

// filedSince is when leases began to be registered (城市房地产管理法第五十四条, in force 1995-01-01). Rules go by the day of
// signing: one before them all would be held to none.
var filedSince = domain.Date(1995, time.January, 1)

func field(name, pointer string) error { return ErrField.With("field", name).At(pointer) }

func at(pointer string, i int) string { return fmt.Sprintf("%s/%d", pointer, i) }

// check is what no rule of a city can allow: terms that are not those of a lease, or facts that do not belong to them.
func check(t Terms, s Subject, today domain.Day) error {
	for _, f := range []func(Terms, Subject) error{checkForm, checkParties, checkSpace, checkMoney, checkLists, checkParent} {
		if err := f(t, s); err != nil {
			return err
		}
	}
	switch {
	case t.SignedOn > today:
		return ErrSignedFuture.At("/signed_on")
	case t.SignedOn != 0 && t.SignedOn < filedSince:
		return ErrDates.With("earliest", filedSince.String()).At("/signed_on")
	case t.Start < filedSince:
		return ErrDates.With("earliest", filedSince.String()).At("/start")
	}
	if t.Renews != "" && (s.Renewal == nil || s.Renewal.Contract != t.Renews) {
		return field("renews", "/renews")
	}
	return checkOccupants(t, s)
}

func checkForm(t Terms, _ Subject) error {
	switch {
	case t.Kind != KindHead && t.Kind != KindOut:
		return field("kind", "/kind")
	case !slices.Contains([]string{LetWhole, LetByRoom, LetByBed}, t.LetMode):
		return field("let_mode", "/let_mode")
	case t.Use != "RESIDENTIAL":
		return ErrUse.At("/use")
	case !validDay(t.Start):
		return ErrDates.At("/start")
	case !validDay(t.End) || t.End < t.Start:
		return ErrDates.At("/end")
	case t.SignedOn != 0 && !validDay(t.SignedOn):
		return ErrDates.At("/signed_on")
	case !slices.Contains([]string{"", EscrowVoluntary, EscrowMandatory}, t.Escrow.Mode):
		return field("mode", "/escrow/mode")
	case t.DocumentSHA256 != "" && !isSHA256(t.DocumentSHA256):
		return ErrEvidence.At("/document_sha256")
	case t.Payee.Role != "" && !validCode(t.Payee.Role):
		return field("role", "/payee/role")
	}
	return nil
}

func validDay(d domain.Day) bool { return d != 0 && d >= domain.DayMin && d <= domain.DayMax }

func validCode(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= codeMax
}

func checkParties(t Terms, s Subject) error {
	seen := map[string]bool{}
	for _, side := range []struct {
		pointer string
		parties []PartyShare
	}{{"/lessors", t.Lessors}, {"/lessees", t.Lessees}} {
		if len(side.parties) == 0 || len(side.parties) > partiesMax {
			return ErrParties.At(side.pointer)
		}
		sum := 0
		for i, p := range side.parties {
			if p.Party == "" || seen[p.Party] {
				return ErrParties.At(at(side.pointer, i))
			}
			seen[p.Party] = true
			if p.ShareBP < 0 || p.ShareBP > 10_000 {
				return ErrShares.At(at(side.pointer, i) + "/share_bp")
			}
			if p.Capacity != "" && !validCode(p.Capacity) {
				return field("capacity", at(side.pointer, i)+"/capacity")
			}
			if !known(s, p.Party) {
				return ErrPartyUnknown.At(at(side.pointer, i) + "/party_id")
			}
			sum += p.ShareBP
		}
		if sum != 0 && sum != 10_000 {
			return ErrShares.With("sum_bp", sum).At(side.pointer)
		}
	}
	for _, other := range []struct{ pointer, id string }{
		{"/payee/party_id", t.Payee.Party}, {"/brokerage_id", t.Brokerage}, {"/practitioner_id", t.Practitioner},
	} {
		if other.id != "" && !known(s, other.id) {
			return ErrPartyUnknown.At(other.pointer)
		}
	}
	return nil
}

func known(s Subject, party string) bool {
	return slices.ContainsFunc(s.Parties, func(p PartyFacts) bool { return p.ID == party && !p.Erased })
}

func checkSpace(t Terms, s Subject) error {
	if t.Unit == "" || s.Unit.ID != t.Unit || s.Unit.Retired {
		return ErrUnitUnknown.At("/unit_id")
	}
	if (t.LetMode == LetWhole) != (len(t.Rooms) == 0) || len(t.Rooms) > roomsMax {
		return ErrRooms.At("/rooms")
	}
	for i, room := range t.Rooms {
		exists := slices.ContainsFunc(s.Unit.Rooms, func(r RoomFacts) bool { return r.ID == room })
		if !exists || slices.Contains(t.Rooms[:i], room) {
			return ErrRooms.At(at("/rooms", i))
		}
	}
	return nil
}

func checkMoney(t Terms, _ Subject) error {
	amounts := []struct {
		pointer string
		fen     domain.Fen
	}{{"/deposit_fen", t.DepositFen}, {"/clauses/break_fee_fen", t.Clauses.BreakFeeFen}}
	for i, f := range t.Fees {
		amounts = append(amounts, struct {
			pointer string
			fen     domain.Fen
		}{at("/fees", i) + "/amount_fen", f.AmountFen})
	}
	if t.Loan != nil {
		amounts = append(amounts, struct {
			pointer string
			fen     domain.Fen
		}{"/loan/amount_fen", t.Loan.AmountFen})
	}
	for _, a := range amounts {
		if a.fen < 0 || a.fen > domain.FenMax {
			return ErrAmount.At(a.pointer)
		}
	}
	whole, err := t.MonthlyRentFen.Times(int64(t.Start.MonthsUntil(t.End)) + 1)
	if t.MonthlyRentFen <= 0 || err != nil {
		return ErrAmount.At("/monthly_rent_fen")
	}
	if _, err := whole.Add(t.DepositFen); err != nil { // What a ledger of it would have to hold.
		return ErrAmount.At("/deposit_fen")
	}
	switch {
	case t.PayCycleMonths < 1 || t.PayCycleMonths > cycleMonthMax:
		return field("pay_cycle_months", "/pay_cycle_months")
	case t.RentFreeDays < 0 || t.RentFreeDays > freeDaysMax:
		return field("rent_free_days", "/rent_free_days")
	case t.DepositReturnDays != nil && (*t.DepositReturnDays < 0 || *t.DepositReturnDays > returnDaysMax):
		return field("deposit_return_days", "/deposit_return_days")
	case t.Clauses.RenewalNoticeDays < 0 || t.Clauses.RenewalNoticeDays > freeDaysMax:
		return field("renewal_notice_days", "/clauses/renewal_notice_days")
	case t.Loan != nil && (t.Loan.Months < 0 || t.Loan.Months > loanMonthMax):
		return field("months", "/loan/months")
	case t.Loan != nil && (t.Loan.PayCycleMonths < 0 || t.Loan.PayCycleMonths > loanMonthMax):
		return field("pay_cycle_months", "/loan/pay_cycle_months")
	}
	return nil
}

func checkLists(t Terms, _ Subject) error {
	switch {
	case len(t.Fees) > listMax:
		return field("fees", "/fees")
	case len(t.Docs) > listMax:
		return field("documents", "/documents")
	case len(t.DeductionGrounds) > listMax:
		return field("deduction_grounds", "/deduction_grounds")
	}
	for i, g := range t.DeductionGrounds {
		if !validCode(g) {
			return field("deduction_grounds", at("/deduction_grounds", i))
		}
	}
	for i, f := range t.Fees {
		if !validCode(f.Kind) {
			return field("kind", at("/fees", i)+"/kind")
		}
	}
	for i, d := range t.Docs {
		if !validCode(d.Kind) || !isSHA256(d.SHA256) {
			return ErrEvidence.At(at("/documents", i))
		}
	}
	return nil
}

// checkParent holds a sublease within its head lease: its lessee lets, its space, its period. The last day is rule
// C-07's, which says the latest day possible.
func checkParent(t Terms, s Subject) error {
	if t.Parent == "" {
		return nil
	}
	p := s.Parent
	if p == nil || !p.Exists || p.Ended {
		return ErrParentUnknown.At("/parent_id")
	}
	switch q := (&Question{Terms: t, Subject: s}); {
	case !q.lesseesLet():
		return ErrOutsideParent.At("/lessors")
	case !q.coversSpace():
		return ErrOutsideParent.At("/rooms")
	case t.Start < p.Start:
		return ErrOutsideParent.With("min_start", p.Start.String()).At("/start")
	}
	return nil
}

func checkOccupants(t Terms, s Subject) error {
	if len(t.Occupants) > occupantsMax {
		return ErrOccupant.At("/occupants")
	}
	for i, o := range t.Occupants {
		taken := slices.ContainsFunc(t.Occupants[:i], func(x Occupant) bool { return x.ID == o.ID })
		if taken || !validOccupant(t, o) {
			return ErrOccupant.At(at("/occupants", i))
		}
		if !inUnit(s, o) {
			return ErrOccupant.At(at("/occupants", i) + "/room")
		}
	}
	return nil
}

// inUnit wants the room of an occupant, if one is named, to be a room of the flat.
func inUnit(s Subject, o Occupant) bool {
	return o.Room == "" || slices.ContainsFunc(s.Unit.Rooms, func(r RoomFacts) bool { return r.ID == o.Room })
}

// validOccupant wants a person and, where rooms are let, one of those or none.
func validOccupant(t Terms, o Occupant) bool {
	inRoom := o.Room == "" || len(t.Rooms) == 0 || slices.Contains(t.Rooms, o.Room)
	return o.ID != "" && (o.Party != "" || o.Name != "") && inRoom
}
