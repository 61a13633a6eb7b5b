// Package account decides the supervised account (住房租赁资金监管账户) of an operator: applied for, opened by a bank, put
// in force by an authority, its risk reserve (风险准备金), and the share of rent loans (租金贷) its operator declares. The
// money of each contract on it is package escrow's.
//
// # Decisions
//
// One stream per operator, named after it, so an operator can't have two accounts (S-15). A change of bank is a second
// application beside the account in force: ledgers already running stay with the bank before until they end, new ones name
// the new bank, and the reserve moves whole, by the new bank's own word.
//
// Rules of stage PERIODIC are judged here on these facts, on the day of the decision (C-13: the month's first day):
//
//	operator.loan_income_fen, operator.income_fen  int64  of the month declared (C-13)
//	operator.reserve_fen           int64  paid in, less what was paid out or is ordered to be
//	operator.reserve_required_fen  int64  0 until an authority sets it (M-07)
package account

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the account aggregate, one stream per operator.
var Decider = domain.Decider[State, Command, Event]{Category: "account", Decide: decide, Evolve: evolve}

// Rejections.
var (
	ErrInvalid      = domain.Reject("account.invalid", "a field is missing or not of its form")
	ErrNotFound     = domain.Reject("account.not_found", "nobody applied for this account")
	ErrNotYours     = domain.Reject("account.not_yours", "another side takes this step")
	ErrWrongState   = domain.Reject("account.wrong_state", "the account is not in a state that allows this")
	ErrApplied      = domain.Reject("account.already_applied", "another application of this operator is open")
	ErrFourEyes     = domain.Reject("account.four_eyes", "the same hand may not do both steps")
	ErrReserveMoved = domain.Reject("account.reserve_elsewhere", "the new bank must hold the whole reserve first, and no draw may be open")
	ErrInsufficient = domain.Reject("account.reserve_insufficient", "the reserve does not hold that much")
	ErrTxnDuplicate = domain.Reject("account.txn_duplicate", "this bank transaction was already recorded with other content")
	ErrDrawNotFound = domain.Reject("account.draw_not_found", "no draw of this id is ordered")
	ErrDrawExists   = domain.Reject("account.draw_exists", "a draw of this id has other content")
	ErrLoans        = domain.Reject("account.loans_invalid", "a month is declared by its first day once it began; its loans are at most its income")
	ErrNotEmpty     = domain.Reject("account.not_empty", "an account closes only when its ledgers are closed and its reserve is paid out")
)

// Stage is how far the account is.
type Stage string

// Stages.
const (
	StageApplied   Stage = "APPLIED"
	StageOpened    Stage = "OPENED" // By the bank; not in force yet.
	StageActive    Stage = "ACTIVE"
	StageSuspended Stage = "SUSPENDED"
	StageDeclined  Stage = "DECLINED"
	StageClosed    Stage = "CLOSED"
)

// State is an operator's account. The zero State means none.
type State struct {
	Operator  string
	AdminCode string
	Stage     Stage
	Current   *Opened     // In force.
	Next      *Opened     // Applied for; On is zero until its bank opened it.
	Former    []Opened    // Replaced ones and a closed one, oldest first.
	Order     *Suspended  // In force.
	Refused   string      // Why the last application was declined; "" when another came.
	Required  domain.Fen  // Reserve.
	Reserve   domain.Fen  // Paid in less paid out.
	Txns      []Txn       // Of the reserve, in order.
	Draws     []Draw      // In order.
	Loans     []LoanMonth // By month, sorted.
	ClosedOn  domain.Day
}

// Txn is one movement of the reserve, signed.
type Txn struct {
	Bank, ID  string
	AmountFen domain.Fen
	ValueDate domain.Day
}

// Draw is an order to pay out of the reserve.
type Draw struct {
	DrawOrdered
	PaidTxn   string
	Cancelled bool
}

// Open is true until the draw is paid or taken back.
func (d Draw) Open() bool { return d.PaidTxn == "" && !d.Cancelled }

// LoanMonth is what was declared of a month.
type LoanMonth struct {
	Month              domain.Day
	IncomeFen, LoanFen domain.Fen
	Exceeded           bool // C-13 fired.
}

// Free is the reserve less what is ordered to be paid.
func (s State) Free() domain.Fen {
	free := s.Reserve
	for _, d := range s.Draws {
		if d.Open() {
			free -= d.AmountFen
		}
	}
	return free
}

// InForce is true for an account on which new contracts may be signed.
func (s State) InForce() bool { return s.Stage == StageActive }

