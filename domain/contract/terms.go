package contract

import "zujian/domain"

// Kinds of contract (合同类别).
const (
	KindHead = "HEAD" // 收房合同: owner → operator. Filed, but never in the rent figures.
	KindOut  = "OUT"  // 出房合同: lessor → tenant.
)

// Ways of letting (出租方式).
const (
	LetWhole  = "WHOLE"
	LetByRoom = "BY_ROOM"
	LetByBed  = "BY_BED"
)

// Terms are what the parties agree (合同条款): exactly these bytes are hashed and signed. Persons are ids; names and
// documents of occupants who are no party are sealed under their own keys, so that erasing a key erases the person
// and the hash still verifies.
type Terms struct {
	Kind    string   `json:"kind"`             // HEAD or OUT.
	Unit    string   `json:"unit"`             // Unit id.
	Rooms   []string `json:"rooms,omitempty"`  // Room ids let; none = the whole flat.
	LetMode string   `json:"let_mode"`         // WHOLE, BY_ROOM, BY_BED.
	Parent  string   `json:"parent,omitempty"` // HEAD contract a sublease (转租) stands under.
	Renews  string   `json:"renews,omitempty"` // Contract this one renews (续租).

	Lessors   []PartyShare `json:"lessors"`             // 出租人, ≥ 1
	Lessees   []PartyShare `json:"lessees"`             // 承租人, ≥ 1
	Occupants []Occupant   `json:"occupants,omitempty"` // 实际居住人 at move-in.
	Use       string       `json:"use"`                 // RESIDENTIAL

	Start    domain.Day `json:"start"`              // First day of the term.
	End      domain.Day `json:"end"`                // Last day of the term, included.
	SignedOn domain.Day `json:"signed_on,omitzero"` // Day of signing; absent = the day of the last signature.

	MonthlyRentFen domain.Fen `json:"monthly_rent_fen"` // > 0
	PayCycleMonths int        `json:"pay_cycle_months"` // Months of rent paid at once, 1–240.
	RentFreeDays   int        `json:"rent_free_days,omitempty"`

	DepositFen        domain.Fen `json:"deposit_fen"`
	DepositReturnDays *int       `json:"deposit_return_days,omitempty"` // Days after the end; REG812 Art 10 wants it named.
	DeductionGrounds  []string   `json:"deduction_grounds,omitempty"`   // ARREARS, DAMAGE, …: what may be deducted.

	SubleaseConsent bool    `json:"sublease_consent,omitempty"` // The lessee may sublet (民法典 716).
	Payee           Payee   `json:"payee,omitzero"`
	Brokerage       string  `json:"brokerage,omitempty"`    // Party id of the brokerage.
	Practitioner    string  `json:"practitioner,omitempty"` // Party id of the rostered person who brokered.
	Fees            []Fee   `json:"fees,omitempty"`
	Loan            *Loan   `json:"loan,omitempty"`
	Escrow          Escrow  `json:"escrow,omitzero"`
	Clauses         Clauses `json:"clauses,omitzero"`
	Relatives       bool    `json:"relatives,omitempty"` // Let between relatives: not in the rent figures.
	Docs            []Doc   `json:"docs,omitempty"`      // Attachments a rule may require.
	TemplateID      string  `json:"template_id,omitempty"`
	DocumentSHA256  string  `json:"document_sha256,omitempty"` // Hex hash of the full text the parties read.
}

// PartyShare is one party on one side.
type PartyShare struct {
	Party    string `json:"party"`
	ShareBP  int    `json:"share_bp,omitempty"` // Basis points of rent; 0 for all = joint (连带).
	Capacity string `json:"capacity,omitempty"` // OWNER (default), BUYER, USER_RIGHT, SUBLESSOR, AGENT.
}

// Capacities of a lessor (SAMR2025 model contract).
const (
	CapacityOwner     = "OWNER"
	CapacityBuyer     = "BUYER"
	CapacityUserRight = "USER_RIGHT"
	CapacitySublessor = "SUBLESSOR"
	CapacityAgent     = "AGENT"
)

// Occupant lives in the home (实际居住人). Either Party, or Name and Doc sealed.
type Occupant struct {
	ID       string        `json:"id"` // Unique in the contract.
	Party    string        `json:"party,omitempty"`
	Name     domain.Sealed `json:"name,omitempty"`
	DocType  string        `json:"doc_type,omitempty"`
	Doc      domain.Sealed `json:"doc,omitempty"`
	Room     string        `json:"room,omitempty"`
	Relation string        `json:"relation,omitempty"`  // SELF, SPOUSE, CHILD, PARENT, OTHER: to the lessee.
	FamilyID string        `json:"family_id,omitempty"` // Equal = one family (法定赡养抚养扶养关系).
	Minor    bool          `json:"minor,omitempty"`
	MoveIn   domain.Day    `json:"move_in,omitzero"`
}

