package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"zujian/cmd/zujian/internal/tabular"
	"zujian/projections/rentindex/stat"
)

// indexSpec says how a table becomes observations and which method reads them. Members whose names start with "_" are
// notes.
type indexSpec struct {
	Method  string       `json:"method"`
	Value   string       `json:"value"` // Column.
	Log     *bool        `json:"log"`   // Whether to take the logarithm of the value (default); otherwise it is one already.
	Period  specPeriod   `json:"period"`
	Factors []specFactor `json:"factors"`
	Numeric []specNumber `json:"numeric"`
	Keep    []specKeep   `json:"keep"`
	By      *string      `json:"by"`     // A factor's name: one series per level, each fitted alone.
	Window  int          `json:"window"` // Periods of a rolling window; 0 = 24.
	Unit    string       `json:"unit"`   // Column that names the home, for repeat rents; "" = "unit".
	// MinStratum is the least number of rows: of a stratum in both periods of a stratified median (0 = 10), and of each level
	// in every period of a double imputation, which leaves the rows of other levels out (0 = 1).
	MinStratum int `json:"min_stratum"`
}

// Methods.
const (
	methodHedonic    = "hedonic"
	methodRolling    = "rolling"
	methodImputation = "double-imputation"
	methodRepeat     = "repeat"
	methodMedian     = "stratified-median"
)

const (
	windowDefault  = 24
	stratumDefault = 10
)

type specPeriod struct {
	Column string `json:"column"`
	Unit   string `json:"unit"`   // month (default), quarter, year
	Layout string `json:"layout"` // The one text form of dates, as Go's package time writes it; "" = the usual unambiguous ones.
}

type specFactor struct {
	Name   string `json:"name"`
	Column string `json:"column"` // Default: the name.
	Prefix int    `json:"prefix"` // Only the first characters count; 0 = all.
}

// specNumber is a numeric regressor: a column name, or {"name", "column", "log"}.
type specNumber struct {
	Name   string `json:"name"`
	Column string `json:"column"`
	Log    bool   `json:"log"`
}

func (n *specNumber) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &n.Name)
	}
	type plain specNumber
	return strictJSON(b, (*plain)(n))
}

// specKeep keeps a row only if the column's value passes.
type specKeep struct {
	Column  string   `json:"column"`
	Min     *float64 `json:"min"`
	Max     *float64 `json:"max"`
	Integer bool     `json:"integer"`
	In      []any    `json:"in"`
	allowed []string
}

func strictJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	d.UseNumber()
	return d.Decode(into)
}

// parseIndexSpec reads a spec and refuses what it would not honour.
func parseIndexSpec(raw []byte) (*indexSpec, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\xEF\xBB\xBF")), &members); err != nil {
		return nil, err
	}
	for name := range members {
		if strings.HasPrefix(name, "_") {
			delete(members, name)
		}
	}
	clean, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	s := &indexSpec{}
	if err := strictJSON(clean, s); err != nil {
		return nil, err
	}
	return s, s.check()
}

