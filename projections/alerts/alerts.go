// Package alerts is the view of warnings (预警): every alert with its episodes, verdicts and the evidence of each change,
// the health scores, the rounds of evaluation, and how right the indicators were. It answers reads; what an alert is, is
// decided by package alert.
//
// # Decisions
//
// A row is what its stream says and nothing else, so a district's rows can't tell of another's. Figures over rows (quality,
// levels over time) are computed when asked, from the rows the reader sees: there are some thousands of them in a city.
package alerts

import (
	"context"
	"fmt"
	"slices"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/projections"
)

// Projection is listed in cmd/zujian/registry.go.
type Projection struct{}

// Name of the view's keyspace.
func (Projection) Name() string { return "alerts" }

// Version of Apply's meaning.
func (Projection) Version() int { return 2 }

// Types the view reads.
func (Projection) Types() []string {
	var out []string
	for _, t := range alert.Types {
		out = append(out, t.Name)
	}
	return out
}

// Keys of the view. Days are "2026-03-01", positions hexadecimal.
const (
	keyAlert    = "a" // alert → Row
	keyDistrict = "d" // district, alert
	keyChange   = "c" // alert, position → Change
	keyScore    = "h" // subject kind, id, day → alert.HealthScored
	keyRound    = "r" // day → alert.RoundDone
)

// Row is one alert: an indicator of a subject, with all its episodes.
type Row struct {
	ID        string            `json:"id"`
	Indicator string            `json:"indicator"`
	Dimension string            `json:"dimension"`
	Subject   alert.Subject     `json:"subject"`
	Level     alert.Level       `json:"level"`          // Now; NONE when it is cleared, or was only missed.
	Since     domain.Day        `json:"since,omitzero"` // Of the level.
	Episodes  []Episode         `json:"episodes"`       // Oldest first.
	Missed    []Miss            `json:"missed"`         // Cases without an alert.
	Evidence  *alert.Evidence   `json:"evidence"`       // Of the last change; null when it was only missed.
	Trail     projections.Trail `json:"trail"`
}

// Episode is an alert from raised to cleared.
type Episode struct {
	Episode  int           `json:"episode"`
	From     domain.Day    `json:"from"`
	To       domain.Day    `json:"to,omitzero"` // Day it cleared; absent while it lasts.
	Highest  alert.Level   `json:"highest"`
	Verdict  alert.Verdict `json:"verdict,omitempty"` // The last one.
	JudgedOn domain.Day    `json:"judged_on,omitzero"`
	JudgedBy string        `json:"judged_by,omitempty"`
	Note     string        `json:"note,omitempty"`
}

// Miss is a case the indicator did not warn of.
type Miss struct {
	On   domain.Day `json:"on"`
	By   string     `json:"by"`
	Note string     `json:"note"`
}

// Change is one change of an alert's level, with what it was made from.
type Change struct {
	Episode  int            `json:"episode"`
	Day      domain.Day     `json:"day"`
	From     alert.Level    `json:"from"`
	To       alert.Level    `json:"to"`
	Position uint64         `json:"position"` // Of the event.
	Evidence alert.Evidence `json:"evidence"`
}

// Apply folds a batch.
func (Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	for _, e := range batch {
		if err := apply(ctx, v, e); err != nil {
			return fmt.Errorf("alerts: %s@%d: %w", e.Stream, e.Revision, err)
		}
	}
	return nil
}

func apply(ctx context.Context, v projections.View, e projections.Event) error {
	switch ev := e.Event.(type) {
	case alert.HealthScored:
		projections.Put(v, projections.Key(keyScore, ev.Subject.Kind, ev.Subject.ID, ev.Day.String()), ev)
		return nil
	case alert.RoundDone:
		projections.Put(v, projections.Key(keyRound, ev.Day.String()), ev)
		return nil
	}
	id := projections.ID(e.Stream)
	key := projections.Key(keyAlert, id)
	row, err := projections.Get[Row](ctx, v, key)
	if err != nil {
		return err
	}
	row.ID, row.Trail = id, row.Trail.Add(e)
	row.Episodes, row.Missed = slices.Clone(row.Episodes), slices.Clone(row.Missed)
	switch ev := e.Event.(type) {
	case alert.Raised:
		row.Indicator, row.Dimension, row.Subject = ev.Indicator, ev.Dimension, ev.Subject
		row.Episodes = append(row.Episodes, Episode{Episode: ev.Episode, From: ev.Day, Highest: ev.Level})
		row.move(v, e, Change{Episode: ev.Episode, Day: ev.Day, To: ev.Level, Evidence: ev.Evidence})
	case alert.LevelChanged:
		row.move(v, e, Change{Episode: ev.Episode, Day: ev.Day, From: ev.From, To: ev.To, Evidence: ev.Evidence})
	case alert.Cleared:
		row.move(v, e, Change{Episode: ev.Episode, Day: ev.Day, From: ev.From, Evidence: ev.Evidence})
	case alert.Judged:
		if n := ev.Episode - 1; n >= 0 && n < len(row.Episodes) {
			x := &row.Episodes[n]
			x.Verdict, x.JudgedOn, x.JudgedBy, x.Note = ev.Verdict, ev.On, ev.By, ev.Note
		}
	case alert.Missed:
		row.Indicator, row.Dimension, row.Subject = ev.Indicator, ev.Dimension, ev.Subject
		row.Missed = append(row.Missed, Miss{On: ev.On, By: ev.By, Note: ev.Note})
	}
	if row.Subject.District != "" {
		v.Set(projections.Key(keyDistrict, row.Subject.District, id), nil)
	}
	projections.Put(v, key, row)
	return nil
}

// move puts a change of level on the row and beside it.
func (r *Row) move(v projections.View, e projections.Event, c Change) {
	c.Position = uint64(e.Position)
	r.Level, r.Since, r.Evidence = c.To, c.Day, &c.Evidence
	if n := len(r.Episodes); n > 0 {
		last := &r.Episodes[n-1]
		last.Highest = max(last.Highest, c.To)
		if c.To == alert.None {
			last.To = c.Day
		}
	}
	projections.Put(v, projections.Key(keyChange, r.ID, projections.PositionKey(e.Position)), c)
}
