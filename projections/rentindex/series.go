package rentindex

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/rentindex/stat"
)

// City is the area that merges all reporting units.
const City = "city"

// Errors of queries.
var (
	ErrQuery   = errors.New("rentindex: no such series")
	ErrUnknown = errors.New("rentindex: unknown area")
)

// Query names a series.
type Query struct {
	Area       string       // City, a reporting unit, or a street.
	Population string       // New or Stock.
	Method     string       // One of Methods; "" = Hedonic.
	From, To   domain.Month // Window of the pooled fit, both included; 0 = as far as the data goes.
	Now        domain.Month // The month of the request: a stock series ends there. 0 = the last month of new lettings.
}

// Why a month is not shown.
const (
	WithheldContracts = "FEW_CONTRACTS"
	WithheldLessors   = "FEW_LESSORS"
	WithheldShare     = "DOMINANT_LESSOR"
	WithheldSecond    = "COMPLEMENT" // It would reveal the one other area that is withheld, by subtraction.
	WithheldParent    = "PARENT"     // Its reporting unit is withheld, and its streets together would tell.
	WithheldNone      = "NO_CONTRACTS"
	WithheldPairs     = "FEW_PAIRS"      // Repeat rents: fewer pairs than contracts are needed.
	WithheldNoFigure  = "NOT_ESTIMABLE"  // The data do not determine it; not_estimable says why.
	WithheldNoBasket  = "FEW_IN_STRATUM" // Stratified median: no stratum has enough contracts in both months.
)

// Methods of index-method §3.
const (
	Hedonic    = "hedonic"
	Rolling    = "rolling"
	Imputation = "double-imputation"
	Repeat     = "repeat"
	Median     = "stratified-median"
)

// Methods are all of them.
var Methods = []string{Hedonic, Rolling, Imputation, Repeat, Median}

// Point is one month of a series. A withheld month has nothing but its reason.
type Point struct {
	Month    domain.Month `json:"month"`
	N        int64        `json:"n"`
	Index    *float64     `json:"index"` // 100 in the first month shown.
	LogIndex *float64     `json:"log_index"`
	SE       *float64     `json:"se"`             // Standard error in logs; null where the method has none.
	Low      *float64     `json:"low,omitempty"`  // 95 % interval of the index,
	High     *float64     `json:"high,omitempty"` // 100·exp(log_index ± 1.96·se).
	// MonthBP is the change on the month before in basis points of the log, MonthAdjustedBP the same without the season.
	MonthBP         *float64 `json:"month_bp,omitempty"`
	MonthAdjustedBP *float64 `json:"month_adjusted_bp,omitempty"`
	YearBP          *float64 `json:"year_bp,omitempty"` // On the same month of the year before.
	// What only some methods have.
	Laspeyres *float64 `json:"laspeyres,omitempty"`
	Paasche   *float64 `json:"paasche,omitempty"`
	Strata    *int     `json:"strata,omitempty"`
	Pairs     *int64   `json:"pairs,omitempty"` // Repeat rents, of the city: the units' would tell of each other.
	// Repeat rents weighted in three stages by how variance grows with the time between two lettings; absent where it does not.
	WeightedIndex *float64 `json:"weighted_index,omitempty"`
	WeightedSE    *float64 `json:"weighted_se,omitempty"`
	NotEstimable  []string `json:"not_estimable,omitempty"`
	Provisional   bool     `json:"provisional,omitempty"`
	Withheld      string   `json:"withheld,omitempty"`
}

// Result is a series and everything needed to compute it again from the log.
type Result struct {
	Area          string              `json:"area"`
	BorrowedFrom  string              `json:"borrowed_from,omitempty"` // The parent whose series this is, where the area's own may not be shown.
	Population    string              `json:"population"`
	Method        string              `json:"method"`
	MethodVersion string              `json:"method_version"`
	Model         string              `json:"model"`
	ModelVersion  int                 `json:"model_version"`
	Position      eventstore.Position `json:"position"` // Of the log: every event up to it is in the figures.
	InputsSHA256  string              `json:"inputs_sha256"`

	Vintage         string `json:"vintage,omitempty"` // The release the figures are of; "" = as the log stands.
	VintagePosition uint64 `json:"vintage_position,omitempty"`

	N        int64            `json:"n"`
	Sigma    *float64         `json:"sigma"`
	R2       *float64         `json:"r2"`
	DF       int64            `json:"df"`
	Window   int              `json:"window,omitempty"` // Months of the rolling window.
	Dropped  []string         `json:"dropped_columns,omitempty"`
	Points   []Point          `json:"series"`
	SetAside map[string]int64 `json:"set_aside"` // By reason, of the area's unit or the city, in the window.
}

