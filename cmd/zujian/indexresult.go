package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"zujian/projections/rentindex/stat"
)

// fitResult is the result document (§7 of the index method).
type fitResult struct {
	Method       string           `json:"method"`
	Version      string           `json:"method_version"`
	RowsIn       int64            `json:"rows_in"`
	RowsUsed     int64            `json:"rows_used"`
	Dropped      map[string]int64 `json:"dropped"`
	Sigma        *float64         `json:"sigma,omitempty"`
	R2           *float64         `json:"r2,omitempty"`
	DF           *int64           `json:"df,omitempty"`
	Pairs        *int64           `json:"pairs,omitempty"`      // Repeat rents.
	Unweighted   string           `json:"unweighted,omitempty"` // Why repeat rents have no weighted figures.
	Seconds      float64          `json:"seconds"`
	InputsSHA256 string           `json:"inputs_sha256"`
	Fits         []fitOne         `json:"fits,omitempty"` // One per level of "by".
	Unused       []string         `json:"dropped_columns,omitempty"`
	Coefficients []fitCoefficient `json:"coefficients"`
	Series       []fitPoint       `json:"series"`
}

type fitOne struct {
	By       string   `json:"by"`
	RowsUsed int64    `json:"rows_used,omitempty"`
	Pairs    *int64   `json:"pairs,omitempty"`
	Sigma    *float64 `json:"sigma"`
	R2       *float64 `json:"r2,omitempty"`
	DF       int64    `json:"df"`
	Unused   []string `json:"dropped_columns,omitempty"`
	Refused  string   `json:"refused,omitempty"` // Why there is no series.

	Unweighted string `json:"unweighted,omitempty"`
}

type fitCoefficient struct {
	By       string   `json:"by,omitempty"`
	Term     string   `json:"term"`
	Estimate *float64 `json:"estimate"` // null: the column is a combination of earlier ones.
	SE       *float64 `json:"se"`       // null: no degree of freedom is left.
}

// fitPoint is one period. What a method does not have is absent.
type fitPoint struct {
	By       *string  `json:"by"`
	Period   string   `json:"period"`
	N        int64    `json:"n"` // Rows; pairs that begin or end in the period for repeat rents.
	LogIndex *float64 `json:"log_index,omitempty"`
	SE       *float64 `json:"se,omitempty"`
	Index    *float64 `json:"index"` // null: cannot be computed, see not_estimable.
	// Double imputation; index is Fisher's.
	Laspeyres    *float64 `json:"laspeyres,omitempty"`
	Paasche      *float64 `json:"paasche,omitempty"`
	Fisher       *float64 `json:"fisher,omitempty"`
	NotEstimable []string `json:"not_estimable,omitempty"`
	Strata       *int     `json:"strata,omitempty"` // Stratified median.
	// Repeat rents weighted in three stages.
	WeightedLog   *float64 `json:"weighted_log_index,omitempty"`
	WeightedSE    *float64 `json:"weighted_se,omitempty"`
	WeightedIndex *float64 `json:"weighted_index,omitempty"`
}

// document is the result in the form the file's name asks for.
func (r *fitResult) document(name string) ([]byte, error) {
	if strings.HasSuffix(strings.ToLower(name), ".csv") {
		return r.csv()
	}
	doc, err := json.MarshalIndent(r, "", " ")
	return append(doc, '\n'), err
}

