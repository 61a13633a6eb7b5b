package money_test

import (
	"testing"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/projections/money"
	"zujian/projections/projectiontest"
)

// TestTally follows an operator's ledgers of a year: one paid in full, one whose tenant's second quarter never arrived, one
// that ended early. Whole months are 350,000 fen, collected three ahead; the owner is due 300,000 of each.
func TestTally(t *testing.T) {
	b := newBook(t)
	filed := map[string]bool{"c1": true, "c2": true, "c3": true} // Not c4: signed alone.
	for _, id := range []string{"c1", "c2", "c3", "c4"} {
		p := plan(id)
		p.Operator, p.Owner, p.OwnerMonthlyFen, p.DepositReturnDays = true, "ann", 300_000, 7
		if id == "c2" {
			p.Owner = "bob"
		}
		b.do(id, sys, at, p)
		if !filed[id] {
			continue
		}
		b.do(id, bank, at, escrow.Receive{Bank: "icbc", BankTxnID: id + "-1", AmountFen: 1_400_000, ValueDate: today})
	}
	b.do("c1", bank, start.AddMonths(3).Start(), escrow.Receive{Bank: "icbc", BankTxnID: "c1-2", AmountFen: 1_050_000, ValueDate: start.AddMonths(3)})
	b.do("c3", sys, start.AddMonths(2).AddDays(1).Start(), escrow.EndEarly{On: start.AddMonths(2).AddDays(-1)})
	for _, x := range b.states["c1"].Tranches { // c1's owner is paid as due.
		if x.Payee == escrow.PayeeOwner && x.Due <= start.AddMonths(3) {
			b.do("c1", sys, x.Due.Start(), escrow.OrderRelease{Tranche: x.No})
			b.do("c1", bank, x.Due.Start(), escrow.ConfirmRelease{Tranche: x.No, BankTxnID: "p" + x.Due.String()})
		}
	}
	r := projectiontest.Laws(t, money.Projection{}, &b.log)
	on := start.AddMonths(3).AddDays(20) // 21 May: the second collection was due on 1 May, twenty days ago.
	got, err := money.TallyOf(t.Context(), r, "op", filed, on)
	if err != nil {
		t.Fatal(err)
	}
	// Due in 90 days to seven days ago: the second collections of c1 and c2. c3's fell away.
	if got.From != on-96 || got.To != on-7 || got.Collections != 2 || got.DueFen != 2_100_000 || got.UnreceivedFen != 1_050_000 {
		t.Errorf("collections: %+v", got)
	}
	if got.Owners != 2 || got.OwnersUnpaid != 2 || got.OwnersUnpaidFen < 900_000 { // bob's three months, and what is left of c3's to ann.
		t.Errorf("owners: %+v", got)
	}
	if got.Deposits != 1 || got.DepositsOverdue != 1 { // c3 ended on 31 March: its deposit was due on 7 April.
		t.Errorf("deposits: %+v", got)
	}
	for name, c := range map[string]struct {
		company string
		on      domain.Day
		want    money.Tally
	}{
		"a day before the first collection is late": {"op", start.AddDays(6), money.Tally{Owners: 2}},
		"nobody": {"nobody", on, money.Tally{}},
	} {
		got, err := money.TallyOf(t.Context(), r, c.company, filed, c.on)
		got.From, got.To = 0, 0
		if err != nil || got != c.want {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if sum := got.Plus(got); sum.DueFen != 4_200_000 || sum.Owners != 4 || sum.Deposits != 2 || sum.To != got.To {
		t.Errorf("together: %+v", sum)
	}
	h, ok, err := money.HoldingOf(t.Context(), r, "c2", on)
	if err != nil || !ok || h.DepositFen != 350_000 || h.PrepaidFen != 1_050_000 || h.UnreceivedFen != 1_050_000 || h.OwnerUnpaidFen != 1_200_000 { // Four months were due by 21 May, whatever came in.
		t.Errorf("holding: %+v %v %v", h, ok, err)
	}
	if _, ok, err := money.HoldingOf(t.Context(), r, "c9", on); err != nil || ok {
		t.Errorf("no ledger: %v %v", ok, err)
	}
}
