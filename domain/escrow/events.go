package escrow

import "zujian/domain"

// Event is a fact of a ledger. JSON names are the storage format. Each event that moves money carries its balanced
// journal (Σ debit = Σ credit).
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// FundsExpected means the ledger is open: what the tenant is to pay and how it is to be passed on.
type FundsExpected struct {
	Contract         string         `json:"contract"`
	Unit             string         `json:"unit"`
	AdminCode        string         `json:"admin_code"`
	ReportUnit       string         `json:"report_unit,omitempty"`
	Bank             string         `json:"bank,omitempty"`
	Account          string         `json:"account,omitempty"` // The operator's supervised account.
	Lessor           string         `json:"lessor"`
	Lessee           string         `json:"lessee"`
	CoLessors        []string       `json:"co_lessors,omitempty"`
	CoLessees        []string       `json:"co_lessees,omitempty"`
	Operator         bool           `json:"operator"`
	OperatorParty    string         `json:"operator_party,omitempty"`
	Owner            string         `json:"owner,omitempty"`
	OwnerMonthlyFen  domain.Fen     `json:"owner_monthly_fen,omitzero"`
	MonthlyRentFen   domain.Fen     `json:"monthly_rent_fen"`
	PayCycleMonths   int            `json:"pay_cycle_months"`
	Mode             Mode           `json:"mode"`
	CaptureMode      CaptureMode    `json:"capture_mode"`
	Profile          Profile        `json:"profile"`
	K                int            `json:"k,omitzero"`
	CycleLimit       int            `json:"cycle_limit"` // M-01's parameter on the signing date.
	RentFen          domain.Fen     `json:"rent_fen"`    // Captured over the whole lease.
	DepositFen       domain.Fen     `json:"deposit_fen"` // Captured.
	DepositReturn    int            `json:"deposit_return_days,omitzero"`
	DeductionGrounds []string       `json:"deduction_grounds,omitempty"`
	BreakFeeFen      domain.Fen     `json:"break_fee_fen,omitzero"`
	Start            domain.Day     `json:"start"`
	End              domain.Day     `json:"end"`
	SignedOn         domain.Day     `json:"signed_on"`
	Collections      []Collection   `json:"collections"`
	Schedule         []Tranche      `json:"schedule"` // Planned; Σ amounts = RentFen.
	Rules            domain.Verdict `json:"rules,omitempty"`
}

// RentStep is a monthly rent from a day on.
type RentStep struct {
	From    domain.Day `json:"from"`
	RentFen domain.Fen `json:"rent_fen"`
}

// PlanAmended means the contract was amended: the plan from here on, earlier months included.
type PlanAmended struct {
	EffectiveFrom domain.Day   `json:"effective_from"`
	Steps         []RentStep   `json:"steps"` // Every rent since the start, oldest first.
	End           domain.Day   `json:"end"`
	RentFen       domain.Fen   `json:"rent_fen"`
	DepositFen    domain.Fen   `json:"deposit_fen"`
	Collections   []Collection `json:"collections"`
	Schedule      []Tranche    `json:"schedule"`
}

// PartiesReplaced means other parties stand on a side from here on; what is empty stays.
type PartiesReplaced struct {
	Lessors []string   `json:"lessors,omitempty"`
	Lessees []string   `json:"lessees,omitempty"`
	Owner   string     `json:"owner,omitempty"`
	From    domain.Day `json:"from"`
}

// FundsReceived means money arrived and stands unclassified.
type FundsReceived struct {
	Bank      string     `json:"bank"`
	BankTxnID string     `json:"bank_txn_id"`
	AmountFen domain.Fen `json:"amount_fen"`
	ValueDate domain.Day `json:"value_date"`
	PayerMask string     `json:"payer_mask,omitempty"`
	Account   string     `json:"account,omitempty"` // Supervised account it arrived on.
	Journal   []Posting  `json:"journal"`
}

