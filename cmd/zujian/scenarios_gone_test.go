package main

import (
	"fmt"
	"net/http"
	"testing"
)

// erased erases a person by two officers.
func (w *world) erased(who string) {
	w.t.Helper()
	for _, officer := range []string{"city", "city2"} {
		w.post(officer, "/v1/parties/"+w.ids[who]+"/erasure", map[string]string{"reason": "本人申请", "decision_no": who}).want(http.StatusOK)
	}
}

// TestWhoIsGoneIsNamedNowhereAgain erases a person, and merges another: nobody takes them in any more, and no code vouches for them.
func TestWhoIsGoneIsNamedNowhereAgain(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	own := w.building("4", 1)[0]
	for i, who := range []string{"erased", "merged"} {
		w.person(who, "landlord", "示例离", cnID("320115", "19700101", 10+i))
	}
	w.owned(own, "erased")
	offer := func(f flat, owner string) string {
		return fmt.Sprintf(`{"unit_id":%q,"owner_id":%q,"let_mode":"WHOLE","rent_fen":350000,"available_from":"2026-12-01"}`, f.id, w.ids[owner])
	}
	listed := func() string {
		return "/v1/listings/" + w.post("erased", "/v1/listings", offer(own, "erased")).want(http.StatusCreated).text("id")
	}
	listing, draft := listed(), listed()
	code := w.post("erased", listing+"/submission", nil).want(http.StatusOK).text("code")
	w.post("erased", listing+"/publication", nil).want(http.StatusOK)
	w.get("", "/v1/verify/"+code).want(http.StatusOK).is("genuine", true)

	w.erased("erased")
	for _, officer := range []string{"city", "city2"} {
		w.post(officer, "/v1/parties/"+w.ids["merged"]+"/merger", map[string]string{
			"survivor_id": w.ids["tenant2"], "reason": "重复登记", "decision_no": "并1",
		}).want(http.StatusOK)
	}
	w.get("", "/v1/verify/"+code).want(http.StatusOK).is("publisher_ok", false).is("genuine", false)
	w.post("erased", draft+"/submission", nil).want(http.StatusOK).is("stage", "REJECTED").texts("reasons", "IDENTITY")

	for _, who := range []string{"erased", "merged"} {
		for what, a := range map[string]answer{
			"mandate": w.post("landlord", "/v1/parties/"+w.ids["landlord"]+"/mandates", map[string]any{
				"to": w.ids[who], "scope": []string{"SIGN"}, "until": "2027-01-01",
			}),
			"listing": w.post("company", "/v1/listings", offer(f, who)),
			"key":     w.post("city", "/v1/keys", fmt.Sprintf(`{"role":"landlord","party_id":%q}`, w.ids[who])),
			"title": w.post("city", "/v1/units/"+f.id+"/ownership", fmt.Sprintf(
				`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2020示例第0000002号","from":"2026-05-01"}`, w.ids[who])),
			"occupant": w.post("landlord", "/v1/contracts", w.lease(f, "landlord", "tenant", map[string]any{
				"occupants": []any{map[string]any{"party_id": w.ids[who]}},
			})),
		} {
			if a.status != http.StatusNotFound || a.at("code") != "party.not_found" {
				t.Errorf("%s, %s: %d %s", who, what, a.status, a.body)
			}
		}
	}
}

// TestWhoIsMergedTwiceIsFound merges a duplicate, and then who took its place: its document leads to the last.
func TestWhoIsMergedTwiceIsFound(t *testing.T) {
	w := newWorld(t, worldDay)
	w.officers()
	for i, who := range []string{"first", "second", "third"} {
		w.person(who, "tenant", "示例丁", cnID("320115", "19700101", 10+i))
	}
	for _, m := range [][2]string{{"first", "second"}, {"second", "third"}} {
		for _, officer := range []string{"city", "city2"} {
			w.post(officer, "/v1/parties/"+w.ids[m[0]]+"/merger", map[string]string{
				"survivor_id": w.ids[m[1]], "reason": "重复登记", "decision_no": m[0],
			}).want(http.StatusOK)
		}
	}
	w.post("district", "/v1/parties", map[string]string{
		"kind": "PERSON", "name": "示例丁", "doc_type": "CN_ID", "doc_no": cnID("320115", "19700101", 10), "phone": "13800000000",
	}).want(http.StatusCreated).is("id", w.ids["third"])
}
