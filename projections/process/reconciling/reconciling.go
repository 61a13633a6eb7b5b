// Package reconciling is the process that brings money to a bank's day that was compared before the ledgers knew of it: a
// payment booked late, or value-dated on a day whose statement is in already, becomes a discrepancy of that day.
package reconciling

import (
	"context"
	"fmt"
	"time"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/domain/statement"
	"zujian/projections"
	"zujian/projections/process"
)

// Process is listed in cmd/zujian/registry.go.
type Process struct{}

// Name of the process; it never changes.
func (Process) Name() string { return "reconciling" }

// Version of what it keeps.
func (Process) Version() int { return 1 }

// Types it reacts to.
func (Process) Types() []string {
	return []string{
		"statement.imported", "escrow.funds_received", "escrow.funds_reversed", "escrow.funds_released", "escrow.funds_refunded",
	}
}

// dayKey is there once the bank's statement of a day is in; its value names the statement.
func dayKey(bank string, day domain.Day) string { return "day/" + bank + "/" + day.String() }

// React implements process.Process.
func (Process) React(ctx context.Context, v projections.View, e projections.Event) ([]process.Outgoing, error) {
	late := statement.Entry{Contract: projections.ID(e.Stream)}
	var bank string
	var day domain.Day
	switch f := e.Event.(type) {
	case statement.Imported:
		v.Set(dayKey(f.Bank, f.Date), []byte(projections.ID(e.Stream)))
		return nil, nil
	case escrow.FundsReceived:
		bank, day, late.TxnID, late.AmountFen = f.Bank, f.ValueDate, f.BankTxnID, f.AmountFen
	case escrow.FundsReversed:
		bank, day, late.TxnID, late.AmountFen = f.Bank, f.ValueDate, f.ReversalTxnID, -f.AmountFen
	case escrow.FundsReleased:
		bank, day, late.TxnID, late.AmountFen = f.Bank, f.ValueDate, f.BankTxnID, -f.AmountFen
	case escrow.FundsRefunded:
		bank, day, late.TxnID, late.AmountFen = f.Bank, f.ValueDate, f.BankTxnID, -f.AmountFen
	default:
		return nil, fmt.Errorf("reconciling: unexpected %s", e.Type)
	}
	id, found, err := v.Get(ctx, dayKey(bank, day))
	if err != nil || !found {
		return nil, err
	}
	return []process.Outgoing{process.Send(statement.Decider, string(id), statement.Command(statement.BookLate{Entry: late}))}, nil
}

// Resume implements process.Process.
func (Process) Resume(context.Context, projections.Reader, time.Time) ([]process.Outgoing, error) {
	return nil, nil
}
