package projections_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/eventstore"
	. "zujian/projections"
)

// said is an effect in words: what a row adds in its areas, and beside them.
type said struct {
	Areas []string
	Marks map[string]string // rest → value
	Sums  []count
}

type count struct {
	each          bool
	cell, counter string
	n             int64
}

func (s said) effect() (e Effect) {
	e.Over(s.Areas)
	for rest, value := range s.Marks { // In any order.
		e.Mark(Key("own", rest), value)
	}
	for _, c := range s.Sums {
		if c.each {
			e.SumEach("s", c.cell, c.counter, c.n)
		} else {
			e.Sum(Key("alone", c.cell), c.counter, c.n)
		}
	}
	return e
}

// model is what must stand in the view of some rows.
func model(rows map[string]said) map[string]string {
	out, cells := map[string]string{}, map[string]Counters{}
	add := func(cell, counter string, n int64) {
		if cells[cell] == nil {
			cells[cell] = Counters{}
		}
		cells[cell][counter] += n
	}
	in := func(kind, area, rest string) string {
		if rest == "" {
			return Key(kind, area)
		}
		return Key(kind, area, rest)
	}
	for _, s := range rows {
		for rest, value := range s.Marks {
			out[Key("own", rest)] = value
		}
		for _, a := range s.Areas {
			for _, c := range s.Sums {
				if c.each {
					add(in("s", a, c.cell), c.counter, c.n)
				}
			}
		}
		for _, c := range s.Sums {
			if !c.each {
				add(Key("alone", c.cell), c.counter, c.n)
			}
		}
	}
	for cell, c := range cells {
		maps.DeleteFunc(c, func(_ string, n int64) bool { return n == 0 })
		if len(c) > 0 {
			out[cell] = encode(c)
		}
	}
	return out
}

func encode(c Counters) (text string) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		text += fmt.Sprintf(",%q:%d", name, c[name])
	}
	return "{" + text[1:] + "}"
}

// TestEffects: whatever rows change into, and whether each change is settled at once or with others, the view holds what
// the rows as they are add, and nothing else.
func TestEffects(t *testing.T) {
	word := rapid.SampledFrom([]string{"x", "y", "z"})
	rest := rapid.SampledFrom([]string{"", "p", "q"})
	rapid.Check(t, func(t *rapid.T) {
		var views Memory
		rows := map[string]said{}
		draw := func(id string) said {
			s := said{Areas: rapid.SliceOfDistinct(word, rapid.ID[string]).Draw(t, "areas"), Marks: map[string]string{}}
			for range rapid.IntRange(0, 3).Draw(t, "marks") {
				s.Marks[Key(word.Draw(t, "rest"), id)] = word.Draw(t, "value")
			}
			for range rapid.IntRange(0, 6).Draw(t, "sums") {
				s.Sums = append(s.Sums, count{rapid.Bool().Draw(t, "each"), rest.Draw(t, "cell"), word.Draw(t, "counter"), rapid.Int64Range(-1, 2).Draw(t, "n")})
			}
			return s
		}
		for batch := range rapid.IntRange(1, 6).Draw(t, "batches") {
			at := eventstore.Position(batch)
			err := views.Batch(t.Context(), "v", 1, at, at+1, func(v View) error {
				settling := Settling[said]{Effect: said.effect}
				for range rapid.IntRange(0, 5).Draw(t, "changes") {
					id := word.Draw(t, "row")
					after := draw(id)
					settling.Changed(id, rows[id], after)
					rows[id] = after
				}
				return settling.Settle(t.Context(), v)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		_ = views.Activate(t.Context(), "v", 1) // It can't fail.
		got := map[string]string{}
		_ = views.Read(t.Context(), "v", func(r Reader) error {
			for p := range r.Scan(t.Context(), "", "", false) {
				got[p.Key] = string(p.Value)
			}
			return nil
		})
		if d := cmp.Diff(got, model(rows)); d != "" {
			t.Fatal(d)
		}
	})
}

// TestSettlingMany settles as many rows as fill several blocks of memory, and then fewer with the same memory.
func TestSettlingMany(t *testing.T) {
	type numbered struct{ id, n int }
	effect := func(r numbered) (e Effect) {
		if r.id > 0 {
			e.Sum("sum", "n", int64(r.n))
			e.Sum(fmt.Sprintf("cell %04d", r.id), "n", int64(r.n))
			e.Mark(fmt.Sprintf("mark %04d", r.id), fmt.Sprint(r.n))
		}
		return e
	}
	for _, many := range []int{3000, 1, 200} {
		var views Memory
		sum, marks := int64(0), 0
		err := views.Batch(t.Context(), "v", 1, 0, 1, func(v View) error {
			s := Settling[numbered]{Effect: effect}
			for round := range 2 {
				for id := 1; id <= many; id++ {
					before := numbered{}
					if round > 0 {
						before = numbered{id, 1}
					}
					s.Changed(fmt.Sprint(id), before, numbered{id, 1 + round*id})
				}
			}
			if err := s.Settle(t.Context(), v); err != nil {
				return err
			}
			all, err := Get[Counters](t.Context(), v, "sum")
			sum = all["n"]
			for p := range v.Scan(t.Context(), "cell ", "cell!", false) {
				all, err := Get[Counters](t.Context(), v, p.Key)
				if sum -= all["n"]; err != nil {
					return err
				}
			}
			if sum != 0 {
				t.Errorf("%d rows: their cells together lack %d", many, sum)
			}
			sum = all["n"]
			for p := range v.Scan(t.Context(), "mark ", "mark!", false) {
				if marks++; p.Key != fmt.Sprintf("mark %04d", marks) || string(p.Value) != fmt.Sprint(1+marks) {
					t.Fatalf("%q is %q after %d", p.Key, p.Value, marks)
				}
			}
			return err
		})
		if want := int64(many) * int64(many+3) / 2; err != nil || sum != want || marks != many {
			t.Errorf("%d rows: sum %d, want %d, and %d marks, %v", many, sum, want, marks, err)
		}
	}
}
