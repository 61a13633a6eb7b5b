package alerts_test

import (
	"slices"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
	"zujian/projections/alerts"
	"zujian/projections/projectiontest"
)

var (
	at    = time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)
	day   = domain.Date(2026, time.November, 20)
	all   = projections.Scope{All: true}
	north = projections.Scope{District: "320115"}
	south = projections.Scope{District: "320102"}
	firm  = alert.Subject{Kind: alert.Operator, ID: "o1", District: "320115"}
	unit  = alert.Subject{Kind: alert.Unit, ID: "320102", District: "320102"}
	whole = alert.Subject{Kind: alert.City, ID: alert.City}
)

func scenario() *projectiontest.Log {
	l := &projectiontest.Log{}
	proof := func(value int64) alert.Evidence {
		return alert.Evidence{Value: value, Figure: alert.Figure{Num: value, Den: 10_000, N: 40}, Book: "1", View: "money", ViewVersion: 3, Position: 7}
	}
	add := func(indicator string, s alert.Subject, events ...domain.Event) {
		l.Add("alert-"+alert.ID(indicator, s), at, events...)
	}
	add("SHORTFALL", firm,
		alert.Raised{Episode: 1, Subject: firm, Indicator: "SHORTFALL", Dimension: "risk", Level: alert.Orange, Day: day - 9, Evidence: proof(9900)},
		alert.LevelChanged{Episode: 1, From: alert.Orange, To: alert.Red, Day: day - 8, Evidence: proof(9000)},
		alert.Judged{Episode: 1, Verdict: alert.False, On: day - 7, By: "k1", Note: "误报"},
		alert.Cleared{Episode: 1, From: alert.Red, Day: day - 3, Evidence: proof(11000)},
		alert.Raised{Episode: 2, Subject: firm, Indicator: "SHORTFALL", Dimension: "risk", Level: alert.Red, Day: day, Evidence: proof(8000)},
		alert.Judged{Episode: 1, Verdict: alert.Unclear, On: day, By: "k1", Note: "存疑"},
		alert.Judged{Episode: 2, Verdict: alert.True, On: day, By: "k1", Note: "查实"})
	add("SHORTFALL", unit,
		alert.Raised{Episode: 1, Subject: unit, Indicator: "SHORTFALL", Dimension: "risk", Level: alert.Blue, Day: day, Evidence: proof(10400)},
		alert.Judged{Episode: 1, Verdict: alert.False, On: day, By: "k2", Note: "误报"},
		alert.Missed{Subject: unit, Indicator: "SHORTFALL", Dimension: "risk", On: day - 30, By: "k2", Note: "漏报"})
	add("OFF_ACCOUNT", firm, alert.Missed{Subject: firm, Indicator: "OFF_ACCOUNT", Dimension: "risk", On: day, By: "k1", Note: "漏报"})
	add("INDEX_YEARLY", whole, alert.Raised{Episode: 1, Subject: whole, Indicator: "INDEX_YEARLY", Dimension: "price", Level: alert.Yellow, Day: day, Evidence: proof(900)})
	score := func(d domain.Day, n int64) {
		l.Add("alert-"+alert.HealthID(unit), at, alert.HealthScored{Subject: unit, Book: "1", Day: d, Score: n, Parts: []alert.Part{{Dimension: "risk", Weight: 25, Score: n}}})
	}
	score(day-20, 9000)
	score(day-10, 8000)
	score(day-2, 7000)
	l.Add("alert-"+alert.RoundID(day.Month()), at, alert.RoundDone{Day: day - 1, Book: "1", Judged: 4}, alert.RoundDone{Day: day, Book: "1", Judged: 5})
	return l
}

func ids(t *testing.T, r projections.Reader, s projections.Scope, f alerts.Filter) (out []string) {
	t.Helper()
	rows, _, err := alerts.List(t.Context(), r, s, f, projections.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		out = append(out, row.ID)
	}
	return out
}

