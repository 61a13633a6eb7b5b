package main

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/money"
)

// TestAShortfallIsRaisedJudgedAndCleared is a warning's whole life over HTTP: money goes from an operator's account, the
// next day's round says so with its evidence, regulators judge it, and the day after the money is back it clears.
func TestAShortfallIsRaisedJudgedAndCleared(t *testing.T) {
	w := newWorld(t, worldDay)
	w.cast()
	w.supervised("company", "bank", "district")
	f := w.home("3")
	head := w.filed(f, "landlord", "company", map[string]any{
		"kind": "HEAD", "sublease_consent": true, "end": "2028-12-31", "deposit_fen": 0, "pay_cycle_months": 1, "escrow": nil, "monthly_rent_fen": 300000,
	})
	contract := w.filed(f, "company", "tenant", map[string]any{
		"parent_id": head, "pay_cycle_months": 6, "escrow": map[string]any{"mode": "MANDATORY", "bank_id": w.ids["bank"]},
	})
	w.money("bank", "/v1/escrow/"+contract+"/receipts", `{"bank_txn_id":"R1","amount_fen":2450000,"value_date":"2026-11-23"}`).want(http.StatusCreated)
	statement := w.money("bank", "/v1/bank-statements", fmt.Sprintf(`{"date":"2026-11-23","opening_fen":0,"closing_fen":1450000,
		"lines":[{"txn_id":"R1","amount_fen":2450000,"value_date":"2026-11-23"},{"txn_id":"X1","amount_fen":-1000000,"value_date":"2026-11-23","contract_id":%q}]}`, contract)).
		want(http.StatusCreated).text("id")
	w.settled()
	firm := w.ids["company"]
	id := "SHORTFALL.operator." + firm
	w.get("city", "/v1/alerts/"+id).problem(http.StatusNotFound, "resource.not_found") // This day's round was before it.
	w.round("2026-11-24")
	a := w.get("city", "/v1/alerts/"+id).want(http.StatusOK).is("level", "RED").is("since", "2026-11-24").is("subject.district", "320115").
		is("evidence.value", 5918).is("evidence.inputs.balance_fen", 1450000).is("evidence.inputs.liabilities_fen", 2450000).
		is("evidence.rule", "M-14").is("evidence.down.2", 10000).is("evidence.view", "money").is("episodes.0.from", "2026-11-24")

	// The board warns by the same limit, and anyone who replays the log to the evidence's position finds its figures.
	w.get("city", "/v1/views/money/boards?kind=party&id="+firm).want(http.StatusOK).is("items.0.shortfall_level", "RED").is("items.0.coverage_bp", 5918)
	r, err := projections.Replay(t.Context(), w.house.store, w.house.catalogue, money.Projection{}, eventstore.Position(a.num("evidence.position")))
	if err != nil {
		t.Fatal(err)
	}
	boards, _, err := money.Boards(t.Context(), r, projections.Scope{All: true}, money.Judge{}, money.BoardParty, firm, civil("2026-11-24"), projections.Page{})
	if err != nil || len(boards) != 1 || boards[0].BalanceFen != 1450000 || boards[0].LiabilitiesFen != 2450000 {
		t.Errorf("replayed to the evidence: %+v %v", boards, err)
	}

	for _, who := range []string{"company", "bank", "landlord", "tenant"} {
		w.get(who, "/v1/alerts/"+id).problem(http.StatusForbidden, "auth.forbidden")
		w.get(who, "/v1/alerts/"+id+"/exposure").problem(http.StatusForbidden, "auth.forbidden")
	}
	w.get("xuanwu", "/v1/alerts/"+id).problem(http.StatusNotFound, "resource.not_found")
	w.get("district", "/v1/alerts?open=true&level=ORANGE&kind=operator").want(http.StatusOK).is("items.0.id", id)
	if rows := w.get("xuanwu", "/v1/alerts").want(http.StatusOK).list("items"); len(rows) != 0 {
		t.Errorf("another district sees %v", rows)
	}
	w.exposure(id, contract)
	if csv := string(w.get("city", "/v1/alerts?format=csv").want(http.StatusOK).body); !strings.Contains(csv, id+",SHORTFALL,risk,operator,"+firm+",RED,2026-11-24,5918,1,") {
		t.Errorf("table: %s", csv)
	}
	w.get("city", "/v1/alerts/health").want(http.StatusOK).is("items.0.subject.id", "city").is("items.0.score", 0).is("items.0.parts.0.inputs.0.indicator", "SHORTFALL").is("items.0.missing.0", "scale")
	if csv := string(w.get("district", "/v1/alerts/health?format=csv").want(http.StatusOK).body); !strings.Contains(csv, "320115,2026-11-24,0,2026-1,risk,25,0,SHORTFALL,RED,0") {
		t.Errorf("table: %s", csv)
	}
	w.get("xuanwu", "/v1/alerts/health?area=320115").problem(http.StatusNotFound, "resource.not_found")

	w.judged(id, firm)

	// The bank gives the money back: the account is covered again, exactly, which is no margin.
	w.money("bank", "/v1/bank-statements/"+statement+"/resolutions", `{"line":1,"classification":"BANK_ERROR","note":"误扣已退"}`).want(http.StatusOK)
	w.settled()
	w.round("2026-11-25")
	w.get("city", "/v1/alerts/"+id+"/changes").want(http.StatusOK).is("items.0.to", "RED").is("items.1.from", "RED").is("items.1.to", "YELLOW").is("items.1.evidence.value", 10000)
	w.get("city", "/v1/alerts/"+id+"?asOf=2026-11-24T12:00:00Z").want(http.StatusOK).is("level", "RED")

	// The limit is M-14's alone: when the city lowers it, the warning goes on the day it is in force, and the board with it.
	w.changeRule("M-14", map[string]any{"share_bp": 9000})
	w.round("2026-12-20")
	w.get("city", "/v1/alerts/"+id).want(http.StatusOK).is("level", "NONE").is("evidence.down.2", 9000).is("episodes.0.to", "2026-12-20")
	w.get("city", "/v1/views/money/boards?kind=party&id="+firm).want(http.StatusOK).is("items.0.shortfall_level", "NONE")
	indicators := w.get("auditor", "/v1/alerts/indicators").want(http.StatusOK)
	states := map[string]int{}
	for n := range indicators.list("items") {
		states[indicators.text(fmt.Sprintf("items.%d.state", n))]++
		if absent := indicators.at(fmt.Sprintf("items.%d.absent_zh", n)); (absent != nil) != (indicators.text(fmt.Sprintf("items.%d.state", n)) == "NO_FACTS") {
			t.Errorf("indicator %d has the reason %v", n, absent)
		}
	}
	if states["WATCHED"] != 25 || states["NO_FACTS"] != 6 {
		t.Errorf("indicators: %v", states)
	}
}

