package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the register owes the people in it: a tenant can file alone, and nobody reads what is not theirs.

func TestATenantFilesAlone(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	flats := w.building("3", 3)
	for _, f := range flats {
		w.owned(f, "landlord")
	}
	t.Run("a paper contract is held, and the district accepts it", func(t *testing.T) {
		c := w.post("tenant", "/v1/contracts", w.lease(flats[0], "landlord", "tenant", nil)).want(http.StatusCreated)
		path := "/v1/contracts/" + c.text("id")
		w.post("tenant2", path+"/paper", `{"scan_sha256":"`+strings.Repeat("a", 64)+`"}`).problem(http.StatusNotFound, "resource.not_found")
		w.post("tenant", path+"/paper", `{"scan_sha256":"`+strings.Repeat("a", 64)+`"}`).want(http.StatusOK).is("stage", "SIGNED")
		w.post("tenant", path+"/filing", nil).want(http.StatusOK).is("stage", "HELD").texts("held_rules", "C-15").is("certificate", nil)
		w.post("tenant", path+"/filing", nil).want(http.StatusOK).is("stage", "HELD")
		w.get("landlord", path).want(http.StatusOK).is("stage", "HELD")
		w.post("xuanwu", path+"/filing-decision", `{"accept":true}`).problem(http.StatusNotFound, "resource.not_found")
		w.post("tenant", path+"/filing-decision", `{"accept":true}`).problem(http.StatusForbidden, "auth.forbidden")
		f := w.post("district", path+"/filing-decision", `{"accept":true}`).want(http.StatusOK).is("stage", "FILED").is("held_rules", nil)
		w.get("tenant", path).want(http.StatusOK).is("filed_by_role", "LESSEE").is("filing_no", f.text("filing_no"))
		w.get("tenant", path+"/certificate").want(http.StatusOK).is("filing_no", f.text("filing_no"))
		w.settled()
		w.get("landlord", "/v1/units/"+flats[0].id).want(http.StatusOK).is("occupancies.0.contract_id", c.text("id")).is("occupancies.0.confirmed", true)
	})
	t.Run("returned, it can be filed again", func(t *testing.T) {
		c := w.post("tenant", "/v1/contracts", w.lease(flats[1], "landlord", "tenant", nil)).want(http.StatusCreated)
		path := "/v1/contracts/" + c.text("id")
		w.post("tenant", path+"/paper", `{"scan_sha256":"`+strings.Repeat("b", 64)+`"}`).want(http.StatusOK)
		w.post("tenant", path+"/filing", nil).want(http.StatusOK).is("stage", "HELD")
		w.post("district", path+"/filing-decision", `{"accept":false}`).problem(http.StatusUnprocessableEntity, "contract.reason_required")
		w.post("district", path+"/filing-decision", `{"accept":false,"reason":"扫描件不清"}`).want(http.StatusOK).is("stage", "RETURNED")
		w.settled()
		if held := w.get("landlord", "/v1/units/"+flats[1].id).want(http.StatusOK).list("occupancies"); len(held) != 0 {
			t.Errorf("a returned filing holds its space: %v", held)
		}
		w.post("tenant", path+"/filing", nil).want(http.StatusOK).is("stage", "HELD")
		w.post("district", path+"/filing-decision", `{"accept":true}`).want(http.StatusOK).is("stage", "FILED")
	})
	t.Run("a contract both signed is filed at once", func(t *testing.T) {
		id := w.signed(flats[2], "landlord", "tenant", nil)
		w.post("tenant2", "/v1/contracts/"+id+"/filing", nil).problem(http.StatusNotFound, "resource.not_found")
		w.post("tenant", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK).is("stage", "FILED")
		w.get("landlord", "/v1/contracts/"+id).is("filed_by_role", "LESSEE")
	})
}

