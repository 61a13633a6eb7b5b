// Package aggregate runs deciders over a store: load, decide, append, and decide again when someone was faster. It is
// the only way a command becomes events. It owns command identity (event ids) and the state cache; it knows no
// aggregate. The API and the process managers import it.
//
// # Decisions
//
// One command id decides one stream once. An event id is UUIDv5(command id, stream, n), because one request may touch
// several streams; a request that takes several steps on ONE stream gives each step its own id with [CommandID].
//
// A repeat is recognised even when the state has moved on: if the stream's last events hold the first event id of this
// command and deciding would write the same type again, nothing is written (a listing published, withdrawn by another
// and published again by a late retry stays withdrawn). Another type means the id was used for two steps: that is
// ErrCommandReused, a programming error made visible before it puts one id on two events.
//
// States are cached by stream at the revision they were folded to, and every load still reads what is newer, so a stale
// entry costs a few events and never a wrong decision. What is folded is what the store gives back: a decider may return
// more than its JSON holds, and only an event that its JSON gives back unchanged (domain.Catalogue.Write) is taken as it is.
package aggregate

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/eventstore"
)

// attemptsMax bounds deciding again. Contention on one unit is a handful of clerks; more means a client bug.
const attemptsMax = 4

// namespace of all ids derived from commands. It never changes: retries across versions must give the same ids.
var namespace = uuid.UUID{0x7a, 0x75, 0x6a, 0x69, 0x61, 0x6e, 0x50, 0x01, 0x80, 0x01, 0x63, 0x6f, 0x6d, 0x6d, 0x61, 0x64}

// ErrCommandReused means one command id was used for two different steps on one stream.
var ErrCommandReused = errors.New("aggregate: command id already used for another step on this stream")

// Runner holds what every execution shares. Copy it freely.
type Runner struct {
	Store     eventstore.Store
	Catalogue domain.Catalogue
	Cache     *Cache // nil reads every stream from its beginning.
}

// Options of one execution. The zero value is usual for a request from outside.
type Options struct {
	Causation   string               // Id of the event that caused the command, if any.
	Correlation string               // The outside request it all came from; the command id if "".
	Expect      *eventstore.Revision // The client's own expectation (If-Match). It is never retried.
}

// Result is where the stream stands after an execution. Position is that of its last event even when nothing was
// written, so there is always a position to wait for; 0 if the stream is empty.
type Result struct {
	Revision eventstore.Revision // eventstore.NoStream if the stream is empty.
	Position eventstore.Position
	Events   int // Events written now; 0 for a repeat or "already so".
}

// Stream names the stream of one aggregate.
func Stream(category, id string) string { return category + "-" + id }

// ID is the aggregate's id in a stream name; "" if there is none.
func ID(stream string) string {
	_, id, _ := strings.Cut(stream, "-")
	return id
}

// EventID is the id of event n (from 0) that a command writes to a stream.
func EventID(command, stream string, n int) [16]byte {
	var room idRoom
	b := append(append(room.named(command), '\n'), stream...)
	return v5(strconv.AppendInt(append(b, '\n'), int64(n), 10))
}

// CommandID derives the id of one step of a larger command: UUIDv5 of the base id and the step's name. Same parts, same id.
func CommandID(base string, step ...string) string {
	var room idRoom
	b := room.named(base)
	if len(step) == 0 {
		b = append(b, '\n')
	}
	for _, name := range step {
		b = append(append(b, '\n'), name...)
	}
	return v5(b).String()
}

// idRoom is where the name of an id is put together; most fit.
type idRoom [192]byte

func (room *idRoom) named(base string) []byte {
	return append(append(room[:0], namespace[:]...), base...)
}

// v5 is the UUIDv5 of a namespace and a name (RFC 9562 §5.5). [uuid.NewSHA1] gives the same, and makes its hash anew for each.
func v5(namespaceAndName []byte) (id uuid.UUID) {
	sum := sha1.Sum(namespaceAndName)
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id
}