// prepare checks a query and finds its area.
func (p Projection) prepare(ctx context.Context, r projections.Reader, q Query) (*series, error) {
	if q.Method == "" {
		q.Method = Hedonic
	}
	switch {
	case !slices.Contains(Methods, q.Method):
		return nil, fmt.Errorf("%w: method %q is none of %v", ErrQuery, q.Method, Methods)
	case q.Method == Repeat && q.Population == Stock:
		return nil, fmt.Errorf("%w: repeat rents compare new lettings", ErrQuery)
	case q.Population != New && q.Population != Stock:
		return nil, fmt.Errorf("%w: population %q is neither new nor stock", ErrQuery, q.Population)
	case q.From != 0 && q.To != 0 && q.To < q.From:
		return nil, fmt.Errorf("%w: it ends before it begins", ErrQuery)
	}
	s := &series{ctx: ctx, r: r, m: &p.Model, q: q}
	if err := s.locate(); err != nil {
		return nil, err
	}
	return s, nil
}

// Series computes a series from a snapshot of the view.
func (p Projection) Series(ctx context.Context, r projections.Reader, q Query) (*Result, error) {
	s, err := p.prepare(ctx, r, q)
	if err != nil {
		return nil, err
	}
	return s.answer()
}

// answer is the result, or for a street that may not be shown at all its unit's.
func (s *series) answer() (*Result, error) {
	res, err := s.result()
	if err != nil || s.street == "" || slices.ContainsFunc(res.Points, func(p Point) bool { return p.Withheld == "" }) {
		return res, err
	}
	parent := *s
	parent.street = ""
	if res, err = parent.result(); err == nil {
		res.BorrowedFrom = s.unit
	}
	return res, err
}

// Levels computes medians and quartiles of what is let, under the same disclosure rule as the index. A street that may not
// be shown at all borrows its unit's.
func (p Projection) Levels(ctx context.Context, r projections.Reader, q Query) (*Levels, error) {
	q.Method = Median
	s, err := p.prepare(ctx, r, q)
	if err != nil {
		return nil, err
	}
	l, err := s.rentLevels()
	if err != nil || s.street == "" || slices.ContainsFunc(l.Levels, func(l Level) bool { return l.Withheld == "" }) {
		return l, err
	}
	parent := *s
	parent.street = ""
	if l, err = parent.rentLevels(); err == nil {
		l.BorrowedFrom = s.unit
	}
	return l, err
}

type series struct {
	ctx          context.Context
	r            projections.Reader
	m            *Model
	q            Query
	unit, street string // Both "" for the city.
	last         domain.Month
	given        []monthData // The months, where they were gathered already.
	others       *survey     // Gathered along with this series.
}

// locate finds what kind of area is asked for, and the window's end.
func (s *series) locate() error {
	for pair, err := range s.r.Scan(s.ctx, "c/new/", "c/new0", true) {
		if err != nil {
			return err
		}
		at, err := parseCellKey(pair.Key)
		if err != nil {
			return err
		}
		s.last = at.month
		break
	}
	if s.last = max(s.last, s.q.Now); s.q.To == 0 || s.q.To > s.last {
		s.q.To = s.last
	}
	if s.q.Area == City {
		return nil
	}
	unit, ok, err := s.r.Get(s.ctx, "r/"+escaped(s.q.Area))
	if err != nil {
		return err
	}
	if ok {
		s.unit, s.street = string(unit), s.q.Area
		return nil
	}
	s.unit = s.q.Area
	if _, ok, err = s.r.Get(s.ctx, "u/"+escaped(s.unit)); err == nil && !ok {
		err = fmt.Errorf("%w: %q", ErrUnknown, s.q.Area)
	}
	return err
}

// cellKeyParts is a parsed c/ key.
type cellKeyParts struct {
	month        domain.Month
	unit, street string
}

