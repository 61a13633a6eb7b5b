package whatif

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"

	"zujian/domain"
)

// Measures of the picture, in its own units.
const (
	pictureWide  = 720
	pictureHigh  = 200 // Of one chart.
	pictureLeft  = 84
	pictureRight = 16
	pictureTop   = 34
	pictureFoot  = 24
)

// SVG is a picture of the result: the city's index and the supervised money, each as it was and as it would have been.
// It holds figures only, and is the same for the same result.
func (r *Result) SVG() []byte {
	var b bytes.Buffer
	charts := r.charts()
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="sans-serif" font-size="11">`,
		pictureWide, len(charts)*pictureHigh, pictureWide, len(charts)*pictureHigh)
	fmt.Fprintf(&b, `<title>%s – %s</title><rect width="100%%" height="100%%" fill="#fff"/>`, r.From, r.To)
	for i, c := range charts {
		c.draw(&b, float64(i*pictureHigh))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// chart is two lines over the same places; a NaN is a gap.
type chart struct {
	title       string
	first, last string
	then, now   []float64
	format      func(float64) string
}

func (r *Result) charts() (out []chart) {
	if len(r.Index.Series) > 0 {
		s := r.Index.Series[0]
		c := chart{title: "租金指数（全市，新签） Rent index, city, new lettings", format: func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }}
		for _, p := range s.Points {
			c.then, c.now = append(c.then, orGap(p.Then)), append(c.now, orGap(p.Now))
			c.first, c.last = cmp.Or(c.first, p.Month.String()), p.Month.String()
		}
		out = append(out, c)
	}
	c := chart{title: "监管资金余额（万元，按计划） Supervised money as planned, 10,000 yuan", format: func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }}
	for _, d := range r.Escrow.Days {
		c.then, c.now = append(c.then, float64(d.ThenFen)/1e6), append(c.now, float64(d.NowFen)/1e6)
		c.first, c.last = cmp.Or(c.first, d.Day.String()), d.Day.String()
	}
	return append(out, c)
}

func orGap(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

func (c chart) draw(b *bytes.Buffer, top float64) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, line := range [][]float64{c.then, c.now} {
		for _, v := range line {
			if !math.IsNaN(v) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low > high {
		low, high = 0, 1
	}
	if high == low {
		high = low + 1
	}
	x := func(i int) float64 {
		return pictureLeft + float64(i)*(pictureWide-pictureLeft-pictureRight)/float64(max(len(c.then)-1, 1))
	}
	y := func(v float64) float64 {
		return top + pictureTop + (high-v)/(high-low)*(pictureHigh-pictureTop-pictureFoot)
	}
	fmt.Fprintf(b, `<text x="%d" y="%.0f" font-size="12">%s</text>`, pictureLeft, top+16, html.EscapeString(c.title))
	fmt.Fprintf(b, `<text x="%d" y="%.0f" text-anchor="end"><tspan fill="#666">━ 当时 then</tspan> <tspan fill="#c0392b">━ 模拟 now</tspan></text>`, pictureWide-pictureRight, top+16)
	for _, v := range []float64{low, high} {
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text><path d="M%d %.1fH%d" stroke="#ddd"/>`,
			pictureLeft-6, y(v)+4, c.format(v), pictureLeft, y(v), pictureWide-pictureRight)
	}
	fmt.Fprintf(b, `<text x="%d" y="%.0f">%s</text><text x="%d" y="%.0f" text-anchor="end">%s</text>`,
		pictureLeft, top+pictureHigh-8, c.first, pictureWide-pictureRight, top+pictureHigh-8, c.last)
	for _, line := range []struct {
		values []float64
		colour string
	}{{c.then, "#666"}, {c.now, "#c0392b"}} {
		var path strings.Builder
		pen := "M"
		for i, v := range line.values {
			if math.IsNaN(v) {
				pen = "M"
				continue
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", pen, x(i), y(v))
			pen = "L"
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, path.String(), line.colour)
	}
}

// CSV lists the cases, one a line.
func (r *Result) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"stream", "position", "day", "kind", "effect", "rules", "party", "party_kind", "operator", "report_unit", "rent_fen", "cap_fen"}}
	for _, c := range r.Cases {
		rows = append(rows, []string{
			c.Stream, strconv.FormatUint(c.Position, 10), c.Day.String(), c.Kind, string(c.Effect), strings.Join(c.Rules, " "), c.Party,
			c.PartyKind, c.Operator, c.ReportUnit, fenText(c.RentFen), fenText(c.CapFen),
		})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("write cases: %w", err)
	}
	return b.Bytes(), nil
}

func fenText(f domain.Fen) string {
	if f == 0 {
		return ""
	}
	return strconv.FormatInt(int64(f), 10)
}
