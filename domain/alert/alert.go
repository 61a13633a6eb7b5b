// Package alert decides warnings (预警): when a figure of an area or an operator passes a threshold, when it comes back,
// what a regulator found, and the composite health score. It judges figures given to it and reads no view; the process of
// warnings (projections/process/warnings) gives them, day by day.
//
// An alert is one indicator of one subject: one stream, named by both. Its events carry their evidence, so the log is
// read without computing anything again; and whoever holds the log can, from the position each evidence names.
//
// Thresholds, weights, band scores, the tests' parameters and the blow-up watch are data with dates (indicators.json ships
// defaults; a city profile may have its own). Values and thresholds are in ten-thousandths of the indicator's unit: 1000
// is 10 %, or 0.1 months. Every empty, short or wild input has an answer with a reason, never NaN.
//
// # Decisions
//
// The decider itself compares with the level before, so hysteresis depends on the log alone. It changes a level at most
// once a day, and never for a day before its last change: a day that is evaluated again, after a crash, by another
// process, with later data, does not raise the same alert twice.
//
// Shares of one operator's own tenants, owners and homes are judged from five on, not thirty: all of them are counted, none
// is sampled, and most operators of a city are small. The blow-up watch wants two such signs at once.
//
// A figure that is not judged (too few observations, no base, too noisy) leaves its alert as it stands.
package alert