// FundsClassified says what a receipt is. The four amounts add up to the receipt.
type FundsClassified struct {
	Bank        string     `json:"bank"`
	BankTxnID   string     `json:"bank_txn_id"`
	RentFen     domain.Fen `json:"rent_fen"`
	DepositFen  domain.Fen `json:"deposit_fen"`
	OtherFen    domain.Fen `json:"other_fen"`
	SuspenseFen domain.Fen `json:"suspense_fen,omitzero"`
	Journal     []Posting  `json:"journal"`
}

// ReleaseScheduled means received rent has its tranches. Σ amounts = the receipt's rent.
type ReleaseScheduled struct {
	Tranches []Tranche `json:"tranches"`
}

// FundsReversed means a receipt was taken back (冲正); the receipt and its reversal both stay visible.
type FundsReversed struct {
	Bank          string     `json:"bank"`
	BankTxnID     string     `json:"bank_txn_id"`
	ReversalTxnID string     `json:"reversal_txn_id"`
	AmountFen     domain.Fen `json:"amount_fen"`
	ValueDate     domain.Day `json:"value_date"`
	Cancelled     []int      `json:"cancelled,omitempty"` // Tranches.
	Reason        string     `json:"reason"`
	Journal       []Posting  `json:"journal"`
}

// ReleaseOrdered means the bank was told to pay a tranche: the money is set aside.
type ReleaseOrdered struct {
	Tranche   int            `json:"tranche"`
	AmountFen domain.Fen     `json:"amount_fen"`
	Payee     Payee          `json:"payee"`
	Party     string         `json:"party"`
	On        domain.Day     `json:"on"`
	Bank      string         `json:"bank"`
	Rules     domain.Verdict `json:"rules,omitempty"`
	Journal   []Posting      `json:"journal"`
}

// FundsReleased means the bank paid a tranche.
type FundsReleased struct {
	Tranche   int        `json:"tranche"`
	AmountFen domain.Fen `json:"amount_fen"`
	Payee     Payee      `json:"payee"`
	Party     string     `json:"party"`
	Bank      string     `json:"bank"`
	BankTxnID string     `json:"bank_txn_id"`
	ValueDate domain.Day `json:"value_date"`
	Journal   []Posting  `json:"journal"`
}

// ReleaseFailed means the bank could not pay; the tranche may be ordered again.
type ReleaseFailed struct {
	Tranche   int        `json:"tranche"`
	AmountFen domain.Fen `json:"amount_fen"`
	Reason    string     `json:"reason"`
	Attempts  int        `json:"attempts"`
	Journal   []Posting  `json:"journal"`
}

// RefundRequested means somebody asked for money back to the tenant.
type RefundRequested struct {
	RefundID  string     `json:"refund_id"`
	Source    Source     `json:"source"`
	AmountFen domain.Fen `json:"amount_fen"`
	Reason    string     `json:"reason"`
	By        string     `json:"by"` // Actor.
}

// RefundApproved means the money is set aside for the tenant.
type RefundApproved struct {
	RefundID  string     `json:"refund_id"`
	Source    Source     `json:"source"`
	AmountFen domain.Fen `json:"amount_fen"`
	Bank      string     `json:"bank"`
	By        string     `json:"by"`
	Tranches  []Tranche  `json:"tranches,omitempty"`  // Tranches that shrank to make room, with what is left of them.
	Cancelled []int      `json:"cancelled,omitempty"` // Tranches that fell away.
	Journal   []Posting  `json:"journal"`
}

// RefundDeclined ends a request.
type RefundDeclined struct {
	RefundID string `json:"refund_id"`
	Reason   string `json:"reason"`
}

// FundsRefunded means the bank paid the tenant.
type FundsRefunded struct {
	RefundID  string     `json:"refund_id"`
	AmountFen domain.Fen `json:"amount_fen"`
	Bank      string     `json:"bank"`
	BankTxnID string     `json:"bank_txn_id"`
	ValueDate domain.Day `json:"value_date"`
	Journal   []Posting  `json:"journal"`
}

