package money_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/domain/statement"
	"zujian/projections"
	"zujian/projections/money"
	"zujian/projections/projectiontest"
)

var (
	at    = time.Date(2026, 1, 20, 2, 0, 0, 0, time.UTC)
	today = domain.DayOf(at)
	start = domain.Date(2026, time.February, 1)
	all   = projections.Scope{All: true}
	bank  = domain.Actor{ID: "b", Role: domain.RoleBank, Party: "icbc"}
	sys   = domain.Actor{ID: "s", Role: domain.RoleSystem}
	ten   = domain.Actor{ID: "t", Role: domain.RoleTenant, Party: "ten"}
	city  = domain.Actor{ID: "c", Role: domain.RoleCity}
)

type book struct {
	testing.TB
	log    projectiontest.Log
	states map[string]escrow.State
	days   map[string]statement.State
}

func newBook(t testing.TB) *book {
	return &book{TB: t, states: map[string]escrow.State{}, days: map[string]statement.State{}}
}

func (b *book) do(contract string, a domain.Actor, now time.Time, c escrow.Command) {
	b.Helper()
	got, err := escrow.Decider.Decide(b.states[contract], domain.Request[escrow.Command]{At: now, Actor: a, Command: c})
	if err != nil {
		b.Fatalf("%T: %v", c, err)
	}
	for _, e := range got {
		b.log.Add("escrow-"+contract, now, e)
	}
	b.states[contract] = escrow.Decider.Fold(b.states[contract], got...)
}

func (b *book) day(date domain.Day, c statement.Command) {
	b.Helper()
	id := "icbc." + date.String()
	got, err := statement.Decider.Decide(b.days[id], domain.Request[statement.Command]{At: date.AddDays(1).Start(), Actor: bank, Command: c})
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range got {
		b.log.Add("statement-"+id, date.AddDays(1).Start(), e)
	}
	b.days[id] = statement.Decider.Fold(b.days[id], got...)
}

func plan(contract string) escrow.Plan {
	return escrow.Plan{
		Contract: contract, Unit: "u1", AdminCode: "320106", Lessor: "op", Lessee: "ten", RentFen: 350_000, DepositFen: 350_000, PayCycleMonths: 3,
		Mode: escrow.ModeVoluntary, Start: start, End: start.AddMonths(12).AddDays(-1), SignedOn: today, DeductionGrounds: []string{"DAMAGE"},
	}
}

func scenario(t testing.TB) *book {
	b := newBook(t)
	b.do("c1", sys, at, plan("c1"))
	b.do("c2", sys, at, plan("c2"))
	b.do("c1", bank, at, escrow.Receive{Bank: "icbc", BankTxnID: "t1", AmountFen: 1_400_007, ValueDate: today, PayerMask: "6222****1234"})
	b.do("c2", bank, at, escrow.Receive{Bank: "icbc", BankTxnID: "t2", AmountFen: 100, ValueDate: today})
	b.do("c1", ten, at, escrow.RequestRefund{RefundID: "r1", AmountFen: 7, Reason: "too much"})
	b.do("c1", city, at, escrow.ApproveRefund{RefundID: "r1"})
	b.do("c1", bank, at, escrow.ConfirmRefund{RefundID: "r1", BankTxnID: "o1"})
	b.do("c1", sys, start.Start(), escrow.OrderRelease{Tranche: 1})
	b.do("c1", bank, start.Start(), escrow.ConfirmRelease{Tranche: 1, BankTxnID: "o2"})
	b.do("c2", city, start.Start(), escrow.Freeze{OrderNo: "F1"})
	b.day(today, statement.Import{
		Bank: "icbc", Date: today, ClosingFen: 1_400_105, Lines: []statement.Line{
			{TxnID: "t1", AmountFen: 1_400_007}, {TxnID: "t2", AmountFen: 100}, {TxnID: "o1", AmountFen: -7}, {TxnID: "x", AmountFen: 5},
		},
		Ledger: []statement.Entry{{TxnID: "t1", AmountFen: 1_400_007, Contract: "c1"}, {TxnID: "t2", AmountFen: 100, Contract: "c2"}, {TxnID: "o1", AmountFen: -7, Contract: "c1"}},
	})
	return b
}

