package money

import (
	"context"

	"zujian/domain"
	"zujian/domain/statement"
	"zujian/projections"
)

// Day is a bank's day.
type Day struct {
	Bank          string            `json:"bank"`
	Date          domain.Day        `json:"date"`
	OpeningFen    domain.Fen        `json:"opening_fen"`
	ClosingFen    domain.Fen        `json:"closing_fen"`
	LedgerFen     domain.Fen        `json:"ledger_fen"`
	Lines         int               `json:"lines"`
	Matched       int               `json:"matched"`
	Discrepancies []Discrepancy     `json:"discrepancies,omitempty"`
	Open          int               `json:"open"`
	OpenFen       domain.Fen        `json:"open_fen"` // Σ |bank − ledger| of the open ones.
	Reconciled    bool              `json:"reconciled"`
	Trail         projections.Trail `json:"trail"`
}

// Discrepancy is one difference of a day.
type Discrepancy struct {
	Line           int            `json:"line"`
	Kind           statement.Kind `json:"kind"`
	TxnID          string         `json:"txn_id"`
	BankFen        domain.Fen     `json:"bank_fen"`
	LedgerFen      domain.Fen     `json:"ledger_fen"`
	Contract       string         `json:"contract,omitempty"`
	Classification string         `json:"classification,omitempty"`
}

func (d Discrepancy) size() domain.Fen {
	if diff := d.BankFen - d.LedgerFen; diff > 0 {
		return diff
	}
	return d.LedgerFen - d.BankFen
}

func statementEvent(ctx context.Context, v projections.View, e projections.Event, ev statement.Event) error {
	var bank string
	var date domain.Day
	switch ev := ev.(type) {
	case statement.Imported:
		bank, date = ev.Bank, ev.Date
	case statement.DiscrepancyFound:
		bank, date = ev.Bank, ev.Date
	case statement.DiscrepancyResolved:
		bank, date = ev.Bank, ev.Date
	case statement.DayReconciled:
		bank, date = ev.Bank, ev.Date
	}
	key := projections.Key(keyStatement, bank, date.String())
	d, err := projections.Get[Day](ctx, v, key)
	if err != nil {
		return err
	}
	d.Bank, d.Date, d.Trail = bank, date, d.Trail.Add(e)
	was, wasFen := d.Open, d.OpenFen
	switch ev := ev.(type) {
	case statement.Imported:
		d.OpeningFen, d.ClosingFen, d.LedgerFen, d.Lines, d.Matched = ev.OpeningFen, ev.ClosingFen, ev.LedgerFen, len(ev.Lines), ev.Matched
	case statement.DiscrepancyFound:
		x := Discrepancy{Line: ev.Line, Kind: ev.Kind, TxnID: ev.TxnID, BankFen: ev.BankFen, LedgerFen: ev.LedgerFen, Contract: ev.Contract}
		d.Discrepancies = append(d.Discrepancies, x)
		d.Open, d.OpenFen = d.Open+1, d.OpenFen+x.size()
	case statement.DiscrepancyResolved:
		for i := range d.Discrepancies {
			if x := &d.Discrepancies[i]; x.Line == ev.Line && x.Classification == "" {
				x.Classification = string(ev.Classification)
				if ev.Contract != "" {
					x.Contract = ev.Contract
				}
				d.Open, d.OpenFen = d.Open-1, d.OpenFen-x.size()
			}
		}
	case statement.DayReconciled:
		d.Reconciled = true
	}
	projections.Put(v, key, d)
	open := projections.Key(keyOpenDay, bank, date.String())
	if d.Open > 0 {
		v.Set(open, nil)
	} else {
		v.Delete(open)
	}
	delta := projections.Counters{"open_discrepancies": int64(d.Open - was), "open_discrepancies_fen": int64(d.OpenFen - wasFen)}
	return projections.Bump(ctx, v, projections.Key(keyBoard, BoardBank, bank, ""), delta)
}