func (w *world) exposure(id, contract string) {
	w.t.Helper()
	e := w.get("district", "/v1/alerts/"+id+"/exposure?on=2026-12-15").want(http.StatusOK).is("sum.homes", 1).is("sum.tenants", 1).is("sum.owners", 1).
		is("sum.shortfall_fen", 1000000).is("items.0.contract", contract).is("items.0.supervised", true)
	if held := e.num("sum.deposits_fen") + e.num("sum.prepaid_fen"); held != 2450000 || held != e.num("items.0.held.deposit_fen")+e.num("items.0.held.prepaid_fen") {
		w.t.Errorf("held: %s", e.body)
	}
	csv := string(w.get("district", "/v1/alerts/"+id+"/exposure?on=2026-12-15&format=csv").want(http.StatusOK).body)
	if !strings.Contains(csv, contract) || strings.Count(csv, "\n") != 2 {
		w.t.Errorf("table: %s", csv)
	}
	w.get("city", "/v1/alerts/"+strings.Replace(id, "SHORTFALL", "OFF_ACCOUNT", 1)+"/exposure").problem(http.StatusNotFound, "resource.not_found")
}

// judged gives the alert a verdict and reports a case missed, by those who may and those who may not.
func (w *world) judged(id, firm string) {
	w.t.Helper()
	verdict := `{"verdict":"TRUE","note":"银行流水查实"}`
	w.post("company", "/v1/alerts/"+id+"/verdict", verdict).problem(http.StatusForbidden, "auth.forbidden")
	w.post("auditor", "/v1/alerts/"+id+"/verdict", verdict).problem(http.StatusForbidden, "auth.forbidden")
	w.post("xuanwu", "/v1/alerts/"+id+"/verdict", verdict).problem(http.StatusNotFound, "resource.not_found")
	w.post("city", "/v1/alerts/"+id+"/verdict", `{"verdict":"MAYBE","note":"x"}`).want(http.StatusBadRequest)
	w.post("city", "/v1/alerts/"+id+"/verdict", `{"verdict":"TRUE","note":"x","episode":2}`).problem(http.StatusNotFound, "alert.not_found")
	w.post("district", "/v1/alerts/"+id+"/verdict", verdict).want(http.StatusOK)
	miss := fmt.Sprintf(`{"indicator":"SHORTFALL","kind":"operator","subject_id":%q,"on":"2026-11-20","note":"投诉查实"}`, firm)
	w.post("xuanwu", "/v1/alerts/misses", miss).problem(http.StatusForbidden, "auth.out_of_area")
	w.post("city", "/v1/alerts/misses", strings.Replace(miss, "11-20", "11-24", 1)).problem(http.StatusConflict, "alert.was_raised")
	w.post("city", "/v1/alerts/misses", strings.Replace(miss, "11-20", "12-20", 1)).problem(http.StatusUnprocessableEntity, "alert.invalid_miss")
	w.post("city", "/v1/alerts/misses", strings.Replace(miss, "SHORTFALL", "NOTHING", 1)).want(http.StatusBadRequest)
	w.post("city", "/v1/alerts/misses", strings.Replace(miss, firm, "nobody", 1)).want(http.StatusBadRequest)
	w.post("city", "/v1/alerts/misses", miss).want(http.StatusCreated).is("id", id)
	w.settled()
	w.get("city", "/v1/alerts/quality").want(http.StatusOK).is("items.0.indicator", "SHORTFALL").is("items.0.true", 1).is("items.0.missed", 1).
		is("items.0.precision.bp", 10000).is("items.0.recall.bp", 5000).is("items.0.recall.of", 2)
	w.get("city", "/v1/alerts/"+id).want(http.StatusOK).is("episodes.0.verdict", "TRUE").is("missed.0.on", "2026-11-20")
}