import (
	"fmt"
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

var levels = [...]string{"NONE", "BLUE", "YELLOW", "ORANGE", "RED"}

// String is the level's name in upper case.
func (l Level) String() string {
	if l < None || l > Red {
		return fmt.Sprintf("LEVEL(%d)", int(l))
	}
	return levels[l]
}

// MarshalText writes the name.
func (l Level) MarshalText() ([]byte, error) {
	if l < None || l > Red {
		return nil, fmt.Errorf("alert: no %s", l)
	}
	return []byte(l.String()), nil
}

// UnmarshalText reads the name.
func (l *Level) UnmarshalText(text []byte) error {
	n := slices.Index(levels[:], string(text))
	if n < 0 {
		return fmt.Errorf("alert: no level %q", text)
	}
	*l = Level(n)
	return nil
}

// Why a figure was not judged.
const (
	NoBase   = "NO_BASE"          // The denominator is zero.
	TooFew   = "TOO_FEW"          // Fewer observations than the minimum.
	TooNoisy = "TOO_NOISY"        // Its standard error is too large to tell the first threshold from the norm.
	NoCurve  = "SERIES_TOO_SHORT" // Fewer known months than needed.
	Flat     = "NO_SPREAD"        // The history does not vary, so no distance can be measured.
	Withheld = "WITHHELD"         // The figure may not be shown, or the data do not determine it.
)

// valueMax bounds values and thresholds, so that differences cannot overflow.
const valueMax = 1 << 40

// Figure is a value Num/Den in the indicator's unit, from N observations.
type Figure struct {
	Num int64 `json:"num"`
	Den int64 `json:"den"`
	N   int64 `json:"n"`
	SE  int64 `json:"se,omitempty"` // Standard error in ten-thousandths; 0 = a count, not an estimate.
}

// sure is how many standard errors, in hundredths, the first threshold must lie from the norm.
const sure = 196

// Judge gives the level of a figure when the level before was prev. With a reason, nothing was judged and prev stands.
func (b Book) Judge(i Indicator, f Figure, prev Level) (level Level, reason string) {
	return judge(b.ClearPercent, i, f, prev)
}

func judge(clearPercent int64, i Indicator, f Figure, prev Level) (level Level, reason string) {
	if i.Clear > 0 {
		clearPercent = i.Clear
	}
	switch {
	case f.N < i.MinN:
		return prev, TooFew
	case f.Den == 0:
		return prev, NoBase
	case f.SE > 0 && f.SE > i.first()*100/sure:
		return prev, TooNoisy
	}
	raw := None
	for l := Blue; l <= Red; l++ {
		if i.Up != nil && f.cmp(i.Up[l-1]*100) >= 0 || i.Down != nil && f.cmp(i.Down[l-1]*100) < 0 {
			raw = l
		}
	}
	for l := prev; l > raw; l-- { // Comes down only past the clearing point.
		if i.Up != nil && f.cmp(clears(clearPercent, i.Norm, i.Up[l-1])) > 0 || i.Down != nil && f.cmp(clears(clearPercent, i.Norm, i.Down[l-1])) < 0 {
			return l, ""
		}
	}
	return raw, ""
}

// first is the distance of the nearest threshold from the norm.
func (i Indicator) first() int64 {
	d := int64(valueMax)
	if i.Up != nil {
		d = min(d, i.Up[0]-i.Norm)
	}
	if i.Down != nil {
		d = min(d, i.Norm-i.Down[0])
	}
	return d
}

// clears is where a trigger clears, in millionths.
func clears(percent, norm, trigger int64) int64 { return norm*100 + (trigger-norm)*percent }

// cmp compares the figure with a number of millionths, exactly.
func (f Figure) cmp(millionths int64) int {
	value := new(big.Int).Mul(big.NewInt(f.Num), big.NewInt(1_000_000))
	limit := new(big.Int).Mul(big.NewInt(f.Den), big.NewInt(millionths))
	return value.Cmp(limit) * big.NewInt(f.Den).Sign()
}

// Value is the figure in ten-thousandths, towards zero, at most 2^40 either way; 0 without a denominator.
func (f Figure) Value() int64 {
	if f.Den == 0 {
		return 0
	}
	v := new(big.Int).Mul(big.NewInt(f.Num), big.NewInt(10_000))
	v.Quo(v, big.NewInt(f.Den))
	if !v.IsInt64() {
		return int64(v.Sign()) * valueMax
	}
	return max(-valueMax, min(valueMax, v.Int64()))
}

// Part is one dimension's part of a health score.
type Part struct {
	Dimension string  `json:"dimension"`
	Weight    int64   `json:"weight"`
	Score     int64   `json:"score"` // Mean band score of its indicators, in hundredths of a point.
	Inputs    []Input `json:"inputs"`
}

// Input is one judged indicator of a score.
type Input struct {
	Indicator string `json:"indicator"`
	Level     Level  `json:"level"`
	Score     int64  `json:"score"` // Of its band, 0–100.
}

// Health is the composite score in hundredths of a point, 0–10000: each dimension is the mean band score of its judged
// indicators, weighed. Dimensions without a judged indicator are left out, named in missing, and the other weights are
// scaled up. ok is false when nothing was judged.
func (b Book) Health(levels map[string]Level) (score int64, parts []Part, missing []string, ok bool) {
	by := map[string]*Part{}
	for _, i := range b.Indicators {
		l, judged := levels[i.ID]
		if !judged || i.Unscored {
			continue
		}
		p := by[i.Dimension]
		if p == nil {
			p = &Part{Dimension: i.Dimension, Weight: b.Weights[i.Dimension]}
			by[i.Dimension] = p
		}
		p.Inputs = append(p.Inputs, Input{Indicator: i.ID, Level: l, Score: b.BandScores[l]})
	}
	total, weight := new(big.Rat), int64(0)
	for _, dimension := range b.Dimensions() {
		p := by[dimension]
		if p == nil {
			missing = append(missing, dimension)
			continue
		}
		sum, n := int64(0), int64(len(p.Inputs))
		for _, in := range p.Inputs {
			sum += in.Score
		}
		p.Score = sum * 100 / n
		weight += p.Weight
		total.Add(total, big.NewRat(sum*p.Weight*100, n))
		parts = append(parts, *p)
	}
	if weight == 0 {
		return 0, nil, missing, false
	}
	total.Quo(total, big.NewRat(weight, 1))
	return new(big.Int).Quo(total.Num(), total.Denom()).Int64(), parts, missing, true
}

// Dimensions are those that are weighed, in the order of the indicators.
func (b Book) Dimensions() (out []string) {
	for _, i := range b.Indicators {
		if !slices.Contains(out, i.Dimension) {
			out = append(out, i.Dimension)
		}
	}
	return out
}
