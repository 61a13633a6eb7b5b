package money

import (
	"context"
	"fmt"

	"zujian/domain"
	"zujian/domain/account"
	"zujian/projections"
)

// accountRow is what the view keeps of one supervised account, as folded by account's own Evolve.
type accountRow struct {
	State account.State     `json:"state"`
	Trail projections.Trail `json:"trail"`
}

// Packed implements projections.Packed.
func (accountRow) Packed() {}

func accountEvent(ctx context.Context, v projections.View, e projections.Event, ev account.Event) error {
	id := projections.ID(e.Stream)
	key := projections.Key(keyAccount, id)
	before, err := projections.GetOwn[accountRow](ctx, v, key, e)
	if err != nil {
		return err
	}
	after := accountRow{State: account.Decider.Evolve(before.State, ev), Trail: before.Trail.Add(e)}
	projections.Put(v, key, after)
	bank, txn, day, signed := "", "", domain.Day(0), domain.Fen(0)
	switch m := ev.(type) {
	case account.ReserveDeposited:
		bank, txn, day, signed = m.Bank, m.BankTxnID, m.ValueDate, m.AmountFen
	case account.ReserveDrawn:
		bank, txn, day, signed = m.Bank, m.BankTxnID, m.ValueDate, -m.AmountFen
	}
	if bank != "" {
		projections.Put(v, projections.Key(keyCash, bank, day.String(), projections.PositionKey(e.Position)), Cash{
			Position: uint64(e.Position), Account: id, TxnID: txn, AmountFen: signed, Type: e.Type,
		})
	}
	return accountEffect(id, after).Replace(ctx, v, accountEffect(id, before))
}

// accountEffect is how an account is found, and where its reserve counts: as the bank's money and as owed by it.
func accountEffect(id string, r accountRow) (e projections.Effect) {
	s := r.State
	if r.Trail.Events == 0 {
		return e
	}
	e.Mark(projections.Key(keyAccountParty, s.Operator, id), "")
	e.Mark(projections.Key(keyAccountArea, s.AdminCode, id), "")
	for _, b := range s.Banks() {
		e.Mark(projections.Key(keyAccountBank, b, id), "")
	}
	if s.Current != nil && s.Reserve != 0 {
		for _, key := range []string{
			projections.Key(keyBoard, BoardParty, s.Operator, s.Current.Bank), projections.Key(keyBoard, BoardArea, s.AdminCode, s.Current.Bank),
			projections.Key(keyBoard, BoardBank, s.Current.Bank, ""), projections.Key(keyBoard, BoardCity, "", s.Current.Bank),
		} {
			e.Sum(key, "reserve_fen", int64(s.Reserve))
		}
	}
	return e
}

// Account is one row of the account board (V-M1): an operator's account and what its ledgers at that bank add up to.
type Account struct {
	ID        string        `json:"id"`
	Operator  string        `json:"operator_id"`
	Bank      string        `json:"bank_party_id"` // In force; of an application, the bank asked.
	Last4     string        `json:"last4,omitempty"`
	District  string        `json:"district"`
	State     account.Stage `json:"state"`
	OpenedOn  domain.Day    `json:"opened_on,omitzero"`
	Suspended string        `json:"suspended_by_order,omitempty"`

	ReserveFen         domain.Fen `json:"reserve_fen"`
	ReserveRequiredFen domain.Fen `json:"reserve_required_fen"`
	LoanMonth          domain.Day `json:"loan_month,omitzero"` // The last month declared.
	LoanShareBP        *int64     `json:"loan_share_bp"`       // Of its income; null without one.

	HeldRentFen    domain.Fen     `json:"held_rent_fen"`
	HeldDepositFen domain.Fen     `json:"held_deposit_fen"`
	Board          Board          `json:"board"`
	Alerts         domain.Verdict `json:"alerts"` // What the rules in force say today: M-07, M-14, C-13.

	Trail projections.Trail `json:"trail"`
}

