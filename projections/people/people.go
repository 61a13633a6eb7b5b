// Package people is the view of subjects (人): the roster of parties with their verification, opening report, contracts
// and mandates (V-P1), and the practitioners of each brokerage (V-P2). Names, documents and phones of persons stay sealed
// as they came; the API opens and masks them for those who may read them.
package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/party"
	"zujian/projections"
)

// Projection is listed in cmd/zujian/registry.go.
type Projection struct{}

// Name of the view's keyspace.
func (Projection) Name() string { return "people" }

// Version of Apply's meaning.
func (Projection) Version() int { return 5 }

// Types the view reads.
func (Projection) Types() []string {
	var out []string
	for _, t := range party.Types {
		out = append(out, t.Name)
	}
	return append(out, "contract.drafted", "contract.signed", "contract.filed", "contract.amended", "contract.lessor_replaced", "contract.terminated", "contract.expired",
		"contract.filing_cancelled", "contract.annulled", "contract.upstream_ended", "escrow.funds_expected", "escrow.parties_replaced", "escrow.frozen", "escrow.unfrozen", "escrow.closed")
}

// Keys of the view.
const (
	keySubject  = "s"  // party → Subject
	keyKind     = "k"  // kind, org kind, party
	keyArea     = "d"  // district, party → Counters: why the party is of that district
	keyUSCC     = "x"  // code → party
	keyIdentity = "i"  // blind index → party
	keyOpening  = "o"  // opening state, district, party
	keyRoster   = "b"  // brokerage, practitioner
	keyEver     = "be" // brokerage, practitioner: on its roster once
	keyDeal     = "e"  // practitioner, signed day, contract
	keyMandate  = "m"  // to, from, mandate
	keyContract = "c"  // contract → lease
	keyTally    = "t"  // party → Counters: contracts and ledgers
	keyLedger   = "g"  // contract → ledger
	keyCount    = "n"  // district → Counters
)

// Opening states (开业信息报送).
const (
	OpeningReported  = "REPORTED"
	OpeningPublished = "PUBLISHED"
	OpeningReturned  = "RETURNED"
)

// Subject is one party of the roster.
type Subject struct {
	ID             string            `json:"id"`
	Kind           string            `json:"kind"`
	OrgKind        string            `json:"org_kind,omitempty"`
	Name           domain.Sealed     `json:"name,omitempty"`
	DocType        string            `json:"doc_type,omitempty"`
	DocNo          domain.Sealed     `json:"doc_no,omitempty"`
	DocIndex       domain.BlindIndex `json:"doc_index,omitempty"`
	Phone          domain.Sealed     `json:"phone,omitempty"`
	OrgName        string            `json:"org_name,omitempty"`
	USCC           string            `json:"uscc,omitempty"`
	ScopeText      string            `json:"scope_text,omitempty"`
	LicenceIssued  domain.Day        `json:"licence_issued,omitzero"`
	AdminCode      string            `json:"admin_code,omitempty"`
	RegisteredOn   domain.Day        `json:"registered_on,omitzero"`
	Level          int               `json:"level"` // Verification level, 0 to 3.
	VerifiedOn     domain.Day        `json:"verified_on,omitzero"`
	VerifyMethod   string            `json:"verify_method,omitempty"`
	OpeningState   string            `json:"opening_state,omitempty"`
	OpeningOn      domain.Day        `json:"opening_on,omitzero"` // Of the state.
	Opening        *party.Opening    `json:"opening,omitempty"`
	Suspended      bool              `json:"suspended,omitempty"`
	SuspendedOrder string            `json:"suspended_order,omitempty"`
	Erased         bool              `json:"erased,omitempty"`
	SublettingN    int               `json:"subletting_homes,omitempty"` // Scale reached (S-09).
	Representative string            `json:"representative,omitempty"`
	Mandates       []party.Mandate   `json:"mandates,omitempty"`  // Granted and not revoked.
	Brokerage      string            `json:"brokerage,omitempty"` // Where rostered as a practitioner.
	RosteredFrom   domain.Day        `json:"rostered_from,omitzero"`
	RosteredTo     domain.Day        `json:"rostered_to,omitzero"` // Last day on the roster left last.
	BannedUntil    domain.Day        `json:"banned_until,omitzero"`
	Trail          projections.Trail `json:"trail"`

	// Tally counts contracts and ledgers: lessor_out, lessor_head, lessee_out, lessee_head, homes_whole, rooms,
	// upstream_ended, ledgers, ledgers_frozen; filled by the queries.
	Tally         projections.Counters `json:"tally,omitempty"`
	Practitioners int                  `json:"practitioners,omitempty"` // Of a brokerage, filled by the queries.

	// Of rental enterprises and brokerages, on the day asked; filled by the queries.
	ScopeOK        *bool `json:"scope_ok,omitempty"`             // The business scope (经营范围) names the business.
	OpeningOverdue int   `json:"opening_overdue_days,omitempty"` // Days since the report was due, while there is none.
}

