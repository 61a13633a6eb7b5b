package account

import "zujian/domain"

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// Apply asks for an account at a bank. With an account in force it asks to change the bank: the old account stays in
// force until an authority accepts the new one. The same again writes nothing.
type Apply struct {
	Operator  string
	Bank      string
	AdminCode string // District whose authority looks at it.
}

// Open is the bank's word that it opened the account applied for. Reserve is what the bank before handed over, to the
// fen, when the operator changes its bank.
type Open struct {
	Number      domain.Sealed // Sealed under the operator's key; "" when only the last digits are given.
	Last4       string
	AgreementNo string // Supervision agreement (监管协议).
	ReserveFen  domain.Fen
}

// Accept puts the account in force.
type Accept struct{}

// Decline ends what was applied for: by its bank before it opened the account, or by an authority.
type Decline struct{ Reason string }

// Suspend takes the account out of force by order: nothing new is signed on it.
type Suspend struct{ OrderNo, Reason string }

// Resume lifts the suspension; never by who ordered it.
type Resume struct{ OrderNo string }

// SetReserve sets the risk reserve (风险准备金) the account has to hold.
type SetReserve struct {
	RequiredFen domain.Fen
	Basis       string // How it was worked out, or the document.
}

// DepositReserve records money paid into the reserve, at first or to replenish it. The same bank transaction again is
// nothing; with other content ErrTxnDuplicate.
type DepositReserve struct {
	BankTxnID string
	AmountFen domain.Fen
	ValueDate domain.Day
}

// OrderDraw orders a payment out of the reserve to those it protects.
type OrderDraw struct {
	DrawID        string
	OrderNo       string
	Reason        string
	Beneficiaries []Share
	ReplenishBy   domain.Day // The operator fills the reserve up by then.
}

// ConfirmDraw is the bank's word that it paid an ordered draw.
type ConfirmDraw struct {
	DrawID, BankTxnID string
	ValueDate         domain.Day
}

// CancelDraw takes an order back before it is paid.
type CancelDraw struct{ DrawID, Reason string }

// DeclareLoans declares a month's rental income and how much of it came from rent loans (租金贷). A month declared again
// is corrected.
type DeclareLoans struct {
	Month     domain.Day // Its first day.
	IncomeFen domain.Fen
	LoanFen   domain.Fen
}

// Close ends the account. Held says what the ledgers on it still hold; only nothing lets it close.
type Close struct{ Held Held }

// Held is what an account's ledgers hold, from the view of money.
type Held struct {
	OpenLedgers int64
	CashFen     domain.Fen
}

func (Apply) isCommand()          {}
func (Open) isCommand()           {}
func (Accept) isCommand()         {}
func (Decline) isCommand()        {}
func (Suspend) isCommand()        {}
func (Resume) isCommand()         {}
func (SetReserve) isCommand()     {}
func (DepositReserve) isCommand() {}
func (OrderDraw) isCommand()      {}
func (ConfirmDraw) isCommand()    {}
func (CancelDraw) isCommand()     {}
func (DeclareLoans) isCommand()   {}
func (Close) isCommand()          {}

// Share is one beneficiary's part of a draw.
type Share struct {
	Party     string     `json:"party"`
	AmountFen domain.Fen `json:"amount_fen"`
}

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// Applied means an operator asked for an account, or for another bank.
type Applied struct {
	Operator  string `json:"operator"`
	Bank      string `json:"bank"`
	AdminCode string `json:"admin_code"`
}

// Opened means the bank opened what was applied for.
type Opened struct {
	Bank        string        `json:"bank"`
	Number      domain.Sealed `json:"number,omitempty"`
	Last4       string        `json:"last4"`
	AgreementNo string        `json:"agreement_no"`
	ReserveFen  domain.Fen    `json:"reserve_fen,omitzero"` // Handed over by the bank before.
	On          domain.Day    `json:"on"`
}

// Accepted means the account is in force; with Replaces an account at another bank before it.
type Accepted struct {
	Bank     string `json:"bank"`
	Last4    string `json:"last4"`
	Replaces string `json:"replaces,omitempty"` // Bank.
	By       string `json:"by"`
}

// Declined means nothing came of what was applied for.
type Declined struct {
	Bank   string `json:"bank"`
	Reason string `json:"reason"`
}

