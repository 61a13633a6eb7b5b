package peers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// TestPeers holds every peer that is installed to what the comparison needs: it keeps what it was given, each revision once.
func TestPeers(t *testing.T) {
	const writers, each = 8, 5
	for name, open := range map[string]func(context.Context, string) (Peer, error){
		"SQLite":   SQLite,
		"Postgres": func(ctx context.Context, dir string) (Peer, error) { return Postgres(ctx, dir, writers) },
		"Redis":    func(ctx context.Context, dir string) (Peer, error) { return Redis(ctx, dir, writers) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "peer") // A socket's path is short, and another user may come in.
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			p, err := open(t.Context(), dir)
			if errors.Is(err, ErrNotInstalled) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.Close(); err != nil {
					t.Error("close:", err)
				}
			}()
			event := func(w, n int) Event {
				e := Event{Stream: fmt.Sprint("s-", w), Revision: int64(n), Type: "x", Meta: []byte("{}"), Data: []byte("{}")}
				binary.BigEndian.PutUint64(e.ID[:], uint64(w*each+n+1))
				return e
			}
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for n := range each {
						if err := p.Append(t.Context(), event(w, n)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if err := p.Append(t.Context(), event(0, each-1)); err == nil {
				t.Error("a revision was given twice")
			}
			for w := range writers {
				if n, err := p.Load(t.Context(), fmt.Sprint("s-", w)); n != each || err != nil {
					t.Errorf("stream %d has %d events, %v", w, n, err)
				}
			}
		})
	}
}
