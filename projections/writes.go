package projections

import (
	"iter"
	"slices"
	"sort"
)

// Writes are changes over stored rows: what a batch has written so far, for a view store. The zero Writes is empty and
// ready. The caller locks.
type Writes struct {
	at     map[string][]byte // nil is a deletion.
	order  []string          // Keys as they first came.
	sorted []string          // The first len(sorted) of order, sorted; brought up to date by a scan.
}

// Set writes a value; nil counts as empty.
func (w *Writes) Set(key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	w.put(key, value)
}

// Delete writes that a key is not there.
func (w *Writes) Delete(key string) { w.put(key, nil) }

func (w *Writes) put(key string, value []byte) {
	if w.at == nil {
		w.at = map[string][]byte{}
	}
	if _, again := w.at[key]; !again {
		w.order = append(w.order, key)
	}
	w.at[key] = value
}

// Get finds what was written; mine is false for a key that was not, a nil value means deleted.
func (w *Writes) Get(key string) (value []byte, mine bool) {
	value, mine = w.at[key]
	return value, mine
}

// Keys that were written, deletions too, in the order they first came.
func (w *Writes) Keys() []string { return w.order }

// Over is stored with the writes made so far laid over it. stored yields the rows with from <= key < to in order, or in
// the opposite order for reverse.
func (w *Writes) Over(stored iter.Seq2[Pair, error], from, to string, reverse bool) iter.Seq2[Pair, error] {
	mine := w.between(from, to, reverse)
	if len(mine) == 0 {
		return stored
	}
	return func(yield func(Pair, error) bool) {
		at := 0
		upTo := func(key string, all bool) bool {
			for at < len(mine) && (all || mine[at].Key == key || (mine[at].Key < key) != reverse) {
				p := mine[at]
				at++
				if p.Value != nil && !yield(p, nil) {
					return false
				}
			}
			return true
		}
		for p, err := range stored {
			if err != nil {
				yield(Pair{}, err)
				return
			}
			if !upTo(p.Key, false) {
				return
			}
			hidden := at > 0 && mine[at-1].Key == p.Key
			if !hidden && !yield(p, nil) {
				return
			}
		}
		upTo("", true)
	}
}

// between is the writes in a range, deletions with a nil value.
func (w *Writes) between(from, to string, reverse bool) []Pair {
	if to != "" && from >= to {
		return nil
	}
	if fresh := w.order[len(w.sorted):]; len(fresh) > 0 {
		w.sorted = append(w.sorted, fresh...)
		slices.Sort(w.sorted) // Nearly sorted already: pdqsort takes it in one go.
	}
	low := sort.SearchStrings(w.sorted, from)
	high := len(w.sorted)
	if to != "" {
		high = sort.SearchStrings(w.sorted, to)
	}
	if low >= high {
		return nil
	}
	out := make([]Pair, 0, high-low)
	for _, key := range w.sorted[low:high] {
		out = append(out, Pair{Key: key, Value: w.at[key]})
	}
	if reverse {
		slices.Reverse(out)
	}
	return out
}
