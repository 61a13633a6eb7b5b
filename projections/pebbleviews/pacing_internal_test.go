package pebbleviews

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/projections"
)

// TestRests: a compaction rests twice as long as it works, but not where its waiting would pile up files.
func TestRests(t *testing.T) {
	p := newPacing()
	for _, c := range []struct {
		worked, rest time.Duration
		deep, bulk   bool
	}{
		{worked: paceWork - 1},
		{worked: paceWork, rest: 2 * paceWork},
		{worked: time.Second, rest: paceRestMax},
		{worked: paceWork, deep: true},
		{worked: paceWork, bulk: true},
	} {
		p.deep.Store(c.deep)
		p.bulk.Store(c.bulk)
		if d := p.rest(c.worked); d != c.rest {
			t.Errorf("rests %v after %v of work, level 0 deep %t, catch-up %t, want %v", d, c.worked, c.deep, c.bulk, c.rest)
		}
	}
}

// TestCloseOfOneAtRest: compactions of a view in service rest, those of a catch-up do not, and a close waits for no rest.
func TestCloseOfOneAtRest(t *testing.T) {
	v, err := Open("views", Options{FS: vfs.NewMem(), MemTable: 1 << 20, BlockCache: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	rested, first := make(chan struct{}), sync.Once{}
	wait := v.pace.sleep
	v.pace.sleep = func(time.Duration) {
		first.Do(func() { close(rested) })
		wait(time.Hour)
	}
	at := eventstore.Position(0)
	write := func(rows, bytes int) {
		err := v.Batch(t.Context(), "homes", 1, at, at+1, func(w projections.View) error {
			for i := range rows {
				w.Set(fmt.Sprint((int(at)*7919+i*104729)%100_003), make([]byte, bytes))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		at++
	}
	for v.db.Metrics().Compact.Count < 3 {
		write(600, 1<<10)
	}
	select {
	case <-rested:
		t.Fatal("compactions rest while views catch up")
	default:
	}
	for deadline := time.Now().Add(time.Minute); ; {
		write(20, 1<<10)
		select {
		case <-rested:
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("no compaction rests in service")
		}
	}
}