// Payee is who collects the rent.
type Payee struct {
	Party string `json:"party,omitempty"`
	Role  string `json:"role,omitempty"` // LESSOR (default), OWNER, OPERATOR, ESCROW, BROKERAGE, PRACTITIONER, NETWORK_PLATFORM.
}

// Fee is a charge beside the rent. Kind FILING is a fee for filing, which nobody may take (C-16).
type Fee struct {
	Kind      string     `json:"kind"` // COMMISSION, SERVICE, FILING, …
	AmountFen domain.Fen `json:"amount_fen"`
	Payee     string     `json:"payee,omitempty"`  // Party id.
	Listed    bool       `json:"listed,omitempty"` // On the posted price list (REG812 Art 26).
}

// Loan is a rent loan (租金贷) tied to the contract.
type Loan struct {
	Embedded       bool       `json:"embedded,omitempty"` // Written into the lease, or induced by a rebate (C-11).
	Lender         string     `json:"lender,omitempty"`
	AmountFen      domain.Fen `json:"amount_fen"`
	Months         int        `json:"months"`
	PayCycleMonths int        `json:"pay_cycle_months"` // Rhythm of payout.
	ToLessee       bool       `json:"to_lessee"`        // Paid out to the lessee's own account.
}

// Escrow says whether money goes through the supervised account (资金监管).
type Escrow struct {
	Mode string `json:"mode,omitempty"` // NONE (default), VOLUNTARY, MANDATORY.
	Bank string `json:"bank,omitempty"` // Party id of the supervising bank.
}

// Escrow modes.
const (
	EscrowNone      = "NONE"
	EscrowVoluntary = "VOLUNTARY"
	EscrowMandatory = "MANDATORY"
)

// Clauses are agreed points that later computations need.
type Clauses struct {
	BreakFeeFen       domain.Fen `json:"break_fee_fen,omitempty"` // 违约金 for ending early.
	RenewalNoticeDays int        `json:"renewal_notice_days,omitempty"`
	Dispute           string     `json:"dispute,omitempty"` // MEDIATION, ARBITRATION, COURT
}

// Doc is an attachment by its hash.
type Doc struct {
	Kind   string `json:"kind"` // CO_OWNER_CONSENT, OWNER_SUBLEASE_CONSENT, GUARDIAN_CONSENT, CONVERSION_APPROVAL, COURT_CONSENT
	SHA256 string `json:"sha256"`
}

// UnitFacts are the facts of the unit on the day of the command, copied from its stream and its building.
type UnitFacts struct {
	ID                 string      `json:"id"`
	Building           string      `json:"building,omitempty"`
	ReportUnit         string      `json:"report_unit,omitempty"`
	Street             string      `json:"street,omitempty"`
	AdminCode          string      `json:"admin_code,omitempty"`
	GrossAreaC         int64       `json:"gross_area_c,omitempty"` // 0.01 ㎡
	InnerAreaC         int64       `json:"inner_area_c,omitempty"` // 0.01 ㎡; 0 = unknown.
	Bedrooms           int         `json:"bedrooms,omitempty"`
	Fitout             string      `json:"fitout,omitempty"`
	Floor              int         `json:"floor,omitempty"`
	Floors             int         `json:"floors,omitempty"`
	BuiltYear          int         `json:"built_year,omitempty"`
	MetroM             int         `json:"metro_m,omitempty"`
	PlannedUse         string      `json:"planned_use,omitempty"`         // RESIDENTIAL, …
	ConversionApproved bool        `json:"conversion_approved,omitempty"` // 非居改租 (U-11)
	Incomplete         bool        `json:"incomplete,omitempty"`          // 非成套住宅
	LandKind           string      `json:"land_kind,omitempty"`           // STATE (default), COLLECTIVE
	SafetyGrade        string      `json:"safety_grade,omitempty"`        // A–D; "" = never appraised.
	Flags              []string    `json:"flags,omitempty"`               // SEIZED, MORTGAGED, OBJECTION, ILLEGAL, NOT_LETTABLE, USE_CHANGED
	Retired            bool        `json:"retired,omitempty"`
	OtherHeads         int         `json:"other_heads,omitempty"`    // People living in the flat under other contracts now in force.
	OtherFamilies      int         `json:"other_families,omitempty"` // Their families.
	OtherAdults        int         `json:"other_adults,omitempty"`   // Adults among them without family there.
	Rooms              []RoomFacts `json:"rooms,omitempty"`
	Owners             []Owner     `json:"owners,omitempty"` // None = ownership never recorded.
}

