// Package projectiontest states the laws of one projection as tests: any cut of the log into batches gives the same
// bytes, and a small scenario's view is frozen in a golden file. Only tests import it.
package projectiontest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zujian/domain"
	"zujian/eventstore"
	"zujian/projections"
)

var update = flag.Bool("update", false, "write golden files anew")

// Log is a small log under construction. Positions skip, as a store's may.
type Log struct {
	Events []projections.Event
	seen   map[string]eventstore.Revision
}

// Add appends events to a stream, decided at one instant.
func (l *Log) Add(stream string, at time.Time, events ...domain.Event) {
	if l.seen == nil {
		l.seen = map[string]eventstore.Revision{}
	}
	for _, e := range events {
		n := len(l.Events)
		l.Events = append(l.Events, projections.Event{
			Stream: stream, Revision: l.seen[stream], Position: eventstore.Position(n*3 + 7), Ordinal: uint64(n), Type: e.EventType(),
			StoredAt: at, Meta: eventstore.Metadata{Schema: 1, Actor: "test", At: at, Policy: 1}, Event: e,
		})
		l.seen[stream]++
	}
}

// Fold applies a log to an empty view in batches of size and gives the result.
func Fold(t testing.TB, p projections.Projection, events []projections.Event, size int) projections.Reader {
	t.Helper()
	ctx := t.Context()
	var views projections.Memory
	prev, wanted := eventstore.Position(0), p.Types()
	for batch := range slices.Chunk(events, size) {
		next := batch[len(batch)-1].Position
		var want []projections.Event
		for _, e := range batch {
			if wanted == nil || slices.Contains(wanted, e.Type) {
				want = append(want, e)
			}
		}
		if err := views.Batch(ctx, p.Name(), p.Version(), prev, next, func(v projections.View) error { return p.Apply(ctx, v, want) }); err != nil {
			t.Fatal(err)
		}
		prev = next
	}
	if err := views.Activate(ctx, p.Name(), p.Version()); err != nil {
		t.Fatal(err)
	}
	var got projections.Reader
	if err := views.Read(ctx, p.Name(), func(r projections.Reader) error { got = r; return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

// Dump prints every pair of a view, one a line; UUIDs of keys as text, rows that are packed as JSON behind the mark of their form.
func Dump(t testing.TB, r projections.Reader) string {
	t.Helper()
	var b bytes.Buffer
	for pair, err := range r.Scan(context.Background(), "", "", false) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s = %s\n", strings.Join(projections.Parts(pair.Key), " | "), projections.RowText(pair.Value))
	}
	return b.String()
}

// Laws checks that every batch size gives the view of one whole batch, and returns it.
func Laws(t *testing.T, p projections.Projection, l *Log) projections.Reader {
	t.Helper()
	whole := Fold(t, p, l.Events, max(1, len(l.Events)))
	want := Dump(t, whole)
	if want == "" {
		t.Fatal("the view is empty")
	}
	for _, size := range []int{1, 2, 3, 7} {
		if got := Dump(t, Fold(t, p, l.Events, size)); got != want {
			t.Fatalf("batches of %d give another view\n got %s\nwant %s", size, got, want)
		}
	}
	return whole
}

// Golden compares a view with testdata/view.golden; -update writes it.
func Golden(t *testing.T, r projections.Reader) {
	t.Helper()
	file, got := filepath.Join("testdata", "view.golden"), Dump(t, r)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the view changed: raise its Version, then -update\n got %s\nwant %s", got, want)
	}
}
