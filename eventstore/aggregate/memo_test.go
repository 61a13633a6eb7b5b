package aggregate_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"zujian/domain"
	. "zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
)

// painted counts how often it is decoded, and can't be read back in one colour.
type painted struct{ Colour string }

var paintedDecoded atomic.Int64

func (painted) EventType() string { return "lamp.painted" }
func (painted) isEvent()          {}

func (p *painted) UnmarshalJSON(b []byte) error {
	paintedDecoded.Add(1)
	if strings.Contains(string(b), "invisible") {
		return errors.New("nobody sees it")
	}
	type plain painted
	return json.Unmarshal(b, (*plain)(p))
}

type paint struct{ Colour string }

func (paint) isCommand() {}

var painter = domain.Decider[string, command, event]{
	Category: "lamp",
	Decide: func(_ string, r domain.Request[command]) ([]event, error) {
		return []event{painted{r.Command.(paint).Colour}}, nil
	},
	Evolve: func(_ string, e event) string { return e.(painted).Colour },
}

func TestMemoDecodesWhatIsWrittenOnce(t *testing.T) {
	plain := domain.NewCatalogue([]domain.Type{domain.Stored[painted]()})
	memo := NewMemo(64)
	store := &memory.Store{}
	r := Runner{Store: store, Catalogue: plain.WithMemo(memo)}
	paintedDecoded.Store(0)
	if _, err := Execute(t.Context(), r, painter, "1", ask("c1", paint{"red"}), Options{}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if s, _, err := Load(t.Context(), r, painter, "1"); err != nil || s != "red" {
			t.Fatalf("Load = %q, %v", s, err)
		}
	}
	if n := paintedDecoded.Load(); n != 1 {
		t.Errorf("decoded %d times, not once", n)
	}
	if err := memo.Check(plain); err != nil {
		t.Error(err)
	}
	r.Catalogue = plain
	if _, _, err := Load(t.Context(), r, painter, "1"); err != nil || paintedDecoded.Load() < 2 {
		t.Errorf("the catalogue without memo has one: %v", err)
	}
}

func TestExecuteWritesNothingThatCannotBeReadBack(t *testing.T) {
	store := &memory.Store{}
	r := Runner{Store: store, Catalogue: domain.NewCatalogue([]domain.Type{domain.Stored[painted]()}).WithMemo(NewMemo(64))}
	if _, err := Execute(t.Context(), r, painter, "1", ask("c1", paint{"invisible"}), Options{}); err == nil {
		t.Error("written")
	}
	if head, err := store.Head(t.Context()); err != nil || head.Events != 0 {
		t.Errorf("%d events, %v", head.Events, err)
	}
}

func TestMemoFindsOnlyTheSameEvent(t *testing.T) {
	m := NewMemo(4) // Every event falls on the same place, which has room for four.
	red, blue := []byte(`{"Colour":"red"}`), []byte(`{"Colour":"blue"}`)
	m.Keep("lamp.painted", 1, red, painted{"red"})
	find := func(name string, version int, data []byte) string {
		if e, ok := m.Find(name, version, data); ok {
			return e.(painted).Colour
		}
		return ""
	}
	for _, c := range []struct {
		name    string
		version int
		data    []byte
		want    string
	}{{"lamp.painted", 1, red, "red"}, {"lamp.painted", 2, red, ""}, {"lamp.added", 1, red, ""}, {"lamp.painted", 1, blue, ""}} {
		if got := find(c.name, c.version, c.data); got != c.want {
			t.Errorf("%s version %d %s: %q, want %q", c.name, c.version, c.data, got, c.want)
		}
	}
	for _, colour := range []string{"green", "grey", "blue"} {
		m.Keep("lamp.painted", 1, []byte(`{"Colour":"`+colour+`"}`), painted{colour})
	}
	if find("lamp.painted", 1, red) != "red" || find("lamp.painted", 1, blue) != "blue" {
		t.Error("four events do not stand side by side")
	}
	m.Keep("lamp.painted", 1, []byte(`{"Colour":"white"}`), painted{"white"})
	if find("lamp.painted", 1, red) != "" || find("lamp.painted", 1, blue) != "blue" {
		t.Error("the oldest event was not forgotten for a newer")
	}
	long := []byte(`"` + strings.Repeat("x", 20_000) + `"`)
	if m.Keep("lamp.painted", 1, long, painted{}); find("lamp.painted", 1, blue) != "blue" {
		t.Error("a long event was kept")
	}
}

// TestMemoKeepsTextsThatComeAgain gives a memo many more texts than it has places, by several goroutines at once, and three
// that come between each two of them.
func TestMemoKeepsTextsThatComeAgain(t *testing.T) {
	m := NewMemo(4)
	often := []string{"RESIDENTIAL", "租赁", "", strings.Repeat("x", 20_000)}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				for _, want := range append(often, strconv.Itoa(g)+"/"+strconv.Itoa(i)) {
					if got := m.Text([]byte(want)); got != want {
						t.Errorf("%q is given as %q", want, got)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	for _, text := range often[:2] {
		b := []byte(text)
		m.Text(b)
		m.Text(b)
		if n := testing.AllocsPerRun(10, func() { m.Text(b) }); n != 0 {
			t.Errorf("%q was made anew", text)
		}
	}
	b := []byte("RESIDENTIAL")
	kept := m.Text(b)
	b[0] = '?'
	if kept != "RESIDENTIAL" {
		t.Error("a text is part of what it was read from")
	}
}

func TestMemoCheckTellsWhoWasChanged(t *testing.T) {
	types := domain.NewCatalogue([]domain.Type{domain.Stored[painted]()})
	m := NewMemo(4)
	m.Keep("lamp.painted", 1, []byte(`{"Colour":"red"}`), painted{"blue"})
	if err := m.Check(types); err == nil {
		t.Error("a changed event passed")
	}
}

// TestMemoTellsApartWhatBeginsAlike keeps more long events than have room together, which differ in their last byte alone.
func TestMemoTellsApartWhatBeginsAlike(t *testing.T) {
	memo := NewMemo(64)
	long := strings.Repeat("red", 1000)
	found := 0
	for n := range 16 {
		memo.Keep("lamp.painted", 1, []byte(long+strconv.Itoa(n)), painted{strconv.Itoa(n)})
	}
	for n := range 16 {
		if e, ok := memo.Find("lamp.painted", 1, []byte(long+strconv.Itoa(n))); ok {
			found++
			if e != (painted{strconv.Itoa(n)}) {
				t.Errorf("%d is found as %v", n, e)
			}
		}
	}
	if _, ok := memo.Find("lamp.painted", 1, []byte(long)); ok || found == 0 {
		t.Errorf("%d are found, and one that was never kept: %t", found, ok)
	}
}
