package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"zujian/eventstore/embedded"
	"zujian/projections"
)

// houseMetrics tells Prometheus how log, views and processes stand. The API adds its own; deploy/grafana.json draws them.
type houseMetrics struct {
	house   *house
	reactor reactor
	figures []houseFigure
	view    map[string]*prometheus.Desc
	process map[string]*prometheus.Desc
	webhook map[string]*prometheus.Desc
	now     func() time.Time
}

// houseFigure is one figure of the log.
type houseFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(embedded.Stats) float64
}

// newRegistry is what /metrics shows.
func newRegistry(h *house, reactor reactor, now func() time.Time) *prometheus.Registry {
	log := func(name, help string, kind prometheus.ValueType, of func(embedded.Stats) float64) houseFigure {
		return houseFigure{prometheus.NewDesc("zujian_log_"+name, help, nil, nil), kind, of}
	}
	of := func(part, label, name, help string) *prometheus.Desc {
		return prometheus.NewDesc("zujian_"+part+"_"+name, help, []string{label}, nil)
	}
	m := &houseMetrics{
		house: h, reactor: reactor, now: now, webhook: webhookFigures(),
		figures: []houseFigure{
			log("events", "Events in the log.", prometheus.GaugeValue, func(s embedded.Stats) float64 { return float64(s.Events) }),
			log("bytes", "Position of the log's end.", prometheus.GaugeValue, func(s embedded.Stats) float64 { return float64(s.Position) }),
			log("segments", "Segment files.", prometheus.GaugeValue, func(s embedded.Stats) float64 { return float64(s.Segments) }),
			log("groups_total", "Groups synced since the start.", prometheus.CounterValue, func(s embedded.Stats) float64 { return float64(s.Groups) }),
			log("appends_total", "Appends written since the start.", prometheus.CounterValue, func(s embedded.Stats) float64 { return float64(s.Appends) }),
			log("shed_total", "Appends refused because the queue was too old.", prometheus.CounterValue, func(s embedded.Stats) float64 { return float64(s.Shed) }),
			log("queued", "Appends waiting to be written.", prometheus.GaugeValue, func(s embedded.Stats) float64 { return float64(s.Queued) }),
			log("index_lag_bytes", "Bytes of log the index is behind.", prometheus.GaugeValue, func(s embedded.Stats) float64 { return float64(s.IndexLag) }),
			log("last_sync_seconds", "How long the last sync took.", prometheus.GaugeValue, func(s embedded.Stats) float64 { return s.LastSync.Seconds() }),
		},
		view: map[string]*prometheus.Desc{}, process: map[string]*prometheus.Desc{},
	}
	for name, help := range map[string]string{
		"lag_events": "Events it is behind the log.", "lag_seconds": "Age of the last event it read, while behind.",
		"up": "1 while it follows the log, 0 when it has stopped.",
	} {
		m.view[name], m.process[name] = of("view", "view", name, help), of("process", "process", name, help)
	}
	m.process["sent_total"] = of("process", "process", "sent_total", "Commands executed since the start.")
	m.process["rejected_total"] = of("process", "process", "rejected_total", "Commands refused since the start.")
	reg := prometheus.NewRegistry()
	reg.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Describe implements prometheus.Collector.
func (m *houseMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range m.figures {
		ch <- f.desc
	}
	for _, d := range m.view {
		ch <- d
	}
	for _, d := range m.process {
		ch <- d
	}
	for _, d := range m.webhook {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *houseMetrics) Collect(ch chan<- prometheus.Metric) {
	if m.house.log != nil { // Another engine has figures of its own.
		stats := m.house.log.Stats()
		for _, f := range m.figures {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(stats))
		}
	}
	stand, shown := m.house.runner.Status(), map[string]bool{} // One of each name: what is read, or else what is being built.
	for _, s := range stand {
		if s.Active || s.State != projections.StateBuilding {
			follow(ch, m.view, s)
			shown[s.Name] = true
		}
	}
	for _, s := range stand {
		if !shown[s.Name] {
			follow(ch, m.view, s)
			shown[s.Name] = true
		}
	}
	for _, s := range m.reactor.Status() {
		follow(ch, m.process, s.Status)
		ch <- prometheus.MustNewConstMetric(m.process["sent_total"], prometheus.CounterValue, float64(s.Sent), s.Name)
		ch <- prometheus.MustNewConstMetric(m.process["rejected_total"], prometheus.CounterValue, float64(s.Rejected), s.Name)
	}
	m.collectWebhooks(ch)
}

func webhookFigures() map[string]*prometheus.Desc {
	out := map[string]*prometheus.Desc{
		"attempts_total": prometheus.NewDesc("zujian_webhook_attempts_total",
			"Calls since the start: DELIVERED, RETRY (will be sent again) or DEAD (given up).", []string{"outcome"}, nil),
	}
	for name, help := range map[string]string{
		"endpoints": "Endpoints this process serves.", "waiting": "Messages read and not settled.",
		"lag_seconds": "Age of the oldest of them, of all endpoints; 0 if none waits.",
	} {
		out[name] = prometheus.NewDesc("zujian_webhook_"+name, help, nil, nil)
	}
	return out
}

// collectWebhooks tells of all endpoints together: there may be many.
func (m *houseMetrics) collectWebhooks(ch chan<- prometheus.Metric) {
	f := m.house.webhooks.Read(m.now())
	for outcome, n := range f.Attempts {
		ch <- prometheus.MustNewConstMetric(m.webhook["attempts_total"], prometheus.CounterValue, float64(n), string(outcome))
	}
	for name, v := range map[string]float64{"endpoints": float64(f.Endpoints), "waiting": float64(f.Waiting), "lag_seconds": f.Lag.Seconds()} {
		ch <- prometheus.MustNewConstMetric(m.webhook[name], prometheus.GaugeValue, v)
	}
}

func follow(ch chan<- prometheus.Metric, descs map[string]*prometheus.Desc, s projections.Status) {
	up := 1.0
	if s.State == projections.StateStopped {
		up = 0
	}
	for name, value := range map[string]float64{"lag_events": float64(s.LagEvents), "lag_seconds": s.LagSeconds, "up": up} {
		ch <- prometheus.MustNewConstMetric(descs[name], prometheus.GaugeValue, value, s.Name)
	}
}
