package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAsOfAnswersWhatWasSaidThen: every entity view is asked after every step of a home's life; asked again at the end
// with ?asOf of that moment, it gives the very same answer.
func TestAsOfAnswersWhatWasSaidThen(t *testing.T) {
	w := newTown(t)
	w.people()
	home := w.home()
	building := w.do("district", "GET", "/v1/units/"+home, "").want(http.StatusOK).text("building_id")
	paths := []string{
		"/v1/views/housing/units/" + home, "/v1/views/housing/buildings/" + building + "/matrix",
		"/v1/views/people/subjects/" + w.ids["landlord"], "/v1/views/people/subjects/" + w.ids["tenant"], "/v1/units/" + home,
		"/v1/parties/" + w.ids["tenant"],
	}
	type answer struct {
		path string
		at   time.Time
		said string
	}
	var said []answer
	look := func() {
		t.Helper()
		for _, p := range paths {
			behind := fmt.Sprintf("Zujian-At-Least: %d", w.events()) // Positions of the log in memory count from 1.
			said = append(said, answer{p, w.clock(), unmade(t, w.do("city", "GET", p+"?"+onFor(p), "", behind).want(http.StatusOK).body)})
		}
		w.pass(time.Hour)
	}
	step := func(who, path, body string) reply {
		t.Helper()
		r := w.do(who, "POST", path, body, "Idempotency-Key: "+path+fmt.Sprint(len(said)))
		if r.status >= 300 {
			t.Fatalf("%s: %d %s", path, r.status, r.body)
		}
		return r
	}
	look()
	listing := step("landlord", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"rooms":[],"let_mode":"WHOLE","rent_fen":350000,"deposit_fen":350000,"pay_cycle_months":3,"available_from":"2026-12-01"}`, home)).text("id")
	paths = append(paths, "/v1/listings/"+listing)
	look()
	step("landlord", "/v1/listings/"+listing+"/submission", "")
	step("landlord", "/v1/listings/"+listing+"/publication", "")
	look()
	id := w.sign(home)
	paths = append(paths, "/v1/contracts/"+id)
	look()
	step("landlord", "/v1/contracts/"+id+"/filing", "")
	paths = append(paths, "/v1/views/money/ledgers/"+id, "/v1/escrow/"+id)
	look()
	step("bank", "/v1/escrow/"+id+"/receipts", `{"bank_txn_id":"T1","amount_fen":1400000,"value_date":"2026-11-23"}`)
	look()
	step("city", "/v1/escrow/"+id+"/freezes", `{"order_no":"F1","scope":"RELEASES"}`)
	look()
	step("district", "/v1/parties/"+w.ids["tenant"]+"/correction", `{"name":"改名","evidence":"户口簿"}`)
	look()

	changed := map[string]map[string]bool{}
	for _, a := range said {
		r := w.do("city", "GET", a.path+"?asOf="+url.QueryEscape(a.at.Format(time.RFC3339Nano))+"&"+onFor(a.path), "").want(http.StatusOK)
		if d := cmp.Diff(a.said, unmade(t, r.body)); d != "" {
			t.Errorf("%s as of %s (-said then +now): %s", a.path, a.at, d)
		}
		if changed[a.path] == nil {
			changed[a.path] = map[string]bool{}
		}
		changed[a.path][a.said] = true
	}
	for _, p := range paths {
		if len(changed[p]) < 2 && !strings.HasPrefix(p, "/v1/units/") {
			t.Errorf("%s never changed: this shows nothing", p)
		}
	}
	w.do("city", "GET", "/v1/views/housing/units/"+home+"?asOf=2020-01-01T00:00:00Z", "").problem(http.StatusNotFound, "resource.not_found")
	w.do("city", "GET", "/v1/views/housing/units/"+home+"?asOf=yesterday", "").problem(http.StatusBadRequest, "request.parameter")
	ahead := url.QueryEscape(w.clock().Add(time.Microsecond).Format(time.RFC3339Nano)) // What it says would be another thing later.
	for _, p := range paths {
		w.do("city", "GET", p+"?asOf="+ahead, "").problem(http.StatusBadRequest, "request.parameter")
	}
	w.do("landlord2", "GET", "/v1/views/housing/units/"+home+"?asOf=2026-11-23T03:00:00Z", "").problem(http.StatusNotFound, "resource.not_found")
}

// onFor repeats the day the first question was about.
func onFor(path string) string {
	if strings.Contains(path, "/parties/") || strings.Contains(path, "/listings/") || strings.Contains(path, "/contracts/") || strings.Contains(path, "/escrow/") || strings.Contains(path, "/ledgers/") {
		return ""
	}
	return "on=2026-12-05"
}

// unmade is an answer without what tells when it was asked.
func unmade(t *testing.T, body []byte) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	delete(v, "made")
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestFiguresOpenToTheirEvents follows a figure to its rows and a row to its events.
func TestFiguresOpenToTheirEvents(t *testing.T) {
	w := newTown(t)
	w.people()
	home := w.home()
	id := w.sign(home)
	filed := w.do("landlord", "POST", "/v1/contracts/"+id+"/filing", "", "Idempotency-Key: f1").want(http.StatusOK)
	behind := "Zujian-At-Least: " + filed.header.Get("Zujian-Position")

	f := w.do("city", "GET", "/v1/views/housing/filings?area=320115&from=2026-11&to=2026-11&on=2026-12-05", "", behind).want(http.StatusOK)
	if n, _ := f.at("filed").(float64); n != 1 {
		t.Fatalf("figures: %s", f.body)
	}
	for _, figure := range []string{"filed 2026-11", "signed 2026-11", "active"} {
		links, _ := f.at("made.rows").(map[string]any)
		link, _ := links[figure].(string)
		rows := w.do("city", "GET", link, "").want(http.StatusOK)
		if rows.textOr("items.0.id") != id || rows.at("items.1") != nil {
			t.Errorf("%s leads to %s: %s", figure, link, rows.body)
		}
	}
	unit := w.do("city", "GET", "/v1/views/housing/units/"+home, "").want(http.StatusOK)
	events := w.do("auditor", "GET", unit.text("made.events.0"), "").want(http.StatusOK)
	n, _ := unit.at("trail.events").(float64)
	list, _ := events.at("events").([]any)
	if len(list) != int(n) || n < 3 {
		t.Errorf("a home made of %v events leads to %d", n, len(list))
	}
	for i := range list {
		if s := events.text(fmt.Sprintf("events.%d.stream", i)); s != "unit-"+home {
			t.Errorf("another stream: %s", s)
		}
	}
	all := w.do("auditor", "GET", f.text("made.events.0"), "").want(http.StatusOK)
	if !strings.Contains(string(all.body), `"contract.filed"`) || strings.Contains(string(all.body), `"party.registered"`) {
		t.Errorf("what the view of homes reads: %s", all.body)
	}
	w.do("city", "GET", "/v1/views/housing/contracts?area=320115&filed_in=2026-11&signed_in=2026-11", "").problem(http.StatusBadRequest, "request.parameter")
	w.do("city", "GET", "/v1/views/housing/contracts?filed_in=2026-11&kind=OUT", "").problem(http.StatusBadRequest, "request.parameter")
	w.do("other-district", "GET", "/v1/views/housing/contracts?area=320115&filed_in=2026-11", "").problem(http.StatusNotFound, "resource.not_found")
	w.do("landlord", "GET", "/v1/views/housing/contracts?area=320115&filed_in=2026-11", "").problem(http.StatusNotFound, "resource.not_found")
	w.do("auditor", "GET", "/v1/events?view=housing&types=contract.filed", "").problem(http.StatusBadRequest, "request.parameter")
	w.do("auditor", "GET", "/v1/events?view=nothing", "").problem(http.StatusBadRequest, "request.parameter")
	w.do("auditor", "GET", "/v1/events?stream=../x", "").problem(http.StatusBadRequest, "request.parameter")
}
