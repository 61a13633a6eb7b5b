package stat_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"zujian/projections/rentindex/stat"
)

// observations draws from few levels, so that terms and pairs meet, and from the whole range of numbers.
func observations() *rapid.Generator[stat.Observation] {
	level := func(t *rapid.T, factor string) string {
		return stat.Level(factor, rapid.SampledFrom([]string{"", "1", "2", "甲", "a=b"}).Draw(t, factor))
	}
	return rapid.Custom(func(t *rapid.T) stat.Observation {
		o := stat.Observation{Y: rapid.Int64().Draw(t, "y")}
		for _, f := range []string{"area", "bed", "kind"} {
			if rapid.Bool().Draw(t, "has "+f) {
				o.Levels = append(o.Levels, level(t, f))
			}
		}
		for _, x := range []string{"age", "floor"} {
			if rapid.Bool().Draw(t, "has "+x) {
				o.Values = append(o.Values, stat.Value{Term: x, X: rapid.Int64().Draw(t, x)})
			}
		}
		return o
	})
}

func sum(t *rapid.T, all []stat.Observation) *stat.Cell {
	c := &stat.Cell{}
	for _, o := range all {
		if err := c.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func bits(c *stat.Cell) []byte { return c.Encode(nil) }

func TestLaws(t *testing.T) {
	t.Parallel()
	many := rapid.SliceOfN(observations(), 0, 24)
	check := func(name string, f func(*rapid.T, []stat.Observation)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { f(t, many.Draw(t, "observations")) })
		})
	}
	check("any order gives the same bits", func(t *rapid.T, all []stat.Observation) {
		other := rapid.Permutation(all).Draw(t, "order")
		if !bytes.Equal(bits(sum(t, all)), bits(sum(t, other))) {
			t.Fatal("bits differ")
		}
	})
	check("any shards merged in any order give the same bits", func(t *rapid.T, all []stat.Observation) {
		shards := make([]stat.Cell, 4)
		for _, o := range all {
			if err := shards[rapid.IntRange(0, 3).Draw(t, "shard")].Add(o); err != nil {
				t.Fatal(err)
			}
		}
		merged := &stat.Cell{}
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "order") {
			if err := merged.Merge(&shards[i]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(bits(merged), bits(sum(t, all))) {
			t.Fatal("bits differ")
		}
	})
	check("a removal undoes an addition", func(t *rapid.T, all []stat.Observation) {
		c := sum(t, all)
		before := bits(c)
		extra := many.Draw(t, "extra")
		for _, o := range extra {
			if err := c.Add(o); err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range rapid.Permutation(extra).Draw(t, "order") {
			if err := c.Remove(o); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(before, bits(c)) {
			t.Fatal("bits differ")
		}
	})
	check("a cell taken out undoes its merge", func(t *rapid.T, all []stat.Observation) {
		c, other := sum(t, all), sum(t, many.Draw(t, "other"))
		before, otherBits := bits(c), bits(other)
		if err := c.Merge(other); err != nil {
			t.Fatal(err)
		}
		if err := c.Unmerge(other); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, bits(c)) || !bytes.Equal(otherBits, bits(other)) {
			t.Fatal("bits differ")
		}
		if err := c.Unmerge(sum(t, append(all, stat.Observation{}))); !errors.Is(err, stat.ErrNotHeld) {
			t.Fatalf("more than all: %v", err)
		}
	})
	check("an encoding reads back to itself and goes on counting", func(t *rapid.T, all []stat.Observation) {
		at := rapid.IntRange(0, len(all)).Draw(t, "at")
		c, err := stat.Decode(bits(sum(t, all[:at])))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all[at:] {
			if err := c.Add(o); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(bits(c), bits(sum(t, all))) || !bytes.Equal(bits(c.Clone()), bits(c)) {
			t.Fatal("bits differ")
		}
	})
	check("a level given to a whole cell is one given to each observation", func(t *rapid.T, all []stat.Observation) {
		with, err := sum(t, all).WithLevel("unit=x")
		if err != nil {
			t.Fatal(err)
		}
		each := make([]stat.Observation, len(all))
		for i, o := range all {
			each[i] = o
			each[i].Levels = append([]string{"unit=x"}, o.Levels...)
		}
		if !bytes.Equal(bits(with), bits(sum(t, each))) {
			t.Fatal("bits differ")
		}
	})
	check("other content has other bits", func(t *rapid.T, all []stat.Observation) {
		c := sum(t, all)
		before := bits(c)
		if err := c.Add(observations().Draw(t, "one more")); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(before, bits(c)) {
			t.Fatal("same bits")
		}
	})
}

// TestSumsAreExact compares Σy and Σy² of extreme values with big integers.
func TestSumsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64})
		ys := rapid.SliceOfN(rapid.OneOf(rapid.Int64(), edge), 1, 30).Draw(t, "y")
		c, sy, syy := &stat.Cell{}, new(big.Int), new(big.Int)
		for _, y := range ys {
			if err := c.Add(stat.Observation{Y: y}); err != nil {
				t.Fatal(err)
			}
			sy.Add(sy, big.NewInt(y))
			syy.Add(syy, new(big.Int).Mul(big.NewInt(y), big.NewInt(y)))
		}
		gotY, gotYY := c.Sums()
		if gotY.Big().Cmp(sy) != 0 || gotYY.Big().Cmp(syy) != 0 {
			t.Fatalf("got %v and %v, want %v and %v", gotY.Big(), gotYY.Big(), sy, syy)
		}
	})
}

