package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	queuePatience     = 100 * time.Millisecond // A request that has waited longer for its turn is shed: its client has better use for the time.
	queuePatienceBank = time.Second            // Banks' reports of money are shed last.
	queueMax          = 1024                   // Requests waiting for their turn; their bodies are in memory.
	streamsMax        = 256                    // Batches and live streams at once: they last, so they have places of their own.
)

// gate bounds the work done at once. Who finds no place waits for one, not longer than its patience: so load beyond the
// machine's limit costs a refusal each, and what is let in is answered as fast as without that load.
type gate struct {
	places  chan struct{}
	waiting atomic.Int64
}

func newGate(places int) *gate { return &gate{places: make(chan struct{}, places)} }

// enter takes a place, or gives errOverloaded. The caller leaves afterwards.
func (g *gate) enter(ctx context.Context, patience time.Duration) error {
	select {
	case g.places <- struct{}{}:
		return nil
	default:
	}
	if patience <= 0 {
		return errOverloaded
	}
	if g.waiting.Add(1) > queueMax {
		g.waiting.Add(-1)
		return errOverloaded
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return nil
	case <-timer.C:
		return errOverloaded
	case <-ctx.Done():
		return errOverloaded // The client went away.
	}
}

func (g *gate) leave() { <-g.places }

// place is the gate a request goes through and how long it may wait there.
func (s *Server) place(r *http.Request) (*gate, time.Duration) {
	switch path := r.URL.Path; {
	case streams(r):
		return s.lasting, 0
	case strings.HasPrefix(path, "/v1/escrow/"), path == "/v1/bank-statements":
		return s.work, queuePatienceBank
	}
	return s.work, queuePatience
}

// streams tells the requests that last: batches, and answers that go on as things happen.
func streams(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), mediaNDJSON) || strings.HasSuffix(r.URL.Path, "/stream")
}

// receive reads the body before its request takes a place, so that a slow client keeps nobody else out.
func receive(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || streams(r) {
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
	if err == nil {
		err = io.EOF
	}
	r.Body = &receivedBody{data: bytes.NewReader(raw), end: err}
}

// sentMax is how much of a body that is too large is taken in and thrown away.
const sentMax = 16 << 20

// letSend lets a client finish sending what is refused for its length. Many send all before they listen: of a connection
// that is closed meanwhile they learn that it broke, and not why.
func letSend(r *http.Request) {
	if r.ContentLength <= sentMax && r.Header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, r.Body) // As far as it comes within the server's time for a request.
	}
}

// receivedBody is a body that has been read, and how the reading ended.
type receivedBody struct {
	data *bytes.Reader
	end  error
}

func (b *receivedBody) Read(p []byte) (int, error) {
	n, err := b.data.Read(p)
	if err != nil {
		err = b.end
	}
	return n, err
}

func (b *receivedBody) Close() error { return nil }
