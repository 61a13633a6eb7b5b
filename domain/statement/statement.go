package statement

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the statement aggregate. cmd/zujian/registry.go lists it.
var Decider = domain.Decider[State, Command, Event]{Category: "statement", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrNotFound        = domain.Reject("statement.not_found", "there is no statement of this bank and day")
	ErrInvalid         = domain.Reject("statement.invalid", "a field is missing, too long or out of range")
	ErrNotYours        = domain.Reject("statement.not_yours", "this actor has no part in this bank's day")
	ErrSum             = domain.Reject("statement.sum", "opening balance and lines do not add up to the closing balance")
	ErrChain           = domain.Reject("statement.chain_broken", "the opening balance is not the closing balance of the day before")
	ErrAlreadyImported = domain.Reject("statement.already_imported", "another statement of this bank and day was imported")
	ErrTooDifferent    = domain.Reject("statement.too_different", "hardly anything matches: probably the wrong bank or day")
	ErrNoDiscrepancy   = domain.Reject("statement.discrepancy_not_found", "the day has no discrepancy of this number")
	ErrWrongState      = domain.Reject("statement.wrong_state", "the discrepancy was already explained otherwise")
)

const (
	linesMax         = 4000 // One event stays under a store's 1 MiB.
	discrepanciesMax = 500  // One append stays under a store's 512 events.
	textBytesMax     = 100
	noteBytesMax     = 500
)

// State is a bank's day.
type State struct {
	Imported      Imported
	LedgerFen     domain.Fen    // Σ of the ledgers' cash entries that were compared, late ones too.
	Discrepancies []Discrepancy // Number is the place, from 1.
	Reconciled    bool
}

// Discrepancy is one difference and its explanation; "" = none yet.
type Discrepancy struct {
	DiscrepancyFound
	Classification Classification
	Contract       string
}

// Open counts discrepancies without an explanation.
func (s State) Open() int {
	n := 0
	for _, d := range s.Discrepancies {
		if d.Classification == "" {
			n++
		}
	}
	return n
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Import:
		return importDay(s, r, c)
	case Resolve:
		return resolve(s, r, c)
	case BookLate:
		return bookLate(s, r, c.Entry)
	}
	panic("statement: unhandled command") // Sealed set: only a programming error gets here.
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Imported:
		s.Imported, s.LedgerFen = e, e.LedgerFen
	case DiscrepancyFound:
		s.Discrepancies = append(slices.Clip(s.Discrepancies), Discrepancy{DiscrepancyFound: e})
		if e.Late {
			s.Reconciled, s.LedgerFen = false, s.LedgerFen+e.LedgerFen
		}
	case DiscrepancyResolved:
		s.Discrepancies = slices.Clone(s.Discrepancies)
		if e.Line >= 1 && e.Line <= len(s.Discrepancies) {
			d := &s.Discrepancies[e.Line-1]
			d.Classification, d.Contract = e.Classification, e.Contract
		}
	case DayReconciled:
		s.Reconciled = true
	}
	return s
}

func importDay(s State, r domain.Request[Command], c Import) ([]Event, error) {
	if !mayImport(r, c.Bank) {
		return nil, ErrNotYours
	}
	if s.Imported.Bank != "" {
		i := s.Imported
		if i.Bank == c.Bank && i.Date == c.Date && i.OpeningFen == c.OpeningFen && i.ClosingFen == c.ClosingFen && slices.Equal(i.Lines, c.Lines) {
			return nil, nil
		}
		return nil, ErrAlreadyImported
	}
	if err := check(r, c); err != nil {
		return nil, err
	}
	found, matched := compare(c)
	if len(found) > discrepanciesMax {
		return nil, ErrTooDifferent.With("discrepancies", len(found))
	}
	ledger, err := total(c.Ledger, func(e Entry) domain.Fen { return e.AmountFen })
	if err != nil {
		return nil, err
	}
	events := []Event{Imported{
		Bank: c.Bank, Date: c.Date, OpeningFen: c.OpeningFen, ClosingFen: c.ClosingFen, LedgerFen: ledger, Lines: c.Lines,
		Matched: matched, Found: len(found), ComparedTo: c.ComparedTo,
	}}
	for i, d := range found {
		d.Line, d.Bank, d.Date = i+1, c.Bank, c.Date
		events = append(events, d)
	}
	if len(found) == 0 {
		events = append(events, DayReconciled{Bank: c.Bank, Date: c.Date, ClosingFen: c.ClosingFen, LedgerFen: ledger})
	}
	return events, nil
}

