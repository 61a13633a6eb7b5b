package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/eventstore/embedded"
	"zujian/eventstore/faults"
)

// halves is what a log says of filings and of the space they take.
type halves struct {
	drafts   map[string]string // "flat lessee": contract; each lessee of the load asks for a flat once.
	filed    map[string]string // Contract: number.
	numbers  map[string]string // Number: contract.
	annulled map[string]bool
	reserved map[string]string // Contract: flat, while it is neither let nor given back.
	let      map[string]string // Flat: contract.
}

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
	h := &halves{
		drafts: map[string]string{}, filed: map[string]string{}, numbers: map[string]string{}, annulled: map[string]bool{},
		reserved: map[string]string{}, let: map[string]string{},
	}
	for r, err := range log.All(t.Context(), 0) {
		if err != nil {
			return nil, err
		}
		category, id, _ := strings.Cut(r.Stream, "-")
		if category != "unit" && category != "contract" {
			continue
		}
		if err := h.apply(r.Type, id, r.Data); err != nil {
			return nil, fmt.Errorf("event %d: %w", r.Ordinal, err)
		}
	}
	return h, nil
}

func (h *halves) apply(kind, id string, data []byte) error {
	var e struct {
		Contract string `json:"contract"`
		FilingNo string `json:"filing_no"`
		Terms    struct {
			Unit    string `json:"unit"`
			Lessees []struct {
				Party string `json:"party"`
			} `json:"lessees"`
		} `json:"terms"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	switch kind {
	case "contract.drafted":
		wish := e.Terms.Unit + " " + e.Terms.Lessees[0].Party
		if other, twice := h.drafts[wish]; twice {
			return fmt.Errorf("contracts %s and %s are of one filing", other, id)
		}
		h.drafts[wish] = id
	case "contract.filed":
		if other, twice := h.numbers[e.FilingNo]; twice {
			return fmt.Errorf("number %s was given to %s and %s", e.FilingNo, other, id)
		}
		if before, twice := h.filed[id]; twice {
			return fmt.Errorf("contract %s was filed as %s and %s", id, before, e.FilingNo)
		}
		h.filed[id], h.numbers[e.FilingNo] = e.FilingNo, id
	case "contract.annulled":
		h.annulled[id] = true
	case "unit.reserved":
		h.reserved[e.Contract] = id
	case "unit.released", "unit.reservation_lost":
		delete(h.reserved, e.Contract)
	case "unit.leased":
		if other, twice := h.let[id]; twice && other != e.Contract {
			return fmt.Errorf("flat %s was let to %s and %s for the same days", id, other, e.Contract)
		}
		h.let[id] = e.Contract
		delete(h.reserved, e.Contract)
	}
	return nil
}

// whole tells whether no filing is half applied.
func (h *halves) whole(acked map[string]filed) error {
	var errs []error
	for contract, flat := range h.reserved {
		errs = append(errs, fmt.Errorf("flat %s is still reserved for %s", flat, contract))
	}
	holds := map[string]bool{}
	for flat, contract := range h.let {
		holds[contract] = true
		if h.filed[contract] == "" {
			errs = append(errs, fmt.Errorf("flat %s is let to %s, which was never filed", flat, contract))
		}
	}
	for contract := range h.filed {
		if !holds[contract] && !h.annulled[contract] {
			errs = append(errs, fmt.Errorf("contract %s is filed and holds no flat", contract))
		}
	}
	for id, f := range acked {
		if h.filed[id] != f.number || h.let[f.unit] != id {
			errs = append(errs, fmt.Errorf("acknowledged contract %s has number %q and flat %s is let to %q", id, h.filed[id], f.unit, h.let[f.unit]))
		}
	}
	return errors.Join(errs...)
}
