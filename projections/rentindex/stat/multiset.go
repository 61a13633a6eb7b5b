package stat

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
)

// Multiset counts integer values (fen, or grid numbers): medians and quantiles of a changing population, exactly. The
// zero Multiset is empty and ready.
type Multiset struct {
	n      int64
	counts map[int64]int64 // Never zero.
}

// N is the number of values held.
func (m *Multiset) N() int64 { return m.n }

// Add takes a value in.
func (m *Multiset) Add(v int64) {
	if m.counts == nil {
		m.counts = map[int64]int64{}
	}
	m.counts[v]++
	m.n++
}

// Remove takes one such value out again, or refuses with ErrNotHeld.
func (m *Multiset) Remove(v int64) error {
	if m.counts[v] < 1 {
		return ErrNotHeld
	}
	if m.counts[v]--; m.counts[v] == 0 {
		delete(m.counts, v)
	}
	m.n--
	return nil
}

// Merge adds everything o holds.
func (m *Multiset) Merge(o *Multiset) {
	if m.counts == nil {
		m.counts = make(map[int64]int64, len(o.counts))
	}
	for v, n := range o.counts {
		m.counts[v] += n
	}
	m.n += o.n
}

// Unmerge takes out everything o holds. It refuses with ErrNotHeld, leaving m as it was, where o is not within m.
func (m *Multiset) Unmerge(o *Multiset) error {
	for v, n := range o.counts {
		if m.counts[v] < n {
			return ErrNotHeld
		}
	}
	for v, n := range o.counts {
		if m.counts[v] -= n; m.counts[v] == 0 {
			delete(m.counts, v)
		}
	}
	m.n -= o.n
	return nil
}

// Counts is a copy of what is held: how often each value occurs.
func (m *Multiset) Counts() map[int64]int64 { return maps.Clone(m.counts) }

// Ranks are the values at ranks (from 0), which MUST rise and be below N.
func (m *Multiset) Ranks(ranks ...int64) []int64 {
	out := make([]int64, 0, len(ranks))
	seen := int64(0)
	for _, v := range slices.Sorted(maps.Keys(m.counts)) {
		seen += m.counts[v]
		for len(out) < len(ranks) && ranks[len(out)] < seen {
			out = append(out, v)
		}
		if len(out) == len(ranks) {
			break
		}
	}
	return out
}

// Middle are the two values whose mean is the median, the same one twice where N is odd. ok is false when m is empty.
func (m *Multiset) Middle() (low, high int64, ok bool) {
	if m.n == 0 {
		return 0, 0, false
	}
	v := m.Ranks((m.n-1)/2, m.n/2)
	return v[0], v[1], true
}

// Quantile is the quantile at num/den as R's type 7 gives it: between the values around rank (N−1)·num/den. ok is false
// when m is empty or num/den is not within 0 to 1.
func (m *Multiset) Quantile(num, den int64) (q float64, ok bool) {
	if m.n == 0 || num < 0 || den <= 0 || num > den || m.n > math.MaxInt64/den {
		return 0, false
	}
	rank, part := (m.n-1)*num/den, (m.n-1)*num%den
	v := m.Ranks(rank, min(rank+1, m.n-1))
	// Integers until the last division.
	z := new(big.Int).Mul(big.NewInt(v[0]), big.NewInt(den-part))
	z.Add(z, new(big.Int).Mul(big.NewInt(v[1]), big.NewInt(part)))
	f, _ := z.Float64()
	return f / float64(den), true
}

// Encode appends the canonical form: equal content, equal bytes. It holds N, the first value and the steps between
// values in order, each with its count.
func (m *Multiset) Encode(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.counts)))
	last := int64(0)
	for i, v := range slices.Sorted(maps.Keys(m.counts)) {
		if i == 0 {
			b = binary.AppendVarint(b, v)
		} else {
			b = binary.AppendUvarint(b, uint64(v)-uint64(last))
		}
		b = binary.AppendUvarint(b, uint64(m.counts[v]))
		last = v
	}
	return b
}

func (r *reader) multiset() *Multiset {
	m := &Multiset{counts: map[int64]int64{}}
	distinct := r.count()
	v := int64(0)
	for i := range distinct {
		if r.err != nil {
			break
		}
		if i == 0 {
			v = r.varint()
		} else {
			step := r.uvarint()
			next := int64(uint64(v) + step)
			if step == 0 || next <= v {
				r.fail()
				break
			}
			v = next
		}
		n := r.count()
		if n == 0 || n > math.MaxInt64-m.n {
			r.fail()
			break
		}
		m.counts[v] = n
		m.n += n
	}
	return m
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Strata are the multisets of one area and period by stratum. Empty ones are no content.
type Strata map[string]*Multiset

// N is the number of values held.
func (s Strata) N() (n int64) {
	for _, m := range s {
		n += m.n
	}
	return n
}

// Any is whether some stratum holds at least n values.
func (s Strata) Any(n int64) bool {
	for _, m := range s {
		if m.n >= n {
			return true
		}
	}
	return false
}

// Of is the multiset of a stratum, made where there is none.
func (s Strata) Of(stratum string) *Multiset {
	m := s[stratum]
	if m == nil {
		m = &Multiset{}
		s[stratum] = m
	}
	return m
}

// Merge adds everything o holds.
func (s Strata) Merge(o Strata) {
	for k, m := range o {
		s.Of(k).Merge(m)
	}
}

// Unmerge takes out everything o holds, or refuses with ErrNotHeld where o is not within s.
func (s Strata) Unmerge(o Strata) error {
	for _, k := range slices.Sorted(maps.Keys(o)) {
		if err := s.Of(k).Unmerge(o[k]); err != nil {
			return err
		}
	}
	return nil
}

// Encode appends the canonical form.
func (s Strata) Encode(b []byte) []byte {
	names := make([]string, 0, len(s))
	for k, m := range s {
		if m.n > 0 {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, k := range names {
		b = binary.AppendUvarint(b, uint64(len(k)))
		b = append(b, k...)
		b = s[k].Encode(b)
	}
	return b
}

// DecodeStrata reads what [Strata.Encode] wrote, and nothing else.
func DecodeStrata(b []byte) (Strata, error) {
	in := reader{b: b}
	s := Strata{}
	for range in.count() {
		size := in.uvarint()
		if in.err != nil || size > uint64(len(in.b)) {
			in.fail()
			break
		}
		name := string(in.b[:size])
		in.b = in.b[size:]
		s[name] = in.multiset()
	}
	if in.err == nil && (len(in.b) != 0 || string(s.Encode(make([]byte, 0, len(b)))) != string(b)) {
		in.fail()
	}
	if in.err != nil {
		return nil, fmt.Errorf("strata: %w", in.err)
	}
	return s, nil
}
