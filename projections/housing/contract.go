package housing

import (
	"context"
	"fmt"
	"slices"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/projections"
)

// filingDays is the time to file after signing (C-14: within 30 days).
const filingDays = 30

// Stages of a contract's row.
const (
	StageDrafted   = "DRAFTED"
	StageSigned    = "SIGNED"
	StageHeld      = "HELD"
	StageReturned  = "RETURNED"
	StageFiled     = "FILED"
	StageEnded     = "ENDED"
	StageAbandoned = "ABANDONED"
	StageDeclined  = "DECLINED"
	StageCancelled = "CANCELLED"
	StageAnnulled  = "ANNULLED"
)

// Contract is one contract as lists show it. Persons are ids; nothing sealed is in it.
type Contract struct {
	ID             string            `json:"id"`
	Origin         string            `json:"origin"` // NEW, LEGACY
	State          string            `json:"state"`
	Kind           string            `json:"kind"`
	Unit           string            `json:"unit,omitempty"`
	UnitText       string            `json:"unit_text,omitempty"` // Legacy rows without a unit.
	Building       string            `json:"building,omitempty"`
	Rooms          []string          `json:"rooms,omitempty"`
	LetMode        string            `json:"let_mode,omitempty"`
	Parent         string            `json:"parent,omitempty"`
	Lessors        []string          `json:"lessors,omitempty"`
	Lessees        []string          `json:"lessees,omitempty"`
	Brokerage      string            `json:"brokerage,omitempty"`
	AdminCode      string            `json:"admin_code,omitempty"`
	ReportUnit     string            `json:"report_unit,omitempty"`
	Street         string            `json:"street,omitempty"`
	Start          domain.Day        `json:"start,omitzero"`
	End            domain.Day        `json:"end,omitzero"`     // Last day agreed.
	AreaC          int64             `json:"area_c,omitempty"` // Of what is let, as filed, 0.01 ㎡.
	MonthlyRentFen domain.Fen        `json:"monthly_rent_fen"`
	PayCycleMonths int               `json:"pay_cycle_months,omitempty"`
	DepositFen     domain.Fen        `json:"deposit_fen,omitzero"`
	EscrowMode     string            `json:"escrow_mode,omitempty"`
	EscrowBank     string            `json:"escrow_bank,omitempty"`
	ContentHash    string            `json:"content_hash,omitempty"`
	SignedBy       []string          `json:"signed_by,omitempty"`
	SignedOn       domain.Day        `json:"signed_on,omitzero"`
	FileBy         domain.Day        `json:"file_by,omitzero"` // Last day to file in time.
	FilingNo       string            `json:"filing_no,omitempty"`
	FiledOn        domain.Day        `json:"filed_on,omitzero"`
	FiledByRole    string            `json:"filed_by_role,omitempty"`
	Late           bool              `json:"late,omitempty"`
	HeldReasons    []string          `json:"held_reasons,omitempty"`
	Occupants      int               `json:"occupants,omitempty"`
	EndedOn        domain.Day        `json:"ended_on,omitzero"` // Last day in fact.
	EndedBy        string            `json:"ended_by,omitempty"`
	Ground         string            `json:"ground,omitempty"` // Of a termination.
	Renews         string            `json:"renews,omitempty"`
	RenewedBy      string            `json:"renewed_by,omitempty"`
	UpstreamEnded  string            `json:"upstream_ended,omitempty"` // HEAD contract that ended above it.
	Amendments     int               `json:"amendments,omitempty"`
	Trail          projections.Trail `json:"trail"`
}

// Packed implements projections.Packed.
func (Contract) Packed() {}

func (c Contract) parties() []string {
	all := slices.Concat(c.Lessors, c.Lessees, []string{c.Brokerage})
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(p string) bool { return p == "" })
}

func (c Contract) locality() locality { return locality{c.AdminCode, c.ReportUnit, c.Street} }

// lastDay is the last day the lease runs: the day it ended, else the day agreed.
func (c Contract) lastDay() domain.Day {
	if !c.EndedOn.IsZero() {
		return c.EndedOn
	}
	return c.End
}

