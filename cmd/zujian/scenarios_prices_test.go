package main

import (
	"maps"
	"net/http"
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
