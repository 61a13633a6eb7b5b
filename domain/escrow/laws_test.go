package escrow_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/escrow"
)

var actors = []domain.Actor{bank, system, lessor, lessee, gulou, gulou2, strange}

func drawPlan(t *rapid.T) Plan {
	p := basic()
	p.RentFen = domain.Fen(rapid.Int64Range(1, 1_000_000).Draw(t, "rent"))
	p.DepositFen = domain.Fen(rapid.Int64Range(0, 2_000_000).Draw(t, "deposit"))
	p.PayCycleMonths = rapid.IntRange(1, 12).Draw(t, "cycle")
	p.End = start.AddDays(rapid.IntRange(0, 800).Draw(t, "days"))
	p.CaptureMode = rapid.SampledFrom([]CaptureMode{CaptureWhole, CaptureExcess}).Draw(t, "capture")
	p.Profile = rapid.SampledFrom([]Profile{ProfileMonthly, ProfileUpfront, ProfileExcessOnly}).Draw(t, "profile")
	p.K = rapid.IntRange(0, 5).Draw(t, "k")
	if rapid.Bool().Draw(t, "operator") {
		p.Operator, p.Owner = true, "own"
		p.OwnerMonthlyFen = domain.Fen(rapid.Int64Range(0, 1_200_000).Draw(t, "owner"))
	}
	return p
}

func drawCommand(t *rapid.T, s State, today domain.Day) Command {
	fen := domain.Fen(rapid.Int64Range(-1, 12_000_000).Draw(t, "fen"))
	no := rapid.IntRange(0, len(s.Tranches)+1).Draw(t, "tranche")
	txn := fmt.Sprintf("t%d", rapid.IntRange(0, 20).Draw(t, "txn"))
	id := fmt.Sprintf("x%d", rapid.IntRange(0, 3).Draw(t, "id"))
	held := s.DepositHeld()
	share := domain.Fen(rapid.Int64Range(0, max(1, int64(held))).Draw(t, "share"))
	return rapid.SampledFrom([]Command{
		Receive{Bank: "icbc", BankTxnID: txn, AmountFen: fen, ValueDate: today},
		Receive{Bank: "icbc", BankTxnID: txn, AmountFen: s.Plan.DepositFen + s.Plan.Collections[0].RentFen, ValueDate: today},
		ReverseReceipt{Bank: "icbc", BankTxnID: txn, ReversalTxnID: "v" + txn, Reason: "error"},
		OrderRelease{Tranche: no},
		OrderRelease{Tranche: no},
		ConfirmRelease{Tranche: no, BankTxnID: "o" + txn},
		ConfirmRelease{Tranche: no, BankTxnID: "p" + txn},
		FailRelease{Tranche: no, Reason: "closed"},
		RequestRefund{RefundID: id, Source: rapid.SampledFrom([]Source{SourceOther, SourceRent, SourceSuspense, SourceDeposit}).Draw(t, "source"), AmountFen: fen, Reason: "why"},
		ApproveRefund{RefundID: id},
		DeclineRefund{RefundID: id, Reason: "no"},
		ConfirmRefund{RefundID: id, BankTxnID: "q" + txn},
		ConfirmRefund{RefundID: RefundEnd, BankTxnID: "q" + txn},
		ConfirmRefund{RefundID: RefundDeposit, BankTxnID: "q" + txn},
		EndEarly{On: today},
		ProposeDeduction{DeductionID: id, Ground: "DAMAGE", AmountFen: share},
		ProposeDeduction{DeductionID: id, Ground: "CLEANING", AmountFen: share},
		AcceptDeduction{DeductionID: id},
		ContestDeduction{DeductionID: id},
		Mediate{ToLessorFen: share, ToLesseeFen: held - share, Agreed: true, RecordNo: "m"},
		SettleDeposit{ToLesseeFen: held, Basis: BasisAgreed},
		SettleDeposit{ToLessorFen: share, ToLesseeFen: held - share, Basis: BasisRuling, PaperNo: "p"},
		Amend{EffectiveFrom: today, RentFen: share, End: s.Plan.End.AddDays(rapid.IntRange(-40, 40).Draw(t, "shift"))},
		ClaimDeposit{},
		SettleByDefault{},
		Freeze{OrderNo: id},
		Unfreeze{OrderNo: id},
		Close{},
	}).Draw(t, "command")
}