func (r *fitResult) csv() ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	head := []string{"by", "period", "n", "log_index", "se", "index"}
	switch r.Method {
	case methodImputation:
		head = append(head, "laspeyres", "paasche", "fisher")
	case methodMedian:
		head = append(head, "strata")
	case methodRepeat:
		head = append(head, "weighted_log_index", "weighted_se", "weighted_index")
	}
	if err := w.Write(head); err != nil {
		return nil, err
	}
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	for _, p := range r.Series {
		by, strata := "", ""
		if p.By != nil {
			by = *p.By
		}
		if p.Strata != nil {
			strata = strconv.Itoa(*p.Strata)
		}
		cells := map[string]string{
			"by": by, "period": p.Period, "n": strconv.FormatInt(p.N, 10), "log_index": number(p.LogIndex), "se": number(p.SE),
			"index": number(p.Index), "laspeyres": number(p.Laspeyres), "paasche": number(p.Paasche), "fisher": number(p.Fisher),
			"strata": strata, "weighted_log_index": number(p.WeightedLog), "weighted_se": number(p.WeightedSE),
			"weighted_index": number(p.WeightedIndex),
		}
		row := make([]string, len(head))
		for i, h := range head {
			row[i] = cells[h]
		}
		if err := w.Write(row); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// fit solves one model, or one for each level.
func (t *tableSums) fit(s *indexSpec) (*fitResult, error) {
	if s.Method == methodImputation {
		if err := t.matched(int64(max(s.MinStratum, 1))); err != nil {
			return nil, err
		}
	}
	if t.rowsUsed == 0 {
		return nil, fmt.Errorf("none of %d rows can be used: %v", t.rowsIn, t.dropped)
	}
	r := &fitResult{
		Method: s.Method, RowsIn: t.rowsIn, RowsUsed: t.rowsUsed, Dropped: t.dropped,
		Coefficients: []fitCoefficient{}, Series: []fitPoint{},
	}
	var inputs []stat.Keyed
	var err error
	switch s.Method {
	case methodRepeat:
		inputs, err = r.repeat(s, t)
	case methodMedian:
		inputs, err = r.medians(s, t)
	default:
		inputs, err = r.regressions(s, t)
	}
	if err != nil {
		return nil, err
	}
	sum := stat.InputsSHA256(inputs)
	r.InputsSHA256 = hex.EncodeToString(sum[:])
	return r, nil
}

// named says which series an error is about.
func (s *indexSpec) named(by string, err error) error {
	if err == nil || s.By == nil {
		return err
	}
	return fmt.Errorf("%s %s: %w", *s.By, by, err)
}

// label is the by of a point.
func (s *indexSpec) label(by string) *string {
	if s.By == nil {
		return nil
	}
	return &by
}

func (k seriesKey) String() string { return k.by + "/" + k.period }

func (k seriesKey) compare(o seriesKey) int {
	return cmp.Or(cmp.Compare(k.by, o.by), cmp.Compare(k.period, o.period))
}

// regressions are the methods that read cells.
func (r *fitResult) regressions(s *indexSpec, t *tableSums) (inputs []stat.Keyed, err error) {
	periods := map[string][]stat.Period{}
	order := func(a, b cellKey) int { return a.compare(b.seriesKey) }
	for _, key := range slices.SortedFunc(maps.Keys(t.cells), order) {
		inputs = append(inputs, stat.Keyed{Key: key.String(), Cell: t.cells[key]})
		periods[key.by] = append(periods[key.by], stat.Period{Name: key.period, Cell: t.cells[key]})
	}
	solve := map[string]func(*indexSpec, string, []stat.Period) error{
		methodHedonic: r.hedonic, methodRolling: r.rolling, methodImputation: r.imputation,
	}[s.Method]
	for _, by := range slices.Sorted(maps.Keys(periods)) {
		if err := solve(s, by, periods[by]); err != nil {
			return nil, s.named(by, err)
		}
	}
	return inputs, nil
}

// hedonic adds one pooled fit. Coefficients of periods are named by the unit ("month2018-02"), as lm names them.
func (r *fitResult) hedonic(s *indexSpec, by string, periods []stat.Period) error {
	r.Version = stat.MethodTimeDummy
	f, err := stat.TimeDummy(s.design(), periods)
	if err != nil {
		return err
	}
	if s.By == nil {
		r.Sigma, r.R2, r.DF, r.Unused = f.Sigma, f.R2, &f.DF, f.Dropped
	} else {
		r.Fits = append(r.Fits, fitOne{By: by, RowsUsed: f.N, Sigma: f.Sigma, R2: f.R2, DF: f.DF, Unused: f.Dropped})
	}
	for _, c := range f.Coefficients {
		out := fitCoefficient{By: by, Term: c.Term, SE: c.SE}
		if !c.Dropped {
			out.Estimate = &c.Estimate
		}
		r.Coefficients = append(r.Coefficients, out)
	}
	for i, p := range f.Points {
		if i > 0 {
			r.period(s, by, p.Period, &p.LogIndex, p.SE)
		}
		r.Series = append(r.Series, fitPoint{By: s.label(by), Period: p.Period, N: p.N, LogIndex: &p.LogIndex, SE: p.SE, Index: p.Index})
	}
	return nil
}

// period adds the coefficient of a period.
func (r *fitResult) period(s *indexSpec, by, period string, estimate, se *float64) {
	r.Coefficients = append(r.Coefficients, fitCoefficient{By: by, Term: s.Period.Unit + period, Estimate: estimate, SE: se})
}

func (r *fitResult) rolling(s *indexSpec, by string, periods []stat.Period) error {
	r.Version = stat.MethodRolling
	f, err := stat.Rolling(s.design(), periods, s.Window)
	if err != nil {
		return err
	}
	if s.By == nil {
		r.Sigma, r.DF = f.Sigma, &f.DF
	} else {
		r.Fits = append(r.Fits, fitOne{By: by, RowsUsed: f.N, Sigma: f.Sigma, DF: f.DF})
	}
	for _, p := range f.Points {
		r.Series = append(r.Series, fitPoint{By: s.label(by), Period: p.Period, N: p.N, LogIndex: &p.LogIndex, SE: p.SE, Index: p.Index})
	}
	return nil
}

func (r *fitResult) imputation(s *indexSpec, by string, periods []stat.Period) error {
	r.Version = stat.MethodImputation
	f, err := stat.DoubleImputation(s.design(), periods)
	if err != nil {
		return err
	}
	for _, p := range f.Points {
		pt := fitPoint{By: s.label(by), Period: p.Period, N: p.N, NotEstimable: p.Missing}
		if p.Laspeyres != nil {
			pt.Laspeyres = p.Laspeyres.Index
		}
		if p.Paasche != nil {
			pt.Paasche = p.Paasche.Index
		}
		if p.Fisher != nil {
			pt.Fisher, pt.Index, pt.LogIndex, pt.SE = p.Fisher.Index, p.Fisher.Index, &p.Fisher.LogIndex, p.Fisher.SE
		}
		r.Series = append(r.Series, pt)
	}
	return nil
}

func (r *fitResult) medians(s *indexSpec, t *tableSums) (inputs []stat.Keyed, err error) {
	r.Version = stat.MethodMedian
	periods := map[string][]stat.StrataPeriod{}
	for _, key := range slices.SortedFunc(maps.Keys(t.strata), seriesKey.compare) {
		inputs = append(inputs, stat.Keyed{Key: key.String(), Cell: t.strata[key]})
		periods[key.by] = append(periods[key.by], stat.StrataPeriod{Name: key.period, Strata: t.strata[key]})
	}
	least := int64(cmp.Or(s.MinStratum, stratumDefault))
	for _, by := range slices.Sorted(maps.Keys(periods)) {
		points, err := stat.StratifiedMedian(periods[by], least)
		if err != nil {
			return nil, s.named(by, err)
		}
		for _, p := range points {
			pt := fitPoint{By: s.label(by), Period: p.Period, N: p.N, Strata: &p.Strata, Index: p.Index}
			if p.Index == nil {
				pt.NotEstimable = []string{fmt.Sprintf("no stratum has %d rows in both periods", least)}
			}
			r.Series = append(r.Series, pt)
		}
	}
	return inputs, nil
}

func (r *fitResult) repeat(s *indexSpec, t *tableSums) (inputs []stat.Keyed, err error) {
	r.Version = stat.MethodRepeat
	pairs, periods, err := t.pairs()
	if err != nil {
		return nil, err
	}
	for _, by := range slices.Sorted(maps.Keys(pairs)) {
		inputs = append(inputs, stat.Keyed{Key: by, Cell: pairs[by]})
		if pairs[by].N() == 0 {
			if s.By == nil {
				return nil, fmt.Errorf("no home has rents in two periods, of %d rows", t.rowsUsed)
			}
			r.Fits = append(r.Fits, fitOne{By: by, Pairs: new(int64), Refused: "no home has rents in two periods"})
			continue
		}
		f, err := stat.RepeatRent(periods[by], pairs[by], func(from, to int) int64 {
			return periodNumber(periods[by][to]) - periodNumber(periods[by][from])
		})
		if err != nil {
			return nil, s.named(by, err)
		}
		if s.By == nil {
			r.Sigma, r.DF, r.Pairs, r.Unweighted = f.Sigma, &f.DF, &f.N, f.Unweighted
		} else {
			r.Fits = append(r.Fits, fitOne{By: by, Pairs: &f.N, Sigma: f.Sigma, DF: f.DF, Unweighted: f.Unweighted})
		}
		for i, p := range f.Points {
			if i > 0 && p.LogIndex != nil {
				r.period(s, by, p.Period, p.LogIndex, p.SE)
			}
			pt := fitPoint{
				By: s.label(by), Period: p.Period, N: p.N, LogIndex: p.LogIndex, SE: p.SE, Index: p.Index,
				WeightedLog: p.WeightedLog, WeightedSE: p.WeightedSE, WeightedIndex: p.WeightedIndex,
			}
			if p.LogIndex == nil {
				pt.NotEstimable = []string{"no chain of pairs leads to the base period"}
			}
			r.Series = append(r.Series, pt)
		}
	}
	return inputs, nil
}

// periodNumber counts the periods of a name made by specPeriod.of, so that gaps have a length.
func periodNumber(name string) int64 {
	year, rest, more := strings.Cut(name, "-")
	y, _ := strconv.ParseInt(year, 10, 64)
	if !more {
		return y
	}
	quarter, isQuarter := strings.CutPrefix(rest, "Q")
	n, _ := strconv.ParseInt(quarter, 10, 64)
	if isQuarter {
		return y*4 + n
	}
	return y*12 + n
}
