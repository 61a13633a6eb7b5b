package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zujian/cmd/zujian/internal/wallclock"
	"zujian/eventstore"
	"zujian/eventstore/register"
)

// dates is the guard of what is decided and done by date. A demo city is nobody's register: it may lie for months, and goes
// by the clock as it is; then, and where neither requests nor processes run, there is none.
func (h *house) dates(g *globals, r role, reg *register.Register) (*wallclock.Guard, error) {
	if !r.is(roleReact) && !r.is(roleAPI) || isDemo(g.Data) {
		return nil, nil
	}
	o := wallclock.Options{Now: g.Now, Slept: wallclock.Slept, Dir: g.Data, Logger: g.Log}
	if reg != nil {
		o.Agreed = func() time.Time { return reg.Status().AgreedAt }
	}
	guard, err := openGuard(g.Ctx, h.store, o)
	if err == nil {
		h.recorded.guard.Store(guard)
	}
	return guard, err
}

// openGuard opens the guard of a folder over a log.
func openGuard(ctx context.Context, log eventstore.Store, o wallclock.Options) (*wallclock.Guard, error) {
	for last, err := range log.AllBack(ctx, eventstore.LastPosition) {
		if err != nil {
			return nil, fmt.Errorf("read the last event: %w", err)
		}
		o.Last = last.StoredAt
		break
	}
	return wallclock.Open(o)
}

// trustClock refuses to write by the machine's clock while that is in doubt for the folder.
func (h *house) trustClock(g *globals) error {
	guard, err := h.dates(g, roleAll, nil)
	if err == nil && guard != nil && guard.Status().Doubted {
		err = errClockDoubted
	}
	return err
}

var errClockDoubted = errors.New("the clock is in doubt, having leapt or been set back since it was last believed here: set it right, or say `zujian clock --confirm`")

// recorder is the clock that a log records by: the machine's, or the guard's once there is one. Recorded time never goes
// back, so that one event under a clock that has leapt would hold it there.
type recorder struct {
	now   func() time.Time
	guard atomic.Pointer[wallclock.Guard]
}

func (r *recorder) Now() time.Time {
	if g := r.guard.Load(); g != nil {
		return g.Now()
	}
	return r.now()
}

// doubted tells that nobody can say what time it is.
func (r *recorder) doubted() bool {
	g := r.guard.Load()
	return g != nil && g.Status().Doubted
}

// clockMetrics adds how the clock stands to what /metrics shows.
func clockMetrics(reg *prometheus.Registry, d *wallclock.Guard) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zujian_clock_held", Help: "1 while nothing is done by the clock's date, because it has leapt and nobody has confirmed it."},
			func() float64 { return boolean(d.Status().Held) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zujian_clock_doubted", Help: "1 while no request is decided, because the clock has leapt or was set back and nobody has confirmed it."},
			func() float64 { return boolean(d.Status().Doubted) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zujian_clock_ahead_seconds", Help: "How far the clock is ahead of the time that is believed."},
			func() float64 { return d.Status().Ahead.Seconds() }),
	)
}

// clockCmd says how the clock stands, and confirms it.
type clockCmd struct {
	Confirm bool `help:"The clock of this machine is right, though it has leapt or was set back: requests are decided and what is due is done. It may be said while the server runs."`
}

// Run implements the command.
func (c *clockCmd) Run(g *globals) error {
	now := g.Now().Round(0)
	n, err := wallclock.Read(g.Data)
	if c.Confirm { // Whatever was noted.
		err = wallclock.Confirm(g.Data, now)
	}
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(g.Stdout).Encode(map[string]any{"clock": now, "believed": n.Believed, "held": n.Held, "doubted": n.Held || n.Behind, "confirmed": c.Confirm})
	}
	fmt.Fprintf(g.Stdout, "clock     %s\n", now.Format(time.RFC3339))
	switch {
	case n.Believed.IsZero():
		fmt.Fprintln(g.Stdout, "no server has noted the time in this folder yet")
	case n.Behind:
		fmt.Fprintf(g.Stdout, "believed  %s: the clock was %v behind, and nothing is decided by it\n", n.Believed.Format(time.RFC3339), -n.Ahead.Round(time.Second))
	case n.Held:
		fmt.Fprintf(g.Stdout, "believed  %s: the clock was %v ahead, and nothing is decided by it nor done by its date\n", n.Believed.Format(time.RFC3339), n.Ahead.Round(time.Second))
	default:
		fmt.Fprintf(g.Stdout, "believed  %s, when a server last looked\n", n.Believed.Format(time.RFC3339))
	}
	if c.Confirm {
		fmt.Fprintln(g.Stdout, "confirmed: all goes on by this clock within a minute, or with the next start")
	}
	return nil
}
