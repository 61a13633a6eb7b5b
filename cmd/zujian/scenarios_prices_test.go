package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"zujian/domain"
)

const guidancePrices = "/v1/guidance-prices"

// late records a letting in 320115004, of 80 ㎡, at a rent in fen a month.
func (w *world) late(month domain.Month, lessor string, rent domain.Fen) {
	w.t.Helper()
	w.legacy(domain.Observation{
		Month: month, From: month, AreaC: 8000, RentFen: rent, ReportUnit: "320115", Street: "320115004", LetMode: "WHOLE",
		SizeBand: domain.Size90, Fitout: "SIMPLE", Unit: lessor, Lessor: lessor,
	})
}

// proposes puts the draft of a period forward as it stands.
func (w *world) proposes(period string, version int, more map[string]any) answer {
	w.t.Helper()
	body := map[string]any{
		"period": period, "version": version, "effective_from": w.today(),
		"inputs": w.get("city", guidancePrices+"/draft?period="+period).want(http.StatusOK).text("inputs"),
	}
	if version > 1 {
		body["reason"] = "补备案"
	}
	maps.Copy(body, more)
	return w.post("city", guidancePrices, body)
}

// publishes takes the draft of a period through proposal, review and approval.
func (w *world) publishes(period string, version int) {
	w.t.Helper()
	w.proposes(period, version, nil).want(http.StatusCreated)
	w.approves(period, version)
}

func (w *world) approves(period string, version int) {
	w.t.Helper()
	v := map[string]any{"version": version}
	path := guidancePrices + "/" + period
	w.post("city2", path+"/approval", v).problem(http.StatusConflict, "guidance.not_reviewed")
	w.post("city", path+"/review", v).problem(http.StatusUnprocessableEntity, "guidance.four_eyes")
	w.post("city2", path+"/review", v).want(http.StatusOK)
	w.post("city", path+"/approval", v).problem(http.StatusUnprocessableEntity, "guidance.four_eyes")
	w.post("city2", path+"/approval", v).want(http.StatusOK)
}

// TestADraftOfPricesBecomesTheGuidance computes a quarter's prices from filings, publishes them by two hands, and sees a
// late filing change the next draft and not what is published.
func TestADraftOfPricesBecomesTheGuidance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldDay)
	w.officers()
	start, err := domain.ParseMonth("2026-04")
	if err != nil {
		t.Fatal(err)
	}
	w.lettings(start, 3)
	const path = "/v1/guidance-prices/draft?period=2026Q2"
	w.get("", path).want(http.StatusUnauthorized)
	w.get("district", path).problem(http.StatusForbidden, "auth.forbidden")
	w.get("city", "/v1/guidance-prices/draft").want(http.StatusBadRequest)
	w.get("city", "/v1/guidance-prices/draft?period=2026Q5").want(http.StatusBadRequest)
	if empty := w.get("city", "/v1/guidance-prices/draft?period=2019Q1").want(http.StatusOK); len(empty.list("cells")) != 0 {
		t.Errorf("prices of nothing: %s", empty.body)
	}
	draft := w.get("city", path).want(http.StatusOK).is("to", "2026-06").is("cells.0.area", "city").is("cells.0.n", 84)
	cells := draft.list("cells")
	if len(cells) != 5 {
		t.Fatalf("%d cells: %s", len(cells), draft.body)
	}
	// The cells as the draft has them pass; a number, a cell or a count of one's own does not.
	w.proposes("2026Q2", 1, map[string]any{"cells": cells[:4]}).problem(http.StatusUnprocessableEntity, "guidance.cell_missing")
	first := cells[0].(map[string]any)
	for field, code := range map[string]string{"p90": "guidance.cell_differs", "n": "guidance.cell_differs", "area": "guidance.unknown_cell"} {
		other := maps.Clone(first)
		other[field] = map[string]any{"p90": 999999, "n": 9, "area": "320116"}[field]
		w.proposes("2026Q2", 1, map[string]any{"cells": append([]any{other}, cells[1:]...)}).
			problem(http.StatusUnprocessableEntity, code).is("errors.0.pointer", "/cells/0")
	}
	w.proposes("2026Q2", 1, map[string]any{"inputs": strings.Repeat("0a", 32)}).
		problem(http.StatusConflict, "guidance.stale_draft").is("errors.0.pointer", "/inputs").is("params.inputs", draft.text("inputs"))
	w.proposes("2026Q2", 2, nil).problem(http.StatusConflict, "guidance.not_published")
	w.proposes("2019Q1", 1, nil).problem(http.StatusUnprocessableEntity, "guidance.nothing_to_publish")
	w.get("city", guidancePrices+"/2026Q2").want(http.StatusNotFound)
	w.proposes("2026Q2", 1, map[string]any{"cells": cells}).want(http.StatusCreated)
	w.get("", guidancePrices+"/2026Q2").want(http.StatusNotFound) // The public sees no trace of it…
	w.get("city2", guidancePrices+"/2026Q2").want(http.StatusOK).is("open.state", "COMPUTED")
	w.approves("2026Q2", 1)
	published := w.get("", "/v1/guidance-prices?period=2026Q2").want(http.StatusOK).is("cells.0.n", 84)
	w.late(start, "late", 300000)
	w.settled()
	if after := w.get("city", path).want(http.StatusOK).is("cells.0.n", 85); after.text("inputs") == draft.text("inputs") {
		t.Error("another letting, the same inputs")
	}
	if again := w.get("", "/v1/guidance-prices?period=2026Q2"); string(again.body) != string(published.body) {
		t.Errorf("a published version changed: %s", again.body)
	}
}

