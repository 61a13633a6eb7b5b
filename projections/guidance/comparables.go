package guidance

import (
	"cmp"
	"fmt"
	"slices"

	"zujian/domain"
	prices "zujian/domain/guidance"
)

// comparables are lettings near the cell's quantiles, each of another lessor: three at least, since P-02 can't ask for
// fewer. A cell that is shown has its own; one that borrows has its lender's.
func (m *market) comparables(n *node) []prices.Comparable {
	taken := map[string]bool{}
	var out []prices.Comparable
	for _, q := range quantiles {
		at := (int64(len(n.rents)) - 1) * q / 100
		for off := range int64(len(n.rents)) {
			if x, ok := free(n.rents, taken, at-off, at+off); ok {
				taken[x.lessor] = true
				out = append(out, prices.Comparable{Signed: quarter(m.to - domain.Month(x.age)), Fen: domain.Fen(coarse(x.fen))})
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b prices.Comparable) int {
		return cmp.Or(cmp.Compare(a.Fen, b.Fen), cmp.Compare(a.Signed, b.Signed))
	})
	return out
}

// free is the first of two rents whose lessor is not taken yet.
func free(rents []aged, taken map[string]bool, at ...int64) (aged, bool) {
	for _, i := range at {
		if i >= 0 && i < int64(len(rents)) && !taken[rents[i].lessor] {
			return rents[i], true
		}
	}
	return aged{}, false
}

func quarter(m domain.Month) string { return fmt.Sprintf("%dQ%d", int(m)/12, int(m)%12/3+1) }

// coarse rounds to two significant digits.
func coarse(v int64) int64 {
	step := int64(1)
	for v/step >= 100 {
		step *= 10
	}
	return (v + step/2) / step * step
}
