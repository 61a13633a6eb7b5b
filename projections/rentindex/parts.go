package rentindex

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/index"
	"zujian/domain/listing"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/rentindex/stat"
)

// The index in parts (分片), when one core no longer keeps up. Each part reads every event, counts it in the city's percentile
// gate, and keeps the rows of its own areas: an area is a street with all its contracts, or a reporting unit where no street
// is known, so that the parts are cut finer than by unit and come out even. Pairs of lettings are kept by home, asking rents
// by listing, releases by the first part.
//
// The whole is exactly the sum: all rows that several parts may write are integer sums, and merging them gives the bytes
// that one view of all would hold, with gate, corrections and late filings. What every part must know is in every part: the
// classes of the gate (h/), segments (s/), renewals (t/), and with a home what the gate set aside. That is the part of the work
// that splitting does not divide: decoding, quantising a rent once, and one counter.

// partition is one of several parts.
type partition struct{ index, of int }

// has tells whether the rows of a name are kept here.
func (p partition) has(name string) bool {
	if p.of < 2 {
		return true
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // Never fails.
	x := h.Sum64()               // Its last bits follow the last byte too closely.
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return int(x%uint64(p.of)) == p.index
}

// place tells whether an observation's area is kept here. A street's rows stay together even when its unit changes.
func (p partition) place(o domain.Observation) bool {
	if o.Street != "" {
		return p.has(o.Street)
	}
	return p.has(o.ReportUnit)
}

// home tells whether the lettings of an observation's home are paired here.
func (p partition) home(o domain.Observation) bool { return o.Unit != "" && p.has(o.Unit) }

var (
	_ projections.Parted  = Projection{}
	_ projections.Skipper = Projection{}

	drafted    = contract.Drafted{}.EventType()
	renewalKey = []byte(`"renewal"`)
)

// Skips implements projections.Skipper: listings and releases that another part keeps, and first drafts that renew nothing.
func (p Projection) Skips(e eventstore.Recorded) bool {
	switch category, _, _ := strings.Cut(e.Type, "."); {
	case category == listing.Decider.Category:
		return !p.part.has(e.Stream)
	case category == index.Decider.Category:
		return p.part.index > 0
	case e.Type == drafted:
		return e.Revision == 0 && !bytes.Contains(e.Data, renewalKey)
	}
	return false
}

// Part implements projections.Parted.
func (p Projection) Part(index, of int) projections.Projection {
	p.part = partition{index, of}
	return p
}

// Merge implements projections.Parted: sums are added, all else is the same in every part that has it.
func (Projection) Merge(key string, values [][]byte) ([]byte, error) {
	switch key[:min(2, len(key))] {
	case "c/":
		return merged(values, stat.Decode, (*stat.Cell).Merge)
	case "q/", "k/":
		return merged(values, stat.DecodeStrata, func(a, b stat.Strata) error { a.Merge(b); return nil })
	case "p/":
		return merged(values, stat.DecodePairs, func(a, b *stat.Pairs) error { a.Merge(b); return nil })
	case "l/", "a/":
		n := int64(0)
		for _, v := range values {
			x, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("rentindex: merge %q: %w", key, err)
			}
			n += x
		}
		return strconv.AppendInt(nil, n, 10), nil
	}
	return values[0], nil
}

func merged[T stat.Sums](values [][]byte, decode func([]byte) (T, error), merge func(a, b T) error) ([]byte, error) {
	sum, err := decode(values[0])
	for _, v := range values[1:] {
		if err != nil {
			break
		}
		var more T
		if more, err = decode(v); err == nil {
			err = merge(sum, more)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("rentindex: merge rows: %w", err)
	}
	return sum.Encode(nil), nil
}
