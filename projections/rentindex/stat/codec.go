package stat

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

const codecVersion = 1

// ErrEncoding means bytes that Encode did not write.
var ErrEncoding = errors.New("stat: not a canonical cell encoding")

// Encode appends the cell's canonical form: equal content, equal bytes, however it was reached. It holds, in uvarints
// and [Wide]s: version, n, Σy, Σyy; the terms carried by any observation in bytewise order of name (name, kind, count,
// Σx of a number, Σxy); the non-zero products of two terms in order.
func (c *Cell) Encode(b []byte) []byte {
	var room encodeRoom
	order, rank, keys := room.order[:0], room.rank[:], room.keys[:0]
	for i, t := range c.terms {
		if t.n != 0 {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(i, j int32) int { return cmp.Compare(c.terms[i].name, c.terms[j].name) })
	if len(c.terms) > len(rank) {
		rank = make([]uint32, len(c.terms))
	}
	b = append(b, codecVersion)
	b = binary.AppendUvarint(b, uint64(c.n))
	b = c.syy.append(c.sy.append(b))
	b = binary.AppendUvarint(b, uint64(len(order)))
	for r, i := range order {
		t := &c.terms[i]
		rank[i] = uint32(r)
		b = binary.AppendUvarint(b, uint64(len(t.name)))
		b = append(b, t.name...)
		b = binary.AppendUvarint(b, uint64(t.n)<<1|kindBit(t.numeric))
		if t.numeric {
			b = t.sx.append(b)
		}
		b = t.sxy.append(b)
	}
	for key := range c.counts {
		keys = append(keys, rankKey(rank, key))
	}
	for key := range c.sums {
		keys = append(keys, rankKey(rank, key))
	}
	slices.Sort(keys)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	last := uint64(0)
	for _, key := range keys {
		b = binary.AppendUvarint(b, key>>32-last>>32)
		b = binary.AppendUvarint(b, uint64(uint32(key)))
		last = key
		if i, j := order[key>>32], order[uint32(key)]; c.terms[i].numeric || c.terms[j].numeric {
			b = c.sums[pairKey(i, j)].append(b)
		} else {
			b = binary.AppendUvarint(b, uint64(c.counts[pairKey(i, j)]))
		}
	}
	return b
}

// encodeRoom is what Encode needs for the cells of most areas and months.
type encodeRoom struct {
	order [64]int32  // Of terms, by name.
	rank  [64]uint32 // Of a term in that order.
	keys  [512]uint64
}

func kindBit(numeric bool) uint64 {
	if numeric {
		return 1
	}
	return 0
}

func rankKey(rank []uint32, key uint64) uint64 {
	i, j := rank[key>>32], rank[uint32(key)]
	return uint64(min(i, j))<<32 | uint64(max(i, j))
}

// Decode reads what Encode wrote. Anything else, another encoding of the same content included, is ErrEncoding.
func Decode(b []byte) (*Cell, error) {
	c := &Cell{}
	in := reader{b: b}
	if in.byte() != codecVersion {
		return nil, fmt.Errorf("%w: version", ErrEncoding)
	}
	c.n = in.count()
	c.sy, c.syy = in.wide(), in.wide()
	terms := in.count()
	if terms > TermsMax {
		return nil, fmt.Errorf("%w: %d terms", ErrEncoding, terms)
	}
	if terms > 0 {
		room := min(terms, int64(len(in.b)/termBytesMin))
		c.terms, c.index, c.sums = make([]term, 0, room), make(map[string]int32, room), map[uint64]Wide{}
	}
	in.text = string(in.b) // For all names.
	for range terms {
		if in.err != nil {
			break
		}
		in.term(c)
	}
	pairs := in.count()
	if terms > 0 {
		c.counts = make(map[uint64]int64, min(pairs, int64(len(in.b)/pairBytesMin)))
	}
	key := uint64(0)
	for k := range pairs {
		if in.err != nil {
			break
		}
		i, j := in.uvarint(), in.uvarint()
		if i < uint64(len(c.terms)) {
			i += key >> 32
		}
		next := i<<32 | j&math.MaxUint32
		if i >= uint64(len(c.terms)) || j >= uint64(len(c.terms)) || j < i || k > 0 && next <= key {
			in.fail()
			break
		}
		if key = next; c.terms[i].numeric || c.terms[j].numeric {
			c.sums[key] = in.nonZeroWide()
		} else {
			c.counts[key] = in.nonZero()
		}
	}
	if in.err == nil && len(in.b) != 0 {
		in.fail()
	}
	if in.err != nil {
		return nil, in.err
	}
	return c, nil
}

const termBytesMin, pairBytesMin = 4, 3 // Of their encodings.

// EncodedN is N of an encoded cell, without decoding the rest.
func EncodedN(b []byte) (int64, error) {
	in := reader{b: b}
	if in.byte() != codecVersion {
		in.fail()
	}
	n := in.count()
	return n, in.err
}

type reader struct {
	b    []byte
	text string // What b was, or ends with it.
	err  error
}

func (r *reader) fail() { r.err, r.b = ErrEncoding, nil }

func (r *reader) byte() (v byte) {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v, r.b = r.b[0], r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 { // A longer form of the same number.
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) count() int64 {
	v := int64(r.uvarint())
	if v < 0 {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) nonZero() int64 {
	v := r.count()
	if v == 0 {
		r.fail()
	}
	return v
}

func (r *reader) nonZeroWide() Wide {
	w := r.wide()
	if w == (Wide{}) {
		r.fail()
	}
	return w
}

func (r *reader) wide() Wide {
	w, rest, err := readWide(r.b)
	if err != nil {
		r.fail()
		return Wide{}
	}
	r.b = rest
	return w
}

func (r *reader) term(c *Cell) {
	size := r.uvarint()
	if size > TermBytesMax || size > uint64(len(r.b)) {
		r.fail()
		return
	}
	name := r.text[len(r.text)-len(r.b):][:size]
	r.b = r.b[size:]
	head := r.uvarint()
	t := term{name: name, numeric: head&1 == 1, n: int64(head >> 1)}
	if n := len(c.terms); t.n == 0 || n > 0 && name <= c.terms[n-1].name || checkTerm(name, t.numeric) != nil {
		r.fail()
		return
	}
	if t.numeric {
		t.sx = r.wide()
	}
	t.sxy = r.wide()
	c.terms[c.intern(name, t.numeric)] = t
}

// Sums are exact sums with a canonical encoding: a [Cell], [Strata] or [Pairs].
type Sums interface {
	N() int64
	Encode(b []byte) []byte
}

// Keyed is some sums and the name they count under.
type Keyed struct {
	Key  string
	Cell Sums
}

// InputsSHA256 is the SHA-256 of the non-empty cells in order of key: each key and encoding with its length in eight
// bytes before it. Two runs with the same figure used the same integers.
func InputsSHA256(cells []Keyed) [32]byte {
	cells = slices.Clone(cells)
	slices.SortStableFunc(cells, func(x, y Keyed) int { return cmp.Compare(x.Key, y.Key) })
	h := sha256.New()
	var buf []byte
	for _, k := range cells {
		if k.Cell.N() == 0 {
			continue
		}
		buf = binary.BigEndian.AppendUint64(buf[:0], uint64(len(k.Key)))
		buf = append(buf, k.Key...)
		_, _ = h.Write(buf) // A hash never fails to write.
		buf = k.Cell.Encode(buf[:0])
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(buf)))
		_, _ = h.Write(size[:])
		_, _ = h.Write(buf)
	}
	return [32]byte(h.Sum(nil))
}
