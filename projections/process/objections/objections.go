// Package objections is the process that keeps the regulator's term for objections to guidance prices (异议答复期限): the day
// after the last one it puts on record that no answer was given.
package objections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zujian/domain"
	"zujian/domain/guidance"
	"zujian/projections"
	"zujian/projections/process"
)

// Process is listed in cmd/zujian/registry.go.
type Process struct{}

// Name of the process; it never changes.
func (Process) Name() string { return "objections" }

// Version of what it keeps.
func (Process) Version() int { return 1 }

// Types it reacts to.
func (Process) Types() []string {
	return []string{"guidance.objection_filed", "guidance.objection_answered", "guidance.objection_overdue"}
}

// overdueMax bounds what one call of Resume sends; the rest waits a minute.
const overdueMax = 500

// Keys of a process outlive versions: these are as they always were.
const keySeparator = "\x00"

func dueKey(by, period, id string) string {
	return strings.Join([]string{"due", by, period, id}, keySeparator)
}

func openKey(id string) string { return "open" + keySeparator + id }

// React implements process.Process.
func (Process) React(ctx context.Context, v projections.View, e projections.Event) ([]process.Outgoing, error) {
	period := projections.ID(e.Stream)
	switch f := e.Event.(type) {
	case guidance.ObjectionFiled:
		v.Set(dueKey(f.AnswerBy.String(), period, f.Objection), nil)
		v.Set(openKey(f.Objection), []byte(f.AnswerBy.String()))
		return nil, nil
	case guidance.ObjectionAnswered:
		return nil, done(ctx, v, period, f.Objection)
	case guidance.ObjectionOverdue:
		return nil, done(ctx, v, period, f.Objection)
	}
	return nil, fmt.Errorf("objections: unexpected %s", e.Type)
}

func done(ctx context.Context, v projections.View, period, id string) error {
	by, found, err := v.Get(ctx, openKey(id))
	if err == nil && found {
		v.Delete(dueKey(string(by), period, id))
		v.Delete(openKey(id))
	}
	return err
}

// Resume implements process.Process.
func (Process) Resume(ctx context.Context, r projections.Reader, now time.Time) ([]process.Outgoing, error) {
	var out []process.Outgoing
	today := domain.DayOf(now)
	for p, err := range r.Scan(ctx, "due"+keySeparator, "due"+keySeparator+today.String(), false) {
		if err != nil {
			return nil, err
		}
		parts := strings.Split(p.Key, keySeparator)
		if len(parts) != 4 {
			return nil, fmt.Errorf("objections: a key of its own is broken: %q", p.Key)
		}
		out = append(out, process.Send(guidance.Decider, parts[2], guidance.Command(guidance.MarkOverdue{Objection: parts[3]})).As("overdue-"+parts[3]))
		if len(out) == overdueMax {
			break
		}
	}
	return out, nil
}
