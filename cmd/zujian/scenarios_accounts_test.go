package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// supervised gives an operator its supervised account: applied for, opened by the bank, put in force by its district.
func (w *world) supervised(operator, bank, district string) string {
	w.t.Helper()
	id := w.post(operator, "/v1/accounts", fmt.Sprintf(`{"bank_party_id":%q,"district":"320115"}`, w.ids[bank])).want(http.StatusCreated).text("id")
	w.post(bank, "/v1/accounts/"+id+"/opening", `{"number":"6222020200112230018","agreement_no":"监字2026-8"}`).want(http.StatusOK)
	w.post(district, "/v1/accounts/"+id+"/decision", `{"accept":true}`).want(http.StatusOK)
	return id
}

// alerts are the rules that fire on the one account a caller sees.
func (w *world) alerts(who string) (out []string) {
	w.t.Helper()
	w.settled()
	a := w.get(who, "/v1/accounts").want(http.StatusOK)
	for i := range a.list("items.0.alerts") {
		out = append(out, a.text(fmt.Sprintf("items.0.alerts.%d.rule", i)))
	}
	slices.Sort(out)
	return out
}

// TestAnOperatorHasOneSupervisedAccount opens it, holds what needs it until then, and puts its contracts on it.
func TestAnOperatorHasOneSupervisedAccount(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.stale = true
	w.organisation("bank2", "bank", "SUPERVISING_BANK", "示例银行二", uscc(7))
	flats := w.building("3", 3)
	w.owned(flats[0], "landlord")
	w.headLease(flats[0], 280000, "2026-12-01", "2028-12-31")

	listing := w.post("company", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000,"available_from":"2026-12-01",
		"account":{"bank_party_id":%q,"last4":"0018"}}`, flats[0].id, w.ids["bank"])).want(http.StatusCreated).text("id")
	w.post("company", "/v1/listings/"+listing+"/submission", nil).want(http.StatusOK).is("stage", "HELD")

	apply := fmt.Sprintf(`{"bank_party_id":%q,"district":"320115"}`, w.ids["bank"])
	w.post("landlord", "/v1/accounts", apply).problem(http.StatusForbidden, "auth.forbidden")
	w.post("company", "/v1/accounts", fmt.Sprintf(`{"bank_party_id":%q,"district":"320115"}`, w.ids["tenant"])).want(http.StatusUnprocessableEntity)
	id := w.post("company", "/v1/accounts", apply).want(http.StatusCreated).text("id")
	if again := w.post("company", "/v1/accounts", apply).want(http.StatusCreated).text("id"); again != id {
		t.Errorf("a second account %s", again)
	}
	path := "/v1/accounts/" + id
	w.post("bank2", path+"/opening", `{"last4":"0018","agreement_no":"监字1"}`).problem(http.StatusNotFound, "resource.not_found")
	w.post("district", path+"/decision", `{"accept":true}`).problem(http.StatusConflict, "account.wrong_state")
	w.post("bank", path+"/opening", `{"number":"6222020200112230018","last4":"0019","agreement_no":"监字1"}`).want(http.StatusBadRequest)
	w.post("bank", path+"/opening", `{"number":"6222020200112230018","agreement_no":"监字1"}`).want(http.StatusOK)
	w.post("xuanwu", path+"/decision", `{"accept":true}`).problem(http.StatusNotFound, "resource.not_found")
	w.post("district", path+"/decision", `{"accept":true}`).want(http.StatusOK)
	w.get("bank", path).want(http.StatusOK).is("number", "6222020200112230018").is("last4", "0018").is("state", "ACTIVE")
	if a := w.get("city", path).want(http.StatusOK); strings.Contains(string(a.body), "6222020200112230018") {
		t.Error("the city reads the number")
	}
	for _, e := range w.events("account-"+id, 0) {
		if strings.Contains(string(e.Data), "6222020200112230018") {
			t.Errorf("%s has the number in clear", e.Type)
		}
	}
	w.post("company", "/v1/listings/"+listing+"/submission", nil).want(http.StatusOK).is("stage", "VERIFIED")

	on := w.operatorLease(flats[1], "tenant", nil)
	w.get("tenant", "/v1/escrow/"+on).want(http.StatusOK).is("mode", "MANDATORY").is("account_id", id).is("bank_id", w.ids["bank"])
	receipt := `{"bank_txn_id":"W1","amount_fen":2100000,"value_date":"2026-11-23","account_id":%q}`
	w.money("bank", "/v1/escrow/"+on+"/receipts", fmt.Sprintf(receipt, nobody)).problem(http.StatusUnprocessableEntity, "escrow.wrong_account")
	w.money("bank", "/v1/escrow/"+on+"/receipts", fmt.Sprintf(receipt, id)).want(http.StatusCreated)
	w.settled()
	w.get("company", "/v1/accounts").want(http.StatusOK).is("items.0.id", id).is("items.0.state", "ACTIVE").is("items.0.held_deposit_fen", 300000).
		is("items.0.held_rent_fen", 1800000).is("items.0.board.balance_fen", 2100000).is("items.0.board.coverage_bp", 10000).is("items.0.board.shortfall_level", "YELLOW").is("items.0.opened_on", "2026-11-23")
	for who, n := range map[string]int{"bank": 1, "district": 1, "city": 1, "auditor": 1, "bank2": 0, "xuanwu": 0} {
		if got := len(w.get(who, "/v1/accounts").want(http.StatusOK).list("items")); got != n {
			t.Errorf("%s sees %d accounts", who, got)
		}
	}
	w.post("company", path+"/closing", nil).problem(http.StatusConflict, "account.not_empty")

	// By order out of force and back: new contracts stand on no account meanwhile.
	w.post("district", path+"/suspension", `{"order_no":"决字5","reason":"资金缺口"}`).want(http.StatusOK)
	w.post("district", path+"/resumption", `{"order_no":"决字5"}`).problem(http.StatusForbidden, "account.four_eyes")
	without := w.operatorLease(flats[2], "tenant2", nil)
	if a := w.get("city", "/v1/escrow/"+without).want(http.StatusOK); a.at("account_id") != nil {
		t.Errorf("a contract on a suspended account: %s", a.body)
	}
	w.post("city", path+"/resumption", `{"order_no":"决字5"}`).want(http.StatusOK)

	// To another bank: the old account stays in force until the new one is accepted.
	w.post("company", "/v1/accounts", fmt.Sprintf(`{"bank_party_id":%q,"district":"320115"}`, w.ids["bank2"])).want(http.StatusCreated)
	w.get("company", path).want(http.StatusOK).is("bank_party_id", w.ids["bank"]).is("applied_at.bank_party_id", w.ids["bank2"])
	w.post("bank2", path+"/opening", `{"last4":"0099","agreement_no":"监字2"}`).want(http.StatusOK)
	w.post("district", path+"/decision", `{"accept":true}`).want(http.StatusOK)
	w.get("company", path).want(http.StatusOK).is("bank_party_id", w.ids["bank2"]).is("last4", "0099")
	w.post("company", path+"/closing", nil).problem(http.StatusConflict, "account.not_empty") // Ledgers run on at the bank before.

	w.organisation("firm", "company", "RENTAL_ENTERPRISE", "示例公寓有限公司", uscc(8))
	empty := w.supervised("firm", "bank", "district")
	w.post("firm", "/v1/accounts/"+empty+"/closing", nil).want(http.StatusOK)
	w.get("firm", "/v1/accounts/"+empty).want(http.StatusOK).is("state", "CLOSED")
}

// TestALedgerStandsOnTheAccountOfTheDayItIsSigned moves an operator's account to another bank, and suspends it, between draft
// and last signature.
func TestALedgerStandsOnTheAccountOfTheDayItIsSigned(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.organisation("bank2", "bank", "SUPERVISING_BANK", "示例银行二", uscc(7))
	flats := w.building("3", 3)
	var heads []string
	for _, f := range flats {
		w.owned(f, "landlord")
		heads = append(heads, w.headLease(f, 280000, "2026-12-01", "2028-12-31"))
	}
	id := w.supervised("company", "bank", "district")
	draft := func(n int) answer {
		return w.post("company", "/v1/contracts", w.lease(flats[n], "company", "tenant", map[string]any{"parent_id": heads[n]})).want(http.StatusCreated)
	}
	ledger := func(a answer) answer {
		for _, who := range []string{"company", "tenant"} {
			w.sign(who, a.text("id"), a.text("content_hash")).want(http.StatusOK)
		}
		return w.get("city", "/v1/escrow/"+a.text("id")).want(http.StatusOK)
	}
	moved, suspended := draft(0), draft(1)
	ledger(draft(2)).is("account_id", id).is("bank_id", w.ids["bank"])
	w.post("company", "/v1/accounts", fmt.Sprintf(`{"bank_party_id":%q,"district":"320115"}`, w.ids["bank2"])).want(http.StatusCreated)
	w.post("bank2", "/v1/accounts/"+id+"/opening", `{"last4":"0099","agreement_no":"监字2"}`).want(http.StatusOK)
	w.post("district", "/v1/accounts/"+id+"/decision", `{"accept":true}`).want(http.StatusOK)
	ledger(moved).is("account_id", id).is("bank_id", w.ids["bank2"])
	w.post("district", "/v1/accounts/"+id+"/suspension", `{"order_no":"决字5","reason":"资金缺口"}`).want(http.StatusOK)
	ledger(suspended).is("account_id", nil)
}

// TestNoLedgerStandsOnAnAccountThatCloses closes accounts while the last signature is made under a contract on each.
func TestNoLedgerStandsOnAnAccountThatCloses(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	for i, f := range w.building("3", 60) {
		w.owned(f, "landlord")
		firm := fmt.Sprintf("firm %d", i)
		w.organisation(firm, "company", "RENTAL_ENTERPRISE", "示例公寓有限公司", uscc(20+i))
		w.opening(firm)
		id := w.supervised(firm, "bank", "district")
		head := w.filed(f, "landlord", firm, map[string]any{
			"kind": "HEAD", "sublease_consent": true, "end": "2028-12-31", "pay_cycle_months": 1, "deposit_fen": 0, "escrow": nil,
		})
		c := w.post(firm, "/v1/contracts", w.lease(f, firm, "tenant", map[string]any{"parent_id": head})).want(http.StatusCreated)
		w.sign(firm, c.text("id"), c.text("content_hash")).want(http.StatusOK)
		w.settled()
		var closed answer
		var race sync.WaitGroup
		race.Go(func() { closed = w.post(firm, "/v1/accounts/"+id+"/closing", nil) })
		race.Go(func() {
			time.Sleep(time.Duration(i%10) * 50 * time.Microsecond)
			w.sign("tenant", c.text("id"), c.text("content_hash"))
		})
		race.Wait()
		on := w.get("city", "/v1/escrow/"+c.text("id")).want(http.StatusOK).at("account_id")
		if (closed.status == http.StatusOK) == (on == id) {
			t.Errorf("%s: closed %d, and the ledger on %v: %s", firm, closed.status, on, closed.body)
		}
	}
}

// TestTheRiskReserveIsFilledAndDrawn moves the reserve, with the bank's day, and watches the rules that read it.
func TestTheRiskReserveIsFilledAndDrawn(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.supervised("company", "bank", "district")
	path := "/v1/accounts/" + id
	flats := w.building("3", 2)
	lease := w.operatorLease(flats[0], "tenant", nil)
	w.money("bank", "/v1/escrow/"+lease+"/receipts", `{"bank_txn_id":"W1","amount_fen":2100000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	fired := func(want ...string) {
		t.Helper()
		if got := w.alerts("company"); !slices.Equal(got, want) {
			t.Errorf("fired %v, want %v", got, want)
		}
	}
	fired()
	w.post("district", path+"/reserve", `{"required_fen":1000,"basis":"每套 500 元"}`).want(http.StatusOK)
	fired("M-07")
	deposit := func(txn string, fen int, status int) answer {
		t.Helper()
		return w.money("bank", path+"/reserve/deposits", fmt.Sprintf(`{"bank_txn_id":%q,"amount_fen":%d,"value_date":"2026-11-23"}`, txn, fen)).want(status)
	}
	deposit("R1", 499, http.StatusOK)
	deposit("R1", 500, http.StatusConflict)
	deposit("W1", 500, http.StatusConflict) // That is the tenant's payment.
	w.owned(flats[1], "company")
	held := w.post("company", "/v1/contracts", w.lease(flats[1], "company", "tenant2", nil)).want(http.StatusCreated).text("id")
	if got := w.ruleResults("contract-"+held, "contract.drafted"); !slices.ContainsFunc(got, func(r string) bool { return strings.HasPrefix(r, "M-07b") && strings.Contains(r, "HOLD") }) {
		t.Errorf("a contract on half a reserve: %v", got)
	}
	deposit("R2", 501, http.StatusOK)
	fired()

	order := fmt.Sprintf(`{"order_no":"决字6","reason":"退还押金","beneficiaries":[{"party_id":%q,"amount_fen":%%d}],"replenish_by":"2026-12-31"}`, w.ids["tenant"])
	w.money("district", path+"/reserve/draws", fmt.Sprintf(order, 1001)).problem(http.StatusUnprocessableEntity, "account.reserve_insufficient")
	draw := w.money("district", path+"/reserve/draws", fmt.Sprintf(order, 300)).want(http.StatusCreated).text("id")
	fired("M-07") // What is ordered is free no more.
	pay := path + "/reserve/draws/" + draw + "/confirmation"
	w.money("bank", pay, `{"bank_txn_id":"R3","value_date":"2026-11-23"}`).want(http.StatusOK)
	w.get("city", path).want(http.StatusOK).is("reserve_fen", 700).is("draws.0.state", "PAID")

	// The bank's day has the reserve beside the tenant's money; one fen less of that is a shortfall.
	w.settled()
	lines := `{"date":"2026-11-23","opening_fen":0,"closing_fen":%d,"lines":[{"txn_id":"W1","amount_fen":%d,"value_date":"2026-11-23"},
		{"txn_id":"R1","amount_fen":499,"value_date":"2026-11-23"},{"txn_id":"R2","amount_fen":501,"value_date":"2026-11-23"},{"txn_id":"R3","amount_fen":-300,"value_date":"2026-11-23"}]}`
	day := w.money("bank", "/v1/bank-statements", fmt.Sprintf(lines, 2100699, 2099999)).want(http.StatusCreated)
	if n := len(day.list("discrepancies")); n != 1 {
		t.Errorf("%d differences: %s", n, day.body)
	}
	fired("M-07", "M-14")

	w.post("company", path+"/rent-loans", `{"month":"2026-10-01","income_fen":1000,"loan_fen":300}`).want(http.StatusOK)
	fired("M-07", "M-14")
	w.post("company", path+"/rent-loans", `{"month":"2026-10-01","income_fen":1000,"loan_fen":301}`).want(http.StatusOK)
	fired("C-13", "M-07", "M-14")
	w.get("bank", "/v1/accounts").want(http.StatusOK).is("items.0.loan_share_bp", 3010).is("items.0.reserve_fen", 700).is("items.0.reserve_required_fen", 1000)
	w.post("company", path+"/rent-loans", `{"month":"2026-12-01","income_fen":1,"loan_fen":0}`).problem(http.StatusUnprocessableEntity, "account.loans_invalid")
}
