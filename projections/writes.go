package projections

import (
	"iter"
	"maps"
	"slices"
	"sort"
)

// Writes are changes over stored rows: what a batch has written so far, for a view store. The zero Writes is empty and
// ready. The caller locks. Writing is cheap; only who reads what was written pays for an index of it.
type Writes struct {
	all    []Pair         // As they came; a nil value is a deletion.
	at     map[string]int // Where in the first known of all a key came last.
	known  int
	sorted []string // The keys of at, when a scan last needed them.
	peak   int      // The most this memory ever held.
}

// Set writes a value; nil counts as empty.
func (w *Writes) Set(key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	w.all = append(w.all, Pair{Key: key, Value: value})
}

// Delete writes that a key is not there.
func (w *Writes) Delete(key string) { w.all = append(w.all, Pair{Key: key}) }

// index brings at up to date.
func (w *Writes) index() {
	if w.at == nil {
		w.at = make(map[string]int, len(w.all))
	}
	for ; w.known < len(w.all); w.known++ {
		w.at[w.all[w.known].Key] = w.known
	}
}

// Get finds what was written; mine is false for a key that was not, a nil value means deleted.
func (w *Writes) Get(key string) (value []byte, mine bool) {
	if len(w.all) == 0 {
		return nil, false
	}
	w.index()
	i, mine := w.at[key]
	if !mine {
		return nil, false
	}
	return w.all[i].Value, true
}

// All is what was written, in that order: of one key the last counts. A nil value is a deletion. It is valid until the
// next write.
func (w *Writes) All() []Pair { return w.all }

// Last is All with only the last of each key.
func (w *Writes) Last() []Pair {
	w.index()
	if len(w.at) == len(w.all) {
		return w.all
	}
	out := make([]Pair, 0, len(w.at))
	for i, p := range w.all {
		if w.at[p.Key] == i {
			out = append(out, p)
		}
	}
	return out
}

// Reset empties w and keeps its memory for as many writes again; of a much larger batch it keeps nothing.
func (w *Writes) Reset() {
	w.peak = max(w.peak, len(w.all))
	if len(w.all)*8 < w.peak { // Emptying costs what it ever held.
		*w = Writes{}
		return
	}
	clear(w.at)
	clear(w.all)
	w.all, w.sorted, w.known = w.all[:0], w.sorted[:0], 0
}

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
	if w.index(); len(w.sorted) < len(w.at) {
		w.sorted = slices.AppendSeq(w.sorted[:0], maps.Keys(w.at))
		slices.Sort(w.sorted)
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
		out = append(out, w.all[w.at[key]])
	}
	if reverse {
		slices.Reverse(out)
	}
	return out
}