// round lets the day pass to another and waits until that was evaluated.
func (w *world) round(day string) {
	w.t.Helper()
	w.onDay(day)
	w.eventually("the round of "+day, func() bool {
		return w.get("city", "/v1/alerts/indicators").text("last_round.day") == day
	})
	w.settled()
}

// TestAJumpOfTheIndexIsSeen lets rents stand still for three years and a half but for small changes, and jump by 6 % in the
// last month that is over: the monthly change, its outlier test and the drift of the series all say so, of the city and of
// the unit it happened in, and of nothing else.
func TestAJumpOfTheIndexIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldDay)
	w.officers()
	const months = 42
	last := civil(worldDay).Month() - 1
	for i := range months {
		for home := range 80 {
			unit := []string{"320115", "320104"}[home%2]
			log := 0.002*float64(i*7%5) + 0.002*float64(home%6)
			if i == months-1 && unit == "320115" {
				log += 0.06
			}
			w.legacy(domain.Observation{
				Month: last + 1 - months + domain.Month(i), From: last, To: last + 11, AreaC: 8000, ReportUnit: unit, Street: unit + "004", AdminCode: unit,
				LetMode: "WHOLE", Bedrooms: 2, SizeBand: domain.Size90, Fitout: "SIMPLE", Lessor: fmt.Sprint("lessor-", home%14),
				RentFen: domain.Fen(math.Round(3_000_000 * math.Exp(log))),
			})
		}
	}
	w.settled()
	w.round("2026-11-24")
	series := w.get("", "/v1/rent-index?area=320115").want(http.StatusOK)
	bp := series.real(fmt.Sprintf("series.%d.month_adjusted_bp", months-1))
	for _, indicator := range []string{"INDEX_MONTHLY", "INDEX_OUTLIER", "INDEX_DRIFT"} {
		w.get("city", "/v1/alerts/"+indicator+".unit.320115").want(http.StatusOK)
		for _, calm := range []string{"320104", "320102"} { // In the one rents stood still, in the other nothing is let.
			w.get("city", "/v1/alerts/"+indicator+".unit."+calm).problem(http.StatusNotFound, "resource.not_found")
		}
	}
	w.get("city", "/v1/alerts/INDEX_MONTHLY.unit.320115").want(http.StatusOK).is("level", "RED")
	w.get("city", "/v1/alerts/INDEX_MONTHLY.city.city").want(http.StatusOK).is("level", "ORANGE") // Half of it, over half the homes.
	a := w.get("city", "/v1/alerts/INDEX_MONTHLY.unit.320115").want(http.StatusOK)
	if v := a.num("evidence.value"); math.Abs(float64(v)-bp) > 0.51 || a.num("evidence.figure.n") < 30 || a.num("evidence.figure.se") == 0 {
		t.Errorf("the index changed by %v bp, the warning says %s", bp, a.body)
	}
	w.get("city", a.text("evidence.rows")).want(http.StatusOK) // The rows behind it can be read where it says.
}
