package escrow

import "zujian/domain"

// ID is the contract's id: one ledger (台账) per contract. Stream "escrow-<contract>".
type ID string

// Mode says why the money is supervised.
type Mode string

// Modes. Plan takes the contract's own choice and answers with what the rules make of it.
const (
	ModeNone      Mode = "NONE"
	ModeVoluntary Mode = "VOLUNTARY"
	ModeMandatory Mode = "MANDATORY"
)

// CaptureMode says how much of a collection must enter the supervised account.
type CaptureMode string

// Capture modes: everything, or only the rent beyond M-01's cycle_limit months of one collection (and no deposit).
const (
	CaptureWhole  CaptureMode = "WHOLE"
	CaptureExcess CaptureMode = "EXCESS"
)

// Profile says when captured rent is passed on (划转方式).
type Profile string

// Profiles. MONTHLY: each month's rent on that month's first day. UPFRONT_THEN_MONTHLY: the first K months of a
// collection the day after it arrives, then monthly. EXCESS_ONLY: cycle_limit months the day after, then monthly;
// with CaptureExcess, where those months never enter the account, monthly from the month after them.
const (
	ProfileMonthly    Profile = "MONTHLY"
	ProfileUpfront    Profile = "UPFRONT_THEN_MONTHLY"
	ProfileExcessOnly Profile = "EXCESS_ONLY"
)

// Payee is who receives a tranche.
type Payee string

// Payees. An operator's (转租企业) tranches stand beside its owner's, which are paid first (M-05).
const (
	PayeeLessor   Payee = "LESSOR"
	PayeeOwner    Payee = "OWNER"
	PayeeOperator Payee = "OPERATOR"
)

// Source is the part of a ledger that money leaves from.
type Source string

// Sources. OTHER is money above what was expected, SUSPENSE money that came after the deposit was settled.
const (
	SourceRent     Source = "RENT"
	SourceDeposit  Source = "DEPOSIT"
	SourceOther    Source = "OTHER"
	SourceSuspense Source = "SUSPENSE"
)

// FreezeScope is what a freeze (冻结) stops. Refunds to the tenant always go on (M-11).
type FreezeScope string

// Freeze scopes.
const (
	FreezeReleases FreezeScope = "RELEASES" // Every release; also what "ALL" and "" mean.
	FreezeOperator FreezeScope = "OPERATOR" // The operator's share only; the owner is still paid.
)

// Basis is what a deposit settlement rests on.
type Basis string

// Bases.
const (
	BasisAgreed    Basis = "AGREED"    // The lessor asks for no more than the lessee accepted.
	BasisMediation Basis = "MEDIATION" // Both agreed before a mediator.
	BasisRuling    Basis = "RULING"    // A court's or arbitrator's paper.
	BasisDefault   Basis = "DEFAULT"   // The lessor was silent for 14 days after the lessee's claim.
)

// Posting is one line of a journal. Exactly one of the two amounts is positive.
type Posting struct {
	Account   string     `json:"account"`
	DebitFen  domain.Fen `json:"debit_fen,omitzero"`
	CreditFen domain.Fen `json:"credit_fen,omitzero"`
}

// Tranche (划转批次) is one planned payment out of the ledger.
type Tranche struct {
	No        int        `json:"no"`               // From 1; in FundsExpected the place in the plan, else the number to order by.
	Month     int        `json:"month"`            // Month of the lease it pays for, from 1; 0 = a share of the deposit.
	Months    int        `json:"months,omitzero"`  // Months it pays for, from Month on.
	Upfront   bool       `json:"upfront,omitzero"` // Due the day after its money arrives.
	Due       domain.Day `json:"due"`
	AmountFen domain.Fen `json:"amount_fen"`
	Payee     Payee      `json:"payee"`
	Party     string     `json:"party"`
	Source    Source     `json:"source"`
	BankTxnID string     `json:"bank_txn_id,omitempty"` // The receipt that funds it.
}

// Collection (收款期) is one payment the tenant is to make.
type Collection struct {
	No         int        `json:"no"`
	Due        domain.Day `json:"due"`
	Months     int        `json:"months"`
	RentFen    domain.Fen `json:"rent_fen"`    // The part captured.
	OutsideFen domain.Fen `json:"outside_fen"` // Rent paid to the operator directly (capture mode EXCESS).
	DepositFen domain.Fen `json:"deposit_fen"`
}

// Command is a request to a ledger.
//
//sumtype:decl
type Command interface{ isCommand() }

// Plan opens the ledger from the signed contract; it writes nothing for a contract whose money need not and does not
// want to be supervised, and for head leases (M-06).
type Plan struct {
	Contract, Unit, AdminCode, ReportUnit string
	Kind                                  string // HEAD or OUT; "" = OUT.
	Bank                                  string // Supervising bank; "" = the bank of the first receipt.
	Account                               string // The operator's supervised account at Bank; "" = none of its own.
	Lessor, Lessee                        string
	CoLessors, CoLessees                  []string
	Operator                              bool       // The lessor sublets, or an agency collects.
	OperatorParty                         string     // Who receives the operator's share; "" = Lessor.
	Owner                                 string     // To whom the operator owes OwnerMonthlyFen; "" = nobody in this ledger.
	OwnerMonthlyFen                       domain.Fen // The head lease's rent a month.
	RentFen                               domain.Fen // A month.
	Months                                int        // 0 = from Start and End, odd days pro rata.
	DepositFen                            domain.Fen
	DepositReturnDays                     int
	DeductionGrounds                      []string
	BreakFeeFen                           domain.Fen // Agreed fee of the lessee who ends early; 0 = no such clause.
	PayCycleMonths                        int
	Mode                                  Mode        // What the contract says.
	CaptureMode                           CaptureMode // "" = WHOLE.
	Profile                               Profile     // "" = MONTHLY.
	K                                     int         // Of UPFRONT_THEN_MONTHLY; 0 = M-04's parameter k, else 3.
	Start, End, SignedOn                  domain.Day
}

