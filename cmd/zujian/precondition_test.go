package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zujian/domain"
)

// askStale asks with an If-Match that is wrong. Where the document lets a request have one the answer is a refusal, also of
// what was done already, and a failed precondition has written nothing anywhere: no reservation, number or claim of its own.
func (w *world) askStale(who, key, method, path string, body any) {
	w.t.Helper()
	if method == http.MethodGet || !w.documented(method, path, "If-Match") {
		return
	}
	before := w.logHead().Position
	a, err := ask(w.t.Context(), w.base, method, path, key, body, "If-Match", `"99999"`, "Idempotency-Key", "stale"+strconv.FormatInt(w.serial.Add(1), 10))
	if err != nil {
		w.t.Fatal(err)
	}
	if a.status < http.StatusBadRequest {
		w.t.Errorf("%s: %s %s: with a wrong If-Match it gets %d", who, method, path, a.status)
	}
	if a.status != http.StatusPreconditionFailed {
		return
	}
	for e, err := range w.house.store.All(w.t.Context(), before) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !strings.HasPrefix(e.Meta.Actor, "process:") {
			w.t.Errorf("%s: %s %s: with a wrong If-Match it wrote %s to %s", who, method, path, e.Type, e.Stream)
		}
	}
}

// documented says whether the document has the route and lets its requests have the header; "" is any.
func (w *world) documented(method, path, header string) bool {
	w.t.Helper()
	r, err := http.NewRequest(method, w.base+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	router, err := document()
	if err != nil {
		w.t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host = "", ""
	route, _, err := router.FindRoute(r)
	return err == nil && (header == "" || route.Operation.Parameters.GetByInAndName("header", header) != nil)
}

// tagOf reads the tag that a request may be held to: that of the nearest thing above its path that is read and has one.
// So every request of a scenario is asked with the right If-Match, too, and must do what it does without.
func (w *world) tagOf(key, method, path string) string {
	w.t.Helper()
	if method == http.MethodGet || !w.documented(method, path, "If-Match") {
		return ""
	}
	for above := path; strings.Count(above, "/") > 2; above = above[:strings.LastIndexByte(above, '/')] {
		if !w.documented(http.MethodGet, above, "") {
			continue
		}
		a, err := ask(w.t.Context(), w.base, http.MethodGet, above, key, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if tag := a.header.Get("ETag"); a.status == http.StatusOK && tag != "" {
			return tag
		}
	}
	return ""
}

// firstTag is the tag that somebody's first request under this Idempotency-Key had: with another it would be another request.
func (w *world) firstTag(who string, headers []string, tag string) string {
	if i := slices.Index(headers, "Idempotency-Key"); i >= 0 {
		first, _ := w.asked.LoadOrStore(who+" "+headers[i+1], tag)
		return first.(string)
	}
	return tag
}

// TestRenewalHoldsItsPrecondition renews by the contract's revision: not by another, and not by the same a second time
// when the contract has moved on.
func TestRenewalHoldsItsPrecondition(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.stale = true
	f := w.home("9")
	id := w.filed(f, "landlord", "tenant", nil)
	path := "/v1/contracts/" + id
	read := w.get("landlord", path).want(http.StatusOK)
	tag, end := read.header.Get("ETag"), read.text("end")
	until, err := domain.ParseDay(end)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"start":%q,"end":%q,"signed_on":%q,"monthly_rent_fen":355000}`, until+1, until+200, w.today())
	w.post("landlord", path+"/renewal", body, "If-Match", `"99999"`).problem(http.StatusPreconditionFailed, "precondition.failed")
	w.post("landlord", path+"/renewal", body, "If-Match", `W/`+tag).problem(http.StatusPreconditionFailed, "precondition.failed")
	next := w.post("landlord", path+"/renewal", body, "If-Match", tag).want(http.StatusCreated).text("id")
	if next == id {
		t.Error("the renewal is the contract itself")
	}
	w.post("tenant", path+"/notice", fmt.Sprintf(`{"by":"LESSEE","party_id":%q,"ground":"OWN_WISH","notice_date":%q,"vacate_by":%q}`, w.ids["tenant"], w.today(), until)).want(http.StatusOK)
	w.post("landlord", path+"/renewal", body, "If-Match", tag).problem(http.StatusPreconditionFailed, "precondition.failed")
}
