package statement_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/statement"
)

var (
	day  = domain.Date(2026, time.March, 2)
	icbc = domain.Actor{ID: "k", Role: domain.RoleBank, Party: "icbc"}
	ask  = domain.Request[Command]{ID: "r", At: day.AddDays(1).Start(), Actor: icbc}
)

func statement(opening domain.Fen, lines ...Line) Import {
	c := Import{Bank: "icbc", Date: day, OpeningFen: opening, ClosingFen: opening, Lines: lines}
	for _, l := range lines {
		c.ClosingFen += l.AmountFen
	}
	return c
}

func line(txn string, fen domain.Fen) Line { return Line{TxnID: txn, AmountFen: fen, ValueDate: day} }

func imported(c Import, ledger domain.Fen, matched, found int) Imported {
	return Imported{
		Bank: "icbc", Date: day, OpeningFen: c.OpeningFen, ClosingFen: c.ClosingFen, LedgerFen: ledger, Lines: c.Lines,
		Matched: matched, Found: found,
	}
}

func TestDecide(t *testing.T) {
	even := statement(100, line("a", 50), line("b", -30))
	even.Ledger = []Entry{{TxnID: "b", AmountFen: -30, Contract: "c1"}, {TxnID: "a", AmountFen: 50, Contract: "c1"}}
	evenDone := []Event{imported(even, 20, 2, 0), DayReconciled{Bank: "icbc", Date: day, ClosingFen: 120, LedgerFen: 20}}

	unknown := statement(0, line("a", 50), line("x", 7)) // Scenario 8.
	unknown.Ledger = []Entry{{TxnID: "a", AmountFen: 50, Contract: "c1"}}
	missing := DiscrepancyFound{Line: 1, Kind: MissingInLedger, TxnID: "x", BankFen: 7, Bank: "icbc", Date: day}
	unknownDone := []Event{imported(unknown, 50, 1, 1), missing}

	mixed := statement(0, line("a", 50), line("b", 5), line("b", 5))
	mixed.Ledger = []Entry{{TxnID: "a", AmountFen: 60, Contract: "c1"}, {TxnID: "b", AmountFen: 5, Contract: "c2"}, {TxnID: "z", AmountFen: 9, Contract: "c3"}}

	off := even
	off.ClosingFen++
	broken, before := even, domain.Fen(99)
	broken.PrevClosing = &before
	after := even
	after.NextOpening = &before
	other := even
	other.Lines = append([]Line{line("q", 1), line("r", -1)}, even.Lines...)

	system := domain.Actor{ID: "process:reconciling", Role: domain.RoleSystem}
	late := DiscrepancyFound{Line: 1, Kind: MissingInBank, TxnID: "c", LedgerFen: 9, Contract: "c2", Bank: "icbc", Date: day, Late: true}
	lateDone := append(evenDone[:2:2], late)

	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "all lines match", When: even, Then: evenDone},
		{Name: "the same statement again", Given: evenDone, When: even},
		{Name: "another statement of the day", Given: evenDone, When: other, Err: ErrAlreadyImported},
		{Name: "another bank's key", As: domain.Actor{ID: "k2", Role: domain.RoleBank, Party: "boc"}, When: even, Err: ErrNotYours},
		{Name: "does not add up", When: off, Err: ErrSum},
		{Name: "does not follow the day before", When: broken, Err: ErrChain},
		{Name: "does not lead to the day after", When: after, Err: ErrChain},
		{Name: "a day to come", At: day.AddDays(-1).Start(), When: even, Err: ErrInvalid},
		{Name: "a payment unknown to the ledger", When: unknown, Then: unknownDone},
		{
			Name: "its classification closes the day", Given: unknownDone, When: Resolve{Line: 1, Classification: Suspense},
			Then: []Event{
				DiscrepancyResolved{Line: 1, Classification: Suspense, Bank: "icbc", Date: day},
				DayReconciled{Bank: "icbc", Date: day, ClosingFen: 57, LedgerFen: 50, ExplainedFen: 7},
			},
		},
		{Name: "posted where", Given: unknownDone, When: Resolve{Line: 1, Classification: LedgerPosted}, Err: ErrInvalid},
		{Name: "no such discrepancy", Given: unknownDone, When: Resolve{Line: 2, Classification: Timing}, Err: ErrNoDiscrepancy},
		{Name: "no such day", When: Resolve{Line: 1, Classification: Timing}, Err: ErrNotFound},
		{
			Name: "amount, duplicate, missing in bank", When: mixed,
			Then: []Event{
				imported(mixed, 74, 1, 3),
				DiscrepancyFound{Line: 1, Kind: Amount, TxnID: "a", BankFen: 50, LedgerFen: 60, Contract: "c1", Bank: "icbc", Date: day},
				DiscrepancyFound{Line: 2, Kind: Duplicate, TxnID: "b", BankFen: 5, Bank: "icbc", Date: day},
				DiscrepancyFound{Line: 3, Kind: MissingInBank, TxnID: "z", LedgerFen: 9, Contract: "c3", Bank: "icbc", Date: day},
			},
		},
		{Name: "a late entry that the statement knew", As: system, Given: unknownDone, When: BookLate{Entry{TxnID: "x", AmountFen: 7, Contract: "c2"}}},
		{Name: "a late entry that it knew otherwise", As: system, Given: unknownDone, When: BookLate{Entry{TxnID: "x", AmountFen: 8, Contract: "c2"}}, Then: []Event{
			DiscrepancyFound{Line: 2, Kind: Duplicate, TxnID: "x", LedgerFen: 8, Contract: "c2", Bank: "icbc", Date: day, Late: true},
		}},
		{Name: "a late entry of a day that was closed", As: system, Given: evenDone, When: BookLate{Entry{TxnID: "c", AmountFen: 9, Contract: "c2"}}, Then: []Event{late}},
		{Name: "the same late entry again", As: system, Given: lateDone, When: BookLate{Entry{TxnID: "c", AmountFen: 9, Contract: "c2"}}},
		{
			Name: "its explanation closes the day again", Given: lateDone, When: Resolve{Line: 1, Classification: BankError},
			Then: []Event{
				DiscrepancyResolved{Line: 1, Classification: BankError, Bank: "icbc", Date: day},
				DayReconciled{Bank: "icbc", Date: day, ClosingFen: 120, LedgerFen: 29, ExplainedFen: -9},
			},
		},
		{Name: "a late entry of no day", As: system, When: BookLate{Entry{TxnID: "c", AmountFen: 9}}, Err: ErrNotFound},
		{Name: "a late entry by a bank", Given: evenDone, When: BookLate{Entry{TxnID: "c", AmountFen: 9}}, Err: ErrNotYours},
	})
}

