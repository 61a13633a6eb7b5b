package guidance

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"zujian/domain"
	prices "zujian/domain/guidance"
	"zujian/projections"
)

// Method names how a draft is made; a change of the figures raises its number.
const Method = "weighted-quantile/1"

// The method's constants (P-02, P-03).
const (
	windowMonths = 12
	thin         = 30   // Cells of fewer contracts are shrunk towards their parent.
	kappaMin     = 5    //
	kappaMax     = 1000 // Where cells differ no more than chance would have them: the parent's prices, nearly.
	contractsMin = 10
	lessorsMin   = 5
)

// weights of a rent by its age in months: 2²⁰·2^(−age/6), rounded.
var weights = [windowMonths]int64{1048576, 934175, 832255, 741455, 660561, 588493, 524288, 467088, 416128, 370728, 330281, 294247}

// Why a cell's own prices are not shown.
const (
	WithheldContracts = "TOO_FEW_CONTRACTS"
	WithheldLessors   = "TOO_FEW_LESSORS"
	WithheldShare     = "ONE_LESSOR_DOMINATES"
	WithheldSecond    = "PROTECTS_ANOTHER" // Its count would give away that of a withheld sibling.
	WithheldParent    = "PARENT_WITHHELD"
)

// Draft is what the rents on file say of a period. Prices are fen per ㎡ and month.
type Draft struct {
	Period string       `json:"period"`
	Method string       `json:"method"`
	From   domain.Month `json:"from"` // Months of signing counted, both included.
	To     domain.Month `json:"to"`
	Inputs string       `json:"inputs"` // SHA-256 of the integer cells, after the outlier rule.
	Cells  []Cell       `json:"cells"`
}

// Cell is one guidance price and, in a draft, why it is borrowed. A borrowed cell's n is 0: its own is nobody's business.
type Cell struct {
	prices.Cell
	Reason string `json:"reason,omitempty"`
	Shrunk bool   `json:"shrunk,omitempty"` // Drawn towards its parent, having fewer than 30 contracts.
}

// Months are the twelve months a period ("2026Q3") is priced from: the last is the quarter's last.
func Months(period string) (from, to domain.Month, err error) {
	year, quarter, ok := strings.Cut(period, "Q")
	y, err1 := strconv.Atoi(year)
	q, err2 := strconv.Atoi(quarter)
	if !ok || err1 != nil || err2 != nil || y < 1990 || y > 9999 || q < 1 || q > 4 {
		return 0, 0, fmt.Errorf("guidance: period %q", period)
	}
	to = domain.Month(y*12 + q*3 - 1)
	return to - windowMonths + 1, to, nil
}

// kind is what is let, whatever the area.
type kind struct{ mode, size, fitout string }

func (k kind) compare(o kind) int {
	return cmp.Or(strings.Compare(k.mode, o.mode), strings.Compare(k.size, o.size), strings.Compare(k.fitout, o.fitout))
}

// aged is a rent, its age in months, and who let.
type aged struct {
	fen    int64
	age    int
	lessor string
}

// node is an area's rents of one kind: a city's children are units, a unit's are streets. A child named "" holds rents
// whose street nobody knows; it is never shown.
type node struct {
	area     string
	rents    []aged
	children map[string]*node
	why      string // "" = shown.
	shrunk   bool
	q        [5]float64 // Logs of p10 … p90.
}

// Compute makes a period's draft.
func Compute(ctx context.Context, r projections.Reader, period string) (d Draft, err error) {
	d = Draft{Period: period, Method: Method, Cells: []Cell{}}
	if d.From, d.To, err = Months(period); err != nil {
		return d, err
	}
	cities := map[kind]*node{}
	for m := d.From; m <= d.To; m++ {
		for pair, err := range r.Scan(ctx, projections.Prefix(keyRent, m.String()), projections.PrefixEnd(keyRent, m.String()), false) {
			if err != nil {
				return d, err
			}
			var rent Rent
			if err := json.Unmarshal(pair.Value, &rent); err != nil {
				return d, fmt.Errorf("guidance: %q: %w", pair.Key, err)
			}
			k := kind{rent.LetMode, rent.SizeBand, rent.Fitout}
			if cities[k] == nil {
				cities[k] = &node{area: "city"}
			}
			street := cities[k].child(rent.ReportUnit).child(rent.Street)
			street.rents = append(street.rents, aged{rent.Fen, int(d.To - m), rent.Lessor})
		}
	}
	kinds := slices.SortedFunc(maps.Keys(cities), kind.compare)
	inputs := sha256.New()
	fmt.Fprintf(inputs, "%s %s %s\n", Method, d.From, d.To)
	for _, k := range kinds {
		for _, unit := range cities[k].sorted() {
			unit.trim()
			for _, street := range unit.sorted() {
				for _, x := range street.rents {
					fmt.Fprintf(inputs, "%q %q %q %q %q %d %d\n", unit.area, street.area, k.mode, k.size, k.fitout, x.age, x.fen)
				}
			}
		}
		cities[k].gather()
	}
	d.Inputs = hex.EncodeToString(inputs.Sum(nil))
	price(cities, kinds)
	for _, k := range kinds {
		d.add(k, cities[k], cities[k])
	}
	return d, nil
}

