package escrow

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the escrow aggregate. cmd/zujian/registry.go lists it.
var Decider = domain.Decider[State, Command, Event]{Category: "escrow", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrNotFound         = domain.Reject("escrow.not_found", "this contract has no supervised ledger")
	ErrWrongState       = domain.Reject("escrow.wrong_state", "the ledger is not in a state that allows this")
	ErrInvalid          = domain.Reject("escrow.invalid", "a field is missing, too long or out of range")
	ErrNotYours         = domain.Reject("escrow.not_yours", "this actor has no part in this step of the ledger")
	ErrAlreadyPlanned   = domain.Reject("escrow.already_planned", "the ledger was opened with other terms")
	ErrMonthsPaid       = domain.Reject("escrow.months_paid", "months already paid would become cheaper or fall away")
	ErrTxnDuplicate     = domain.Reject("escrow.txn_duplicate", "this bank transaction was already recorded with other content")
	ErrWrongBank        = domain.Reject("escrow.wrong_bank", "another bank supervises this ledger")
	ErrWrongAccount     = domain.Reject("escrow.wrong_account", "the contract's money belongs on another supervised account")
	ErrTrancheNotFound  = domain.Reject("escrow.tranche_not_found", "the ledger has no such tranche")
	ErrReleaseBeforeDue = domain.Reject("escrow.release_before_due", "the tranche is not due yet")
	ErrOwnerFirst       = domain.Reject("escrow.owner_first", "the owner's share due by then has not been paid")
	ErrFrozen           = domain.Reject("escrow.frozen", "releases of this ledger are frozen; only refunds to the tenant go on")
	ErrInsufficientHeld = domain.Reject("escrow.insufficient_held", "the ledger does not hold that much")
	ErrAlreadyReversed  = domain.Reject("escrow.already_reversed", "the receipt was already reversed")
	ErrNotReceipt       = domain.Reject("escrow.not_a_receipt", "only a receipt of this ledger can be reversed, not a payment or a reversal")
	ErrAlreadyPassedOn  = domain.Reject("escrow.already_passed_on", "part of the receipt was already ordered, refunded or settled")
	ErrRefundNotFound   = domain.Reject("escrow.refund_not_found", "the ledger has no such refund")
	ErrRefundExists     = domain.Reject("escrow.refund_exists", "a refund of this id has other content")
	ErrFourEyes         = domain.Reject("escrow.four_eyes", "the same hand may not do both steps")
	ErrDepositLocked    = domain.Reject("escrow.deposit_locked", "the deposit stays locked until the lease is over")
	ErrNoDeposit        = domain.Reject("escrow.no_deposit", "the ledger holds no deposit to settle")
	ErrDeductionUnknown = domain.Reject("escrow.deduction_not_found", "the ledger has no such deduction")
	ErrDeductionExists  = domain.Reject("escrow.deduction_exists", "a deduction of this id has other content")
	ErrDeductionTooHigh = domain.Reject("escrow.deduction_too_high", "the deductions exceed the deposit held")
	ErrSettlementSum    = domain.Reject("escrow.settlement_sum", "the two shares do not add up to the deposit held")
	ErrNoBasis          = domain.Reject("escrow.settlement_basis", "nothing on record supports this settlement")
	ErrNotSilent        = domain.Reject("escrow.not_silent", "the 14 days are not over, or the lessor has answered")
	ErrFreezeNotFound   = domain.Reject("escrow.freeze_not_found", "the ledger has no freeze of this order number")
	ErrBalanceNotZero   = domain.Reject("escrow.balance_not_zero", "a ledger closes only when everything is paid out")
)

