package account_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/account"
	"zujian/domain/domaintest"
	"zujian/domain/ruleset"
)

var (
	at       = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	today    = domain.DayOf(at)
	operator = domain.Actor{ID: "k1", Role: domain.RoleCompany, Party: "op"}
	icbc     = domain.Actor{ID: "k2", Role: domain.RoleBank, Party: "icbc"}
	ccb      = domain.Actor{ID: "k3", Role: domain.RoleBank, Party: "ccb"}
	jiangn   = domain.Actor{ID: "k4", Role: domain.RoleDistrict, Area: "320115"}
	second   = domain.Actor{ID: "k5", Role: domain.RoleCity}
	stranger = domain.Actor{ID: "k6", Role: domain.RoleCompany, Party: "other"}
)

var policy = ruleset.Shipped()

func ask() domain.Request[Command] {
	return domain.Request[Command]{ID: "r", At: at, Actor: jiangn, Policy: policy}
}

var (
	applied = Applied{Operator: "op", Bank: "icbc", AdminCode: "320115"}
	opened  = Opened{Bank: "icbc", Last4: "0018", AgreementNo: "A1", On: today}
	inForce = []Event{applied, opened, Accepted{Bank: "icbc", Last4: "0018", By: "k4"}}
	stopped = Suspended{OrderNo: "O1", Reason: "funds missing", By: "k4"}
	paidIn  = ReserveDeposited{Bank: "icbc", BankTxnID: "t1", AmountFen: 1000, ValueDate: today}
	ordered = DrawOrdered{
		DrawID: "d1", OrderNo: "O2", Reason: "tenants", AmountFen: 700, Beneficiaries: []Share{{"t1", 300}, {"t2", 400}}, ReplenishBy: today.AddDays(30), By: "k4",
	}
	order = OrderDraw{DrawID: "d1", OrderNo: "O2", Reason: "tenants", Beneficiaries: []Share{{"t1", 300}, {"t2", 400}}, ReplenishBy: today.AddDays(30)}
	drawn = ReserveDrawn{DrawID: "d1", Bank: "icbc", BankTxnID: "t2", AmountFen: 700, ValueDate: today}
)

func given(more ...Event) []Event { return append(slices.Clone(inForce), more...) }

// TestOpening goes from the application to an account in force, and to another bank.
func TestOpening(t *testing.T) {
	apply, moved := Apply{Operator: "op", Bank: "icbc", AdminCode: "320115"}, Apply{Operator: "op", Bank: "ccb", AdminCode: "320115"}
	asked := Applied{Operator: "op", Bank: "ccb", AdminCode: "320115"}
	there := Opened{Bank: "ccb", Last4: "0099", AgreementNo: "B1", ReserveFen: 1000, On: today}
	domaintest.Run(t, Decider, ask(), []domaintest.Case[Command, Event]{
		{Name: "apply", As: operator, When: apply, Then: []Event{applied}},
		{Name: "apply for another", As: stranger, When: apply, Err: ErrNotYours},
		{Name: "apply at a second bank at once", As: operator, Given: []Event{applied}, When: moved, Err: ErrApplied},
		{Name: "apply without a bank", As: operator, When: Apply{Operator: "op", AdminCode: "320115"}, Err: ErrInvalid},
		{Name: "nothing to open", As: icbc, When: Open{Last4: "0018", AgreementNo: "A1"}, Err: ErrNotFound},
		{Name: "open", As: icbc, Given: []Event{applied}, When: Open{Last4: "0018", AgreementNo: "A1"}, Then: []Event{opened}},
		{Name: "open by another bank", As: ccb, Given: []Event{applied}, When: Open{Last4: "0018", AgreementNo: "A1"}, Err: ErrNotYours},
		{Name: "open with three digits", As: icbc, Given: []Event{applied}, When: Open{Last4: "018", AgreementNo: "A1"}, Err: ErrInvalid},
		{Name: "open without an agreement", As: icbc, Given: []Event{applied}, When: Open{Last4: "0018"}, Err: ErrInvalid},
		{Name: "open again with another number", As: icbc, Given: []Event{applied, opened}, When: Open{Last4: "0019", AgreementNo: "A1"}, Err: ErrWrongState},
		{Name: "accept before it is open", Given: []Event{applied}, When: Accept{}, Err: ErrWrongState},
		{Name: "accept", Given: []Event{applied, opened}, When: Accept{}, Then: inForce[2:]},
		{Name: "the operator accepts", As: operator, Given: []Event{applied, opened}, When: Accept{}, Err: ErrNotYours},
		{Name: "its bank declines", As: icbc, Given: []Event{applied}, When: Decline{Reason: "no licence"}, Then: []Event{Declined{Bank: "icbc", Reason: "no licence"}}},
		{Name: "its bank declines what it opened", As: icbc, Given: []Event{applied, opened}, When: Decline{Reason: "no"}, Err: ErrNotYours},
		{Name: "apply again after a refusal", As: operator, Given: []Event{applied, Declined{Bank: "icbc", Reason: "no"}}, When: apply, Then: []Event{applied}},
		{Name: "change the bank", As: operator, Given: inForce, When: moved, Then: []Event{asked}},
		{Name: "the new bank without the reserve", As: ccb, Given: given(paidIn, asked), When: Open{Last4: "0099", AgreementNo: "B1"}, Err: ErrReserveMoved},
		{Name: "the new bank with it", As: ccb, Given: given(paidIn, asked), When: Open{Last4: "0099", AgreementNo: "B1", ReserveFen: 1000}, Then: []Event{there}},
		{Name: "accept the new bank", Given: given(paidIn, asked, there), When: Accept{}, Then: []Event{Accepted{Bank: "ccb", Last4: "0099", Replaces: "icbc", By: "k4"}}},
		{Name: "accept it with a draw open", Given: given(paidIn, asked, there, ordered), When: Accept{}, Err: ErrReserveMoved},
		{Name: "change the bank while suspended", As: operator, Given: given(stopped), When: moved, Err: ErrWrongState},
	})
}

