package money

import (
	"context"
	"slices"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/domain/statement"
	"zujian/projections"
)

// Ledger is one contract's money (V-M2).
type Ledger struct {
	Contract        string              `json:"contract"`
	Unit            string              `json:"unit"`
	AdminCode       string              `json:"admin_code"`
	ReportUnit      string              `json:"report_unit,omitempty"`
	Bank            string              `json:"bank,omitempty"`
	Account         string              `json:"account,omitempty"` // The operator's supervised account.
	Lessor          string              `json:"lessor"`
	Lessee          string              `json:"lessee"`
	CoLessors       []string            `json:"co_lessors,omitempty"`
	CoLessees       []string            `json:"co_lessees,omitempty"`
	Owner           string              `json:"owner,omitempty"`
	Mode            escrow.Mode         `json:"mode"`
	CaptureMode     escrow.CaptureMode  `json:"capture_mode"`
	Profile         escrow.Profile      `json:"profile"`
	State           string              `json:"state"` // EXPECTED, PARTIAL, FUNDED, SETTLING, SETTLED, CLOSED
	Frozen          bool                `json:"frozen"`
	Start           domain.Day          `json:"start"`
	End             domain.Day          `json:"end"`
	ExpectedRentFen domain.Fen          `json:"expected_rent_fen"`
	ExpectedDeposit domain.Fen          `json:"expected_deposit_fen"`
	ReceivedFen     domain.Fen          `json:"received_fen"`
	ReleasedFen     domain.Fen          `json:"released_fen"`
	RefundedFen     domain.Fen          `json:"refunded_fen"`
	Balances        []Balance           `json:"balances"`
	Collections     []escrow.Collection `json:"collections"`
	Planned         []escrow.Tranche    `json:"planned"`  // The whole term's plan.
	Schedule        []Tranche           `json:"schedule"` // Tranches of the money received.
	NextRelease     *Tranche            `json:"next_release,omitempty"`
	Deposit         Deposit             `json:"deposit"`
	Refunds         []Refund            `json:"refunds,omitempty"`
	Receipts        []Receipt           `json:"receipts,omitempty"`
	Freezes         []Freeze            `json:"freezes,omitempty"`
	EndedEarly      *escrow.EndedEarly  `json:"ended_early,omitempty"`
	ClosedOn        domain.Day          `json:"closed_on,omitzero"`
	Trail           projections.Trail   `json:"trail"`
}

// Balance of one account.
type Balance struct {
	Account string     `json:"account"`
	Fen     domain.Fen `json:"fen"`
}

// Tranche of the schedule and how far it has come.
type Tranche struct {
	escrow.Tranche
	Stage     escrow.TrancheStage `json:"stage"`
	Attempts  int                 `json:"attempts,omitempty"`
	PaidTxnID string              `json:"paid_txn_id,omitempty"`
}

// Refund and how far it has come.
type Refund struct {
	RefundID  string             `json:"refund_id"`
	Source    escrow.Source      `json:"source"`
	AmountFen domain.Fen         `json:"amount_fen"`
	Reason    string             `json:"reason,omitempty"`
	Stage     escrow.RefundStage `json:"stage"`
	PaidTxnID string             `json:"paid_txn_id,omitempty"`
}

// Receipt is money that arrived, as classified.
type Receipt struct {
	Bank        string     `json:"bank"`
	BankTxnID   string     `json:"bank_txn_id"`
	AmountFen   domain.Fen `json:"amount_fen"`
	ValueDate   domain.Day `json:"value_date"`
	PayerMask   string     `json:"payer_mask,omitempty"`
	RentFen     domain.Fen `json:"rent_fen"`
	DepositFen  domain.Fen `json:"deposit_fen"`
	OtherFen    domain.Fen `json:"other_fen"`
	SuspenseFen domain.Fen `json:"suspense_fen,omitzero"`
	ReversedBy  string     `json:"reversed_by,omitempty"`
}

// Freeze order on a ledger.
type Freeze struct {
	OrderNo string             `json:"order_no"`
	Scope   escrow.FreezeScope `json:"scope"`
	Lifted  bool               `json:"lifted"`
}

// Deposit of a ledger.
type Deposit struct {
	State       string      `json:"state"` // NONE, EXPECTED, HELD, CLAIMED, PROPOSED, DISPUTED, MEDIATED, SETTLED
	HeldFen     domain.Fen  `json:"held_fen"`
	DisputedFen domain.Fen  `json:"disputed_fen"`
	Deductions  []Deduction `json:"deductions,omitempty"`
	RespondBy   domain.Day  `json:"respond_by,omitzero"`
	ToLessorFen domain.Fen  `json:"to_lessor_fen,omitzero"`
	ToLesseeFen domain.Fen  `json:"to_lessee_fen,omitzero"`
	Basis       string      `json:"basis,omitempty"`
}