// RoomFacts is one room of the unit.
type RoomFacts struct {
	ID          string `json:"id"`
	Kind        string `json:"kind"`   // BEDROOM, LIVING_ROOM, KITCHEN, …
	Origin      string `json:"origin"` // DESIGNED or PARTITION.
	UsableAreaC int64  `json:"usable_area_c,omitempty"`
}

// Owner is a registered owner and the share held.
type Owner struct {
	Party   string `json:"party"`
	ShareBP int    `json:"share_bp"`
}

// PartyFacts are the facts of one party (lessor, lessee, brokerage, practitioner, payee) on the day of the command.
// Age is never here: Minor is all the rules need.
type PartyFacts struct {
	ID              string   `json:"id"`
	Kind            string   `json:"kind"`               // PERSON, ORG, SOLE_TRADER
	OrgKind         string   `json:"org_kind,omitempty"` // RENTAL_ENTERPRISE, SUBLEASE_OPERATOR, BROKERAGE, …
	Level           int      `json:"level"`              // Verification level 0–3.
	Suspended       bool     `json:"suspended,omitempty"`
	Banned          bool     `json:"banned,omitempty"` // Practitioner under a ban.
	Minor           bool     `json:"minor,omitempty"`
	Erased          bool     `json:"erased,omitempty"`
	OpeningReported bool     `json:"opening_reported,omitempty"` // Opening report (开业报告) published.
	Roster          string   `json:"roster,omitempty"`           // Brokerage on whose roster a practitioner stands.
	Mandates        []string `json:"mandates,omitempty"`         // Parties that may sign for this one on this unit (scope SIGN).
	SublettingHomes int      `json:"subletting_homes,omitempty"` // Homes or rooms a person sublets now (S-09).

	Account            string     `json:"account,omitempty"`             // Its supervised account in force.
	AccountBank        string     `json:"account_bank,omitempty"`        // The bank that holds it.
	ReserveFen         domain.Fen `json:"reserve_fen,omitzero"`          // Free risk reserve of its supervised account (M-07).
	ReserveRequiredFen domain.Fen `json:"reserve_required_fen,omitzero"` // 0 until an authority sets it.
}

// ParentFacts are the facts of the HEAD contract a sublease stands under.
type ParentFacts struct {
	ID              string     `json:"id"`
	Exists          bool       `json:"exists"`
	Filed           bool       `json:"filed"`
	Ended           bool       `json:"ended,omitempty"`
	Unit            string     `json:"unit,omitempty"`
	Rooms           []string   `json:"rooms,omitempty"`
	Lessees         []string   `json:"lessees,omitempty"` // Party ids.
	Start           domain.Day `json:"start,omitzero"`
	End             domain.Day `json:"end,omitzero"`
	MonthlyRentFen  domain.Fen `json:"monthly_rent_fen,omitempty"`
	SubleaseConsent bool       `json:"sublease_consent,omitempty"`
	ChainDepth      int        `json:"chain_depth,omitempty"`      // 1 for a HEAD from the owner.
	SumOutRentFen   domain.Fen `json:"sum_out_rent_fen,omitempty"` // Σ monthly rent of the OTHER contracts now under it.
	LetRooms        []string   `json:"let_rooms,omitempty"`        // Rooms of those contracts.
}

// ProjectFacts are those of the recognised 保障性租赁住房 project the unit belongs to.
type ProjectFacts struct {
	RecognitionNo   string     `json:"recognition_no"`
	AssessedRentFen domain.Fen `json:"assessed_rent_fen"`           // Assessed market rent per month.
	PrevRentFen     domain.Fen `json:"prev_rent_fen_12m,omitempty"` // The same unit twelve months ago; 0 = none.
	Eligible        bool       `json:"eligible,omitempty"`          // The lessee was found eligible (G-02).
	Public          bool       `json:"public,omitempty"`            // 公租房 rather than 保租房.
}

// RenewalFacts are those of the contract that is renewed.
type RenewalFacts struct {
	Contract       string     `json:"contract"`
	MonthlyRentFen domain.Fen `json:"monthly_rent_fen"`
	End            domain.Day `json:"end"`
}

// Subject is every fact of other aggregates that judging a contract needs, copied into the command by the desk.
type Subject struct {
	Unit    UnitFacts     `json:"unit"`
	Parties []PartyFacts  `json:"parties"` // Lessors, lessees, brokerage, practitioner, payee.
	Parent  *ParentFacts  `json:"parent,omitempty"`
	Project *ProjectFacts `json:"project,omitempty"`
	Renewal *RenewalFacts `json:"renewal,omitempty"`
}
