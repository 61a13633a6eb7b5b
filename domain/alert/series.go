package alert

import (
	"math"
	"slices"
)

// Month is one value of a monthly series; an unknown month is a gap, not a zero.
type Month struct {
	Value int64
	Known bool
}

// Parameters of the two tests on monthly series (index method, §6).
const (
	window  = 24  // Months of history.
	minimum = 12  // Known months below which nothing is said.
	outlier = 3.5 // |z| from which a month is an outlier.
	slack   = 0.5 // CUSUM k, in deviations.
	limit   = 5.0 // CUSUM h, in deviations.
	normal  = 1.4826
)

// centre is the median and the scaled MAD of the known values.
func centre(months []Month) (median, spread float64, reason string) {
	var values []float64
	for _, m := range months {
		if m.Known {
			values = append(values, float64(m.Value))
		}
	}
	if len(values) < minimum {
		return 0, 0, NoCurve
	}
	median = middle(values)
	for i, v := range values {
		values[i] = math.Abs(v - median)
	}
	if spread = normal * middle(values); spread == 0 {
		return median, 0, Flat
	}
	return median, spread, ""
}

// middle sorts values and gives their median.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return values[(n-1)/2]/2 + values[n/2]/2
}

// Outlier is the robust z of the last month against the 24 months before it, and whether |z| ≥ 3.5.
func Outlier(series []Month) (z float64, out bool, reason string) {
	if len(series) == 0 || !series[len(series)-1].Known {
		return 0, false, NoCurve
	}
	last := len(series) - 1
	median, spread, reason := centre(series[max(0, last-window):last])
	if reason != "" {
		return 0, false, reason
	}
	z = (float64(series[last].Value) - median) / spread
	return z, math.Abs(z) >= outlier, ""
}

// Drift runs a two-sided CUSUM over the months after the first 24, which give centre and spread. It reports the index
// of the first month in which a sum passes h, with its direction (+1, −1), or at = −1. A gap leaves the sums as they are.
func Drift(series []Month) (at, direction int, reason string) {
	if len(series) <= window {
		return -1, 0, NoCurve
	}
	median, spread, reason := centre(series[:window])
	if reason != "" {
		return -1, 0, reason
	}
	var up, down float64
	for i, m := range series[window:] {
		if !m.Known {
			continue
		}
		z := (float64(m.Value) - median) / spread
		up, down = max(0, up+z-slack), max(0, down-z-slack)
		switch {
		case up > limit:
			return window + i, 1, ""
		case down > limit:
			return window + i, -1, ""
		}
	}
	return -1, 0, ""
}