func (s *indexSpec) check() error {
	if !slices.Contains([]string{methodHedonic, methodRolling, methodImputation, methodRepeat, methodMedian}, s.Method) {
		return fmt.Errorf("method %q is none of hedonic, rolling, double-imputation, repeat, stratified-median", s.Method)
	}
	if s.Window < 0 || s.Window == 1 || s.MinStratum < 0 {
		return errors.New("window is at least 2 periods, and min_stratum is not negative")
	}
	if s.Window == 0 {
		s.Window = windowDefault
	}
	s.Unit = cmpOr(s.Unit, "unit")
	if s.Value == "" || s.Period.Column == "" {
		return errors.New("value and period.column name columns: both are required")
	}
	if s.Period.Unit == "" {
		s.Period.Unit = "month"
	}
	if !slices.Contains([]string{"month", "quarter", "year"}, s.Period.Unit) {
		return fmt.Errorf("period.unit %q is none of month, quarter, year", s.Period.Unit)
	}
	names := map[string]bool{}
	name := func(kind, n string) error {
		if n == "" || strings.Contains(n, "=") || names[n] {
			return fmt.Errorf("%s: a name must be there, once, and without \"=\": %q", kind, n)
		}
		names[n] = true
		return nil
	}
	for i := range s.Factors {
		f := &s.Factors[i]
		f.Column = cmpOr(f.Column, f.Name)
		if f.Prefix < 0 {
			return fmt.Errorf("factors: %s: prefix is negative", f.Name)
		}
		if err := name("factors", f.Name); err != nil {
			return err
		}
	}
	for i := range s.Numeric {
		n := &s.Numeric[i]
		n.Name = cmpOr(n.Name, n.Column)
		n.Column = cmpOr(n.Column, n.Name)
		if err := name("numeric", n.Name); err != nil {
			return err
		}
	}
	for i := range s.Keep {
		k := &s.Keep[i]
		if k.Column == "" {
			return errors.New("keep: column is missing")
		}
		for _, v := range k.In {
			k.allowed = append(k.allowed, fmt.Sprint(v))
		}
	}
	if s.By != nil && !slices.ContainsFunc(s.Factors, func(f specFactor) bool { return f.Name == *s.By }) {
		return fmt.Errorf("by: %q is no factor", *s.By)
	}
	return nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// design is the regression: all factors but the one each series has its own level of.
func (s *indexSpec) design() (d stat.Design) {
	for _, f := range s.Factors {
		if s.By == nil || f.Name != *s.By {
			d.Factors = append(d.Factors, f.Name)
		}
	}
	for _, n := range s.Numeric {
		d.Numerics = append(d.Numerics, n.Name)
	}
	return d
}

// rowReader turns rows into observations by a spec. It is read only and shared.
type rowReader struct {
	spec    *indexSpec
	columns []string
	at      map[string]int
	integer map[string]bool // Columns some keep rule wants whole.
	factors []specFactor    // Those the method reads.
	numeric []specNumber
	byIndex int // Of the factor in spec.By; -1.
}

func newRowReader(s *indexSpec) *rowReader {
	r := &rowReader{spec: s, at: map[string]int{}, integer: map[string]bool{}, factors: s.Factors, numeric: s.Numeric, byIndex: -1}
	if s.Method == methodRepeat { // A home is compared with itself.
		r.factors = slices.DeleteFunc(slices.Clone(s.Factors), func(f specFactor) bool { return s.By == nil || f.Name != *s.By })
	}
	if s.Method == methodRepeat || s.Method == methodMedian {
		r.numeric = nil
	}
	need := func(column string) {
		if _, known := r.at[column]; !known {
			r.at[column] = len(r.columns)
			r.columns = append(r.columns, column)
		}
	}
	need(s.Value)
	need(s.Period.Column)
	for i, f := range r.factors {
		need(f.Column)
		if s.By != nil && f.Name == *s.By {
			r.byIndex = i
		}
	}
	for _, n := range r.numeric {
		need(n.Column)
	}
	if s.Method == methodRepeat {
		need(s.Unit)
	}
	for _, k := range s.Keep {
		need(k.Column)
		r.integer[k.Column] = r.integer[k.Column] || k.Integer
	}
	return r
}

// seriesKey says which period of which series a row counts in.
type seriesKey struct{ by, period string }

// tableRow is what a method reads of a row.
type tableRow struct {
	seriesKey
	o     stat.Observation
	value int64        // On the grid, not in logs: stratified medians.
	unit  string       // Repeat rents: the home…
	date  tabular.Date // …and the day.
}

// missing is what an empty cell and R's NA mean.
func missing(s string) bool { return s == "" || s == "NA" }

// observe is what the row says, or why it is dropped.
func (r *rowReader) observe(row tabular.Row) (t tableRow, reason string) {
	value := func(column string) string { return row.Values[r.at[column]] }
	s := r.spec
	if t.date, t.period, reason = s.Period.of(value(s.Period.Column), row.Dates); reason != "" {
		return t, reason
	}
	if t.o.Y, reason = gridNumber(s.Value, value(s.Value), s.Log == nil || *s.Log); reason != "" {
		return t, reason
	}
	for i := range s.Keep {
		if reason = s.Keep[i].refuses(value(s.Keep[i].Column)); reason != "" {
			return t, reason
		}
	}
	t.o.Levels = make([]string, 0, len(r.factors))
	for i, f := range r.factors {
		level := value(f.Column)
		if missing(level) {
			return t, f.Column + ": missing"
		}
		if r.integer[f.Column] || row.Dates != tabular.DatesText && strings.ContainsAny(level, ".eE") {
			level = wholeText(level)
		}
		if f.Prefix > 0 {
			level = prefix(level, f.Prefix)
		}
		if i == r.byIndex {
			t.by = level
			continue
		}
		t.o.Levels = append(t.o.Levels, stat.Level(f.Name, level))
	}
	for _, n := range r.numeric {
		x, reason := gridNumber(n.Column, value(n.Column), n.Log)
		if reason != "" {
			return t, reason
		}
		t.o.Values = append(t.o.Values, stat.Value{Term: n.Name, X: x})
	}
	switch s.Method {
	case methodRepeat:
		if t.unit = value(s.Unit); missing(t.unit) {
			return t, s.Unit + ": missing"
		}
	case methodMedian:
		t.value, reason = r.plain(value(s.Value))
	}
	return t, reason
}

// plain is the value itself on the grid: a median is not taken in logs.
func (r *rowReader) plain(text string) (q int64, reason string) {
	if r.spec.Log == nil || *r.spec.Log {
		return gridNumber(r.spec.Value, text, false)
	}
	v, err := tabular.ParseNumber(text)
	e, ok := stat.Exp(v)
	if ok {
		q, ok = stat.Quantise(e)
	}
	if err != nil || !ok {
		return 0, r.spec.Value + ": out of range"
	}
	return q, ""
}

// wholeText writes a whole number one way: a level is 2, not 2.0 here and 2 there.
func wholeText(s string) string {
	if v, err := tabular.ParseNumber(s); err == nil && v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatInt(int64(v), 10)
	}
	return s
}

