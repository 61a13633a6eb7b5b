// Package reconciling is the process that brings money to a bank's day that was compared before the ledgers knew of it: a
// payment booked late, or value-dated on a day whose statement is in already, becomes a discrepancy of that day. So does one
// that was booked while the statement was compared: the event says up to where the ledgers were read. Until a day's
// statement comes, the process keeps what moved on it.
package reconciling

import (
	"context"
	"fmt"
	"time"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/domain/statement"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/process"
)

// Process is listed in cmd/zujian/registry.go.
type Process struct{}

// Name of the process; it never changes.
func (Process) Name() string { return "reconciling" }

// Version of what it keeps.
func (Process) Version() int { return 2 }

// Types it reacts to.
func (Process) Types() []string {
	return []string{
		"statement.imported", "escrow.funds_received", "escrow.funds_reversed", "escrow.funds_released", "escrow.funds_refunded",
	}
}

// Keys: keyDay bank day → the statement, once it is in; keyCash bank day position → what moved before.
const keyDay, keyCash = "day", "cash"

func dayKey(bank string, day domain.Day) string { return projections.Key(keyDay, bank, day.String()) }

// React implements process.Process.
func (Process) React(ctx context.Context, v projections.View, e projections.Event) ([]process.Outgoing, error) {
	if i, is := e.Event.(statement.Imported); is {
		return imported(ctx, v, projections.ID(e.Stream), i)
	}
	cash, ok := escrow.CashOf(e.Event)
	if !ok {
		return nil, fmt.Errorf("reconciling: unexpected %s", e.Type)
	}
	entry := statement.Entry{TxnID: cash.TxnID, AmountFen: cash.AmountFen, Contract: projections.ID(e.Stream)}
	id, found, err := v.Get(ctx, dayKey(cash.Bank, cash.ValueDate))
	if err != nil {
		return nil, err
	}
	if !found {
		projections.Put(v, projections.Key(keyCash, cash.Bank, cash.ValueDate.String(), projections.PositionKey(e.Position)), entry)
		return nil, nil
	}
	return []process.Outgoing{late(string(id), entry)}, nil
}

// imported sends what the ledgers knew of the day when its statement was stored, but not yet when they were read for it.
func imported(ctx context.Context, v projections.View, id string, i statement.Imported) (out []process.Outgoing, err error) {
	v.Set(dayKey(i.Bank, i.Date), []byte(id))
	from, to := projections.Prefix(keyCash, i.Bank, i.Date.String()), projections.PrefixEnd(keyCash, i.Bank, i.Date.String())
	read := projections.Key(keyCash, i.Bank, i.Date.String(), projections.PositionKey(eventstore.Position(i.ComparedTo)))
	var known []string
	for pair, err := range v.Scan(ctx, from, to, false) {
		if err != nil {
			return nil, err
		}
		known = append(known, pair.Key)
	}
	for _, key := range known {
		if i.ComparedTo != 0 && key > read {
			entry, err := projections.Get[statement.Entry](ctx, v, key)
			if err != nil {
				return nil, err
			}
			out = append(out, late(id, entry))
		}
		v.Delete(key)
	}
	return out, nil
}

func late(id string, e statement.Entry) process.Outgoing {
	return process.Send(statement.Decider, id, statement.Command(statement.BookLate{Entry: e}))
}

// Resume implements process.Process.
func (Process) Resume(context.Context, projections.Reader, time.Time) ([]process.Outgoing, error) {
	return nil, nil
}