// TestAContractNamesThePricesOfTheDayItIsSigned drafts two contracts under prices that end that day: the one signed on the
// next names none.
func TestAContractNamesThePricesOfTheDayItIsSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldDay)
	w.cast()
	start, err := domain.ParseMonth("2026-04")
	if err != nil {
		t.Fatal(err)
	}
	w.lettings(start, 3)
	w.settled()
	w.publishes("2026Q2", 1)
	open := map[string]any{"signed_on": nil}
	draft := w.post("landlord", "/v1/contracts", w.lease(w.home("3"), "landlord", "tenant", open)).want(http.StatusCreated).is("guidance_version", "2026Q2/1")
	w.post("city", guidancePrices+"/2026Q2/withdrawal", `{"version":1,"reason":"样本有误"}`).want(http.StatusOK)
	w.post("city2", guidancePrices+"/2026Q2/withdrawal-approval", `{"version":1}`).want(http.StatusOK)
	today := w.signed(w.home("4"), "landlord", "tenant2", open)
	w.get("landlord", "/v1/contracts/"+today).want(http.StatusOK).is("guidance_version", "2026Q2/1")

	w.onDay("2026-11-24")
	w.sign("landlord", draft.text("id"), draft.text("content_hash")).want(http.StatusOK)
	w.sign("tenant", draft.text("id"), draft.text("content_hash")).want(http.StatusOK).is("signed_on", "2026-11-24").is("guidance_version", nil)
}

// cellOf names the cell of whole flats of 70 to 90 ㎡, simply fitted out, in an area.
func cellOf(area string) map[string]any {
	return map[string]any{"area": area, "let_mode": "WHOLE", "size_band": "70-90", "fitout": "SIMPLE"}
}