// State is one contract's ledger. The zero State means none.
type State struct {
	Plan       FundsExpected // As amended, without its rule results. MonthlyRentFen is the last rent.
	Steps      []RentStep    // Every rent since the start; one until the first amendment.
	Bank       string        // "" until known.
	Balances   []Balance     // Sorted by account.
	Txns       []Txn
	Tranches   []TrancheState // Tranche No is its place, from 1.
	Refunds    []Refund
	Deductions []Deduction
	Mediation  *MediationHeld
	Claim      *DepositClaimed
	Settled    *DepositSettled
	Ended      *EndedEarly
	Freezes    []FreezeOrder
	ClosedOn   domain.Day
}

// Txn is a bank transaction the ledger knows.
type Txn struct {
	Bank, ID  string
	Kind      TxnKind
	Ref       string     // Of a payment: the tranche or refund.
	AmountFen domain.Fen // As received, or paid out.
	ValueDate domain.Day
	PayerMask string

	RentFen, DepositFen, OtherFen, SuspenseFen domain.Fen // As classified.

	ReversedBy string // Transaction that took it back.
}

// TxnKind says what a bank transaction is to the ledger.
type TxnKind string

// Kinds of bank transactions.
const (
	TxnReceipt  TxnKind = "RECEIPT"
	TxnReversal TxnKind = "REVERSAL"
	TxnPayment  TxnKind = "PAYMENT"
)

// TrancheStage is how far a tranche has come.
type TrancheStage string

// Stages of a tranche.
const (
	TranchePlanned   TrancheStage = "PLANNED"
	TrancheOrdered   TrancheStage = "ORDERED"
	TranchePaid      TrancheStage = "PAID"
	TrancheCancelled TrancheStage = "CANCELLED"
)

// TrancheState is a tranche and how far it has come.
type TrancheState struct {
	Tranche
	Stage      TrancheStage
	Attempts   int // Failed ones.
	FailReason string
	PaidTxn    string
}

// RefundStage is how far a refund has come.
type RefundStage string

// Stages of a refund.
const (
	RefundStageRequested RefundStage = "REQUESTED"
	RefundStageApproved  RefundStage = "APPROVED"
	RefundStageDeclined  RefundStage = "DECLINED"
	RefundStagePaid      RefundStage = "PAID"
)

// Refund is money going back to the tenant.
type Refund struct {
	RefundRequested
	Stage   RefundStage
	PaidTxn string
}

// DeductionStage is how far a deduction has come.
type DeductionStage string

// Stages of a deduction. HELD is proposed on a ground outside the contract.
const (
	DeductionStageProposed  DeductionStage = "PROPOSED"
	DeductionStageHeld      DeductionStage = "HELD"
	DeductionStageAccepted  DeductionStage = "ACCEPTED"
	DeductionStageContested DeductionStage = "CONTESTED"
)

// Deduction is a claim of the lessor on the deposit.
type Deduction struct {
	DeductionProposed
	Stage DeductionStage
}

// FreezeOrder is one freeze of the ledger.
type FreezeOrder struct {
	Frozen
	Lifted bool
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	events, err := dispatch(s, r)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	if err := guard(s, events); err != nil {
		return nil, err
	}
	if closing(r.Command) {
		after := s
		for _, e := range events {
			after = evolve(after, e)
		}
		if after.mayClose(r.Today()) {
			events = append(events, Closed{On: r.Today()})
		}
	}
	return events, nil
}

