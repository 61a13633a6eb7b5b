package guidance

import (
	"cmp"

	prices "zujian/domain/guidance"
)

// What may be shown (披露控制). Three things are kept from whoever adds and subtracts what is published:
//
//   - a cell of too few contracts or lessors, or mostly one lessor's (P-02), borrows its parent's prices;
//   - so does a second one, where the first could be had by taking the siblings' counts from the parent's;
//   - and what two versions of a period say together tells no more than each alone: a cell withheld in one stays withheld in
//     all later ones, and where a later version would set apart the contracts of fewer than P-02's least number, the kind
//     keeps the figures of the version before, whole.
//
// A cell that is shown may move by a single contract from one version to the next: it is what P-02 lets be seen.

// Why a cell's own prices are not shown.
const (
	WithheldContracts = "TOO_FEW_CONTRACTS"
	WithheldLessors   = "TOO_FEW_LESSORS"
	WithheldShare     = "ONE_LESSOR_DOMINATES"
	WithheldSecond    = "PROTECTS_ANOTHER" // Its count would give away that of a withheld sibling, in this version or with one before.
	WithheldParent    = "PARENT_WITHHELD"
)

// earlier is what a published version shows.
type earlier struct {
	prices.Version
	cells prices.Book
	below map[prices.CellID][]prices.Cell // The cells below a city's or a unit's.
}

const streetDigits = 9

func published(versions []prices.Version) (out []earlier) {
	for _, v := range versions {
		e := earlier{v, v.Book(), map[prices.CellID][]prices.Cell{}}
		unit := prices.CellID{}
		for _, c := range v.Cells { // As a draft lists them: each unit before its streets.
			parent := kindOf(c.CellID).in(prices.City)
			switch {
			case c.Area == prices.City:
				continue
			case len(c.Area) == streetDigits:
				parent = unit
			default:
				unit = c.CellID
			}
			e.below[parent] = append(e.below[parent], c)
		}
		out = append(out, e)
	}
	return out
}

// shown is the count a version shows of a cell.
func (e earlier) shown(id prices.CellID) (n int, ok bool) {
	c, there := e.cells[id]
	return c.N, there && c.BorrowedFrom == ""
}

// before says whether a cell was shown, and whether it was withheld, in any version so far.
func (m *market) before(id prices.CellID) (shown, withheld bool) {
	for _, e := range m.earlier {
		if c, there := e.cells[id]; there {
			shown, withheld = shown || c.BorrowedFrom == "", withheld || c.BorrowedFrom != ""
		}
	}
	return shown, withheld
}

// alone is the disclosure rule for one area by itself. A lessor nobody knows counts as one.
func (m *market) alone(n *node) string {
	lessors, top := map[string]int64{}, int64(0)
	for _, x := range n.rents {
		lessors[x.lessor]++
		top = max(top, lessors[x.lessor])
	}
	contracts := int64(len(n.rents))
	switch {
	case contracts < m.Contracts || n.area == "":
		return WithheldContracts
	case int64(len(lessors)) < m.Lessors:
		return WithheldLessors
	case 10_000*top > m.LessorBP*contracts:
		return WithheldShare
	}
	return ""
}

// withhold judges the areas below n, and with a withheld one, since n's count less the siblings' tells what is left, the
// smallest that could be shown: where a single one is withheld, or those withheld are fewer together than one needs. One
// that was shown before is no cover: it is taken only where there is no other.
func (m *market) withhold(k kind, n *node) {
	hidden, together := 0, int64(0)
	var cover *node
	coverShown := false
	for _, c := range n.sorted() {
		c.why = m.alone(c)
		shown, withheld := m.before(k.in(c.area))
		if c.why == "" && withheld {
			c.why = WithheldSecond
		}
		switch {
		case n.why != "":
			c.why = WithheldParent
		case c.why != "":
			hidden++
			together += int64(len(c.rents))
		case cover == nil || cmp.Or(boolCompare(shown, coverShown), cmp.Compare(len(c.rents), len(cover.rents))) < 0:
			cover, coverShown = c, shown
		}
	}
	if cover != nil && hidden > 0 && (hidden == 1 || together < m.Contracts) {
		cover.why = WithheldSecond
	}
	for _, c := range n.sorted() {
		m.withhold(k, c)
	}
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// keeps is the version whose figures a kind keeps because its own, beside those published, would tell too much; nil = none.
func (m *market) keeps(k kind) *earlier {
	if len(m.earlier) == 0 || m.safe(k, m.cities[k]) {
		return nil
	}
	return &m.earlier[len(m.earlier)-1]
}

// safe holds the areas below a shown one to what every version before said of them.
func (m *market) safe(k kind, n *node) bool {
	if n.why != "" || len(n.children) == 0 {
		return true // Nothing is published of it, or of anything below it.
	}
	fresh, together := 0, int64(0) // Withheld now and always.
	for _, c := range n.sorted() {
		if shown, _ := m.before(k.in(c.area)); c.why != "" && !shown {
			fresh++
			together += int64(len(c.rents))
		}
	}
	for _, e := range m.earlier {
		if _, shown := e.shown(k.in(n.area)); !shown || together == int64(len(n.rents)) {
			continue // All below it are withheld: what is left is n itself.
		}
		if fresh == 1 || fresh > 0 && together < m.Contracts {
			return false
		}
		if grown := m.left(k, n, e) - e.left(k.in(n.area)); grown != 0 && max(grown, -grown) < m.Contracts {
			return false
		}
	}
	for _, c := range n.sorted() {
		if !m.safe(k, c) {
			return false
		}
	}
	return true
}

// left is what n's count says of the areas below it that are withheld, less those of them that e shows.
func (m *market) left(k kind, n *node, e earlier) int64 {
	left := len(n.rents)
	for _, c := range n.sorted() {
		if was, shown := e.shown(k.in(c.area)); c.why == "" {
			left -= len(c.rents)
		} else if shown {
			left -= was
		}
	}
	return int64(left)
}

// left is what a version's count of an area says of those below it that it withholds.
func (e earlier) left(id prices.CellID) int64 {
	left := e.cells[id].N
	for _, c := range e.below[id] {
		if c.BorrowedFrom == "" {
			left -= c.N
		}
	}
	return int64(left)
}

// add lists a kind's cells as they were computed for a version.
func (e *earlier) add(d *Draft, k kind) {
	for _, c := range e.Computed {
		if kindOf(c.CellID) == k {
			c.KeptFrom = cmp.Or(c.KeptFrom, e.Version.Version)
			d.Cells = append(d.Cells, Cell{Cell: c})
		}
	}
	for _, c := range e.Comparables {
		if kindOf(c.CellID) == k {
			d.Comparables = append(d.Comparables, c)
		}
	}
}