// TestScenarioAGuidancePriceIsAdjustedContestedAndRevised goes through the life of a version: an adjusted cell, objections
// of a party and of the public, answers in time and overdue, a revision that follows, a backtest, a withdrawal.
func TestScenarioAGuidancePriceIsAdjustedContestedAndRevised(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-07-02")
	w.cast()
	w.key("city3", `{"role":"city"}`)
	start, err := domain.ParseMonth("2026-04")
	if err != nil {
		t.Fatal(err)
	}
	w.lettings(start, 3)
	const path = guidancePrices + "/2026Q2"
	w.proposes("2026Q2", 1, nil).want(http.StatusCreated)
	open := w.get("city", path).want(http.StatusOK)
	computed := map[string]any{}
	for _, x := range open.list("open.cells") {
		if c := x.(map[string]any); c["area"] == "320115" {
			for _, q := range []string{"p10", "p25", "median", "p75", "p90"} {
				computed[q] = c[q]
			}
		}
	}
	adjusted := func(by int64) map[string]any {
		out := map[string]any{}
		for q, v := range computed {
			n, _ := v.(json.Number).Int64()
			out[q] = n + by
		}
		return out
	}
	adjust := func(who, area string, by int64, reason string) answer {
		return w.post(who, path+"/adjustments", map[string]any{"version": 1, "cell": cellOf(area), "prices": adjusted(by), "reason": reason})
	}
	adjust("city", "320115", 2000, "地铁").rule(http.StatusUnprocessableEntity, "guidance.adjusted_too_far", "P-05", 1).is("errors.0.pointer", "/median")
	adjust("city", "320116", 1, "地铁").problem(http.StatusUnprocessableEntity, "guidance.unknown_cell").is("errors.0.pointer", "/cell")
	adjust("city", "320115", 1, "").problem(http.StatusUnprocessableEntity, "guidance.reason_required").is("errors.0.pointer", "/reason")
	falling := adjusted(0)
	falling["p90"] = 1
	w.post("city", path+"/adjustments", map[string]any{"version": 1, "cell": cellOf("320115"), "prices": falling, "reason": "x"}).
		problem(http.StatusUnprocessableEntity, "guidance.invalid_prices")
	w.post("city2", path+"/review", `{"version":1,"note":"ok"}`).want(http.StatusOK)
	adjust("city3", "320115", 100, "地铁开通后的实地调查").want(http.StatusOK)
	w.post("city2", path+"/approval", `{"version":1}`).problem(http.StatusConflict, "guidance.not_reviewed") // The review was of other prices.
	w.post("city3", path+"/review", `{"version":1}`).problem(http.StatusUnprocessableEntity, "guidance.four_eyes")
	w.post("city2", path+"/review", `{"version":1}`).want(http.StatusOK)
	w.post("city3", path+"/approval", `{"version":1}`).problem(http.StatusUnprocessableEntity, "guidance.four_eyes")
	w.post("city2", path+"/approval", `{"version":1}`).want(http.StatusOK)
	adjust("city", "320115", 50, "再调").problem(http.StatusConflict, "guidance.already_published")
	public := w.get("", guidancePrices+"?area=320115").want(http.StatusOK).is("cells.0.adjusted", true).is("adjustments.0.reason", "地铁开通后的实地调查")
	if public.at("adjustments.0.adjusted_by") != nil || w.get("city", guidancePrices).text("adjustments.0.adjusted_by") == "" {
		t.Error("who adjusted is for regulators")
	}

	// Contracts signed under it, and how it did.
	flat := w.home("3")
	lease := w.filed(flat, "landlord", "tenant", map[string]any{"signed_on": "2026-07-02", "start": "2026-08-01", "end": "2027-07-31", "monthly_rent_fen": 330000})
	w.get("tenant", "/v1/contracts/"+lease).is("guidance_version", "2026Q2/1")
	w.settled()
	w.get("landlord", path+"/backtest").problem(http.StatusForbidden, "auth.forbidden")
	w.get("auditor", path+"/backtest?version=2").want(http.StatusNotFound)
	w.get("district", path+"/backtest").want(http.StatusOK).is("overall.n", 1).is("cells.0.n", 1).is("target_bp", 8000).is("cells.0.area", "320115004")

	contest(t, w, path)

	// The revision follows the upheld objection, and closes the version before.
	upheld := w.get("", path+"/objections?state=UPHELD").want(http.StatusOK).text("items.0.id")
	w.proposes("2026Q2", 2, map[string]any{"answers": []string{"nobody"}}).problem(http.StatusNotFound, "guidance.objection_not_found").is("errors.0.pointer", "/answers/0")
	w.proposes("2026Q2", 2, map[string]any{"answers": []string{upheld}}).want(http.StatusCreated)
	w.approves("2026Q2", 2)
	w.get("", path+"/objections?state=REVISED").want(http.StatusOK).is("items.0.id", upheld).is("items.0.revised_by", 2)
	w.get("", path).want(http.StatusOK).is("versions.0.until", civil(w.today()).AddDays(-1).String()).is("versions.1.answers.0", upheld)
	w.get("tenant", "/v1/contracts/"+lease).is("guidance_version", "2026Q2/1")

	// Two persons withdraw it; then nothing is in force.
	w.post("city2", path+"/withdrawal-approval", `{"version":2}`).problem(http.StatusNotFound, "guidance.not_found")
	w.post("city", path+"/withdrawal", `{"version":1,"reason":"错"}`).problem(http.StatusConflict, "guidance.closed")
	w.post("city", path+"/withdrawal", `{"version":2,"reason":"样本有误"}`).want(http.StatusOK)
	w.post("city", path+"/withdrawal-approval", `{"version":2}`).problem(http.StatusUnprocessableEntity, "guidance.four_eyes")
	w.post("city2", path+"/withdrawal-approval", `{"version":2}`).want(http.StatusOK)
	w.get("", guidancePrices).want(http.StatusOK).is("version", 2).is("withdrawn", "样本有误") // Its last day.
	w.onDay(civil(w.today()).AddDays(1).String())
	w.get("", guidancePrices).want(http.StatusNotFound)
	w.get("", guidancePrices+"/estimate?area=city&let_mode=WHOLE&area_c=8000&fitout=SIMPLE").
		problem(http.StatusNotFound, "guidance.no_price").is("params.reason", "NONE_IN_FORCE")
}