// Accounts lists the account board, by the reader's own index. Alerts are judged by the rules in force on the day.
func Accounts(
	ctx context.Context, r projections.Reader, s projections.Scope, j Judge, on domain.Day, p projections.Page,
) ([]Account, string, error) {
	prefix := []string{keyAccount}
	switch {
	case s.All:
	case s.Party != "":
		prefix = []string{keyAccountParty, s.Party}
	case s.Bank != "":
		prefix = []string{keyAccountBank, s.Bank}
	default:
		prefix = []string{keyAccountArea, s.District}
	}
	return projections.List(ctx, r, prefix, false, p, func(pair projections.Pair) (Account, bool, error) {
		id := projections.Tail(pair.Key)
		row, err := projections.Get[accountRow](ctx, r, projections.Key(keyAccount, id))
		if err != nil {
			return Account{}, false, fmt.Errorf("account %s: %w", id, err)
		}
		a, err := accountOf(ctx, r, id, row, j, on)
		return a, err == nil, err
	})
}

func accountOf(ctx context.Context, r projections.Reader, id string, row accountRow, j Judge, on domain.Day) (a Account, err error) {
	s := row.State
	a = Account{
		ID: id, Operator: s.Operator, District: s.AdminCode, State: s.Stage, ReserveFen: s.Free(), ReserveRequiredFen: s.Required,
		Trail: row.Trail, Alerts: domain.Verdict{},
	}
	if s.Order != nil {
		a.Suspended = s.Order.OrderNo
	}
	switch n := len(s.Former); {
	case s.Current != nil:
		a.Bank, a.Last4, a.OpenedOn = s.Current.Bank, s.Current.Last4, s.Current.On
	case s.Next != nil:
		a.Bank, a.Last4, a.OpenedOn = s.Next.Bank, s.Next.Last4, s.Next.On
	case n > 0:
		a.Bank, a.Last4, a.OpenedOn = s.Former[n-1].Bank, s.Former[n-1].Last4, s.Former[n-1].On
	}
	a.Board = Board{Kind: BoardParty, ID: s.Operator, Bank: a.Bank}
	if a.Board.Figures, err = Sums(ctx, r, BoardParty, s.Operator, a.Bank); err != nil {
		return a, err
	}
	if err := a.Board.fill(ctx, r, j, on); err != nil {
		return a, err
	}
	a.HeldRentFen, a.HeldDepositFen = domain.Fen(a.Board.Figures["held_rent_fen"]), domain.Fen(a.Board.Figures["held_deposit_fen"])
	facts := domain.Facts{
		"reserve_fen": int64(a.ReserveFen), "reserve_required_fen": int64(a.ReserveRequiredFen),
		"balance_fen": int64(a.Board.BalanceFen), "liabilities_fen": int64(a.Board.LiabilitiesFen), "income_fen": int64(0), "loan_income_fen": int64(0),
	}
	if n := len(s.Loans); n > 0 {
		m := s.Loans[n-1]
		a.LoanMonth, facts["income_fen"], facts["loan_income_fen"] = m.Month, int64(m.IncomeFen), int64(m.LoanFen)
		if bp, err := m.LoanFen.MulDiv(10_000, int64(m.IncomeFen)); m.IncomeFen > 0 && err == nil {
			share := int64(bp)
			a.LoanShareBP = &share
		}
	}
	for _, res := range j.Policy.Judge(domain.StagePeriodic, on, domain.Facts{"operator": facts}).Fired() {
		if res.Outcome != domain.OutcomeUnknown { // Other rules of the stage read other facts.
			a.Alerts = append(a.Alerts, res)
		}
	}
	return a, nil
}

// Sums are the counters of one board row, by their names in figures.
func Sums(ctx context.Context, r projections.Reader, kind, id, bank string) (projections.Counters, error) {
	return projections.Get[projections.Counters](ctx, r, projections.Key(keyBoard, kind, id, bank))
}
