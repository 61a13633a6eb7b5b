package guidance

import (
	"math"
	"testing"

	"zujian/domain"
)

// TestWeightsAreExact: a rent counts half at its half-life, exactly, and at every age what the power says.
func TestWeightsAreExact(t *testing.T) {
	for age, want := range []int64{1048576, 934175, 832255, 741455, 660561, 588493, 524288, 467088, 416128, 370728, 330281, 294247} {
		if got := weight(int64(age), 6); got != want {
			t.Errorf("age %d: got %d, want %d", age, got, want)
		}
	}
	for _, halfLife := range []int64{1, 7, 12, 120} {
		for age := range int64(120) {
			want := max(1, math.Round(math.Exp2(20-float64(age)/float64(halfLife))))
			if got := weight(age, halfLife); math.Abs(float64(got)-want) > 0 {
				t.Errorf("half-life %d, age %d: got %d, want %v", halfLife, age, got, want)
			}
		}
	}
}

// TestFencesAreInclusive: a rent at the fence is in.
func TestFencesAreInclusive(t *testing.T) {
	for _, c := range []struct{ low, high, pct, least, greatest int64 }{
		{3000, 3000, 150, 3000, 3000},
		{3000, 4000, 0, 3000, 4000},
		{1000, 4000, 100, 250, 16000},
		{1000, 4000, 150, 125, 32000},
		{1, int64(domain.FenMax), 1000, 1, int64(domain.FenMax)},
		{1, 1, 1000, 1, 1},
	} {
		if least, greatest := fences(c.low, c.high, c.pct); least != c.least || greatest != c.greatest {
			t.Errorf("%+v: got %d to %d", c, least, greatest)
		}
	}
}