// TestOrders suspends, resumes and closes.
func TestOrders(t *testing.T) {
	domaintest.Run(t, Decider, ask(), []domaintest.Case[Command, Event]{
		{Name: "suspend", Given: inForce, When: Suspend{OrderNo: "O1", Reason: "funds missing"}, Then: []Event{stopped}},
		{Name: "suspend without an order", Given: inForce, When: Suspend{Reason: "x"}, Err: ErrInvalid},
		{Name: "suspend what is not in force", Given: []Event{applied}, When: Suspend{OrderNo: "O1", Reason: "x"}, Err: ErrWrongState},
		{Name: "the bank suspends", As: icbc, Given: inForce, When: Suspend{OrderNo: "O1", Reason: "x"}, Err: ErrNotYours},
		{Name: "resume by the same hand", Given: given(stopped), When: Resume{OrderNo: "O1"}, Err: ErrFourEyes},
		{Name: "resume", As: second, Given: given(stopped), When: Resume{OrderNo: "O1"}, Then: []Event{Resumed{OrderNo: "O1", By: "k5"}}},
		{Name: "resume another order", As: second, Given: given(stopped), When: Resume{OrderNo: "O9"}, Err: ErrWrongState},
		{Name: "close", As: operator, Given: inForce, When: Close{}, Then: []Event{Closed{Bank: "icbc", On: today}}},
		{Name: "close with open ledgers", As: operator, Given: inForce, When: Close{Held: Held{OpenLedgers: 1}}, Err: ErrNotEmpty},
		{Name: "close with money", As: operator, Given: inForce, When: Close{Held: Held{CashFen: 1}}, Err: ErrNotEmpty},
		{Name: "close with a reserve", As: operator, Given: given(paidIn), When: Close{}, Err: ErrNotEmpty},
		{Name: "close while suspended", As: operator, Given: given(stopped), When: Close{}, Err: ErrWrongState},
		{Name: "a stranger closes", As: stranger, Given: inForce, When: Close{}, Err: ErrNotYours},
	})
}

