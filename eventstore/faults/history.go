package faults

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Call is one operation on a stream as its client saw it. Times are of one clock that never goes back.
type Call struct {
	Client   int
	Stream   string
	Append   bool   // Else a read of the stream's end.
	Value    string // Written or read: something that tells neighbours apart.
	Revision int64  // Of the end, as the answer has it; -1 is an empty stream.
	Position uint64 // As the answer has it; 0 if it has none.
	Start    time.Duration
	End      time.Duration
	Lost     bool // No answer came: it may have happened at any time after Start, or never.
	Repeated bool // The answer is that of a repeat: it happened, but Revision may be of a later end.
}

// History is what several clients saw. Its methods may be called concurrently.
type History struct {
	mu    sync.Mutex
	calls []Call
}

// Add adds a call.
func (h *History) Add(c Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
}

// Len is the number of calls.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

// Counts says how many calls were lost, and how many answered by a repeat.
func (h *History) Counts() (lost, repeated int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if c.Lost {
			lost++
		}
		if c.Repeated {
			repeated++
		}
	}
	return lost, repeated
}

// end is the state of one stream in the model.
type end struct {
	revision int64
	value    string
}

// model says what a stream does: an append puts a value after the end, a read tells the end.
var model = porcupine.Model{
	Init: func() any { return end{revision: -1} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(end), input.(Call), output.(Call)
		if in.Append {
			next := end{s.revision + 1, in.Value}
			return out.Lost || out.Repeated || out.Revision == next.revision, next
		}
		return out.Revision == s.revision && out.Value == s.value, s
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// Check tells whether the history could be that of streams that do one thing at a time (linearizable), whether each
// client's reads of a stream go forward, and whether it reads its own writes. A lost read says nothing and is left out.
func (h *History) Check(atMost time.Duration) error {
	h.mu.Lock()
	calls := slices.Clone(h.calls)
	h.mu.Unlock()
	calls = slices.DeleteFunc(calls, func(c Call) bool { return !c.Append && c.Lost })
	slices.SortStableFunc(calls, func(a, b Call) int { return cmp.Compare(a.Start, b.Start) })
	if err := forward(calls); err != nil {
		return err
	}
	byStream := map[string][]porcupine.Operation{}
	for _, c := range calls {
		op := porcupine.Operation{ClientId: c.Client, Input: c, Output: c, Call: int64(c.Start), Return: int64(c.End)}
		if c.Lost {
			op.Return = math.MaxInt64
		}
		byStream[c.Stream] = append(byStream[c.Stream], op)
	}
	for stream, ops := range byStream {
		switch porcupine.CheckOperationsTimeout(model, ops, atMost) {
		case porcupine.Illegal:
			return fmt.Errorf("NOT LINEARIZABLE: stream %s, %d calls", stream, len(ops))
		case porcupine.Unknown:
			return fmt.Errorf("stream %s: %d calls could not be checked in %v", stream, len(ops), atMost)
		}
	}
	return nil
}

// forward checks each client alone: what it saw of a stream never goes back, and includes what it wrote.
func forward(calls []Call) error {
	type seen struct {
		client int
		stream string
	}
	last := map[seen]Call{}
	for _, c := range calls {
		if c.Lost || c.Append && c.Repeated {
			continue
		}
		k := seen{c.Client, c.Stream}
		if before, ok := last[k]; ok && c.Start >= before.End && c.Revision < before.Revision {
			return fmt.Errorf("WENT BACK: client %d saw %s at %d, then at %d", c.Client, c.Stream, before.Revision, c.Revision)
		}
		if c.Revision >= last[k].Revision {
			last[k] = c
		}
	}
	return nil
}

// Violations are faults of a store, made in a history that has none: by name, how many calls each changed. They show
// that Check finds them.
var Violations = map[string]func(h *History, rng *rand.Rand) (broken *History, injected int){
	"stale read":        staleReads,
	"lost append":       lostAppend,
	"append told twice": toldTwice,
}

func (h *History) sorted() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := slices.Clone(h.calls)
	slices.SortStableFunc(calls, func(a, b Call) int { return cmp.Compare(a.Start, b.Start) })
	return calls
}

// staleReads has some reads tell an end that an append, answered before the read began, had already moved on. They are
// given to clients of their own, so that only the order of all clients can show it.
func staleReads(h *History, rng *rand.Rand) (*History, int) {
	calls, injected := h.sorted(), 0
	for i := range calls {
		r := &calls[i]
		if r.Append || r.Lost || rng.IntN(50) != 0 {
			continue
		}
		var before, last *Call
		for j := range i {
			c := &calls[j]
			if c.Append && !c.Lost && !c.Repeated && c.Stream == r.Stream && c.End < r.Start && c.Revision < r.Revision {
				before, last = last, c
			}
		}
		if before == nil || last.Revision <= before.Revision {
			continue
		}
		r.Revision, r.Value, r.Client = before.Revision, before.Value, 1000+i
		injected++
	}
	return &History{calls: calls}, injected
}

// lostAppend takes one acknowledged append out of all that came after it.
func lostAppend(h *History, rng *rand.Rand) (*History, int) {
	calls, injected := h.sorted(), 0
	for range 1000 {
		i := rng.IntN(len(calls))
		gone := calls[i]
		if !gone.Append || gone.Lost || gone.Repeated {
			continue
		}
		for j := range calls {
			c := &calls[j]
			if c.Stream == gone.Stream && !c.Lost && !c.Repeated && c.Start > gone.End && c.Revision > gone.Revision {
				c.Revision--
				injected++
			}
		}
		if injected > 0 {
			break
		}
	}
	return &History{calls: calls}, injected
}

// toldTwice gives the revision of one append to another that began after it.
func toldTwice(h *History, rng *rand.Rand) (*History, int) {
	calls := h.sorted()
	for range 1000 {
		first := calls[rng.IntN(len(calls))]
		if !first.Append || first.Lost || first.Repeated {
			continue
		}
		for j := range calls {
			c := &calls[j]
			if c.Append && !c.Lost && !c.Repeated && c.Stream == first.Stream && c.Start > first.End {
				c.Revision, c.Client = first.Revision, 1000+j
				return &History{calls: calls}, 1
			}
		}
	}
	return &History{calls: calls}, 0
}
