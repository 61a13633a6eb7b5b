// Package warnings is the process that evaluates the indicators (监测指标) once a day: it holds every figure that exists
// against its thresholds, looks at operators at risk, scores the health of each area, and closes the round. What changed
// becomes an event of package alert; a day on which nothing changed leaves the round alone.
//
// # Decisions
//
// The figures come from several views, which may not know each other: whoever starts the process composes them (Figures).
//
// A round is the first of a day that finds the process at the log's head. It is one piece of work that ends with its
// mark, and a day with its mark is over: cut off before, it begins again, by whichever process runs then, with the same
// command ids and deciders that change a level once a day. So no day raises an alert twice, and replaying the log needs no
// figure.
//
// A day that nobody ran on is not made up for: the views know the past by business days, not as they stood then. The
// watch's seven days count from the day a sign was first seen to the day it is looked at.
package warnings

import (
	"context"
	"fmt"
	"slices"
	"time"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/eventstore/aggregate"
	"zujian/projections"
	"zujian/projections/process"
)

// Reading is one figure of a subject, or why there is none.
type Reading struct {
	Indicator string
	Subject   alert.Subject
	Figure    alert.Figure
	Reason    string // Not "": there is nothing to judge, for this reason (alert.NoCurve, …).
	From, To  domain.Day
	Made      projections.Made
	Inputs    map[string]int64
	Rows      string // Path of the list behind it.
}

// Figures gives what is judged. Readings MUST know everything the log held when it was called.
type Figures interface {
	// Readings are the figures of a day, each indicator and subject once.
	Readings(ctx context.Context, book alert.Book, day domain.Day) ([]Reading, error)
	// Exposure is what an operator's break-down would hit on a day, and what it was read from.
	Exposure(ctx context.Context, operator string, day domain.Day) (alert.Exposure, projections.Made, error)
}

// Process is listed in cmd/zujian/registry.go.
type Process struct {
	Figures Figures
	Books   alert.Books
}

// Name of the process; it never changes.
func (Process) Name() string { return "warnings" }

// Version of what it keeps.
func (Process) Version() int { return 1 }

// Types it reacts to.
func (Process) Types() []string { return []string{alert.RoundDone{}.EventType()} }

// keyDone is the last day that was evaluated.
const keyDone = "done"

// React implements process.Process.
func (Process) React(_ context.Context, v projections.View, e projections.Event) ([]process.Outgoing, error) {
	done, ok := e.Event.(alert.RoundDone)
	if !ok {
		return nil, fmt.Errorf("warnings: unexpected %s", e.Type)
	}
	projections.Put(v, keyDone, done.Day)
	return nil, nil
}

// Resume implements process.Process.
func (p Process) Resume(ctx context.Context, r projections.Reader, now time.Time) ([]process.Outgoing, error) {
	today := domain.DayOf(now)
	done, err := projections.Get[domain.Day](ctx, r, keyDone)
	if _, ok := p.Books.On(today); err != nil || done >= today || !ok {
		return nil, err
	}
	return []process.Outgoing{{
		Target: aggregate.Stream(alert.Decider.Category, alert.RoundID(today.Month())), ID: today.String(),
		Run: func(ctx context.Context, r aggregate.Runner, b process.Base) error {
			return Round(ctx, r, b, p.Figures, p.Books, today)
		},
	}}, nil
}

// round is the work of one day.
type round struct {
	r       aggregate.Runner
	base    process.Base
	figures Figures
	book    alert.Book
	done    alert.RoundDone
	states  map[string]alert.State                   // By alert, as it stands after its evaluation.
	levels  map[alert.Subject]map[string]alert.Level // What was judged, by subject and indicator.
	order   []alert.Subject                          // Of levels.
}

// Round evaluates a day and closes it. The base's id names the day's work: the same id again writes nothing again.
func Round(ctx context.Context, r aggregate.Runner, b process.Base, f Figures, books alert.Books, day domain.Day) error {
	book, ok := books.On(day)
	if !ok {
		return nil
	}
	closed, _, err := aggregate.Load(ctx, r, alert.Decider, alert.RoundID(day.Month()))
	if err != nil || closed.Round >= day {
		return err
	}
	readings, err := f.Readings(ctx, book, day)
	if err != nil {
		return fmt.Errorf("read the figures of %s: %w", day, err)
	}
	w := round{
		r: r, base: b, figures: f, book: book, states: map[string]alert.State{}, levels: map[alert.Subject]map[string]alert.Level{},
		done: alert.RoundDone{Day: day, Book: book.Version, Unjudged: map[string]int64{}},
	}
	for _, x := range readings {
		if err := w.evaluate(ctx, x); err != nil {
			return err
		}
	}
	for _, s := range w.order {
		if s.Kind == alert.Operator {
			err = w.watch(ctx, s)
		} else {
			err = w.score(ctx, s)
		}
		if err != nil {
			return err
		}
	}
	_, err = w.decide(ctx, alert.RoundID(day.Month()), alert.CloseRound{Round: w.done})
	return err
}