// TestReserve sets, fills, draws and fills again.
func TestReserve(t *testing.T) {
	passes := domain.Verdict{{Rule: "M-07", Version: 1, Outcome: domain.OutcomePass, Unconfirmed: true}}
	paid := paidIn
	paid.Rules = passes
	out := drawn
	out.Rules = passes
	deposit := DepositReserve{BankTxnID: "t1", AmountFen: 1000, ValueDate: today}
	domaintest.Run(t, Decider, ask(), []domaintest.Case[Command, Event]{
		{Name: "set", Given: inForce, When: SetReserve{RequiredFen: 5000, Basis: "per home"}, Then: []Event{ReserveSet{RequiredFen: 5000, Basis: "per home"}}},
		{Name: "set without a basis", Given: inForce, When: SetReserve{RequiredFen: 5000}, Err: ErrInvalid},
		{Name: "set before it is in force", Given: []Event{applied}, When: SetReserve{RequiredFen: 5000, Basis: "per home"}, Err: ErrWrongState},
		{Name: "set below zero", Given: inForce, When: SetReserve{RequiredFen: -1, Basis: "x"}, Err: domain.ErrAmount},
		{Name: "deposit", As: icbc, Given: inForce, When: deposit, Then: []Event{paid}},
		{Name: "deposit by another bank", As: ccb, Given: inForce, When: deposit, Err: ErrNotYours},
		{Name: "deposit nothing", As: icbc, Given: inForce, When: DepositReserve{BankTxnID: "t1", ValueDate: today}, Err: domain.ErrAmount},
		{Name: "deposit far ahead", As: icbc, Given: inForce, When: DepositReserve{BankTxnID: "t1", AmountFen: 1, ValueDate: today.AddDays(32)}, Err: ErrInvalid},
		{Name: "the same transaction, another sum", As: icbc, Given: given(paidIn), When: DepositReserve{BankTxnID: "t1", AmountFen: 1, ValueDate: today}, Err: ErrTxnDuplicate},
		{Name: "draw", Given: given(paidIn), When: order, Then: []Event{ordered}},
		{Name: "draw more than there is", Given: inForce, When: order, Err: ErrInsufficient},
		{Name: "draw what is ordered already", Given: given(paidIn, ordered), When: OrderDraw{DrawID: "d2", OrderNo: "O3", Reason: "x", Beneficiaries: []Share{{"t1", 301}}, ReplenishBy: today.AddDays(1)}, Err: ErrInsufficient},
		{Name: "draw for nobody", Given: given(paidIn), When: OrderDraw{DrawID: "d2", OrderNo: "O3", Reason: "x", ReplenishBy: today.AddDays(1)}, Err: ErrInvalid},
		{Name: "draw by the bank", As: icbc, Given: given(paidIn), When: order, Err: ErrNotYours},
		{Name: "the same draw with other shares", Given: given(paidIn, ordered), When: OrderDraw{DrawID: "d1", OrderNo: "O2", Reason: "tenants", Beneficiaries: []Share{{"t1", 1}}, ReplenishBy: today.AddDays(30)}, Err: ErrDrawExists},
		{Name: "pay", As: icbc, Given: given(paidIn, ordered), When: ConfirmDraw{DrawID: "d1", BankTxnID: "t2", ValueDate: today}, Then: []Event{out}},
		{Name: "pay by a used transaction", As: icbc, Given: given(paidIn, ordered), When: ConfirmDraw{DrawID: "d1", BankTxnID: "t1", ValueDate: today}, Err: ErrTxnDuplicate},
		{Name: "pay twice", As: icbc, Given: given(paidIn, ordered, drawn), When: ConfirmDraw{DrawID: "d1", BankTxnID: "t3", ValueDate: today}, Err: ErrTxnDuplicate},
		{Name: "pay no draw", As: icbc, Given: given(paidIn), When: ConfirmDraw{DrawID: "d1", BankTxnID: "t2", ValueDate: today}, Err: ErrDrawNotFound},
		{Name: "take back", Given: given(paidIn, ordered), When: CancelDraw{DrawID: "d1", Reason: "settled"}, Then: []Event{DrawCancelled{DrawID: "d1", Reason: "settled"}}},
		{Name: "take back what is paid", Given: given(paidIn, ordered, drawn), When: CancelDraw{DrawID: "d1", Reason: "x"}, Err: ErrDrawNotFound},
	})
}

