package main

import (
	"net/http"
	"testing"

	"zujian/domain"
)

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
	var cells []any
	for _, x := range draft.list("cells") {
		c, _ := x.(map[string]any)
		delete(c, "reason")
		delete(c, "shrunk")
		cells = append(cells, c)
	}
	if len(cells) != 5 {
		t.Fatalf("%d cells: %s", len(cells), draft.body)
	}
	w.post("city", "/v1/guidance-prices", map[string]any{
		"period": "2026Q2", "version": 1, "effective_from": w.today(), "cells": cells,
		"method": draft.text("method"), "inputs": draft.text("inputs"),
	}).want(http.StatusCreated)
	w.post("city2", "/v1/guidance-prices/2026Q2/approval", `{"version":1}`).want(http.StatusOK)
	published := w.get("", "/v1/guidance-prices?period=2026Q2").want(http.StatusOK).is("cells.0.n", 84)
	w.legacy(domain.Observation{
		Month: start, From: start, AreaC: 8000, RentFen: 300000, ReportUnit: "320115", Street: "320115004", LetMode: "WHOLE",
		SizeBand: domain.Size90, Fitout: "SIMPLE", Unit: "late", Lessor: "late",
	})
	w.settled()
	if after := w.get("city", path).want(http.StatusOK).is("cells.0.n", 85); after.text("inputs") == draft.text("inputs") {
		t.Error("another letting, the same inputs")
	}
	if again := w.get("", "/v1/guidance-prices?period=2026Q2"); string(again.body) != string(published.body) {
		t.Errorf("a published version changed: %s", again.body)
	}
}
