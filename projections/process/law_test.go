package process_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestLaws: whatever fails or restarts, each order ends confirmed or refused, exactly once, first come, first served.
func TestLaws(t *testing.T) {
	type step struct{ kind, n int }
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, 6).Draw(t, "kind"), rapid.IntRange(1, 12).Draw(t, "n")}
		}), 1, 12).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			s := newShop()
			p := &dealer{refuses: true}
			s.start(t, p)
			placed := 0
			for _, st := range steps {
				s.fault.mu.Lock()
				switch st.kind {
				case 2:
					s.fault.lost = st.n % 4
				case 3:
					s.fault.down = st.n % 4
				case 4:
					s.fault.commits = st.n % 4
				}
				s.fault.mu.Unlock()
				switch st.kind {
				case 0, 1:
					for range st.n {
						s.place(t, fmt.Sprint(placed%5), fmt.Sprintf("o%03d", placed))
						placed++
					}
				case 5:
					s.stop(t)
					if st.n%4 == 0 {
						p = &dealer{refuses: true, version: p.Version() + 1}
					}
					s.start(t, p)
				case 6:
					time.Sleep(time.Duration(st.n) * time.Second / 4)
				}
			}
			s.idle(t)
			facts := strings.Split(s.facts(t), ", ")
			count := map[string]int{}
			for _, f := range facts {
				count[f]++
			}
			for i := range placed {
				id := fmt.Sprintf("order-o%03d ", i)
				confirmed, refused := count[id+"confirmed"], count[id+"refused"]
				if first := i < 10; confirmed+refused != 1 || first != (confirmed == 1) {
					t.Errorf("%s: confirmed %d times, refused %d times", id, confirmed, refused)
				}
			}
			if len(s.rejections(t)) != 0 {
				t.Errorf("rejections: %+v", s.rejections(t))
			}
			s.stop(t)
		})
		if t.Failed() {
			rt.Fatalf("steps: %+v", steps)
		}
	})
}