// decide decides one command of the round and counts what it changed.
func (w *round) decide(ctx context.Context, id string, c alert.Command) (alert.State, error) {
	var s aggregate.Steps[alert.State, alert.Command, alert.Event]
	if err := s.Begin(ctx, w.r, alert.Decider, id); err != nil {
		return alert.State{}, err
	}
	before := s.Revision()
	b := w.base
	b.ID = aggregate.CommandID(w.base.ID, id)
	if err := s.Decide(process.Ask(b, c), b.Options); err != nil {
		return alert.State{}, err
	}
	if s.Revision() == before {
		return s.State(), nil
	}
	if _, err := s.Commit(ctx); err != nil {
		return alert.State{}, err
	}
	w.done.Changed++
	return s.State(), nil
}

func (w *round) evaluate(ctx context.Context, x Reading) error {
	i, ok := w.book.Indicator(x.Indicator)
	if !ok || i.AbsentEN != "" {
		return nil // This version of the book does not have it.
	}
	if p := uint64(x.Made.Position); w.done.Position == 0 || p < w.done.Position {
		w.done.Position = p
	}
	if w.levels[x.Subject] == nil {
		w.levels[x.Subject] = map[string]alert.Level{}
		w.order = append(w.order, x.Subject)
	}
	i = i.Resolve(w.base.Policy, w.done.Day)
	reason := x.Reason
	if reason == "" {
		_, reason = w.book.Judge(i, x.Figure, alert.None)
	}
	if reason != "" {
		w.done.Unjudged[reason]++
		return nil
	}
	e := alert.Evidence{
		Book: w.book.Version, From: x.From, To: x.To, View: x.Made.View, ViewVersion: x.Made.Version, Position: uint64(x.Made.Position),
		Inputs: x.Inputs, Rows: x.Rows,
	}
	if i.Rule != nil {
		e.Rule = i.Rule.ID
	}
	id := alert.ID(i.ID, x.Subject)
	s, err := w.decide(ctx, id, alert.Evaluate{
		Subject: x.Subject, Indicator: i, ClearPercent: w.book.ClearPercent, Day: w.done.Day, Figure: x.Figure, Evidence: e,
	})
	if err != nil {
		return fmt.Errorf("evaluate %s: %w", id, err)
	}
	w.done.Judged++
	w.states[id], w.levels[x.Subject][i.ID] = s, s.Level
	return nil
}

// watch looks at an operator by the signs of the book, as its alerts stand.
func (w *round) watch(ctx context.Context, s alert.Subject) error {
	signs, holds := make([]alert.Standing, 0, len(w.book.Watch.Signs)), 0
	for _, sign := range w.book.Watch.Signs {
		st := alert.Standing{Sign: sign.Name, Alerts: []string{}}
		all := true
		for _, a := range sign.All {
			id := alert.ID(a.Indicator, s)
			state, known := w.states[id]
			if !known { // Not judged today: it stands as it was.
				var err error
				if state, _, err = aggregate.Load(ctx, w.r, alert.Decider, id); err != nil {
					return err
				}
			}
			since := state.Beyond(a.Level)
			all = all && !since.IsZero()
			st.Since, st.Alerts = max(st.Since, since), append(st.Alerts, id)
		}
		if all {
			holds++
		} else {
			st.Since = 0
		}
		signs = append(signs, st)
	}
	id := alert.ID(alert.BlowUp, s)
	state, _, err := aggregate.Load(ctx, w.r, alert.Decider, id)
	if err != nil || holds < w.book.Watch.Least && state.Level == alert.None {
		return err
	}
	exposure, made, err := w.figures.Exposure(ctx, s.ID, w.done.Day)
	if err != nil {
		return fmt.Errorf("read the exposure of %s: %w", s.ID, err)
	}
	_, err = w.decide(ctx, id, alert.Look{
		Subject: s, Watch: w.book.Watch, Day: w.done.Day, Signs: signs,
		Evidence: alert.Evidence{
			Book: w.book.Version, View: made.View, ViewVersion: made.Version, Position: uint64(made.Position), Exposure: &exposure,
			From: w.done.Day, To: w.done.Day, Rows: "/v1/alerts/" + id + "/exposure",
		},
	})
	return err
}

// score puts the health of an area on record, if anything of it was judged.
func (w *round) score(ctx context.Context, s alert.Subject) error {
	score, parts, missing, ok := w.book.Health(w.levels[s])
	if !ok || !slices.Contains([]string{alert.City, alert.Unit}, s.Kind) {
		return nil
	}
	_, err := w.decide(ctx, alert.HealthID(s), alert.Score{
		Subject: s, Book: w.book.Version, Day: w.done.Day, Score: score, Parts: parts, Missing: missing,
	})
	return err
}
