package money_test

import (
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/alert"
	"zujian/domain/ruleset"
	"zujian/projections"
	"zujian/projections/money"
	"zujian/projections/projectiontest"
)

// TestAccountBoard follows an operator's account to another bank: the laws of views hold, its reserve is on one bank's
// board at a time, and each reader sees its own.
func TestAccountBoard(t *testing.T) {
	b := scenario(t)
	for _, e := range []account.Event{
		account.Applied{Operator: "op", Bank: "icbc", AdminCode: "320106"},
		account.Opened{Bank: "icbc", Last4: "0018", AgreementNo: "A1", On: today},
		account.Accepted{Bank: "icbc", Last4: "0018", By: "c"},
		account.ReserveSet{RequiredFen: 900, Basis: "per home"},
		account.ReserveDeposited{Bank: "icbc", BankTxnID: "r1", AmountFen: 1000, ValueDate: today},
		account.DrawOrdered{DrawID: "d1", OrderNo: "O1", AmountFen: 300, Beneficiaries: []account.Share{{Party: "ten", AmountFen: 300}}, By: "c"},
		account.ReserveDrawn{DrawID: "d1", Bank: "icbc", BankTxnID: "r2", AmountFen: 300, ValueDate: today},
		account.LoansDeclared{Month: domain.Date(2026, time.January, 1), IncomeFen: 1000, LoanFen: 250},
	} {
		b.log.Add("account-a1", at, e)
	}
	board := func(r projections.Reader, s projections.Scope) []money.Account {
		t.Helper()
		rows, _, err := money.Accounts(t.Context(), r, s, judge(t), today, projections.Page{})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	reserveAt := func(r projections.Reader, bank string) int64 {
		t.Helper()
		sums, err := money.Sums(t.Context(), r, money.BoardBank, bank, "")
		if err != nil {
			t.Fatal(err)
		}
		return sums["reserve_fen"]
	}
	r := projectiontest.Laws(t, money.Projection{}, &b.log)
	got := board(r, all)
	if len(got) != 1 || got[0].Bank != "icbc" || got[0].ReserveFen != 700 || got[0].ReserveRequiredFen != 900 || got[0].LoanShareBP == nil || *got[0].LoanShareBP != 2500 ||
		len(got[0].Alerts) != 1 || got[0].Alerts[0].Rule != "M-07" || got[0].Board.BalanceFen != 1_400_100-350_000+700 || got[0].Board.ShortfallFen != 0 {
		t.Errorf("board %+v", got)
	}
	if cash, err := money.CashOfDay(t.Context(), r, "icbc", today); err != nil || len(cash) != 5 {
		t.Errorf("the bank's day %+v, %v", cash, err)
	}
	for _, c := range []struct {
		s    projections.Scope
		sees int
	}{{projections.Scope{Party: "op"}, 1}, {projections.Scope{Bank: "icbc"}, 1}, {projections.Scope{District: "320106"}, 1}, {projections.Scope{Party: "ten"}, 0}, {projections.Scope{Bank: "ccb"}, 0}, {projections.Scope{}, 0}} {
		if rows := board(r, c.s); len(rows) != c.sees {
			t.Errorf("%+v sees %d accounts", c.s, len(rows))
		}
	}

	b.log.Add("account-a1", at, account.Applied{Operator: "op", Bank: "ccb", AdminCode: "320106"})
	b.log.Add("account-a1", at, account.Opened{Bank: "ccb", Last4: "0099", AgreementNo: "B1", ReserveFen: 700, On: today})
	r = projectiontest.Laws(t, money.Projection{}, &b.log)
	if len(board(r, projections.Scope{Bank: "icbc"})) != 1 || len(board(r, projections.Scope{Bank: "ccb"})) != 1 || reserveAt(r, "icbc") != 700 {
		t.Error("both banks see an account that moves, and the reserve is where it was")
	}
	b.log.Add("account-a1", at, account.Accepted{Bank: "ccb", Last4: "0099", Replaces: "icbc", By: "c"})
	r = projectiontest.Laws(t, money.Projection{}, &b.log)
	if len(board(r, projections.Scope{Bank: "icbc"})) != 0 || board(r, all)[0].Bank != "ccb" || reserveAt(r, "icbc") != 0 || reserveAt(r, "ccb") != 700 {
		t.Errorf("after the move: %+v", board(r, all))
	}
}

func judge(t *testing.T) money.Judge {
	t.Helper()
	books, err := alert.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return money.Judge{Policy: ruleset.Shipped(), Books: books}
}
