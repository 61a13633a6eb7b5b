package guidance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/contract"
	prices "zujian/domain/guidance"
	"zujian/projections/guidance"
	"zujian/projections/projectiontest"
)

// town is a market of one kind of letting that changes between versions: all rents are alike, so none is an outlier.
type town struct {
	tb    testing.TB
	l     *projectiontest.Log
	at    map[string]string // Contract on file → its street.
	n     int
	truth map[string]int // Contracts by street, unit and city.
}

func newTown(tb testing.TB) *town {
	return &town{tb: tb, l: &projectiontest.Log{}, at: map[string]string{}, truth: map[string]int{}}
}

func (w *town) file(street, lessor string) {
	w.n++
	id := fmt.Sprintf("contract-%06d", w.n)
	w.l.Add(id, at, filed(let(street, lessor, july, 3000+int64(w.n%7))))
	w.at[id] = street
	w.count(street, 1)
}

func (w *town) cancel(id string) {
	w.l.Add(id, at, contract.FilingCancelled{})
	w.count(w.at[id], -1)
	delete(w.at, id)
}

func (w *town) count(street string, by int) {
	for _, area := range []string{street, street[:6], prices.City} {
		w.truth[area] += by
	}
}

// edition is a published version and the truth behind its figures.
type edition struct {
	cells map[string]prices.Cell
	truth map[string]int
}

func (e edition) shown(area string) bool {
	c, there := e.cells[area]
	return there && c.BorrowedFrom == ""
}

// publish drafts the next version beside those of before.
func (w *town) publish(t rapid.TB, versions []prices.Version, editions []edition) ([]prices.Version, []edition, guidance.Draft) {
	d, _ := draft(t, fold(w.tb, w.l), "2026Q3", versions...)
	v := prices.Version{Version: len(versions) + 1, Comparables: d.Comparables}
	e := edition{cells: map[string]prices.Cell{}, truth: maps.Clone(w.truth)}
	v.Computed = d.At(0).Cells
	for _, c := range d.Cells {
		v.Cells = append(v.Cells, c.Cell)
		e.cells[c.Area] = c.Cell
		if c.KeptFrom > 0 {
			e.truth = editions[c.KeptFrom-1].truth
		}
	}
	return append(versions, v), append(editions, e), d
}

func below(parent, area string) bool {
	if parent == prices.City {
		return len(area) == 6 && area != prices.City
	}
	return len(area) == 9 && strings.HasPrefix(area, parent)
}

// attack adds and subtracts what two editions say of the areas below a parent both show: it knows every figure published,
// takes a count shown in one for true in the other, and looks what is left over of those that were never shown.
func attack(t rapid.TB, editions []edition, parent string) {
	last := editions[len(editions)-1]
	if !last.shown(parent) {
		return
	}
	never, together, others := 0, 0, 0
	for _, area := range slices.Sorted(maps.Keys(last.truth)) {
		if !below(parent, area) || last.truth[area] == 0 {
			continue
		}
		if slices.ContainsFunc(editions, func(e edition) bool { return e.shown(area) }) {
			others++
			continue
		}
		never++
		together += last.truth[area]
	}
	if never > 0 && others > 0 && (never < 2 || together < 10) {
		t.Fatalf("%d editions: %d contracts of %d areas of %s that were never shown are left over", len(editions), together, never, parent)
	}
	for n, before := range editions[:len(editions)-1] {
		for area, c := range before.cells {
			if c.BorrowedFrom != "" && last.shown(area) {
				t.Fatalf("%s was withheld in edition %d and is shown in %d", area, n+1, len(editions))
			}
		}
		if !before.shown(parent) || others == 0 {
			continue
		}
		then, now := before.cells[parent].N, last.cells[parent].N
		for area := range last.truth {
			if !below(parent, area) {
				continue
			}
			if before.shown(area) {
				then -= before.cells[area].N
			}
			if last.shown(area) {
				now -= last.cells[area].N
			} else if before.shown(area) && last.truth[area] > 0 {
				now -= before.cells[area].N
			}
		}
		if d := max(now-then, then-now); d != 0 && d < 10 {
			t.Fatalf("editions %d and %d: the withheld areas of %s changed by %d contracts", n+1, len(editions), parent, d)
		}
	}
}

