package money

import (
	"context"
	"slices"

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
	was, wasFen, before := d.Open, d.OpenFen, slices.Clone(d.Discrepancies)
	switch ev := ev.(type) {
	case statement.Imported:
		d.OpeningFen, d.ClosingFen, d.LedgerFen, d.Lines, d.Matched = ev.OpeningFen, ev.ClosingFen, ev.LedgerFen, len(ev.Lines), ev.Matched
	case statement.DiscrepancyFound:
		x := Discrepancy{Line: ev.Line, Kind: ev.Kind, TxnID: ev.TxnID, BankFen: ev.BankFen, LedgerFen: ev.LedgerFen, Contract: ev.Contract}
		d.Discrepancies = append(d.Discrepancies, x)
		d.Open, d.OpenFen = d.Open+1, d.OpenFen+x.size()
		if ev.Late {
			d.Reconciled, d.LedgerFen = false, d.LedgerFen+ev.LedgerFen
		}
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
	delta := projections.Counters{
		"open_discrepancies": int64(d.Open - was), "open_discrepancies_fen": int64(d.OpenFen - wasFen),
		"unexplained_fen": int64(signedOpen(d.Discrepancies) - signedOpen(before)),
	}
	if err := projections.Bump(ctx, v, projections.Key(keyBoard, BoardBank, bank, ""), delta); err != nil {
		return err
	}
	return unexplained(ctx, v, bank, before, d.Discrepancies)
}

// unexplained puts open differences on the account of the lessor whose contract they name: what the bank has more or
// less than the ledgers say is no longer in that account.
func unexplained(ctx context.Context, v projections.View, bank string, before, after []Discrepancy) error {
	for i, x := range after {
		now, was := x.open(), i < len(before) && before[i].open()
		if now == was || x.Contract == "" {
			continue
		}
		l, err := projections.Get[row](ctx, v, projections.Key(keyLedger, x.Contract))
		if err != nil {
			return err
		}
		lessor := l.State.Plan.Lessor
		if lessor == "" {
			continue
		}
		sign := int64(1)
		if was {
			sign = -1
		}
		if err := projections.Bump(ctx, v, projections.Key(keyBoard, BoardParty, lessor, bank), projections.Counters{
			"open_discrepancies": sign, "open_discrepancies_fen": sign * int64(x.size()), "unexplained_fen": sign * int64(x.BankFen-x.LedgerFen),
		}); err != nil {
			return err
		}
	}
	return nil
}

// signedOpen is Σ (bank − ledger) of the open ones.
func signedOpen(ds []Discrepancy) (sum domain.Fen) {
	for _, d := range ds {
		if d.open() {
			sum += d.BankFen - d.LedgerFen
		}
	}
	return sum
}

// open is true until somebody explained it.
func (d Discrepancy) open() bool { return d.Classification == "" }
