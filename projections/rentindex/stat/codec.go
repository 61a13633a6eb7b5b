package stat

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const codecVersion = 1

// ErrEncoding means bytes that Encode did not write.
var ErrEncoding = errors.New("stat: not a canonical cell encoding")

// Encode appends the cell's canonical form: equal content, equal bytes, however it was reached. It holds, in uvarints
// and [Wide]s: version, n, Σy, Σyy; the terms carried by any observation in bytewise order of name (name, kind, count,
// Σx of a number, Σxy); the non-zero products of two terms in order.
func (c *Cell) Encode(b []byte) []byte {
	order := make([]int32, 0, len(c.terms))
	for i, t := range c.terms {
		if t.n != 0 {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(i, j int32) int { return cmp.Compare(c.terms[i].name, c.terms[j].name) })
	rank := make([]uint32, len(c.terms))
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
	type pair struct {
		key   uint64 // In ranks.
		count int64
		sum   Wide
	}
	pairs := make([]pair, 0, len(c.counts)+len(c.sums))
	for key, v := range c.counts {
		pairs = append(pairs, pair{key: rankKey(rank, key), count: v})
	}
	for key, v := range c.sums {
		pairs = append(pairs, pair{key: rankKey(rank, key), sum: v})
	}
	slices.SortFunc(pairs, func(x, y pair) int { return cmp.Compare(x.key, y.key) })
	b = binary.AppendUvarint(b, uint64(len(pairs)))
	last := uint64(0)
	for _, p := range pairs {
		i, lastI := p.key>>32, last>>32
		b = binary.AppendUvarint(b, i-lastI)
		b = binary.AppendUvarint(b, p.key&0xffffffff)
		last = p.key
		if p.count != 0 {
			b = binary.AppendUvarint(b, uint64(p.count))
		} else {
			b = p.sum.append(b)
		}
	}
	return b
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
	for range terms {
		if in.err != nil {
			break
		}
		in.term(c)
	}
	pairs := in.count()
	key := uint64(0)
	for k := range pairs {
		if in.err != nil {
			break
		}
		next := (key>>32+in.uvarint())<<32 | in.uvarint()&0xffffffff
		if next>>32 >= uint64(len(c.terms)) || uint64(uint32(next)) >= uint64(len(c.terms)) || k > 0 && next <= key {
			in.fail()
			break
		}
		key = next
		i, j := c.terms[key>>32], c.terms[uint32(key)]
		if i.numeric || j.numeric {
			c.sums[key] = in.wide()
		} else {
			c.counts[key] = in.count()
		}
	}
	if in.err == nil && len(in.b) != 0 {
		in.fail()
	}
	if in.err != nil {
		return nil, in.err
	}
	if again := c.Encode(make([]byte, 0, len(b))); string(again) != string(b) {
		return nil, ErrEncoding
	}
	return c, nil
}

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
	b   []byte
	err error
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
	if n <= 0 {
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
	name := string(r.b[:size])
	r.b = r.b[size:]
	head := r.uvarint()
	t := term{name: name, numeric: head&1 == 1, n: int64(head >> 1)}
	if _, twice := c.index[name]; twice || checkTerm(name, t.numeric) != nil {
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
