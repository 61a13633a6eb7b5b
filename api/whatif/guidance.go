package whatif

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/guidance"
	"zujian/domain/listing"
)

// ErrGuidance refuses a table of prices.
var ErrGuidance = domain.Reject("simulation.invalid_guidance", "the table of guidance prices cannot be used as it stands")

// Table is a changed table of guidance prices (指导价格): cells as they are proposed, and the day they count from.
type Table struct {
	EffectiveFrom domain.Day      `json:"effective_from,omitzero"` // Zero = the first day of the period.
	Cells         []guidance.Cell `json:"cells"`

	// What a proposal or a published version has beside: it is read over.
	Period  any `json:"period,omitempty"`
	Version any `json:"version,omitempty"`
	Reason  any `json:"reason,omitempty"`
	Method  any `json:"method,omitempty"`
	Inputs  any `json:"inputs,omitempty"`
	Made    any `json:"made,omitempty"`

	hash string
}

const cellsMax = 20_000

// ParseTable reads a table and refuses cells of areas, sizes, ways of letting or fit-outs that the city does not have.
func ParseTable(raw []byte, city *domain.City) (*Table, error) {
	var t Table
	if err := strictly(raw, &t); err != nil {
		return nil, ErrGuidance.With("problem", err.Error())
	}
	if n := len(t.Cells); n == 0 || n > cellsMax {
		return nil, ErrGuidance.At("/cells").With("problem", fmt.Sprintf("%d cells, not 1 to %d", n, cellsMax))
	}
	areas := map[string]bool{"city": true}
	for _, u := range city.Units {
		areas[u.Code] = true
	}
	for _, s := range city.Streets {
		areas[s.Code] = true
	}
	seen := map[guidance.CellID]int{}
	for i, c := range t.Cells {
		at := pointer("/cells", i)
		bad := func(field, problem string) error { return ErrGuidance.At(at+field).With("problem", problem) }
		switch first, twice := seen[c.CellID]; {
		case !areas[c.Area]:
			return nil, bad("/area", fmt.Sprintf("the city has no area %q", c.Area))
		case !slices.Contains([]string{listing.LetWhole, listing.LetByRoom, listing.LetByBed}, c.LetMode):
			return nil, bad("/let_mode", fmt.Sprintf("%q is no way of letting", c.LetMode))
		case !slices.Contains([]string{domain.Size30, domain.Size50, domain.Size70, domain.Size90, domain.Size120, domain.SizeOver}, c.SizeBand):
			return nil, bad("/size_band", fmt.Sprintf("%q is no size band", c.SizeBand))
		case !slices.Contains([]string{"", "BARE", "SIMPLE", "FULL"}, c.Fitout):
			return nil, bad("/fitout", fmt.Sprintf("%q is no fit-out", c.Fitout))
		case c.N < 0:
			return nil, bad("/n", "a cell has no fewer than 0 contracts")
		case !slices.IsSorted([]domain.Fen{1, c.P10, c.P25, c.Median, c.P75, c.P90, domain.FenMax}):
			return nil, bad("", "the prices are not positive and rising from p10 to p90")
		case twice:
			return nil, bad("", fmt.Sprintf("the cell is there twice, first as cell %d", first))
		}
		seen[c.CellID] = i
	}
	canonical, err := json.Marshal(struct {
		From  domain.Day      `json:"effective_from,omitzero"`
		Cells []guidance.Cell `json:"cells"`
	}{t.EffectiveFrom, t.Cells})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(canonical)
	t.hash = hex.EncodeToString(sum[:])
	return &t, nil
}

// Ceilings a simulation may take from a table: the price above which a rent counts as too high.
const (
	CeilingP75 = "p75"
	CeilingP90 = "p90"
)

// GuidanceEffect is where the filed rents of the period stand in the prices in force when they were signed, and in the
// changed table.
type GuidanceEffect struct {
	Then  Bands         `json:"then"`
	Now   Bands         `json:"now"`
	Units []GuidanceRow `json:"by_report_unit"`
}

// GuidanceRow is one reporting unit's.
type GuidanceRow struct {
	ReportUnit string `json:"report_unit"`
	Then       Bands  `json:"then"`
	Now        Bands  `json:"now"`
}

// Bands counts rents by where they stand.
type Bands struct {
	Below10  int `json:"below_p10"`
	To25     int `json:"p10_to_p25"`
	To75     int `json:"p25_to_p75"`
	To90     int `json:"p75_to_p90"`
	Above90  int `json:"above_p90"`
	Unpriced int `json:"unpriced"` // No cell is theirs.
}

func (b *Bands) add(perM2 domain.Fen, c *guidance.Cell) {
	switch {
	case c == nil:
		b.Unpriced++
	case perM2 < c.P10:
		b.Below10++
	case perM2 < c.P25:
		b.To25++
	case perM2 <= c.P75:
		b.To75++
	case perM2 <= c.P90:
		b.To90++
	default:
		b.Above90++
	}
}

// priced counts a filed rent among the bands, and sees whether it is above the ceiling.
func (s *Simulation) priced(d *desk.Decision, j *judged) {
	if d.Observation == nil || s.r.Guidance == nil {
		return
	}
	o := *d.Observation
	if o.Excluded != "" || o.AreaC <= 0 || !filed(d) {
		return
	}
	perM2, err := o.RentFen.MulDiv(100, o.AreaC)
	if err != nil {
		return
	}
	if s.res.Guidance == nil {
		s.res.Guidance = &GuidanceEffect{Units: []GuidanceRow{}}
	}
	g := s.res.Guidance
	i, found := slices.BinarySearchFunc(g.Units, o.ReportUnit, func(r GuidanceRow, u string) int {
		switch {
		case r.ReportUnit < u:
			return -1
		case r.ReportUnit > u:
			return 1
		}
		return 0
	})
	if !found {
		g.Units = slices.Insert(g.Units, i, GuidanceRow{ReportUnit: o.ReportUnit})
	}
	for _, b := range []*Bands{&g.Then, &g.Units[i].Then} {
		b.add(perM2, d.PriceThen)
	}
	for _, b := range []*Bands{&g.Now, &g.Units[i].Now} {
		b.add(perM2, d.PriceNow)
	}
	most := s.ceilingOf(d.PriceNow)
	if most == 0 || perM2 <= most || j.effect == Refused {
		return
	}
	j.effect, j.because = OverCeiling, nil
	if s.r.Refused == Capped {
		j.cap, _ = most.MulDiv(o.AreaC, 100) // Below the rent there is.
	}
}

func filed(d *desk.Decision) bool {
	_, ok := d.Recorded[len(d.Recorded)-1].(contract.Filed)
	return ok
}

// ceilingOf is the highest price of a cell; 0 = none.
func (s *Simulation) ceilingOf(c *guidance.Cell) domain.Fen {
	switch {
	case c == nil:
		return 0
	case s.r.Ceiling == CeilingP75:
		return c.P75
	case s.r.Ceiling == CeilingP90:
		return c.P90
	}
	return 0
}