func prefix(s string, characters int) string {
	for i := range s {
		if characters == 0 {
			return s[:i]
		}
		characters--
	}
	return s
}

func gridNumber(column, text string, log bool) (q int64, reason string) {
	if missing(text) {
		return 0, column + ": missing"
	}
	v, err := tabular.ParseNumber(text)
	if err != nil {
		return 0, column + ": not a number"
	}
	if log {
		l, ok := stat.Log(v)
		if !ok {
			return 0, column + ": not positive"
		}
		v = l
	}
	q, ok := stat.Quantise(v)
	if !ok {
		return 0, column + ": out of range"
	}
	return q, ""
}

// of is the name of the period a date falls in; names sort in time.
func (p specPeriod) of(text string, dates tabular.DateSystem) (d tabular.Date, name, reason string) {
	if missing(text) {
		return d, "", p.Column + ": missing"
	}
	d, err := tabular.ParseDate(text, dates, p.Layout)
	if err != nil && p.Layout == "" { // A table may have months or years only.
		d, err = tabular.ParseDate(text+"-01", tabular.DatesText, "")
		if err != nil && p.Unit == "year" {
			d, err = tabular.ParseDate(text+"-01-01", tabular.DatesText, "")
		}
	}
	if err != nil {
		return d, "", p.Column + ": not a date"
	}
	switch p.Unit {
	case "year":
		return d, fmt.Sprintf("%04d", d.Year), ""
	case "quarter":
		return d, fmt.Sprintf("%04d-Q%d", d.Year, (int(d.Month)+2)/3), ""
	}
	return d, fmt.Sprintf("%04d-%02d", d.Year, int(d.Month)), ""
}

func (k *specKeep) refuses(text string) (reason string) {
	if k.Min != nil || k.Max != nil || k.Integer {
		v, err := tabular.ParseNumber(text)
		switch {
		case missing(text):
			return k.Column + ": missing"
		case err != nil:
			return k.Column + ": not a number"
		case k.Integer && v != math.Trunc(v):
			return k.Column + ": not whole"
		case k.Min != nil && v < *k.Min:
			return fmt.Sprintf("%s: below %v", k.Column, *k.Min)
		case k.Max != nil && v > *k.Max:
			return fmt.Sprintf("%s: above %v", k.Column, *k.Max)
		}
		text = wholeText(text)
	}
	if k.allowed != nil && !slices.Contains(k.allowed, text) {
		return k.Column + ": not among those kept"
	}
	return ""
}
