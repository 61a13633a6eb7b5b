package guidance

import "math"

// quantiles are the shares priced: hundredths.
var quantiles = [5]int64{10, 25, 50, 75, 90}

// price judges every area and prices those that may be shown, parents first.
func price(cities map[kind]*node, kinds []kind) {
	all := make([]*node, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, cities[k])
	}
	units := map[string][]*node{}
	for _, city := range all {
		city.why = city.alone()
		city.withhold()
		city.own()
		for _, u := range city.sorted() {
			units[u.area] = append(units[u.area], u)
		}
	}
	k := kappa(all)
	within := map[string]float64{}
	for area, of := range units {
		within[area] = kappa(of)
	}
	for _, city := range all {
		for _, u := range city.sorted() {
			u.towards(city, k)
			for _, street := range u.sorted() {
				street.towards(u, within[u.area])
			}
		}
	}
}

// own are the logs of the cell's weighted quantiles: the least rent with at least that share of the weight up to it.
func (n *node) own() {
	total := int64(0)
	for _, x := range n.rents {
		total += weights[x.age]
	}
	sum, at := int64(0), 0
	for _, x := range n.rents { // In order of rent.
		for sum += weights[x.age]; at < len(quantiles) && sum*100 >= total*quantiles[at]; at++ {
			n.q[at] = math.Log(float64(x.fen))
		}
	}
}

// towards prices a cell, drawn to its parent when it is thin.
func (n *node) towards(parent *node, k float64) {
	n.own()
	own := float64(len(n.rents))
	if n.shrunk = len(n.rents) < thin; !n.shrunk {
		return
	}
	for i := range n.q {
		n.q[i] = (float64(own*n.q[i]) + float64(k*parent.q[i])) / (own + k)
	}
}

// kappa is σ²within/σ²between of the children of each parent, by the method of moments on log rents: how many contracts
// a parent's prices are worth. It lies within kappaMin and kappaMax; where there is nothing to estimate it is kappaMin.
func kappa(parents []*node) float64 {
	var inside, between, contracts, uneven float64
	groups, strata := 0, 0
	for _, p := range parents {
		mean, n := p.mean()
		squares := 0.0
		for _, c := range p.sorted() {
			m, of := c.mean()
			for _, x := range c.rents {
				off := math.Log(float64(x.fen)) - m
				inside += float64(off * off)
			}
			between += float64(of * float64((m-mean)*(m-mean)))
			squares += float64(of * of)
			groups++
		}
		strata++
		contracts += n
		uneven += squares / n
	}
	free, apart := contracts-float64(groups), float64(groups-strata)
	if free <= 0 || apart <= 0 || inside <= 0 {
		return kappaMin
	}
	inside /= free
	size := (contracts - uneven) / apart // Contracts of a group, were all alike.
	variance := (between/apart - inside) / size
	if variance <= inside/kappaMax {
		return kappaMax
	}
	return max(kappaMin, inside/variance)
}

func (n *node) mean() (mean, count float64) {
	for _, x := range n.rents {
		mean += math.Log(float64(x.fen))
	}
	count = float64(len(n.rents))
	return mean / count, count
}
