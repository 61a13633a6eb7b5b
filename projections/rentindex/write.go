package rentindex

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/projections"
	"zujian/projections/rentindex/stat"
)

// read takes a value of the view into the batch once.
func read[T any](b *work, held map[string]T, key string, empty func() T, decode func([]byte) (T, error)) (T, error) {
	if v, ok := held[key]; ok {
		return v, nil
	}
	v := empty()
	raw, ok, err := b.v.Get(b.ctx, key)
	if err == nil && ok {
		v, err = decode(raw)
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", key, err)
	}
	held[key] = v
	return v, nil
}

// entry finds what stands where an observation enters a set in a month.
func (b *work) entry(set string, month domain.Month, o domain.Observation) (*entry, error) {
	place := spot{set, month, o.ReportUnit, o.Street}
	if x := b.entries[place]; x != nil {
		return x, nil
	}
	x := &entry{at: cellAt(o, set, month)}
	var err error
	if x.cell, err = read(b, b.cells, "c/"+x.at, func() *stat.Cell { return &stat.Cell{} }, stat.Decode); err != nil {
		return nil, err
	}
	if x.strata, err = read(b, b.strata, "q/"+x.at, func() stat.Strata { return stat.Strata{} }, stat.DecodeStrata); err != nil {
		return nil, err
	}
	b.entries[place] = x
	return x, nil
}

// level counts the value itself in the strata of its cell.
func (m *Model) level(s stat.Strata, o domain.Observation, sign int64) error {
	of := s.Of(m.stratum(o))
	if sign > 0 {
		of.Add(m.fen(o))
		return nil
	}
	return of.Remove(m.fen(o))
}

// chain puts a new letting among those of its home, or takes it out, and keeps the pairs. A home nobody named has none.
func (b *work) chain(stream string, o domain.Observation, s stat.Observation, sign int64) error {
	if o.Unit == "" {
		return nil
	}
	key := "v/" + escaped(o.Unit)
	c, err := read(b, b.chains, key, func() stat.Chain { return nil }, decodeChain)
	if err != nil {
		return err
	}
	link := stat.Link{
		Order: o.Month.String() + "/" + o.From.String() + "/" + stream, Period: o.Month.String(), Y: s.Y,
		Where: escaped(o.ReportUnit) + "/" + escaped(o.Street),
	}
	c, err = c.With(link, sign, func(from, to stat.Link, sign int64) error {
		p, err := read(b, b.pairs, "p/"+to.Period+"/"+to.Where, func() *stat.Pairs { return &stat.Pairs{} }, stat.DecodePairs)
		if err != nil {
			return err
		}
		if sign < 0 {
			return p.Remove(from.Period, to.Period, from.Y, to.Y)
		}
		return p.Add(from.Period, to.Period, from.Y, to.Y)
	})
	if err != nil {
		return fmt.Errorf("home %s: %w", o.Unit, err)
	}
	b.chains[key] = c
	return nil
}

// A chain is stored as lines of order, place and log rent; the period is the order's first part.
func decodeChain(raw []byte) (c stat.Chain, err error) {
	for line := range strings.Lines(string(raw)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(parts) != 3 {
			return nil, fmt.Errorf("rentindex: link %q", line)
		}
		y, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("rentindex: link %q: %w", line, err)
		}
		order := unescaped(parts[0])
		period, _, _ := strings.Cut(order, "/")
		c = append(c, stat.Link{Order: order, Period: period, Where: parts[1], Y: y})
	}
	return c, nil
}

func encodeChain(c stat.Chain) (raw []byte) {
	for _, l := range c {
		raw = append(raw, escaped(l.Order)+" "+l.Where+" "...)
		raw = append(strconv.AppendInt(raw, l.Y, 10), '\n')
	}
	return raw
}

// flush writes what changed, in order of key. What is empty again leaves no trace: the view is a function of its content.
func (b *work) flush() {
	flushSums(b, b.cells)
	flushSums(b, b.strata)
	flushSums(b, b.pairs)
	for _, key := range slices.Sorted(maps.Keys(b.chains)) {
		put(b, key, len(b.chains[key]) == 0, func() []byte { return encodeChain(b.chains[key]) })
	}
	for _, key := range slices.Sorted(maps.Keys(b.counts)) {
		put(b, key, b.counts[key] == 0, func() []byte { return strconv.AppendInt(nil, b.counts[key], 10) })
	}
	for _, m := range slices.Sorted(maps.Keys(b.bins)) {
		if bins := b.bins[m]; len(bins) == 0 {
			b.v.Delete(binsKey(m))
		} else {
			projections.Put(b.v, binsKey(m), bins)
		}
	}
}

func put(b *work, key string, empty bool, value func() []byte) {
	if empty {
		b.v.Delete(key)
	} else {
		b.v.Set(key, value())
	}
}

func flushSums[T stat.Sums](b *work, sums map[string]T) {
	var buf []byte
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		put(b, key, sums[key].N() == 0, func() []byte {
			buf = sums[key].Encode(buf[:0])
			return slices.Clone(buf)
		})
	}
}