// TestLaws drives random ledgers through random commands. Invariants are numbered as in the package's money model.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &ledger{TB: quiet{}, at: at}
		p := drawPlan(t)
		if opened, err := l.ask(system, p); err != nil || len(opened) == 0 {
			return // Nothing captured: no ledger.
		}
		plan := l.events[0].(FundsExpected)
		checkPlanLaw(t, plan, p)
		received := domain.Fen(0)
		if rapid.Bool().Draw(t, "paid") {
			received = plan.DepositFen + plan.Collections[0].RentFen + 1
			l.do(bank, Receive{Bank: "icbc", BankTxnID: "first", AmountFen: received, ValueDate: today})
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "wait") == 0 {
				l.at = l.at.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "days")) * 24 * time.Hour)
			}
			before, printed := l.s, fmt.Sprintf("%+v", l.s)
			a := rapid.SampledFrom(actors).Draw(t, "actor")
			c := drawCommand(t, l.s, domain.DayOf(l.at))
			got, err := l.ask(a, c)
			if err != nil && a.ID == strange.ID && !reflect.DeepEqual(before, l.s) {
				t.Fatal("M24: a stranger changed a ledger")
			}
			if now := fmt.Sprintf("%+v", before); now != printed {
				t.Fatalf("%T changed the state it was asked on:\n%s\n%s", c, printed, now)
			}
			if err == nil && len(got) > 0 && a.ID == strange.ID {
				t.Fatalf("M24: a stranger wrote %+v", got)
			}
			if again, err2 := l.ask(a, c); err == nil && (err2 != nil || len(again) > 0) {
				t.Fatalf("M5: %T again wrote %+v, %v", c, again, err2)
			}
			for _, e := range got {
				if r, ok := e.(FundsReceived); ok {
					received += r.AmountFen
				}
				checkRelease(t, before, domain.DayOf(l.at), e)
			}
		}
		checkPrefixes(t, l, received)
	})
}

func checkPlanLaw(t *rapid.T, e FundsExpected, p Plan) {
	sum, cols := domain.Fen(0), domain.Fen(0)
	for _, r := range e.Schedule {
		sum += r.AmountFen
	}
	for _, c := range e.Collections {
		cols += c.RentFen
	}
	if sum != e.RentFen || cols != e.RentFen {
		t.Fatalf("M14: schedule %d, collections %d, captured %d", sum, cols, e.RentFen)
	}
	if p.CaptureMode == CaptureExcess && e.DepositFen != 0 {
		t.Fatal("EXCESS captured a deposit")
	}
}

func checkRelease(t *rapid.T, s State, today domain.Day, e Event) {
	switch e := e.(type) {
	case ReleaseOrdered:
		if tr := s.Tranches[e.Tranche-1]; tr.Due > today || slices.ContainsFunc(s.Freezes, func(f FreezeOrder) bool { return !f.Lifted }) {
			t.Fatalf("M13: tranche %+v ordered on %s", tr, today)
		}
	case DepositSettled:
		if e.ToLessorFen+e.ToLesseeFen != s.DepositHeld() || (today <= s.Plan.End && s.Ended == nil) {
			t.Fatalf("settlement %+v of %d", e, s.DepositHeld())
		}
	}
}

// checkPrefixes replays the log: M1 each journal balances, M2 all accounts add up to 0, M3 none is negative, M4 out ≤ in.
func checkPrefixes(t *rapid.T, l *ledger, received domain.Fen) {
	var s State
	for i, e := range l.events {
		debit, credit := domain.Fen(0), domain.Fen(0)
		for _, p := range Journal(e) {
			debit, credit = debit+p.DebitFen, credit+p.CreditFen
			if (p.DebitFen > 0) == (p.CreditFen > 0) || p.DebitFen < 0 || p.CreditFen < 0 {
				t.Fatalf("M1: posting %+v", p)
			}
		}
		if debit != credit {
			t.Fatalf("M1: event %d %s debits %d and credits %d", i, e.EventType(), debit, credit)
		}
		s = Decider.Fold(s, e)
		cash, owed, rent := domain.Fen(0), domain.Fen(0), domain.Fen(0)
		for _, b := range s.Balances {
			if b.Fen < 0 {
				t.Fatalf("M3: %s holds %d after event %d %s", b.Account, b.Fen, i, e.EventType())
			}
			if IsCash(b.Account) {
				cash += b.Fen
			} else {
				owed += b.Fen
			}
		}
		if cash != owed || cash > received {
			t.Fatalf("M2: cash %d, owed %d, received %d after event %d %s", cash, owed, received, i, e.EventType())
		}
		if _, classified := e.(FundsClassified); classified {
			continue // Its tranches come next in the same append.
		}
		for _, tr := range s.Tranches {
			if tr.Source == SourceRent && tr.Stage == TranchePlanned {
				rent += tr.AmountFen
			}
		}
		if held := s.Held(HeldAccount("c1", "rent")); held != rent {
			t.Fatalf("schedule: rent held %d, planned tranches %d after event %d %s", held, rent, i, e.EventType())
		}
	}
	if !reflect.DeepEqual(s, l.s) {
		t.Fatal("M7: replay differs from the state kept")
	}
}

// TestInterleaving is M22: two ledgers in any interleaving end with the same balances, and the order of two receipts of
// one ledger does not change its cash.
func TestInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := &ledger{TB: quiet{}, at: at}, &ledger{TB: quiet{}, at: at}
		a.do(system, basic())
		b.do(system, basic())
		amounts := rapid.SliceOfN(rapid.Int64Range(1, 3_000_000), 1, 8).Draw(t, "amounts")
		for i, n := range amounts {
			a.pay(fmt.Sprint(i), domain.Fen(n))
		}
		order := rapid.Permutation(amounts).Draw(t, "order")
		for i, n := range order {
			b.pay(fmt.Sprint(i), domain.Fen(n))
		}
		if !reflect.DeepEqual(a.s.Balances, b.s.Balances) {
			t.Fatalf("order of receipts changed balances: %v and %v", a.s.Balances, b.s.Balances)
		}
	})
}

// quiet lets the driver run inside rapid: only ask, do and pay without failures are used there.
type quiet struct{ testing.TB }

func (quiet) Helper() {}