// TestShortReserveAndLoansAlert: the shipped rules fire on a short reserve and on loans above three tenths, and refuse nothing.
func TestShortReserveAndLoansAlert(t *testing.T) {
	s := Decider.Fold(State{}, given(ReserveSet{RequiredFen: 2000, Basis: "x"})...)
	decide := func(a domain.Actor, c Command) Event {
		t.Helper()
		r := ask()
		r.Actor, r.Command = a, c
		got, err := Decider.Decide(s, r)
		if err != nil || len(got) != 1 {
			t.Fatalf("%T: %v %v", c, got, err)
		}
		return got[0]
	}
	month := domain.Date(2026, time.October, 1)
	for _, c := range []struct {
		got   Event
		rule  string
		fires bool
	}{
		{decide(icbc, DepositReserve{BankTxnID: "t", AmountFen: 1999, ValueDate: today}), "M-07", true},
		{decide(icbc, DepositReserve{BankTxnID: "t", AmountFen: 2000, ValueDate: today}), "M-07", false},
		{decide(operator, DeclareLoans{Month: month, IncomeFen: 1000, LoanFen: 301}), "C-13", true},
		{decide(operator, DeclareLoans{Month: month, IncomeFen: 1000, LoanFen: 300}), "C-13", false},
	} {
		var v domain.Verdict
		switch e := c.got.(type) {
		case ReserveDeposited:
			v = e.Rules
		case LoansDeclared:
			v = e.Rules
		default:
			t.Fatalf("%T", e)
		}
		if len(v) != 1 || v[0].Rule != c.rule || (len(v.Fired()) > 0) != c.fires || (c.fires && v[0].Outcome != domain.OutcomeAlert) {
			t.Errorf("%s: %+v", c.rule, v)
		}
	}
	refused := ask()
	refused.Actor = operator
	for _, c := range []DeclareLoans{{Month: month.AddDays(1), IncomeFen: 1}, {Month: domain.Date(2026, time.December, 1), IncomeFen: 1}, {Month: month, IncomeFen: 1, LoanFen: 2}} {
		refused.Command = c
		if got, err := Decider.Decide(s, refused); !ErrLoans.Is(err) {
			t.Errorf("%+v: %v %v", c, got, err)
		}
	}
}

// TestLaws: whatever is asked in whatever order, the reserve is the sum of its movements and never below what is ordered.
func TestLaws(t *testing.T) {
	actors := []domain.Actor{operator, icbc, ccb, jiangn, second, stranger}
	rapid.Check(t, func(t *rapid.T) {
		s := State{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			r := ask()
			r.Actor = rapid.SampledFrom(actors).Draw(t, "actor")
			fen := domain.Fen(rapid.Int64Range(-1, 3000).Draw(t, "fen"))
			id := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "id")
			bank := rapid.SampledFrom([]string{"icbc", "ccb"}).Draw(t, "bank")
			r.Command = rapid.SampledFrom([]Command{
				Apply{Operator: "op", Bank: bank, AdminCode: "320115"},
				Open{Last4: "0018", AgreementNo: id, ReserveFen: s.Reserve},
				Accept{},
				Accept{},
				Decline{Reason: id},
				Suspend{OrderNo: id, Reason: "x"},
				Resume{OrderNo: id},
				SetReserve{RequiredFen: fen, Basis: id},
				DepositReserve{BankTxnID: id, AmountFen: fen, ValueDate: today},
				CancelDraw{DrawID: id, Reason: "x"},
				Close{},
				OrderDraw{DrawID: id, OrderNo: "o", Reason: "x", Beneficiaries: []Share{{"t", fen}}, ReplenishBy: today.AddDays(1)},
				ConfirmDraw{DrawID: id, BankTxnID: id + "p", ValueDate: today},
				DeclareLoans{Month: domain.Date(2026, 1, 1), IncomeFen: 2 * fen, LoanFen: fen},
			}).Draw(t, "command")
			events, err := Decider.Decide(s, r)
			if err != nil && len(events) > 0 {
				t.Fatalf("%T: refused, yet decided", r.Command)
			}
			s = Decider.Fold(s, events...)
			if again, err := Decider.Decide(s, r); len(events) > 0 && (err != nil || len(again) > 0) {
				t.Fatalf("%+v again: %v %v", r.Command, again, err)
			}
			sum := domain.Fen(0)
			for _, x := range s.Txns {
				sum += x.AmountFen
			}
			switch {
			case sum != s.Reserve || s.Free() < 0:
				t.Fatalf("reserve %d, movements %d, free %d", s.Reserve, sum, s.Free())
			case s.Stage == StageClosed && (s.Reserve != 0 || s.Current != nil):
				t.Fatal("closed with a reserve")
			case s.InForce() && s.Current == nil:
				t.Fatal("in force without an account")
			}
		}
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
