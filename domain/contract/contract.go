// Package contract decides the life of a lease contract (租赁合同): drafted 草拟 → signed 签署 → filed 备案 → ended 终止,
// with amendments 变更, occupants 实际居住人, notice 通知, renewal 续租 and cancellation 注销 on the way. It owns its own
// paperwork only: "one lease per space" (U-10) is the unit stream's, money the escrow stream's.
//
// # Decisions
//
// The signature is over the content: [Hash] of the terms in the canonical JSON of RFC 8785, which anyone can compute
// again. Terms change after the last signature by an amendment alone, and an amendment is signed by all the same way.
//
// Rules are those in force on the day of signing (the terms' signed_on, else the day of the last signature), whenever
// the contract is filed. They are judged at the draft, so that errors come early, and again at the last signature.
// Filing judges the filing rules and, once more with fresh facts, the signing rules: what would refuse a new contract
// only holds a signed one, because an unfiled contract is valid all the same (民法典第七百零六条) and the register must
// see it. An amendment is an agreement of its own, judged by the rules of its own day; it can add what they miss.
//
// Whether both sides agreed is structural, not a rule a regulator can switch: a rise without the lessee (C-25), a
// lessor's termination without notice (C-20) and a signature without a mandate (C-19) are refused here, by the rule's
// name. Paper that a lessee alone recorded is filed only after a human saw it: one upload must not bind a stranger.
//
// A contract that ends on a future day is ENDED at once, with EndedOn in the future: nothing more is decided about it.
package contract

import (
	"slices"
	"time"

	"zujian/domain"
)

// Decider is the contract aggregate.
var Decider = domain.Decider[State, Command, Event]{
	Category: "contract", Evolve: evolve,
	Decide: func(s State, r request) ([]Event, error) { return decide(s, r, new(judge)) },
}

// OneCall is room for the commands of one call under one rule set, which one goroutine gives. It may be used again.
type OneCall struct{ judge judge }

// Decider decides as [Decider] does: what the draft, the last signature and the filing ask of the rules alike, without fresh
// facts, the rules are asked once. The one before decides no more.
func (c *OneCall) Decider() domain.Decider[State, Command, Event] {
	c.judge = judge{}
	d := Decider
	d.Decide = func(s State, r request) ([]Event, error) { return decide(s, r, &c.judge) }
	return d
}

// Stage is how far a contract has come.
type Stage string

// Stages. The zero Stage means no contract.
const (
	StageNone      Stage = ""
	StageDrafted   Stage = "DRAFTED"
	StageSigned    Stage = "SIGNED"
	StageHeld      Stage = "HELD"     // Filing waits for a human.
	StageReturned  Stage = "RETURNED" // Filing was sent back; it may be asked for again.
	StageFiled     Stage = "FILED"
	StageEnded     Stage = "ENDED"
	StageAbandoned Stage = "ABANDONED"
	StageDeclined  Stage = "DECLINED"
	StageCancelled Stage = "CANCELLED"
	StageAnnulled  Stage = "ANNULLED"
)

// live are the stages of a binding contract that has not ended.
var live = []Stage{StageSigned, StageHeld, StageReturned, StageFiled}

// EndExpired is the EndReason of a contract whose last day passed; the others are SideLessor, SideLessee, Agreed, Court.
const EndExpired = "EXPIRED"

// OriginLegacy marks a contract taken over from an older system.
const OriginLegacy = "LEGACY"

// State is what later decisions and readers of one contract need.
type State struct {
	Stage     Stage
	Origin    string // LEGACY or "".
	Source    LegacySource
	Terms     Terms // In force: amendments applied.
	Subject   Subject
	Occupants []Occupant // Living there now.
	Left      []string   // Ids of occupants who moved out.

	DraftHash       string // What was signed.
	ContentHash     string // Of Terms.
	Signatures      []Signature
	SignedOn        domain.Day
	Escrow          Escrow
	GuidanceVersion string // In force at signing.
	Paper           PaperRecorded

	FilingNo        string
	FiledByRole     string
	FiledBy         string
	HeldOn          domain.Day
	HeldRules       domain.Verdict
	HeldReasons     []string // Rule ids a human has to look at.
	FiledOn         domain.Day
	Late            bool
	Authority       string
	CertificateHash string        // Of the certificate's latest version.
	Certificates    []Certificate // Every version of the certificate; filled from the first change on, see CertificateVersions.
	ReturnReason    string

	Amendment    *Amendment // Open proposal.
	Amendments   []Amendment
	Notice       *NoticeGiven
	Agreed       []TerminationAgreed
	EndReason    string
	EndedOn      domain.Day // Last day of the lease.
	RenewedBy    string
	Cancellation *CancellationProposed
	Upstream     *UpstreamEnded
	Handovers    []HandoverState // At most one of each direction.

	Observations []domain.Observation // Segments by rent, oldest first; none before filing.
}

