package stat

import "math"

// cholesky is S = LL' with zero rows and columns where S is singular.
type cholesky struct {
	k, rank int
	l       []float64 // k×k, lower triangle by rows.
	dropped []bool
}

// factor decomposes the lower triangle s, column by column in order. A column whose pivot keeps no more than pivotMin
// of its diagonal is dropped: it is a combination of earlier ones, or never varies.
func factor(s []float64, k int) *cholesky {
	c := &cholesky{k: k, l: make([]float64, k*k), dropped: make([]bool, k)}
	for i := range k {
		row := c.l[i*k : i*k+i+1]
		for j := range i {
			if c.dropped[j] {
				continue
			}
			other := c.l[j*k : j*k+j+1]
			sum := s[i*k+j]
			for m := range j {
				sum -= float64(row[m] * other[m])
			}
			row[j] = sum / other[j]
		}
		pivot := s[i*k+i]
		for m := range i {
			pivot -= float64(row[m] * row[m])
		}
		if !(pivot > pivotMin*s[i*k+i]) {
			c.dropped[i] = true
			clear(row)
			continue
		}
		row[i] = math.Sqrt(pivot)
		c.rank++
	}
	return c
}

// forward solves Lz = b; a dropped column has z = 0.
func (c *cholesky) forward(b []float64) []float64 {
	z := make([]float64, c.k)
	for i := range c.k {
		if c.dropped[i] {
			continue
		}
		row := c.l[i*c.k : i*c.k+i+1]
		sum := b[i]
		for m := range i {
			sum -= float64(row[m] * z[m])
		}
		z[i] = sum / row[i]
	}
	return z
}

// backward solves L'x = z; a dropped column has x = 0.
func (c *cholesky) backward(z []float64) []float64 {
	x := make([]float64, c.k)
	for i := c.k - 1; i >= 0; i-- {
		if c.dropped[i] {
			continue
		}
		sum := z[i]
		for m := i + 1; m < c.k; m++ {
			sum -= float64(c.l[m*c.k+i] * x[m])
		}
		x[i] = sum / c.l[i*c.k+i]
	}
	return x
}
