package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"zujian/eventstore"
)

// Outside makes the n-th distinct event of a program that is no part of the product.
func Outside(n int) eventstore.NewEvent {
	e := Event(n)
	e.Meta = eventstore.Metadata{Outside: true, Raw: fmt.Sprintf(`{ "theirs": %d }`, n)}
	return e
}

// outsideEvents: whatever a foreign client may give comes back byte for byte, in the place of its own.
func outsideEvents(t *testing.T, s eventstore.Store) {
	everyByte := make([]byte, 512)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	es := []eventstore.NewEvent{Outside(0), Outside(1), Outside(2), Outside(3), Outside(4), Outside(5), Event(6)}
	es[0].Type, es[0].Data = "Their $Type", []byte(`{"$maxCount":1}`)
	es[1].Binary, es[1].Data, es[1].Meta.Raw = true, everyByte, string(everyByte)
	es[2].Data, es[2].Meta.Raw = nil, ""
	es[3].Binary, es[3].Data, es[3].Meta.Raw = true, nil, string(everyByte)
	es[4].Type, es[4].Data, es[4].Meta.Raw = strings.Repeat("类", eventstore.TypeBytesMax/3), everyByte, ""
	es[5].Meta.Raw = `{"schema":1,"actor":"someone"}`
	mustAppend(t, s, "$theirs-1", eventstore.NoStream, es...)
	long := strings.Repeat("s", eventstore.StreamBytesMax)
	mustAppend(t, s, long, eventstore.NoStream, es...)
	mustAppend(t, s, long[1:], eventstore.NoStream, Event(7)) // Lengths of more than a byte, too.
	got := CheckLog(t, s)
	if len(got) != 2*len(es)+1 {
		t.Fatalf("got %d events", len(got))
	}
	for i, e := range append(slices.Concat(es, es), Event(7)) {
		r := got[i].NewEvent
		if r.ID != e.ID || r.Type != e.Type || r.Binary != e.Binary || r.Meta != e.Meta || !bytes.Equal(r.Data, e.Data) {
			t.Errorf("event %d: got %+v, want %+v", i, r, e)
		}
	}
	again := mustAppend(t, s, "$theirs-1", eventstore.NoStream, es...)
	if again.Revision != 6 || again.Position != got[6].Position {
		t.Fatalf("the same again: got %+v", again)
	}
}

// outsideMany: the product's own limit of events in an append is not for others.
func outsideMany(t *testing.T, s eventstore.Store) {
	es := make([]eventstore.NewEvent, 0, eventstore.AppendMax+1)
	for n := range cap(es) {
		es = append(es, Outside(n))
	}
	mustAppend(t, s, "theirs", eventstore.NoStream, es...)
	es[7] = Event(7)
	if _, err := s.Append(t.Context(), "mixed", eventstore.NoStream, es...); !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("one of ours among them: got %v, want ErrInvalid", err)
	}
	if n := len(CheckLog(t, s)); n != len(es) {
		t.Fatalf("got %d events", n)
	}
}

func readBackwards(t *testing.T, s eventstore.Store) {
	for n := range 30 {
		mustAppend(t, s, "contract-1", eventstore.Revision(n*10-1), Events(n*20, n*20+10)...)
		mustAppend(t, s, fmt.Sprintf("contract-%d", 10+n%3), eventstore.AnyRevision, Events(n*20+10, n*20+13)...)
	}
	all := CheckLog(t, s)
	end := all[len(all)-1].Position
	for i := 0; i <= len(all); i += 7 {
		var upTo eventstore.Position
		if i > 0 {
			upTo = all[i-1].Position
		}
		if d := Diff(backwards(all[:i]), Collect(t, s.AllBack(t.Context(), upTo))); d != "" {
			t.Fatalf("all back from event %d (-want +got):\n%s", i-1, d)
		}
	}
	for _, upTo := range []eventstore.Position{end, end + 1, 1 << 62, eventstore.LastPosition} {
		if d := Diff(backwards(all), Collect(t, s.AllBack(t.Context(), upTo))); d != "" {
			t.Fatalf("all back from %d, the end is %d (-want +got):\n%s", upTo, end, d)
		}
	}
	whole := Collect(t, s.Stream(t.Context(), "contract-1", 0))
	for _, from := range []eventstore.Revision{-1, 0, 1, 150, 255, 256, 257, 298, 299, 300, 1000, eventstore.LastRevision} {
		want := backwards(whole[:max(min(int64(from), 299)+1, 0)])
		if d := Diff(want, Collect(t, s.StreamBack(t.Context(), "contract-1", from))); d != "" {
			t.Fatalf("contract-1 back from %d (-want +got):\n%s", from, d)
		}
	}
	for n, stop := range []int{1, 2, 290} {
		got := 0
		for range s.StreamBack(t.Context(), "contract-1", eventstore.LastRevision) {
			if got++; got == stop {
				break
			}
		}
		if got != stop {
			t.Fatalf("stop %d: got %d events", n, got)
		}
	}
	if got := Collect(t, s.StreamBack(t.Context(), "contract-2", eventstore.LastRevision)); len(got) != 0 {
		t.Fatalf("a missing stream: got %v", got)
	}
}

func backwards(rs []eventstore.Recorded) []eventstore.Recorded {
	rs = slices.Clone(rs)
	slices.Reverse(rs)
	return rs
}

func head(t *testing.T, s eventstore.Store) {
	want := eventstore.Head{}
	for n := range 40 {
		h, err := s.Head(t.Context())
		if err != nil || h != want {
			t.Fatalf("after %d appends: got %+v, %v, want %+v", n, h, err, want)
		}
		a := mustAppend(t, s, fmt.Sprintf("contract-%d", n%3), eventstore.AnyRevision, Events(n*5, n*5+1+n%4)...)
		want = eventstore.Head{Position: a.Position, Events: want.Events + uint64(1+n%4)}
	}
	if got := Collect(t, s.All(t.Context(), want.Position)); len(got) != 0 {
		t.Fatalf("beyond the head: got %v", got)
	}
	if want.Position > math.MaxInt64 {
		t.Fatalf("position %d cannot be told to those who count in signed numbers", want.Position)
	}
}