// TestFitIsOrderFree fits shuffled and sharded rows of the sample: the same bits to the last figure.
func TestFitIsOrderFree(t *testing.T) {
	t.Parallel()
	rows := lodgements(t, "testdata/nsw-bonds-sample.csv.gz")[:3000]
	want := fitBits(t, periods(t, rows, true))
	rapid.Check(t, func(rt *rapid.T) {
		cut := rapid.IntRange(0, len(rows)).Draw(rt, "cut")
		a, b := periods(t, rows[cut:], true), periods(t, rows[:cut], true)
		merged := map[string]*stat.Cell{}
		for _, p := range append(a, b...) {
			if merged[p.Name] == nil {
				merged[p.Name] = &stat.Cell{}
			}
			if err := merged[p.Name].Merge(p.Cell); err != nil {
				rt.Fatal(err)
			}
		}
		if got := fitBits(t, inOrder(merged)); got != want {
			rt.Fatalf("got %s\nwant %s", got, want)
		}
	})
}

func fitBits(t *testing.T, ps []stat.Period) (s string) {
	f, err := stat.TimeDummy(byAreaDwellingBed, ps)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Coefficients {
		s += c.Term + strconv.FormatUint(math.Float64bits(c.Estimate), 16) + " "
	}
	for _, p := range f.Points {
		s += p.Period + strconv.FormatUint(math.Float64bits(*p.Index), 16) + strconv.FormatUint(math.Float64bits(*p.SE), 16) + " "
	}
	return s
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := &stat.Cell{}
	good := stat.Observation{Y: 5, Levels: []string{"bed=1"}, Values: []stat.Value{{Term: "age", X: 7}}}
	if err := c.Add(good); err != nil {
		t.Fatal(err)
	}
	before := bits(c)
	for name, o := range map[string]stat.Observation{
		"a level without a factor": {Levels: []string{"=1"}},
		"no level at all":          {Levels: []string{"bed"}},
		"a term twice":             {Levels: []string{"bed=1", "bed=1"}},
		"a number twice":           {Values: []stat.Value{{Term: "age"}, {Term: "age"}}},
		"a number as a level":      {Levels: []string{"age"}},
		"an unnamed number":        {Values: []stat.Value{{}}},
	} {
		if err := c.Add(o); !errors.Is(err, stat.ErrTerm) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, o := range map[string]stat.Observation{
		"another rent":        {Y: 6, Levels: []string{"bed=1"}, Values: good.Values},
		"an unknown level":    {Y: 5, Levels: []string{"bed=2"}},
		"an unknown number":   {Y: 5, Values: []stat.Value{{Term: "floor"}}},
		"from an empty cell":  {},
		"levels never paired": {Y: 5, Levels: []string{"bed=1", "kind=x"}},
	} {
		if err := c.Remove(o); !errors.Is(err, stat.ErrNotHeld) {
			t.Errorf("remove %s: got %v", name, err)
		}
	}
	if !bytes.Equal(before, bits(c)) {
		t.Error("a refusal changed the cell")
	}
}

// TestDecodeRefusesOtherForms: of all that is a byte or two away from an encoding, only encodings are read.
func TestDecodeRefusesOtherForms(t *testing.T) {
	c := &stat.Cell{}
	for i := range int64(2) {
		if err := c.Add(stat.Observation{Y: i << 9, Levels: []string{"b=1", "a=2"}, Values: []stat.Value{{Term: "n", X: -i}}}); err != nil {
			t.Fatal(err)
		}
	}
	good := c.Encode(nil)
	check := func(b []byte) {
		if c, err := stat.Decode(b); err == nil && !bytes.Equal(c.Clone().Encode(nil), b) {
			t.Errorf("%x is read, and is not the encoding of what it holds", b)
		}
	}
	for at := range good {
		check(slices.Concat(good[:at], good[at+1:]))
		check(slices.Concat(good[:at], []byte{0}, good[min(at+2, len(good)):])) // A sum of 0.
		for v := range 256 {
			b := slices.Clone(good)
			b[at] = byte(v)
			check(b)
			check(slices.Insert(slices.Clone(good), at, byte(v)))
			if at+1 < len(good) { // A number in a longer form.
				b[at] = good[at] | 0x80
				check(slices.Insert(b, at+1, byte(v)))
			}
		}
	}
	if again, err := stat.Decode(good); err != nil || !bytes.Equal(again.Encode(nil), good) {
		t.Errorf("an encoding is refused: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	c := &stat.Cell{}
	for i := range int64(3) {
		_ = c.Add(stat.Observation{Y: i << 33, Levels: []string{"bed=1", "area=2"}, Values: []stat.Value{{Term: "age", X: -i}}})
	}
	f.Add(c.Encode(nil))
	f.Add((&stat.Cell{}).Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := stat.Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Encode(nil), b) {
			t.Fatal("another encoding of the same content was accepted")
		}
		_, _ = stat.TimeDummy(stat.Design{Factors: []string{"bed"}, Numerics: []string{"age"}}, []stat.Period{{Name: "1", Cell: c}})
	})
}