// EndedEarly means the lease ended before its term. Paid − used − fee = refund + shortfall when positive; the
// shortfall was already passed on and is the lessor's debt outside this ledger. The refund follows as RefundApproved "END".
type EndedEarly struct {
	On           domain.Day `json:"on"`
	PaidFen      domain.Fen `json:"paid_fen"`
	UsedFen      domain.Fen `json:"used_fen"`
	BreakFeeFen  domain.Fen `json:"break_fee_fen"`
	RefundFen    domain.Fen `json:"refund_fen"`
	ShortfallFen domain.Fen `json:"shortfall_fen"`
}

// DeductionProposed means the lessor claims part of the deposit on a ground of the contract.
type DeductionProposed struct {
	DeductionID string     `json:"deduction_id"`
	Ground      string     `json:"ground"`
	AmountFen   domain.Fen `json:"amount_fen"`
	Evidence    []string   `json:"evidence,omitempty"`
}

// DeductionHeld means the ground is not in the contract (C-22): a human looks, and nothing is paid on it meanwhile.
type DeductionHeld struct {
	DeductionID string         `json:"deduction_id"`
	Ground      string         `json:"ground"`
	AmountFen   domain.Fen     `json:"amount_fen"`
	Evidence    []string       `json:"evidence,omitempty"`
	Rules       domain.Verdict `json:"rules,omitempty"`
}

// DeductionAccepted means the lessee agrees.
type DeductionAccepted struct {
	DeductionID string     `json:"deduction_id"`
	AmountFen   domain.Fen `json:"amount_fen"`
}

// DeductionContested means the lessee disagrees: the amount stands in dispute.
type DeductionContested struct {
	DeductionID string     `json:"deduction_id"`
	AmountFen   domain.Fen `json:"amount_fen"`
	Reason      string     `json:"reason,omitempty"`
	Journal     []Posting  `json:"journal"`
}

// MediationHeld records what a mediator proposed and whether both agreed.
type MediationHeld struct {
	ToLessorFen domain.Fen `json:"to_lessor_fen"`
	ToLesseeFen domain.Fen `json:"to_lessee_fen"`
	Agreed      bool       `json:"agreed"`
	RecordNo    string     `json:"record_no"`
	By          string     `json:"by"`
}

// DepositClaimed means the lessee asked for the deposit; the lessor may answer until RespondBy.
type DepositClaimed struct {
	On        domain.Day `json:"on"`
	RespondBy domain.Day `json:"respond_by"`
}

// DepositSettled splits the whole deposit. The lessee's part becomes the approved refund "DEPOSIT", the lessor's a tranche.
type DepositSettled struct {
	ToLessorFen domain.Fen `json:"to_lessor_fen"`
	ToLesseeFen domain.Fen `json:"to_lessee_fen"`
	Basis       Basis      `json:"basis"`
	PaperNo     string     `json:"paper_no,omitempty"`
	On          domain.Day `json:"on"`
	Bank        string     `json:"bank"`
	Tranche     *Tranche   `json:"tranche,omitempty"`
	Journal     []Posting  `json:"journal"`
}

// Frozen means releases stop.
type Frozen struct {
	OrderNo string      `json:"order_no"`
	Scope   FreezeScope `json:"scope"`
	By      string      `json:"by"`
}

// Unfrozen lifts one order.
type Unfrozen struct {
	OrderNo string `json:"order_no"`
	Reason  string `json:"reason,omitempty"`
	By      string `json:"by"`
}

// Closed means everything was paid out: every balance is zero.
type Closed struct {
	On domain.Day `json:"on"`
}