// Signature is one party's.
type Signature struct {
	Party  string
	Method string
	By     string // Party that signed under a mandate.
	At     time.Time
}

// Amendment is a proposal and who signed it.
type Amendment struct {
	ID            string
	Changes       Changes
	EffectiveFrom domain.Day
	Hash          string
	Signed        []string
}

// Live is true of a binding contract that has not ended.
func (s State) Live() bool { return slices.Contains(live, s.Stage) }

// Parties are the ids of all lessors and lessees, lessors first.
func (s State) Parties() []string { return s.Terms.parties() }

// Unsigned are the parties whose signature is missing.
func (s State) Unsigned() []string {
	var out []string
	for _, side := range [][]PartyShare{s.Terms.Lessors, s.Terms.Lessees} {
		for i := range side {
			if p := side[i].Party; !s.signedBy(p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// lacksOnly is true when one party's signature is missing and no other.
func (s *State) lacksOnly(party string) bool {
	for _, side := range [][]PartyShare{s.Terms.Lessors, s.Terms.Lessees} {
		for i := range side {
			if p := side[i].Party; p != party && !s.signedBy(p) {
				return false
			}
		}
	}
	return true
}

func (s State) signedBy(party string) bool {
	return slices.ContainsFunc(s.Signatures, func(g Signature) bool { return g.Party == party })
}

// Summary is what views keep of the terms in force.
func (s State) Summary() Summary {
	return summarise(s.Terms, s.Subject.Unit, s.Escrow, len(s.Occupants))
}

// Names tells whether a party is a lessor or a lessee.
func (t *Terms) Names(party string) bool {
	is := func(p PartyShare) bool { return p.Party == party }
	return slices.ContainsFunc(t.Lessors, is) || slices.ContainsFunc(t.Lessees, is)
}

func (t Terms) parties() []string {
	return slices.Concat(partyIDs(t.Lessors), partyIDs(t.Lessees))
}

func summarise(t Terms, u UnitFacts, e Escrow, occupants int) Summary {
	return Summary{
		Kind: t.Kind, Unit: t.Unit, Building: u.Building, Rooms: t.Rooms, LetMode: t.LetMode, Parent: t.Parent,
		Start: t.Start, End: t.End, MonthlyRentFen: t.MonthlyRentFen, PayCycleMonths: t.PayCycleMonths,
		DepositFen: t.DepositFen, Escrow: e, ReportUnit: u.ReportUnit, Street: u.Street, AdminCode: u.AdminCode,
		Lessors: partyIDs(t.Lessors), Lessees: partyIDs(t.Lessees), Brokerage: t.Brokerage, Occupants: occupants,
	}
}

type request = domain.Request[Command]

func decide(s State, r request, j *judge) ([]Event, error) {
	switch c := r.Command.(type) {
	case Draft:
		return draft(s, r, c, j)
	case RecordLegacy:
		return recordLegacy(s, c)
	}
	if s.Stage == StageNone {
		return nil, ErrNotFound
	}
	switch c := r.Command.(type) {
	case AbandonDraft:
		return abandon(s, c)
	case Sign:
		return sign(s, r, c, j)
	case Decline:
		return decline(s, c)
	case RecordPaper:
		return recordPaper(s, r, c, j)
	case File:
		return file(s, r, c, j)
	case DecideFiling:
		return decideFiling(s, r, c, j)
	case ProposeAmendment:
		return proposeAmendment(s, r, c)
	case SignAmendment:
		return signAmendment(s, r, c)
	case ApplyAmendment:
		return applyAmendment(s, r, c)
	case ReplaceLessor:
		return replaceLessor(s, r, c)
	case RecordHandover:
		return recordHandover(s, r, c)
	case ConfirmHandover:
		return confirmHandover(s, c)
	case AddOccupant:
		return addOccupant(s, r, c)
	case RemoveOccupant:
		return removeOccupant(s, r, c)
	case GiveNotice:
		return giveNotice(s, r, c)
	case Terminate:
		return terminate(s, r, c)
	case Expire:
		return expire(s, r)
	case Renew:
		return renew(s, c)
	case CancelFiling:
		return proposeCancellation(s, r, c)
	case ApproveCancellation:
		return approveCancellation(s, r, c)
	case RejectCancellation:
		return rejectCancellation(s, c)
	case MarkUpstreamEnded:
		return markUpstreamEnded(s, c)
	case Annul:
		return annul(s, c)
	}
	panic("contract: unhandled command") // Sealed set: only a programming error gets here.
}

// wrongState says where the contract stands and where the command would be right.
func (s State) wrongState(allowed ...Stage) error {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	return ErrWrongState.With("from", string(s.Stage)).With("allowed", names)
}
