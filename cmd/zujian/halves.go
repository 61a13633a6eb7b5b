package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"zujian/eventstore"
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

// filed is a filing that was acknowledged.
type filed struct{ contract, number, unit string }

func newHalves() *halves {
	return &halves{
		drafts: map[string]string{}, filed: map[string]string{}, numbers: map[string]string{}, annulled: map[string]bool{},
		reserved: map[string]string{}, let: map[string]string{},
	}
}

// add adds the next event of the log.
func (h *halves) add(r *eventstore.Recorded) error {
	category, id, _ := strings.Cut(r.Stream, "-")
	if category != "unit" && category != "contract" {
		return nil
	}
	if err := h.apply(r.Type, id, r.Data); err != nil {
		return fmt.Errorf("event %d: %w", r.Ordinal, err)
	}
	return nil
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
