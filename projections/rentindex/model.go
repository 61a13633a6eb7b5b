package rentindex

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/projections/rentindex/stat"
)

// Model is the regression of one city or register, as data: what of an observation is regressed on, which rents are
// set aside, and when a figure may be seen. A change of it raises Version, which rebuilds the view beside the old.
type Model struct {
	Name              string     `json:"name"`
	Version           int        `json:"version"`     // 1 to 999.
	View              string     `json:"view"`        // Name of the view; "" = "rentindex".
	RentPer           string     `json:"rent_per"`    // "" = rents are of a month, "WEEK" = of a week. Others are converted.
	PerArea           bool       `json:"per_area"`    // y is the log of yuan per ㎡ rather than of the rent.
	AreaFactor        string     `json:"area_factor"` // What the reporting units' dummies are called in the city's model.
	Factors           []Factor   `json:"factors"`
	Gate              Gate       `json:"gate"`
	Disclosure        Disclosure `json:"disclosure"`
	ProvisionalMonths int        `json:"provisional_months"` // The last months are marked.
	Strata            []string   `json:"strata"`             // Factors whose levels cut an area into the strata of medians.
	MinStratum        int64      `json:"min_stratum"`        // Least contracts of a stratum in both months compared; 0 = 10.
	Window            int        `json:"window"`             // Months of the rolling window; 0 = 24.
	ReleaseDay        int        `json:"release_day"`        // Day of the following month a release is due; 0 = 15.
}

// Defaults of a model.
const (
	minStratumDefault = 10
	windowDefault     = 24
	releaseDayDefault = 15
)

// Factor is one characteristic of the model.
type Factor struct {
	Name string `json:"name"`
	// Field is let_mode, bedrooms, size_band, fitout, floor_band, age_band, metro_band, admin_code, or "factor:<name>" of
	// a legacy register.
	Field   string   `json:"field"`
	In      []string `json:"in,omitempty"`      // Levels counted; none = all. Others are set aside.
	Unknown string   `json:"unknown,omitempty"` // Level of an observation without one; "" sets it aside.
	Cap     int      `json:"cap,omitempty"`     // Bedrooms above count as this many.
}

// Gate is the range gate: what lies outside is set aside, counted and listed.
type Gate struct {
	Min float64 `json:"min,omitempty"` // Of the value y is the log of: currency per RentPer, and per ㎡ with PerArea.
	Max float64 `json:"max,omitempty"` // 0 = no bound.
	// LowBP and HighBP are shares, in basis points, of the city's observations of the twelve months up to the observation's,
	// taken in classes of 1/64 in logs (1.6 %). HighBP 0 = no such gate.
	LowBP  int   `json:"low_bp,omitempty"`
	HighBP int   `json:"high_bp,omitempty"`
	After  int64 `json:"after,omitempty"` // …once there are so many of them.
}

// Disclosure is the rule a figure must pass to be shown.
type Disclosure struct {
	Contracts int64 `json:"contracts"`          // At least.
	Lessors   int   `json:"lessors,omitempty"`  // At least so many distinct; 0 for a register without lessors.
	ShareBP   int64 `json:"share_bp,omitempty"` // No lessor has more, in basis points of contracts.
}

//go:embed models/*.json
var bundled embed.FS

// Bundled is the model shipped under a city's name.
func Bundled(name string) (Model, bool) {
	raw, err := bundled.ReadFile("models/" + name + ".json")
	if err != nil {
		return Model{}, false
	}
	m, err := ParseModel(raw)
	if err != nil {
		panic("rentindex: bundled model " + name + ": " + err.Error()) // A test parses each.
	}
	return m, true
}

// ParseModel reads a model and refuses one that could not be kept.
func ParseModel(raw []byte) (m Model, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("parse model: %w", err)
	}
	return m, m.check()
}

func (m Model) check() error {
	bad := func(field string) error { return fmt.Errorf("model %q: %s is missing or out of range", m.Name, field) }
	switch {
	case m.Name == "":
		return bad("name")
	case m.Version < 1 || m.Version > 999:
		return bad("version")
	case m.RentPer != "" && m.RentPer != domain.RentPerWeek:
		return bad("rent_per")
	case m.AreaFactor == "" || strings.Contains(m.AreaFactor, "="):
		return bad("area_factor")
	case m.Gate.Min < 0 || m.Gate.Max < 0 || m.Gate.LowBP < 0 || m.Gate.HighBP > 10000 || m.Gate.HighBP > 0 && m.Gate.LowBP >= m.Gate.HighBP:
		return bad("gate")
	case m.Window < 0 || m.Window == 1:
		return bad("window")
	case m.ReleaseDay < 0 || m.ReleaseDay > 28:
		return bad("release_day")
	case m.MinStratum < 0:
		return bad("min_stratum")
	case m.Disclosure.Contracts < 1 || m.Disclosure.Lessors < 0 || m.Disclosure.ShareBP < 0:
		return bad("disclosure")
	}
	seen := map[string]bool{m.AreaFactor: true}
	for _, f := range m.Factors {
		if f.Name == "" || strings.Contains(f.Name, "=") || seen[f.Name] {
			return bad("factors: name " + strconv.Quote(f.Name))
		}
		seen[f.Name] = true
		if _, ok := level(domain.Observation{}, f); !ok {
			return bad("factors: field " + strconv.Quote(f.Field))
		}
	}
	for _, name := range m.Strata {
		if !slices.ContainsFunc(m.Factors, func(f Factor) bool { return f.Name == name }) {
			return bad("strata: " + strconv.Quote(name) + " is no factor")
		}
	}
	return nil
}

