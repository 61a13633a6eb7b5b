package projections

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Effect is what one row adds beside itself: index entries, and sums in shared cells. A projection computes it as a pure
// function of the row; Replace puts the difference in the view. So an index never keeps a stale entry and a sum is always
// the sum over the rows.
//
// What a row adds to each of its areas alike is said once, by SumEach: keys are made of it for the areas only where
// something changed.
type Effect struct {
	areas []string
	marks []entryMark
	sums  []sum
	room  *effectRoom // Where they are.
}

// effectRoom is memory for an effect: each event makes two or more, and none outlives its Replace.
type effectRoom struct {
	marks []entryMark
	sums  []sum
}

const effectLeast = 16 // Entries and sums of most rows.

var effectRooms = sync.Pool{New: func() any {
	return &effectRoom{make([]entryMark, 0, effectLeast), make([]sum, 0, effectLeast)}
}}

// enter gives an effect its memory.
func (e *Effect) enter() {
	if e.room == nil {
		e.room = effectRooms.Get().(*effectRoom)
		e.marks, e.sums = e.room.marks, e.room.sums
	}
}

// leave gives it back.
func (e *Effect) leave() {
	if e.room != nil {
		clear(e.marks)
		clear(e.sums)
		e.room.marks, e.room.sums = e.marks[:0], e.sums[:0]
		effectRooms.Put(e.room)
	}
}

// spot is a key: rest itself, or with a kind the key of kind, area and rest in every area. A rest is a Key too.
type spot struct{ kind, rest string }

// in appends the key in an area.
func (s spot) in(b []byte, area string) []byte {
	if s.kind == "" {
		return append(b, s.rest...)
	}
	b = append(append(append(b, s.kind...), keySeparator...), area...)
	if s.rest == "" {
		return b
	}
	return append(append(b, keySeparator...), s.rest...)
}

// entryMark is an index entry; of two with one key the later counts.
type entryMark struct{ key, value string }

// sum is what a row adds to one counter of a cell.
type sum struct {
	spot
	counter string
	n       int64
}

// Over says which areas SumEach is for, each once.
func (e *Effect) Over(areas []string) { e.areas = areas }

// Mark adds an index entry.
func (e *Effect) Mark(key, value string) {
	e.enter()
	e.marks = append(e.marks, entryMark{key, value})
}

// Sum adds n to a counter of a cell.
func (e *Effect) Sum(cell, counter string, n int64) { e.sum(spot{rest: cell}, counter, n) }

// SumEach adds n to a counter of a cell for every area: Key(kind, area, …), with rest the Key of what follows, or Key(kind, area)
// without.
func (e *Effect) SumEach(kind, rest, counter string, n int64) { e.sum(spot{kind, rest}, counter, n) }

func (e *Effect) sum(at spot, counter string, n int64) {
	if n == 0 {
		return
	}
	e.enter()
	e.sums = append(e.sums, sum{at, counter, n})
}

// Replace takes away what before added and adds what e adds, touching only what differs. It uses both up: their
// memory is the next effects'.
func (e Effect) Replace(ctx context.Context, v View, before Effect) error {
	t := tallies.Get().(*tally)
	e.replace(v, before, t)
	return t.settle(ctx, v)
}

// replace is Replace that leaves the sums to a tally.
func (e Effect) replace(v View, before Effect, t *tally) {
	e.replaceMarks(v, before.marks)
	t.add(before.areas, before.sums, -1)
	t.add(e.areas, e.sums, 1)
	e.leave()
	before.leave()
}

func (e Effect) replaceMarks(v View, before []entryMark) {
	if slices.Equal(e.marks, before) {
		return
	}
	was, now := sortMarks(before), sortMarks(e.marks)
	for i, j := 0, 0; i < len(was) || j < len(now); {
		order := 0
		switch {
		case j == len(now):
			order = -1
		case i == len(was):
			order = 1
		default:
			order = strings.Compare(was[i].key, now[j].key)
		}
		switch {
		case order < 0:
			v.Delete(was[i].key)
			i++
		case order > 0:
			v.Set(now[j].key, []byte(now[j].value))
			j++
		default:
			if was[i].value != now[j].value {
				v.Set(now[j].key, []byte(now[j].value))
			}
			i, j = i+1, j+1
		}
	}
}

func sortMarks(marks []entryMark) []entryMark {
	slices.SortStableFunc(marks, func(a, b entryMark) int { return strings.Compare(a.key, b.key) })
	out := marks[:0]
	for i, m := range marks {
		if i+1 == len(marks) || marks[i+1].key != m.key {
			out = append(out, m)
		}
	}
	return out
}
