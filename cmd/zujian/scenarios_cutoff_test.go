package main

import (
	"net/http"
	"testing"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/party"
	"zujian/eventstore/aggregate"
)

// TestALedgerCutOffIsOpened signs and files a contract as a process would that dies between the last signature and the
// money's plan: the ledger is opened all the same, as the one of a contract that was not cut off.
func TestALedgerCutOffIsOpened(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f, g := w.home("3"), w.home("4")
	whole := w.filed(f, "landlord", "tenant", nil)
	cut := w.post("landlord", "/v1/contracts", w.lease(g, "landlord", "tenant", nil)).want(http.StatusCreated)
	id, hash := cut.text("id"), cut.text("content_hash")
	w.sign("landlord", id, hash).want(http.StatusOK)
	w.signsAlone(id, hash)
	if types := w.types("escrow-" + id); len(types) != 0 {
		t.Fatalf("there is a ledger already: %v", types)
	}
	w.post("landlord", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK)
	w.eventually("the ledger is opened", func() bool { return len(w.types("escrow-"+id)) > 0 })
	load := func(id string) escrow.FundsExpected {
		s, _, err := aggregate.Load(t.Context(), w.runner(), escrow.Decider, id)
		if err != nil {
			t.Fatal(err)
		}
		s.Plan.Contract, s.Plan.Unit = "", ""
		return s.Plan
	}
	if a, b := load(whole), load(id); a.MonthlyRentFen != b.MonthlyRentFen || a.Mode != b.Mode || a.Lessor != b.Lessor || a.Lessee != b.Lessee || len(a.Collections) != len(b.Collections) {
		t.Errorf("the ledger differs:\n%+v\n%+v", b, a)
	}
}

// signsAlone makes the tenant's last signature without what the desk does beside it.
func (w *world) signsAlone(id, hash string) {
	w.t.Helper()
	policy, err := w.house.desk.Policy(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	req := domain.Request[contract.Command]{
		ID: "cut off " + id, At: w.clock(), Actor: domain.Actor{ID: "test", Role: domain.RoleTenant, Party: w.ids["tenant"]}, Policy: policy,
		Command: contract.Sign{Party: w.ids["tenant"], ContentHash: hash},
	}
	if _, err := aggregate.Execute(w.t.Context(), w.runner(), contract.Decider, id, req, aggregate.Options{Correlation: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) runner() aggregate.Runner {
	return aggregate.Runner{Store: w.house.store, Catalogue: w.house.catalogue, Cache: w.house.cache}
}

// TestALedgerCutOffStandsOnTheAccountOfItsDay moves an operator's account to another bank between the draft and a last signature
// that is cut off.
func TestALedgerCutOffStandsOnTheAccountOfItsDay(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.organisation("bank2", "bank", "SUPERVISING_BANK", "示例银行二", uscc(7))
	f := w.home("3")
	head := w.headLease(f, 280000, "2026-12-01", "2028-12-31")
	account := w.supervised("company", "bank", "district")
	c := w.post("company", "/v1/contracts", w.lease(f, "company", "tenant", map[string]any{"parent_id": head})).want(http.StatusCreated)
	id, hash := c.text("id"), c.text("content_hash")
	w.sign("company", id, hash).want(http.StatusOK)
	w.post("company", "/v1/accounts", map[string]string{"bank_party_id": w.ids["bank2"], "district": "320115"}).want(http.StatusCreated)
	w.post("bank2", "/v1/accounts/"+account+"/opening", `{"last4":"0099","agreement_no":"监字2"}`).want(http.StatusOK)
	w.post("district", "/v1/accounts/"+account+"/decision", `{"accept":true}`).want(http.StatusOK)
	w.signsAlone(id, hash)
	w.post("company", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK)
	w.eventually("the ledger is opened", func() bool { return len(w.types("escrow-"+id)) > 0 })
	w.get("city", "/v1/escrow/"+id).want(http.StatusOK).is("account_id", account).is("bank_id", w.ids["bank2"])
}

// TestAnErasureCutOffIsFinished records an erasure as a process would that dies before it destroys the key: the key is
// destroyed all the same.
func TestAnErasureCutOffIsFinished(t *testing.T) {
	w := newWorld(t, worldDay)
	w.officers()
	id := w.person("guest", "tenant", "示例某", cnID("320106", "19810101", 77))
	h := w.house
	runner := aggregate.Runner{Store: h.store, Catalogue: h.catalogue, Cache: h.cache}
	for _, hand := range []string{"one", "another"} {
		req := domain.Request[party.Command]{
			ID: "cut off " + hand, At: w.clock(), Actor: domain.Actor{ID: hand, Role: domain.RoleCity}, Command: party.Erase{Reason: "当事人申请", DecisionNo: "决字1"},
		}
		if _, err := aggregate.Execute(t.Context(), runner, party.Decider, id, req, aggregate.Options{Correlation: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	w.eventually("the key is destroyed", func() bool { return h.vault.Erased(id) })
}
