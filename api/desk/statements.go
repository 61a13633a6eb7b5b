package desk

import (
	"context"
	"errors"

	"zujian/domain"
	"zujian/domain/statement"
	"zujian/projections"
	"zujian/projections/money"
)

// dayID names a bank's day.
func dayID(bank string, day domain.Day) string { return bank + "." + day.String() }

// NewStatement is a bank's day as the bank reports it (对账单).
type NewStatement struct {
	Date                   domain.Day
	OpeningFen, ClosingFen domain.Fen
	Lines                  []statement.Line
}

// ImportStatement compares a bank's day with the ledgers and names every difference. The money view must have caught up
// with the bank's own receipts: the caller waits for its last position first.
func (d *Desk) ImportStatement(ctx context.Context, call Call, in NewStatement) (string, statement.State, Receipt, error) {
	var s statement.State
	if call.Actor.Role != domain.RoleBank || call.Actor.Party == "" {
		return "", s, Receipt{}, ErrForbidden
	}
	if in.Date.IsZero() || in.Date > domain.DayOf(call.At) {
		return "", s, Receipt{}, ErrInvalid.At("/date")
	}
	bank := call.Actor.Party
	id := dayID(bank, in.Date)
	cmd := statement.Import{Bank: bank, Date: in.Date, OpeningFen: in.OpeningFen, ClosingFen: in.ClosingFen, Lines: in.Lines}
	err := d.o.Views.Read(ctx, money.Projection{}.Name(), func(r projections.Reader) (err error) {
		cmd.ComparedTo = uint64(r.Position())
		if cmd.Ledger, err = money.CashOfDay(ctx, r, bank, in.Date); err != nil {
			return err
		}
		cmd.PrevClosing, cmd.NextOpening, err = money.Neighbours(ctx, r, bank, in.Date)
		return err
	})
	if err != nil && !errors.Is(err, projections.ErrNotBuilt) {
		return "", s, Receipt{}, err
	}
	r, err := exec(ctx, d, call, statement.Decider, id, statement.Command(cmd))
	if err != nil {
		return "", s, r, err
	}
	s, _, _, err = load(ctx, d, statement.Decider, id)
	return id, s, r, err
}

// Statement reads a bank's day. The bank sees its own, the city and auditors all.
func (d *Desk) Statement(ctx context.Context, actor domain.Actor, id string) (statement.State, Receipt, error) {
	s, rev, found, err := load(ctx, d, statement.Decider, id)
	if err != nil || !found {
		return s, Receipt{}, orNotFound(err)
	}
	if !Sees(actor, Row{Bank: s.Imported.Bank}) {
		return statement.State{}, Receipt{}, ErrNotFound
	}
	return s, Receipt{Revision: rev}, nil
}

// ResolveDiscrepancy explains one difference of a bank's day; the day closes when nothing is left.
func (d *Desk) ResolveDiscrepancy(ctx context.Context, call Call, id string, cmd statement.Resolve) (statement.State, Receipt, error) {
	if _, _, err := d.Statement(ctx, call.Actor, id); err != nil {
		return statement.State{}, Receipt{}, err
	}
	r, err := exec(ctx, d, call, statement.Decider, id, statement.Command(cmd))
	if err != nil {
		return statement.State{}, r, err
	}
	s, _, _, err := load(ctx, d, statement.Decider, id)
	return s, r, err
}
