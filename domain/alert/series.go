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

// normal makes the median absolute deviation an estimate of the standard deviation of a normal distribution.
const normal = 1.4826

// centre is the median and the scaled MAD of the known values.
func (s Series) centre(months []Month) (median, spread float64, reason string) {
	var values []float64
	for _, m := range months {
		if m.Known {
			values = append(values, float64(m.Value))
		}
	}
	if len(values) < s.KnownMin {
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

// Outlier is the robust z of the last month against the window of months before it, as a figure in deviations.
func (s Series) Outlier(series []Month) (Figure, string) {
	if len(series) == 0 || !series[len(series)-1].Known {
		return Figure{}, NoCurve
	}
	last := len(series) - 1
	history := series[max(0, last-s.Window):last]
	median, spread, reason := s.centre(history)
	if reason != "" {
		return Figure{}, reason
	}
	return deviations((float64(series[last].Value)-median)/spread, history), ""
}

// Drift is where a two-sided CUSUM over the months after the first window stands: the larger of its sums, signed. That
// window gives centre and spread. A gap leaves the sums as they are.
func (s Series) Drift(series []Month) (Figure, string) {
	if len(series) <= s.Window {
		return Figure{}, NoCurve
	}
	median, spread, reason := s.centre(series[:s.Window])
	if reason != "" {
		return Figure{}, reason
	}
	var up, down float64
	slack := float64(s.Slack) / 10_000
	for _, m := range series[s.Window:] {
		if m.Known {
			z := (float64(m.Value) - median) / spread
			up, down = max(0, up+z-slack), max(0, down-z-slack)
		}
	}
	if down > up {
		up = -down
	}
	return deviations(up, series), ""
}

// deviations is a number of deviations from the known months.
func deviations(z float64, months []Month) Figure {
	f := Figure{Den: 10_000}
	for _, m := range months {
		if m.Known {
			f.N++
		}
	}
	f.Num = int64(math.Round(max(-valueMax, min(valueMax, z*10_000))))
	return f
}
