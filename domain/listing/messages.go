package listing

import "zujian/domain"

// Ways of letting (出租方式).
const (
	LetWhole  = "WHOLE"
	LetByRoom = "BY_ROOM"
	LetByBed  = "BY_BED"
)

// Roles of a publisher.
const (
	PublisherOwner   = "OWNER"
	PublisherCompany = "COMPANY" // 住房租赁企业
	PublisherBroker  = "BROKER"  // 经纪机构
)

// Prechecks are what a broker must have before publishing (REG812 Art 23, L-07).
type Prechecks struct {
	Identity  bool `json:"identity,omitempty"`  // Principal's identity seen.
	Title     bool `json:"title,omitempty"`     // Title seen.
	Visit     bool `json:"visit,omitempty"`     // Home visited (实地查看).
	Contract  bool `json:"contract,omitempty"`  // Brokerage contract signed.
	Statement bool `json:"statement,omitempty"` // Condition statement (住房状况说明书) sealed.
}

// AccountRef names a supervised account as it may be shown: bank and last four digits.
type AccountRef struct {
	Bank  string `json:"bank,omitempty"`
	Last4 string `json:"last4,omitempty"`
}

// Offer is what a listing says.
type Offer struct {
	Unit           string     `json:"unit"`
	Rooms          []string   `json:"rooms,omitempty"` // None = the whole flat.
	LetMode        string     `json:"let_mode"`
	Publisher      string     `json:"publisher"`      // Party id.
	PublisherRole  string     `json:"publisher_role"` // OWNER, COMPANY, BROKER.
	Owner          string     `json:"owner"`          // Party id of who lets it: an owner, or the lessee of a HEAD contract.
	RentFen        domain.Fen `json:"rent_fen"`       // Per month, > 0.
	DepositFen     domain.Fen `json:"deposit_fen,omitempty"`
	PayCycleMonths int        `json:"pay_cycle_months,omitempty"`
	AreaC          int64      `json:"area_c,omitempty"` // 0.01 ㎡, as advertised.
	AvailableFrom  domain.Day `json:"available_from,omitzero"`
	Channels       []string   `json:"channels,omitempty"` // Platforms it is shown on.
	Prechecks      Prechecks  `json:"prechecks,omitzero"`
	AccountRef     AccountRef `json:"account_ref,omitzero"`
	Text           string     `json:"text,omitempty"` // Public; ≤ 2000 characters.
}

// UnitFacts are the unit's facts on the day of the command, copied by the desk.
type UnitFacts struct {
	Building           string
	AdminCode          string
	ReportUnit         string
	Street             string
	Address            string // To building level.
	GrossAreaC         int64
	InnerAreaC         int64
	PlannedUse         string
	ConversionApproved bool
	Incomplete         bool
	LandKind           string
	SafetyGrade        string
	Flags              []string
	Retired            bool
	Rooms              []RoomFacts // All rooms of the unit.
	Owners             []string
}

// RoomFacts is one room of the unit.
type RoomFacts struct {
	ID          string
	Kind        string
	Origin      string
	UsableAreaC int64
}

// PartyFacts are a party's facts on the day of the command.
type PartyFacts struct {
	Kind             string
	OrgKind          string
	Level            int
	Suspended        bool
	OpeningReported  bool // Opening report published.
	LicenceIssued    domain.Day
	ScopeText        string
	EscrowAccounts   int  // Active supervised accounts.
	OnBlackList      bool // S-14
	SublettingHomes  int  // S-09
	EntityRegistered bool // Registered as a market entity.
}

// GuidanceFacts are the guidance price of the cell, in fen per square metre and month; nil when none is published.
type GuidanceFacts struct {
	Version   int
	MedianFen domain.Fen
	P25Fen    domain.Fen
	P75Fen    domain.Fen
}

// Facts are every fact of other aggregates a verification needs.
type Facts struct {
	Unit          UnitFacts
	Publisher     PartyFacts
	Owner         PartyFacts
	Mandated      bool   // The publisher may list this unit for the owner (委托).
	HeadLessee    string // Lessee of the HEAD contract in force on the space, "" = none (L-11).
	HeadContract  string
	Let           bool // An OUT contract already holds the space on AvailableFrom or later.
	OtherListings []OtherListing
	Guidance      *GuidanceFacts
}

// OtherListing is another live listing of the same space (L-06).
type OtherListing struct {
	RentFen domain.Fen
	AreaC   int64
}

// Check is one automatic check of a verification.
type Check struct {
	Name string `json:"name"` // IDENTITY, TITLE, MANDATE.
	OK   bool   `json:"ok"`
}

// Command asks for a change of one listing.
//
//sumtype:decl
type Command interface{ isCommand() }

// Draft creates the listing.
type Draft struct{ Offer Offer }

// Edit replaces the offer. Unit, publisher and role stay. Rent, area, rooms, mode, owner or account changed after the
// submission send it back to DRAFT and void its code.
type Edit struct{ Offer Offer }

// Submit asks for verification (房源核验). Code and ValidUntil are used if every check passes.
type Submit struct {
	Facts      Facts
	Code       string // 核验码
	ValidUntil domain.Day
}

// Review is the district's decision on a held listing.
type Review struct {
	Accept     bool
	Code       string
	ValidUntil domain.Day
	Reason     string
}

// Publish makes a verified listing public.
type Publish struct{ Facts Facts }

// Suspend takes it off for a time.
type Suspend struct{ Cause string }

// Resume brings it back. What the authority suspended only the authority resumes.
type Resume struct{}

// Withdraw ends it by the publisher's wish.
type Withdraw struct{ Reason string }

// MarkLet ends it because a contract for the space was filed (L-03). A listing already ended stays as it is.
type MarkLet struct {
	Contract string
	RentFen  domain.Fen // Of the contract, a month; 0 = not known. Above the rent asked it raises the alert of L-10.
}

// Expire ends it when its code is over on On (L-02). Too early or already ended, nothing happens.
type Expire struct{ On domain.Day }

// Revoke ends it by a finding of the authority (L-13).
type Revoke struct{ Finding string }

// Renew gives it a fresh code.
type Renew struct {
	Code       string
	ValidUntil domain.Day
}

// Object contests a rejection.
type Object struct{ Text string }

// DecideObjection decides it; upheld, the listing is verified under Code.
type DecideObjection struct {
	Uphold     bool
	Code       string
	ValidUntil domain.Day
	Reason     string
}

func (Draft) isCommand()           {}
func (Edit) isCommand()            {}
func (Submit) isCommand()          {}
func (Review) isCommand()          {}
func (Publish) isCommand()         {}
func (Suspend) isCommand()         {}
func (Resume) isCommand()          {}
func (Withdraw) isCommand()        {}
func (MarkLet) isCommand()         {}
func (Expire) isCommand()          {}
func (Revoke) isCommand()          {}
func (Renew) isCommand()           {}
func (Object) isCommand()          {}
func (DecideObjection) isCommand() {}
