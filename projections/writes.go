package projections

import (
	"iter"
	"slices"
	"strings"
)

// Writes are changes over stored rows: what a batch has written so far, for a view store. The zero Writes is empty and
// ready. The caller locks. Writing is cheap; only who reads what was written pays for an index of it.
//
// Most of what views write are entries of indexes, which no batch reads: only keys of a kind, the first part of a key, that
// was ever asked for are indexed.
type Writes struct {
	all    []Pair // As they came; a nil value is a deletion.
	kinds  []*writtenKind
	last   *writtenKind // The kind of the key before: most come several together.
	sorted []Pair       // The last of each key of the first known of all, when a scan last needed them.
	known  int
	peak   int // The most this memory ever held.
}

// writtenKind are the writes of one kind.
type writtenKind struct {
	name  string
	asked bool
	here  []int32          // Where in all they are, since it was asked for.
	known int              // So many of here are in at.
	at    map[string]int32 // Where in all a key came last.
}

// Set writes a value; nil counts as empty.
func (w *Writes) Set(key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	w.write(Pair{Key: key, Value: value})
}

// Delete writes that a key is not there.
func (w *Writes) Delete(key string) { w.write(Pair{Key: key}) }

func (w *Writes) write(p Pair) {
	if k := w.kind(p.Key); k.asked {
		k.here = append(k.here, int32(len(w.all)))
	}
	w.all = append(w.all, p)
}

// kind finds the writes of a key's like.
func (w *Writes) kind(key string) *writtenKind {
	name := kindOf(key)
	if w.last != nil && w.last.name == name {
		return w.last
	}
	for _, k := range w.kinds {
		if k.name == name {
			w.last = k
			return k
		}
	}
	if len(w.kinds) >= writtenKindsMax {
		return w.kinds[0]
	}
	w.last = &writtenKind{name: strings.Clone(name)}
	w.kinds = append(w.kinds, w.last)
	return w.last
}

// writtenKindsMax is how many kinds are told apart; those beyond are with the first.
const writtenKindsMax = 64

// Get finds what was written; mine is false for a key that was not, a nil value means deleted.
func (w *Writes) Get(key string) (value []byte, mine bool) {
	k := w.kind(key)
	if !k.asked {
		k.asked = true
		for i, p := range w.all {
			if w.kind(p.Key) == k {
				k.here = append(k.here, int32(i))
			}
		}
	}
	if len(k.here) == 0 {
		return nil, false
	}
	if k.at == nil {
		k.at = make(map[string]int32, len(k.here))
	}
	for ; k.known < len(k.here); k.known++ {
		i := k.here[k.known]
		k.at[w.all[i].Key] = i
	}
	i, mine := k.at[key]
	if !mine {
		return nil, false
	}
	return w.all[i].Value, true
}

// All is what was written, in that order: of one key the last counts. A nil value is a deletion. It is valid until the
// next write.
func (w *Writes) All() []Pair { return w.all }

// Last is All with only the last of each key, in order of keys.
func (w *Writes) Last() []Pair {
	fresh := w.all[w.known:]
	w.known = len(w.all)
	if len(fresh) <= writtenFew {
		for _, p := range fresh {
			i, there := placeOf(w.sorted, p.Key)
			if there {
				w.sorted[i] = p
			} else {
				w.sorted = slices.Insert(w.sorted, i, p)
			}
		}
		return w.sorted
	}
	w.sorted = append(w.sorted, fresh...) // Behind those of before: the later of two with a key counts.
	slices.SortStableFunc(w.sorted, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	kept := w.sorted[:0]
	for i, p := range w.sorted {
		if i+1 == len(w.sorted) || w.sorted[i+1].Key != p.Key {
			kept = append(kept, p)
		}
	}
	clear(w.sorted[len(kept):])
	w.sorted = kept
	return w.sorted
}

// writtenFew is how many writes are put in their places one by one: who scans after each event has some of them. More are
// sorted together.
const writtenFew = 16

// placeOf is where a key is in pairs in order of keys, or would be.
func placeOf(pairs []Pair, key string) (i int, there bool) {
	return slices.BinarySearchFunc(pairs, key, func(p Pair, key string) int { return strings.Compare(p.Key, key) })
}

// Reset empties w and keeps its memory for as many writes again; of a much larger batch it keeps nothing.
func (w *Writes) Reset() {
	w.peak = max(w.peak, len(w.all))
	if len(w.all)*8 < w.peak { // Emptying costs what it ever held.
		*w = Writes{}
		return
	}
	for _, k := range w.kinds {
		clear(k.at)
		k.here, k.known = k.here[:0], 0
	}
	clear(w.all)
	clear(w.sorted)
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
	all := w.Last()
	low, _ := placeOf(all, from)
	high := len(all)
	if to != "" {
		high, _ = placeOf(all, to)
	}
	if low >= high {
		return nil
	}
	out := slices.Clone(all[low:high])
	if reverse {
		slices.Reverse(out)
	}
	return out
}