// Deduction proposed on a deposit.
type Deduction struct {
	DeductionID string                `json:"deduction_id"`
	Ground      string                `json:"ground"`
	AmountFen   domain.Fen            `json:"amount_fen"`
	Stage       escrow.DeductionStage `json:"stage"`
}

// Due is a tranche waiting to be ordered (V-M3).
type Due struct {
	Contract  string     `json:"contract"`
	Tranche   int        `json:"tranche"`
	Due       domain.Day `json:"due"`
	AmountFen domain.Fen `json:"amount_fen"`
	Payee     string     `json:"payee"`
	Party     string     `json:"party"`
	Bank      string     `json:"bank"`
	Attempts  int        `json:"attempts,omitempty"`
}

// Packed implements projections.Packed.
func (Due) Packed() {}

// LedgerOf reads one ledger; ok is false when there is none or the scope does not see it.
func LedgerOf(ctx context.Context, r projections.Reader, s projections.Scope, contract string) (Ledger, bool, error) {
	got, err := projections.Get[row](ctx, r, projections.Key(keyLedger, contract))
	if err != nil || got.Trail.Events == 0 || !sees(s, got.State) {
		return Ledger{}, false, err
	}
	return ledgerOf(got), true, nil
}

// StateOf is the ledger's own state, for processes.
func StateOf(ctx context.Context, r projections.Reader, contract string) (escrow.State, bool, error) {
	got, err := projections.Get[row](ctx, r, projections.Key(keyLedger, contract))
	return got.State, got.Trail.Events > 0, err
}

func sees(s projections.Scope, st escrow.State) bool {
	return s.Sees(projections.Place{District: st.Plan.AdminCode, Unit: st.Plan.ReportUnit}, parties(st), st.Bank)
}

// Ledgers lists ledgers by their own index: of a party, a bank or a district; else all. The scope cuts rows.
func Ledgers(ctx context.Context, r projections.Reader, s projections.Scope, f Filter, p projections.Page) ([]Ledger, string, error) {
	prefix := []string{keyLedger}
	switch {
	case f.Party != "" || (!s.All && s.Party != ""):
		prefix = []string{keyByParty, first(f.Party, s.Party)}
	case f.Bank != "" || (!s.All && s.Bank != ""):
		prefix = []string{keyByBank, first(f.Bank, s.Bank)}
	case f.District != "" || (!s.All && s.District != ""):
		prefix = []string{keyByArea, first(f.District, s.District)}
	}
	return projections.List(ctx, r, prefix, false, p, func(pair projections.Pair) (Ledger, bool, error) {
		l, ok, err := LedgerOf(ctx, r, s, projections.Tail(pair.Key))
		keep := ok && (f.Bank == "" || l.Bank == f.Bank) && (f.District == "" || l.AdminCode == f.District || l.ReportUnit == f.District) &&
			(f.On.IsZero() || (l.Start <= f.On && f.On <= l.End)) && (f.State == "" || l.State == f.State)
		return l, keep, err
	})
}

