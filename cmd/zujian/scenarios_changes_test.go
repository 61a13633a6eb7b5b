package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What changes about a filed lease and the people in it, through the interface.

// amended proposes an amendment as somebody and has each of the others sign it.
func (w *world) amended(contract, by string, changes map[string]any, from string, signers ...string) string {
	w.t.Helper()
	path := "/v1/contracts/" + contract + "/amendments"
	a := w.post(by, path, map[string]any{"changes": changes, "effective_from": from}).want(http.StatusCreated)
	for _, who := range signers {
		w.post(who, path+"/"+a.text("id")+"/signatures", map[string]string{"party_id": w.ids[who], "content_hash": a.text("content_hash")}).want(http.StatusOK)
	}
	return a.text("id")
}

// Both sign at once that the lease goes on into days which are let to another: neither signature may make that binding.
func TestSignedAtOnceNoLeaseIsLengthenedOverAnother(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	for _, f := range w.building("3", 10) {
		w.owned(f, "landlord")
		id := w.filed(f, "landlord", "tenant", map[string]any{"end": "2027-05-31"})
		w.filed(f, "landlord", "tenant2", map[string]any{"start": "2027-06-01"})
		path := "/v1/contracts/" + id
		a := w.post("landlord", path+"/amendments", `{"changes":{"end":"2027-08-31"},"effective_from":"2027-01-01"}`).want(http.StatusCreated)
		var signing sync.WaitGroup
		for _, who := range []string{"landlord", "tenant"} {
			signing.Go(func() {
				got := w.post(who, path+"/amendments/"+a.text("id")+"/signatures", map[string]string{"party_id": w.ids[who], "content_hash": a.text("content_hash")})
				if got.status >= http.StatusInternalServerError {
					t.Errorf("%s: %d", who, got.status)
				}
			})
		}
		signing.Wait()
		w.get("tenant", path).want(http.StatusOK).is("end", "2027-05-31")
	}
}

// Who joins a lease signs too: until then its home is held no longer than before.
func TestDaysAreHeldForTheLastSignatureOnly(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	id := w.filed(f, "landlord", "tenant", nil)
	end := w.get("landlord", "/v1/units/"+f.id).want(http.StatusOK).text("occupancies.0.until")
	a := w.amended(id, "landlord", map[string]any{
		"end": "2028-02-29", "lessees": []any{map[string]any{"party_id": w.ids["tenant"]}, map[string]any{"party_id": w.ids["tenant2"]}},
	}, "2027-01-01", "landlord", "tenant")
	w.get("landlord", "/v1/units/"+f.id).want(http.StatusOK).is("occupancies.0.until", end)
	hash := w.get("landlord", "/v1/contracts/"+id).want(http.StatusOK).text("amendment.content_hash")
	w.post("tenant2", "/v1/contracts/"+id+"/amendments/"+a+"/signatures", map[string]string{"party_id": w.ids["tenant2"], "content_hash": hash}).want(http.StatusOK)
	w.get("landlord", "/v1/units/"+f.id).want(http.StatusOK).is("occupancies.0.until", "2028-02-29")
}

// A process that is behind looks at the first of two amendments when both are made: it takes back no day of the second.
func TestALateProcessTakesBackNoDays(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	id := w.filed(f, "landlord", "tenant", nil)
	w.settled()
	w.stop()
	w.linger = time.Second
	w.open()
	for _, end := range []string{"2028-02-29", "2028-05-31", "2028-03-31"} {
		w.amended(id, "landlord", map[string]any{"end": end}, "2027-01-01", "landlord", "tenant")
	}
	w.settled()
	var held []string
	for _, e := range w.events("unit-"+f.id, 0) {
		if e.Type == "unit.lease_changed" {
			var changed struct{ Until string }
			if err := json.Unmarshal(e.Data, &changed); err != nil {
				t.Fatal(err)
			}
			held = append(held, changed.Until)
		}
	}
	if d := cmp.Diff(held, []string{"2028-02-29", "2028-05-31", "2028-03-31"}); d != "" {
		t.Errorf("last days of the lease (got, want): %s", d)
	}
}