// RunsOn is true on the days a filed contract is in force.
func (c Contract) RunsOn(day domain.Day) bool {
	return c.filed() && c.Start <= day && (c.lastDay().IsZero() || day <= c.lastDay())
}

// filed is true for one that is or was in force by a filing that still counts.
func (c Contract) filed() bool {
	return c.State == StageFiled || c.State == StageEnded && c.FilingNo != "" || c.Origin == "LEGACY"
}

func (w *work) contract(ctx context.Context, e projections.Event, ev contract.Event) error {
	id := projections.ID(e.Stream)
	key := projections.Key(keyContract, id)
	before, err := projections.GetOwn[Contract](ctx, w.View, key, e)
	if err != nil {
		return err
	}
	after := before.after(id, ev)
	after.Trail = before.Trail.Add(e)
	projections.Put(w.View, key, after)
	if before.ID != "" && quietContract(ev) {
		return nil
	}
	known := before.parties()
	for _, p := range after.parties() {
		if before.ID == "" || !slices.Contains(known, p) {
			w.Set(projections.Key(keyConParty, p, id), nil)
		}
	}
	w.contracts.Changed(key, before, after)
	if err := w.stands(ctx, after.locality()); err != nil {
		return err
	}
	if before.number() == after.number() {
		return nil
	}
	return numberEffect(after).Replace(ctx, w.View, numberEffect(before))
}

// number is the filing number it is found by; legacy rows have an older system's.
func (c Contract) number() string {
	if c.Origin == "LEGACY" {
		return ""
	}
	return c.FilingNo
}

func numberEffect(c Contract) (e projections.Effect) {
	if n := c.number(); n != "" {
		e.Mark(projections.Key(keyConNo, n), c.ID)
	}
	return e
}

// quietContract is true of events that change nothing listed or counted beside the row.
func quietContract(ev contract.Event) bool {
	switch ev.(type) {
	case contract.SignedByParty, contract.OccupantAdded, contract.OccupantRemoved, contract.NoticeGiven, contract.TerminationAgreed:
		return true
	}
	return false
}

func (c Contract) after(id string, ev contract.Event) Contract {
	switch e := ev.(type) {
	case contract.Drafted:
		c = c.drafted(id, e)
	case contract.Abandoned:
		c.State = StageAbandoned
	case contract.Declined:
		c.State = StageDeclined
	case contract.SignedByParty:
		c.SignedBy = append(slices.Clone(c.SignedBy), e.Party)
	case contract.Signed:
		c.State, c.SignedOn, c.FileBy = StageSigned, e.SignedOn, e.SignedOn.AddDays(filingDays)
		c.EscrowMode, c.EscrowBank = e.Escrow.Mode, e.Escrow.Bank
	case contract.FilingHeld:
		c.State, c.HeldReasons = StageHeld, e.Reasons
	case contract.FilingReturned:
		c.State = StageReturned
	case contract.Filed:
		c.State, c.FilingNo, c.FiledOn, c.FiledByRole, c.Late, c.HeldReasons = StageFiled, e.FilingNo, e.FiledOn, e.ByRole, e.Late, nil
		c.SignedOn, c.AreaC = e.SignedOn, e.Observation.AreaC
		c = c.summary(e.Summary)
	case contract.Amended:
		c = c.summary(e.After)
		c.Amendments++
		c.ContentHash = e.ContentHash
	case contract.LessorReplaced:
		c = c.summary(e.After)
		c.ContentHash = e.ContentHash
	case contract.OccupantAdded:
		c.Occupants = e.Occupants
	case contract.OccupantRemoved:
		c.Occupants = e.Occupants
	case contract.Terminated:
		c.State, c.EndedOn, c.EndedBy, c.Ground = StageEnded, e.On, e.By, e.Ground
	case contract.Expired:
		c.State, c.EndedOn, c.EndedBy = StageEnded, e.On, "EXPIRED"
	case contract.Renewed:
		c.RenewedBy = e.NewContract
	case contract.FilingCancelled:
		c.State = StageCancelled
	case contract.Annulled:
		c.State = StageAnnulled
	case contract.UpstreamEnded:
		c.UpstreamEnded = e.Head
	case contract.LegacyRecorded:
		c = legacy(id, e)
	}
	return c
}