// TestNothingWithheldCanBeRecoveredFromTwoVersions publishes a period again and again while contracts are filed late and
// cancelled, and lets an adversary compare all versions.
func TestNothingWithheldCanBeRecoveredFromTwoVersions(t *testing.T) {
	moved, kept := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		w := newTown(t)
		var streets []string
		for n := range rapid.IntRange(2, 9).Draw(r, "streets") {
			street := fmt.Sprintf("32011%d00%d", n%3, n)
			streets = append(streets, street)
			lessors := rapid.IntRange(1, 14).Draw(r, "lessors")
			for x := range rapid.IntRange(0, 30).Draw(r, "lettings") {
				w.file(street, fmt.Sprint(street, x%lessors))
			}
		}
		versions, editions, _ := w.publish(r, nil, nil)
		for range rapid.IntRange(1, 4).Draw(r, "revisions") {
			for range rapid.IntRange(0, 3).Draw(r, "changes") {
				street := rapid.SampledFrom(streets).Draw(r, "street")
				for x := range rapid.SampledFrom([]int{1, 1, 2, 9, 10, 25}).Draw(r, "late") {
					w.file(street, fmt.Sprint("late", x))
				}
			}
			for range rapid.IntRange(0, 12).Draw(r, "cancelled") {
				if ids := slices.Sorted(maps.Keys(w.at)); len(ids) > 0 {
					w.cancel(rapid.SampledFrom(ids).Draw(r, "contract"))
				}
			}
			var d guidance.Draft
			versions, editions, d = w.publish(r, versions, editions)
			for _, c := range d.Cells {
				if c.Area == prices.City && c.KeptFrom > 0 {
					kept++
				} else if c.Area == prices.City && c.N != versions[len(versions)-2].Book()[c.CellID].N {
					moved++
				}
			}
			for parent := range w.truth {
				if len(parent) != 9 {
					attack(r, editions, parent)
				}
			}
			telling(r, d)
		}
	})
	if moved < 20 || kept < 20 {
		t.Errorf("%d versions moved and %d were kept: the test tests nothing", moved, kept)
	}
}

// telling holds what the calculator says to what is published: a withheld cell is its lender's in every figure, and
// comparables are three at least and of shown cells alone.
func telling(t rapid.TB, d guidance.Draft) {
	v := prices.Version{Cells: d.At(0).Cells, Comparables: d.Comparables}
	book := v.Book()
	for id, c := range book {
		own := v.Compared(id)
		if c.BorrowedFrom == "" {
			if len(own) < prices.LessorsMin {
				t.Fatalf("%+v has %d comparables", id, len(own))
			}
			for _, x := range own {
				if x.Fen%100 != 0 || x.Signed != "2026Q3" { // Two digits of 3000 to 3006.
					t.Fatalf("%+v is not coarse", x)
				}
			}
			continue
		}
		lender := id
		lender.Area = c.BorrowedFrom
		if c.Prices != book[lender].Prices || c.N != 0 || len(own) != 0 {
			t.Fatalf("%+v tells of itself: %+v, %v", id, c, own)
		}
	}
}

// TestComparablesAreOfThreeLessorsAndCoarse: of whoever let most there is one at most.
func TestComparablesAreOfThreeLessorsAndCoarse(t *testing.T) {
	l := &projectiontest.Log{}
	for n := range 40 {
		lessor := "big"
		if n%2 == 0 {
			lessor = fmt.Sprint("lessor", n%8)
		}
		l.Add(fmt.Sprint("contract-", n), at, filed(let("320115001", lessor, july-domain.Month(n%5), 3333+int64(n))))
	}
	d, cells := draft(t, fold(t, l), "2026Q3")
	got := (prices.Version{Comparables: d.Comparables}).Compared(cells["320115001"].CellID)
	if len(got) != 5 {
		t.Fatalf("%+v", got)
	}
	for _, c := range got {
		if c.Fen != 3300 && c.Fen != 3400 || c.Signed != "2026Q1" && c.Signed != "2026Q2" && c.Signed != "2026Q3" {
			t.Errorf("%+v", c)
		}
	}
}

// TestAKeptKindKeepsWhatWasComputed: an adjustment is of one version.
func TestAKeptKindKeepsWhatWasComputed(t *testing.T) {
	w := newTown(t)
	for n := range 15 {
		w.file("320115001", fmt.Sprint("a", n))
		w.file("320115002", fmt.Sprint("b", n%3)) // Of three lessors: withheld, and the other with it.
		w.file("320102001", fmt.Sprint("c", n))
	}
	for n := range 20 {
		w.file("320115003", fmt.Sprint("d", n))
	}
	versions, editions, first := w.publish(t, nil, nil)
	versions[0].Cells = slices.Clone(versions[0].Cells)
	for i := range versions[0].Cells {
		versions[0].Cells[i].Median += 7
		versions[0].Cells[i].Adjusted = true
	}
	w.file("320115002", "b0")
	_, _, d := w.publish(t, versions, editions)
	for i, c := range d.Cells {
		if c.KeptFrom != 1 || c.Median != first.Cells[i].Median || c.Adjusted {
			t.Errorf("%+v, computed %+v", c, first.Cells[i])
		}
	}
	if len(d.Cells) == 0 || d.Inputs == first.Inputs {
		t.Errorf("%+v", d)
	}
}

// TestACellThatVanishes: contracts that were published of are cancelled; the next version has no such price, and says nothing
// of what is left.
func TestACellThatVanishes(t *testing.T) {
	w := newTown(t)
	for n := range 12 {
		w.file("320115001", fmt.Sprint("a", n))
	}
	versions, editions, first := w.publish(t, nil, nil)
	for n, id := range slices.Sorted(maps.Keys(w.at)) {
		if n < 3 {
			w.cancel(id)
		}
	}
	versions, editions, second := w.publish(t, versions, editions)
	for n := range 3 {
		w.file("320115001", fmt.Sprint("b", n))
	}
	_, _, third := w.publish(t, versions, editions)
	if len(first.Cells) != 3 || len(second.Cells) != 0 || len(second.Comparables) != 0 || len(third.Cells) != 3 {
		t.Errorf("%d, %d and %d cells", len(first.Cells), len(second.Cells), len(third.Cells))
	}
}
