package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The golden scenarios about supervised money.

// operatorLease is scenario 4's contract: the operator collects six months of 3,000 yuan and a deposit of one.
func (w *world) operatorLease(f flat, lessee string, change map[string]any) string {
	w.t.Helper()
	w.owned(f, "company")
	terms := map[string]any{
		"start": "2026-12-01", "end": "2027-05-31", "monthly_rent_fen": 300000, "pay_cycle_months": 6, "deposit_fen": 300000, "escrow": nil,
	}
	for k, v := range change {
		terms[k] = v
	}
	return w.signed(f, "company", lessee, terms)
}

// tranches are "due amount stage" of each tranche.
func tranches(a answer) (out []string) {
	for i := range a.list("tranches") {
		at := fmt.Sprintf("tranches.%d.", i)
		out = append(out, fmt.Sprintf("%s %d", a.text(at+"due"), a.num(at+"amount_fen")))
	}
	return out
}

func months(first string, n int, fen int64) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s %d", civil(first).AddMonths(i), fen))
	}
	return out
}

func (w *world) balance(ledger, account string) int64 {
	w.t.Helper()
	a := w.get("city", "/v1/escrow/"+ledger).want(http.StatusOK)
	for i := range a.list("balances") {
		if strings.HasSuffix(a.text(fmt.Sprintf("balances.%d.account", i)), ":"+account) {
			return a.num(fmt.Sprintf("balances.%d.balance_fen", i))
		}
	}
	return 0
}

