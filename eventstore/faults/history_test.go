package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"zujian/eventstore"
	"zujian/eventstore/faults"
	"zujian/eventstore/memory"
)

// record has eight clients use a store of the model, some of them losing answers.
func record(t *testing.T, seed uint64, calls int) *faults.History {
	store, h, began := &memory.Store{}, &faults.History{}, time.Now()
	var wg sync.WaitGroup
	for client := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(client)))
		wg.Go(func() {
			for n := range calls / 8 {
				c := faults.Call{Client: client, Stream: fmt.Sprintf("s-%d", rng.IntN(20)), Append: rng.IntN(2) == 0, Start: time.Since(began)}
				if c.Append {
					c.Value = fmt.Sprint(client, ".", n)
					e := eventstore.NewEvent{ID: [16]byte{byte(client), byte(n >> 8), byte(n), 1}, Type: "a.b", Data: []byte(c.Value)}
					res, err := store.Append(context.Background(), c.Stream, eventstore.AnyRevision, e)
					if err != nil {
						t.Error(err)
					}
					c.Revision, c.Lost = int64(res.Revision), rng.IntN(100) == 0
				} else {
					c.Revision = -1
					for r, err := range store.Stream(context.Background(), c.Stream, 0) {
						if err != nil {
							t.Error(err)
						}
						c.Revision, c.Value = int64(r.Revision), string(r.Data)
					}
				}
				c.End = time.Since(began)
				h.Add(c)
			}
		})
	}
	wg.Wait()
	return h
}

// TestHistoryCheckFindsViolations shows that the check passes what a correct store did and finds each kind of fault in
// it, however few calls it touches.
func TestHistoryCheckFindsViolations(t *testing.T) {
	for seed := range uint64(5) {
		h := record(t, seed, 4000)
		if err := h.Check(time.Minute); err != nil {
			t.Fatalf("seed %d: the model's own history: %v", seed, err)
		}
		for name, violate := range faults.Violations {
			broken, injected := violate(h, rand.New(rand.NewPCG(seed, 99)))
			if injected == 0 {
				t.Errorf("seed %d: no %s was injected", seed, name)
				continue
			}
			if err := broken.Check(time.Minute); err == nil {
				t.Errorf("seed %d: %d calls with a %s, and the check passed", seed, injected, name)
			}
		}
	}
}
