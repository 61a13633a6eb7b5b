package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// Rules whose facts lie in other streams than the one that is decided.

func TestTheWordingOfABusinessScope(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.post("district", "/v1/parties", map[string]string{
		"kind": "ORG", "org_kind": "RENTAL_ENTERPRISE", "name": "示例餐饮有限公司", "doc_type": "USCC", "doc_no": uscc(41), "scope_text": "餐饮服务",
	}).want(http.StatusCreated).text("id")
	w.ids["cook"] = id
	w.key("cook", fmt.Sprintf(`{"role":"company","party_id":%q}`, id))
	report := `{"admin_code":"320115","place":"示例路1号","local_entity":false}`
	w.post("cook", "/v1/parties/"+id+"/opening-report", report).rule(http.StatusUnprocessableEntity, "party.scope_wording", "S-04", 1)
	w.post("district", "/v1/parties/"+id+"/correction", `{"scope_text":"餐饮服务;住房租赁","evidence":"新营业执照"}`).want(http.StatusOK)
	w.post("cook", "/v1/parties/"+id+"/opening-report", report).want(http.StatusOK)
	w.get("landlord", "/v1/parties/"+id+"/opening-report").problem(http.StatusNotFound, "resource.not_found")
	w.get("cook", "/v1/parties/"+id+"/opening-report").want(http.StatusOK).is("state", "REPORTED").is("held_rules", nil)
	w.post("district", "/v1/parties/"+id+"/opening-decision", `{"accept":false,"reason":"缺少合同"}`).want(http.StatusOK)
	w.get("cook", "/v1/parties/"+id+"/opening-report").want(http.StatusOK).is("state", "RETURNED").is("return_reason", "缺少合同")
	w.post("cook", "/v1/parties/"+id+"/opening-report", report).want(http.StatusOK)
	w.post("district", "/v1/parties/"+id+"/opening-decision", `{"accept":true}`).want(http.StatusOK)
	w.get("landlord", "/v1/parties/"+id+"/opening-report").want(http.StatusOK).is("state", "PUBLISHED").is("published_on", worldDay)
	// A sublease operator of another city is looked at.
	w.post("company", "/v1/parties/"+w.ids["company"]+"/opening-report", report).want(http.StatusOK)
	w.get("district", "/v1/parties/"+w.ids["company"]+"/opening-report").want(http.StatusOK).texts("held_rules", "S-11")
}

// TestScenario16ASubletterReachesScale: ten rooms make an alert, a hold and an event; registering ends it.
func TestScenario16ASubletterReachesScale(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.person("subletter", "landlord", "示例辛", cnID("320106", "19850606", 7))
	flats := w.building("3", 4)
	n := 0
	for i, f := range flats {
		w.owned(f, "landlord")
		head := w.filed(f, "landlord", "subletter", map[string]any{
			"kind": "HEAD", "sublease_consent": true, "end": "2028-12-31", "monthly_rent_fen": 300000, "pay_cycle_months": 1, "deposit_fen": 0, "escrow": nil,
		})
		for _, room := range f.rooms[:3] {
			if n == 10 {
				break
			}
			n++
			id := w.signed(f, "subletter", "tenant", map[string]any{
				"parent_id": head, "rooms": []string{room}, "monthly_rent_fen": 120000, "deposit_fen": 0, "escrow": nil, "pay_cycle_months": 1,
				"let_mode": "BY_ROOM",
			})
			a := w.post("subletter", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK)
			if n < 10 {
				a.is("stage", "FILED")
				w.settled()
				continue
			}
			a.is("stage", "HELD").texts("held_rules", "S-09")
			if slices.Contains(w.types("party-"+w.ids["subletter"]), "party.subletting_scale_reached") {
				t.Error("nine filed rooms are not ten")
			}
			w.post("district", "/v1/contracts/"+id+"/filing-decision", `{"accept":true}`).want(http.StatusOK).is("stage", "FILED")
		}
		_ = i
	}
	w.settled()
	if !slices.Contains(w.types("party-"+w.ids["subletter"]), "party.subletting_scale_reached") {
		t.Error("ten rooms are let and nobody was told")
	}
	w.get("city", "/v1/views/people/subjects/"+w.ids["subletter"]).want(http.StatusOK).is("subletting_homes", 10)
	// Registered, the business is no natural person: the same home is filed without a hold.
	id := w.post("district", "/v1/parties", map[string]string{
		"kind": "SOLE_TRADER", "org_kind": "SUBLEASE_OPERATOR", "name": "示例辛", "doc_type": "CN_ID", "doc_no": cnID("320106", "19850606", 7),
		"org_name": "示例租房服务部", "uscc": uscc(55), "scope_text": "住房租赁经营",
	}).want(http.StatusCreated).text("id")
	w.post("district", "/v1/parties/"+id+"/verification", `{"level":3,"method":"COUNTER"}`).want(http.StatusOK)
	w.ids["business"] = id
	w.key("business", fmt.Sprintf(`{"role":"company","party_id":%q}`, id))
	w.opening("business")
	f := w.building("4", 1)[0]
	w.owned(f, "landlord")
	head := w.filed(f, "landlord", "business", map[string]any{
		"kind": "HEAD", "sublease_consent": true, "end": "2028-12-31", "monthly_rent_fen": 300000, "pay_cycle_months": 1, "deposit_fen": 0, "escrow": nil,
	})
	w.filed(f, "business", "tenant", map[string]any{"parent_id": head, "monthly_rent_fen": 360000, "pay_cycle_months": 1, "escrow": map[string]any{"mode": "VOLUNTARY"}})
}