// TestAReturnedFilingFiledAgainKeepsItsHome files again before the process of leases hears that it was returned.
func TestAReturnedFilingFiledAgainKeepsItsHome(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	home := w.home("3")
	w.settled()
	w.stop()
	w.linger = time.Second
	w.open()
	c := w.post("tenant", "/v1/contracts", w.lease(home, "landlord", "tenant", nil)).want(http.StatusCreated)
	path := "/v1/contracts/" + c.text("id")
	w.post("tenant", path+"/paper", `{"scan_sha256":"`+strings.Repeat("a", 64)+`"}`).want(http.StatusOK)
	w.post("tenant", path+"/filing", nil).want(http.StatusOK).is("stage", "HELD")
	w.post("district", path+"/filing-decision", `{"accept":false,"reason":"扫描件不清"}`).want(http.StatusOK).is("stage", "RETURNED")
	w.post("tenant", path+"/filing", nil).want(http.StatusOK).is("stage", "HELD")
	w.post("district", path+"/filing-decision", `{"accept":true}`).want(http.StatusOK).is("stage", "FILED")
	w.settled()
	w.get("tenant", path).want(http.StatusOK).is("stage", "FILED")
	w.get("landlord", "/v1/units/"+home.id).want(http.StatusOK).is("occupancies.0.contract_id", c.text("id")).is("occupancies.0.confirmed", true)
	other := w.signed(home, "landlord", "tenant2", nil)
	w.post("landlord", "/v1/contracts/"+other+"/filing", nil).problem(http.StatusConflict, "unit.space_overlap")
}

// TestADecisionOnNoHeldFilingHoldsNoHome accepts what nobody filed, and what was cancelled.
func TestADecisionOnNoHeldFilingHoldsNoHome(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	home := w.home("3")
	accept := func(contract, stage string) {
		w.post("district", "/v1/contracts/"+contract+"/filing-decision", `{"accept":true}`).
			problem(http.StatusConflict, "contract.wrong_state").is("params.from", stage)
	}
	accept(w.post("landlord", "/v1/contracts", w.lease(home, "landlord", "tenant2", nil)).want(http.StatusCreated).text("id"), "DRAFTED")
	id := w.filed(home, "landlord", "tenant", nil)
	w.cancelled(id)
	accept(id, "CANCELLED")
	w.filed(home, "landlord", "tenant", nil)
}

// planted is what must not stand in clear anywhere but in the answers to whom it belongs.
type planted struct{ who, name, doc, phone string }