// add lists the cell of n and those below it; a kind whose city may not be shown has nothing to borrow and no cells.
func (d *Draft) add(k kind, n, lender *node) {
	if lender.why != "" || n.area == "" {
		return
	}
	c := Cell{Cell: prices.Cell{Area: n.area, LetMode: k.mode, SizeBand: k.size, Fitout: k.fitout}, Reason: n.why, Shrunk: n.shrunk && n.why == ""}
	if n.why == "" {
		c.N, lender = len(n.rents), n
	} else {
		c.BorrowedFrom = lender.area
	}
	for i, to := range []*domain.Fen{&c.P10, &c.P25, &c.Median, &c.P75, &c.P90} {
		*to = domain.Fen(max(1, math.RoundToEven(math.Exp(lender.q[i]))))
	}
	d.Cells = append(d.Cells, c)
	for _, child := range n.sorted() {
		d.add(k, child, lender)
	}
}

func (n *node) child(area string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[area] == nil {
		n.children[area] = &node{area: area}
	}
	return n.children[area]
}

func (n *node) sorted() (out []*node) {
	for _, area := range slices.Sorted(maps.Keys(n.children)) {
		out = append(out, n.children[area])
	}
	return out
}

// gather gives an area the rents of those below it, in order.
func (n *node) gather() {
	for _, c := range n.sorted() {
		c.gather()
		n.rents = append(n.rents, c.rents...)
	}
	slices.SortFunc(n.rents, func(a, b aged) int {
		return cmp.Or(cmp.Compare(a.fen, b.fen), cmp.Compare(a.age, b.age), strings.Compare(a.lessor, b.lessor))
	})
}

// trim takes out, of a unit's streets, what lies more than 1.5 interquartile ranges in logs outside the unit's quartiles.
// Each rent is judged once, so that an area's count is the sum of those below it.
func (n *node) trim() {
	n.gather()
	all := make([]int64, 0, len(n.rents))
	for _, x := range n.rents {
		all = append(all, x.fen)
	}
	low, high := all[(len(all)-1)/4], all[(len(all)-1)*3/4]
	for area, c := range n.children {
		c.rents = slices.DeleteFunc(c.rents, func(x aged) bool { return outlying(x.fen, low, high) })
		if len(c.rents) == 0 {
			delete(n.children, area)
		}
	}
	n.rents = nil
	for _, c := range n.children {
		c.children = nil
	}
}

// outlying compares ln v with ln high + 1.5·(ln high − ln low) and its like below, in integers: v²·low³ > high⁵.
func outlying(v, low, high int64) bool {
	power := func(x int64, n int64) *big.Int { return new(big.Int).Exp(big.NewInt(x), big.NewInt(n), nil) }
	above := new(big.Int).Mul(power(v, 2), power(low, 3)).Cmp(power(high, 5)) > 0
	return above || new(big.Int).Mul(power(v, 2), power(high, 3)).Cmp(power(low, 5)) < 0
}

// alone is the disclosure rule for one area by itself. A lessor nobody knows counts as one.
func (n *node) alone() string {
	lessors, top := map[string]int{}, 0
	for _, x := range n.rents {
		lessors[x.lessor]++
		top = max(top, lessors[x.lessor])
	}
	switch {
	case len(n.rents) < contractsMin || n.area == "":
		return WithheldContracts
	case len(lessors) < lessorsMin:
		return WithheldLessors
	case 2*top > len(n.rents):
		return WithheldShare
	}
	return ""
}

// withhold judges the areas below n, and with a withheld one, since n's count less the siblings' tells what is left, the
// smallest that could be shown: where a single one is withheld, or those withheld are fewer together than one needs.
func (n *node) withhold() {
	hidden, together := 0, 0
	var smallest *node
	for _, c := range n.sorted() {
		switch c.why = c.alone(); {
		case n.why != "":
			c.why = WithheldParent
		case c.why != "":
			hidden++
			together += len(c.rents)
		case smallest == nil || len(c.rents) < len(smallest.rents):
			smallest = c
		}
	}
	if smallest != nil && hidden > 0 && (hidden == 1 || together < contractsMin) {
		smallest.why = WithheldSecond
	}
	for _, c := range n.sorted() {
		c.withhold()
	}
}
