package stat

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

const (
	// TermBytesMax bounds a term's name: a factor name, "=", a level.
	TermBytesMax = 255
	// TermsMax bounds the terms of one cell: the encoding stays in megabytes, and no register has more.
	TermsMax = 1 << 16
)

// Refusals of cells.
var (
	ErrTerm     = errors.New("stat: unusable term")
	ErrNotHeld  = errors.New("stat: the cell does not hold this observation")
	ErrTooLarge = errors.New("stat: too many terms in a cell")
)

// Level is the term of one level of a factor. The factor's name holds no "=".
func Level(factor, level string) string { return factor + "=" + level }

// Value is a numeric regressor of one observation, on the 2⁻³² grid.
type Value struct {
	Term string
	X    int64
}

// Observation is one log rent and its characteristics: the levels ([Level]) whose dummy is 1, and the numeric
// regressors. Each term appears once.
type Observation struct {
	Y      int64
	Levels []string
	Values []Value
}

// Cell holds the exact sums of a multiset of observations: n, Σy, Σy², and for its terms Σx, Σxy and Σxx'. The zero
// Cell is empty and ready. It is not for concurrent use; shards each fill their own and are then merged.
type Cell struct {
	n       int64
	sy, syy Wide
	index   map[string]int32
	terms   []term
	counts  map[uint64]int64 // Dummy × dummy: how many observations have both. Never zero.
	sums    map[uint64]Wide  // Numeric × anything: Σ of products. Never zero.
}

type term struct {
	name    string
	numeric bool
	n       int64 // Observations that carry the term; of a dummy this is Σx.
	sx, sxy Wide  // sx of numeric terms only.
}

// N is the number of observations held.
func (c *Cell) N() int64 { return c.n }

// Terms is the number of observations carrying each term, in no order.
func (c *Cell) Terms() map[string]int64 {
	m := make(map[string]int64, len(c.terms))
	for _, t := range c.terms {
		if t.n > 0 {
			m[t.name] = t.n
		}
	}
	return m
}

// Add takes o in. It refuses an unusable or repeated term and then leaves c as it was.
func (c *Cell) Add(o Observation) error { return c.change(o, +1) }

// Remove takes o out again: Remove(Add(c, o), o) is c, bit for bit. It refuses with ErrNotHeld, and leaves c as it
// was, where the counts show that o is not in c.
func (c *Cell) Remove(o Observation) error { return c.change(o, -1) }

func pairKey(i, j int32) uint64 { return uint64(min(i, j))<<32 | uint64(max(i, j)) }

func (c *Cell) change(o Observation, sign int64) error {
	var room [24]int32
	ids, err := c.resolve(o, sign, room[:0])
	if err != nil {
		return err
	}
	c.n += sign
	c.sy = c.sy.signed(sign, wideOf(o.Y))
	c.syy = c.syy.signed(sign, product(o.Y, o.Y))
	dummies := ids[:len(o.Levels)]
	for k, i := range dummies {
		t := &c.terms[i]
		t.n += sign
		t.sxy = t.sxy.signed(sign, wideOf(o.Y))
		for _, j := range dummies[:k] {
			c.bump(pairKey(i, j), sign)
		}
	}
	for k, v := range o.Values {
		i := ids[len(o.Levels)+k]
		t := &c.terms[i]
		t.n += sign
		t.sx = t.sx.signed(sign, wideOf(v.X))
		t.sxy = t.sxy.signed(sign, product(v.X, o.Y))
		for _, j := range dummies {
			c.addSum(pairKey(i, j), sign, wideOf(v.X))
		}
		for l, u := range o.Values[:k+1] {
			c.addSum(pairKey(i, ids[len(o.Levels)+l]), sign, product(v.X, u.X))
		}
	}
	return nil
}

