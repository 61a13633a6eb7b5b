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
	if i, is := e.Event.(statement.Imported); is {
		v.Set(dayKey(i.Bank, i.Date), []byte(projections.ID(e.Stream)))
		return nil, nil
	}
	cash, ok := escrow.CashOf(e.Event)
	if !ok {
		return nil, fmt.Errorf("reconciling: unexpected %s", e.Type)
	}
	id, found, err := v.Get(ctx, dayKey(cash.Bank, cash.ValueDate))
	if err != nil || !found {
		return nil, err
	}
	late := statement.Entry{TxnID: cash.TxnID, AmountFen: cash.AmountFen, Contract: projections.ID(e.Stream)}
	return []process.Outgoing{process.Send(statement.Decider, string(id), statement.Command(statement.BookLate{Entry: late}))}, nil
}

// Resume implements process.Process.
func (Process) Resume(context.Context, projections.Reader, time.Time) ([]process.Outgoing, error) {
	return nil, nil
}
