// Package process runs process managers (流程): views that answer facts with further commands, across aggregates that
// know nothing of each other. It owns delivery: which command ids, in which order, what happens on a rejection, a
// failure, a crash. Concrete processes live in projections/process/<name> and only say what follows from what.
//
// # Decisions
//
// At least once, harmless when twice: the checkpoint is committed after the commands of its events were executed, and a
// command's id derives from the event that caused it, so a redelivered one is recognised by its target stream.
//
// A business no is final: it is kept in the process's view under "rejected/" for a human, and the process goes on.
// Unless the process says what to do then, see [Outgoing.Otherwise]. Infrastructure is tried again for ever.
//
// Commands of one batch run at once where order can't matter: two run one after the other if the same stream caused them
// or they have the same target. The log's group commit makes many at once as cheap as one.
//
// A new version of a process folds the past again without sending anything up to where the old version stood: what had
// to be sent was sent by it. Its view is no pure function of the log (rejections depend on when they happened), so
// projections.CompareReplay does not apply to it.
package process

import (
	"context"
	"time"

	"zujian/domain"
	"zujian/eventstore/aggregate"
	"zujian/projections"
)

// Process turns facts into commands. React and Resume do no I/O but reading their view, and are called by one goroutine at a time.
type Process interface {
	Name() string    // Never changes. "leasing"
	Version() int    // Raised when what React keeps in its view changes.
	Types() []string // Event types it reacts to; nil means all.

	// React keeps what it must remember of e in v and returns what to send now. It may see an event again after a
	// crash, with v as it was before. Keys under "rejected/" are not its own. An error stops the process at e.
	React(ctx context.Context, v projections.View, e projections.Event) ([]Outgoing, error)

	// Resume returns what is overdue at now: stuck and timed steps. It is called at the head of the log, at start and
	// each minute. What it sends, it sends until its view says it is done, or a command with an ID was rejected.
	Resume(ctx context.Context, r projections.Reader, now time.Time) ([]Outgoing, error)
}

// Outgoing is one command on its way. Make it with Send.
type Outgoing struct {
	Target string // Stream it decides on: commands to one target keep their order.
	// ID tells this command from others. From React the default is its place in the answer, which is right unless the
	// answer's order may differ the next time. From Resume the default is a new id at each call; with an ID
	// ("release-2026-03-01" of its target) it is executed once, and not sent again once rejected.
	ID       string
	Run      func(ctx context.Context, r aggregate.Runner, b Base) error
	OnReject func(*domain.Rejection) []Outgoing
	Done     func(domain.Event) bool // Whether a later event of Target leaves nothing to do; nil is never.
}

// Base is everything of a command but the command: the runner supplies it.
type Base struct {
	ID      string // UUIDv5 of the causing event's id, the process's name and the command's ID or place.
	At      time.Time
	Actor   domain.Actor
	Policy  domain.Policy
	Options aggregate.Options // Causation and correlation of the causing event.
}

// Send is command c to aggregate id.
func Send[S, C any, E domain.Event](d domain.Decider[S, C, E], id string, c C) Outgoing {
	return Outgoing{Target: aggregate.Stream(d.Category, id), Run: func(ctx context.Context, r aggregate.Runner, b Base) error {
		_, err := aggregate.Execute(ctx, r, d, id, Ask(b, c), b.Options)
		return err
	}}
}

// Ask is the request for command c, for an Outgoing that does more than one Execute.
func Ask[C any](b Base, c C) domain.Request[C] {
	return domain.Request[C]{ID: b.ID, At: b.At, Actor: b.Actor, Policy: b.Policy, Command: c}
}

// As gives the command an ID of its own.
func (o Outgoing) As(id string) Outgoing {
	o.ID = id
	return o
}

// Unless says by which later event of its target one knows that the command has been done: then it is not sent, if both are
// answered together. It saves the work of finding out, no more.
func (o Outgoing) Unless(done func(domain.Event) bool) Outgoing {
	o.Done = done
	return o
}

// Otherwise says what to send instead if the command is rejected. If that is nothing, the rejection is recorded as usual.
// Inside f, and in what it sends, only the rejection and what the process closed over are known.
func (o Outgoing) Otherwise(f func(*domain.Rejection) []Outgoing) Outgoing {
	o.OnReject = f
	return o
}

// ViewName is the name of a process's view in the view store.
func ViewName(name string) string { return "process-" + name }

// Rejected is a command that was refused and that nobody will send again by itself.
type Rejected struct {
	Key      string    `json:"-"`                  // In the view; pass the last one to Rejections to go on.
	Target   string    `json:"target"`             // Stream it was for.
	Command  string    `json:"command"`            // Its id.
	Cause    string    `json:"cause,omitempty"`    // Id of the event that caused it; "" from Resume.
	Stream   string    `json:"stream,omitempty"`   // Of that event.
	Position uint64    `json:"position,omitempty"` // Of that event.
	Code     string    `json:"code"`
	Pointer  string    `json:"pointer,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	At       time.Time `json:"at"`
}

const rejectedPrefix, rejectedEnd = "rejected/", "rejected0"

// Rejections lists what was refused, after a Key or from the first, those caused by events in the order of the log.
func Rejections(ctx context.Context, r projections.Reader, after string, limit int) ([]Rejected, error) {
	from := rejectedPrefix
	if after != "" {
		from = after + "\x00"
	}
	var out []Rejected
	for p, err := range r.Scan(ctx, from, rejectedEnd, false) {
		if err != nil {
			return nil, err
		}
		if len(out) >= limit {
			break
		}
		x, err := decodeRejected(p)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}
