// Package guidance is the view guidance prices (租金指导价格) are computed from: the rent of each new letting on file, by
// month of signing and by the version it was signed under. [Compute] makes a period's draft of it, which a person proposes
// (package domain/guidance); [Test] holds a published version to the rents signed under it.
//
// # Decisions
//
// A contract counts once, in its month of signing at its first rent, exactly as among the new lettings of the rent index.
// A correction replaces its rent, a cancelled or annulled filing takes it out; a later rent of the same contract is none.
//
// The rows are rents, not sums: a draft is made four times a year, and reads twelve months of them.
//
// What is published of a period is judged together, all its versions: see guard.go.
package guidance

import (
	"context"
	"fmt"
	"math"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/projections"
)

// Projection is listed in cmd/zujian/registry.go.
type Projection struct{}

// Name of the view's keyspace.
func (Projection) Name() string { return "guidance" }

// Version of Apply's meaning.
func (Projection) Version() int { return 4 }

// Types the view reads.
func (Projection) Types() []string {
	return []string{
		contract.Filed{}.EventType(), contract.LegacyRecorded{}.EventType(), contract.Amended{}.EventType(),
		contract.Terminated{}.EventType(), contract.FilingCancelled{}.EventType(), contract.Annulled{}.EventType(),
	}
}

// Keys of the view.
const (
	keyRent = "r" // month "2026-03", contract → Rent
	keyHeld = "c" // contract → held
	keySign = "v" // version "2026Q3/1" in force at signing, contract → Rent
)

// Rent is what one new letting says.
type Rent struct {
	ReportUnit string `json:"report_unit"`
	Street     string `json:"street,omitempty"`
	LetMode    string `json:"let_mode"`
	SizeBand   string `json:"size_band"`
	Fitout     string `json:"fitout,omitempty"`
	Lessor     string `json:"lessor,omitempty"` // Party id.
	Fen        int64  `json:"fen"`              // Per ㎡ and month.
}

// Packed implements projections.Packed.
func (Rent) Packed() {}

// held is where a contract's rent stands, how many rents in succession it has had, and the prices it was signed under.
type held struct {
	Month    domain.Month `json:"month"`
	Segments int          `json:"segments"`
	Under    string       `json:"under,omitempty"`
}

// Packed implements projections.Packed.
func (held) Packed() {}

// Apply folds a batch.
func (Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	for _, e := range batch {
		if err := apply(ctx, v, e); err != nil {
			return fmt.Errorf("guidance: %s@%d: %w", e.Stream, e.Revision, err)
		}
	}
	return nil
}

func apply(ctx context.Context, v projections.View, e projections.Event) error {
	id := projections.ID(e.Stream)
	h, err := projections.Get[held](ctx, v, projections.Key(keyHeld, id))
	if err != nil {
		return err
	}
	switch x := e.Event.(type) {
	case contract.Filed:
		h.Under = x.GuidanceVersion
		replace(v, id, h, &x.Observation)
	case contract.LegacyRecorded:
		replace(v, id, h, &x.Observation)
	case contract.Amended:
		switch {
		case x.Observation == nil || x.ObservationBefore == nil:
		case x.Observation.From > x.ObservationBefore.From:
			h.Segments++
			projections.Put(v, projections.Key(keyHeld, id), h)
		case h.Segments < 2:
			replace(v, id, h, x.Observation)
		}
	case contract.Terminated:
		if x.ObservationBefore != nil && h.Segments < 2 {
			replace(v, id, h, x.Observation)
		}
	case contract.FilingCancelled, contract.Annulled:
		replace(v, id, h, nil)
	}
	return nil
}

// replace puts the contract's first rent in place of what stood; nil takes it out.
func replace(v projections.View, id string, h held, o *domain.Observation) {
	if h.Segments > 0 {
		v.Delete(projections.Key(keyRent, h.Month.String(), id))
		v.Delete(projections.Key(keySign, h.Under, id))
	}
	if o == nil || o.Month <= 0 {
		v.Delete(projections.Key(keyHeld, id))
		return
	}
	projections.Put(v, projections.Key(keyHeld, id), held{Month: o.Month, Segments: 1, Under: h.Under})
	rent, ok := rentOf(*o)
	if !ok {
		return
	}
	projections.Put(v, projections.Key(keyRent, o.Month.String(), id), rent)
	if h.Under != "" {
		projections.Put(v, projections.Key(keySign, h.Under, id), rent)
	}
}

// rentOf is the rent of o, unless o is excluded or says too little to stand in a cell.
func rentOf(o domain.Observation) (Rent, bool) {
	r := Rent{ReportUnit: o.ReportUnit, Street: o.Street, LetMode: o.LetMode, SizeBand: o.SizeBand, Fitout: o.Fitout, Lessor: o.Lessor}
	if o.Excluded != "" || r.ReportUnit == "" || r.LetMode == "" || r.SizeBand == "" || o.AreaC <= 0 || o.RentFen <= 0 {
		return r, false
	}
	fen := float64(o.RentFen) * 100 / float64(o.AreaC) // Areas are in hundredths of a ㎡.
	if o.RentPer == domain.RentPerWeek {
		fen = fen * 365 / 84
	}
	fen = math.RoundToEven(fen)
	r.Fen = int64(min(fen, float64(domain.FenMax)))
	return r, fen >= 1 && fen < float64(domain.FenMax)
}
