package contract

import "zujian/domain"

// ID names a contract; its stream is "contract-<id>".
type ID string

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// Draft records the terms to be signed (草拟). The same terms again write nothing.
type Draft struct {
	Terms           Terms
	Subject         Subject
	GuidanceVersion string // Guidance price version in force on the day of signing, "2026Q3/1"; "" = none published.
}

// AbandonDraft gives up a draft that not all have signed.
type AbandonDraft struct{ Reason string }

// Sign is one party's signature over the content hash (签署). The desk has checked the key or the evidence.
type Sign struct {
	Party       string // Who is bound.
	ContentHash string // What the signer saw; must be the draft's.
	Method      string // KEY (default), E_SIGN, MANDATE
	Evidence    string // SHA-256 hex of the signed document; required for E_SIGN.
	Mandated    bool   // The actor holds a live mandate of Party with scope SIGN for the unit; required for MANDATE.

	Refreshed       *Subject // Facts on the day of the signature; nil = those of the draft. Read at the last signature.
	GuidanceVersion string   // In force on the day of signing; "" = none.
}

// Methods of signing.
const (
	MethodKey     = "KEY"
	MethodESign   = "E_SIGN"
	MethodMandate = "MANDATE"
	MethodPaper   = "PAPER"
)

// Decline is a party's refusal to sign; the draft ends.
type Decline struct{ Party, Reason string }

// RecordPaper records a contract signed on paper: at a counter, or by a lessee who files alone. It binds all parties.
type RecordPaper struct {
	ScanSHA256      string // Hex.
	ContentHash     string
	ByRole          string // COUNTER or LESSEE.
	By              string // Party id for LESSEE; "" for COUNTER.
	GuidanceVersion string // As of Sign.
}

// Roles of whoever files (C-15).
const (
	ByBrokerage = "BROKERAGE"
	ByLessor    = "LESSOR"
	ByLessee    = "LESSEE"
	ByCounter   = "COUNTER"
)

// File asks for the filing (备案). Number comes from the numbering stream and may be lost; a held filing keeps it.
type File struct {
	Number    string // "BA…", 19 characters.
	ByRole    string
	By        string   // Party id; for LESSOR also when a mandated company or broker acts for it. "" for COUNTER.
	Refreshed *Subject // Facts on the day of filing; nil = those of the draft.
	Authority string   // Filing authority (备案机关): its six-digit code; "" = the unit's district.
}

// DecideFiling is the district's decision on a held filing.
type DecideFiling struct {
	Accept bool
	Reason string // Required to return.
}

// Changes of an amendment; nil and empty leave as is.
type Changes struct {
	MonthlyRentFen    *domain.Fen `json:"monthly_rent_fen,omitempty"`
	DepositFen        *domain.Fen `json:"deposit_fen,omitempty"`
	PayCycleMonths    int         `json:"pay_cycle_months,omitempty"`
	End               domain.Day  `json:"end,omitzero"`
	Payee             *Payee      `json:"payee,omitempty"`
	Escrow            *Escrow     `json:"escrow,omitempty"`
	DepositReturnDays *int        `json:"deposit_return_days,omitempty"`
	DeductionGrounds  []string    `json:"deduction_grounds,omitempty"`
	SubleaseConsent   *bool       `json:"sublease_consent,omitempty"`

	Lessees []PartyShare `json:"lessees,omitempty"` // The whole side as it is to be: a co-tenant replaced (合租人变更).
}

// ProposeAmendment puts changed terms to all parties (变更). One proposal is open at a time; a newer replaces it.
type ProposeAmendment struct {
	AmendmentID   string
	By            string // Party id of the proposer.
	Changes       Changes
	EffectiveFrom domain.Day
	Refreshed     *Subject
}

// SignAmendment is one party's signature over AmendmentHash. The last one amends the contract.
type SignAmendment struct {
	AmendmentID, Party, Hash string
	Refreshed                *Subject
}

// ApplyAmendment asks to put an amendment in force as it stands. Without every signature it is refused: C-25 when it
// would raise the rent without the lessees', else because not all have signed.
type ApplyAmendment struct{ AmendmentID string }

// ReplaceLessor puts the lessors of a new title in the place of those who sold: a sale does not break a lease (买卖不破租赁,
// 民法典第七百二十五条). The authority or the registry partner records it; nobody signs.
type ReplaceLessor struct {
	Lessors   []PartyShare
	TitleNo   string
	From      domain.Day // Day of the new title; the rent falls to the new lessors from then on.
	Refreshed *Subject
}

// Directions of a hand-over.
const (
	HandoverIn  = "IN"  // To the lessee.
	HandoverOut = "OUT" // Back to the lessor.
)

