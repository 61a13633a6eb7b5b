package guidance

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	prices "zujian/domain/guidance"
	"zujian/projections"
)

// TargetBP is the share of signed rents that p10 to p90 should hold.
const TargetBP = 8000

// Backtest is how a version did (回测): the rents of the contracts on file that were signed under it, each held to the
// cell that priced it. It moves with each filing; what it says of few contracts is for regulators.
type Backtest struct {
	Period   string    `json:"period"`
	Version  int       `json:"version"`
	TargetBP int64     `json:"target_bp"`
	Overall  Fit       `json:"overall"`
	Unpriced int       `json:"unpriced"` // Contracts of a kind the version has no price for; in no other figure.
	Cells    []CellFit `json:"cells"`
}

// Fit are the figures of some contracts. A deviation is 10 000·ln(rent ÷ median), rounded; without contracts there is none.
type Fit struct {
	N        int    `json:"n"`
	Below    int    `json:"below"` // p10
	Inside   int    `json:"inside"`
	Above    int    `json:"above"` // p90
	InsideBP *int64 `json:"inside_bp,omitempty"`
	BiasBP   *int64 `json:"bias_bp,omitempty"` // Mean deviation: above 0, rents were higher than the guidance.
	MADBP    *int64 `json:"mad_bp,omitempty"`  // Median of the absolute deviations.
}

// CellFit are the figures of the contracts a cell priced.
type CellFit struct {
	prices.CellID
	Median int64 `json:"median"`
	Fit
}

// sample gathers deviations.
type sample struct {
	fit Fit
	off []int64
}

func (s *sample) add(c prices.Cell, fen int64) {
	s.fit.N++
	switch {
	case fen < int64(c.P10):
		s.fit.Below++
	case fen > int64(c.P90):
		s.fit.Above++
	default:
		s.fit.Inside++
	}
	s.off = append(s.off, int64(math.RoundToEven(10_000*(math.Log(float64(fen))-math.Log(float64(c.Median))))))
}

func (s *sample) figures() Fit {
	n := int64(len(s.off))
	if n == 0 {
		return s.fit
	}
	sum := int64(0)
	for i, x := range s.off {
		sum += x
		s.off[i] = max(x, -x)
	}
	slices.Sort(s.off)
	inside, bias := int64(s.fit.Inside)*10_000/n, int64(math.RoundToEven(float64(sum)/float64(n)))
	mad := s.off[n/2]
	if n%2 == 0 {
		mad = (s.off[n/2-1] + mad) / 2
	}
	s.fit.InsideBP, s.fit.BiasBP, s.fit.MADBP = &inside, &bias, &mad
	return s.fit
}

// Test holds a version to the rents signed under it.
func Test(ctx context.Context, r projections.Reader, period string, v prices.Version) (Backtest, error) {
	b := Backtest{Period: period, Version: v.Version, TargetBP: TargetBP, Cells: []CellFit{}}
	book, overall, cells := v.Book(), sample{}, map[prices.CellID]*sample{}
	under := prices.Reference(prices.ID(period), v.Version)
	for pair, err := range r.Scan(ctx, projections.Prefix(keySign, under), projections.PrefixEnd(keySign, under), false) {
		if err != nil {
			return b, err
		}
		rent, err := projections.RowOf[Rent](pair)
		if err != nil {
			return b, fmt.Errorf("guidance: %w", err)
		}
		c, ok := book.Price(rent.Street, rent.ReportUnit, prices.CellID{LetMode: rent.LetMode, SizeBand: rent.SizeBand, Fitout: rent.Fitout})
		if !ok {
			b.Unpriced++
			continue
		}
		if cells[c.CellID] == nil {
			cells[c.CellID] = &sample{}
		}
		cells[c.CellID].add(c, rent.Fen)
		overall.add(c, rent.Fen)
	}
	b.Overall = overall.figures()
	ids := slices.SortedFunc(maps.Keys(cells), func(x, y prices.CellID) int {
		return cmp.Or(kindOf(x).compare(kindOf(y)), cmp.Compare(x.Area, y.Area))
	})
	for _, id := range ids {
		b.Cells = append(b.Cells, CellFit{CellID: id, Median: int64(book[id].Median), Fit: cells[id].figures()})
	}
	return b, nil
}