// Banks that hold, or are asked to hold, the account.
func (s State) Banks() []string {
	var out []string
	for _, o := range []*Opened{s.Current, s.Next} {
		if o != nil {
			out = append(out, o.Bank)
		}
	}
	return out
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	if c, ok := r.Command.(Apply); ok {
		return apply(s, r, c)
	}
	if s.Operator == "" {
		return nil, ErrNotFound
	}
	switch c := r.Command.(type) {
	case Open:
		return open(s, r, c)
	case Accept:
		return accept(s, r)
	case Decline:
		return decline(s, r, c)
	case Suspend:
		return suspend(s, r, c)
	case Resume:
		return resume(s, r, c)
	case SetReserve:
		return setReserve(s, r, c)
	case DepositReserve:
		return depositReserve(s, r, c)
	case OrderDraw:
		return orderDraw(s, r, c)
	case ConfirmDraw:
		return confirmDraw(s, r, c)
	case CancelDraw:
		return cancelDraw(s, r, c)
	case DeclareLoans:
		return declareLoans(s, r, c)
	case Close:
		return closeAccount(s, r, c)
	}
	panic("account: unhandled command") // Sealed set: only a programming error gets here.
}

func apply(s State, r domain.Request[Command], c Apply) ([]Event, error) {
	if err := firstOf(text("/operator_id", c.Operator), text("/bank_party_id", c.Bank), text("/district", c.AdminCode)); err != nil {
		return nil, err
	}
	switch {
	case r.Actor.Party != c.Operator || (s.Operator != "" && s.Operator != c.Operator):
		return nil, ErrNotYours
	case s.Next != nil && s.Next.Bank == c.Bank, s.Next == nil && s.Current != nil && s.Current.Bank == c.Bank:
		return nil, nil
	case s.Next != nil:
		return nil, ErrApplied
	case s.Stage == StageSuspended:
		return nil, s.inStage(StageActive)
	}
	return []Event{Applied(c)}, nil
}

func open(s State, r domain.Request[Command], c Open) ([]Event, error) {
	if err := firstOf(text("/agreement_no", c.AgreementNo), optional("/number", string(c.Number))); err != nil {
		return nil, err
	}
	switch {
	case len(c.Last4) != 4 || strings.Trim(c.Last4, "0123456789") != "":
		return nil, ErrInvalid.At("/last4")
	case c.ReserveFen < 0 || c.ReserveFen > domain.FenMax:
		return nil, domain.ErrAmount.At("/reserve_fen")
	}
	if s.Next == nil || s.Next.On != 0 {
		held := s.Next
		if held == nil {
			held = s.Current
		}
		switch {
		case held == nil:
			return nil, s.inStage(StageApplied)
		case !byBank(r, held.Bank):
			return nil, ErrNotYours
		case held.Last4 == c.Last4 && held.AgreementNo == c.AgreementNo && held.ReserveFen == c.ReserveFen:
			return nil, nil
		}
		return nil, s.inStage(StageApplied)
	}
	if !byBank(r, s.Next.Bank) {
		return nil, ErrNotYours
	}
	if want := s.Reserve; c.ReserveFen != want {
		return nil, ErrReserveMoved.At("/reserve_fen").With("reserve_fen", int64(want))
	}
	return []Event{Opened{
		Bank: s.Next.Bank, Number: c.Number, Last4: c.Last4, AgreementNo: c.AgreementNo, ReserveFen: c.ReserveFen, On: r.Today(),
	}}, nil
}

func accept(s State, r domain.Request[Command]) ([]Event, error) {
	switch {
	case !officer(r):
		return nil, ErrNotYours
	case s.Next == nil && s.Current != nil:
		return nil, nil
	case s.Next == nil || s.Next.On == 0:
		return nil, s.inStage(StageOpened)
	case s.Next.ReserveFen != s.Reserve || s.Free() != s.Reserve:
		return nil, ErrReserveMoved
	}
	e := Accepted{Bank: s.Next.Bank, Last4: s.Next.Last4, By: r.Actor.ID}
	if s.Current != nil {
		e.Replaces = s.Current.Bank
	}
	return []Event{e}, nil
}