// Execute decides req on aggregate id and appends what was decided. After a lost race it reads the newcomers and
// decides again on the new state, at most 4 times.
// Errors: *domain.Rejection as decided; eventstore.ErrWrongRevision when Expect is wrong or the races did not end;
// ErrCommandReused; otherwise infrastructure. On an error Result still says where the stream was seen.
func Execute[S, C any, E domain.Event](ctx context.Context, r Runner, d domain.Decider[S, C, E], id string,
	req domain.Request[C], o Options,
) (Result, error) {
	stream := Stream(d.Category, id)
	if o.Correlation == "" {
		o.Correlation = req.ID
	}
	held := start[S](r.Cache, stream)
	for attempt := 1; ; attempt++ {
		var err error
		if held, err = advance(ctx, r, d, stream, held, time.Time{}); err != nil {
			return held.result(0), err
		}
		_, out, err := decide(nil, r, d, stream, held, req, o)
		if err != nil || len(out) == 0 {
			return held.result(0), err
		}
		done, err := r.Store.Append(ctx, stream, held.at(), out...)
		if err == nil {
			return Result{Revision: done.Revision, Position: done.Position, Events: len(out)}, nil
		}
		if !errors.Is(err, eventstore.ErrWrongRevision) || attempt == attemptsMax || o.Expect != nil {
			return held.result(0), fmt.Errorf("append to %s: %w", stream, err)
		}
	}
}

// Expected refuses, before anything that goes before a command is done, what [Execute] of it would refuse for its expectation:
// the stream is elsewhere, and this is no repeat.
func Expected[S, C any, E domain.Event](ctx context.Context, r Runner, d domain.Decider[S, C, E], id, command string, expect eventstore.Revision) error {
	held, err := load(ctx, r, d, id)
	if err == nil {
		stream := Stream(d.Category, id)
		_, _, err = held.expected(stream, EventID(command, stream, 0), &expect)
	}
	return err
}

// expected tells whether a command, whose first event has this id, is a repeat, and of what. If it is none the stream must be
// where it is expected, if it is.
func (e *entry[S]) expected(stream string, first [16]byte, expect *eventstore.Revision) (repeated string, isRepeat bool, err error) {
	repeated, isRepeat = e.find(first)
	if expect != nil && *expect != e.at() && !isRepeat {
		err = &eventstore.WrongRevision{Stream: stream, Expected: *expect, Actual: e.at()}
	}
	return repeated, isRepeat, err
}

// decide gives the events of one command on what is held, as they will be read, and adds them to out, encoded; none for a
// repeat.
func decide[S, C any, E domain.Event](out []eventstore.NewEvent, r Runner, d domain.Decider[S, C, E], stream string, held *entry[S], req domain.Request[C], o Options,
) ([]E, []eventstore.NewEvent, error) {
	first := EventID(req.ID, stream, 0)
	repeated, isRepeat, err := held.expected(stream, first, o.Expect)
	if err != nil {
		return nil, out, err
	}
	events, err := d.Decide(held.now(), req)
	if err != nil || len(events) == 0 {
		return nil, out, err
	}
	if isRepeat {
		if repeated != events[0].EventType() {
			return nil, out, fmt.Errorf("decide %s on %s after %s: %w", events[0].EventType(), stream, repeated, ErrCommandReused)
		}
		return nil, out, nil
	}
	out, err = encode(out, r.Catalogue, stream, first, req, events, o)
	return events, out, err
}

// Load reads the aggregate's state now. A stream without events is the zero S at eventstore.NoStream.
func Load[S, C any, E domain.Event](ctx context.Context, r Runner, d domain.Decider[S, C, E], id string,
) (S, eventstore.Revision, error) {
	held, err := load(ctx, r, d, id)
	return held.now(), held.at(), err
}