func (c Contract) drafted(id string, e contract.Drafted) Contract {
	t, u := e.Terms, e.Subject.Unit
	return Contract{
		ID: id, Origin: "NEW", State: StageDrafted, Kind: t.Kind, Unit: t.Unit, Building: u.Building, Rooms: t.Rooms, LetMode: t.LetMode,
		Parent: t.Parent, Lessors: ids(t.Lessors), Lessees: ids(t.Lessees), Brokerage: t.Brokerage, AdminCode: u.AdminCode,
		ReportUnit: u.ReportUnit, Street: u.Street, Start: t.Start, End: t.End, MonthlyRentFen: t.MonthlyRentFen,
		PayCycleMonths: t.PayCycleMonths, DepositFen: t.DepositFen, EscrowMode: t.Escrow.Mode, EscrowBank: t.Escrow.Bank,
		ContentHash: e.ContentHash, Occupants: len(t.Occupants), Renews: t.Renews, Trail: c.Trail,
	}
}

func ids(shares []contract.PartyShare) (out []string) {
	for _, s := range shares {
		out = append(out, s.Party)
	}
	return out
}

func (c Contract) summary(s contract.Summary) Contract {
	c.Kind, c.Unit, c.Building, c.Rooms, c.LetMode, c.Parent = s.Kind, s.Unit, s.Building, s.Rooms, s.LetMode, s.Parent
	c.Start, c.End, c.MonthlyRentFen, c.PayCycleMonths, c.DepositFen = s.Start, s.End, s.MonthlyRentFen, s.PayCycleMonths, s.DepositFen
	c.EscrowMode, c.EscrowBank, c.ReportUnit, c.Street, c.AdminCode = s.Escrow.Mode, s.Escrow.Bank, s.ReportUnit, s.Street, s.AdminCode
	c.Lessors, c.Lessees, c.Brokerage, c.Occupants = s.Lessors, s.Lessees, s.Brokerage, s.Occupants
	return c
}

func legacy(id string, e contract.LegacyRecorded) Contract {
	o := e.Observation
	c := Contract{
		ID: id, Origin: "LEGACY", State: StageFiled, Kind: e.Kind, Unit: o.Unit, UnitText: e.UnitText, LetMode: o.LetMode, AdminCode: o.AdminCode,
		ReportUnit: o.ReportUnit, Street: o.Street, Start: e.Start, End: e.End, MonthlyRentFen: e.MonthlyRentFen, DepositFen: e.DepositFen,
		FilingNo: e.FilingNo, FiledOn: e.FiledOn, AreaC: o.AreaC,
	}
	if c.FiledOn.IsZero() && !o.Month.IsZero() {
		c.FiledOn = o.Month.First()
	}
	return c
}

func contractEffect(c Contract) (e projections.Effect) {
	if c.ID == "" {
		return e
	}
	if c.Unit != "" {
		e.Mark(projections.Key(keyConUnit, c.Unit, c.Start.String(), c.ID), "")
	}
	if c.Parent != "" {
		e.Mark(projections.Key(keyConParent, c.Parent, c.ID), "")
	}
	e.Over(c.locality().areas())
	c.inAreas(&e)
	return e
}

