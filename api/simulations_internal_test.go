package api

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"zujian/api/whatif"
)

// TestSimulationsAreBounded: one works at a time, the last eight are kept, and ending one lets the next in.
func TestSimulationsAreBounded(t *testing.T) {
	s := newSimulations()
	unheard := func(err error) { t.Errorf("logged: %v", err) }
	first, ctx, err := s.begin("1", "key")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.begin("2", "key"); !errors.Is(err, errSimulationsBusy) {
		t.Errorf("a second one at work: %v", err)
	}
	first.step(3, 9)
	if b := first.body(); b.State != simulationRunning || b.EventsDone != 3 || b.EventsTotal != 9 {
		t.Errorf("at work it is %+v", b)
	}
	first.end()
	if ctx.Err() == nil {
		t.Error("ended, and its work goes on")
	}
	first.finish(nil, fmt.Errorf("read the log: %w", context.Canceled), unheard)
	if b := first.body(); b.State != simulationCancelled || b.Failure != nil {
		t.Errorf("ended it is %+v", b)
	}
	for i := range 2 * simulationsKept {
		r, _, err := s.begin(fmt.Sprint("n", i), "key")
		if err != nil {
			t.Fatal(err)
		}
		r.finish(&whatif.Result{}, nil, unheard)
	}
	if len(s.runs) != simulationsKept {
		t.Errorf("%d are kept", len(s.runs))
	}
	if _, err := s.find("1"); !errors.Is(err, errNotFound) {
		t.Errorf("the oldest is still there: %v", err)
	}
	r, _, err := s.begin("bad", "key")
	if err != nil {
		t.Fatal(err)
	}
	r.finish(nil, whatif.ErrPeriod.With("problem", "empty"), unheard)
	if b := r.body(); b.State != simulationFailed || b.Failure == nil || b.Failure.Code != whatif.ErrPeriod.Code {
		t.Errorf("refused at work it is %+v", b)
	}
	logged := 0
	if r, _, err = s.begin("broken", "key"); err != nil {
		t.Fatal(err)
	}
	r.finish(nil, errors.New("disk"), func(error) { logged++ })
	if b := r.body(); b.Failure == nil || b.Failure.Code != "internal" || logged != 1 {
		t.Errorf("broken it is %+v, logged %d", b, logged)
	}
	s.shut()
	if _, _, err := s.begin("late", "key"); err == nil {
		t.Error("one began after the end")
	}
}
