package projections

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// tally adds up what effects add to cells, so that each cell is added to once: many rows of a batch add to the same.
type tally struct {
	at    map[tallySpot]int // In all.
	all   []tallied         // As they first came; those beyond n are memory for others.
	n     int
	set   map[string]int // Of areas, by these together.
	areas [][]string     // Of each set; the first is that of keys in no area.
	room  []byte
}

// tallySpot is a spot in a set of areas.
type tallySpot struct {
	set int
	spot
}

type tallied struct {
	tallySpot
	counters []counter // As they first came.
	next     int       // Behind the one found last: rows have them in one order, about.
}

var tallies = sync.Pool{New: func() any { return newTally() }}

func newTally() *tally {
	return &tally{at: map[tallySpot]int{}, set: map[string]int{}, areas: [][]string{{""}}}
}

// add adds sums of an effect over some areas, or takes them away for the sign -1.
func (t *tally) add(areas []string, sums []sum, sign int64) {
	set, x := 0, (*tallied)(nil)
	for _, s := range sums {
		at := tallySpot{spot: s.spot}
		if s.kind != "" {
			if set == 0 {
				set = t.setOf(areas)
			}
			at.set = set
		}
		if x == nil || x.tallySpot != at {
			x = t.find(at)
		}
		x.add(s.counter, sign*s.n)
	}
}

func (t *tally) setOf(areas []string) int {
	t.room = t.room[:0]
	for _, a := range areas {
		t.room = append(append(t.room, a...), keyAfter...)
	}
	set, known := t.set[string(t.room)]
	if !known {
		set = len(t.areas)
		t.set[string(t.room)], t.areas = set, append(t.areas, areas)
	}
	return set
}

func (t *tally) find(at tallySpot) *tallied {
	i, known := t.at[at]
	if !known {
		if t.n == len(t.all) {
			t.all = append(t.all, tallied{})
		}
		i, t.n = t.n, t.n+1
		t.at[at], t.all[i].tallySpot = i, at
	}
	return &t.all[i]
}

func (x *tallied) add(name string, n int64) {
	for i := range x.counters {
		at := x.next + i
		if at >= len(x.counters) {
			at -= len(x.counters)
		}
		if x.counters[at].name == name {
			x.counters[at].n += n
			x.next = at + 1
			return
		}
	}
	x.counters = append(x.counters, counter{name, n})
	x.next = 0
}

// settle adds all to the cells. The tally's memory is the next one's.
func (t *tally) settle(ctx context.Context, v View) error {
	room := [256]byte{}
	for i := range t.n {
		x := &t.all[i]
		deltas := slices.DeleteFunc(x.counters, func(c counter) bool { return c.n == 0 })
		if len(deltas) == 0 {
			continue
		}
		slices.SortFunc(deltas, func(a, b counter) int { return strings.Compare(a.name, b.name) })
		for _, area := range t.areas[x.set] {
			if err := bump(ctx, v, x.in(room[:0], area), deltas); err != nil {
				return err
			}
		}
	}
	for i := range t.n {
		x := &t.all[i]
		clear(x.counters)
		*x = tallied{counters: x.counters[:0]}
	}
	if t.n > settlingMost { // Emptying a large map costs what it ever held.
		t.at, t.set = map[tallySpot]int{}, map[string]int{}
	}
	clear(t.at)
	clear(t.set)
	clear(t.areas[1:])
	t.n, t.areas = 0, t.areas[:1]
	tallies.Put(t)
	return nil
}
