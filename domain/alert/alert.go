// Package alert judges market indicators 监测指标: levels with hysteresis, outliers of a monthly series, the composite
// health score and the blow-up watch 爆雷 over one operator. It is arithmetic on figures given to it: it keeps no events
// and reads no view. Every empty or short input has an answer with a reason, never NaN.
//
// Thresholds, weights and band scores are data (indicators.json ships defaults; a city gives its own to [Parse]).
// Values and thresholds are in ten-thousandths of the indicator's unit: 1000 is 10 %, or 0.1 months.
package alert

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// Level is how far an indicator is from its norm.
type Level int

// Levels, mildest first.
const (
	None Level = iota
	Blue       // watch
	Yellow
	Orange
	Red
)

// String is the level's name in upper case.
func (l Level) String() string { return [...]string{"NONE", "BLUE", "YELLOW", "ORANGE", "RED"}[l] }

// MarshalText writes the name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Indicator is one figure and what it is held against. Up thresholds are reached at or above, Down strictly below.
// A level clears when the value has come back to the clear percentage of the trigger's distance from Norm.
type Indicator struct {
	ID        string  `json:"id"`
	Dimension string  `json:"dimension"`
	Formula   string  `json:"formula"`
	Norm      int64   `json:"norm"`
	Up        []int64 `json:"up,omitempty"`   // Blue, yellow, orange, red; rising away from Norm.
	Down      []int64 `json:"down,omitempty"` // The same, falling.
	MinN      int64   `json:"min_n"`          // Below this many observations nothing is judged.
}

// Book is a city's indicators with their weights, one version.
type Book struct {
	Version      string           `json:"version"`
	ClearPercent int64            `json:"clear_percent"`
	BandScores   []int64          `json:"band_scores"` // Score 0–100 of none, blue, yellow, orange, red.
	Weights      map[string]int64 `json:"weights"`     // By dimension; they sum to 100.
	Indicators   []Indicator      `json:"indicators"`
}

//go:embed indicators.json
var shipped []byte

// Shipped is the default book.
func Shipped() (Book, error) { return Parse(shipped) }

// Parse reads a book strictly and checks that it can judge.
func Parse(data []byte) (Book, error) {
	var b Book
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return Book{}, fmt.Errorf("alert: indicators: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Book{}, errors.New("alert: indicators: more than one document")
	}
	return b, b.check()
}

func (b Book) check() error {
	if b.Version == "" || b.ClearPercent < 1 || b.ClearPercent > 100 || len(b.BandScores) != int(Red)+1 {
		return errors.New("alert: indicators: version, clear_percent 1–100 and five band_scores are needed")
	}
	for _, s := range b.BandScores {
		if s < 0 || s > 100 {
			return errors.New("alert: indicators: band_scores lie in 0–100")
		}
	}
	var sum int64
	for dimension, w := range b.Weights {
		if w < 0 || w > 100 {
			return fmt.Errorf("alert: indicators: weight of %s lies outside 0–100", dimension)
		}
		sum += w
	}
	if sum != 100 {
		return fmt.Errorf("alert: indicators: weights sum to %d, not 100", sum)
	}
	seen := map[string]bool{}
	for _, i := range b.Indicators {
		if _, ok := b.Weights[i.Dimension]; !ok || i.ID == "" || seen[i.ID] || i.MinN < 1 {
			return fmt.Errorf("alert: indicators: %q needs an id of its own, a weighed dimension and min_n ≥ 1", i.ID)
		}
		seen[i.ID] = true
		if len(i.Up)+len(i.Down) == 0 || !away(i.Norm, i.Up, 1) || !away(i.Norm, i.Down, -1) {
			return fmt.Errorf("alert: indicators: %s needs four thresholds moving away from its norm", i.ID)
		}
	}
	return nil
}

// away says that the thresholds are none or four, each farther from the norm than the one before. Bounded, so that
// differences cannot overflow.
func away(norm int64, thresholds []int64, sign int64) bool {
	const bound = 1 << 40
	if len(thresholds) != 0 && len(thresholds) != int(Red) || norm > bound || norm < -bound {
		return false
	}
	last := norm
	for _, t := range thresholds {
		if t > bound || t < -bound || (t-last)*sign <= 0 {
			return false
		}
		last = t
	}
	return true
}

// Indicator finds one by its id.
func (b Book) Indicator(id string) (Indicator, bool) {
	for _, i := range b.Indicators {
		if i.ID == id {
			return i, true
		}
	}
	return Indicator{}, false
}

// Why a figure was not judged.
const (
	NoBase  = "NO_BASE"          // The denominator is zero.
	TooFew  = "TOO_FEW"          // Fewer observations than the minimum.
	NoCurve = "SERIES_TOO_SHORT" // Fewer known months than needed.
	Flat    = "NO_SPREAD"        // The history does not vary, so no distance can be measured.
)

// Figure is a value Num/Den in the indicator's unit, from N observations.
type Figure struct{ Num, Den, N int64 }

// Judge gives the level of a figure when the level before was prev. With a reason, nothing was judged and prev stands.
func (b Book) Judge(i Indicator, f Figure, prev Level) (level Level, reason string) {
	switch {
	case f.N < i.MinN:
		return prev, TooFew
	case f.Den == 0:
		return prev, NoBase
	}
	raw := None
	for l := Blue; l <= Red; l++ {
		if i.Up != nil && f.cmp(i.Up[l-1]*100) >= 0 || i.Down != nil && f.cmp(i.Down[l-1]*100) < 0 {
			raw = l
		}
	}
	for l := prev; l > raw; l-- { // Comes down only past the clearing point.
		if i.Up != nil && f.cmp(b.clears(i.Norm, i.Up[l-1])) > 0 || i.Down != nil && f.cmp(b.clears(i.Norm, i.Down[l-1])) < 0 {
			return l, ""
		}
	}
	return raw, ""
}

// clears is where a trigger clears, in millionths.
func (b Book) clears(norm, trigger int64) int64 { return norm*100 + (trigger-norm)*b.ClearPercent }

// cmp compares the figure with a number of millionths, exactly.
func (f Figure) cmp(millionths int64) int {
	value := new(big.Int).Mul(big.NewInt(f.Num), big.NewInt(1_000_000))
	limit := new(big.Int).Mul(big.NewInt(f.Den), big.NewInt(millionths))
	return value.Cmp(limit) * big.NewInt(f.Den).Sign()
}

// Health is the composite score in hundredths of a point, 0–10000: each dimension is the mean band score of its judged
// indicators, weighed. Dimensions without a judged indicator are left out, named in missing, and the other weights are
// scaled up. ok is false when nothing was judged.
func (b Book) Health(levels map[string]Level) (score int64, missing []string, ok bool) {
	type tally struct{ sum, n int64 }
	tallies := map[string]tally{}
	for _, i := range b.Indicators {
		if l, judged := levels[i.ID]; judged {
			t := tallies[i.Dimension]
			tallies[i.Dimension] = tally{t.sum + b.BandScores[l], t.n + 1}
		}
	}
	total, weight := new(big.Rat), int64(0)
	for dimension, w := range b.Weights {
		t, judged := tallies[dimension]
		if !judged {
			missing = append(missing, dimension)
			continue
		}
		weight += w
		total.Add(total, big.NewRat(t.sum*w*100, t.n))
	}
	slices.Sort(missing)
	if weight == 0 {
		return 0, missing, false
	}
	total.Quo(total, big.NewRat(weight, 1))
	return new(big.Int).Quo(total.Num(), total.Denom()).Int64(), missing, true
}
