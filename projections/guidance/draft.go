package guidance

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// Method names how a draft is made; a change of the figures or of the inputs' form raises its number.
const Method = "weighted-quantile/2"

// Query asks for a period's draft.
type Query struct {
	Period     string
	Parameters prices.Parameters // P-02 and P-03 on the day of the draft.
	Earlier    []prices.Version  // What was published of the period, in order: a draft may not give its secrets away.
}

// Draft is what the rents on file say of a period. Prices are fen per ㎡ and month.
type Draft struct {
	Period      string               `json:"period"`
	Method      string               `json:"method"`
	From        domain.Month         `json:"from"` // Months of signing counted, both included.
	To          domain.Month         `json:"to"`
	Inputs      string               `json:"inputs"` // SHA-256 of the parameters and the integer cells, after the outlier rule.
	Parameters  prices.Parameters    `json:"parameters"`
	Cells       []Cell               `json:"cells"`
	Comparables []prices.Comparables `json:"comparables"`
}

// Cell is one guidance price and, in a draft, why it is borrowed. A borrowed cell's n is 0: its own is nobody's business.
type Cell struct {
	prices.Cell
	Reason string `json:"reason,omitempty"`
	Shrunk bool   `json:"shrunk,omitempty"` // Drawn towards its parent, having few contracts (P-03).
}

// At is the draft as a proposal takes it, computed from the view at a position of the log.
func (d Draft) At(position uint64) prices.Draft {
	out := prices.Draft{Method: d.Method, Inputs: d.Inputs, Position: position, Parameters: d.Parameters, Comparables: d.Comparables}
	for _, c := range d.Cells {
		out.Cells = append(out.Cells, c.Cell)
	}
	return out
}

// Months are the months a period ("2026Q3") is priced from: the last is the quarter's last.
func Months(period string, window int64) (from, to domain.Month, err error) {
	year, quarter, ok := strings.Cut(period, "Q")
	y, err1 := strconv.Atoi(year)
	q, err2 := strconv.Atoi(quarter)
	if !ok || err1 != nil || err2 != nil || y < 1990 || y > 9999 || q < 1 || q > 4 {
		return 0, 0, fmt.Errorf("guidance: period %q", period)
	}
	to = domain.Month(y*12 + q*3 - 1)
	return to - domain.Month(window) + 1, to, nil
}

// kind is what is let, whatever the area. No figure adds up over kinds.
type kind struct{ mode, size, fitout string }

func (k kind) compare(o kind) int {
	return cmp.Or(strings.Compare(k.mode, o.mode), strings.Compare(k.size, o.size), strings.Compare(k.fitout, o.fitout))
}

func (k kind) in(area string) prices.CellID {
	return prices.CellID{Area: area, LetMode: k.mode, SizeBand: k.size, Fitout: k.fitout}
}

func kindOf(c prices.CellID) kind { return kind{c.LetMode, c.SizeBand, c.Fitout} }

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

// market is the rents of one draft.
type market struct {
	prices.Parameters
	weights []int64 // Of a rent by its age in months.
	to      domain.Month
	cities  map[kind]*node
	kinds   []kind
	earlier []earlier
}

// Compute makes a period's draft.
func Compute(ctx context.Context, r projections.Reader, q Query) (d Draft, err error) {
	d = Draft{Period: q.Period, Method: Method, Parameters: q.Parameters, Cells: []Cell{}, Comparables: []prices.Comparables{}}
	if d.From, d.To, err = Months(q.Period, q.Parameters.Window); err != nil {
		return d, err
	}
	m := &market{Parameters: q.Parameters, to: d.To, cities: map[kind]*node{}, earlier: published(q.Earlier)}
	for age := range q.Parameters.Window {
		m.weights = append(m.weights, weight(age, q.Parameters.HalfLife))
	}
	if err := m.read(ctx, r, d.From); err != nil {
		return d, err
	}
	d.Inputs = m.trim()
	m.price()
	for _, k := range m.kinds {
		if last := m.keeps(k); last != nil {
			last.add(&d, k)
			continue
		}
		m.add(&d, k, m.cities[k], m.cities[k])
	}
	return d, nil
}

