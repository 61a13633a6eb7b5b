package rentindex

import (
	"fmt"
	"strconv"
	"strings"

	"zujian/domain"
)

// tally is what the disclosure rule judges: contracts and contracts by lessor of each sibling area, and above a street
// those of the reporting units.
type tally struct {
	n       map[string]int64
	lessors map[string]map[string]int64
	above   *tally
}

func newTally() *tally {
	t := &tally{n: map[string]int64{}, lessors: map[string]map[string]int64{}}
	t.above = &tally{n: map[string]int64{}, lessors: map[string]map[string]int64{}}
	return t
}

func (t *tally) lessor(name, lessor string, by int64) {
	if t.lessors[name] == nil {
		t.lessors[name] = map[string]int64{}
	}
	if t.lessors[name][lessor] += by; t.lessors[name][lessor] == 0 {
		delete(t.lessors[name], lessor)
	}
}

// addLessors counts a month's lessors of each sibling.
func (s *series) addLessors(t *tally, set string, m domain.Month, sign int64) error {
	if s.m.Disclosure.Lessors == 0 {
		return nil
	}
	prefix := "l/" + set + "/" + m.String() + "/"
	for pair, err := range s.r.Scan(s.ctx, prefix, strings.TrimSuffix(prefix, "/")+"0", false) {
		if err != nil {
			return err
		}
		at, err := parseCellKey(pair.Key)
		if err != nil {
			return err
		}
		name, _, counts := s.sibling(at)
		if !counts && s.street == "" {
			continue
		}
		n, err := strconv.ParseInt(string(pair.Value), 10, 64)
		if err != nil {
			return fmt.Errorf("rentindex: key %q: %w", pair.Key, err)
		}
		lessor := pair.Key[strings.LastIndexByte(pair.Key, '/')+1:]
		if s.street != "" {
			t.above.lessor(at.unit, lessor, sign*n)
		}
		if counts {
			t.lessor(name, lessor, sign*n)
		}
		if s.others != nil {
			s.others.tally.lessor(at.unit, lessor, sign*n)
		}
	}
	return nil
}

// judge is why the series' own area may not be shown this month; "" = it may. A street of a unit that may not be shown is
// not shown either: the streets together would give the unit.
func (d Disclosure) judge(t *tally, s *series) string {
	switch {
	case s.street != "":
		why := d.among(t, s.street)
		if why == "" && d.among(t.above, s.unit) != "" {
			why = WithheldParent
		}
		return why
	case s.unit != "":
		return d.among(t, s.unit)
	}
	return d.alone(t, City)
}

// among judges an area and, since the parent's figure less the siblings' tells what is left, the siblings with it: where a
// single one is withheld, or those withheld are fewer contracts together than one needs, the smallest that could be shown
// is withheld too.
func (d Disclosure) among(t *tally, name string) string {
	if why := d.alone(t, name); why != "" {
		return why
	}
	hidden, together, smallest, found := 0, int64(0), "", false
	for sibling, n := range t.n {
		switch {
		case n == 0:
		case d.alone(t, sibling) != "":
			hidden++
			together += n
		case !found || n < t.n[smallest] || n == t.n[smallest] && sibling < smallest:
			smallest, found = sibling, true
		}
	}
	if hidden > 0 && (hidden == 1 || together < d.Contracts) && smallest == name {
		return WithheldSecond
	}
	return ""
}

// alone is the rule for one area by itself. A lessor nobody knows counts as one.
func (d Disclosure) alone(t *tally, name string) string {
	n := t.n[name]
	top := int64(0)
	for _, c := range t.lessors[name] {
		top = max(top, c)
	}
	switch {
	case n == 0:
		return WithheldNone
	case n < d.Contracts:
		return WithheldContracts
	case len(t.lessors[name]) < d.Lessors:
		return WithheldLessors
	case d.Lessors > 0 && d.ShareBP > 0 && top*10000 > n*d.ShareBP:
		return WithheldShare
	}
	return ""
}
