package domain

import (
	"math"
	"math/bits"
)

// Fen is money in 分, a hundredth of a yuan. All amounts are CNY.
type Fen int64

// FenMax caps every single amount and balance: 10^13 fen is 100 billion yuan (trust.md M10).
const FenMax Fen = 10_000_000_000_000

// ErrAmount means an amount or the result of a computation leaves ±FenMax.
var ErrAmount = Reject("money.out_of_range", "an amount is negative or above the limit")

// Add is a+b, refused outside ±FenMax.
func (a Fen) Add(b Fen) (Fen, error) {
	if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) || a+b > FenMax || a+b < -FenMax {
		return 0, ErrAmount
	}
	return a + b, nil
}

// Times is a×n for n ≥ 0, refused outside ±FenMax.
func (a Fen) Times(n int64) (Fen, error) {
	abs := a
	if abs < 0 {
		abs = -abs
	}
	hi, lo := bits.Mul64(uint64(abs), uint64(n))
	if n < 0 || abs < 0 || hi != 0 || lo > uint64(FenMax) {
		return 0, ErrAmount
	}
	return a * Fen(n), nil
}

// Split divides total ≥ 0 into n ≥ 1 parts of floor(total/n); the last takes the remainder, so the sum is total.
func (total Fen) Split(n int) []Fen {
	parts := make([]Fen, n)
	base := total / Fen(n)
	for i := range parts {
		parts[i] = base
	}
	parts[n-1] = total - base*Fen(n-1)
	return parts
}

// MulDiv is a×num/den for den > 0 and 0 ≤ num, rounded half up (towards +∞ at a tie), computed without overflow of
// the product. It is the one place money is ever rounded.
func (a Fen) MulDiv(num, den int64) (Fen, error) {
	neg := a < 0
	abs := uint64(a)
	if neg {
		abs = uint64(-a)
	}
	if num < 0 || den <= 0 {
		return 0, ErrAmount
	}
	hi, lo := bits.Mul64(abs, uint64(num))
	if hi >= uint64(den) {
		return 0, ErrAmount
	}
	q, rem := bits.Div64(hi, lo, uint64(den))
	if twice := rem * 2; twice > uint64(den) || (twice == uint64(den) && !neg) {
		q++
	}
	if q > uint64(FenMax) {
		return 0, ErrAmount
	}
	if neg {
		return -Fen(q), nil
	}
	return Fen(q), nil
}