func dispatch(s State, r domain.Request[Command]) ([]Event, error) {
	if c, ok := r.Command.(Plan); ok {
		return plan(s, r, c)
	}
	if s.Plan.Contract == "" {
		return nil, ErrNotFound
	}
	switch c := r.Command.(type) {
	case Amend:
		return amend(s, r, c)
	case ReplaceParties:
		return replaceParties(s, r, c)
	case Receive:
		return receive(s, r, c)
	case ReverseReceipt:
		return reverse(s, r, c)
	case OrderRelease:
		return orderRelease(s, r, c)
	case ConfirmRelease:
		return confirmRelease(s, r, c)
	case FailRelease:
		return failRelease(s, r, c)
	case RequestRefund:
		return requestRefund(s, r, c)
	case ApproveRefund:
		return approveRefund(s, r, c)
	case DeclineRefund:
		return declineRefund(s, r, c)
	case ConfirmRefund:
		return confirmRefund(s, r, c)
	case EndEarly:
		return endEarly(s, r, c)
	case ProposeDeduction:
		return proposeDeduction(s, r, c)
	case AcceptDeduction:
		return acceptDeduction(s, r, c)
	case ContestDeduction:
		return contestDeduction(s, r, c)
	case Mediate:
		return mediate(s, r, c)
	case SettleDeposit:
		return settleDeposit(s, r, c)
	case ClaimDeposit:
		return claimDeposit(s, r)
	case SettleByDefault:
		return settleByDefault(s, r)
	case Freeze:
		return freeze(s, r, c)
	case Unfreeze:
		return unfreeze(s, r, c)
	case Close:
		return closeLedger(s, r)
	}
	panic("escrow: unhandled command") // Sealed set: only a programming error gets here.
}

// closing commands may leave the ledger empty, and then close it in the same append.
func closing(c Command) bool {
	switch c.(type) {
	case ConfirmRelease, ConfirmRefund, EndEarly, SettleDeposit, SettleByDefault:
		return true
	}
	return false
}

// over is true when the lease has ended, at its term or early.
func (s State) over(today domain.Day) bool {
	return today > s.Plan.End || (s.Ended != nil && today >= s.Ended.On)
}

func (s State) empty() bool {
	return !slices.ContainsFunc(s.Balances, func(b Balance) bool { return b.Fen != 0 })
}

func (s State) mayClose(today domain.Day) bool {
	return s.ClosedOn.IsZero() && s.over(today) && s.empty()
}

func closeLedger(s State, r domain.Request[Command]) ([]Event, error) {
	switch today := r.Today(); {
	case !s.ClosedOn.IsZero():
		return nil, nil
	case !allowed(r, nil, domain.RoleSystem, domain.RoleDistrict, domain.RoleCity):
		return nil, ErrNotYours
	case !s.over(today):
		return nil, ErrWrongState.With("from", "RUNNING").With("allowed", []string{"ENDED"})
	case !s.empty():
		return nil, ErrBalanceNotZero
	default:
		return []Event{Closed{On: today}}, nil
	}
}

// allowed is true for an actor of one of the roles, or acting as one of the parties.
func allowed(r domain.Request[Command], parties []string, roles ...domain.Role) bool {
	return slices.Contains(roles, r.Actor.Role) || (r.Actor.Party != "" && slices.Contains(parties, r.Actor.Party))
}

// byBank is true for the bank itself or a process that carries its word.
func byBank(r domain.Request[Command], bank string) bool {
	return r.Actor.Role == domain.RoleSystem || (r.Actor.Role == domain.RoleBank && r.Actor.Party == bank)
}

func (s State) lessors() []string {
	out := append([]string{s.Plan.Lessor}, s.Plan.CoLessors...)
	if s.Plan.OperatorParty != "" {
		out = append(out, s.Plan.OperatorParty)
	}
	return out
}

func (s State) lessees() []string { return append([]string{s.Plan.Lessee}, s.Plan.CoLessees...) }

const textBytesMax = 200 // Ids, grounds and short reasons; long texts are documents.

// text refuses an empty, long or unprintable field.
func text(pointer, s string) error {
	if s == "" || len(s) > textBytesMax || !utf8.ValidString(s) {
		return ErrInvalid.At(pointer)
	}
	for _, c := range s {
		if unicode.IsControl(c) {
			return ErrInvalid.At(pointer)
		}
	}
	return nil
}

func optional(pointer, s string) error {
	if s == "" {
		return nil
	}
	return text(pointer, s)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func amount(pointer string, a domain.Fen) error {
	if a <= 0 || a > domain.FenMax {
		return domain.ErrAmount.At(pointer)
	}
	return nil
}
