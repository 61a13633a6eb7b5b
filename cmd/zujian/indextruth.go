package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"zujian/cmd/zujian/internal/demo"
	"zujian/domain"
	"zujian/projections"
	"zujian/projections/rentindex"
)

// indexTruthCmd holds the index of a demo city to what its rents were made with.
type indexTruthCmd struct {
	Area string `help:"The city or a reporting unit." default:"city"`
}

// truthReport is how near each method comes.
type truthReport struct {
	Area    string        `json:"area"`
	Start   domain.Day    `json:"start"` // First day of the truth's month 0.
	Methods []truthMethod `json:"methods"`
}

// truthMethod is one method's series beside the truth. Errors are in logs.
type truthMethod struct {
	Method string       `json:"method"`
	Months int          `json:"months"`
	Inside int          `json:"inside"` // Months whose 95 % interval holds the truth; of methods with standard errors.
	RMS    float64      `json:"rms_error"`
	RMSZ   float64      `json:"rms_error_in_se,omitzero"`
	Points []truthPoint `json:"points"`
}

// truthPoint is a month: both indices are 100 in the first month shown.
type truthPoint struct {
	Month domain.Month `json:"month"`
	N     int64        `json:"n"`
	Truth float64      `json:"truth"`
	Index float64      `json:"index"`
	SE    *float64     `json:"se"` // In logs.
}

// Run implements the command.
func (c *indexTruthCmd) Run(g *globals) error {
	if !isDemo(g.Data) {
		return fmt.Errorf("%w: %s holds no demo city; what a real city's index should be, nobody knows", errUsage, g.Data)
	}
	return withHouse(g, func(h *house) error {
		truth, err := demoTruth(g, h)
		if err != nil {
			return err
		}
		p := rentindex.Projection{Model: h.city.Model}
		r, err := projections.Replay(g.Ctx, h.store, h.catalogue, p, projections.PositionMax)
		if err != nil {
			return err
		}
		report := truthReport{Area: c.Area, Start: truth.Start}
		for _, method := range rentindex.Methods {
			s, err := p.Series(g.Ctx, r, rentindex.Query{Area: c.Area, Population: rentindex.New, Method: method})
			if err != nil {
				return fmt.Errorf("%s: %w", method, err)
			}
			report.Methods = append(report.Methods, beside(truth, s))
		}
		if g.JSON {
			return json.NewEncoder(g.Stdout).Encode(report)
		}
		return report.print(g.Stdout)
	})
}

// demoTruth is what the folder's city was made with: its first event tells when its history begins.
func demoTruth(g *globals, h *house) (*demo.Truth, error) {
	for rec, err := range h.store.All(g.Ctx, 0) {
		if err != nil {
			return nil, err
		}
		return demo.Beginning(domain.DayOf(rec.Meta.At)), nil
	}
	return nil, fmt.Errorf("%w: the log is empty", errUsage)
}

// beside sets a series beside the truth.
func beside(truth *demo.Truth, s *rentindex.Result) (m truthMethod) {
	m.Method = s.Method
	base, squares, z, errors := math.NaN(), 0.0, 0.0, 0
	first := 0.0
	for _, p := range s.Points {
		if p.LogIndex == nil {
			continue
		}
		t := truth.Month(s.Area, p.Month)
		if math.IsNaN(base) {
			base, first = t, *p.LogIndex
		}
		off := *p.LogIndex - first - (t - base)
		m.Points = append(m.Points, truthPoint{p.Month, p.N, 100 * math.Exp(t-base), 100 * math.Exp(*p.LogIndex-first), p.SE})
		if len(m.Points) == 1 {
			continue // The base is 100 in both.
		}
		m.Months++
		squares += float64(off * off)
		if p.SE == nil || *p.SE <= 0 {
			continue
		}
		errors++
		z += float64(off * off / (*p.SE * *p.SE))
		if math.Abs(off) <= 1.96**p.SE {
			m.Inside++
		}
	}
	m.RMS = math.Sqrt(squares / float64(max(m.Months, 1)))
	if errors > 0 {
		m.RMSZ = math.Sqrt(z / float64(errors))
	}
	return m
}

func (r truthReport) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s, new lettings, truth from %s\t\nmethod\tmonths\tin 95 %%\trms error\tin s.e.\t\n", r.Area, r.Start)
	for _, m := range r.Methods {
		inside, z := "–", "–"
		if m.RMSZ > 0 {
			inside, z = fmt.Sprintf("%d", m.Inside), fmt.Sprintf("%.2f", m.RMSZ)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%.2f %%\t%s\t\n", m.Method, m.Months, inside, 100*m.RMS, z)
	}
	fmt.Fprintf(t, "\nmonth\tn\ttruth\t%s\ts.e. %%\t\n", r.Methods[0].Method)
	for _, p := range r.Methods[0].Points {
		se := "–"
		if p.SE != nil {
			se = fmt.Sprintf("%.2f", 100**p.SE)
		}
		fmt.Fprintf(t, "%s\t%d\t%.2f\t%.2f\t%s\t\n", p.Month, p.N, p.Truth, p.Index, se)
	}
	return t.Flush()
}