func TestACertificateOfEachVersion(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	id := w.filed(f, "landlord", "tenant", nil)
	path := "/v1/contracts/" + id + "/certificate"
	first := w.get("tenant", path).want(http.StatusOK).is("version", 1).is("versions", 1).is("monthly_rent_fen", 350000).is("replaces_sha256", nil)
	w.amended(id, "landlord", map[string]any{"monthly_rent_fen": 340000}, "2027-06-01", "landlord", "tenant")
	second := w.get("tenant", path).want(http.StatusOK).is("version", 2).is("versions", 2).is("monthly_rent_fen", 340000).
		is("replaces_sha256", first.text("certificate_hash")).is("changed_on", worldDay).is("effective_from", "2027-06-01")
	first.hashesToItself()
	second.hashesToItself()
	if second.text("certificate_hash") == first.text("certificate_hash") || second.text("content_hash") == first.text("content_hash") {
		t.Errorf("a new version with an old hash: %s", second.body)
	}
	w.get("tenant", "/v1/contracts/"+id).want(http.StatusOK).is("certificate_hash", second.text("certificate_hash")).is("content_hash", second.text("content_hash"))
	old := w.get("tenant", path+"?version=1").want(http.StatusOK).is("monthly_rent_fen", 350000).is("versions", 2)
	old.hashesToItself().is("certificate_hash", first.text("certificate_hash")).is("content_hash", first.text("content_hash"))
	w.get("tenant", path+"?version=3").problem(http.StatusNotFound, "resource.not_found")
	w.get("tenant", path+"?version=0").problem(http.StatusBadRequest, "request.parameter")
	for _, e := range w.events("contract-"+id, 0) {
		if e.Type == "contract.amended" && !strings.Contains(string(e.Data), second.text("certificate_hash")) {
			t.Errorf("the log does not hold the new certificate's hash: %s", e.Data)
		}
	}
}

func TestACoTenantIsReplaced(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.person("tenant3", "tenant", "示例戊", cnID("320106", "19920202", 7))
	w.person("stranger", "tenant", "示例己", cnID("320106", "19930303", 9))
	f := w.home("3")
	both := []any{map[string]any{"party_id": w.ids["tenant"]}, map[string]any{"party_id": w.ids["tenant2"]}}
	c := w.post("landlord", "/v1/contracts", w.lease(f, "landlord", "tenant", map[string]any{"lessees": both})).want(http.StatusCreated)
	id := c.text("id")
	for _, who := range []string{"landlord", "tenant", "tenant2"} {
		w.sign(who, id, c.text("content_hash")).want(http.StatusOK)
	}
	w.post("tenant", "/v1/contracts/"+id+"/filing", nil).want(http.StatusOK).is("stage", "FILED")
	w.get("tenant3", "/v1/contracts/"+id).problem(http.StatusNotFound, "resource.not_found")

	next := []any{map[string]any{"party_id": w.ids["tenant"]}, map[string]any{"party_id": w.ids["tenant3"]}}
	path := "/v1/contracts/" + id + "/amendments"
	w.post("stranger", path, map[string]any{"changes": map[string]any{"lessees": next}, "effective_from": "2027-03-01"}).problem(http.StatusNotFound, "resource.not_found")
	w.post("tenant", path, map[string]any{"changes": map[string]any{"lessees": []any{map[string]any{"party_id": nobody}}}, "effective_from": "2027-03-01"}).
		problem(http.StatusNotFound, "party.not_found").is("errors.0.pointer", "/changes/lessees/0/party_id")
	am := w.amended(id, "tenant", map[string]any{"lessees": next}, "2027-03-01", "landlord", "tenant", "tenant3")
	// Who is put out has to say so themselves.
	w.get("tenant", "/v1/contracts/"+id).want(http.StatusOK).is("lessees.1.party_id", w.ids["tenant2"]).is("amendment.id", am)
	hash := w.get("tenant2", "/v1/contracts/"+id).want(http.StatusOK).text("amendment.content_hash")
	w.post("tenant2", path+"/"+am+"/signatures", map[string]string{"party_id": w.ids["tenant2"], "content_hash": hash}).want(http.StatusOK).
		is("lessees.1.party_id", w.ids["tenant3"]).is("amendment", nil)
	w.settled()
	w.get("tenant3", "/v1/contracts/"+id+"/certificate").want(http.StatusOK).is("lessees.1.party_id", w.ids["tenant3"]).is("version", 2)
	w.get("tenant2", "/v1/contracts/"+id).problem(http.StatusNotFound, "resource.not_found")
	w.get("tenant3", "/v1/escrow/"+id).want(http.StatusOK)
	w.get("tenant2", "/v1/escrow/"+id).problem(http.StatusNotFound, "resource.not_found")
	w.get("tenant3", "/v1/views/money/ledgers/"+id).want(http.StatusOK)
	w.get("tenant2", "/v1/views/money/ledgers/"+id).problem(http.StatusNotFound, "resource.not_found")
	if rows := w.get("tenant3", "/v1/views/housing/contracts").want(http.StatusOK).list("items"); len(rows) != 1 {
		t.Errorf("who joined sees %d contracts", len(rows))
	}
}

