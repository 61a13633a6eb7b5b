package projections

import (
	"context"
	"maps"
	"slices"
)

// Effect is what one row adds beside itself: index entries, and sums in shared cells. A projection computes it as a pure
// function of the row; Replace puts the difference in the view. So an index never keeps a stale entry and a sum is always
// the sum over the rows.
type Effect struct {
	Index map[string]string   // Key to value.
	Sums  map[string]Counters // Cell key to what the row adds.
}

// Mark adds an index entry.
func (e *Effect) Mark(key, value string) {
	if e.Index == nil {
		e.Index = map[string]string{}
	}
	e.Index[key] = value
}

// Sum adds n to a counter of a cell.
func (e *Effect) Sum(cell, counter string, n int64) {
	if e.Sums == nil {
		e.Sums = map[string]Counters{}
	}
	if e.Sums[cell] == nil {
		e.Sums[cell] = Counters{}
	}
	e.Sums[cell][counter] += n
}

// Replace takes away what before added and adds what e adds, touching only what differs.
func (e Effect) Replace(ctx context.Context, v View, before Effect) error {
	for _, key := range slices.Sorted(maps.Keys(before.Index)) {
		if _, stays := e.Index[key]; !stays {
			v.Delete(key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Index)) {
		if old, had := before.Index[key]; !had || old != e.Index[key] {
			v.Set(key, []byte(e.Index[key]))
		}
	}
	cells := slices.AppendSeq(slices.Collect(maps.Keys(e.Sums)), maps.Keys(before.Sums))
	slices.Sort(cells)
	for _, cell := range slices.Compact(cells) {
		delta := Counters{}
		for name, n := range e.Sums[cell] {
			delta[name] += n
		}
		for name, n := range before.Sums[cell] {
			delta[name] -= n
		}
		maps.DeleteFunc(delta, func(_ string, n int64) bool { return n == 0 })
		if len(delta) == 0 {
			continue
		}
		if err := Bump(ctx, v, cell, delta); err != nil {
			return err
		}
	}
	return nil
}
