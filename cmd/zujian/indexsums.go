package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"zujian/cmd/zujian/internal/tabular"
	"zujian/projections/rentindex/stat"
)

// tableSums are the exact sums a method needs of some tables, and what became of their rows.
type tableSums struct {
	rowsIn, rowsUsed int64
	dropped          map[string]int64
	cells            map[cellKey]*stat.Cell
	strata           map[seriesKey]stat.Strata
	homes            map[homeKey][]tableRent
}

// cellKey says which cell a row counts in. A double imputation keeps one for each combination of levels, so that levels
// which some period lacks can be left out afterwards; the levels are then in the key alone.
type cellKey struct {
	seriesKey
	stratum string
}

// homeKey is one home of one series.
type homeKey struct{ by, unit string }

// tableRent is one rent of a home. Rents of one day stand in the order of the table: a date does not tell more.
type tableRent struct {
	date      tabular.Date
	period    string
	file, row int
	sheet     string
	y         int64
}

const levelSeparator = "\x00" // Between the levels of a stratum.

func newTableSums() *tableSums {
	return &tableSums{
		dropped: map[string]int64{}, cells: map[cellKey]*stat.Cell{}, strata: map[seriesKey]stat.Strata{},
		homes: map[homeKey][]tableRent{},
	}
}

const unreadable = "row: not readable"

func (t *tableSums) add(r *rowReader, file int, row tabular.Row) error {
	t.rowsIn++
	o, reason := r.observe(row)
	if reason == "" {
		switch err := t.take(r.spec.Method, o, file, row); {
		case errors.Is(err, stat.ErrTerm): // A level of hundreds of bytes.
			reason = "level: too long"
		case err != nil:
			return fmt.Errorf("%s row %d: %w", row.Source, row.Number, err)
		}
	}
	if reason != "" {
		t.dropped[reason]++
		return nil
	}
	t.rowsUsed++
	return nil
}

func (t *tableSums) take(method string, o tableRow, file int, row tabular.Row) error {
	switch method {
	case methodRepeat:
		at := homeKey{o.by, o.unit}
		t.homes[at] = append(t.homes[at], tableRent{o.date, o.period, file, row.Number, row.Sheet, o.o.Y})
		return nil
	case methodMedian:
		if t.strata[o.seriesKey] == nil {
			t.strata[o.seriesKey] = stat.Strata{}
		}
		t.strata[o.seriesKey].Of(strings.Join(o.o.Levels, levelSeparator)).Add(o.value)
		return nil
	}
	key := cellKey{seriesKey: o.seriesKey}
	if method == methodImputation {
		for _, l := range o.o.Levels {
			if len(l) > stat.TermBytesMax || strings.Contains(l, levelSeparator) {
				return stat.ErrTerm
			}
		}
		key.stratum = strings.Join(o.o.Levels, levelSeparator)
		o.o.Levels = nil
	}
	cell := t.cells[key]
	if cell == nil {
		cell = &stat.Cell{}
		t.cells[key] = cell
	}
	return cell.Add(o.o)
}

func (t *tableSums) merge(o *tableSums) error {
	t.rowsIn += o.rowsIn
	t.rowsUsed += o.rowsUsed
	for reason, n := range o.dropped {
		t.dropped[reason] += n
	}
	for key, cell := range o.cells {
		if t.cells[key] == nil {
			t.cells[key] = cell
		} else if err := t.cells[key].Merge(cell); err != nil {
			return err
		}
	}
	for key, s := range o.strata {
		if t.strata[key] == nil {
			t.strata[key] = s
		} else {
			t.strata[key].Merge(s)
		}
	}
	for key, rents := range o.homes {
		t.homes[key] = append(t.homes[key], rents...)
	}
	return nil
}

// matched assembles the cells of a double imputation from those levels that every period of their series has at least
// least rows of, leaving out the rows of others until none is left to leave out.
func (t *tableSums) matched(least int64) error {
	bySeries := map[string][]cellKey{}
	for key := range t.cells {
		bySeries[key.by] = append(bySeries[key.by], key)
	}
	whole := map[cellKey]*stat.Cell{}
	for _, keys := range bySeries {
		for {
			short := t.shortLevels(keys, least)
			if len(short) == 0 {
				break
			}
			keys = slices.DeleteFunc(keys, func(k cellKey) bool {
				level, thin := anyOf(k.levels(), short)
				if thin {
					factor, _, _ := strings.Cut(level, "=")
					n := t.cells[k].N()
					t.rowsUsed -= n
					t.dropped[fmt.Sprintf("%s: a level with less than %d rows in some period", factor, least)] += n
				}
				return thin
			})
		}
		for _, k := range keys { // Sums: the order does not matter.
			cell := t.cells[k]
			var err error
			for _, l := range k.levels() {
				if cell, err = cell.WithLevel(l); err != nil {
					return err
				}
			}
			at := cellKey{seriesKey: k.seriesKey}
			if whole[at] == nil {
				whole[at] = &stat.Cell{}
			}
			if err := whole[at].Merge(cell); err != nil {
				return err
			}
		}
	}
	t.cells = whole
	return nil
}

func (k cellKey) levels() []string {
	if k.stratum == "" {
		return nil
	}
	return strings.Split(k.stratum, levelSeparator)
}

func anyOf(levels []string, among map[string]bool) (string, bool) {
	i := slices.IndexFunc(levels, func(l string) bool { return among[l] })
	if i < 0 {
		return "", false
	}
	return levels[i], true
}

// shortLevels are the levels with less than least rows in some period of the series.
func (t *tableSums) shortLevels(keys []cellKey, least int64) map[string]bool {
	periods, counts := map[string]bool{}, map[string]map[string]int64{}
	for _, k := range keys {
		periods[k.period] = true
		for _, l := range k.levels() {
			if counts[l] == nil {
				counts[l] = map[string]int64{}
			}
			counts[l][k.period] += t.cells[k].N()
		}
	}
	short := map[string]bool{}
	for l, n := range counts {
		for p := range periods {
			if n[p] < least {
				short[l] = true
			}
		}
	}
	return short
}

// pairs are the pairs of successive rents of each home, by series, and the periods that have rents.
func (t *tableSums) pairs() (map[string]*stat.Pairs, map[string][]string, error) {
	pairs, seen := map[string]*stat.Pairs{}, map[string]map[string]bool{}
	for home, rents := range t.homes {
		slices.SortFunc(rents, tableRent.compare)
		if pairs[home.by] == nil {
			pairs[home.by], seen[home.by] = &stat.Pairs{}, map[string]bool{}
		}
		for i, r := range rents {
			seen[home.by][r.period] = true
			if i == 0 {
				continue
			}
			if err := pairs[home.by].Add(rents[i-1].period, r.period, rents[i-1].y, r.y); err != nil {
				return nil, nil, err
			}
		}
	}
	periods := map[string][]string{}
	for by, names := range seen {
		periods[by] = slices.Sorted(maps.Keys(names))
	}
	return pairs, periods, nil
}

func (a tableRent) compare(b tableRent) int {
	return cmp.Or(cmp.Compare(a.date.Year, b.date.Year), cmp.Compare(a.date.Month, b.date.Month), cmp.Compare(a.date.Day, b.date.Day),
		cmp.Compare(a.file, b.file), cmp.Compare(a.sheet, b.sheet), cmp.Compare(a.row, b.row))
}