// Packed implements projections.Packed.
func (Subject) Packed() {}

// Apply folds a batch.
func (p Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	w := work{
		View: v, subjects: projections.Settling[Subject]{Effect: effect},
		leases: projections.Settling[lease]{Effect: lease.effect}, ledgers: projections.Settling[ledger]{Effect: ledger.effect},
	}
	for _, e := range batch {
		var err error
		switch ev := e.Event.(type) {
		case party.Event:
			err = w.party(ctx, e, ev)
		case contract.Event:
			err = w.contract(ctx, e, ev)
		case escrow.Event:
			err = w.escrow(ctx, e, ev)
		}
		if err != nil {
			return fmt.Errorf("people: %s@%d: %w", e.Stream, e.Revision, err)
		}
	}
	if err := errors.Join(w.subjects.Settle(ctx, v), w.leases.Settle(ctx, v), w.ledgers.Settle(ctx, v)); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}

// work is a batch: the view, and the rows whose indexes and figures are settled at its end.
type work struct {
	projections.View
	subjects projections.Settling[Subject]
	leases   projections.Settling[lease]
	ledgers  projections.Settling[ledger]
}

func (w *work) party(ctx context.Context, e projections.Event, ev party.Event) error {
	id := projections.ID(e.Stream)
	key := projections.Key(keySubject, id)
	before, err := projections.GetOwn[Subject](ctx, w.View, key, e)
	if err != nil {
		return err
	}
	after := before.after(ev, domain.DayOf(e.Meta.At))
	after.ID, after.Trail = id, before.Trail.Add(e)
	projections.Put(w.View, key, after)
	if r, ok := ev.(party.PractitionerRostered); ok {
		w.Set(projections.Key(keyEver, r.Brokerage, id), nil)
	}
	w.subjects.Changed(key, before, after)
	if before.USCC == after.USCC && before.DocIndex == after.DocIndex {
		return nil
	}
	return identity(after).Replace(ctx, w.View, identity(before))
}

