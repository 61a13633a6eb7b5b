package party

import "zujian/domain"

// Kinds of party (主体类别).
const (
	KindPerson     = "PERSON"      // 自然人
	KindOrg        = "ORG"         // 法人、非法人组织
	KindSoleTrader = "SOLE_TRADER" // 个体工商户: an identity like a person's, a code like an organisation's.
)

// Kinds of organisation (机构类别).
const (
	OrgRentalEnterprise = "RENTAL_ENTERPRISE" // 住房租赁企业
	OrgSubleaseOperator = "SUBLEASE_OPERATOR" // 轻资产住房租赁企业(转租经营)
	OrgBrokerage        = "BROKERAGE"         // 房地产经纪机构
	OrgSupervisingBank  = "SUPERVISING_BANK"  // 监管银行
	OrgEmployer         = "EMPLOYER"          // 用工单位
	OrgNetworkPlatform  = "NETWORK_PLATFORM"  // 网络平台经营者
	OrgOther            = "OTHER"
)

// Scopes of a mandate (委托范围).
const (
	ScopeList    = "LIST"    // Publish listings.
	ScopeSign    = "SIGN"    // Sign contracts.
	ScopeFile    = "FILE"    // File contracts.
	ScopeCollect = "COLLECT" // Collect rent.
	ScopeManage  = "MANAGE"  // Manage the home.
)

// Methods of identity verification (实名认证方式) and, beside each, the highest level it gives.
const (
	MethodSMS         = "SMS"            // 1
	MethodIDNameMatch = "ID_NAME_MATCH"  // 2
	MethodFace        = "FACE"           // 3
	MethodBankCard    = "BANK_CARD"      // 3
	MethodUSCCRep     = "USCC_LEGAL_REP" // 3: credit code and legal representative.
	MethodCounter     = "COUNTER"        // 3: documents seen at a counter.
)

// Command asks for a change of one party.
//
//sumtype:decl
type Command interface{ isCommand() }

// Register enters the party. Personal fields of persons and sole traders are sealed by the edge, which has checked the
// document number (S-02) before. An organisation's name and code are public.
type Register struct {
	Kind    string
	OrgKind string // ORG and SOLE_TRADER.

	Name     domain.Sealed
	DocType  string
	DocNo    domain.Sealed
	DocIndex domain.BlindIndex // Of type and number: the claim that makes a party unique.
	Phone    domain.Sealed
	Birth    domain.Sealed // "2006-01-02"; absent when the document does not tell.

	OrgName       string
	USCC          string // 统一社会信用代码, GB 32100.
	ScopeText     string // 经营范围
	LicenceIssued domain.Day
	AdminCode     string // Six-digit district of registration, if known.
}

// Verify raises the verification level (实名认证等级): 1 by phone, 2 identity and name match, 3 face, bank card or counter.
type Verify struct {
	Level  int
	Method string
}

// FailVerification records an attempt that did not match. The sixth attempt of a day is refused.
type FailVerification struct{ Method string }

// Opening is the opening report of an enterprise or brokerage (开业信息报送, REG812 Art 15, 24).
type Opening struct {
	AdminCode   string     `json:"admin_code"`          // District where it operates.
	Place       string     `json:"place"`               // Place of business, public.
	Operation   string     `json:"operation,omitempty"` // CENTRALIZED, SCATTERED, MANAGED, AGENCY_LET.
	Homes       int        `json:"homes,omitempty"`     // Homes or rooms operated.
	Staff       int        `json:"staff,omitempty"`     // Rostered staff.
	OwnFundsFen domain.Fen `json:"own_funds_fen,omitempty"`
	AccountBank string     `json:"account_bank,omitempty"`  // Party id of the supervising bank.
	AccountLast string     `json:"account_last4,omitempty"` // Last four digits of the supervised account.
	LocalEntity bool       `json:"local_entity,omitempty"`  // A legal entity of its own in this city (S-11).
}

// ReportOpening submits the opening report; a returned or published one may be submitted anew.
type ReportOpening struct{ Opening Opening }

// PublishOpening accepts and publishes the report. The district decides.
type PublishOpening struct{}

// ReturnOpening sends the report back.
type ReturnOpening struct{ Reason string }

// Roster enters a practitioner (从业人员) on a brokerage's roster. It goes to the practitioner's own stream, which so owns
// "one brokerage at a time" (S-07).
type Roster struct {
	Brokerage string
	From      domain.Day // Zero = today.
}

// Unroster takes the practitioner off the roster.
type Unroster struct {
	Brokerage string
	On        domain.Day // Last day on it; zero = today.
}

// Ban keeps a practitioner off every roster up to and including Until (REG812 Art 45).
type Ban struct {
	Until   domain.Day
	OrderNo string
}

// GrantMandate lets To act for this party (委托) within Scope, for Units (none = all), up to and including Until.
type GrantMandate struct {
	MandateID string
	To        string
	Scope     []string
	Units     []string
	Until     domain.Day
}

// RevokeMandate ends a mandate at once.
type RevokeMandate struct{ MandateID string }

// BindRepresentative names a person who acts for an organisation up to and including Until.
type BindRepresentative struct {
	Representative string
	Until          domain.Day
}

// ReplaceData corrects data on evidence. Empty fields stay. The identity itself (document, code) never changes.
type ReplaceData struct {
	Name, Phone domain.Sealed // Persons and sole traders.
	OrgName     string        // Organisations and sole traders.
	ScopeText   string
	Evidence    string // Reference of the document seen, no personal data.
}

// Suspend bars the party from new business by an order.
type Suspend struct{ Reason, OrderNo string }

// Reinstate lifts the suspension by an order.
type Reinstate struct{ OrderNo string }

// ReachScale records that a person sublets so many homes or rooms that registration is due (S-09).
type ReachScale struct{ Count int }

// Merge puts this party, a duplicate, into the one that stays (合并). The first actor proposes, ANOTHER confirms with the same
// words. The caller counts OpenContracts: they end or are renewed under the party that stays first.
type Merge struct {
	Survivor, Reason, DecisionNo string
	OpenContracts                int
}

// Erase proposes to destroy the party's personal data for good or, by another person under the same decision, does it. The
// caller counts OpenContracts and the ledgers that hold money, and knows how long the law keeps the data; afterwards it
// destroys the subject's key.
type Erase struct {
	Reason, DecisionNo string
	OpenContracts      int
	UnsettledLedgers   int
	RetainUntil        domain.Day // Last day of legal retention; zero = none.
}

func (Register) isCommand()           {}
func (Verify) isCommand()             {}
func (FailVerification) isCommand()   {}
func (ReportOpening) isCommand()      {}
func (PublishOpening) isCommand()     {}
func (ReturnOpening) isCommand()      {}
func (Roster) isCommand()             {}
func (Unroster) isCommand()           {}
func (Ban) isCommand()                {}
func (GrantMandate) isCommand()       {}
func (RevokeMandate) isCommand()      {}
func (BindRepresentative) isCommand() {}
func (ReplaceData) isCommand()        {}
func (Suspend) isCommand()            {}
func (Reinstate) isCommand()          {}
func (ReachScale) isCommand()         {}
func (Merge) isCommand()              {}
func (Erase) isCommand()              {}
