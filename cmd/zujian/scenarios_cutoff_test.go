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
	// The last signature and the filing, without what the desk does beside them.
	h := w.house
	policy, err := h.desk.Policy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	runner := aggregate.Runner{Store: h.store, Catalogue: h.catalogue, Cache: h.cache}
	do := func(step string, cmd contract.Command) {
		t.Helper()
		req := domain.Request[contract.Command]{
			ID: "cut off " + step, At: w.clock(), Actor: domain.Actor{ID: "test", Role: domain.RoleTenant, Party: w.ids["tenant"]}, Policy: policy, Command: cmd,
		}
		if _, err := aggregate.Execute(t.Context(), runner, contract.Decider, id, req, aggregate.Options{Correlation: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	do("sign", contract.Sign{Party: w.ids["tenant"], ContentHash: hash})
	if types := w.types("escrow-" + id); len(types) != 0 {
		t.Fatalf("there is a ledger already: %v", types)
	}
	w.post("landlord", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK)
	w.eventually("the ledger is opened", func() bool { return len(w.types("escrow-"+id)) > 0 })
	load := func(id string) escrow.FundsExpected {
		s, _, err := aggregate.Load(t.Context(), runner, escrow.Decider, id)
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
