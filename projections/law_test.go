package projections_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"zujian/eventstore/memory"
	. "zujian/projections"
)

// TestRunnerLaws: whatever fails, restarts, is rebuilt or gets a new version, each view ends as its replay.
func TestRunnerLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct{ kind, n int }
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, 6).Draw(t, "kind"), rapid.IntRange(1, 20).Draw(t, "n")}
		}), 1, 12).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			store, views := &memory.Store{}, newViews()
			a := &counts{name: "a", types: comings}
			b := &counts{name: "b"}
			c := &counts{name: "c", types: []string{"toy.left"}}
			h := start(t, store, views, a, b, c)
			for _, s := range steps {
				switch s.kind {
				case 0, 1:
					write(t, store, people(s.n)...)
				case 2:
					views.set(views.commits, "a", s.n%4)
				case 3:
					views.set(views.reads, "b", s.n%4)
				case 4:
					_ = h.Rebuild(t.Context(), "a") // Refused while it is being built or opened.
				case 5:
					h.stop(t)
					if s.n%3 == 0 {
						b = &counts{name: "b", version: b.Version() + 1}
					}
					h = start(t, store, views, a, b, c)
				case 6:
					time.Sleep(time.Duration(s.n) * time.Second / 4)
				}
				if s.n%2 == 0 {
					synctest.Wait()
				}
			}
			last := write(t, store, came{Name: "last"})
			time.Sleep(10 * time.Minute) // All pauses are over.
			synctest.Wait()
			for _, p := range []Projection{a, b, c} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := h.WaitFor(ctx, p.Name(), last); err != nil {
					t.Errorf("%s: %v", p.Name(), err)
				}
				if err := CompareReplay(t.Context(), store, views, catalogue, p, &Memory{}); err != nil {
					t.Error(err)
				}
			}
			for _, s := range h.Status() {
				if s.State != StateLive || s.LagEvents != 0 || s.Error != "" || s.Checkpoint != last {
					t.Errorf("%+v", s)
				}
			}
			h.stop(t)
		})
		if t.Failed() {
			rt.Fatalf("steps: %+v", steps)
		}
	})
}