// Handover is the inventory of a hand-over (房屋交割单): meters, things and photographs.
type Handover struct {
	Direction    string     `json:"direction"` // IN, OUT
	On           domain.Day `json:"on"`
	Readings     []Reading  `json:"readings,omitempty"`
	Items        []Item     `json:"items,omitempty"`
	Keys         int        `json:"keys,omitempty"`
	PhotosSHA256 string     `json:"photos_sha256,omitempty"` // Hex hash of the photographs.
}

// Reading is where a meter stands, in thousandths of its unit (kWh, m³).
type Reading struct {
	Meter      string `json:"meter"` // WATER, POWER, GAS, HEAT
	ValueMilli int64  `json:"value_milli"`
}

// Item is a thing handed over.
type Item struct {
	Name      string `json:"name"`
	Count     int    `json:"count"`
	Condition string `json:"condition,omitempty"` // GOOD, WORN, DAMAGED, MISSING
}

// RecordHandover puts one side's inventory to the other. A newer one of the same direction replaces it until both agree.
type RecordHandover struct {
	Party    string
	Handover Handover
}

// ConfirmHandover is the other side's word for the inventory of that hash.
type ConfirmHandover struct{ Party, Direction, Hash string }

// AddOccupant registers who moves in; U-02 and U-03 are judged on everyone then living there.
type AddOccupant struct {
	Occupant  Occupant
	Refreshed *Subject // Facts of today; nil = those of the filing.
}

// RemoveOccupant registers who moved out.
type RemoveOccupant struct {
	OccupantID string
	On         domain.Day
}

// Sides of a contract, and the other ways it can end.
const (
	SideLessor = "LESSOR"
	SideLessee = "LESSEE"
	Agreed     = "AGREED"
	Court      = "COURT"
)

// GiveNotice announces the end (C-20, REG812 Art 12).
type GiveNotice struct {
	By                   string // LESSOR or LESSEE.
	Party                string
	Ground               string
	NoticeDate, VacateBy domain.Day
}

// Terminate ends the contract before its last day (解除). AGREED needs every party's word (Party says whose this is);
// LESSOR needs a notice that stands; COURT is recorded by the authority and needs a decision number.
type Terminate struct {
	By         string // LESSOR, LESSEE, AGREED, COURT
	Party      string
	Ground     string
	DecisionNo string
	On         domain.Day // Last day of the lease.
}

// Expire ends a contract whose last day has passed.
type Expire struct{}

// Renew links the contract to the one that continues it (续租).
type Renew struct{ NewContract string }

// CancelFiling proposes to cancel a filing made in error or by fraud (注销备案); ANOTHER actor approves.
type CancelFiling struct{ Reason, DecisionNo string }

// ApproveCancellation is the second pair of eyes.
type ApproveCancellation struct{ DecisionNo string }

// RejectCancellation drops a proposed cancellation.
type RejectCancellation struct{ DecisionNo, Reason string }

// MarkUpstreamEnded says the HEAD contract above ended (scenario 6): the tenant is protected, the mark warns all.
type MarkUpstreamEnded struct {
	Head string
	On   domain.Day
}

// Annul voids a contract whose space was lost to another before it was secured.
type Annul struct{ Reason string }

// LegacySource says where a legacy row stood.
type LegacySource struct {
	Name  string `json:"name"` // File name without folder.
	Sheet string `json:"sheet,omitempty"`
	Row   int    `json:"row"` // From 1, header included.
}

// RecordLegacy takes a filing of an older system, incomplete as it is.
type RecordLegacy struct {
	Source         LegacySource
	Missing        []string // Terms fields the old system did not have.
	Observation    domain.Observation
	Kind           string // "" = OUT.
	Number         string // The old system's own filing number.
	FiledOn        domain.Day
	Start, End     domain.Day
	MonthlyRentFen domain.Fen
	DepositFen     domain.Fen
	UnitText       string // Address to building level at most.
}

func (Draft) isCommand()               {}
func (AbandonDraft) isCommand()        {}
func (Sign) isCommand()                {}
func (Decline) isCommand()             {}
func (RecordPaper) isCommand()         {}
func (File) isCommand()                {}
func (DecideFiling) isCommand()        {}
func (ProposeAmendment) isCommand()    {}
func (SignAmendment) isCommand()       {}
func (ApplyAmendment) isCommand()      {}
func (ReplaceLessor) isCommand()       {}
func (RecordHandover) isCommand()      {}
func (ConfirmHandover) isCommand()     {}
func (AddOccupant) isCommand()         {}
func (RemoveOccupant) isCommand()      {}
func (GiveNotice) isCommand()          {}
func (Terminate) isCommand()           {}
func (Expire) isCommand()              {}
func (Renew) isCommand()               {}
func (CancelFiling) isCommand()        {}
func (ApproveCancellation) isCommand() {}
func (RejectCancellation) isCommand()  {}
func (MarkUpstreamEnded) isCommand()   {}
func (Annul) isCommand()               {}
func (RecordLegacy) isCommand()        {}