// load gives an aggregate as it stands, or as it was seen before in a context of [Once].
func load[S, C any, E domain.Event](ctx context.Context, r Runner, d domain.Decider[S, C, E], id string) (*entry[S], error) {
	seen, _ := ctx.Value(seenKey{}).(*seen)
	if held, ok := seen.find(d.Category, id).(*entry[S]); ok {
		return held, nil
	}
	stream := Stream(d.Category, id)
	held, err := advance(ctx, r, d, stream, start[S](r.Cache, stream), time.Time{})
	if err == nil {
		seen.keep(d.Category, id, held)
	}
	return held, err
}

// LoadAsOf reads the state the register knew at an instant: events stored after storedAt are left out.
func LoadAsOf[S, C any, E domain.Event](ctx context.Context, r Runner, d domain.Decider[S, C, E], id string,
	storedAt time.Time,
) (S, eventstore.Revision, error) {
	r.Cache = nil // The cache holds newer states.
	stream := Stream(d.Category, id)
	held, err := advance(ctx, r, d, stream, nil, storedAt)
	return held.now(), held.at(), err
}

// advance folds what the store has beyond held, which stays as it is; nothing stored after until, unless until is zero.
func advance[S, C any, E domain.Event](ctx context.Context, r Runner, d domain.Decider[S, C, E], stream string,
	held *entry[S], until time.Time,
) (*entry[S], error) {
	if s, can := r.Store.(eventstore.Ending); can && ctx.Err() == nil {
		if last, known := s.End(stream); known && last <= held.at() {
			return held, nil // Nothing is read, and nothing made for it.
		}
	}
	f := folding[S, C, E]{types: r.Catalogue, decider: d, held: held, shared: true, until: until}
	r.Store.Stream(ctx, stream, held.at()+1)(f.next) // Not by range, whose body would keep each of these on the heap by itself.
	if f.err != nil {
		return f.held, fmt.Errorf("load %s: %w", stream, f.err)
	}
	if !f.shared {
		keep(r.Cache, stream, f.held)
	}
	return f.held, nil
}

// folding is a state that the events of a stream are added to.
type folding[S, C any, E domain.Event] struct {
	types   domain.Catalogue
	decider domain.Decider[S, C, E]
	held    *entry[S]
	shared  bool // It is not a copy of its own yet.
	until   time.Time
	err     error
}

// next adds one event to the state.
func (f *folding[S, C, E]) next(rec eventstore.Recorded, err error) bool {
	if f.err = err; err != nil || !f.until.IsZero() && rec.StoredAt.After(f.until) {
		return false
	}
	if f.shared {
		f.held, f.shared = f.held.own(), false
	}
	decoded, err := f.types.Decode(rec.Type, rec.Meta.Schema, rec.Data)
	e, ok := decoded.(E)
	if err == nil && !ok {
		err = fmt.Errorf("%s is no event of %s", rec.Type, f.decider.Category)
	}
	if err != nil {
		f.err = fmt.Errorf("revision %d: %w", rec.Revision, err)
		return false
	}
	f.held.state = f.decider.Evolve(f.held.state, e)
	f.held.remember(rec.ID, rec.Type)
	f.held.revision, f.held.position = rec.Revision, rec.Position
	return true
}

// rooms are where events are written before their length is known. One that grew for a rare event is as long as that.
var rooms = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// encode adds events as they are written to out, the first under id, and puts what will be read of each in its place.
func encode[C any, E domain.Event](out []eventstore.NewEvent, types domain.Catalogue, stream string, id [16]byte, req domain.Request[C], events []E, o Options,
) ([]eventstore.NewEvent, error) {
	out = slices.Grow(out, len(events))
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	for i, e := range events {
		w, err := types.Write(room, e)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", e.EventType(), err)
		}
		events[i] = w.Event.(E) // Of the type of e.
		if i > 0 {
			id = EventID(req.ID, stream, i)
		}
		out = append(out, eventstore.NewEvent{ID: id, Type: w.Type.Name, Data: w.Data, Meta: eventstore.Metadata{
			Schema: w.Type.Version, Actor: req.Actor.ID, Role: string(req.Actor.Role), Command: req.ID,
			Causation: o.Causation, Correlation: o.Correlation, At: req.At, Policy: req.Policy.Version,
		}})
	}
	return out, nil
}