// inAreas adds what a contract is to its areas: its place in the lists by day, and its share of the figures.
func (c Contract) inAreas(e *projections.Effect) {
	void, l := c.State == StageCancelled || c.State == StageAnnulled, c.locality()
	if !c.SignedOn.IsZero() && !void {
		month := c.SignedOn.Month().String()
		e.Mark(l.key(keyConSigned, c.SignedOn.String(), c.ID), "")
		e.SumEach(keyFlow, month, "signed", 1)
		if !c.FiledOn.IsZero() {
			e.SumEach(keyFlow, month, "signed_filed", 1)
			if c.FiledOn <= c.FileBy {
				e.SumEach(keyFlow, month, "signed_filed_in_time", 1)
			}
		} else if c.State != StageEnded {
			fileBy := c.FileBy.String()
			e.Mark(l.key(keyUnfiled, fileBy, c.ID), "")
			for _, lessor := range c.Lessors {
				e.SumEach(keyUnfiledBy, projections.Key(lessor), fileBy, 1)
			}
		}
	}
	if !c.FiledOn.IsZero() && !void {
		c.filedIn(e)
	}
	if !c.EndedOn.IsZero() && !void {
		month := c.EndedOn.Month().String()
		e.SumEach(keyFlow, month, "ended_"+c.EndedBy, 1)
		if c.Ground != "" {
			e.SumEach(keyFlow, month, "ended_ground_"+c.Ground, 1)
		}
	}
	if c.filed() && !c.Start.IsZero() {
		counter := "out"
		if c.Kind == contract.KindHead {
			counter = "head"
		}
		active := func(day domain.Day, n int64) {
			for _, at := range [...]struct{ kind, when string }{{keyActiveM, day.Month().String()}, {keyActiveD, day.String()}} {
				e.SumEach(at.kind, at.when, counter, n)
				if c.Kind == contract.KindOut && len(c.Rooms) > 0 {
					e.SumEach(at.kind, at.when, "out_by_room", n)
					e.SumEach(at.kind, at.when, "rooms", n*int64(len(c.Rooms)))
				}
			}
		}
		if last := c.lastDay(); last.IsZero() || last >= c.Start {
			active(c.Start, 1)
			if !last.IsZero() {
				active(last.AddDays(1), -1)
			}
		}
		if c.State == StageFiled && !c.End.IsZero() && c.Origin != "LEGACY" {
			end := c.End.String()
			e.Mark(l.key(keyEnding, end, c.ID), "")
			e.SumEach(keyEndingDay, end, "n", 1)
		}
	}
}

// smallC is the largest area of a small home (小户型), in 0.01 ㎡.
const smallC = 70_00

// sized is true of a whole home let, of which the area is known.
func (c Contract) sized() bool {
	return c.Kind == contract.KindOut && c.LetMode == contract.LetWhole && c.AreaC > 0
}

const daysToFileMax = 99 // Longer waits count as this many.

func (c Contract) filedIn(e *projections.Effect) {
	month := c.FiledOn.Month().String()
	count := func(counter string, n int64) { e.SumEach(keyFlow, month, counter, n) }
	e.Mark(c.locality().key(keyConFiled, c.FiledOn.String(), c.ID), "")
	if c.Origin == "LEGACY" {
		count("legacy", 1)
		return
	}
	term := int64(c.Start.MonthsUntil(c.End))
	count("filed", 1)
	count("filed_"+c.FiledByRole, 1)
	count("filed_"+c.Kind, 1)
	count("term_months", term)
	count(daysToFile[min(max(0, int(c.FiledOn-c.SignedOn)), daysToFileMax)], 1)
	for _, is := range [...]struct {
		counter string
		yes     bool
	}{
		{"filed_late", c.Late},
		{"filed_by_room", c.LetMode != contract.LetWhole},
		{"filed_long", term >= 12},
		{"filed_renewed", c.RenewedBy != ""},
		{"filed_renewal", c.Renews != ""},
		{"filed_new", c.Kind == contract.KindOut && c.Renews == ""},
		{"filed_sized", c.sized()},
		{"filed_small", c.sized() && c.AreaC <= smallC},
	} {
		if is.yes {
			count(is.counter, 1)
		}
	}
}

// daysToFile are the counters of filings by the days they took.
var daysToFile = func() (names [daysToFileMax + 1]string) {
	for i := range names {
		names[i] = fmt.Sprintf("days_%02d", i)
	}
	return names
}()