// contest files three objections to version 1, upholds one, dismisses one, and lets one go overdue.
func contest(t *testing.T, w *world, path string) {
	t.Helper()
	object := func(who string, area, reason string) answer {
		return w.post(who, path+"/objections", map[string]any{"version": 1, "cell": cellOf(area), "reason": reason, "evidence": []string{strings.Repeat("0a", 32)}})
	}
	object("tenant", "320116", "没有这个单元").problem(http.StatusUnprocessableEntity, "guidance.unknown_cell")
	object("tenant", "320115", " ").want(http.StatusBadRequest)
	w.post("", guidancePrices+"/2019Q1/objections", map[string]any{"version": 1, "cell": cellOf("city"), "reason": "x"}).want(http.StatusNotFound)
	one := object("tenant", "320115", "本街道多为老旧小区，联系人张三").want(http.StatusCreated).text("id")
	object("tenant", "320115", "又一次").problem(http.StatusConflict, "guidance.already_objected").is("params.objection", one)
	two := object("", "city", "全市中位价偏高").want(http.StatusCreated).text("id")
	three := object("landlord", "city", "偏低").want(http.StatusCreated).text("id")

	list := w.get("", path+"/objections").want(http.StatusOK).is("items.0.id", one).is("items.0.state", "FILED").is("items.0.reason", nil).is("items.0.party_id", nil)
	w.get("tenant2", path+"/objections").is("items.0.reason", nil)
	w.get("tenant", path+"/objections").is("items.0.reason", "本街道多为老旧小区，联系人张三").is("items.1.reason", nil)
	w.get("district", path+"/objections").is("items.1.reason", "全市中位价偏高")
	for _, e := range w.events("guidance-2026Q2", 0) {
		if strings.Contains(string(e.Data), "张三") {
			t.Error("the log has what an objector wrote in clear")
		}
	}
	answer := func(who, id string, uphold bool, reason string) answer {
		return w.post(who, path+"/objections/"+id+"/answer", map[string]any{"uphold": uphold, "reason": reason})
	}
	answer("district", one, true, "x").problem(http.StatusForbidden, "auth.forbidden")
	answer("city", "nobody", true, "x").problem(http.StatusNotFound, "guidance.objection_not_found")
	answer("city", one, true, "").problem(http.StatusUnprocessableEntity, "guidance.reason_required")
	answer("city", one, true, "经核查该单元含异常样本").want(http.StatusOK)
	answer("city", one, false, "不成立").problem(http.StatusConflict, "guidance.objection_answered")
	answer("city", two, false, "样本充足，测算无误").want(http.StatusOK)
	w.get("", path+"/objections").is("items.1.state", "DISMISSED").is("items.1.answer.reason", "样本充足，测算无误").is("items.1.answer.answered_by", "")

	by := civil(list.text("items.2.answer_by"))
	w.onDay(by.String())
	w.settled()
	w.get("", path+"/objections").is("items.2.state", "FILED")
	w.onDay(by.AddDays(1).String())
	w.eventually("the objection is overdue", func() bool { return w.get("", path+"/objections").at("items.2.state") == "OVERDUE" })
	answer("city2", three, false, "逾期答复：样本充足").want(http.StatusOK)
	w.get("", path+"/objections?state=OVERDUE").want(http.StatusOK).is("items.0.id", nil)
	w.onDay("2026-08-31")
	object("tenant2", "city", "晚了").want(http.StatusCreated)
	w.onDay("2026-09-01")
	object("tenant2", "320115", "晚了").rule(http.StatusUnprocessableEntity, "guidance.objection_too_late", "P-06", 1)
}

