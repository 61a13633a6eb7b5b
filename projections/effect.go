package projections

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Effect is what one row adds beside itself: index entries, and sums in shared cells. A projection computes it as a pure
// function of the row; Replace puts the difference in the view. So an index never keeps a stale entry and a sum is always
// the sum over the rows.
type Effect struct {
	marks []entryMark
	sums  []sum
}

// entryMark is an index entry; of two with one key the later counts.
type entryMark struct{ key, value string }

// sum is what a row adds to one counter of a cell.
type sum struct {
	cell, counter string
	n             int64
}

// Mark adds an index entry.
func (e *Effect) Mark(key, value string) { e.marks = append(e.marks, entryMark{key, value}) }

// Sum adds n to a counter of a cell.
func (e *Effect) Sum(cell, counter string, n int64) { e.sums = append(e.sums, sum{cell, counter, n}) }

// Replace takes away what before added and adds what e adds, touching only what differs. It uses both up.
func (e Effect) Replace(ctx context.Context, v View, before Effect) error {
	was, now := sortMarks(before.marks), sortMarks(e.marks)
	for i, j := 0, 0; i < len(was) || j < len(now); {
		switch {
		case j == len(now) || (i < len(was) && was[i].key < now[j].key):
			v.Delete(was[i].key)
			i++
		case i == len(was) || now[j].key < was[i].key:
			v.Set(now[j].key, []byte(now[j].value))
			j++
		default:
			if was[i].value != now[j].value {
				v.Set(now[j].key, []byte(now[j].value))
			}
			i, j = i+1, j+1
		}
	}
	all := slices.Grow(e.sums, len(before.sums))
	for _, s := range before.sums {
		all = append(all, sum{s.cell, s.counter, -s.n})
	}
	return addSums(ctx, v, all)
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

// addSums adds to every cell at once what is to be added to it.
func addSums(ctx context.Context, v View, all []sum) error {
	slices.SortFunc(all, func(a, b sum) int {
		return cmp.Or(strings.Compare(a.cell, b.cell), strings.Compare(a.counter, b.counter))
	})
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].cell == s.cell && out[n-1].counter == s.counter {
			out[n-1].n += s.n
		} else {
			out = append(out, s)
		}
	}
	out = slices.DeleteFunc(out, func(s sum) bool { return s.n == 0 })
	for len(out) > 0 {
		n := 1
		for n < len(out) && out[n].cell == out[0].cell {
			n++
		}
		if err := bump(ctx, v, out[0].cell, out[:n]); err != nil {
			return err
		}
		out = out[n:]
	}
	return nil
}