func (s Subject) after(ev party.Event, on domain.Day) Subject {
	switch e := ev.(type) {
	case party.Registered:
		s.Kind, s.OrgKind, s.Name, s.DocType, s.DocNo, s.DocIndex, s.Phone = e.Kind, e.OrgKind, e.Name, e.DocType, e.DocNo, e.DocIndex, e.Phone
		s.OrgName, s.USCC, s.ScopeText, s.LicenceIssued, s.AdminCode, s.RegisteredOn = e.OrgName, e.USCC, e.ScopeText, e.LicenceIssued, e.AdminCode, on
	case party.IdentityVerified:
		s.Level, s.VerifyMethod, s.VerifiedOn = e.Level, e.Method, on
	case party.OpeningReported:
		s.OpeningState, s.OpeningOn, s.Opening = OpeningReported, on, &e.Opening
	case party.OpeningPublished:
		s.OpeningState, s.OpeningOn = OpeningPublished, e.On
	case party.OpeningReturned:
		s.OpeningState, s.OpeningOn = OpeningReturned, on
	case party.PractitionerRostered:
		s.Brokerage, s.RosteredFrom, s.RosteredTo = e.Brokerage, e.From, 0
	case party.PractitionerRemoved:
		s.Brokerage, s.RosteredTo = "", e.On
	case party.PractitionerBanned:
		s.BannedUntil = e.Until
	case party.MandateGranted:
		s.Mandates = append(slices.DeleteFunc(slices.Clone(s.Mandates), func(m party.Mandate) bool { return m.MandateID == e.MandateID }), e.Mandate)
	case party.MandateRevoked:
		s.Mandates = slices.DeleteFunc(slices.Clone(s.Mandates), func(m party.Mandate) bool { return m.MandateID == e.MandateID })
	case party.RepresentativeBound:
		s.Representative = e.Representative
	case party.DataCorrected:
		s = s.corrected(e)
	case party.Suspended:
		s.Suspended, s.SuspendedOrder = true, e.OrderNo
	case party.Reinstated:
		s.Suspended, s.SuspendedOrder = false, ""
	case party.SublettingScaleReached:
		s.SublettingN = e.Count
	case party.PersonalDataErased: // The key is gone with it; nothing sealed is of use any more.
		s.Erased, s.Name, s.DocNo, s.DocIndex, s.Phone = true, "", "", "", ""
	}
	return s
}

func (s Subject) corrected(e party.DataCorrected) Subject {
	if e.Name != "" {
		s.Name = e.Name
	}
	if e.Phone != "" {
		s.Phone = e.Phone
	}
	if e.OrgName != "" {
		s.OrgName = e.OrgName
	}
	if e.ScopeText != "" {
		s.ScopeText = e.ScopeText
	}
	return s
}

// districts the party itself belongs to: of its registration and of its opening report.
func (s Subject) districts() []string {
	all := []string{s.AdminCode}
	if s.Opening != nil {
		all = append(all, s.Opening.AdminCode)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(d string) bool { return d == "" })
}

const countAll = "city"

// identity is how a party is found by its code or document.
func identity(s Subject) (e projections.Effect) {
	if s.USCC != "" {
		e.Mark(projections.Key(keyUSCC, s.USCC), s.ID)
	}
	if s.DocIndex != "" {
		e.Mark(projections.Key(keyIdentity, string(s.DocIndex)), s.ID)
	}
	return e
}

func effect(s Subject) (e projections.Effect) {
	if s.ID == "" {
		return e
	}
	e.Mark(projections.Key(keyKind, s.Kind, s.OrgKind, s.ID), "")
	for _, m := range s.Mandates {
		e.Mark(projections.Key(keyMandate, m.To, s.ID, m.MandateID), "")
	}
	if s.Brokerage != "" {
		e.Mark(projections.Key(keyRoster, s.Brokerage, s.ID), "")
		e.Sum(projections.Key(keyTally, s.Brokerage), "practitioners", 1)
	}
	over := append(s.districts(), countAll)
	e.Over(over)
	e.SumEach(keyArea, projections.Key(s.ID), "own", 1)
	if s.OpeningState != "" {
		for _, d := range over {
			e.Mark(projections.Key(keyOpening, s.OpeningState, d, s.ID), "")
		}
		e.SumEach(keyCount, "", "openings_"+s.OpeningState, 1)
	}
	kind := s.Kind
	if s.OrgKind != "" {
		kind = s.OrgKind
	}
	e.SumEach(keyCount, "", "parties_"+kind, 1)
	e.SumEach(keyCount, "", "parties_level_"+strconv.Itoa(s.Level), 1)
	if s.Suspended {
		e.SumEach(keyCount, "", "parties_suspended", 1)
	}
	return e
}