// TestAFlatIsCountedAcrossItsContracts: who lives in the other rooms counts for the flat (群租, U-03b).
func TestAFlatIsCountedAcrossItsContracts(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	var last string
	for i, room := range f.rooms[:3] {
		var people []any
		for j := range 3 {
			people = append(people, map[string]any{"name": fmt.Sprintf("示例住户%d", 3*i+j), "relation": "OTHER", "room": room})
		}
		last = w.filed(f, "landlord", "tenant", map[string]any{
			"rooms": []string{room}, "let_mode": "BY_ROOM", "occupants": people, "monthly_rent_fen": 100000, "deposit_fen": 0, "escrow": nil,
		})
		got := w.ruleResults("contract-"+last, "contract.filed")
		if alerts := slices.Contains(got, "U-03b@1 ALERT"); alerts != (i == 2) { // 89.12 ㎡ for nine.
			t.Errorf("with %d people in the flat: %v", 3*i+3, got)
		}
	}
	// One more in a room already let is counted with the others too.
	w.post("tenant", "/v1/contracts/"+last+"/occupants", map[string]any{"name": "示例后来者", "relation": "OTHER", "room": f.rooms[2]}).want(http.StatusOK)
	if got := w.ruleResults("contract-"+last, "contract.occupant_added"); !slices.Contains(got, "U-03b@1 ALERT") {
		t.Errorf("a tenth person: %v", got)
	}
}

func TestAStartFarAheadIsLookedAtFirst(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	id := w.signed(f, "landlord", "tenant", map[string]any{"start": "2062-12-01", "end": "2063-11-30"})
	w.post("landlord", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK).is("stage", "HELD").texts("held_rules", "C-03c")
	w.post("district", "/v1/contracts/"+id+"/filing-decision", `{"accept":false,"reason":"2026"}`).want(http.StatusOK).is("stage", "RETURNED")
	w.filed(f, "landlord", "tenant", nil)
}

func TestLettingAboveTheRentAskedIsAlerted(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	for i, rent := range []int{350000, 350001} {
		f := w.home(fmt.Sprint(3 + i))
		l := w.post("landlord", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000}`, f.id)).want(http.StatusCreated).text("id")
		w.post("landlord", "/v1/listings/"+l+"/submission", nil).want(http.StatusOK)
		w.post("landlord", "/v1/listings/"+l+"/publication", nil).want(http.StatusOK)
		w.filed(f, "landlord", "tenant", map[string]any{"monthly_rent_fen": rent})
		w.settled()
		if got := w.ruleResults("listing-"+l, "listing.let"); slices.Contains(got, "L-10@1 ALERT") != (i == 1) {
			t.Errorf("let at %d, asked 350000: %v", rent, got)
		}
	}
}