func (m *market) read(ctx context.Context, r projections.Reader, from domain.Month) error {
	for month := from; month <= m.to; month++ {
		for pair, err := range r.Scan(ctx, projections.Prefix(keyRent, month.String()), projections.PrefixEnd(keyRent, month.String()), false) {
			if err != nil {
				return err
			}
			rent, err := projections.RowOf[Rent](pair)
			if err != nil {
				return fmt.Errorf("guidance: %w", err)
			}
			k := kind{rent.LetMode, rent.SizeBand, rent.Fitout}
			if m.cities[k] == nil {
				m.cities[k] = &node{area: prices.City}
			}
			street := m.cities[k].child(rent.ReportUnit).child(rent.Street)
			street.rents = append(street.rents, aged{rent.Fen, int(m.to - month), rent.Lessor})
		}
	}
	m.kinds = slices.SortedFunc(maps.Keys(m.cities), kind.compare)
	return nil
}

// trim leaves the outliers out, gives each area the rents of those below it, and hashes what is left.
func (m *market) trim() string {
	inputs := sha256.New()
	p := m.Parameters
	fmt.Fprintf(inputs, "%s %s show=%d/%d/%d base=%d/%d/%d/%d/%d\n", Method, m.to,
		p.Contracts, p.Lessors, p.LessorBP, p.Window, p.HalfLife, p.FencePct, p.Thin, p.Worth)
	for _, k := range m.kinds {
		for _, unit := range m.cities[k].sorted() {
			unit.trim(p.FencePct)
			for _, street := range unit.sorted() {
				for _, x := range street.rents {
					fmt.Fprintf(inputs, "%q %q %q %q %q %d %d\n", unit.area, street.area, k.mode, k.size, k.fitout, x.age, x.fen)
				}
			}
		}
		m.cities[k].gather()
	}
	return hex.EncodeToString(inputs.Sum(nil))
}

// add lists the cell of n and those below it; a kind whose city may not be shown has nothing to borrow and no cells.
func (m *market) add(d *Draft, k kind, n, lender *node) {
	if lender.why != "" || n.area == "" {
		return
	}
	c := Cell{Cell: prices.Cell{CellID: k.in(n.area)}, Reason: n.why, Shrunk: n.shrunk && n.why == ""}
	if n.why == "" {
		c.N, lender = len(n.rents), n
		d.Comparables = append(d.Comparables, prices.Comparables{CellID: c.CellID, Rents: m.comparables(n)})
	} else {
		c.BorrowedFrom = lender.area
	}
	for i, to := range []*domain.Fen{&c.P10, &c.P25, &c.Median, &c.P75, &c.P90} {
		*to = domain.Fen(max(1, math.RoundToEven(math.Exp(lender.q[i]))))
	}
	d.Cells = append(d.Cells, c)
	for _, child := range n.sorted() {
		m.add(d, k, child, lender)
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

// trim takes out, of a unit's streets, what lies outside the fences of the unit's quartiles (P-03). Each rent is judged
// once, so that an area's count is the sum of those below it.
func (n *node) trim(fencePct int64) {
	n.gather()
	all := make([]int64, 0, len(n.rents))
	for _, x := range n.rents {
		all = append(all, x.fen)
	}
	low, high := fences(all[(len(all)-1)/4], all[(len(all)-1)*3/4], fencePct)
	for area, c := range n.children {
		c.rents = slices.DeleteFunc(c.rents, func(x aged) bool { return x.fen < low || x.fen > high })
		if len(c.rents) == 0 {
			delete(n.children, area)
		}
	}
	n.rents = nil
	for _, c := range n.children {
		c.children = nil
	}
}

// fences are the least and the greatest rent within pct hundredths of an interquartile range, in logs, of the quartiles.
// In integers: ln v ≤ ln high + b/a·(ln high − ln low) is v^a·low^b ≤ high^(a+b).
func fences(low, high, pct int64) (least, greatest int64) {
	a, b := int64(100), pct
	for x, y := a, b; ; x, y = y, x%y {
		if y == 0 {
			a, b = a/x, b/x
			break
		}
	}
	power := func(x, n int64) *big.Int { return new(big.Int).Exp(big.NewInt(x), big.NewInt(n), nil) }
	scaled := func(v int64, by *big.Int) *big.Int { return new(big.Int).Mul(power(v, a), by) }
	byLow, byHigh, lowest, highest := power(low, b), power(high, b), power(low, a+b), power(high, a+b)
	greatest = search(high, int64(domain.FenMax), func(v int64) bool { return scaled(v, byLow).Cmp(highest) > 0 }) - 1
	least = search(1, low, func(v int64) bool { return scaled(v, byHigh).Cmp(lowest) >= 0 })
	return least, greatest
}

// search is the least v in [from, to] of which f holds, as of all after it; to+1 if of none.
func search(from, to int64, f func(int64) bool) int64 {
	for to++; from < to; {
		if mid := from + (to-from)/2; f(mid) {
			to = mid
		} else {
			from = mid + 1
		}
	}
	return from
}
