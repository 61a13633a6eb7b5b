package main

import (
	"context"
	"errors"
	"testing"

	"zujian/eventstore"
	"zujian/eventstore/faults"
)

// brokenViews are views of which one says that it is damaged whenever it is asked where it stands.
type brokenViews struct {
	viewStore
	name string
}

var errDamagedTable = errors.New("a damaged table")

func (u brokenViews) Checkpoint(ctx context.Context, name string, version int) (eventstore.Position, error) {
	if name == u.name {
		return 0, errDamagedTable
	}
	return u.viewStore.Checkpoint(ctx, name, version)
}

// TestShortWorkEndsAtADamagedView: what runs the views up to the log's head and then ends, as verify does, does not wait
// for ever for one that can't be read.
func TestShortWorkEndsAtADamagedView(t *testing.T) {
	t.Parallel()
	w := &wholeWorld{g: *wholeGlobals(t)}
	w.g.Ctx, w.g.Data = t.Context(), ""
	g := w.on(faults.NewDisk())
	h, err := openHouse(g, openOptions{segment: wholeSegment})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.loadPlan(t.Context(), operator(g)); err != nil { // The log is not empty.
		t.Fatal(err)
	}
	h.views = brokenViews{h.views, views(h.city)[0].Name()}
	h.runner = h.keeper(g, openOptions{})
	if err := h.catchUp(t.Context()); !errors.Is(err, errDamagedTable) {
		t.Errorf("got %v, want what is wrong with the view", err)
	}
}