// TestScenarioWhatOneHomeIsPricedAt asks for homes with and without a price.
func TestScenarioWhatOneHomeIsPricedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-07-02")
	w.cast()
	start, err := domain.ParseMonth("2026-04")
	if err != nil {
		t.Fatal(err)
	}
	w.lettings(start, 3)
	w.publishes("2026Q2", 1)
	const path = guidancePrices + "/estimate?"
	one := w.get("", path+"area=320115004&let_mode=WHOLE&area_c=8500&fitout=SIMPLE").want(http.StatusOK).is("version", 1).is("cell.area", "320115004").is("asked.size_band", "70-90")
	if m, per := one.num("monthly.median_fen"), one.num("cell.median"); m != per*85 {
		t.Errorf("%d a month at %d per ㎡", m, per)
	}
	if n := len(one.list("comparables")); n < 3 {
		t.Errorf("%d comparables: %s", n, one.body)
	}
	// Another street of the unit has no cell: its unit's; of a unit without one the city's.
	w.get("", path+"area=320115&let_mode=WHOLE&size_band=70-90&fitout=SIMPLE").want(http.StatusOK).is("cell.area", "320115").is("monthly", nil)
	w.get("", path+"area=320102&let_mode=WHOLE&size_band=70-90&fitout=SIMPLE").want(http.StatusOK).is("cell.area", "city").is("from", "city")
	w.get("", path+"area=city&let_mode=BY_BED&size_band=70-90&fitout=SIMPLE").problem(http.StatusNotFound, "guidance.no_price").is("params.reason", "NO_CELL")
	w.get("", path+"area=city&let_mode=WHOLE&size_band=70-90&fitout=SIMPLE&on=2026-07-01").problem(http.StatusNotFound, "guidance.no_price").is("params.reason", "NONE_IN_FORCE")
	for _, bad := range []string{
		"area=320115004&let_mode=WHOLE", "area=999999&let_mode=WHOLE&area_c=1", "let_mode=WHOLE&area_c=1", "area=city&area_c=8000",
		"area=city&let_mode=WHOLE&area_c=0", "area=city&let_mode=WHOLE&area_c=1e9", "area=city&let_mode=WHOLE&size_band=big", "area=320115999&let_mode=WHOLE&area_c=1",
	} {
		w.get("", path+bad).problem(http.StatusBadRequest, "request.parameter")
	}
	f := w.home("3")
	w.get("", path+"let_mode=WHOLE&unit_id="+f.id).want(http.StatusNotFound)
	w.get("tenant", path+"let_mode=WHOLE&unit_id="+nobody).problem(http.StatusNotFound, "resource.not_found")
	w.get("tenant", path+"let_mode=WHOLE&unit_id="+f.id).want(http.StatusOK).is("cell.area", "320115004")
	w.get("tenant", path+"let_mode=BY_ROOM&unit_id="+f.id).problem(http.StatusBadRequest, "request.parameter") // Of which area?

	// A listing is held to the price in force (L-09): far from it, it is marked and not refused.
	for rent, far := range map[int]bool{340000: false, 900000: true} {
		home := w.home(fmt.Sprint("L", rent))
		id := w.post("landlord", "/v1/listings", fmt.Sprintf(`{"unit_id":%q,"let_mode":"WHOLE","rent_fen":%d}`, home.id, rent)).want(http.StatusCreated).text("id")
		w.post("landlord", "/v1/listings/"+id+"/submission", nil).want(http.StatusOK)
		results := w.ruleResults("listing-"+id, "listing.verified")
		if slices.Contains(results, "L-09@1 ALERT") != far || !slices.Contains(results, "L-09b@1 ANNOTATE") {
			t.Errorf("at %d fen: %v", rent, results)
		}
	}
}

// TestScenarioADatedRuleMakesTheDraft changes P-02 and P-03: from that day on drafts follow, and not before.
func TestScenarioADatedRuleMakesTheDraft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldDay)
	start, err := domain.ParseMonth("2026-04")
	if err != nil {
		t.Fatal(err)
	}
	w.lettings(start, 3)
	draft := func(on string) answer {
		return w.get("city", guidancePrices+"/draft?period=2026Q2&on="+on).want(http.StatusOK)
	}
	before := draft(worldDay).is("parameters.show", "P-02@1").is("parameters.min_contracts", 10)
	w.onDay("2026-11-24")
	w.changeRule("P-02", map[string]any{"min_contracts": 50})
	if n := len(draft("2026-11-24").is("parameters.show", "P-02@2").list("cells")); n != 5 {
		t.Errorf("%d cells", n)
	}
	draft("2026-11-24").is("cells.1.borrowed_from", "city").is("cells.1.reason", "TOO_FEW_CONTRACTS")
	if again := draft(worldDay); again.text("inputs") != before.text("inputs") || again.at("cells.1.borrowed_from") != nil {
		t.Errorf("the day before follows too: %s", again.body)
	}
	w.changeRule("P-03", map[string]any{"window_months": 1})
	draft("2026-11-24").is("from", "2026-06").is("to", "2026-06")
	w.proposes("2026Q2", 1, map[string]any{"inputs": before.text("inputs")}).problem(http.StatusConflict, "guidance.stale_draft")
	w.changeRule("P-03", map[string]any{"window_months": 0})
	w.get("city", guidancePrices+"/draft?period=2026Q2").problem(http.StatusUnprocessableEntity, "guidance.invalid_parameters").is("params.parameter", "window_months")
	w.get("city", guidancePrices+"/draft?period=2026Q2&on=2020-01-01").problem(http.StatusUnprocessableEntity, "guidance.invalid_parameters")
}