// TestLaws: M17 every line and entry is matched or explained exactly once; M18 opening + ledger + explained = closing;
// M20 the order of lines and entries does not matter.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		txn := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "txn")) })
		fen := rapid.Custom(func(t *rapid.T) domain.Fen { return domain.Fen(rapid.SampledFrom([]int64{1, 2, 500}).Draw(t, "fen")) })
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Line { return line(txn.Draw(t, "t"), fen.Draw(t, "f")) }), 0, 10).Draw(t, "lines")
		ledger := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Entry {
			return Entry{TxnID: txn.Draw(t, "t"), AmountFen: fen.Draw(t, "f"), Contract: "c"}
		}), 0, 10).Draw(t, "ledger")
		c := statement(1000, lines...)
		c.Ledger = ledger
		r := ask
		r.Command = c
		got, err := Decider.Decide(State{}, r)
		if err != nil {
			t.Fatal(err)
		}
		in := got[0].(Imported)
		explained, lineCount, entryCount := domain.Fen(0), in.Matched, in.Matched
		for _, e := range got[1:] {
			if d, ok := e.(DiscrepancyFound); ok {
				explained += d.BankFen - d.LedgerFen
				if d.BankFen != 0 {
					lineCount++
				}
				if d.LedgerFen != 0 {
					entryCount++
				}
			}
		}
		if lineCount != len(lines) || entryCount != len(ledger) {
			t.Fatalf("M17: %d of %d lines, %d of %d entries", lineCount, len(lines), entryCount, len(ledger))
		}
		if in.OpeningFen+in.LedgerFen+explained != in.ClosingFen {
			t.Fatalf("M18: %d + %d + %d is not %d", in.OpeningFen, in.LedgerFen, explained, in.ClosingFen)
		}
		c.Lines, c.Ledger = rapid.Permutation(lines).Draw(t, "p"), rapid.Permutation(ledger).Draw(t, "q")
		r.Command = c
		again, err := Decider.Decide(State{}, r)
		if err != nil || !reflect.DeepEqual(again[1:], got[1:]) {
			t.Fatalf("M20: another order finds other differences: %+v, %v", again, err)
		}
		resolveAll(t, Decider.Fold(State{}, got...))
	})
}

func resolveAll(t *rapid.T, s State) {
	for i := range s.Discrepancies {
		r := ask
		r.Command = Resolve{Line: i + 1, Classification: Timing}
		got, err := Decider.Decide(s, r)
		if err != nil {
			t.Fatal(err)
		}
		s = Decider.Fold(s, got...)
	}
	if !s.Reconciled || s.Open() != 0 {
		t.Fatalf("the day stays open: %+v", s)
	}
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