func mayImport(r domain.Request[Command], bank string) bool {
	switch r.Actor.Role {
	case domain.RoleSystem, domain.RoleCity:
		return true
	case domain.RoleBank:
		return r.Actor.Party == bank
	}
	return false
}

func check(r domain.Request[Command], c Import) error {
	switch {
	case !printable(c.Bank, textBytesMax):
		return ErrInvalid.At("/bank")
	case c.Date < domain.DayMin || c.Date.IsZero() || c.Date > r.Today():
		return ErrInvalid.At("/date")
	case len(c.Lines) > linesMax || len(c.Ledger) > linesMax:
		return ErrInvalid.With("lines_max", linesMax).At("/lines")
	case c.OpeningFen < 0 || c.OpeningFen > domain.FenMax:
		return domain.ErrAmount.At("/opening_fen")
	case c.ClosingFen < 0 || c.ClosingFen > domain.FenMax:
		return domain.ErrAmount.At("/closing_fen")
	case c.PrevClosing != nil && *c.PrevClosing != c.OpeningFen:
		return ErrChain.With("previous_closing_fen", int64(*c.PrevClosing)).At("/opening_fen")
	case c.NextOpening != nil && *c.NextOpening != c.ClosingFen:
		return ErrChain.With("next_opening_fen", int64(*c.NextOpening)).At("/closing_fen")
	}
	for _, l := range c.Lines {
		if !printable(l.TxnID, textBytesMax) || len(l.Contract) > textBytesMax || !utf8.ValidString(l.Contract) ||
			(!l.ValueDate.IsZero() && (l.ValueDate < domain.DayMin || l.ValueDate > domain.DayMax)) {
			return ErrInvalid.With("txn_id", l.TxnID).At("/lines")
		}
		if l.AmountFen == 0 || l.AmountFen > domain.FenMax || l.AmountFen < -domain.FenMax {
			return domain.ErrAmount.With("txn_id", l.TxnID).At("/lines")
		}
	}
	sum, err := total(c.Lines, func(l Line) domain.Fen { return l.AmountFen })
	if err != nil {
		return err
	}
	if c.OpeningFen+sum != c.ClosingFen {
		return ErrSum.With("lines_fen", int64(sum)).At("/closing_fen")
	}
	return nil
}

func total[T any](items []T, of func(T) domain.Fen) (sum domain.Fen, err error) {
	for _, it := range items {
		if sum, err = sum.Add(of(it)); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

func printable(s string, bytesMax int) bool {
	if s == "" || len(s) > bytesMax || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// compare pairs lines and ledger entries by transaction. Each line and each entry is in exactly one pair or one
// discrepancy (M17): within one transaction the first line meets the first entry, what is left over of a transaction
// that was met is DUPLICATE.
func compare(c Import) (found []DiscrepancyFound, matched int) {
	lines, ledger := slices.Clone(c.Lines), slices.Clone(c.Ledger)
	slices.SortStableFunc(lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.TxnID, b.TxnID), cmp.Compare(a.AmountFen, b.AmountFen))
	})
	slices.SortStableFunc(ledger, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.TxnID, b.TxnID), cmp.Compare(a.AmountFen, b.AmountFen), cmp.Compare(a.Contract, b.Contract))
	})
	last := "" // The transaction met last.
	for len(lines) > 0 || len(ledger) > 0 {
		switch {
		case len(ledger) == 0 || (len(lines) > 0 && lines[0].TxnID < ledger[0].TxnID):
			l := lines[0]
			lines = lines[1:]
			kind := MissingInLedger
			if l.TxnID == last {
				kind = Duplicate
			}
			last = l.TxnID
			found = append(found, DiscrepancyFound{Kind: kind, TxnID: l.TxnID, BankFen: l.AmountFen, Contract: l.Contract})
		case len(lines) == 0 || ledger[0].TxnID < lines[0].TxnID:
			e := ledger[0]
			ledger = ledger[1:]
			kind := MissingInBank
			if e.TxnID == last {
				kind = Duplicate
			}
			last = e.TxnID
			found = append(found, DiscrepancyFound{Kind: kind, TxnID: e.TxnID, LedgerFen: e.AmountFen, Contract: e.Contract})
		default:
			l, e := lines[0], ledger[0]
			lines, ledger, last = lines[1:], ledger[1:], l.TxnID
			if l.AmountFen == e.AmountFen {
				matched++
				continue
			}
			found = append(found, DiscrepancyFound{Kind: Amount, TxnID: l.TxnID, BankFen: l.AmountFen, LedgerFen: e.AmountFen, Contract: e.Contract})
		}
	}
	return found, matched
}

