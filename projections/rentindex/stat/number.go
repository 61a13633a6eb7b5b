package stat

import "math"

// FracBits is the number of binary places kept of every log rent and numeric regressor.
const FracBits = 32

// Quantise puts x on the grid of multiples of 2⁻³², halves to even. ok is false when x is NaN or outside ±2³¹.
func Quantise(x float64) (q int64, ok bool) {
	scaled := math.RoundToEven(x * (1 << FracBits)) // A power of two: exact.
	if !(scaled > -(1<<63) && scaled < 1<<63) {
		return 0, false
	}
	return int64(scaled), true
}

// Constants of the FreeBSD library's e_log.c and e_exp.c (Sun Microsystems, freely distributable).
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
	log2e = 1.44269504088896338700e+00

	l1 = 6.666666666666735130e-01
	l2 = 3.999999999940941908e-01
	l3 = 2.857142874366239149e-01
	l4 = 2.222219843214978396e-01
	l5 = 1.818357216161805012e-01
	l6 = 1.531383769920937332e-01
	l7 = 1.479819860511658591e-01

	p1 = 1.66666666666666657415e-01
	p2 = -2.77777777770155933842e-03
	p3 = 6.61375632143793436117e-05
	p4 = -1.65339022054652515390e-06
	p5 = 4.13813679705723846039e-08
)

// Log is the natural logarithm, within one unit in the last place and with the same bits on every machine. It is
// defined for finite x > 0; ok is false otherwise.
func Log(x float64) (y float64, ok bool) {
	if !(x > 0 && x <= math.MaxFloat64) {
		return 0, false
	}
	f1, ki := math.Frexp(x)
	if f1 < math.Sqrt2/2 {
		f1 *= 2
		ki--
	}
	f, k := f1-1, float64(ki)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	a := l5 + float64(s4*l7)
	a = l3 + float64(s4*a)
	a = l1 + float64(s4*a)
	b := l4 + float64(s4*l6)
	b = l2 + float64(s4*b)
	r := float64(s2*a) + float64(s4*b)
	hfsq := float64(float64(0.5*f) * f)
	tail := float64(s*(hfsq+r)) + float64(k*ln2Lo)
	return float64(k*ln2Hi) - ((hfsq - tail) - f), true
}

// Exp is e to the x, within one unit in the last place and with the same bits on every machine. ok is false when the
// result is not a finite number.
func Exp(x float64) (y float64, ok bool) {
	switch {
	case x != x || x > 7.09782712893383973096e+02:
		return 0, false
	case x < -7.45133219101941108420e+02:
		return 0, true
	}
	half := 0.5
	if x < 0 {
		half = -0.5
	}
	k := int(float64(log2e*x) + half)
	hi := x - float64(float64(k)*ln2Hi)
	lo := float64(float64(k) * ln2Lo)
	r := hi - lo
	t := float64(r * r)
	c := p4 + float64(t*p5)
	c = p3 + float64(t*c)
	c = p2 + float64(t*c)
	c = p1 + float64(t*c)
	c = r - float64(t*c)
	y = 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return math.Ldexp(y, k), true
}