// EventType names the stored type.
func (FundsExpected) EventType() string      { return "escrow.funds_expected" }
func (PlanAmended) EventType() string        { return "escrow.plan_amended" }
func (PartiesReplaced) EventType() string    { return "escrow.parties_replaced" }
func (FundsReceived) EventType() string      { return "escrow.funds_received" }
func (FundsClassified) EventType() string    { return "escrow.funds_classified" }
func (ReleaseScheduled) EventType() string   { return "escrow.release_scheduled" }
func (FundsReversed) EventType() string      { return "escrow.funds_reversed" }
func (ReleaseOrdered) EventType() string     { return "escrow.release_ordered" }
func (FundsReleased) EventType() string      { return "escrow.funds_released" }
func (ReleaseFailed) EventType() string      { return "escrow.release_failed" }
func (RefundRequested) EventType() string    { return "escrow.refund_requested" }
func (RefundApproved) EventType() string     { return "escrow.refund_approved" }
func (RefundDeclined) EventType() string     { return "escrow.refund_declined" }
func (FundsRefunded) EventType() string      { return "escrow.funds_refunded" }
func (EndedEarly) EventType() string         { return "escrow.ended_early" }
func (DeductionProposed) EventType() string  { return "escrow.deduction_proposed" }
func (DeductionHeld) EventType() string      { return "escrow.deduction_held" }
func (DeductionAccepted) EventType() string  { return "escrow.deduction_accepted" }
func (DeductionContested) EventType() string { return "escrow.deduction_contested" }
func (MediationHeld) EventType() string      { return "escrow.mediation_held" }
func (DepositClaimed) EventType() string     { return "escrow.deposit_claimed" }
func (DepositSettled) EventType() string     { return "escrow.deposit_settled" }
func (Frozen) EventType() string             { return "escrow.frozen" }
func (Unfrozen) EventType() string           { return "escrow.unfrozen" }
func (Closed) EventType() string             { return "escrow.closed" }

func (FundsExpected) isEvent()      {}
func (PlanAmended) isEvent()        {}
func (PartiesReplaced) isEvent()    {}
func (FundsReceived) isEvent()      {}
func (FundsClassified) isEvent()    {}
func (ReleaseScheduled) isEvent()   {}
func (FundsReversed) isEvent()      {}
func (ReleaseOrdered) isEvent()     {}
func (FundsReleased) isEvent()      {}
func (ReleaseFailed) isEvent()      {}
func (RefundRequested) isEvent()    {}
func (RefundApproved) isEvent()     {}
func (RefundDeclined) isEvent()     {}
func (FundsRefunded) isEvent()      {}
func (EndedEarly) isEvent()         {}
func (DeductionProposed) isEvent()  {}
func (DeductionHeld) isEvent()      {}
func (DeductionAccepted) isEvent()  {}
func (DeductionContested) isEvent() {}
func (MediationHeld) isEvent()      {}
func (DepositClaimed) isEvent()     {}
func (DepositSettled) isEvent()     {}
func (Frozen) isEvent()             {}
func (Unfrozen) isEvent()           {}
func (Closed) isEvent()             {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[FundsExpected](), domain.Stored[FundsReceived](), domain.Stored[FundsClassified](),
	domain.Stored[ReleaseScheduled](), domain.Stored[FundsReversed](), domain.Stored[ReleaseOrdered](),
	domain.Stored[FundsReleased](), domain.Stored[ReleaseFailed](), domain.Stored[RefundRequested](),
	domain.Stored[RefundApproved](), domain.Stored[RefundDeclined](), domain.Stored[FundsRefunded](),
	domain.Stored[EndedEarly](), domain.Stored[DeductionProposed](), domain.Stored[DeductionHeld](),
	domain.Stored[DeductionAccepted](), domain.Stored[DeductionContested](), domain.Stored[MediationHeld](),
	domain.Stored[DepositClaimed](), domain.Stored[DepositSettled](), domain.Stored[Frozen](),
	domain.Stored[Unfrozen](), domain.Stored[Closed](), domain.Stored[PlanAmended](), domain.Stored[PartiesReplaced](),
}
