package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zujian/cmd/zujian/internal/wallclock"
	"zujian/eventstore"
	"zujian/eventstore/register"
)

// dates is the guard of what is done by date. A demo city is nobody's register: it may lie for months, and goes by the
// clock as it is; then, and where no processes run, there is none.
func (h *house) dates(g *globals, r role, reg *register.Register) (*wallclock.Guard, error) {
	if !r.is(roleReact) || isDemo(g.Data) {
		return nil, nil
	}
	o := wallclock.Options{Now: g.Now, Slept: wallclock.Slept, Dir: g.Data, Logger: g.Log}
	for last, err := range h.store.AllBack(g.Ctx, eventstore.LastPosition) {
		if err != nil {
			return nil, fmt.Errorf("read the last event: %w", err)
		}
		o.Last = last.StoredAt
		break
	}
	if reg != nil {
		o.Agreed = func() time.Time { return reg.Status().AgreedAt }
	}
	return wallclock.Open(o), nil
}

// clockMetrics adds how the clock stands to what /metrics shows.
func clockMetrics(reg *prometheus.Registry, d *wallclock.Guard) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zujian_clock_held", Help: "1 while nothing is done by the clock's date, because it has leapt and nobody has confirmed it."},
			func() float64 { held, _ := d.Status(); return boolean(held) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zujian_clock_ahead_seconds", Help: "How far the clock is ahead of the time that is believed."},
			func() float64 { _, ahead := d.Status(); return ahead.Seconds() }),
	)
}

// clockCmd says how the clock stands, and confirms it.
type clockCmd struct {
	Confirm bool `help:"The clock of this machine is right, though it has leapt: what is done by date goes on. It may be said while the server runs."`
}

// Run implements the command.
func (c *clockCmd) Run(g *globals) error {
	now := g.Now().Round(0)
	n, err := wallclock.Read(g.Data)
	if err == nil && c.Confirm {
		err = wallclock.Confirm(g.Data, now)
	}
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(map[string]any{"clock": now, "believed": n.Believed, "held": n.Held, "confirmed": c.Confirm})
	}
	fmt.Fprintf(g.Stdout, "clock     %s\n", now.Format(time.RFC3339))
	switch {
	case n.Believed.IsZero():
		fmt.Fprintln(g.Stdout, "no server has noted the time in this folder yet")
	case n.Held:
		fmt.Fprintf(g.Stdout, "believed  %s: the clock was %v ahead, and nothing is done by its date\n", n.Believed.Format(time.RFC3339), n.Ahead.Round(time.Second))
	default:
		fmt.Fprintf(g.Stdout, "believed  %s, when a server last looked\n", n.Believed.Format(time.RFC3339))
	}
	if c.Confirm {
		fmt.Fprintln(g.Stdout, "confirmed: what is done by date goes on within a minute, or with the next start")
	}
	return nil
}
