// Package forgetting is the process that carries an erasure out to its end: whoever recorded that a person's data are
// erased may have been cut off before the person's key was destroyed. Destroying a key twice is no error, so it is done
// for every erasure in the log, once.
package forgetting

import (
	"context"
	"time"

	"zujian/domain/party"
	"zujian/eventstore/aggregate"
	"zujian/projections"
	"zujian/projections/process"
)

// Process is listed in cmd/zujian/registry.go. Erase destroys a subject's key.
type Process struct {
	Erase func(ctx context.Context, subject string) error
}

// Name of the process; it never changes.
func (Process) Name() string { return "forgetting" }

// Version of what it keeps: nothing.
func (Process) Version() int { return 1 }

// Types it reacts to.
func (Process) Types() []string { return []string{(party.PersonalDataErased{}).EventType()} }

// React implements process.Process.
func (p Process) React(_ context.Context, _ projections.View, e projections.Event) ([]process.Outgoing, error) {
	id := projections.ID(e.Stream)
	return []process.Outgoing{{
		Target: e.Stream,
		Run:    func(ctx context.Context, _ aggregate.Runner, _ process.Base) error { return p.Erase(ctx, id) },
	}}, nil
}

// Resume implements process.Process.
func (Process) Resume(context.Context, projections.Reader, time.Time) ([]process.Outgoing, error) {
	return nil, nil
}