func resolve(s State, r domain.Request[Command], c Resolve) ([]Event, error) {
	i := s.Imported
	switch {
	case i.Bank == "":
		return nil, ErrNotFound
	case r.Actor.Role != domain.RoleDistrict && !mayImport(r, i.Bank):
		return nil, ErrNotYours
	case c.Line < 1 || c.Line > len(s.Discrepancies):
		return nil, ErrNoDiscrepancy.At("/line")
	case !slices.Contains([]Classification{LedgerPosted, Suspense, Timing, BankError, FeeInterest}, c.Classification):
		return nil, ErrInvalid.At("/classification")
	case c.Contract != "" && !printable(c.Contract, textBytesMax), c.Contract == "" && c.Classification == LedgerPosted:
		return nil, ErrInvalid.At("/contract_id")
	case c.Note != "" && !printable(c.Note, noteBytesMax):
		return nil, ErrInvalid.At("/note")
	}
	d := s.Discrepancies[c.Line-1]
	switch {
	case d.Classification == c.Classification && d.Contract == c.Contract:
		return nil, nil
	case d.Classification != "":
		return nil, ErrWrongState.With("from", string(d.Classification)).With("allowed", []string{})
	}
	events := []Event{DiscrepancyResolved{
		Line: c.Line, Classification: c.Classification, Contract: c.Contract, Note: c.Note, Bank: i.Bank, Date: i.Date,
	}}
	if s.Open() > 1 {
		return events, nil
	}
	explained := domain.Fen(0)
	for _, d := range s.Discrepancies {
		explained += d.BankFen - d.LedgerFen
	}
	return append(events, DayReconciled{
		Bank: i.Bank, Date: i.Date, ClosingFen: i.ClosingFen, LedgerFen: s.LedgerFen, ExplainedFen: explained,
	}), nil
}

func bookLate(s State, r domain.Request[Command], e Entry) ([]Event, error) {
	switch {
	case s.Imported.Bank == "":
		return nil, ErrNotFound
	case r.Actor.Role != domain.RoleSystem:
		return nil, ErrNotYours
	case slices.ContainsFunc(s.Discrepancies, func(d Discrepancy) bool {
		return d.TxnID == e.TxnID && (d.LedgerFen == 0 && d.BankFen == e.AmountFen || d.Late && d.DiscrepancyFound.Contract == e.Contract)
	}):
		return nil, nil
	}
	kind := MissingInBank
	if slices.ContainsFunc(s.Imported.Lines, func(l Line) bool { return l.TxnID == e.TxnID }) {
		kind = Duplicate
	}
	return []Event{DiscrepancyFound{
		Line: len(s.Discrepancies) + 1, Kind: kind, TxnID: e.TxnID, LedgerFen: e.AmountFen, Contract: e.Contract,
		Bank: s.Imported.Bank, Date: s.Imported.Date, Late: true,
	}}, nil
}
