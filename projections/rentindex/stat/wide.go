package stat

import (
	"errors"
	"math/big"
	"math/bits"
)

// Wide is a 192-bit signed integer in two's complement, least significant word first. It holds the sum of 2⁶³
// products of two int64s, so sums of products of grid numbers never overflow. The zero Wide is 0; == compares values.
type Wide [3]uint64

// wideOf is v widened.
func wideOf(v int64) Wide {
	sign := uint64(v >> 63)
	return Wide{uint64(v), sign, sign}
}

// product is a·b, exactly.
func product(a, b int64) Wide {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	hi -= uint64(a>>63)&uint64(b) + uint64(b>>63)&uint64(a) // Mul64 is unsigned; this makes the high word signed.
	return Wide{lo, hi, uint64(int64(hi) >> 63)}
}

func (w Wide) plus(o Wide) Wide {
	var c uint64
	w[0], c = bits.Add64(w[0], o[0], 0)
	w[1], c = bits.Add64(w[1], o[1], c)
	w[2], _ = bits.Add64(w[2], o[2], c)
	return w
}

func (w Wide) minus(o Wide) Wide {
	var b uint64
	w[0], b = bits.Sub64(w[0], o[0], 0)
	w[1], b = bits.Sub64(w[1], o[1], b)
	w[2], _ = bits.Sub64(w[2], o[2], b)
	return w
}

// signed adds or subtracts o, by sign.
func (w Wide) signed(sign int64, o Wide) Wide {
	if sign < 0 {
		return w.minus(o)
	}
	return w.plus(o)
}

// Big is w as a big.Int, for the solve.
func (w Wide) Big() *big.Int {
	neg := int64(w[2]) < 0
	if neg {
		w = Wide{}.minus(w)
	}
	z := new(big.Int).SetUint64(w[2])
	z.Lsh(z, 64).Or(z, new(big.Int).SetUint64(w[1]))
	z.Lsh(z, 64).Or(z, new(big.Int).SetUint64(w[0]))
	if neg {
		z.Neg(z)
	}
	return z
}

// append writes w as a length byte and its shortest big-endian two's complement; 0 is the length byte alone.
func (w Wide) append(b []byte) []byte {
	if w == (Wide{}) {
		return append(b, 0)
	}
	if v := int64(w[0]); w == wideOf(v) {
		size := bits.Len64(uint64(v^v>>63))/8 + 1 // With its sign.
		b = append(b, byte(size))
		for at := 8 * (size - 1); at >= 0; at -= 8 {
			b = append(b, byte(v>>at))
		}
		return b
	}
	var raw [24]byte
	for i := range 24 {
		raw[i] = byte(w[2-i/8] >> (56 - 8*(i%8)))
	}
	start := 0
	for start < 23 && (raw[start] == 0 && raw[start+1] < 0x80 || raw[start] == 0xff && raw[start+1] >= 0x80) {
		start++
	}
	b = append(b, byte(24-start))
	return append(b, raw[start:]...)
}

var errWide = errors.New("stat: malformed wide integer")

// readWide reads what append wrote, and nothing else: a longer form of the same number is refused.
func readWide(b []byte) (w Wide, rest []byte, err error) {
	if len(b) == 0 || b[0] > 24 || len(b) < 1+int(b[0]) {
		return w, nil, errWide
	}
	n := int(b[0])
	body := b[1 : 1+n]
	if n > 0 && body[0] >= 0x80 {
		w = Wide{^uint64(0), ^uint64(0), ^uint64(0)}
	}
	for _, c := range body {
		w[2] = w[2]<<8 | w[1]>>56
		w[1] = w[1]<<8 | w[0]>>56
		w[0] = w[0]<<8 | uint64(c)
	}
	if n == 1 && body[0] == 0 || n > 1 && (body[0] == 0 && body[1] < 0x80 || body[0] == 0xff && body[1] >= 0x80) {
		return w, nil, errWide
	}
	return w, b[1+n:], nil
}