func TestView(t *testing.T) {
	b := scenario(t)
	r := projectiontest.Laws(t, money.Projection{}, &b.log)
	projectiontest.Golden(t, r)
	ctx := t.Context()

	l, ok, err := money.LedgerOf(ctx, r, all, "c1")
	if err != nil || !ok || l.State != "FUNDED" || l.ReleasedFen != 350_000 || l.RefundedFen != 7 || l.Deposit.State != "HELD" || l.Deposit.HeldFen != 350_000 ||
		l.NextRelease == nil || l.NextRelease.Due != start.AddMonths(1) || l.Trail.Events != 9 {
		t.Errorf("ledger %+v, %v, %v", l, ok, err)
	}
	postings, _, err := money.Postings(ctx, r, all, "c1", projections.Page{})
	if err != nil || len(postings) != l.Trail.Events {
		t.Errorf("%d postings of %d events, %v", len(postings), l.Trail.Events, err)
	}
	cash, err := money.CashOfDay(ctx, r, "icbc", today)
	if d := cmp.Diff(cash, []statement.Entry{{TxnID: "t1", AmountFen: 1_400_007, Contract: "c1"}, {TxnID: "t2", AmountFen: 100, Contract: "c2"}, {TxnID: "o1", AmountFen: -7, Contract: "c1"}}); d != "" || err != nil {
		t.Errorf("cash of the day: %s %v", d, err)
	}
	day, ok, err := money.StatementOf(ctx, r, all, "icbc", today)
	if err != nil || !ok || day.Open != 1 || day.OpenFen != 5 || day.Matched != 3 {
		t.Errorf("day %+v, %v, %v", day, ok, err)
	}
	prev, next, err := money.Neighbours(ctx, r, "icbc", today.AddDays(1))
	if err != nil || prev == nil || *prev != 1_400_105 || next != nil {
		t.Errorf("neighbours %v %v %v", prev, next, err)
	}
	due, _, err := money.ReleasesDue(ctx, r, all, start.AddMonths(1), projections.Page{})
	if err != nil || len(due) != 1 || due[0].Tranche != 2 {
		t.Errorf("due %+v, %v", due, err)
	}
	boards, _, err := money.Boards(ctx, r, all, money.Judge{}, money.BoardBank, "icbc", domain.Date(2030, 1, 1), projections.Page{})
	if err != nil || len(boards) != 1 || boards[0].Figures["cash_fen"] != 1_400_100-350_000 || boards[0].Figures["ledgers"] != 2 ||
		boards[0].Figures["frozen_ledgers"] != 1 || boards[0].Figures["open_discrepancies"] != 1 {
		t.Errorf("board %+v, %v", boards, err)
	}
}

func TestScope(t *testing.T) {
	b := scenario(t)
	r := projectiontest.Fold(t, money.Projection{}, b.log.Events, 100)
	ctx := t.Context()
	for _, c := range []struct {
		scope projections.Scope
		want  int
	}{
		{projections.Scope{}, 0},
		{all, 2},
		{projections.Scope{Party: "ten"}, 2},
		{projections.Scope{Party: "x"}, 0},
		{projections.Scope{District: "320106"}, 2},
		{projections.Scope{District: "320115"}, 0},
		{projections.Scope{Bank: "icbc"}, 2},
		{projections.Scope{Bank: "boc"}, 0},
	} {
		rows, _, err := money.Ledgers(ctx, r, c.scope, money.Filter{}, projections.Page{})
		if err != nil || len(rows) != c.want {
			t.Errorf("%+v sees %d ledgers, %v; want %d", c.scope, len(rows), err, c.want)
		}
		postings, _, err := money.Postings(ctx, r, c.scope, "c1", projections.Page{})
		if err != nil || (len(postings) > 0) != (c.want > 0) {
			t.Errorf("%+v sees %d postings, %v", c.scope, len(postings), err)
		}
	}
	rows, _, _ := money.Ledgers(ctx, r, projections.Scope{Party: "x"}, money.Filter{Party: "ten"}, projections.Page{})
	if len(rows) > 0 {
		t.Errorf("a stranger reads another's ledgers by filter: %+v", rows)
	}
}

// TestBoards: M8, the kept sums are the sums of the ledgers, whatever happened.
func TestBoards(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBook(t)
		for _, c := range []string{"c1", "c2", "c3"} {
			b.do(c, sys, at, plan(c))
		}
		for i := range rapid.IntRange(1, 12).Draw(rt, "n") {
			c := rapid.SampledFrom([]string{"c1", "c2", "c3"}).Draw(rt, "contract")
			txn := string(rune('a' + i))
			b.do(c, bank, at, escrow.Receive{Bank: "icbc", BankTxnID: txn, AmountFen: domain.Fen(rapid.Int64Range(1, 900_000).Draw(rt, "fen")), ValueDate: today})
			if rapid.Bool().Draw(rt, "reverse") {
				b.do(c, bank, at, escrow.ReverseReceipt{Bank: "icbc", BankTxnID: txn, ReversalTxnID: "v" + txn, Reason: "x"})
			}
		}
		r := projectiontest.Fold(t, money.Projection{}, b.log.Events, rapid.IntRange(1, 9).Draw(rt, "size"))
		want := projections.Counters{}
		for _, s := range b.states {
			want["cash_fen"] += int64(s.Held(escrow.CashAccount("icbc")))
			want["held_deposit_fen"] += int64(s.DepositHeld())
			want["held_rent_fen"] += int64(s.Held(escrow.HeldAccount(s.Plan.Contract, "rent")))
		}
		boards, _, err := money.Boards(t.Context(), r, all, judge(t), money.BoardParty, "op", domain.Date(2030, 1, 1), projections.Page{})
		if err != nil {
			rt.Fatal(err)
		}
		got := projections.Counters{}
		for _, board := range boards {
			for name := range want {
				got[name] += board.Figures[name]
			}
		}
		if d := cmp.Diff(got, want); d != "" {
			rt.Fatal(d)
		}
	})
}
