package feed

import (
	"sync"
	"time"

	"zujian/domain/webhook"
)

// Figures count what becomes of messages, for whoever watches the product. The zero value is ready, and safe for concurrent use.
type Figures struct {
	mu       sync.Mutex
	attempts map[webhook.Outcome]uint64
	open     map[string]standing // Endpoints that are served now.
}

// standing is how one endpoint stands.
type standing struct {
	waiting int
	oldest  time.Time // Stored time of the oldest event that waits; zero if none does.
}

// Figure is a reading of Figures.
type Figure struct {
	Attempts  map[webhook.Outcome]uint64 // Since the start, by what came of them.
	Endpoints int                        // Served by this process.
	Waiting   int                        // Messages read and not settled, of all endpoints.
	Lag       time.Duration              // Age of the oldest of them.
}

// Read gives the figures as they are at now.
func (f *Figures) Read(now time.Time) Figure {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := Figure{Attempts: map[webhook.Outcome]uint64{}, Endpoints: len(f.open)}
	for _, o := range []webhook.Outcome{webhook.Delivered, webhook.Retry, webhook.Dead} { // Those of which there is none, too.
		out.Attempts[o] = f.attempts[o]
	}
	for _, s := range f.open {
		out.Waiting += s.waiting
		if !s.oldest.IsZero() {
			out.Lag = max(out.Lag, now.Sub(s.oldest))
		}
	}
	return out
}

func (f *Figures) count(o webhook.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attempts == nil {
		f.attempts = map[webhook.Outcome]uint64{}
	}
	f.attempts[o]++
}

func (f *Figures) stand(id string, s standing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[string]standing{}
	}
	f.open[id] = s
}

func (f *Figures) leave(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, id)
}

// standing of the worker's endpoint. What somebody asked for again is no lag.
func (w *worker) standing() standing {
	s := standing{waiting: w.pending}
	for _, letters := range w.lanes {
		if l := letters[0]; !l.again && (s.oldest.IsZero() || l.stored.Before(s.oldest)) { // Letters of a lane are in order.
			s.oldest = l.stored
		}
	}
	return s
}
