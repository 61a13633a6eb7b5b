package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"zujian/eventstore"
)

func raceOneStream(t *testing.T, s eventstore.Store) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			at := eventstore.NoStream
			for n := range each {
				e := Event(w*1000 + n)
				for {
					a, err := s.Append(t.Context(), "contract-1", at, e)
					if err == nil {
						at = a.Revision
						break
					}
					wrong, ok := errors.AsType[*eventstore.WrongRevision](err)
					if !ok {
						t.Errorf("writer %d: %v", w, err)
						return
					}
					at = wrong.Actual
				}
			}
		})
	}
	wg.Wait()
	all := CheckLog(t, s)
	if len(all) != writers*each {
		t.Fatalf("got %d events, want %d", len(all), writers*each)
	}
	seen := map[[16]byte]bool{}
	for _, r := range all {
		seen[r.ID] = true
	}
	if len(seen) != writers*each {
		t.Fatalf("got %d different events, want %d", len(seen), writers*each)
	}
}

func raceManyStreams(t *testing.T, s eventstore.Store) {
	const writers, each = 16, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			stream := fmt.Sprintf("contract-%d", w)
			for n := range each {
				a, err := s.Append(t.Context(), stream, eventstore.Revision(2*n-1), Events(w*1000+2*n, w*1000+2*n+2)...)
				if err != nil || a.Revision != eventstore.Revision(2*n+1) {
					t.Errorf("writer %d: %+v, %v", w, a, err)
					return
				}
				// A writer reads its own write at once, by stream and by position.
				got := Collect(t, s.Stream(t.Context(), stream, a.Revision))
				if len(got) != 1 || got[0].Position != a.Position {
					t.Errorf("writer %d does not read its own write %+v: %v", w, a, got)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := len(CheckLog(t, s)); n != writers*each*2 {
		t.Fatalf("got %d events, want %d", n, writers*each*2)
	}
}

func raceRepeats(t *testing.T, s eventstore.Store) {
	for _, expected := range []eventstore.Revision{eventstore.NoStream, eventstore.AnyRevision} {
		stream := fmt.Sprintf("contract%d", expected)
		got := make([]eventstore.Appended, 12)
		var wg sync.WaitGroup
		for w := range got {
			wg.Go(func() {
				a, err := s.Append(t.Context(), stream, expected, Events(0, 2)...)
				if err != nil {
					t.Errorf("repeat %d at %d: %v", w, expected, err)
				}
				got[w] = a
			})
		}
		wg.Wait()
		if len(slices.Compact(got)) != 1 {
			t.Fatalf("repeats at %d got different results: %+v", expected, got)
		}
		wantStream(t, s, stream, Events(0, 2)...)
	}
}

func highWater(t *testing.T, s eventstore.Store) {
	const writers, each = 4, 60
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var writing, reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			var after eventstore.Position
			for seen := 0; seen < writers*each; {
				if err := s.Wait(ctx, after); err != nil {
					t.Errorf("wait after %d with %d seen: %v", after, seen, err)
					return
				}
				for r, err := range s.All(ctx, after) {
					if err != nil || r.Ordinal != uint64(seen) || r.Position <= after {
						t.Errorf("after %d, %d seen: got ordinal %d at %d, %v", after, seen, r.Ordinal, r.Position, err)
						return
					}
					after = r.Position
					seen++
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for n := range each {
				if _, err := s.Append(ctx, fmt.Sprintf("contract-%d", w), eventstore.Revision(n-1), Event(w*1000+n)); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	writing.Wait()
	reading.Wait()
}

func headWhenCalled(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 3)...)
	seq := s.All(t.Context(), 0)
	mustAppend(t, s, "contract-1", 2, Events(3, 5)...)
	if got := Collect(t, seq); len(got) != 3 {
		t.Fatalf("got %d events, want the 3 there were", len(got))
	}
}

func stoppedEarly(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 300)...)
	for _, stop := range []int{1, 2, 255, 299} {
		for _, seq := range []func() int{
			func() (n int) {
				for range s.All(t.Context(), 0) {
					if n++; n == stop {
						break
					}
				}
				return n
			},
			func() (n int) {
				for range s.Stream(t.Context(), "contract-1", 0) {
					if n++; n == stop {
						break
					}
				}
				return n
			},
		} {
			if n := seq(); n != stop {
				t.Fatalf("got %d events before the stop at %d", n, stop)
			}
		}
	}
	seq := s.All(t.Context(), 0)
	if a, b := Collect(t, seq), Collect(t, seq); Diff(a, b) != "" || len(a) != 300 {
		t.Fatalf("the same iterator gave %d, then %d events", len(a), len(b))
	}
	mustAppend(t, s, "contract-1", 299, Event(300)) // A stopped reader holds nothing up.
}

func cancelledRead(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 100)...)
	for name, read := range map[string]func(context.Context) (int, error){
		"all": func(ctx context.Context) (int, error) { return drain(ctx, s, "") },
		"stream": func(ctx context.Context) (int, error) {
			return drain(ctx, s, "contract-1")
		},
		"all back": func(ctx context.Context) (int, error) { return count(s.AllBack(ctx, eventstore.LastPosition)) },
		"stream back": func(ctx context.Context) (int, error) {
			return count(s.StreamBack(ctx, "contract-1", eventstore.LastRevision))
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := read(ctx); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled before: got %d events and %v", name, n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for _, err := range s.All(ctx, 0) {
		if last = err; err != nil {
			break
		}
		if n++; n == 10 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || n == 100 {
		t.Fatalf("cancelled at 10: got %d events and %v", n, last)
	}
}

func drain(ctx context.Context, s eventstore.Store, stream string) (n int, err error) {
	seq := s.All(ctx, 0)
	if stream != "" {
		seq = s.Stream(ctx, stream, 0)
	}
	return count(seq)
}

func count(seq iter.Seq2[eventstore.Recorded, error]) (n int, err error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func cancelledAppend(t *testing.T, s eventstore.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, "contract-1", eventstore.NoStream, Event(0)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if n := len(CheckLog(t, s)); n != 0 {
		t.Fatalf("got %d events, want none", n)
	}
}

func waitPast(t *testing.T, s eventstore.Store) {
	a := mustAppend(t, s, "contract-1", eventstore.NoStream, Events(0, 2)...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for after := range a.Position {
		if after > 3 && after < a.Position-3 {
			continue
		}
		if err := s.Wait(ctx, after); err != nil {
			t.Fatalf("wait after %d of %d: %v", after, a.Position, err)
		}
	}
}

// waitWakes also holds the wake-up to be prompt: a store that polls more slowly than 25 ms is seen.
func waitWakes(t *testing.T, s eventstore.Store) {
	const waiters, rounds = 4, 21
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var after eventstore.Position
	var took []time.Duration
	for n := range rounds {
		woken := make(chan time.Time, waiters)
		for range waiters {
			go func() {
				if err := s.Wait(ctx, after); err != nil {
					t.Errorf("wait after %d: %v", after, err)
				}
				woken <- time.Now()
			}()
		}
		a := mustAppend(t, s, "contract-1", eventstore.Revision(n-1), Event(n))
		done := time.Now()
		for range waiters {
			took = append(took, (<-woken).Sub(done))
		}
		after = a.Position
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 25*time.Millisecond {
		t.Fatalf("half the waiters woke later than %v after the append returned", median)
	}
}

func waitCancelled(t *testing.T, s eventstore.Store) {
	a := mustAppend(t, s, "contract-1", eventstore.NoStream, Event(0))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Wait(ctx, a.Position); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want context.DeadlineExceeded", err)
	}
	if err := s.Wait(ctx, 1<<62); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("far ahead: got %v, want context.DeadlineExceeded", err)
	}
}

func closedStore(t *testing.T, s eventstore.Store) {
	a := mustAppend(t, s, "contract-1", eventstore.NoStream, Event(0))
	waiting := make(chan error, 1)
	go func() { waiting <- s.Wait(context.Background(), a.Position) }()
	shut(t, s)
	if err := <-waiting; !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("a wait that was under way: got %v, want ErrClosed", err)
	}
	if err := s.Wait(t.Context(), a.Position); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("wait: got %v, want ErrClosed", err)
	}
	if _, err := s.Append(t.Context(), "contract-1", 0, Event(1)); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("append: got %v, want ErrClosed", err)
	}
	if _, err := s.Head(t.Context()); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("head: got %v, want ErrClosed", err)
	}
	for name, seq := range map[string]iter.Seq2[eventstore.Recorded, error]{
		"all": s.All(t.Context(), 0), "stream": s.Stream(t.Context(), "contract-1", 0),
		"all back":    s.AllBack(t.Context(), eventstore.LastPosition),
		"stream back": s.StreamBack(t.Context(), "contract-1", eventstore.LastRevision),
	} {
		if _, err := count(seq); !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
}