func TestScenario04TheSameMoneyUnderThreeCitiesRules(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	flats := w.building("3", 3)

	whole := w.operatorLease(flats[0], "tenant", nil)
	w.get("tenant", "/v1/escrow/"+whole).want(http.StatusOK).is("mode", "MANDATORY").is("rent_fen", 1800000).is("deposit_fen", 300000)
	got := w.money("bank", "/v1/escrow/"+whole+"/receipts", `{"bank_txn_id":"W1","amount_fen":2100000,"value_date":"2026-11-23"}`).
		want(http.StatusCreated).is("receipts.0.rent_fen", 1800000).is("receipts.0.deposit_fen", 300000).is("receipts.0.other_fen", nil)
	if s := tranches(got); !slices.Equal(s, months("2026-12-01", 6, 300000)) {
		t.Errorf("monthly: %v", s)
	}
	w.money("district", "/v1/escrow/"+whole+"/releases", `{"tranche":1}`).problem(http.StatusUnprocessableEntity, "escrow.release_before_due")
	w.money("district", "/v1/escrow/"+whole+"/settlement", `{"to_lessor_fen":0,"to_lessee_fen":300000,"basis":"RULING","paper_no":"民初1"}`).
		problem(http.StatusUnprocessableEntity, "escrow.deposit_locked")

	w.changeRule("M-01", map[string]any{"capture_mode": "EXCESS"})
	excess := w.operatorLease(flats[1], "tenant", nil)
	w.get("tenant", "/v1/escrow/"+excess).want(http.StatusOK).is("rent_fen", 900000).is("deposit_fen", nil)
	got = w.money("bank", "/v1/escrow/"+excess+"/receipts", `{"bank_txn_id":"X1","amount_fen":900000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	if s := tranches(got); !slices.Equal(s, months("2027-03-01", 3, 300000)) {
		t.Errorf("excess: %v", s)
	}

	w.changeRule("M-01", map[string]any{"capture_mode": "WHOLE"})
	w.changeRule("M-04", map[string]any{"profile": "UPFRONT_THEN_MONTHLY"})
	upfront := w.operatorLease(flats[2], "tenant2", nil)
	got = w.money("bank", "/v1/escrow/"+upfront+"/receipts", `{"bank_txn_id":"B1","amount_fen":2100000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	if s := tranches(got); !slices.Equal(s, append([]string{"2026-11-24 900000"}, months("2027-03-01", 3, 300000)...)) {
		t.Errorf("upfront: %v", s)
	}
	w.onDay("2026-11-24")
	w.eventually("the first three months go the day after", func() bool {
		return w.get("tenant2", "/v1/escrow/"+upfront).at("tranches.0.stage") == "ORDERED"
	})
	w.get("tenant", "/v1/escrow/"+whole).want(http.StatusOK).is("tranches.0.stage", "PLANNED").is("rent_fen", 1800000) // Its own day's rules.
	for _, id := range []string{whole, excess, upfront} {
		w.balanced(id)
	}
}

func TestScenario05ACycleOfExactlyThreeMonthsTurnsOnOneParameter(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	flats := w.building("3", 3)
	three := map[string]any{"pay_cycle_months": 3}
	before := w.operatorLease(flats[0], "tenant", three)
	w.get("tenant", "/v1/escrow/"+before).problem(http.StatusNotFound, "resource.not_found")
	ticked := w.operatorLease(flats[1], "tenant", map[string]any{"pay_cycle_months": 3, "escrow": map[string]any{"mode": "VOLUNTARY"}})
	w.get("tenant", "/v1/escrow/"+ticked).want(http.StatusOK).is("mode", "VOLUNTARY")
	w.changeRule("M-01", map[string]any{"op": ">="})
	after := w.operatorLease(flats[2], "tenant2", three)
	w.get("tenant2", "/v1/escrow/"+after).want(http.StatusOK).is("mode", "MANDATORY")
	w.get("tenant2", "/v1/contracts/"+after).want(http.StatusOK).is("escrow.mode", "MANDATORY")
	if got := w.ruleResults("contract-"+after, "contract.signed"); !slices.Contains(got, "M-01@2 ROUTE") {
		t.Errorf("fired at signing: %v", got)
	}
	w.get("tenant", "/v1/escrow/"+before).problem(http.StatusNotFound, "resource.not_found")
}

func TestScenario08AnUnknownPaymentIsFoundExplainedAndTheDayCloses(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.filed(w.home("3"), "landlord", "tenant", nil)
	w.money("bank", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	line := func(txn string, fen int) string {
		return fmt.Sprintf(`{"txn_id":%q,"amount_fen":%d,"value_date":"2026-11-23"}`, txn, fen)
	}
	day := func(opening, closing int, lines ...string) string {
		return fmt.Sprintf(`{"date":"2026-11-23","opening_fen":%d,"closing_fen":%d,"lines":[%s]}`, opening, closing, strings.Join(lines, ","))
	}
	w.money("bank", "/v1/bank-statements", day(0, 1400001, line("T1", 1400000))).problem(http.StatusUnprocessableEntity, "statement.sum")
	s := w.money("bank", "/v1/bank-statements", day(0, 1450000, line("T1", 1400000), line("T2", 50000))).want(http.StatusCreated).
		is("matched", 1).is("reconciled", false).is("discrepancies.0.kind", "MISSING_IN_LEDGER").is("discrepancies.0.txn_id", "T2").
		is("discrepancies.0.bank_fen", 50000)
	if n := len(s.list("discrepancies")); n != 1 {
		t.Errorf("%d discrepancies", n)
	}
	path := "/v1/bank-statements/" + s.text("id")
	w.settled()
	w.get("bank", "/v1/bank-statements?open=true").want(http.StatusOK).is("items.0.date", worldDay)
	w.get("xuanwu", path).problem(http.StatusNotFound, "resource.not_found")
	w.money("bank", path+"/resolutions", `{"line":2,"classification":"TIMING"}`).problem(http.StatusNotFound, "statement.discrepancy_not_found")
	w.money("bank", path+"/resolutions", `{"line":1,"classification":"TIMING","note":"次日入账"}`).want(http.StatusOK).
		is("reconciled", true).is("discrepancies.0.classification", "TIMING")
	w.money("bank", path+"/resolutions", `{"line":1,"classification":"BANK_ERROR"}`).problem(http.StatusConflict, "statement.wrong_state")
	w.settled()
	if open := w.get("bank", "/v1/bank-statements?open=true").want(http.StatusOK).list("items"); len(open) != 0 {
		t.Errorf("still open: %v", open)
	}
	w.money("bank", "/v1/bank-statements", day(0, 1400000, line("T1", 1400000))).problem(http.StatusConflict, "statement.already_imported")
	w.onDay("2026-11-24")
	w.money("bank", "/v1/bank-statements", `{"date":"2026-11-24","opening_fen":1400000,"closing_fen":1400000,"lines":[]}`).
		problem(http.StatusUnprocessableEntity, "statement.chain_broken")
	w.money("bank", "/v1/bank-statements", `{"date":"2026-11-24","opening_fen":1450000,"closing_fen":1450000,"lines":[]}`).
		want(http.StatusCreated).is("reconciled", true)
	// Both days are compared. What is booked on them now is a difference, unless the statement had it.
	for _, r := range []string{
		`{"bank_txn_id":"T2","amount_fen":50000,"value_date":"2026-11-23"}`, `{"bank_txn_id":"T3","amount_fen":70000,"value_date":"2026-11-23"}`,
	} {
		w.money("bank", "/v1/escrow/"+id+"/receipts", r).want(http.StatusCreated)
	}
	w.eventually("the late payment is a difference", func() bool {
		w.settled()
		late := w.get("city", path)
		return late.at("discrepancies.1") != nil && late.is("reconciled", false).is("ledger_fen", 1470000).is("discrepancies.1.kind", "MISSING_IN_BANK").
			is("discrepancies.1.txn_id", "T3").is("discrepancies.1.ledger_fen", 70000).is("discrepancies.1.contract_id", id).at("discrepancies.2") == nil
	})
	w.settled()
	for _, of := range []string{"&bank_id=" + w.ids["bank"], ""} { // Or of all banks.
		w.get("city", "/v1/bank-statements?open=true"+of).want(http.StatusOK).is("items.0.date", worldDay).
			is("items.0.ledger_fen", 1470000).is("items.0.reconciled", false)
	}
	w.money("bank", path+"/resolutions", `{"line":2,"classification":"BANK_ERROR"}`).want(http.StatusOK).is("reconciled", true)
}

func TestScenario09ADeductionOutsideTheClauseIsContestedAndMediated(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.filed(w.home("3"), "landlord", "tenant", nil)
	path := "/v1/escrow/" + id
	w.money("bank", path+"/receipts", `{"bank_txn_id":"D1","amount_fen":350000,"value_date":"2026-11-23"}`).want(http.StatusCreated).
		is("receipts.0.deposit_fen", 350000)
	w.money("tenant", path+"/claims", nil).problem(http.StatusUnprocessableEntity, "escrow.deposit_locked")
	w.onDay("2027-12-01")
	w.eventually("the lease expires", func() bool { return w.get("tenant", "/v1/contracts/"+id).at("stage") == "ENDED" })

	d := w.money("landlord", path+"/deductions", `{"ground":"CLEANING","amount_fen":80000}`).want(http.StatusCreated).
		is("deductions.0.stage", "HELD").is("deductions.0.amount_fen", 80000)
	if got := w.ruleResults("escrow-"+id, "escrow.deduction_held"); !slices.Equal(got, []string{"C-22@1 HOLD"}) {
		t.Errorf("held by %v", got)
	}
	answerPath := path + "/deductions/" + d.text("deductions.0.id") + "/answer"
	w.money("landlord", answerPath, `{"accept":true}`).problem(http.StatusForbidden, "auth.forbidden")
	w.money("tenant2", answerPath, `{"accept":true}`).problem(http.StatusNotFound, "resource.not_found")
	w.money("tenant", answerPath, `{"accept":false,"reason":"不在合同约定内"}`).want(http.StatusOK).is("deductions.0.stage", "CONTESTED")
	if held, disputed := w.balance(id, "deposit"), w.balance(id, "disputed"); held != 270000 || disputed != 80000 {
		t.Errorf("held %d, disputed %d", held, disputed)
	}
	split := func(lessor, lessee int, rest string) string {
		return fmt.Sprintf(`{"to_lessor_fen":%d,"to_lessee_fen":%d,%s}`, lessor, lessee, rest)
	}
	w.money("district", path+"/settlement", split(40000, 310000, `"basis":"MEDIATION"`)).problem(http.StatusUnprocessableEntity, "escrow.settlement_basis")
	w.money("xuanwu", path+"/mediation", split(40000, 310000, `"agreed":true,"record_no":"调字1"`)).problem(http.StatusNotFound, "resource.not_found")
	w.money("district", path+"/mediation", split(40000, 310001, `"agreed":true,"record_no":"调字1"`)).problem(http.StatusUnprocessableEntity, "escrow.settlement_sum")
	w.money("district", path+"/mediation", split(40000, 310000, `"agreed":true,"record_no":"调字1"`)).want(http.StatusOK)
	s := w.money("district", path+"/settlement", split(40000, 310000, `"basis":"MEDIATION"`)).want(http.StatusOK).is("settlement.basis", "MEDIATION")
	if sum := s.num("settlement.to_lessor_fen") + s.num("settlement.to_lessee_fen"); sum != 350000 {
		t.Errorf("the shares add up to %d", sum)
	}
	// Both are paid by the bank, and the ledger closes empty.
	refund := s.text("refunds.0.id")
	w.eventually("the lessor's share is ordered", func() bool { return w.get("tenant", path).at("tranches.0.stage") == "ORDERED" })
	w.money("bank", path+"/releases/1/confirmation", `{"bank_txn_id":"D2"}`).want(http.StatusOK).is("tranches.0.stage", "PAID").is("tranches.0.amount_fen", 40000)
	w.money("bank", path+"/refunds/"+refund+"/confirmation", `{"bank_txn_id":"D3"}`).want(http.StatusOK).is("refunds.0.stage", "PAID").
		is("refunds.0.amount_fen", 310000).is("closed_on", "2027-12-01")
	w.balanced(id)
	w.get("tenant", "/v1/views/money/ledgers/"+id).want(http.StatusOK).is("state", "CLOSED").is("released_fen", 40000).is("refunded_fen", 310000)
}

// Each day opens with what the one before closed with, also when a bank sends two at once.
func TestStatementsSentAtOnceMakeOneChain(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	first, opening := civil(worldDay), 0 // Of what is there.
	for range 5 {
		later := map[string]any{"date": first.AddDays(-1).String(), "opening_fen": opening + 500, "closing_fen": opening, "lines": []any{
			map[string]any{"txn_id": "L" + first.String(), "amount_fen": -500, "value_date": worldDay},
		}}
		earlier := map[string]any{"date": first.AddDays(-2).String(), "opening_fen": opening, "closing_fen": opening, "lines": []any{}}
		var a, b answer // Either may stand before what is there, but not both.
		var sent sync.WaitGroup
		sent.Go(func() { a = w.money("bank", "/v1/bank-statements", later) })
		sent.Go(func() { b = w.money("bank", "/v1/bank-statements", earlier) })
		sent.Wait()
		if b.status == http.StatusCreated {
			a.problem(http.StatusUnprocessableEntity, "statement.chain_broken")
			first = first.AddDays(-2)
			continue
		}
		b.problem(http.StatusUnprocessableEntity, "statement.chain_broken")
		a.want(http.StatusCreated)
		first, opening = first.AddDays(-1), opening+500
	}
}

// One transaction of a bank is one movement: what paid on one contract came in on no other, and paid on no other.
func TestABankTransactionIsOfOneLedger(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	var paths, refunds []string
	for i, f := range w.building("3", 2) {
		w.owned(f, "landlord")
		path := "/v1/escrow/" + w.filed(f, "landlord", "tenant", map[string]any{"start": worldDay, "end": "2027-11-22"})
		w.money("bank", path+"/receipts", fmt.Sprintf(`{"bank_txn_id":"IN%d","amount_fen":1500000,"value_date":"2026-11-23"}`, i)).want(http.StatusCreated)
		paid := w.money("tenant", path+"/refunds", `{"source":"OTHER","amount_fen":100000,"reason":"多付"}`).want(http.StatusCreated)
		paths, refunds = append(paths, path), append(refunds, paid.text("refunds.0.id"))
		w.money("landlord", path+"/refunds/"+refunds[i]+"/approval", nil).want(http.StatusOK)
		w.eventually("the first month is ordered", func() bool { return w.get("tenant", path).at("tranches.0.stage") == "ORDERED" })
	}
	pay := func(i int, of, txn string) answer {
		return w.money("bank", paths[i]+of+"/confirmation", `{"bank_txn_id":"`+txn+`"}`)
	}
	pay(0, "/releases/1", "OUT1").want(http.StatusOK).is("tranches.0.stage", "PAID")
	pay(0, "/releases/1", "OUT1").want(http.StatusOK)
	for _, txn := range []string{"OUT1", "IN0"} {
		pay(1, "/releases/1", txn).problem(http.StatusConflict, "escrow.txn_duplicate")
		pay(1, "/refunds/"+refunds[1], txn).problem(http.StatusConflict, "escrow.txn_duplicate")
	}
	pay(1, "/refunds/"+refunds[1], "OUT2").want(http.StatusOK).is("refunds.0.stage", "PAID")
	pay(0, "/refunds/"+refunds[0], "OUT2").problem(http.StatusConflict, "escrow.txn_duplicate")
	w.money("bank", paths[0]+"/receipts", `{"bank_txn_id":"OUT2","amount_fen":100,"value_date":"2026-11-23"}`).problem(http.StatusConflict, "escrow.txn_duplicate")
}

// A lease that ends early takes its money with it: the rent not used goes back, and the deposit may be settled.
func TestALeaseThatEndsEarlyGivesTheUnusedRentBack(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.filed(w.home("3"), "landlord", "tenant", nil)
	path := "/v1/escrow/" + id
	w.money("bank", path+"/receipts", `{"bank_txn_id":"E1","amount_fen":1400000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	for _, who := range []string{"landlord", "tenant"} {
		w.post(who, "/v1/contracts/"+id+"/termination", `{"by":"AGREED","ground":"AGREEMENT","on":"2026-12-31"}`).want(http.StatusOK)
	}
	w.settled()
	w.get("tenant", path).want(http.StatusOK).is("refunds.0.source", "RENT").is("refunds.0.amount_fen", 700000).is("refunds.0.stage", "APPROVED")
	w.onDay("2027-01-01")
	w.money("tenant", path+"/claims", nil).want(http.StatusCreated)
	w.onDay("2027-01-16") // Fifteen days of silence: the deposit is the tenant's.
	w.eventually("the deposit is settled by default", func() bool { return w.get("tenant", path).at("settlement.basis") == "DEFAULT" })
	w.get("tenant", path).is("settlement.to_lessee_fen", 350000)
	w.balanced(id)
}

// A filing that is cancelled leaves no lease to pay for: the rent goes back, and the deposit may be claimed.
func TestACancelledFilingGivesTheMoneyBack(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.filed(w.home("3"), "landlord", "tenant", nil)
	path := "/v1/escrow/" + id
	w.money("bank", path+"/receipts", `{"bank_txn_id":"C1","amount_fen":1400000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	w.cancelled(id)
	w.settled()
	w.get("tenant", path).want(http.StatusOK).is("refunds.0.source", "RENT").is("refunds.0.amount_fen", 1050000).is("refunds.0.stage", "APPROVED")
	w.onDay("2026-12-02") // After the day on which the first month was to be passed on.
	w.money("tenant", path+"/claims", nil).want(http.StatusCreated)
	w.settled()
	w.get("tenant", path).want(http.StatusOK).is("tranches.0.stage", "CANCELLED")
	w.balanced(id)
}

// Only an authority records what a court decided.
func TestNoPartyEndsALeaseInACourtsName(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.filed(w.home("3"), "landlord", "tenant", nil)
	body := `{"by":"COURT","ground":"JUDGMENT","decision_no":"民初字第1号","on":"2026-12-31"}`
	for _, who := range []string{"landlord", "tenant"} {
		w.post(who, "/v1/contracts/"+id+"/termination", body).problem(http.StatusForbidden, "contract.not_authority")
	}
	w.post("landlord", "/v1/contracts/"+id+"/termination", `{"by":"LESSOR","ground":"SALE","on":"2026-12-31"}`).
		problem(http.StatusUnprocessableEntity, "contract.notice_required")
	w.post("district", "/v1/contracts/"+id+"/termination", body).want(http.StatusOK).is("stage", "ENDED").is("end_reason", "COURT")
}
