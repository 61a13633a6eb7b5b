package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestThePlanShowsWhatWasPromisedAndReached reads the plan a fresh register starts with, files targets, reports counts and
// files a contract: the printed sums hold, and the log's own count moves with the filing.
func TestThePlanShowsWhatWasPromisedAndReached(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.settled()
	row := func(query, code string) (answer, string) {
		t.Helper()
		a := w.get("", "/v1/plan/145?"+query).want(http.StatusOK)
		for n := range a.list("items") {
			if at := "items." + strconv.Itoa(n); a.text(at+".indicator.code") == code {
				return a, at
			}
		}
		t.Fatalf("no %s in %s", code, a.body)
		return a, ""
	}
	is := func(query, code, field string, want any) {
		t.Helper()
		a, at := row(query, code)
		a.is(at+"."+field, want)
	}
	// Check sums of the printed plan.
	whole := func(v any) int64 {
		n, err := v.(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	sum := func(v any) (n int64) {
		m, _ := v.(map[string]any)
		for _, x := range m {
			n += whole(x)
		}
		return n
	}
	targets, parts := map[string]int64{}, map[string]int64{}
	for _, i := range w.get("", "/v1/plan").want(http.StatusOK).list("items.0.plan.indicators") {
		i, _ := i.(map[string]any)
		code, _ := i["code"].(string)
		targets[code] = whole(i["target"])
		if of, ok := i["part_of"].(string); ok {
			parts[of] += targets[code]
		}
		if n := sum(i["yearly"]) + sum(i["areas"]); n != 0 && n != targets[code] {
			t.Errorf("%s: its years or areas add up to %d, not %d", code, n, targets[code])
		}
	}
	for of, n := range parts {
		if n != targets[of] {
			t.Errorf("the parts of %s add up to %d, not %d", of, n, targets[of])
		}
	}
	if len(targets) != 30 || len(parts) != 3 {
		t.Errorf("%d indicators, %d with parts", len(targets), len(parts))
	}

	target := `{"indicator":"PI-04","area":"320115","year":2025,"value":6000}`
	w.post("district", "/v1/plan/145/targets", target).want(http.StatusOK)
	w.post("xuanwu", "/v1/plan/145/targets", target).problem(http.StatusForbidden, "auth.out_of_area")
	w.post("landlord", "/v1/plan/145/targets", target).problem(http.StatusForbidden, "auth.forbidden")
	w.post("district", "/v1/plan/145/targets", strings.Replace(target, "6000", "6001", 1)).problem(http.StatusUnprocessableEntity, "plan.reason_required")
	w.post("city", "/v1/plan/145/targets", strings.Replace(target, "320115", "329999", 1)).want(http.StatusBadRequest)
	w.post("city", "/v1/plan/155/targets", target).problem(http.StatusNotFound, "plan.not_found")
	w.post("district", "/v1/plan/145/reports", `{"indicator":"PI-04","area":"320115","on":"2025-06-30","value":3100,"source":"月报"}`).want(http.StatusOK)
	w.post("district", "/v1/plan/145/reports", `{"indicator":"PI-18","area":"320115","on":"2025-06-30","value":1,"source":"月报"}`).problem(http.StatusUnprocessableEntity, "plan.derived")
	w.post("district", "/v1/plan/145/reports", `{"indicator":"PI-04","area":"320115","on":"2025-02-30","value":1,"source":"月报"}`).want(http.StatusBadRequest)
	w.settled()
	is("area=320115&on=2026-12-31", "PI-04", "actual", 3100)
	is("area=320115&on=2026-12-31", "PI-04", "actual_on", "2025-06-30")
	is("on=2026-12-31", "PI-04", "actual", 3100)
	is("on=2026-12-31", "PI-04", "target", 125000)
	is("on=2026-12-31", "PI-04", "status", "MISSED")
	is("area=320115&year=2025&on=2025-12-31", "PI-04", "target", 6000)
	is("area=320115&year=2025&on=2025-12-31", "PI-04", "share_bp", 5167)
	w.get("", "/v1/plan/145?year=2030").problem(http.StatusNotFound, "resource.not_found")

	own := `{"id":"155","name_zh":"规划","from":2026,"to":2030,"source":"示例","indicators":[{"code":"X-1","name_zh":"新增租赁住房","measure":"homes","kind":"TOTAL","op":">=","target":2,"derived":"HOMES_FIRST_LET"}]}`
	w.post("city", "/v1/plan", own).want(http.StatusCreated)
	w.post("city", "/v1/plan", strings.Replace(own, `"target":2`, `"target":3`, 1)).problem(http.StatusConflict, "plan.already_loaded")
	f := w.home("3")
	w.filed(f, "landlord", "tenant", nil)
	w.settled()
	w.get("", "/v1/plan/155?area=city&on=2026-11-30").want(http.StatusOK).is("items.0.actual", 1).is("items.0.share_bp", 5000)
}