// WindowMonths is the length of the rolling window.
func (m *Model) WindowMonths() int {
	if m.Window == 0 {
		return windowDefault
	}
	return m.Window
}

// stratum is the stratum of o within its area.
func (m *Model) stratum(o domain.Observation) string {
	var levels []string
	for _, f := range m.Factors {
		if slices.Contains(m.Strata, f.Name) {
			l, _ := level(o, f)
			levels = append(levels, url.PathEscape(l))
		}
	}
	return strings.Join(levels, "/")
}

// fen is the value y is the logarithm of, in hundredths of the currency, halves to even. What is not below 2⁵³ is at the
// bound: it is set aside or nobody's rent.
func (m *Model) fen(o domain.Observation) int64 {
	return int64(math.RoundToEven(min(float64(m.value(o)*100), 1<<53)))
}

// Why an observation is set aside, beside the exclusions of domain.Observation and "factor:<name>".
const (
	AsideMonth      = "NO_MONTH"
	AsideUnit       = "NO_REPORT_UNIT"
	AsideRent       = "NO_RENT"
	AsideArea       = "NO_AREA"
	AsideBounds     = "OUT_OF_BOUNDS"     // Gate.Min, Gate.Max.
	AsidePercentile = "OUT_OF_PERCENTILE" // Gate.LowBP, Gate.HighBP.
	AsideOpenEnd    = "OPEN_END"          // Left out of the stock only: the month it leaves is unknown.
)

// level is the factor's level in o; ok is false for a field there is not.
func level(o domain.Observation, f Factor) (l string, ok bool) {
	switch f.Field {
	case "let_mode":
		l = o.LetMode
	case "bedrooms":
		n := o.Bedrooms
		if f.Cap > 0 {
			n = min(n, f.Cap)
		}
		l = strconv.Itoa(n)
	case "size_band":
		l = o.SizeBand
	case "fitout":
		l = o.Fitout
	case "floor_band":
		l = o.FloorBand
	case "age_band":
		l = o.AgeBand
	case "metro_band":
		l = o.MetroBand
	case "admin_code":
		l = o.AdminCode
	default:
		name, legacy := strings.CutPrefix(f.Field, "factor:")
		if !legacy || name == "" {
			return "", false
		}
		for _, x := range o.Factors {
			if x.Name == name {
				l = x.Level
			}
		}
	}
	if l == "" {
		l = f.Unknown
	}
	return l, true
}

const levelBytesMax = 128 // With its factor's name a level stays a term.

// observe is the part of o the sums take, or why o is set aside. It is a pure function of o and the model.
func (m *Model) observe(o domain.Observation) (s stat.Observation, reason string) {
	switch {
	case o.Excluded != "":
		return s, o.Excluded
	case o.Month <= 0:
		return s, AsideMonth
	case o.ReportUnit == "" || len(o.ReportUnit) > levelBytesMax || len(o.Street) > levelBytesMax:
		return s, AsideUnit
	case o.RentFen <= 0:
		return s, AsideRent
	case m.PerArea && o.AreaC <= 0:
		return s, AsideArea
	}
	s.Levels = make([]string, 0, len(m.Factors))
	for _, f := range m.Factors {
		l, _ := level(o, f)
		if l == "" || len(l) > levelBytesMax || f.In != nil && !slices.Contains(f.In, l) {
			return s, "factor:" + f.Name
		}
		s.Levels = append(s.Levels, stat.Level(f.Name, l))
	}
	v := m.value(o)
	if v < m.Gate.Min || m.Gate.Max > 0 && v > m.Gate.Max {
		return s, AsideBounds
	}
	y, ok := stat.Log(v)
	if ok {
		s.Y, ok = stat.Quantise(y)
	}
	if !ok {
		return s, AsideRent
	}
	return s, ""
}

// value is what y is the logarithm of.
func (m *Model) value(o domain.Observation) float64 {
	const monthsPerWeek = 84.0 / 365 // 7 days of 365 in 12 months.
	v := float64(o.RentFen) / 100
	if m.PerArea {
		v = float64(o.RentFen) / float64(o.AreaC) // Fen per 0.01 ㎡ is yuan per ㎡.
	}
	switch {
	case o.RentPer == m.RentPer:
	case m.RentPer == domain.RentPerWeek:
		v = float64(v * monthsPerWeek)
	default:
		v /= monthsPerWeek
	}
	return v
}

// binOf is the class of y in the percentile gate: 1/64 in logs.
func binOf(y int64) int64 { return y >> (stat.FracBits - 6) }

// outside is whether bin lies beyond the percentiles of counts.
func (g Gate) outside(bin int64, counts map[int64]int64) bool {
	n, below, above := int64(0), int64(0), int64(0)
	for b, c := range counts { // Sums: the order does not matter.
		n += c
		if b < bin {
			below += c
		}
		if b > bin {
			above += c
		}
	}
	if n < g.After || n == 0 || n > math.MaxInt64/10000 {
		return false
	}
	return above*10000 >= n*int64(10000-g.LowBP) || below*10000 >= n*int64(g.HighBP)
}
