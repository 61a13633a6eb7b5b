package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// brokered is a verified listing of the broker's under a mandate of the landlord's.
func (w *world) brokered(f flat) (path, code string) {
	w.t.Helper()
	path = "/v1/listings/" + w.post("broker", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000,
		"available_from":"2026-12-01","channels":["BEIKE"],"account":{"bank_party_id":%q,"last4":"0018"},
		"prechecks":{"identity":true,"title":true,"visit":true,"contract":true,"statement":true}}`, f.id, w.ids["bank"])).want(http.StatusCreated).text("id")
	return path, w.post("broker", path+"/submission", nil).want(http.StatusOK).is("stage", "VERIFIED").text("code")
}

// mandated lets the broker list a flat of the landlord's.
func (w *world) mandated(f flat) answer {
	w.t.Helper()
	return w.post("landlord", "/v1/parties/"+w.ids["landlord"]+"/mandates", map[string]any{
		"to": w.ids["broker"], "scope": []string{"LIST"}, "units": []string{f.id}, "until": "2027-01-01",
	}).want(http.StatusCreated)
}

// A code vouches for a broker as long as the owner's mandate holds, and the owner is one.
func TestACodeVouchesForNobodyWhoseMandateIsRevoked(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	flats := w.building("3", 2)
	var codes, mandates []string
	for _, f := range flats {
		w.owned(f, "landlord")
		mandates = append(mandates, w.mandated(f).text("id"))
		path, code := w.brokered(f)
		w.post("broker", path+"/publication", nil).want(http.StatusOK)
		w.get("", "/v1/verify/"+code).want(http.StatusOK).is("publisher_ok", true).is("genuine", true)
		codes = append(codes, code)
	}
	w.do("landlord", http.MethodDelete, "/v1/parties/"+w.ids["landlord"]+"/mandates/"+mandates[0], nil).want(http.StatusOK)
	w.post("city", "/v1/units/"+flats[1].id+"/ownership", fmt.Sprintf(
		`{"owners":[{"party_id":%q,"share_bp":10000}],"title_no":"苏2026示例第0000002号","from":"2026-11-20"}`, w.ids["tenant"])).want(http.StatusOK)
	for _, code := range codes {
		w.get("", "/v1/verify/"+code).want(http.StatusOK).is("state", "PUBLISHED").is("publisher_ok", false).is("genuine", false)
	}
}

// A code that was given is never said to be none of ours, whatever becomes of its listing.
func TestACodeGivenIsKnownForEver(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	flats := w.building("3", 2)
	for _, f := range flats {
		w.owned(f, "landlord")
	}
	state := func(code, want, page string) {
		t.Helper()
		w.get("", "/v1/verify/"+code).want(http.StatusOK).is("state", want).is("genuine", false)
		if a := w.get("", "/v/"+code); a.status != http.StatusOK || !strings.Contains(string(a.body), page) {
			t.Errorf("%s: %d without %s", code, a.status, page)
		}
	}
	w.mandated(flats[0])
	path, code := w.brokered(flats[0])
	w.do("broker", http.MethodPatch, path, `{"rent_fen":340000}`).want(http.StatusOK).is("stage", "DRAFT")
	state(code, "SUPERSEDED", "核验码已被替换")

	account := w.supervised("company", "bank", "district")
	w.headLease(flats[1], 280000, "2026-12-01", "2028-12-31")
	path = "/v1/listings/" + w.post("company", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":350000,
		"available_from":"2026-12-01","account":{"bank_party_id":%q,"last4":"0018"}}`, flats[1].id, w.ids["bank"])).want(http.StatusCreated).text("id")
	code = w.post("company", path+"/submission", nil).want(http.StatusOK).is("stage", "VERIFIED").text("code")
	w.post("district", "/v1/accounts/"+account+"/suspension", `{"order_no":"决字5","reason":"资金缺口"}`).want(http.StatusOK)
	w.post("company", path+"/publication", nil).want(http.StatusOK).is("stage", "HELD")
	state(code, "SUSPENDED", "房源已暂停")
	w.post("district", path+"/verification", `{"accept":false,"reason":"账户停用"}`).want(http.StatusOK).is("stage", "REJECTED")
	state(code, "REVOKED", "核验已撤销")
}

// A listing that moved to another platform keeps nobody off the one it was on.
func TestAPlatformIsFreeWhenItsListingMovesToAnother(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	f := w.home("3")
	w.mandated(f)
	first, _ := w.brokered(f)
	w.post("broker", first+"/publication", nil).want(http.StatusOK)
	second, _ := w.brokered(f)
	w.post("broker", second+"/publication", nil).problem(http.StatusConflict, "listing.duplicate")
	for _, change := range []string{`{"rent_fen":340000}`, `{"channels":["ANJUKE"]}`} { // Not shown any more, and then elsewhere.
		w.do("broker", http.MethodPatch, first, change).want(http.StatusOK)
	}
	w.post("broker", first+"/submission", nil).want(http.StatusOK).is("stage", "VERIFIED")
	w.post("broker", first+"/publication", nil).want(http.StatusOK)
	w.post("broker", second+"/publication", nil).want(http.StatusOK)
	third, _ := w.brokered(f)
	w.post("broker", third+"/publication", nil).problem(http.StatusConflict, "listing.duplicate")
}

// A brokerage publishes two listings of a home at once: its platform shows one of them (L-05).
func TestPublishedAtOnceAHomeIsShownOnce(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	for i, f := range w.building("3", 80) {
		w.owned(f, "landlord")
		w.mandated(f)
		var paths [2]string
		for j := range paths {
			paths[j], _ = w.brokered(f)
		}
		var got [2]answer
		var race sync.WaitGroup
		for j, path := range paths {
			race.Go(func() {
				time.Sleep(time.Duration(j*(i%8)) * 60 * time.Microsecond)
				got[j] = w.post("broker", path+"/publication", nil)
			})
		}
		race.Wait()
		if (got[0].status == http.StatusOK) == (got[1].status == http.StatusOK) {
			t.Errorf("%d: %d %s and %d %s", i, got[0].status, got[0].body, got[1].status, got[1].body)
		}
	}
}