// resolve finds the terms of o, makes those that are new, and refuses before anything has changed.
func (c *Cell) resolve(o Observation, sign int64, ids []int32) ([]int32, error) {
	if sign < 0 && (c.n < 1 || c.n == 1 && (c.sy != wideOf(o.Y) || c.syy != product(o.Y, o.Y))) {
		return nil, ErrNotHeld
	}
	find := func(name string, numeric bool) error {
		i, known := c.index[name]
		switch {
		case !known && sign < 0:
			return ErrNotHeld
		case !known:
			if err := checkTerm(name, numeric); err != nil {
				return err
			}
			if len(c.terms) >= TermsMax {
				return ErrTooLarge
			}
			i = c.intern(name, numeric)
		case c.terms[i].numeric != numeric:
			return fmt.Errorf("%w: %q is both a level and a number", ErrTerm, name)
		case sign < 0 && c.terms[i].n < 1:
			return ErrNotHeld
		}
		for _, j := range ids {
			if i == j {
				return fmt.Errorf("%w: %q twice in one observation", ErrTerm, name)
			}
			if sign < 0 && !numeric && c.counts[pairKey(i, j)] < 1 {
				return ErrNotHeld
			}
		}
		ids = append(ids, i)
		return nil
	}
	for _, l := range o.Levels {
		if err := find(l, false); err != nil {
			return nil, err
		}
	}
	for _, v := range o.Values {
		if err := find(v.Term, true); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func checkTerm(name string, numeric bool) error {
	switch at := strings.IndexByte(name, '='); {
	case len(name) > TermBytesMax:
		return fmt.Errorf("%w: longer than %d bytes", ErrTerm, TermBytesMax)
	case name == "" || at == 0 || numeric && at >= 0 || !numeric && at < 0:
		return fmt.Errorf("%w: %q", ErrTerm, name)
	}
	return nil
}

// intern gives name a number. An interned term that no observation carries is no content: it is never encoded.
func (c *Cell) intern(name string, numeric bool) int32 {
	if c.index == nil {
		c.index, c.counts, c.sums = map[string]int32{}, map[uint64]int64{}, map[uint64]Wide{}
	}
	i := int32(len(c.terms))
	c.index[name] = i
	c.terms = append(c.terms, term{name: name, numeric: numeric})
	return i
}

func (c *Cell) bump(key uint64, by int64) {
	if v := c.counts[key] + by; v != 0 {
		c.counts[key] = v
	} else {
		delete(c.counts, key)
	}
}

func (c *Cell) addSum(key uint64, sign int64, w Wide) {
	if v := c.sums[key].signed(sign, w); v != (Wide{}) {
		c.sums[key] = v
	} else {
		delete(c.sums, key)
	}
}

// Merge adds everything o holds. It refuses, leaving c as it was, when a name is a level in one and a number in the
// other. o is unchanged.
func (c *Cell) Merge(o *Cell) error {
	if o.n > math.MaxInt64-c.n {
		return ErrTooLarge
	}
	fresh := 0
	for _, t := range o.terms {
		i, known := c.index[t.name]
		if !known {
			fresh++
		} else if c.terms[i].numeric != t.numeric {
			return fmt.Errorf("%w: %q is both a level and a number", ErrTerm, t.name)
		}
	}
	if len(c.terms)+fresh > TermsMax {
		return ErrTooLarge
	}
	ids := make([]int32, len(o.terms))
	for k, t := range o.terms {
		i, known := c.index[t.name]
		if !known {
			i = c.intern(t.name, t.numeric)
		}
		ids[k] = i
		mine := &c.terms[i]
		mine.n += t.n
		mine.sx, mine.sxy = mine.sx.plus(t.sx), mine.sxy.plus(t.sxy)
	}
	for key, v := range o.counts {
		c.bump(pairKey(ids[key>>32], ids[uint32(key)]), v)
	}
	for key, v := range o.sums {
		c.addSum(pairKey(ids[key>>32], ids[uint32(key)]), +1, v)
	}
	c.n += o.n
	c.sy, c.syy = c.sy.plus(o.sy), c.syy.plus(o.syy)
	return nil
}

// Clone is an independent copy.
func (c *Cell) Clone() *Cell {
	d := &Cell{}
	if err := d.Merge(c); err != nil {
		panic("stat: " + err.Error()) // Into an empty cell nothing is refused.
	}
	return d
}

// WithLevel is a copy in which every observation also carries the given level: the cells of reporting units become
// those of a city with a dummy for each unit. The level must be new to the cell.
func (c *Cell) WithLevel(level string) (*Cell, error) {
	if err := checkTerm(level, false); err != nil {
		return nil, err
	}
	d := c.Clone()
	if i, known := d.index[level]; known && d.terms[i].n > 0 {
		return nil, fmt.Errorf("%w: %q is already in the cell", ErrTerm, level)
	}
	if len(d.terms) >= TermsMax {
		return nil, ErrTooLarge
	}
	i := d.intern(level, false)
	d.terms[i].n, d.terms[i].sxy = d.n, d.sy
	for j, t := range d.terms[:i] {
		if t.numeric {
			d.addSum(pairKey(int32(j), i), +1, t.sx)
		} else {
			d.bump(pairKey(int32(j), i), t.n)
		}
	}
	return d, nil
}

// Sums are Σy and Σy² on their grids: multiples of 2⁻³² and 2⁻⁶⁴.
func (c *Cell) Sums() (y, yy Wide) { return c.sy, c.syy }

// Unmerge takes out everything o holds: Unmerge(Merge(c, o), o) is c, bit for bit. It refuses with ErrNotHeld, and
// leaves c as it was, where the counts show that o is not within c. o is unchanged.
func (c *Cell) Unmerge(o *Cell) error {
	if c.n < o.n {
		return ErrNotHeld
	}
	ids := make([]int32, len(o.terms))
	for k, t := range o.terms {
		i, known := c.index[t.name]
		switch {
		case t.n == 0 && !known:
			i = -1 // Nothing of it counts.
		case !known || c.terms[i].numeric != t.numeric || c.terms[i].n < t.n:
			return ErrNotHeld
		}
		ids[k] = i
	}
	for key, v := range o.counts {
		if c.counts[pairKey(ids[key>>32], ids[uint32(key)])] < v {
			return ErrNotHeld
		}
	}
	if c.n == o.n && (c.sy != o.sy || c.syy != o.syy) {
		return ErrNotHeld
	}
	for k, t := range o.terms {
		if ids[k] >= 0 {
			mine := &c.terms[ids[k]]
			mine.n -= t.n
			mine.sx, mine.sxy = mine.sx.minus(t.sx), mine.sxy.minus(t.sxy)
		}
	}
	for key, v := range o.counts {
		c.bump(pairKey(ids[key>>32], ids[uint32(key)]), -v)
	}
	for key, v := range o.sums {
		c.addSum(pairKey(ids[key>>32], ids[uint32(key)]), -1, v)
	}
	c.n -= o.n
	c.sy, c.syy = c.sy.minus(o.sy), c.syy.minus(o.syy)
	return nil
}
