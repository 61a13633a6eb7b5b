// Package desk is the counter (窗口) of the platform: one method per use case. It loads what a decision needs to know,
// seals personal data before anything else sees it, asks the aggregates to decide, and takes numbers. It knows no
// HTTP: the API, the demo city and the load bench are its callers, so all of them go through the real commands.
//
// # Decisions
//
// A use case that touches several streams is a sequence of single appends, each idempotent by a command id derived
// from the call's ([Call.step]): a client that repeats the call, and a process that finishes what a crash left, write
// nothing twice. The one-call filing, of which there are most, is one append where the log can ([eventstore.Together]). Exclusivity is the unit stream's (reservation), uniqueness a claim stream's.
//
// Who may touch whose things is decided here, in [Sees] and the mandate check, because it depends on the rows; which
// role may call which route is the API's table. A row out of sight is ErrNotFound, exactly as if it were not there.
package desk

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/projections"
)

// ErrNotFound is for things that are not there and things the caller may not see.
var ErrNotFound = domain.Reject("resource.not_found", "there is no such thing, or you may not see it")

// ErrForbidden is for acts that the caller may see but not do.
var ErrForbidden = domain.Reject("auth.forbidden", "your role may not do this")

// ErrOutOfArea is for a district's act outside its own area.
var ErrOutOfArea = domain.Reject("auth.out_of_area", "this lies in another district")

// ErrInvalid is for a field of a use case that no aggregate owns.
var ErrInvalid = domain.Reject("request.invalid", "a field is missing or wrong")

// Vault seals personal data under its subject's key: remote.Here for one of this process, remote.Client for one elsewhere.
type Vault interface {
	Seal(ctx context.Context, subject, stream, field, plain string) (string, error)
	Open(ctx context.Context, subject, stream, field, sealed string) (string, error)
	Erase(ctx context.Context, subject string) error
	Blind(ctx context.Context, purpose, value string) (string, error) // Blind index of a normalised value.
}

// Options are what a Desk is made of.
type Options struct {
	Runner  aggregate.Runner
	Vault   Vault
	Views   projections.Views
	City    *domain.City
	Shipped domain.Policy // The rules that ship with the product, before the city's changes.
	Books   alert.Books   // The city's indicators; nil warns of nothing.
	Log     *slog.Logger
	NewID   func() uuid.UUID // For what no client names: number blocks.
}

// Desk serves every use case. It is safe for concurrent use.
type Desk struct {
	o       Options
	policy  policyCache
	numbers allocator
	keys    keyCache
	books   books
	naming  sync.RWMutex // Held for reading by whoever puts parties into a contract or signs one, for writing by Alone.
	showing sync.Mutex   // Held from a listing's look at its platforms to its publication. Other nodes are not kept apart.

	sublettings func(ctx context.Context, party string) (int, error)
}

// New makes a Desk.
func New(o Options) *Desk {
	d := &Desk{o: o}
	d.numbers.blocks = map[series]*block{}
	d.keys.at = map[string]cachedKey{}
	d.sublettings = d.sublettingsNow
	return d
}

// Alone runs f while nobody puts a party into a contract, or signs one, by this desk: who takes a party or an account away looks
// first at what contracts are on it, and they at whether it is there. Other nodes are not kept apart.
func (d *Desk) Alone(f func() error) error {
	d.naming.Lock()
	defer d.naming.Unlock()
	return f()
}

// City is the profile the desk works in.
func (d *Desk) City() *domain.City { return d.o.City }

// Books are the city's indicators, by version.
func (d *Desk) Books() alert.Books { return d.o.Books }

// Shipped is the rule set the product comes with.
func (d *Desk) Shipped() domain.Policy { return d.o.Shipped }

// Call is one request: its idempotency, its time, who asks.
type Call struct {
	ID          string    // Command id, a UUID; the same for a repeat of the same request.
	At          time.Time // Taken once at the edge, UTC, whole microseconds.
	Actor       domain.Actor
	IfMatch     *eventstore.Revision // The client's own expectation of the main stream; nil = none.
	Correlation string               // Request id.
	Causation   string               // Event that caused it, for processes.
}

// Receipt says where the write landed.
type Receipt struct {
	Position eventstore.Position // For Zujian-Position.
	Revision eventstore.Revision // For ETag: of the main stream.
}

// later keeps the greater position and the main stream's revision.
func (r Receipt) later(p eventstore.Position) Receipt {
	r.Position = max(r.Position, p)
	return r
}

// step derives the command id of one step of the call.
func (c Call) step(name string) Call {
	c.ID = aggregate.CommandID(c.ID, name)
	c.IfMatch = nil
	return c
}

// derive makes the id of something from what identifies it, so that a repeat finds it again.
func derive(kind string, parts ...string) string { return aggregate.CommandID(kind, parts...) }

// exec decides one command on one aggregate.
func exec[S, C any, E domain.Event](ctx context.Context, d *Desk, call Call, dec domain.Decider[S, C, E], id string, cmd C) (Receipt, error) {
	policy, err := d.Policy(ctx)
	if err != nil {
		return Receipt{}, err
	}
	req := domain.Request[C]{ID: call.ID, At: call.At, Actor: call.Actor, Policy: policy, Command: cmd}
	res, err := aggregate.Execute(ctx, d.o.Runner, dec, id, req,
		aggregate.Options{Causation: call.Causation, Correlation: call.Correlation, Expect: call.IfMatch})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Position: res.Position, Revision: res.Revision}, nil
}

// expected refuses a call whose own expectation of its main stream is wrong, before it writes to others: exec would only then.
func expected[S, C any, E domain.Event](ctx context.Context, d *Desk, call Call, dec domain.Decider[S, C, E], id string) error {
	if call.IfMatch == nil {
		return nil
	}
	return aggregate.Expected(ctx, d.o.Runner, dec, id, call.ID, *call.IfMatch)
}

// refused says whether an aggregate refuses a command as it stands. Who claims something for it asks first: what is
// refused must hold nothing.
func refused[S, C any, E domain.Event](ctx context.Context, d *Desk, call Call, dec domain.Decider[S, C, E], s S, cmd C) error {
	policy, err := d.Policy(ctx)
	if err != nil {
		return err
	}
	_, err = dec.Decide(s, domain.Request[C]{ID: call.ID, At: call.At, Actor: call.Actor, Policy: policy, Command: cmd})
	return err
}

// load reads one aggregate; found is false for a stream that was never written.
func load[S, C any, E domain.Event](ctx context.Context, d *Desk, dec domain.Decider[S, C, E], id string) (s S, rev eventstore.Revision, found bool, err error) {
	s, rev, err = aggregate.Load(ctx, d.o.Runner, dec, id)
	if err != nil {
		return s, rev, false, fmt.Errorf("load %s: %w", dec.Category, err)
	}
	return s, rev, rev != eventstore.NoStream, nil
}

// policyCache holds the rule set for as long as its stream does not move.
type policyCache struct {
	mu     sync.Mutex
	rev    eventstore.Revision
	loaded bool
	policy domain.Policy
}