// Filter narrows Ledgers. On keeps those whose lease runs that day.
type Filter struct {
	Party, Bank, District, State string
	On                           domain.Day
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Unsettled counts the ledgers of a party that still hold money.
func Unsettled(ctx context.Context, r projections.Reader, party string) (n int, err error) {
	for pair, err := range r.Scan(ctx, projections.Prefix(keyByParty, party), projections.PrefixEnd(keyByParty, party), false) {
		if err != nil {
			return 0, err
		}
		st, _, err := StateOf(ctx, r, projections.Tail(pair.Key))
		if err != nil {
			return 0, err
		}
		if slices.ContainsFunc(st.Balances, func(b escrow.Balance) bool { return b.Fen != 0 }) {
			n++
		}
	}
	return n, nil
}

// Postings lists every event of a ledger with its journal, oldest first.
func Postings(ctx context.Context, r projections.Reader, s projections.Scope, contract string, p projections.Page) ([]Entry, string, error) {
	if _, ok, err := LedgerOf(ctx, r, s, contract); err != nil || !ok {
		return nil, "", err
	}
	return projections.List(ctx, r, []string{keyPosting, contract}, false, p, decoded[Entry](ctx, r))
}

func decoded[T any](ctx context.Context, r projections.Reader) func(projections.Pair) (T, bool, error) {
	return func(p projections.Pair) (T, bool, error) {
		t, err := projections.Get[T](ctx, r, p.Key)
		return t, true, err
	}
}

// dayEntriesMax is more than a statement may have lines: a day with more can't be reconciled in one piece.
const dayEntriesMax = 20_000

// CashOfDay is every cash entry of a bank on a value date, for the import of its statement.
func CashOfDay(ctx context.Context, r projections.Reader, bank string, day domain.Day) ([]statement.Entry, error) {
	var out []statement.Entry
	for pair, err := range r.Scan(ctx, projections.Prefix(keyCash, bank, day.String()), projections.PrefixEnd(keyCash, bank, day.String()), false) {
		if err != nil {
			return nil, err
		}
		c, err := projections.Get[Cash](ctx, r, pair.Key)
		if err != nil {
			return nil, err
		}
		if out = append(out, statement.Entry{TxnID: c.TxnID, AmountFen: c.AmountFen, Contract: c.Contract}); len(out) == dayEntriesMax {
			break
		}
	}
	return out, nil
}

// CashEntries lists a bank's cash entries of a day.
func CashEntries(ctx context.Context, r projections.Reader, s projections.Scope, bank string, day domain.Day, p projections.Page) ([]Cash, string, error) {
	if !s.All && s.Bank != bank {
		return nil, "", nil
	}
	return projections.List(ctx, r, []string{keyCash, bank, day.String()}, false, p, decoded[Cash](ctx, r))
}

// Neighbours are the closing balance of the bank's last day before date and the opening balance of its first day after.
func Neighbours(ctx context.Context, r projections.Reader, bank string, date domain.Day) (prevClosing, nextOpening *domain.Fen, err error) {
	key := projections.Key(keyStatement, bank, date.String())
	one := func(from, to string, reverse bool) (*Day, error) {
		for pair, err := range r.Scan(ctx, from, to, reverse) {
			if err != nil {
				return nil, err
			}
			d, err := projections.Get[Day](ctx, r, pair.Key)
			return &d, err
		}
		return nil, nil
	}
	before, err := one(projections.Prefix(keyStatement, bank), key, true)
	if err != nil {
		return nil, nil, err
	}
	after, err := one(key+"\x00", projections.PrefixEnd(keyStatement, bank), false)
	if err != nil {
		return nil, nil, err
	}
	if before != nil {
		prevClosing = &before.ClosingFen
	}
	if after != nil {
		nextOpening = &after.OpeningFen
	}
	return prevClosing, nextOpening, nil
}

// StatementOf reads a bank's day.
func StatementOf(ctx context.Context, r projections.Reader, s projections.Scope, bank string, date domain.Day) (Day, bool, error) {
	if !s.All && s.Bank != bank {
		return Day{}, false, nil
	}
	d, err := projections.Get[Day](ctx, r, projections.Key(keyStatement, bank, date.String()))
	return d, d.Trail.Events > 0, err
}

// Statements lists a bank's days, newest first, or all banks' for no bank, bank by bank; with open only those with open
// discrepancies.
func Statements(ctx context.Context, r projections.Reader, s projections.Scope, bank string, open bool, p projections.Page) ([]Day, string, error) {
	if !s.All && (bank == "" || s.Bank != bank) {
		return nil, "", nil
	}
	kind := keyStatement
	if open {
		kind = keyOpenDay
	}
	prefix := []string{kind, bank}
	if bank == "" {
		prefix = prefix[:1]
	}
	return projections.List(ctx, r, prefix, true, p, func(pair projections.Pair) (Day, bool, error) {
		parts := projections.Parts(pair.Key)
		parts[0] = keyStatement
		d, err := projections.Get[Day](ctx, r, projections.Key(parts...))
		return d, true, err
	})
}

// ReleasesDue lists tranches due up to and including a day that are not ordered, oldest first.
func ReleasesDue(ctx context.Context, r projections.Reader, s projections.Scope, upTo domain.Day, p projections.Page) ([]Due, string, error) {
	return projections.ListBetween(ctx, r, [][]string{{keyDue}}, "", upTo.AddDays(1).String(), false, p, func(pair projections.Pair) (Due, bool, error) {
		d, err := projections.Get[Due](ctx, r, pair.Key)
		if err != nil || s.All {
			return d, err == nil, err
		}
		st, _, err := StateOf(ctx, r, d.Contract)
		return d, sees(s, st), err
	})
}

func ledgerOf(r row) Ledger {
	s := r.State
	l := Ledger{
		Contract: s.Plan.Contract, Unit: s.Plan.Unit, AdminCode: s.Plan.AdminCode, ReportUnit: s.Plan.ReportUnit, Bank: s.Bank, Account: s.Plan.Account,
		Lessor: s.Plan.Lessor, Lessee: s.Plan.Lessee, CoLessors: s.Plan.CoLessors, CoLessees: s.Plan.CoLessees, Owner: s.Plan.Owner,
		Mode: s.Plan.Mode, CaptureMode: s.Plan.CaptureMode, Profile: s.Plan.Profile, Start: s.Plan.Start, End: s.Plan.End,
		ExpectedRentFen: s.Plan.RentFen, ExpectedDeposit: s.Plan.DepositFen, Balances: []Balance{}, Collections: s.Plan.Collections,
		Planned: s.Plan.Schedule, Schedule: []Tranche{}, EndedEarly: s.Ended, ClosedOn: s.ClosedOn, Trail: r.Trail, Deposit: depositOf(s),
	}
	for _, b := range s.Balances {
		l.Balances = append(l.Balances, Balance(b))
	}
	for _, t := range s.Tranches {
		row := Tranche{Tranche: t.Tranche, Stage: t.Stage, Attempts: t.Attempts, PaidTxnID: t.PaidTxn}
		l.Schedule = append(l.Schedule, row)
		if t.Stage == escrow.TranchePlanned && (l.NextRelease == nil || t.Due < l.NextRelease.Due) {
			l.NextRelease = &row
		}
		if t.Stage == escrow.TranchePaid {
			l.ReleasedFen += t.AmountFen
		}
	}
	for _, f := range s.Refunds {
		l.Refunds = append(l.Refunds, Refund{RefundID: f.RefundID, Source: f.Source, AmountFen: f.AmountFen, Reason: f.Reason, Stage: f.Stage, PaidTxnID: f.PaidTxn})
		if f.Stage == escrow.RefundStagePaid {
			l.RefundedFen += f.AmountFen
		}
	}
	for _, t := range s.Txns {
		if t.Kind != escrow.TxnReceipt {
			continue
		}
		l.Receipts = append(l.Receipts, Receipt{
			Bank: t.Bank, BankTxnID: t.ID, AmountFen: t.AmountFen, ValueDate: t.ValueDate, PayerMask: t.PayerMask, RentFen: t.RentFen,
			DepositFen: t.DepositFen, OtherFen: t.OtherFen, SuspenseFen: t.SuspenseFen, ReversedBy: t.ReversedBy,
		})
		if t.ReversedBy == "" {
			l.ReceivedFen += t.AmountFen
		}
	}
	for _, f := range s.Freezes {
		l.Freezes = append(l.Freezes, Freeze{OrderNo: f.OrderNo, Scope: f.Scope, Lifted: f.Lifted})
		l.Frozen = l.Frozen || !f.Lifted
	}
	l.State = stageOf(s, l)
	return l
}

func stageOf(s escrow.State, l Ledger) string {
	switch {
	case !s.ClosedOn.IsZero():
		return "CLOSED"
	case s.Settled != nil:
		return "SETTLED"
	case s.Ended != nil:
		return "SETTLING"
	case l.ReceivedFen == 0:
		return "EXPECTED"
	case l.ReceivedFen < s.Plan.Collections[0].RentFen+s.Plan.DepositFen:
		return "PARTIAL"
	}
	return "FUNDED"
}

func depositOf(s escrow.State) Deposit {
	d := Deposit{State: "NONE", HeldFen: s.DepositHeld(), DisputedFen: s.Held(escrow.HeldAccount(s.Plan.Contract, "disputed"))}
	for _, x := range s.Deductions {
		d.Deductions = append(d.Deductions, Deduction{DeductionID: x.DeductionID, Ground: x.Ground, AmountFen: x.AmountFen, Stage: x.Stage})
	}
	contested := slices.ContainsFunc(s.Deductions, func(x escrow.Deduction) bool {
		return x.Stage == escrow.DeductionStageContested || x.Stage == escrow.DeductionStageHeld
	})
	switch {
	case s.Settled != nil:
		d.State, d.ToLessorFen, d.ToLesseeFen, d.Basis = "SETTLED", s.Settled.ToLessorFen, s.Settled.ToLesseeFen, string(s.Settled.Basis)
	case s.Mediation != nil:
		d.State = "MEDIATED"
	case contested:
		d.State = "DISPUTED"
	case len(s.Deductions) > 0:
		d.State = "PROPOSED"
	case s.Claim != nil:
		d.State, d.RespondBy = "CLAIMED", s.Claim.RespondBy
	case d.HeldFen > 0:
		d.State = "HELD"
	case s.Plan.DepositFen > 0:
		d.State = "EXPECTED"
	}
	return d
}