// TestPlantedPersonalDataIsFoundNowhere plants people in every way in which the API takes them, and then looks for them.
func TestPlantedPersonalDataIsFoundNowhere(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	people := []planted{
		{"landlord-x", "金丝雀甲", cnID("320102", "19700102", 11), "13911110001"},
		{"tenant-x", "金丝雀乙", cnID("320104", "19800203", 13), "13911110002"},
		{"occupant", "金丝雀丙", cnID("320106", "19900304", 17), ""},
		{"later occupant", "金丝雀丁", cnID("320111", "19910405", 19), ""},
		{"in call", "金丝雀戊", cnID("320113", "19920506", 23), "13911110005"},
	}
	register := func(p planted) string {
		id := w.post("district", "/v1/parties", map[string]string{
			"kind": "PERSON", "name": p.name, "doc_type": "CN_ID", "doc_no": p.doc, "phone": p.phone,
		}).want(http.StatusCreated).text("id")
		w.post("district", "/v1/parties/"+id+"/verification", `{"level":2,"method":"ID_NAME_MATCH"}`).want(http.StatusOK)
		w.ids[p.who] = id
		return id
	}
	for i, role := range []string{"landlord", "tenant"} {
		w.key(people[i].who, fmt.Sprintf(`{"role":%q,"party_id":%q}`, role, register(people[i])))
	}
	flats := w.building("3", 2)
	w.owned(flats[0], "landlord-x")
	w.owned(flats[1], "company")
	lives := func(p planted) map[string]any {
		return map[string]any{"name": p.name, "doc_type": "CN_ID", "doc_no": p.doc, "relation": "OTHER"}
	}
	lease := w.filed(flats[0], "landlord-x", "tenant-x", map[string]any{"occupants": []any{lives(people[2])}})
	w.post("tenant-x", "/v1/contracts/"+lease+"/occupants", lives(people[3])).want(http.StatusOK)
	w.inCall(flats[1], people[4])
	l := w.post("landlord-x", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000,"available_from":"2028-01-01"}`, flats[0].id)).
		want(http.StatusCreated).text("id")
	code := w.post("landlord-x", "/v1/listings/"+l+"/submission", nil).want(http.StatusOK).text("code")
	w.money("bank", "/v1/escrow/"+lease+"/receipts", `{"bank_txn_id":"P1","amount_fen":350000,"value_date":"2026-11-23","payer_mask":"6222********0018"}`).
		want(http.StatusCreated)
	w.settled()
	w.readEverything(map[string]string{
		"id": w.ids["tenant-x"], "party": w.ids["landlord-x"], "contract": lease, "code": code, "contract_id": lease, "unit": flats[0].id, "listing": l,
	})
	own := w.get("tenant-x", "/v1/parties/"+w.ids["tenant-x"]).want(http.StatusOK)
	own.is("name", people[1].name).is("doc_no", people[1].doc).is("phone", people[1].phone)
	w.get("city", "/v1/parties/"+w.ids["tenant-x"]).want(http.StatusOK)
	metrics := w.get("", "/metrics").want(http.StatusOK)

	w.noClear(people, string(metrics.body))
	w.stop()
	w.noClearFolder(people)
	w.intact()
	w.open()

	// Twenty years after the lease's end a tenant may be forgotten.
	erase := `{"reason":"当事人申请","decision_no":"决字2047-1"}`
	id := w.ids["tenant-x"]
	w.post("city", "/v1/parties/"+id+"/erasure", erase).problem(http.StatusConflict, "party.has_open_contracts")
	w.onDay("2047-11-30")
	w.eventually("the lease expires", func() bool { return w.get("city", "/v1/contracts/"+lease).at("stage") == "ENDED" })
	w.post("city", "/v1/parties/"+id+"/erasure", erase).problem(http.StatusConflict, "party.retention_running")
	w.onDay("2047-12-01")
	w.post("district", "/v1/parties/"+id+"/erasure", erase).problem(http.StatusForbidden, "auth.forbidden")
	w.post("city", "/v1/parties/"+id+"/erasure", erase).problem(http.StatusConflict, "party.unsettled_ledger") // Its deposit is held still.
	w.money("district", "/v1/escrow/"+lease+"/settlement", `{"to_lessor_fen":0,"to_lessee_fen":350000,"basis":"RULING","paper_no":"民初1"}`).want(http.StatusOK)
	w.money("bank", "/v1/escrow/"+lease+"/refunds/DEPOSIT/confirmation", `{"bank_txn_id":"P2","value_date":"2047-12-01"}`).want(http.StatusOK)
	for range 2 { // One hand proposes, however often.
		w.post("city", "/v1/parties/"+id+"/erasure", erase).want(http.StatusOK)
		w.get("city", "/v1/parties/"+id).want(http.StatusOK).is("erased", nil)
	}
	for range 2 {
		w.post("city2", "/v1/parties/"+id+"/erasure", erase).want(http.StatusOK)
	}
	for _, who := range []string{"city", "tenant-x", "auditor"} {
		w.get(who, "/v1/parties/"+id).want(http.StatusOK).is("erased", true).is("name", nil).is("doc_no", nil).is("phone", nil)
	}
	w.post("tenant-x", "/v1/parties/"+id+"/correction", `{"phone":"13900000001","evidence":"本人"}`).problem(http.StatusConflict, "party.erased")
	w.get("landlord-x", "/v1/contracts/"+lease+"/certificate").want(http.StatusOK).is("lessors.0.name", people[0].name).is("lessees.0.name", "")
	w.settled()
	w.get("city", "/v1/views/people/subjects/"+id).want(http.StatusOK).is("name", "")
	again := register(people[1])
	if again == id {
		t.Error("an erased person who registers anew is the erased one")
	}
	w.post("landlord-x", "/v1/contracts", w.leaseBetween(flats[0], w.ids["landlord-x"], id)).problem(http.StatusUnprocessableEntity, "contract.party_unknown")
	w.settled()
	w.stop()
	w.intact()
}

func (w *world) leaseBetween(f flat, lessor, lessee string) map[string]any {
	w.ids["a"], w.ids["b"] = lessor, lessee
	return w.lease(f, "a", "b", map[string]any{"signed_on": w.today(), "start": "2047-12-10", "end": "2048-12-09"})
}

// inCall files in one call a contract whose tenant the call itself brings.
func (w *world) inCall(f flat, p planted) {
	w.t.Helper()
	contract := w.lease(f, "company", "company", map[string]any{"escrow": nil, "pay_cycle_months": 1})
	contract["lessees"] = []any{map[string]any{"party_id": "tenant"}}
	body := map[string]any{
		"contract": contract,
		"parties":  []any{map[string]any{"ref": "tenant", "kind": "PERSON", "name": p.name, "doc_type": "CN_ID", "doc_no": p.doc, "phone": p.phone}},
		"signatures": []any{
			map[string]any{"party": w.ids["company"], "method": "E_SIGN", "document_sha256": strings.Repeat("c", 64)},
			map[string]any{"party": "tenant", "method": "E_SIGN", "document_sha256": strings.Repeat("c", 64)},
		},
	}
	w.post("company", "/v1/filings", body).problem(http.StatusUnprocessableEntity, "party.realname_required")
	id := w.post("company", "/v1/parties", map[string]string{"kind": "PERSON", "name": p.name, "doc_type": "CN_ID", "doc_no": p.doc}).want(http.StatusCreated).text("id")
	w.post("partner", "/v1/parties/"+id+"/verification", `{"level":2,"method":"ID_NAME_MATCH"}`).want(http.StatusOK)
	w.post("company", "/v1/filings", body).want(http.StatusCreated).is("stage", "FILED")
}

// readEverything asks every GET route as everyone: what they are told goes into the answers that are searched.
func (w *world) readEverything(ids map[string]string) {
	w.t.Helper()
	for _, op := range getRoutes(w.t) {
		for who := range w.keys {
			w.get(who, op.fill(ids))
		}
	}
}

// noClear wants nothing planted in answers to others, log lines or metrics.
func (w *world) noClear(people []planted, metrics string) {
	w.t.Helper()
	logs := w.logs.String()
	for _, p := range people {
		for _, clear := range []string{p.name, p.doc, p.phone} {
			if clear == "" {
				continue
			}
			if strings.Contains(logs, clear) || strings.Contains(metrics, clear) {
				w.t.Errorf("%s stands in log lines or metrics", clear)
			}
			for _, a := range w.answers {
				mine := a.who == p.who || clear == p.name && slices.Contains([]string{"landlord-x", "tenant-x"}, a.who) // On their common contract.
				if !mine && strings.Contains(a.body, clear) {
					w.t.Errorf("%s: the answer holds %s: %s", a.asked, clear, a.body)
				}
			}
		}
	}
}

func (w *world) noClearFolder(people []planted) {
	w.t.Helper()
	for _, p := range people {
		for _, clear := range []string{p.name, p.doc, p.phone} {
			if clear != "" {
				searchFolder(w.t, w.g.Data, clear)
			}
		}
	}
}

// intact is `zujian verify` over the folder of a product that has stopped.
func (w *world) intact() {
	w.t.Helper()
	var out bytes.Buffer
	g := *w.g
	g.Stdout, g.Stderr, g.JSON = &out, &out, true
	if err := (&verifyCmd{}).Run(&g); err != nil {
		w.t.Errorf("verify: %v: %s", err, out.String())
	}
}