func TestView(t *testing.T) {
	r := projectiontest.Laws(t, alerts.Projection{}, scenario())
	projectiontest.Golden(t, r)
	yes, no := true, false
	for _, c := range []struct {
		name string
		s    projections.Scope
		f    alerts.Filter
		want []string
	}{
		{"all", all, alerts.Filter{}, []string{"INDEX_YEARLY.city.city", "OFF_ACCOUNT.operator.o1", "SHORTFALL.operator.o1", "SHORTFALL.unit.320102"}},
		{"raised", all, alerts.Filter{Open: &yes}, []string{"INDEX_YEARLY.city.city", "SHORTFALL.operator.o1", "SHORTFALL.unit.320102"}},
		{"only missed", all, alerts.Filter{Open: &no}, []string{"OFF_ACCOUNT.operator.o1"}},
		{"red", all, alerts.Filter{Level: alert.Red}, []string{"SHORTFALL.operator.o1"}},
		{"of units", all, alerts.Filter{Kind: alert.Unit}, []string{"SHORTFALL.unit.320102"}},
		{"of prices", all, alerts.Filter{Dimension: "price"}, []string{"INDEX_YEARLY.city.city"}},
		{"unjudged", all, alerts.Filter{Unjudged: true}, []string{"INDEX_YEARLY.city.city"}},
		{"a district's", north, alerts.Filter{}, []string{"OFF_ACCOUNT.operator.o1", "SHORTFALL.operator.o1"}},
		{"another's", south, alerts.Filter{}, []string{"SHORTFALL.unit.320102"}},
		{"the warned operator's", projections.Scope{Party: "o1"}, alerts.Filter{}, nil},
		{"nobody's", projections.Scope{}, alerts.Filter{}, nil},
	} {
		if got := ids(t, r, c.s, c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	row, ok, err := alerts.Of(t.Context(), r, north, "SHORTFALL.operator.o1")
	if err != nil || !ok || row.Level != alert.Red || row.Since != day || len(row.Episodes) != 2 || row.Evidence.Value != 8000 {
		t.Errorf("%+v %v %v", row, ok, err)
	}
	if e := row.Episodes; e[0].To != day-3 || e[0].Highest != alert.Red || e[0].Verdict != alert.Unclear || e[0].JudgedOn != day || e[1].Verdict != alert.True {
		t.Errorf("episodes: %+v", e)
	}
	changes, _, err := alerts.Changes(t.Context(), r, north, row.ID, projections.Page{})
	if err != nil || len(changes) != 4 || changes[1].From != alert.Orange || changes[1].To != alert.Red || changes[1].Evidence.Value != 9000 {
		t.Errorf("changes: %+v %v", changes, err)
	}
	if none, _, err := alerts.Changes(t.Context(), r, south, row.ID, projections.Page{}); err != nil || len(none) != 0 {
		t.Errorf("another's changes: %v %v", none, err)
	}
	if d, ok, err := alerts.LastRound(t.Context(), r); err != nil || !ok || d.Day != day || d.Judged != 5 {
		t.Errorf("last round: %+v %v %v", d, ok, err)
	}
}

func TestScores(t *testing.T) {
	r := projectiontest.Fold(t, alerts.Projection{}, scenario().Events, 3)
	for _, c := range []struct {
		s        projections.Scope
		from, to domain.Day
		want     []int64
	}{
		{all, day - 30, day, []int64{9000, 8000, 7000}},
		{all, day - 15, day - 5, []int64{9000, 8000}}, // That in force on the first day, too.
		{all, day - 10, day - 5, []int64{8000}},
		{all, day - 40, day - 30, nil},
		{south, day, day, []int64{7000}},
		{north, day - 30, day, nil},
	} {
		rows, err := alerts.Scores(t.Context(), r, c.s, unit, c.from, c.to)
		var got []int64
		for _, h := range rows {
			got = append(got, h.Score)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s to %s: %v %v, want %v", c.from, c.to, got, err, c.want)
		}
	}
}

func TestQuality(t *testing.T) {
	r := projectiontest.Fold(t, alerts.Projection{}, scenario().Events, 3)
	rows, err := alerts.Qualities(t.Context(), r, all)
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	if q := rows[0]; q.Indicator != "INDEX_YEARLY" || q.Raised != 1 || q.Unjudged != 1 || q.Precision != nil || q.Recall != nil {
		t.Errorf("unjudged: %+v", q)
	}
	if q := rows[1]; q.Precision != nil || q.Recall == nil || q.Recall.BP != 0 || q.Recall.Of != 1 {
		t.Errorf("only missed: %+v", q)
	}
	q := rows[2] // One TRUE, one FALSE, one UNCLEAR, one missed. Wilson's interval of 1 in 2 is 9.45 % to 90.55 %.
	if want := (alerts.Share{Of: 2, BP: 5000, LowBP: 945, HighBP: 9055}); q.Raised != 3 || q.Unclear != 1 || q.Precision == nil || *q.Precision != want || *q.Recall != want {
		t.Errorf("%+v %+v %+v", q, q.Precision, q.Recall)
	}
	if rows, err = alerts.Qualities(t.Context(), r, south); err != nil || len(rows) != 1 || rows[0].Raised != 1 || rows[0].Precision.BP != 0 {
		t.Errorf("of a district: %+v %v", rows, err)
	}
}