// Suspended means the account is out of force by order.
type Suspended struct {
	OrderNo string `json:"order_no"`
	Reason  string `json:"reason"`
	By      string `json:"by"`
}

// Resumed means the order was lifted.
type Resumed struct {
	OrderNo string `json:"order_no"`
	By      string `json:"by"`
}

// ReserveSet means what the reserve has to be.
type ReserveSet struct {
	RequiredFen domain.Fen `json:"required_fen"`
	Basis       string     `json:"basis"`
}

// ReserveDeposited means money entered the reserve. Rules is what M-07 says of the reserve after it.
type ReserveDeposited struct {
	Bank      string         `json:"bank"`
	BankTxnID string         `json:"bank_txn_id"`
	AmountFen domain.Fen     `json:"amount_fen"`
	ValueDate domain.Day     `json:"value_date"`
	Rules     domain.Verdict `json:"rules,omitempty"`
}

// DrawOrdered means part of the reserve is to be paid out; it is no longer free.
type DrawOrdered struct {
	DrawID        string     `json:"draw_id"`
	OrderNo       string     `json:"order_no"`
	Reason        string     `json:"reason"`
	AmountFen     domain.Fen `json:"amount_fen"`
	Beneficiaries []Share    `json:"beneficiaries"`
	ReplenishBy   domain.Day `json:"replenish_by"`
	By            string     `json:"by"`
}

// ReserveDrawn means the bank paid it. Rules is what M-07 says of the reserve after it.
type ReserveDrawn struct {
	DrawID    string         `json:"draw_id"`
	Bank      string         `json:"bank"`
	BankTxnID string         `json:"bank_txn_id"`
	AmountFen domain.Fen     `json:"amount_fen"`
	ValueDate domain.Day     `json:"value_date"`
	Rules     domain.Verdict `json:"rules,omitempty"`
}

// DrawCancelled means the order was taken back.
type DrawCancelled struct {
	DrawID string `json:"draw_id"`
	Reason string `json:"reason"`
}

// LoansDeclared means what the operator said of a month. Rules is what C-13 says of it.
type LoansDeclared struct {
	Month     domain.Day     `json:"month"`
	IncomeFen domain.Fen     `json:"income_fen"`
	LoanFen   domain.Fen     `json:"loan_fen"`
	Rules     domain.Verdict `json:"rules,omitempty"`
}

// Closed means the account is closed, empty.
type Closed struct {
	Bank string     `json:"bank"`
	On   domain.Day `json:"on"`
}

func (Applied) EventType() string          { return "account.applied" }
func (Opened) EventType() string           { return "account.opened" }
func (Accepted) EventType() string         { return "account.accepted" }
func (Declined) EventType() string         { return "account.declined" }
func (Suspended) EventType() string        { return "account.suspended" }
func (Resumed) EventType() string          { return "account.resumed" }
func (ReserveSet) EventType() string       { return "account.reserve_set" }
func (ReserveDeposited) EventType() string { return "account.reserve_deposited" }
func (DrawOrdered) EventType() string      { return "account.draw_ordered" }
func (ReserveDrawn) EventType() string     { return "account.reserve_drawn" }
func (DrawCancelled) EventType() string    { return "account.draw_cancelled" }
func (LoansDeclared) EventType() string    { return "account.loans_declared" }
func (Closed) EventType() string           { return "account.closed" }

func (Applied) isEvent()          {}
func (Opened) isEvent()           {}
func (Accepted) isEvent()         {}
func (Declined) isEvent()         {}
func (Suspended) isEvent()        {}
func (Resumed) isEvent()          {}
func (ReserveSet) isEvent()       {}
func (ReserveDeposited) isEvent() {}
func (DrawOrdered) isEvent()      {}
func (ReserveDrawn) isEvent()     {}
func (DrawCancelled) isEvent()    {}
func (LoansDeclared) isEvent()    {}
func (Closed) isEvent()           {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Applied](), domain.Stored[Opened](), domain.Stored[Accepted](), domain.Stored[Declined](), domain.Stored[Suspended](),
	domain.Stored[Resumed](), domain.Stored[ReserveSet](), domain.Stored[ReserveDeposited](), domain.Stored[DrawOrdered](),
	domain.Stored[ReserveDrawn](), domain.Stored[DrawCancelled](), domain.Stored[LoansDeclared](), domain.Stored[Closed](),
}
