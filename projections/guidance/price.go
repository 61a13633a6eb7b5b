package guidance

import (
	"math"
	"math/big"
)

// quantiles are the shares priced: hundredths.
var quantiles = [5]int64{10, 25, 50, 75, 90}

// worthMax is what a parent's prices are worth where cells differ no more than chance would have them: all, nearly.
const worthMax = 1000

// weightBits is the weight of a rent of no age: 2²⁰.
const weightBits = 20

// weight is 2²⁰·2^(−age/halfLife), rounded, exactly: the integer w with (2w−1)^h ≤ 2^(21h−age) < (2w+1)^h.
func weight(age, halfLife int64) int64 {
	bound := new(big.Int).Lsh(big.NewInt(1), uint(max((weightBits+1)*halfLife-age, 0)))
	power := func(w int64) *big.Int { return new(big.Int).Exp(big.NewInt(2*w-1), big.NewInt(halfLife), nil) }
	return max(1, search(1, 1<<weightBits, func(w int64) bool { return power(w).Cmp(bound) > 0 })-1)
}

// price judges every area and prices those that may be shown, parents first.
func (m *market) price() {
	all := make([]*node, 0, len(m.kinds))
	for _, k := range m.kinds {
		all = append(all, m.cities[k])
	}
	units := map[string][]*node{}
	for i, city := range all {
		city.why = m.alone(city)
		m.withhold(m.kinds[i], city)
		m.own(city)
		for _, u := range city.sorted() {
			units[u.area] = append(units[u.area], u)
		}
	}
	k := m.kappa(all)
	within := map[string]float64{}
	for area, of := range units {
		within[area] = m.kappa(of)
	}
	for _, city := range all {
		for _, u := range city.sorted() {
			m.towards(u, city, k)
			for _, street := range u.sorted() {
				m.towards(street, u, within[u.area])
			}
		}
	}
}

// own are the logs of the cell's weighted quantiles: the least rent with at least that share of the weight up to it.
func (m *market) own(n *node) {
	total := int64(0)
	for _, x := range n.rents {
		total += m.weights[x.age]
	}
	sum, at := int64(0), 0
	for _, x := range n.rents { // In order of rent.
		for sum += m.weights[x.age]; at < len(quantiles) && sum*100 >= total*quantiles[at]; at++ {
			n.q[at] = math.Log(float64(x.fen))
		}
	}
}

// towards prices a cell, drawn to its parent when it is thin.
func (m *market) towards(n, parent *node, k float64) {
	m.own(n)
	own := float64(len(n.rents))
	if n.shrunk = int64(len(n.rents)) < m.Thin; !n.shrunk {
		return
	}
	for i := range n.q {
		n.q[i] = (float64(own*n.q[i]) + float64(k*parent.q[i])) / (own + k)
	}
}

// kappa is σ²within/σ²between of the children of each parent, by the method of moments on log rents: how many contracts
// a parent's prices are worth. It lies within P-03's least and worthMax; where there is nothing to estimate it is the least.
func (m *market) kappa(parents []*node) float64 {
	least := float64(m.Worth)
	var inside, between, contracts, uneven float64
	groups, strata := 0, 0
	for _, p := range parents {
		mean, n := p.mean()
		squares := 0.0
		for _, c := range p.sorted() {
			mid, of := c.mean()
			for _, x := range c.rents {
				off := math.Log(float64(x.fen)) - mid
				inside += float64(off * off)
			}
			between += float64(of * float64((mid-mean)*(mid-mean)))
			squares += float64(of * of)
			groups++
		}
		if n == 0 {
			continue // A city or unit of which the fences left nothing.
		}
		strata++
		contracts += n
		uneven += squares / n
	}
	free, apart := contracts-float64(groups), float64(groups-strata)
	if free <= 0 || apart <= 0 || inside <= 0 {
		return least
	}
	inside /= free
	size := (contracts - uneven) / apart // Contracts of a group, were all alike.
	variance := (between/apart - inside) / size
	if variance <= inside/worthMax {
		return worthMax
	}
	return max(least, inside/variance)
}

func (n *node) mean() (mean, count float64) {
	for _, x := range n.rents {
		mean += math.Log(float64(x.fen))
	}
	count = float64(len(n.rents))
	return mean / max(count, 1), count
}