func decline(s State, r domain.Request[Command], c Decline) ([]Event, error) {
	if err := text("/reason", c.Reason); err != nil {
		return nil, err
	}
	switch {
	case s.Next == nil && s.Refused == c.Reason:
		return nil, nil
	case s.Next == nil:
		return nil, s.inStage(StageApplied, StageOpened)
	case !officer(r) && (!byBank(r, s.Next.Bank) || s.Next.On != 0):
		return nil, ErrNotYours
	}
	return []Event{Declined{Bank: s.Next.Bank, Reason: c.Reason}}, nil
}

func suspend(s State, r domain.Request[Command], c Suspend) ([]Event, error) {
	if err := firstOf(text("/order_no", c.OrderNo), text("/reason", c.Reason)); err != nil {
		return nil, err
	}
	switch {
	case !officer(r):
		return nil, ErrNotYours
	case s.Order != nil && s.Order.OrderNo == c.OrderNo:
		return nil, nil
	case s.Stage != StageActive:
		return nil, s.inStage(StageActive)
	}
	return []Event{Suspended{OrderNo: c.OrderNo, Reason: c.Reason, By: r.Actor.ID}}, nil
}

func resume(s State, r domain.Request[Command], c Resume) ([]Event, error) {
	switch {
	case !officer(r):
		return nil, ErrNotYours
	case s.Order == nil && s.Stage == StageActive:
		return nil, nil
	case s.Order == nil || s.Order.OrderNo != c.OrderNo:
		return nil, s.inStage(StageSuspended)
	case s.Order.By == r.Actor.ID:
		return nil, ErrFourEyes
	}
	return []Event{Resumed{OrderNo: c.OrderNo, By: r.Actor.ID}}, nil
}

func declareLoans(s State, r domain.Request[Command], c DeclareLoans) ([]Event, error) {
	_, _, day := c.Month.Date()
	i, found := slices.BinarySearchFunc(s.Loans, c.Month, func(m LoanMonth, d domain.Day) int { return int(m.Month) - int(d) })
	switch {
	case r.Actor.Party != s.Operator:
		return nil, ErrNotYours
	case s.Current == nil:
		return nil, s.inStage(StageActive, StageSuspended)
	case c.Month < domain.DayMin || c.Month > r.Today() || day != 1:
		return nil, ErrLoans.At("/month")
	case c.IncomeFen < 0 || c.IncomeFen > domain.FenMax:
		return nil, domain.ErrAmount.At("/income_fen")
	case c.LoanFen < 0 || c.LoanFen > c.IncomeFen:
		return nil, ErrLoans.At("/loan_fen")
	case found && s.Loans[i].IncomeFen == c.IncomeFen && s.Loans[i].LoanFen == c.LoanFen:
		return nil, nil
	}
	verdict := judged(r, c.Month, domain.Facts{"income_fen": int64(c.IncomeFen), "loan_income_fen": int64(c.LoanFen)}, loanRule)
	return []Event{LoansDeclared{Month: c.Month, IncomeFen: c.IncomeFen, LoanFen: c.LoanFen, Rules: verdict}}, nil
}

func closeAccount(s State, r domain.Request[Command], c Close) ([]Event, error) {
	switch {
	case r.Actor.Party != s.Operator && !officer(r):
		return nil, ErrNotYours
	case s.Stage == StageClosed:
		return nil, nil
	case s.Current == nil || s.Stage == StageSuspended:
		return nil, s.inStage(StageActive)
	case s.Next != nil:
		return nil, ErrApplied
	case s.Reserve != 0 || c.Held.OpenLedgers != 0 || c.Held.CashFen != 0:
		return nil, ErrNotEmpty.With("reserve_fen", int64(s.Reserve)).With("open_ledgers", c.Held.OpenLedgers).With("balance_fen", int64(c.Held.CashFen))
	}
	return []Event{Closed{Bank: s.Current.Bank, On: r.Today()}}, nil
}

// inStage refuses a state other than those allowed.
func (s State) inStage(allowed ...Stage) error {
	return ErrWrongState.With("from", string(s.Stage)).With("allowed", allowed)
}

func officer(r domain.Request[Command]) bool {
	return r.Actor.Role == domain.RoleDistrict || r.Actor.Role == domain.RoleCity
}

func byBank(r domain.Request[Command], bank string) bool {
	return r.Actor.Role == domain.RoleBank && r.Actor.Party == bank
}

const textBytesMax = 200 // Ids, order numbers and short reasons; long texts are documents.

func text(pointer, s string) error {
	if s == "" {
		return ErrInvalid.At(pointer)
	}
	return optional(pointer, s)
}

func optional(pointer, s string) error {
	if len(s) > textBytesMax || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return ErrInvalid.At(pointer)
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