func TestASaleDoesNotBreakALease(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.person("buyer", "landlord", "示例庚", cnID("320106", "19750505", 7))
	f := w.home("3")
	id := w.filed(f, "landlord", "tenant", nil)
	w.money("bank", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"S1","amount_fen":1400000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	w.settled()
	w.onDay("2026-12-20")
	path := "/v1/contracts/" + id + "/lessors"
	sale := map[string]any{"lessors": []any{map[string]any{"party_id": w.ids["buyer"]}}, "title_no": "苏2026示例第0000002号", "from": "2026-12-15"}
	w.post("landlord", path, sale).problem(http.StatusForbidden, "auth.forbidden")
	w.post("xuanwu", path, sale).problem(http.StatusNotFound, "resource.not_found")
	ahead := map[string]any{"lessors": sale["lessors"], "title_no": "苏2026示例第0000002号", "from": "2027-01-15"}
	w.post("district", path, ahead).problem(http.StatusUnprocessableEntity, "contract.invalid_title").is("errors.0.pointer", "/from")
	w.post("partner", path, sale).want(http.StatusOK).is("lessors.0.party_id", w.ids["buyer"]).is("stage", "FILED").is("end", "2027-11-30")
	w.post("district", path, sale).want(http.StatusOK)
	w.settled()
	cert := w.get("buyer", "/v1/contracts/"+id+"/certificate").want(http.StatusOK).is("version", 2).is("lessors.0.party_id", w.ids["buyer"])
	w.get("tenant", "/v1/contracts/"+id+"/certificate?version=1").want(http.StatusOK).is("lessors.0.party_id", w.ids["landlord"]).
		is("certificate_hash", cert.hashesToItself().text("replaces_sha256"))
	// The rent of the months before stays the seller's, the later is the buyer's.
	ledger := w.get("city", "/v1/views/money/ledgers/"+id).want(http.StatusOK)
	for i, row := range ledger.list("schedule") {
		r := row.(map[string]any)
		want := w.ids["landlord"]
		if r["due"].(string) >= "2026-12-15" {
			want = w.ids["buyer"]
		}
		if r["party"] != want {
			t.Errorf("tranche %d due %v goes to %v", i, r["due"], r["party"])
		}
	}
	w.get("buyer", "/v1/escrow/"+id).want(http.StatusOK)
	w.get("landlord", "/v1/escrow/"+id).problem(http.StatusNotFound, "resource.not_found")
}

func TestAHandoverIsAgreedByBothSides(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	id := w.filed(w.home("3"), "landlord", "tenant", nil)
	path := "/v1/contracts/" + id + "/handovers"
	in := map[string]any{
		"direction": "IN", "on": worldDay, "readings": []any{map[string]any{"meter": "POWER", "value_milli": 1200500}},
		"items": []any{map[string]any{"name": "空调", "count": 2, "condition": "GOOD"}}, "keys": 3, "photos_sha256": strings.Repeat("a", 64),
	}
	h := w.post("landlord", path, in).want(http.StatusOK).is("handovers.0.confirmed_by", nil).is("handovers.0.readings.0.value_milli", 1200500)
	word := map[string]string{"direction": "IN", "content_hash": h.text("handovers.0.content_hash")}
	w.post("landlord", path+"/confirmation", word).problem(http.StatusUnprocessableEntity, "contract.not_party")
	w.post("tenant2", path+"/confirmation", word).problem(http.StatusNotFound, "resource.not_found")
	w.post("tenant", path+"/confirmation", map[string]string{"direction": "OUT", "content_hash": word["content_hash"]}).problem(http.StatusNotFound, "contract.handover_not_found")
	w.post("tenant", path+"/confirmation", map[string]string{"direction": "IN", "content_hash": strings.Repeat("b", 64)}).problem(http.StatusConflict, "contract.signature_hash")
	in["keys"] = 2 // The tenant counted again: the newer inventory stands instead.
	h = w.post("tenant", path, in).want(http.StatusOK).is("handovers.0.party_id", w.ids["tenant"])
	w.post("landlord", path+"/confirmation", word).problem(http.StatusConflict, "contract.signature_hash")
	word["content_hash"] = h.text("handovers.0.content_hash")
	w.post("landlord", path+"/confirmation", word).want(http.StatusOK).is("handovers.0.confirmed_by", w.ids["landlord"])
	in["keys"] = 1
	w.post("tenant", path, in).problem(http.StatusConflict, "contract.handed_over")
	in["direction"], in["readings"] = "OUT", []any{map[string]any{"meter": "POWER", "value_milli": 1}, map[string]any{"meter": "POWER", "value_milli": 2}}
	w.post("tenant", path, in).problem(http.StatusUnprocessableEntity, "contract.invalid_handover").is("errors.0.pointer", "/readings/1")
}

func TestWhoReadsPersonalDataIsSeen(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.filed(w.home("3"), "landlord", "tenant", nil)
	w.settled()
	path := "/v1/parties/" + w.ids["tenant"]
	ask := map[string]any{"fields": []string{"NAME", "DOC_NO"}, "purpose": "COMPLAINT", "case_no": "TS2026-1"}
	w.post("landlord", path+"/disclosure", ask).problem(http.StatusForbidden, "auth.forbidden")
	w.post("xuanwu", path+"/disclosure", ask).problem(http.StatusNotFound, "resource.not_found") // Not its tenant.
	w.post("district", path+"/disclosure", map[string]any{"fields": []string{"NAME"}, "purpose": "COMPLAINT"}).problem(http.StatusBadRequest, "request.invalid")
	if n := len(w.get("tenant", path+"/access-log").want(http.StatusOK).list("items")); n != 0 {
		t.Errorf("%d accesses before the first", n)
	}
	masked := w.get("district", path).want(http.StatusOK)
	read := w.post("district", path+"/disclosure", ask, "Idempotency-Key", "once").want(http.StatusOK)
	if read.text("doc_no") != "320104188512310022" || read.text("name") != "示例乙" || read.at("phone") != nil || masked.text("doc_no") == read.text("doc_no") {
		t.Errorf("read %s, masked %s", read.body, masked.body)
	}
	w.post("district", path+"/disclosure", ask, "Idempotency-Key", "once").problem(http.StatusConflict, "request.reply_not_kept")
	log := w.get("tenant", path+"/access-log").want(http.StatusOK).is("items.0.purpose", "COMPLAINT").is("items.0.case_no", "TS2026-1").
		is("items.0.role", "district").is("items.0.area", "320115").texts("items.0.fields", "NAME", "DOC_NO")
	if len(log.list("items")) != 1 {
		t.Errorf("one access, the log says %s", log.body)
	}
	w.post("city", path+"/disclosure", map[string]any{"fields": []string{"PHONE"}, "purpose": "EMERGENCY", "case_no": "110-7"}).want(http.StatusOK).is("phone", "13800000000")
	one := w.get("auditor", path+"/access-log?limit=1").want(http.StatusOK)
	two := w.get("auditor", path+"/access-log?limit=1&cursor="+one.text("next_cursor")).want(http.StatusOK).is("items.0.purpose", "EMERGENCY").is("next_cursor", nil)
	if !strings.Contains(one.header.Get("Link"), `rel="next"`) || len(two.list("items")) != 1 {
		t.Errorf("pages: %s %s", one.body, two.body)
	}
	w.get("landlord", path+"/access-log").problem(http.StatusNotFound, "resource.not_found")
	w.get("city", path+"/access-log").problem(http.StatusForbidden, "auth.forbidden")
	for range 99 { // The city's own share is spent, the district's is not.
		w.post("city", path+"/disclosure", map[string]any{"fields": []string{"PHONE"}, "purpose": "EMERGENCY", "case_no": "110-7"}).want(http.StatusOK)
	}
	w.post("city", path+"/disclosure", ask).problem(http.StatusTooManyRequests, "limit.rate")
	w.post("district", path+"/disclosure", ask).want(http.StatusOK)
	w.post("district", "/v1/parties/"+w.ids["company"]+"/disclosure", ask).problem(http.StatusUnprocessableEntity, "party.person_required")
}

func TestSoleTradersRepresentativesAndCorrections(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	trader := map[string]string{
		"kind": "SOLE_TRADER", "org_kind": "SUBLEASE_OPERATOR", "name": "示例甲", "doc_type": "CN_ID", "doc_no": "320102188801010015",
		"org_name": "江宁区示例租房服务部", "uscc": uscc(77), "scope_text": "住房租赁经营",
	}
	id := w.post("district", "/v1/parties", trader).want(http.StatusCreated).text("id")
	if id == w.ids["landlord"] {
		t.Error("a business is not the person who runs it")
	}
	w.post("district", "/v1/parties", trader).want(http.StatusCreated).is("id", id)
	w.get("city", "/v1/parties/"+id).want(http.StatusOK).is("org_name", "江宁区示例租房服务部").is("uscc", uscc(77)).is("kind", "SOLE_TRADER")
	for field, bad := range map[string]string{"uscc": "91320102MA1TEXT06K", "org_name": ""} {
		broken := map[string]string{}
		for k, v := range trader {
			broken[k] = v
		}
		broken[field] = bad
		w.post("district", "/v1/parties", broken).is("errors.0.pointer", "/"+field).is("status", 422)
	}
	w.post("district", "/v1/parties", map[string]string{
		"kind": "PERSON", "name": "示例", "doc_type": "CN_ID", "doc_no": cnID("320106", "19910101", 3), "uscc": uscc(78),
	}).problem(http.StatusUnprocessableEntity, "party.identity_fixed")

	company := "/v1/parties/" + w.ids["company"]
	w.post("company", company+"/representatives", fmt.Sprintf(`{"representative_id":%q,"until":"2027-12-31"}`, w.ids["tenant2"])).want(http.StatusOK)
	w.get("company", company+"/mandates").want(http.StatusOK).is("representatives.0.representative_id", w.ids["tenant2"])
	w.post("landlord", "/v1/parties/"+w.ids["landlord"]+"/mandates", fmt.Sprintf(`{"to":%q,"scope":["LIST"],"until":"2027-12-31"}`, w.ids["broker"])).want(http.StatusCreated)
	w.post("landlord", "/v1/parties/"+w.ids["landlord"]+"/mandates", fmt.Sprintf(`{"to":%q,"scope":["SIGN"],"until":"2027-12-31"}`, w.ids["company"])).want(http.StatusCreated)
	if n := len(w.get("landlord", "/v1/parties/"+w.ids["landlord"]+"/mandates").want(http.StatusOK).list("mandates")); n != 2 {
		t.Errorf("the principal sees %d of 2 mandates", n)
	}
	if n := len(w.get("broker", "/v1/parties/"+w.ids["landlord"]+"/mandates").want(http.StatusOK).list("mandates")); n != 1 {
		t.Errorf("the broker sees %d mandates, one is its own", n)
	}
	w.get("tenant", "/v1/parties/"+w.ids["landlord"]+"/mandates").problem(http.StatusNotFound, "resource.not_found")

	me := "/v1/parties/" + w.ids["tenant"]
	w.post("tenant", me+"/correction", `{"phone":"+86 139-0000-0001","evidence":"本人"}`).want(http.StatusOK)
	w.get("tenant", me).want(http.StatusOK).is("phone", "13900000001")
	before := w.head()
	w.post("tenant", me+"/correction", `{"phone":"13900000001","evidence":"本人"}`).want(http.StatusOK)
	if w.head() != before {
		t.Error("correcting nothing wrote")
	}
	w.post("tenant", me+"/correction", `{"name":"示例换名","evidence":"本人"}`).problem(http.StatusForbidden, "auth.forbidden")
	w.post("tenant2", me+"/correction", `{"phone":"13900000001","evidence":"本人"}`).problem(http.StatusNotFound, "resource.not_found")
	w.post("district", me+"/correction", `{"name":"示例换名","evidence":"户口簿"}`).want(http.StatusOK)
	w.get("tenant", me).want(http.StatusOK).is("name", "示例换名")
	w.post("district", company+"/correction", `{"name":"示例","evidence":"x"}`).problem(http.StatusUnprocessableEntity, "party.identity_fixed")
}

func TestDuplicatesAreMergedByTwo(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	passport := map[string]string{"kind": "PERSON", "name": "示例乙", "doc_type": "PASSPORT", "doc_no": "E12345678"}
	dup := w.post("district", "/v1/parties", passport).want(http.StatusCreated).text("id")
	path := "/v1/parties/" + dup + "/merger"
	body := map[string]string{"survivor_id": w.ids["tenant"], "reason": "同一自然人", "decision_no": "决字2026-4"}
	w.post("district", path, body).problem(http.StatusForbidden, "auth.forbidden")
	w.post("city", "/v1/parties/"+w.ids["tenant"]+"/merger", body).problem(http.StatusUnprocessableEntity, "party.merger")
	w.post("city", path, map[string]string{"survivor_id": w.ids["company"], "reason": "x", "decision_no": "y"}).problem(http.StatusUnprocessableEntity, "party.merger")
	w.post("city", path, body).want(http.StatusOK)
	w.post("city", path, body).want(http.StatusOK)
	w.get("city", "/v1/parties/"+dup).want(http.StatusOK).is("merger_proposed", true).is("merged_into", nil)
	w.post("city2", path, body).want(http.StatusOK)
	w.get("city", "/v1/parties/"+dup).want(http.StatusOK).is("merged_into", w.ids["tenant"])
	w.post("district", "/v1/parties", passport).want(http.StatusCreated).is("id", w.ids["tenant"])
	w.post("district", "/v1/parties/"+dup+"/verification", `{"level":2,"method":"ID_NAME_MATCH"}`).problem(http.StatusConflict, "party.merged")
	f := w.home("3")
	w.ids["dup"] = dup
	w.post("landlord", "/v1/contracts", w.lease(f, "landlord", "dup", nil)).problem(http.StatusUnprocessableEntity, "contract.party_unknown")
	w.filed(f, "landlord", "tenant", nil)
	w.settled()
	back := map[string]string{"survivor_id": w.ids["tenant2"], "reason": "x", "decision_no": "y"}
	w.post("city", "/v1/parties/"+w.ids["tenant"]+"/merger", back).problem(http.StatusConflict, "party.has_open_contracts")
}
