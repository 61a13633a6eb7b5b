package main

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
)

// settled serves the folder as it will be twenty minutes later, when a reservation without a filing has lapsed, until the
// processes have finished what the kills left, and then holds every filing to both of its streams.
func settled(t *testing.T, data string, acked map[string]filed) {
	t.Helper()
	c := faults.Clock{From: clock}
	c.Set(20 * time.Minute)
	var err error
	for began := time.Now(); time.Since(began) < 2*time.Minute; {
		s := serveInside(t, data, func(g *globals) { g.Now = c.Now })
		time.Sleep(time.Second) // What is overdue is sent at the start; if that was not long enough, once more.
		s.must(t, http.StatusOK, http.MethodGet, "/readyz", "", nil)
		s.close(t)
		var h *halves
		if h, err = readHalves(t, data); err == nil {
			if err = h.whole(acked); err == nil {
				t.Logf("%d contracts drafted, %d filed, %d flats let, 0 reservations left", len(h.drafts), len(h.filed), len(h.let))
				return
			}
		}
	}
	t.Error(err)
}

func readHalves(t *testing.T, data string) (*halves, error) {
	t.Helper()
	log, err := embedded.Open(embedded.Options{Dir: filepath.Join(data, "log")})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	h := newHalves()
	for r, err := range log.All(t.Context(), 0) {
		if err != nil {
			return nil, err
		}
		if err := h.add(&r); err != nil {
			return nil, err
		}
	}
	return h, nil
}