// Amend follows an amended contract. Rent changes from the first month of the lease that begins on or after
// EffectiveFrom. It is refused when months already paid would become cheaper or fall away: refund or end early first.
type Amend struct {
	EffectiveFrom domain.Day
	RentFen       domain.Fen // A month; 0 = as before.
	DepositFen    *domain.Fen
	End           domain.Day // Zero = as before.
}

// ReplaceParties follows a change of the contract's sides: a co-tenant replaced, a home sold. What is empty stays. Money not
// yet ordered and due on or after From goes to the new receiver; what was ordered or paid is left alone.
type ReplaceParties struct {
	Lessors, Lessees []string
	Owner            string // Of an operator's ledger.
	From             domain.Day
}

// Receive records money that arrived. The same bank transaction again is nothing; with other content ErrTxnDuplicate.
type Receive struct {
	Bank, BankTxnID string
	AmountFen       domain.Fen
	ValueDate       domain.Day
	PayerMask       string // Masked account, never a clear one.
	Account         string // Supervised account it arrived on, if the bank says so: the ledger's own, or ErrWrongAccount.
}

// ReverseReceipt takes back a receipt the bank booked by mistake, while its money is still held.
type ReverseReceipt struct{ Bank, BankTxnID, ReversalTxnID, Reason string }

// OrderRelease orders tranche No to be paid. On is the day asked about; "" = today, never later.
type OrderRelease struct {
	Tranche int
	On      domain.Day
}

// ConfirmRelease records that the bank paid.
type ConfirmRelease struct {
	Tranche   int
	BankTxnID string
	ValueDate domain.Day // Zero = today.
}

// FailRelease puts an ordered tranche back.
type FailRelease struct {
	Tranche int
	Reason  string
}

// RequestRefund asks for money back: OTHER, SUSPENSE, or RENT not yet ordered.
type RequestRefund struct {
	RefundID  string
	Source    Source // "" = OTHER.
	AmountFen domain.Fen
	Reason    string
}

// ApproveRefund is the second pair of eyes.
type ApproveRefund struct{ RefundID string }

// DeclineRefund ends a request.
type DeclineRefund struct{ RefundID, Reason string }

// ConfirmRefund records that the bank paid the tenant.
type ConfirmRefund struct {
	RefundID, BankTxnID string
	ValueDate           domain.Day // Zero = today.
}

// EndEarly ends the lease before its term: On is the last day used. Prepaid rent not used is refunded.
type EndEarly struct {
	On             domain.Day
	ChargeBreakFee bool // The clause applies: the lessee ended without the lessor's fault.
}

// ProposeDeduction is the lessor's claim on the deposit (押金扣除).
type ProposeDeduction struct {
	DeductionID, Ground string
	AmountFen           domain.Fen
	Evidence            []string // SHA-256 of documents.
}

// AcceptDeduction is the lessee's yes.
type AcceptDeduction struct{ DeductionID string }

// ContestDeduction is the lessee's no.
type ContestDeduction struct{ DeductionID, Reason string }

// Mediate records a mediation (调解) and the split it proposed.
type Mediate struct {
	ToLessorFen, ToLesseeFen domain.Fen
	Agreed                   bool
	RecordNo                 string
}

// SettleDeposit splits the whole deposit. Σ MUST equal the deposit held.
type SettleDeposit struct {
	ToLessorFen, ToLesseeFen domain.Fen
	Basis                    Basis
	PaperNo                  string // Of the ruling.
}

// ClaimDeposit is the lessee's call for the deposit after the end.
type ClaimDeposit struct{}

// SettleByDefault gives the deposit to the lessee after 14 days of the lessor's silence; never to the lessor.
type SettleByDefault struct{}

// Freeze stops releases.
type Freeze struct {
	OrderNo string
	Scope   FreezeScope
}

// Unfreeze lifts one order. The hand that froze may not lift it.
type Unfreeze struct{ OrderNo, Reason string }

// Close ends a ledger that holds nothing any more. Payments that empty an ended ledger close it by themselves.
type Close struct{}

func (Close) isCommand()            {}
func (Plan) isCommand()             {}
func (Amend) isCommand()            {}
func (ReplaceParties) isCommand()   {}
func (Receive) isCommand()          {}
func (ReverseReceipt) isCommand()   {}
func (OrderRelease) isCommand()     {}
func (ConfirmRelease) isCommand()   {}
func (FailRelease) isCommand()      {}
func (RequestRefund) isCommand()    {}
func (ApproveRefund) isCommand()    {}
func (DeclineRefund) isCommand()    {}
func (ConfirmRefund) isCommand()    {}
func (EndEarly) isCommand()         {}
func (ProposeDeduction) isCommand() {}
func (AcceptDeduction) isCommand()  {}
func (ContestDeduction) isCommand() {}
func (Mediate) isCommand()          {}
func (SettleDeposit) isCommand()    {}
func (ClaimDeposit) isCommand()     {}
func (SettleByDefault) isCommand()  {}
func (Freeze) isCommand()           {}
func (Unfreeze) isCommand()         {}
