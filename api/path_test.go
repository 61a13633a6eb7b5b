package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestMainPath walks the way of the specification from the empty register to money in a supervised account.
func TestMainPath(t *testing.T) {
	w := newTown(t)
	w.people()
	unit := w.home()

	l := w.do("landlord", "POST", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"rooms":[],"let_mode":"WHOLE","rent_fen":350000,"deposit_fen":350000,"pay_cycle_months":3,"available_from":"2026-12-01"}`, unit)).want(http.StatusCreated)
	listing := l.text("id")
	code := w.do("landlord", "POST", "/v1/listings/"+listing+"/submission", "").want(http.StatusOK).text("code")
	if !strings.HasPrefix(code, "HY3201152611") || len(code) != 19 {
		t.Errorf("code %q", code)
	}
	w.do("landlord", "POST", "/v1/listings/"+listing+"/publication", "").want(http.StatusOK)
	v := w.do("", "GET", "/v1/verify/"+code, "").want(http.StatusOK)
	if v.text("state") != "PUBLISHED" || v.text("publisher") != "示**" && v.text("publisher") != "示*甲" {
		t.Errorf("verify: %s", v.body)
	}
	if strings.Contains(string(v.body), "示例甲") {
		t.Error("the public answer names a person")
	}

	id := w.sign(unit)
	f := w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "", "Idempotency-Key: f1").want(http.StatusOK)
	if f.text("stage") != "FILED" || !strings.HasPrefix(f.text("filing_no"), "BA320115") || f.text("certificate.hash") == "" {
		t.Fatalf("filing: %s", f.body)
	}
	position := f.header.Get("Zujian-Position")
	if position == "" || f.header.Get("ETag") == "" {
		t.Errorf("headers of a write: %v", f.header)
	}
	cert := w.do("tenant", "GET", "/v1/contracts/"+id+"/certificate", "").want(http.StatusOK)
	if cert.text("lessors.0.name") != "示例甲" {
		t.Errorf("the parties read each other's names: %s", cert.body)
	}
	if cert := w.do("auditor", "GET", "/v1/contracts/"+id+"/certificate", "").want(http.StatusOK); cert.text("lessors.0.name") == "示例甲" {
		t.Error("the auditor reads names masked")
	}

	w.do("bank", "POST", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"2026-11-23"}`, "Idempotency-Key: r1").want(http.StatusCreated)
	rows := w.do("landlord", "GET", "/v1/views/housing/contracts?unit_id="+unit, "", "Zujian-At-Least: "+position).want(http.StatusOK)
	if rows.text("items.0.filing_no") != f.text("filing_no") {
		t.Errorf("the view has %s", rows.body)
	}
	w.do("tenant", "GET", "/v1/views/money/ledgers/"+id, "", "Zujian-At-Least: "+position).want(http.StatusOK)
	w.do("landlord", "GET", "/v1/views/people/subjects/"+w.ids["landlord"], "").want(http.StatusOK)
	w.do("", "GET", "/v1/rent-index?area=city&population=new&method=hedonic&from=2026-01&to=2026-11", "").want(http.StatusOK)
	history := w.do("tenant", "GET", "/v1/contracts/"+id+"/history", "").want(http.StatusOK)
	if history.text("events.0.type") != "contract.drafted" || history.at("events.0.data") != nil {
		t.Errorf("history: %s", history.body)
	}
	log := w.do("auditor", "GET", "/v1/events?after=0&limit=200", "").want(http.StatusOK)
	for _, personal := range []string{"示例甲", "320102188801010015", "13800000000"} {
		if strings.Contains(string(log.body), personal) || strings.Contains(w.logs.String(), personal) {
			t.Errorf("%s stands in clear in the log", personal)
		}
	}
}
