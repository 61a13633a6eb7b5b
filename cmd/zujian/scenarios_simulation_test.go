package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"zujian/api/whatif"
	"zujian/projections/rentindex"
)

// nothingSimulated simulates the rules that were in force over a register: every decision it holds MUST come out as it was
// recorded, to the byte. Every scenario ends with it.
func nothingSimulated(h *house) error {
	ctx := context.Background()
	s, err := whatif.Begin(ctx, whatif.Options{
		Desk: h.desk, Store: h.store, Catalogue: h.catalogue, Index: rentindex.Projection{Model: h.city.Model}, Workers: 1,
	}, whatif.Request{})
	if errors.Is(err, whatif.ErrPeriod) {
		return nil
	}
	if err != nil {
		return err
	}
	res, err := s.Run(ctx)
	switch {
	case errors.Is(err, whatif.ErrPeriod):
		return nil
	case err != nil:
		return err
	case res.Check.Otherwise > 0:
		return fmt.Errorf("of %d decisions some are not taken again as recorded: %v", res.Decisions, res.Check.Examples)
	case len(res.Effects) > 0:
		return fmt.Errorf("nothing was changed, and it has effects: %+v", res.Effects)
	}
	return nil
}

// simulated waits until a simulation works no more.
func (w *world) simulated(id string) answer {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		a := w.get("city", "/v1/simulations/"+id).want(http.StatusOK)
		if a.text("state") != "RUNNING" {
			return a
		}
		if time.Now().After(end) {
			w.t.Fatalf("it still works: %s", a.body)
		}
	}
}

func TestSimulationOverHTTP(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	for i, f := range w.building("3", 3) {
		w.owned(f, "landlord")
		w.filed(f, "landlord", "tenant", map[string]any{"monthly_rent_fen": 300_000 + 100_000*i, "deposit_fen": 300_000})
	}
	head := w.get("auditor", "/v1/events?limit=200").list("items")
	rule := `{"id":"X-01","version":1,"title_zh":"租金上限","title_en":"ceiling","source":"TEST","article":"1","effective_from":"2026-01-01","status":"ACTIVE",
		"stages":["CONTRACT_SIGN"],"predicate":[">","$lease.monthly_rent_fen",350000],"outcome":"REJECT","severity":3,"code":"rule.violated","message_zh":"高","message_en":"high"}`
	begun := w.post("city", "/v1/simulations", `{"rules":{"add":[`+rule+`]},"refused":"capped"}`).want(http.StatusAccepted)
	id := begun.text("id")
	if got := begun.header.Get("Location"); got != "/v1/simulations/"+id {
		t.Errorf("it is read at %q", got)
	}
	done := w.simulated(id).is("state", "DONE").is("result.subjects", 2).is("result.check.otherwise", 0).is("result.effects.0.effect", "refused").
		is("result.effects.0.subjects", 2).is("result.changed.0.rule", "X-01").is("result.cases.0.cap_fen", 350_000).is("result.by_report_unit.0.subjects", 2)
	again := w.simulated(w.post("city2", "/v1/simulations", `{"rules":{"add":[`+rule+`]},"refused":"capped"}`).want(http.StatusAccepted).text("id"))
	_, one, _ := strings.Cut(string(done.body), `"result":`)
	_, two, _ := strings.Cut(string(again.body), `"result":`)
	if one == "" || one != two {
		t.Errorf("asked again it is another:\n%s\n%s", one, two)
	}
	w.get("city2", "/v1/simulations").want(http.StatusOK).is("items.1.id", id).is("items.1.state", "DONE")
	if csv := w.get("city", "/v1/simulations/"+id+"?format=csv").want(http.StatusOK); strings.Count(string(csv.body), "refused") < 2 {
		t.Errorf("the cases: %s", csv.body)
	}
	if svg := w.get("city", "/v1/simulations/"+id+"?format=svg").want(http.StatusOK); !strings.HasPrefix(string(svg.body), "<svg") {
		t.Errorf("the picture: %.100s", svg.body)
	}
	if after := w.get("auditor", "/v1/events?limit=200").list("items"); len(after) != len(head) {
		t.Errorf("the log went from %d to %d events", len(head), len(after))
	}

	w.post("city", "/v1/simulations", `{"rules":{"change":[{"id":"M-01","params":{"op":3}}]}}`).problem(http.StatusUnprocessableEntity, "simulation.invalid_rules").
		is("errors.0.pointer", "/rules/change/0/params/op").is("params.id", "M-01")
	w.post("city", "/v1/simulations", `{"rules":{"remove":["Z-09"]}}`).problem(http.StatusUnprocessableEntity, "simulation.invalid_rules").is("errors.0.pointer", "/rules/remove/0")
	w.post("city", "/v1/simulations", `{"guidance":{"cells":[]}}`).problem(http.StatusUnprocessableEntity, "simulation.invalid_guidance").is("errors.0.pointer", "/guidance/cells")
	w.post("city", "/v1/simulations", `{"from":"2027-01-01"}`).problem(http.StatusUnprocessableEntity, "simulation.invalid_period").is("errors.0.pointer", "/from")
	w.post("city", "/v1/simulations", `{"ceiling":"p90"}`).problem(http.StatusUnprocessableEntity, "simulation.invalid_option")
	w.post("city", "/v1/simulations", `{"swap":1}`).want(http.StatusBadRequest)
	w.post("district", "/v1/simulations", `{}`).problem(http.StatusForbidden, "auth.forbidden")
	w.get("auditor", "/v1/simulations/"+id).problem(http.StatusForbidden, "auth.forbidden")

	w.do("city", "DELETE", "/v1/simulations/"+id, nil).want(http.StatusOK)
	w.get("city", "/v1/simulations/"+id).problem(http.StatusNotFound, "resource.not_found")
	for range 9 { // The last eight are kept.
		w.simulated(w.post("city", "/v1/simulations", `{}`).want(http.StatusAccepted).text("id")).is("state", "DONE").is("result.subjects", 0)
	}
	if kept := w.get("city", "/v1/simulations").list("items"); len(kept) != 8 {
		t.Errorf("%d are kept", len(kept))
	}
}