func parseCellKey(key string) (at cellKeyParts, err error) {
	parts := strings.Split(key, "/")
	if len(parts) < 5 {
		return at, fmt.Errorf("rentindex: key %q", key)
	}
	if at.month, err = domain.ParseMonth(parts[2]); err != nil {
		return at, fmt.Errorf("rentindex: key %q: %w", key, err)
	}
	at.unit, at.street = unescaped(parts[3]), unescaped(parts[4])
	return at, nil
}

func unescaped(s string) string {
	if s == "-" {
		return ""
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// sibling is what an observation's place counts as in this series: the areas among which a month's contracts divide.
// The siblings are those whose figures together give the parent's, for the second suppression.
func (s *series) sibling(at cellKeyParts) (name string, mine, counts bool) {
	switch {
	case s.street != "":
		return at.street, at.street == s.street && at.unit == s.unit, at.unit == s.unit
	case s.unit != "":
		return at.unit, at.unit == s.unit, true
	}
	return City, true, true
}

// monthData is one month of the series.
type monthData struct {
	month    domain.Month
	units    map[string]*stat.Cell // Mine, by reporting unit.
	withheld string
}

// blank is a result without figures.
func (s *series) blank() *Result {
	sum := stat.InputsSHA256(nil)
	return &Result{
		Area: s.q.Area, Population: s.q.Population, Method: s.q.Method, MethodVersion: methodVersions[s.q.Method],
		Model: s.m.Name, ModelVersion: s.m.Version, Position: s.r.Position(), Points: []Point{}, InputsSHA256: hex.EncodeToString(sum[:]),
	}
}

func (s *series) result() (*Result, error) {
	months, err := s.months()
	if err != nil {
		return nil, err
	}
	res := s.blank()
	if res.SetAside, err = s.setAside(); err != nil {
		return nil, err
	}
	for len(months) > 0 && months[0].withheld == WithheldNone {
		months = months[1:]
	}
	start := slices.IndexFunc(months, func(d monthData) bool { return d.withheld == "" })
	for _, d := range months {
		res.Points = append(res.Points, Point{Month: d.month, Withheld: d.withheld, Provisional: int(s.last-d.month) < s.m.ProvisionalMonths})
	}
	if start < 0 {
		return res, nil
	}
	if err := s.solve(res, months[start:], res.Points[start:]); err != nil {
		return nil, err
	}
	res.conceal()
	changes(res.Points)
	return res, nil
}

// conceal takes out totals that less the months shown would tell what a withheld month holds.
func (r *Result) conceal() {
	n, hidden := int64(0), false
	for _, p := range r.Points {
		n += p.N
		hidden = hidden || p.Withheld != "" && p.Withheld != WithheldNone
	}
	if hidden {
		r.N, r.DF = n, 0
	}
}

// months gathers the window's cells and judges each month.
func (s *series) months() ([]monthData, error) {
	if s.given != nil {
		return s.given, nil
	}
	if s.q.Population == Stock {
		return s.stockMonths()
	}
	var out []monthData
	from := "c/new/"
	if s.q.From != 0 {
		from += s.q.From.String()
	}
	totals := newTally()
	flush := func(d monthData) error {
		if err := s.addLessors(totals, setNew, d.month, +1); err != nil {
			return err
		}
		out = s.judged(out, d, totals)
		totals = newTally()
		if s.others != nil {
			s.others.tally = newTally()
		}
		return nil
	}
	current := monthData{}
	for pair, err := range s.r.Scan(s.ctx, from, "c/new/"+(s.q.To+1).String(), false) {
		if err != nil {
			return nil, err
		}
		at, err := parseCellKey(pair.Key)
		if err != nil {
			return nil, err
		}
		if at.month != current.month {
			if current.month != 0 {
				if err := flush(current); err != nil {
					return nil, err
				}
			}
			current = monthData{month: at.month, units: map[string]*stat.Cell{}}
		}
		if err := s.take(current.units, totals, at, pair.Value, +1); err != nil {
			return nil, err
		}
	}
	if current.month != 0 {
		if err := flush(current); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judged appends d, and before it the months between that have nothing.
func (s *series) judged(out []monthData, d monthData, t *tally) []monthData {
	if len(out) > 0 {
		for m := out[len(out)-1].month + 1; m < d.month; m++ {
			out = append(out, monthData{month: m, withheld: WithheldNone})
		}
	}
	d.withheld = s.m.Disclosure.judge(t, s)
	if s.others != nil {
		s.others.judged(d)
	}
	return append(out, d)
}

// stockMonths walks the log of entries and leavers once, from the first month there is.
func (s *series) stockMonths() ([]monthData, error) {
	changes := map[domain.Month][]stockChange{}
	first := domain.Month(0)
	for _, set := range []string{setIn, setOut} { // Entries first: nobody leaves before entering.
		for pair, err := range s.r.Scan(s.ctx, "c/"+set+"/", "c/"+set+"/"+(s.q.To+1).String(), false) {
			if err != nil {
				return nil, err
			}
			at, err := parseCellKey(pair.Key)
			if err != nil {
				return nil, err
			}
			changes[at.month] = append(changes[at.month], stockChange{at, pair.Value, set})
			if first == 0 || at.month < first {
				first = at.month
			}
		}
	}
	if first == 0 {
		return nil, nil
	}
	var out []monthData
	running, totals := map[string]*stat.Cell{}, newTally()
	for m := first; m <= s.q.To; m++ {
		for _, c := range changes[m] {
			sign := int64(+1)
			if c.set == setOut {
				sign = -1
			}
			if err := s.take(running, totals, c.at, c.raw, sign); err != nil {
				return nil, fmt.Errorf("stock of %s: %w", m, err)
			}
		}
		for sign, set := range map[int64]string{+1: setIn, -1: setOut} { // Sums: the order does not matter.
			if err := s.addLessors(totals, set, m, sign); err != nil {
				return nil, err
			}
		}
		if m < s.q.From {
			continue
		}
		d := monthData{month: m, units: map[string]*stat.Cell{}}
		for unit, c := range running {
			if c.N() > 0 {
				d.units[unit] = c.Clone()
			}
		}
		out = s.judged(out, d, totals)
	}
	return out, nil
}

type stockChange struct {
	at  cellKeyParts
	raw []byte // The encoded cell.
	set string
}

// take counts a cell among its siblings, and merges it into its unit if it is mine.
func (s *series) take(units map[string]*stat.Cell, t *tally, at cellKeyParts, raw []byte, sign int64) error {
	if s.others != nil {
		if err := s.others.series.take(nil, s.others.tally, at, raw, sign); err != nil {
			return err
		}
	}
	name, mine, counts := s.sibling(at)
	if !counts && s.street == "" {
		return nil
	}
	n, err := stat.EncodedN(raw)
	if err != nil {
		return fmt.Errorf("cell %v: %w", at, err)
	}
	if s.street != "" {
		t.above.n[at.unit] += sign * n
	}
	if !counts {
		return nil
	}
	if t.n[name] += sign * n; !mine {
		return nil
	}
	c, err := stat.Decode(raw)
	if err != nil {
		return fmt.Errorf("cell %v: %w", at, err)
	}
	if units[at.unit] == nil {
		units[at.unit] = &stat.Cell{}
	}
	if sign < 0 {
		return units[at.unit].Unmerge(c)
	}
	return units[at.unit].Merge(c)
}

// setAside counts the observations set aside in the window, of the unit or of the city.
func (s *series) setAside() (map[string]int64, error) {
	out := map[string]int64{}
	for pair, err := range s.r.Scan(s.ctx, "a/"+s.q.From.String(), "a/"+(s.q.To+1).String(), false) {
		if err != nil {
			return nil, err
		}
		parts := strings.Split(pair.Key, "/")
		if len(parts) != 4 || s.unit != "" && unescaped(parts[2]) != s.unit {
			continue
		}
		n, err := strconv.ParseInt(string(pair.Value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("rentindex: key %q: %w", pair.Key, err)
		}
		out[unescaped(parts[3])] += n
	}
	return out, nil
}

// SetAside lists observations set aside, by stream, at most limit from the stream after on.
func (Projection) SetAside(ctx context.Context, r projections.Reader, after string, limit int) (out []Aside, err error) {
	from := "x/"
	if after != "" {
		from += escaped(after) + "0" // Past all its segments.
	}
	for pair, err := range r.Scan(ctx, from, "x0", false) {
		if err != nil || len(out) >= limit {
			return out, err
		}
		a, err := projections.Get[Aside](ctx, r, pair.Key)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	return out, nil
}
