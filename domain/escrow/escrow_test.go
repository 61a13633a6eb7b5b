package escrow_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/escrow"
	"zujian/domain/ruleset"
)

var (
	start   = domain.Date(2026, time.February, 1)
	at      = time.Date(2026, 1, 20, 2, 0, 0, 0, time.UTC)
	today   = domain.DayOf(at)
	bank    = domain.Actor{ID: "k-bank", Role: domain.RoleBank, Party: "icbc"}
	system  = domain.Actor{ID: "process:money", Role: domain.RoleSystem}
	lessor  = domain.Actor{ID: "k-lessor", Role: domain.RoleCompany, Party: "op"}
	lessee  = domain.Actor{ID: "k-lessee", Role: domain.RoleTenant, Party: "ten"}
	gulou   = domain.Actor{ID: "k-gulou", Role: domain.RoleDistrict, Area: "320106"}
	gulou2  = domain.Actor{ID: "k-gulou2", Role: domain.RoleDistrict, Area: "320106"}
	strange = domain.Actor{ID: "k-x", Role: domain.RoleTenant, Party: "x"}
)

// routing is a rule set whose only rule is M-01 with the comparison given.
func routing(t testing.TB, op string) domain.Policy {
	t.Helper()
	var pred domain.Expr
	doc := `["and", "$lease.by_operator", ["` + op + `", "$lease.pay_cycle_months", "@cycle_limit"]]`
	if err := pred.UnmarshalJSON([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	return domain.Policy{Version: 1, Rules: []domain.Rule{{
		ID: "M-01", Version: 1, EffectiveFrom: domain.Date(2021, 1, 1), Status: domain.RuleActive, Stages: []domain.Stage{domain.StageFundIn},
		Predicate: pred, Params: map[string]domain.Param{"cycle_limit": {Value: int64(3), Unit: "month"}}, Outcome: domain.OutcomeRoute, Severity: 3, Code: "escrow.must_enter",
	}}}
}

func basic() Plan {
	return Plan{
		Contract: "c1", Unit: "u1", AdminCode: "320106", Lessor: "op", Lessee: "ten", RentFen: 3_000_00, DepositFen: 3_000_00, PayCycleMonths: 6,
		Mode: ModeVoluntary, Start: start, End: start.AddMonths(6).AddDays(-1), SignedOn: today, DeductionGrounds: []string{"ARREARS", "DAMAGE"},
	}
}

// ledger drives a state through commands and fails at the first refusal.
type ledger struct {
	testing.TB
	s      State
	events []Event
	at     time.Time
	policy domain.Policy
}

func open(t testing.TB, p Plan) *ledger {
	l := &ledger{TB: t, at: at}
	l.do(system, p)
	return l
}

func (l *ledger) ask(a domain.Actor, c Command) ([]Event, error) {
	got, err := Decider.Decide(l.s, domain.Request[Command]{ID: "r", At: l.at, Actor: a, Policy: l.policy, Command: c})
	if err == nil {
		l.s, l.events = Decider.Fold(l.s, got...), append(l.events, got...)
	}
	return got, err
}

func (l *ledger) do(a domain.Actor, c Command) []Event {
	l.Helper()
	got, err := l.ask(a, c)
	if err != nil {
		l.Fatalf("%T: %v", c, err)
	}
	return got
}

func (l *ledger) refuse(a domain.Actor, c Command, want error) {
	l.Helper()
	before := len(l.events)
	if _, err := l.ask(a, c); err == nil || !want.(*domain.Rejection).Is(err) {
		l.Fatalf("%T: got %v, want %v", c, err, want)
	}
	if len(l.events) != before {
		l.Fatalf("%T: refused, but wrote", c)
	}
}

func (l *ledger) on(d domain.Day) *ledger { l.at = d.Start().Add(time.Hour); return l }

func (l *ledger) pay(txn string, fen domain.Fen) []Event {
	l.Helper()
	return l.do(bank, Receive{Bank: "icbc", BankTxnID: txn, AmountFen: fen, ValueDate: domain.DayOf(l.at)})
}

func (l *ledger) release(no int, txn string) {
	l.Helper()
	l.do(system, OrderRelease{Tranche: no})
	l.do(bank, ConfirmRelease{Tranche: no, BankTxnID: txn})
}

func (l *ledger) has(part string, want domain.Fen) {
	l.Helper()
	if got := l.s.Held(HeldAccount("c1", part)); got != want {
		l.Errorf("%s holds %d, want %d", part, got, want)
	}
}

func rows(ts []Tranche) (out [][2]any) {
	for _, t := range ts {
		out = append(out, [2]any{t.Due.String(), int64(t.AmountFen)})
	}
	return out
}

func planned(t testing.TB, p Plan) FundsExpected {
	t.Helper()
	return open(t, p).events[0].(FundsExpected)
}

func TestScenario4(t *testing.T) {
	t.Run("whole, monthly: 21,000 routed, 6 x 3,000, deposit locked", func(t *testing.T) {
		l := open(t, basic())
		got := l.pay("t1", 21_000_00)
		is := got[1].(FundsClassified)
		if is.RentFen != 18_000_00 || is.DepositFen != 3_000_00 || is.OtherFen != 0 {
			t.Fatalf("classified %+v", is)
		}
		want := [][2]any{}
		for i := range 6 {
			want = append(want, [2]any{start.AddMonths(i).String(), int64(3_000_00)})
		}
		if d := cmp.Diff(rows(got[2].(ReleaseScheduled).Tranches), want); d != "" {
			t.Error(d)
		}
		l.refuse(lessor, SettleDeposit{ToLessorFen: 3_000_00, Basis: BasisAgreed}, ErrDepositLocked)
		l.refuse(lessee, RequestRefund{RefundID: "r", Source: SourceDeposit, AmountFen: 1, Reason: "x"}, ErrDepositLocked)
	})
	t.Run("excess: 9,000 supervised, deposit 0", func(t *testing.T) {
		p := basic()
		p.CaptureMode, p.Profile = CaptureExcess, ProfileExcessOnly
		e := planned(t, p)
		if e.RentFen != 9_000_00 || e.DepositFen != 0 || e.Collections[0].OutsideFen != 9_000_00 {
			t.Errorf("planned %+v", e)
		}
		want := [][2]any{{"2026-05-01", int64(3_000_00)}, {"2026-06-01", int64(3_000_00)}, {"2026-07-01", int64(3_000_00)}}
		if d := cmp.Diff(rows(e.Schedule), want); d != "" {
			t.Error(d)
		}
	})
	t.Run("Beijing: 9,000 out the day after, then 3 x 3,000 monthly", func(t *testing.T) {
		p := basic()
		p.Profile = ProfileUpfront
		l := open(t, p)
		got := rows(l.pay("t1", 21_000_00)[2].(ReleaseScheduled).Tranches)
		want := [][2]any{
			{today.AddDays(1).String(), int64(9_000_00)},
			{"2026-05-01", int64(3_000_00)},
			{"2026-06-01", int64(3_000_00)},
			{"2026-07-01", int64(3_000_00)},
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Error(d)
		}
		l.refuse(system, OrderRelease{Tranche: 1}, ErrReleaseBeforeDue)
		l.on(today.AddDays(1)).release(1, "o1")
	})
	t.Run("an uneven rent stays exact", func(t *testing.T) {
		p := basic()
		p.RentFen = 333_333
		e := planned(t, p)
		if e.RentFen != 1_999_998 || slices.ContainsFunc(e.Schedule, func(r Tranche) bool { return r.AmountFen != 333_333 }) {
			t.Errorf("%d in %v", e.RentFen, rows(e.Schedule))
		}
	})
}

func TestScenario5(t *testing.T) {
	p := basic()
	p.Mode, p.Operator, p.PayCycleMonths = ModeNone, true, 3
	for op, want := range map[string]Mode{">": ModeNone, ">=": ModeMandatory} {
		l := &ledger{TB: t, at: at, policy: routing(t, op)}
		got := l.do(system, p)
		if (want == ModeNone) != (len(got) == 0) || (len(got) > 0 && got[0].(FundsExpected).Mode != want) {
			t.Errorf("cycle 3 with %s: got %+v, want %s", op, got, want)
		}
	}
	p.Kind, p.PayCycleMonths = "HEAD", 12
	if got := (&ledger{TB: t, at: at, policy: routing(t, ">")}).do(system, p); len(got) > 0 {
		t.Errorf("a head lease was routed: %+v", got)
	}
}

func TestMainPath(t *testing.T) {
	p := basic()
	p.RentFen, p.DepositFen, p.PayCycleMonths, p.End = 350_000, 350_000, 3, start.AddMonths(12).AddDays(-1)
	l := open(t, p)
	got := l.pay("t1", 1_400_000)
	is := got[1].(FundsClassified)
	if is.RentFen != 1_050_000 || is.DepositFen != 350_000 || len(got[2].(ReleaseScheduled).Tranches) != 3 {
		t.Fatalf("%+v", got)
	}
	if again := l.pay("t1", 1_400_000); len(again) > 0 {
		t.Errorf("a repeated receipt wrote %+v", again)
	}
	l.refuse(bank, Receive{Bank: "icbc", BankTxnID: "t1", AmountFen: 1_400_001, ValueDate: today}, ErrTxnDuplicate)
	l.refuse(bank, Receive{Bank: "boc", BankTxnID: "t2", AmountFen: 1, ValueDate: today}, ErrNotYours)
	if is := l.pay("t2", 77)[1].(FundsClassified); is.OtherFen != 77 {
		t.Errorf("money above what is expected: %+v", is)
	}
	l.do(lessee, RequestRefund{RefundID: "r1", AmountFen: 77, Reason: "paid too much"})
	l.refuse(lessee, RequestRefund{RefundID: "r2", AmountFen: 1, Reason: "more"}, ErrInsufficientHeld)
	l.do(lessor, ApproveRefund{RefundID: "r1"})
	l.do(bank, ConfirmRefund{RefundID: "r1", BankTxnID: "o1"})
	l.on(start.AddMonths(3))
	if is := l.pay("t3", 1_050_000)[1].(FundsClassified); is.RentFen != 1_050_000 {
		t.Errorf("second collection: %+v", is)
	}
}

func TestOwnerFirst(t *testing.T) {
	p := basic()
	p.Operator, p.Owner, p.OwnerMonthlyFen, p.Mode = true, "own", 2_500_00, ModeMandatory
	l := open(t, p)
	l.pay("t1", 21_000_00)
	l.on(start)
	l.refuse(system, OrderRelease{Tranche: 2}, ErrOwnerFirst)
	l.do(system, OrderRelease{Tranche: 1})
	l.refuse(system, OrderRelease{Tranche: 2}, ErrOwnerFirst) // Ordered is not paid.
	l.do(bank, FailRelease{Tranche: 1, Reason: "account closed"})
	l.release(1, "o1")
	l.release(2, "o2")
	if got := l.s.Tranches[1]; got.Payee != PayeeOperator || got.AmountFen != 500_00 || got.Stage != TranchePaid {
		t.Errorf("operator's tranche %+v", got)
	}
	l.refuse(system, OrderRelease{Tranche: 3}, ErrReleaseBeforeDue)
	l.refuse(system, OrderRelease{Tranche: 3, On: start.AddMonths(3)}, ErrReleaseBeforeDue) // Only the server's clock counts.
}

func TestFreeze(t *testing.T) {
	p := basic()
	p.Operator, p.Owner, p.OwnerMonthlyFen = true, "own", 2_500_00
	l := open(t, p)
	l.pay("t1", 21_000_50)
	l.on(start)
	l.do(system, Freeze{OrderNo: "F1", Scope: FreezeOperator})
	l.release(1, "o1")
	l.refuse(system, OrderRelease{Tranche: 2}, ErrFrozen)
	l.refuse(lessor, Freeze{OrderNo: "F2"}, ErrNotYours)
	l.do(gulou, Freeze{OrderNo: "F2", Scope: "ALL"})
	l.on(start.AddMonths(1)).refuse(system, OrderRelease{Tranche: 3}, ErrFrozen)
	l.do(lessee, RequestRefund{RefundID: "r", AmountFen: 50, Reason: "too much"})
	l.do(gulou, ApproveRefund{RefundID: "r"})
	l.do(bank, ConfirmRefund{RefundID: "r", BankTxnID: "o2"}) // Refunds to the tenant go on.
	l.refuse(gulou, Unfreeze{OrderNo: "F2"}, ErrFourEyes)
	l.do(gulou2, Unfreeze{OrderNo: "F2"})
	l.do(gulou, Unfreeze{OrderNo: "F1"})
	l.release(3, "o3")
}

func TestEndEarly(t *testing.T) {
	on := domain.Date(2026, time.April, 10) // 2 months and 10 of April's 30 days.
	end := func(l *ledger, fee bool) EndedEarly {
		l.on(on)
		return l.do(system, EndEarly{On: on, ChargeBreakFee: fee})[0].(EndedEarly)
	}
	t.Run("18,000 prepaid, 7,000 used, 11,000 back", func(t *testing.T) {
		l := open(t, basic())
		l.pay("t1", 21_000_00)
		l.on(start).release(1, "o1")
		l.on(start.AddMonths(1)).release(2, "o2")
		if got := end(l, false); got.UsedFen != 7_000_00 || got.RefundFen != 11_000_00 || got.ShortfallFen != 0 {
			t.Errorf("%+v", got)
		}
		l.has("rent", 1_000_00)
		l.do(bank, ConfirmRefund{RefundID: RefundEnd, BankTxnID: "o3"})
		l.release(3, "o4")
		l.do(lessor, SettleDeposit{ToLesseeFen: 3_000_00, Basis: BasisAgreed})
		if got := l.do(bank, ConfirmRefund{RefundID: RefundDeposit, BankTxnID: "o5"}); got[len(got)-1] != (Closed{On: on}) {
			t.Errorf("an empty ledger stays open: %+v", got)
		}
		late := l.pay("t9", 500)
		if late[1].(FundsClassified).SuspenseFen != 500 {
			t.Errorf("late money: %+v", late)
		}
		l.do(lessee, RequestRefund{RefundID: "late", Source: SourceSuspense, AmountFen: 500, Reason: "paid after the end"})
	})
	t.Run("the fee stays when the clause is charged", func(t *testing.T) {
		p := basic()
		p.BreakFeeFen = 3_000_00
		l := open(t, p)
		l.pay("t1", 21_000_00)
		if got := end(l, true); got.RefundFen != 8_000_00 {
			t.Errorf("%+v", got)
		}
		l.has("rent", 10_000_00)
	})
	t.Run("what was passed on is the lessor's debt, never the deposit's", func(t *testing.T) {
		l := open(t, basic())
		l.pay("t1", 21_000_00)
		l.on(on)
		for i, txn := range []string{"o1", "o2", "o3"} {
			l.release(i+1, txn)
		}
		if got := end(l, false); got.RefundFen != 9_000_00 || got.ShortfallFen != 2_000_00 {
			t.Errorf("%+v", got)
		}
		l.has("deposit", 3_000_00)
	})
}

func TestDeposit(t *testing.T) {
	ended := func(t *testing.T) *ledger {
		l := open(t, basic())
		l.pay("t1", 21_000_00)
		return l.on(basic().End.AddDays(1))
	}
	t.Run("scenario 9: a ground outside the clause is held, contested, mediated, and the shares add up", func(t *testing.T) {
		l := ended(t)
		got := l.do(lessor, ProposeDeduction{DeductionID: "d1", Ground: "CLEANING", AmountFen: 800_00})
		if _, held := got[0].(DeductionHeld); !held {
			t.Fatalf("%+v", got)
		}
		l.do(lessee, ContestDeduction{DeductionID: "d1"})
		l.has("disputed", 800_00)
		l.refuse(lessor, SettleDeposit{ToLessorFen: 800_00, ToLesseeFen: 2_200_00, Basis: BasisAgreed}, ErrNoBasis)
		l.refuse(gulou, Mediate{ToLessorFen: 300_00, ToLesseeFen: 2_701_00, RecordNo: "TJ1", Agreed: true}, ErrSettlementSum)
		l.do(gulou, Mediate{ToLessorFen: 300_00, ToLesseeFen: 2_700_00, RecordNo: "TJ1", Agreed: true})
		l.refuse(lessee, SettleDeposit{ToLessorFen: 299_00, ToLesseeFen: 2_701_00, Basis: BasisMediation}, ErrNoBasis)
		l.do(lessee, SettleDeposit{ToLessorFen: 300_00, ToLesseeFen: 2_700_00, Basis: BasisMediation})
		l.has("disputed", 0)
		l.has("deposit", 0)
		l.has("awarded", 300_00)
		l.release(len(l.s.Tranches), "o1")
		l.has("awarded", 0)
	})
	t.Run("the lessee accepts", func(t *testing.T) {
		l := ended(t)
		l.do(lessor, ProposeDeduction{DeductionID: "d1", Ground: "DAMAGE", AmountFen: 500_00})
		l.refuse(lessor, ProposeDeduction{DeductionID: "d2", Ground: "DAMAGE", AmountFen: 2_500_01}, ErrDeductionTooHigh)
		l.refuse(lessor, AcceptDeduction{DeductionID: "d1"}, ErrNotYours)
		l.refuse(lessee, SettleDeposit{ToLesseeFen: 3_000_00, Basis: BasisAgreed}, ErrNoBasis)
		l.do(lessee, AcceptDeduction{DeductionID: "d1"})
		l.do(lessee, SettleDeposit{ToLessorFen: 500_00, ToLesseeFen: 2_500_00, Basis: BasisAgreed})
	})
	t.Run("14 days of the lessor's silence give the lessee the deposit, on day 15", func(t *testing.T) {
		l := ended(t)
		l.refuse(lessee, SettleByDefault{}, ErrNotSilent)
		from := domain.DayOf(l.at)
		l.do(lessee, ClaimDeposit{})
		l.on(from.AddDays(14)).refuse(lessee, SettleByDefault{}, ErrNotSilent)
		got := l.on(from.AddDays(15)).do(system, SettleByDefault{})[0].(DepositSettled)
		if got.ToLesseeFen != 3_000_00 || got.ToLessorFen != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the lessee's silence gives the lessor nothing", func(t *testing.T) {
		l := ended(t)
		l.do(lessor, ProposeDeduction{DeductionID: "d1", Ground: "DAMAGE", AmountFen: 500_00})
		l.on(domain.DayOf(l.at).AddDays(400))
		l.refuse(lessor, SettleDeposit{ToLessorFen: 500_00, ToLesseeFen: 2_500_00, Basis: BasisAgreed}, ErrNoBasis)
		l.refuse(system, SettleByDefault{}, ErrNotSilent)
		l.refuse(gulou, SettleDeposit{ToLessorFen: 500_00, ToLesseeFen: 2_500_00, Basis: BasisRuling}, ErrInvalid)
		l.do(gulou, SettleDeposit{ToLessorFen: 500_00, ToLesseeFen: 2_500_00, Basis: BasisRuling, PaperNo: "(2026)苏0106民初1号"})
	})
}

func TestAmend(t *testing.T) {
	l := open(t, basic())
	l.pay("t1", 9_000_00) // Deposit and two months.
	april, deposit := start.AddMonths(2), domain.Fen(3_500_00)
	l.refuse(lessor, Amend{EffectiveFrom: april, RentFen: 2_000_00}, ErrNotYours)
	l.refuse(system, Amend{EffectiveFrom: start, RentFen: 2_000_00}, ErrMonthsPaid)
	l.refuse(system, Amend{EffectiveFrom: april, End: start.AddMonths(1).AddDays(-1)}, ErrMonthsPaid)
	got := l.do(system, Amend{EffectiveFrom: april, RentFen: 2_000_00, DepositFen: &deposit, End: start.AddMonths(7).AddDays(-1)})[0].(PlanAmended)
	if got.RentFen != 2*3_000_00+5*2_000_00 {
		t.Errorf("plan %d", got.RentFen)
	}
	if again := l.do(system, Amend{EffectiveFrom: april, RentFen: 2_000_00, DepositFen: &deposit, End: start.AddMonths(7).AddDays(-1)}); len(again) > 0 {
		t.Errorf("again: %+v", again)
	}
	is := l.pay("t2", 10_000_00)[1].(FundsClassified)
	if is.DepositFen != 500_00 || is.RentFen != 8_000_00 || is.OtherFen != 1_500_00 {
		t.Errorf("after the amendment: %+v", is)
	}
	end := l.on(april).do(system, EndEarly{On: april.AddDays(14)})[0].(EndedEarly) // Half of April at the new rent.
	if end.UsedFen != 7_000_00 {
		t.Errorf("used %d", end.UsedFen)
	}
}

func TestShippedRules(t *testing.T) {
	p := basic()
	p.Mode, p.Operator, p.Owner, p.OwnerMonthlyFen = ModeNone, true, "own", 2_500_00
	l := &ledger{TB: t, at: at, policy: ruleset.Shipped()}
	if e := l.do(system, p)[0].(FundsExpected); e.Mode != ModeMandatory || !e.Rules.Routed("M-01") || !e.Rules.Routed("C-10") {
		t.Errorf("an operator's six months: %s %+v", e.Mode, e.Rules)
	}
	l.pay("t1", 21_000_00)
	l.on(start).release(1, "o1")
	l.release(2, "o2")
	l.on(p.End.AddDays(1))
	held := l.do(lessor, ProposeDeduction{DeductionID: "d", Ground: "CLEANING", AmountFen: 800_00})[0].(DeductionHeld)
	if len(held.Rules) != 1 || held.Rules[0].Outcome != domain.OutcomeHold {
		t.Errorf("C-22: %+v", held.Rules)
	}
	l.do(gulou, SettleDeposit{ToLessorFen: 500_00, ToLesseeFen: 2_500_00, Basis: BasisRuling, PaperNo: "x"})
	for _, tr := range l.s.Tranches { // The deposit's share is the last: rent and owner go first.
		if tr.Stage == TranchePlanned {
			l.release(tr.No, fmt.Sprint("z", tr.No))
		}
	}
	p.PayCycleMonths = 3
	if got := (&ledger{TB: t, at: at, policy: ruleset.Shipped()}).do(system, p); len(got) > 0 {
		t.Errorf("an operator's three months were routed: %+v", got)
	}
}

func TestReversal(t *testing.T) {
	l := open(t, basic())
	l.pay("t1", 21_000_00)
	before := l.s.Balances
	l.pay("t2", 500)
	l.do(bank, ReverseReceipt{Bank: "icbc", BankTxnID: "t2", ReversalTxnID: "v2", Reason: "wrong account"})
	for _, b := range before {
		if l.s.Held(b.Account) != b.Fen {
			t.Errorf("%s: %d after the reversal, %d before", b.Account, l.s.Held(b.Account), b.Fen)
		}
	}
	l.refuse(bank, ReverseReceipt{Bank: "icbc", BankTxnID: "v2", ReversalTxnID: "v3", Reason: "undo"}, ErrNotReceipt)
	l.refuse(bank, ReverseReceipt{Bank: "icbc", BankTxnID: "t2", ReversalTxnID: "v3", Reason: "again"}, ErrAlreadyReversed)
	l.on(start).release(1, "o1")
	l.refuse(bank, ReverseReceipt{Bank: "icbc", BankTxnID: "t1", ReversalTxnID: "v1", Reason: "late"}, ErrAlreadyPassedOn)
}

func TestDecide(t *testing.T) {
	expected := []Event{planned(t, basic())}
	received := open(t, basic())
	received.pay("t1", 21_000_00)
	ordered := open(t, basic())
	ordered.pay("t1", 21_000_00)
	ordered.at = start.Start()
	ordered.do(system, OrderRelease{Tranche: 1})
	base := domain.Request[Command]{ID: "r", At: at, Actor: bank}
	huge := basic()
	huge.RentFen, huge.DepositFen = domain.FenMax, 1
	domaintest.Run(t, Decider, base, []domaintest.Case[Command, Event]{
		{Name: "money for no ledger", When: Receive{Bank: "icbc", BankTxnID: "t", AmountFen: 1, ValueDate: today}, Err: ErrNotFound},
		{Name: "the same plan again", Given: expected, When: basic()},
		{Name: "another plan", Given: expected, When: huge, Err: ErrAlreadyPlanned},
		{Name: "six months of the largest rent", When: huge, Err: domain.ErrAmount},
		{Name: "nothing received", Given: expected, When: Receive{Bank: "icbc", BankTxnID: "t", ValueDate: today}, Err: domain.ErrAmount},
		{Name: "above the limit", Given: expected, When: Receive{Bank: "icbc", BankTxnID: "t", AmountFen: domain.FenMax + 1, ValueDate: today}, Err: domain.ErrAmount},
		{Name: "a balance above the limit", Given: received.events, When: Receive{Bank: "icbc", BankTxnID: "t", AmountFen: domain.FenMax, ValueDate: today}, Err: domain.ErrAmount},
		{Name: "no value date", Given: expected, When: Receive{Bank: "icbc", BankTxnID: "t", AmountFen: 1}, Err: ErrInvalid},
		{Name: "money long before the contract", Given: expected, When: Receive{Bank: "icbc", BankTxnID: "t", AmountFen: 1, ValueDate: today.AddDays(-32)}, Err: ErrInvalid},
		{Name: "money after next month", Given: expected, When: Receive{Bank: "icbc", BankTxnID: "t", AmountFen: 1, ValueDate: today.AddDays(32)}, Err: ErrInvalid},
		{Name: "paid out long before the contract", Given: ordered.events, When: ConfirmRelease{Tranche: 1, BankTxnID: "o", ValueDate: domain.DayMin}, Err: ErrInvalid},
		{Name: "a clear account number", Given: expected, When: Receive{Bank: "icbc", BankTxnID: "t", AmountFen: 1, ValueDate: today, PayerMask: "6222020000000000"}, Err: ErrInvalid},
		{Name: "no such tranche", Given: received.events, When: OrderRelease{Tranche: 7}, Err: ErrTrancheNotFound},
		{Name: "confirm what was not ordered", Given: received.events, When: ConfirmRelease{Tranche: 1, BankTxnID: "o"}, Err: ErrWrongState},
		{Name: "freeze by a bank", Given: received.events, When: Freeze{OrderNo: "F"}, Err: ErrNotYours},
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
