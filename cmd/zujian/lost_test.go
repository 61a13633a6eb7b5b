package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/unit"
	"zujian/eventstore"
	"zujian/eventstore/faults"
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
