package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/process"
)

// TestDashboardNamesRealMetrics holds the dashboard and the alerts of deploy/ to what /metrics shows.
func TestDashboardNamesRealMetrics(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	p := startServer(t, t.TempDir())
	p.must(t, 200, "GET", "/v1/rules", "", nil)
	shown := ""
	for deadline := time.Now().Add(time.Minute); !strings.Contains(shown, "\nzujian_view_up{") && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		shown = string(p.must(t, 200, "GET", "/metrics", "", nil).body) // Views begin after the server answers.
	}
	if want := fmt.Sprintf("\ngo_sched_gomaxprocs_threads %d\n", runAtOnce()); os.Getenv("GOMAXPROCS") == "" && !strings.Contains(shown, want) {
		t.Errorf("the process does not say%sbut %s", want, regexp.MustCompile(`(?m)^go_sched_gomaxprocs_threads .*`).FindString(shown))
	}
	drawn := ""
	named := regexp.MustCompile(`\b(zujian|process|go)_[a-z_]+\b`)
	for _, file := range []string{"../../deploy/grafana.json", "../../deploy/alerts.yaml"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		drawn += string(raw)
		names := named.FindAllString(string(raw), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !strings.Contains(shown, "\n"+name+" ") && !strings.Contains(shown, "\n"+name+"{") {
				t.Errorf("%s: there is no %s", file, name)
			}
		}
	}
	for _, name := range regexp.MustCompile(`(?m)^zujian_register_[a-z_]+`).FindAllString(shown, -1) {
		if !regexp.MustCompile(name + `\b`).MatchString(drawn) {
			t.Errorf("neither the dashboard nor an alert names %s", name)
		}
	}
}

// standing is views that stand as it says.
type standing []projections.Status

func (standing) Run(context.Context, []projections.Projection) error        { return nil }
func (standing) WaitFor(context.Context, string, eventstore.Position) error { return nil }
func (s standing) Status() []projections.Status                             { return s }

// TestMetricsOfViewsBeingBuilt: a view that nobody can read yet shows how it stands, and one built beside the one in use does not.
func TestMetricsOfViewsBeingBuilt(t *testing.T) {
	h := &house{runner: standing{
		{Name: "fresh", State: projections.StateBuilding, LagEvents: 5},
		{Name: "again", State: projections.StateLive, Active: true, LagEvents: 0},
		{Name: "again", State: projections.StateBuilding, LagEvents: 7},
	}}
	all, err := newRegistry(h, &process.Runner{}, clock).Gather()
	if err != nil {
		t.Fatal(err)
	}
	lag := map[string]float64{}
	for _, f := range all {
		if f.GetName() != "zujian_view_lag_events" {
			continue
		}
		for _, m := range f.GetMetric() {
			lag[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	if len(lag) != 2 || lag["fresh"] != 5 || lag["again"] != 0 {
		t.Errorf("lag of views: %v", lag)
	}
}
