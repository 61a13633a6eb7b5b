package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
	"zujian/domain/party"
	"zujian/domain/unit"
	"zujian/eventstore"
	"zujian/eventstore/faults"
	"zujian/eventstore/memory"
	"zujian/eventstore/seal"
)

// between is a log that takes one part of a filing at a time and does something before a contract is filed.
type between struct {
	engine
	filed func()
}

func (b *between) Append(ctx context.Context, stream string, expected eventstore.Revision, events ...eventstore.NewEvent) (eventstore.Appended, error) {
	is := func(e eventstore.NewEvent) bool { return e.Type == "contract.filed" }
	if f := b.filed; f != nil && strings.HasPrefix(stream, "contract-") && slices.ContainsFunc(events, is) {
		b.filed = nil
		f()
	}
	return b.engine.Append(ctx, stream, expected, events...)
}

// TestLostReservationIsNoFiling stalls a filing between the reservation of its flat and its own event, until the
// reservation has lapsed and another contract has the flat: it is refused, also when it is asked for again, its contract
// is annulled, and the other stands.
func TestLostReservationIsNoFiling(t *testing.T) {
	t.Parallel()
	w := &wholeWorld{g: *wholeGlobals(t)}
	w.g.Ctx, w.g.Data, w.g.resumeEvery = t.Context(), "", wholeResume
	start, later := clock().Truncate(24*time.Hour), time.Duration(0) // An hour later is the same day, here and in UTC.
	w.g.Now = func() time.Time { return start.Add(later) }
	disk := faults.NewDisk()
	if err := w.make(t.Context(), disk); err != nil {
		t.Fatal(err)
	}
	g := w.on(disk)
	h, err := openHouse(g, openOptions{segment: wholeSegment})
	if err != nil {
		t.Fatal(err)
	}
	log := &between{engine: h.store}
	h.store = log
	h.desk = h.newDesk(g)
	l := &wholeLife{w: w, g: g, h: h, stop: func() {}}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	var taken faults.Filing
	log.filed = func() {
		later = time.Hour // A reservation lasts a quarter of that.
		if taken, err = l.File(t.Context(), 1); err != nil {
			t.Errorf("the other filing: %v", err)
		}
	}
	for _, when := range []string{"stalled", "asked again"} {
		f, err := l.File(t.Context(), 0)
		if no, ok := errors.AsType[*domain.Rejection](err); !ok || no.Code != unit.ErrSpaceOverlap.Code {
			t.Errorf("%s: %+v, %v; want %s", when, f, err, unit.ErrSpaceOverlap.Code)
		}
	}
	if taken.ID == "" {
		t.Fatal("the filing never came between")
	}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	l.run(func() error { return h.runner.Run(ctx, views(h.city)) })
	l.run(func() error { return h.reactor(g, g.Now).Run(ctx, processes(h)) })
	if err := l.settled(t.Context(), map[int]faults.Filing{1: taken}); err != nil {
		t.Error(err)
	}
	halves := newHalves()
	for r, err := range h.log.All(t.Context(), 0) {
		if err == nil {
			err = halves.add(&r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(halves.filed) != 2 || len(halves.annulled) != 1 || halves.annulled[taken.ID] {
		t.Errorf("%d filed, annulled %v; the other is %s", len(halves.filed), halves.annulled, taken.ID)
	}
}

// keyless is a vault that knows nobody.
type keyless struct{ sharedVault }

func (keyless) Open(context.Context, string, string, string, string) (string, error) {
	return "", seal.ErrNoKey
}

// closing is a log in memory.
type closing struct{ *memory.Store }

func (closing) Close() error { return nil }

// TestOtherKeysOfALongLog: keys that know nobody are refused, however many contracts of an older register come before the
// first person.
func TestOtherKeysOfALongLog(t *testing.T) {
	h, g := &house{store: closing{&memory.Store{}}, keys: keyless{}, catalogue: catalogue()}, &globals{Ctx: t.Context()}
	add := func(n int, stream, name, data string) {
		t.Helper()
		var events []eventstore.NewEvent
		for range n {
			events = append(events, eventstore.NewEvent{ID: uuid.New(), Type: name, Data: []byte(data), Meta: eventstore.Metadata{Schema: 1}})
		}
		if _, err := h.store.Append(t.Context(), stream, eventstore.AnyRevision, events...); err != nil {
			t.Fatal(err)
		}
	}
	for range knownWithin / eventstore.AppendMax {
		add(eventstore.AppendMax, "contract-1", "contract.legacy_imported", `{}`)
	}
	if err := h.refuseOtherKeys(g); err != nil {
		t.Errorf("a log of nobody: %v", err)
	}
	add(1, "party-1", (party.Registered{}).EventType(), `{"kind":"PERSON","name":"sealed"}`)
	add(1, "account-1", "account.opened", `{"number":"sealed"}`)
	if err := h.refuseOtherKeys(g); err == nil || !strings.Contains(err.Error(), "the keys do not know") {
		t.Errorf("a person after %d contracts: %v", knownWithin, err)
	}
}
