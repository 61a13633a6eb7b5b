package demo

import (
	"fmt"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/domain/statement"
)

// bank is a supervising bank with its own books: what moved on its account each day.
type bank struct {
	member
	days    map[domain.Day][]statement.Line
	balance domain.Fen
	last    string // Contract of the last movement.
}

// driftDays: a firm drifts in the last quarter.
const driftDays = 90

func (g *generator) drifts(f *firm, day domain.Day) bool {
	return f.highLow && day > g.o.Today.AddDays(-driftDays)
}

// collect plans what the tenants of a supervised contract pay into its account, collection by collection.
func (g *generator) collect(d *deal) error {
	f := d.flat.firm
	if f == nil || f.bank == nil {
		return nil
	}
	ledger, _, err := g.o.Desk.Ledger(g.ctx, g.city, d.id, zeroTime)
	if err != nil {
		return nil //nolint:nilerr // No ledger: the money need not be supervised.
	}
	for _, c := range ledger.Plan.Collections {
		if amount := c.RentFen + c.DepositFen; amount > 0 {
			g.on(max(c.Due, domain.DayOf(g.at)), rankPay, func() error { return g.pay(d, amount) })
		}
	}
	return nil
}

// book enters a movement in the bank's own books.
func (b *bank) book(day domain.Day, txn string, amount domain.Fen, contract string) {
	b.last = contract
	b.days[day] = append(b.days[day], statement.Line{TxnID: txn, AmountFen: amount, ValueDate: day, Contract: contract})
}

func (g *generator) pay(d *deal, amount domain.Fen) error {
	f, today := d.flat.firm, domain.DayOf(g.at)
	if d.ended || g.drifts(f, today) && g.chance(0.8) { // Collected beside the account.
		return nil
	}
	txn := fmt.Sprintf("DEMO%08d", g.ids)
	s, _, err := g.o.Desk.Receive(g.ctx, g.call(f.bank.actor), d.id, escrow.Receive{
		BankTxnID: txn, AmountFen: amount, ValueDate: today, PayerMask: "6222********0018",
	})
	if err != nil {
		return unexpected(err)
	}
	f.bank.book(today, txn, amount, d.id)
	for _, t := range s.Tranches {
		if t.Stage == escrow.TranchePlanned && (t.Source != escrow.SourceDeposit) {
			rank := rankRelease
			if t.Payee == escrow.PayeeOwner {
				rank = rankOwner
			}
			g.on(max(t.Due, today), rank, func() error { return g.release(d, t.Tranche) })
		}
	}
	return nil
}

// release passes a tranche on. A drifting firm's owners go unpaid: its account is short, and the bank can't pay.
func (g *generator) release(d *deal, t escrow.Tranche) error {
	f, today := d.flat.firm, domain.DayOf(g.at)
	act := func(c escrow.Command) error {
		_, _, err := g.o.Desk.LedgerAct(g.ctx, g.call(f.bank.actor), d.id, desk.SideBank, c)
		return err
	}
	if d.ended {
		return nil
	}
	if err := act(escrow.OrderRelease{Tranche: t.No, On: today}); err != nil {
		return unexpected(err)
	}
	if g.drifts(f, today) && t.Payee == escrow.PayeeOwner {
		return unexpected(act(escrow.FailRelease{Tranche: t.No, Reason: "示例：账户余额不足"}))
	}
	txn := fmt.Sprintf("DEMO%08d", g.ids)
	if err := act(escrow.ConfirmRelease{Tranche: t.No, BankTxnID: txn, ValueDate: today}); err != nil {
		return unexpected(err)
	}
	f.bank.book(today, txn, -t.AmountFen, d.id)
	return nil
}

// unexpected is nil for what the rules refuse.
func unexpected(err error) error {
	if expected(err) {
		return nil
	}
	return err
}

// planStatements lets each bank send the statement of each day in the morning after it.
func (g *generator) planStatements() {
	for day := g.truth.Start.AddDays(-30); day < g.o.Today; day = day.AddDays(1) {
		g.on(day.AddDays(1), rankStatement, func() error { return g.statements(day) })
	}
}

func (g *generator) statements(day domain.Day) error {
	caught := false
	for _, b := range g.banks {
		lines := g.disturb(b, day)
		if len(lines) == 0 && (b.balance == 0 || day < g.o.Today.AddDays(-30)) { // Of quiet days, the last month's are enough.
			continue
		}
		if !caught && g.o.Views != nil {
			if err := g.o.Views(); err != nil {
				return err
			}
			caught = true
		}
		opening := b.balance
		for _, l := range lines {
			b.balance += l.AmountFen
		}
		id, s, _, err := g.o.Desk.ImportStatement(g.ctx, g.call(b.actor), desk.NewStatement{Date: day, OpeningFen: opening, ClosingFen: b.balance, Lines: lines})
		if err != nil {
			return fmt.Errorf("statement of %s: %w", day, err)
		}
		if len(s.Discrepancies) > 0 {
			if err := g.explain(b, id, s); err != nil {
				return err
			}
		}
		delete(b.days, day)
	}
	return nil
}

// disturb gives the bank's lines of a day, with the three differences of the demo city: money that nobody expects, an
// amount that differs, and money gone from the account of the drifting firm.
func (g *generator) disturb(b *bank, day domain.Day) []statement.Line {
	lines := b.days[day]
	firm := g.firms[4]
	ago := int(g.o.Today - day)
	switch {
	case g.differences == 0 && ago <= 70 && b != firm.bank && b.balance > 0:
		lines = append(lines, statement.Line{TxnID: "DEMO-UNKNOWN", AmountFen: 125_000, ValueDate: day})
	case g.differences == 1 && ago <= 50 && b != firm.bank && len(lines) > 0:
		lines[0].AmountFen += 1000
	case g.differences == 2 && ago <= 30 && b == firm.bank && b.balance > 100:
		gone, err := b.balance.MulDiv(30, 100)
		if err != nil {
			return lines
		}
		lines = append(lines, statement.Line{TxnID: "DEMO-WITHDRAWN", AmountFen: -gone, ValueDate: day, Contract: b.last})
	default:
		return lines
	}
	g.differences++
	return lines
}

// explain settles the first difference; the others stay open.
func (g *generator) explain(b *bank, id string, s statement.State) error {
	for i, d := range s.Discrepancies {
		if d.TxnID != "DEMO-UNKNOWN" {
			continue
		}
		if _, _, err := g.o.Desk.ResolveDiscrepancy(g.ctx, g.call(b.actor), id, statement.Resolve{
			Line: i + 1, Classification: statement.Suspense, Note: "示例：来源不明，暂挂",
		}); err != nil {
			return err
		}
	}
	return nil
}

// settleDays after the end an honest firm gives the deposit back.
const settleDays = 3

// endLedger closes the money of a supervised lease: rent paid ahead of an early end goes back, and some days later the
// deposit. A drifting firm gives none back.
func (g *generator) endLedger(d *deal) error {
	f := d.flat.firm
	if f == nil || f.bank == nil {
		return nil
	}
	act := func(a actor, side desk.Side, c escrow.Command) error {
		s, _, err := g.o.Desk.LedgerAct(g.ctx, g.call(a), d.id, side, c)
		if err != nil {
			return unexpected(err) // No ledger: the money need not be supervised.
		}
		return g.refund(d, s)
	}
	if !d.early.IsZero() {
		clockwork := domain.Actor{ID: "process:leasing", Role: domain.RoleSystem}
		if err := act(clockwork, desk.SideAny, escrow.EndEarly{On: d.early}); err != nil {
			return err
		}
	}
	g.on(domain.DayOf(g.at).AddDays(settleDays), rankRelease, func() error {
		s, _, err := g.o.Desk.Ledger(g.ctx, g.city, d.id, zeroTime)
		if err != nil || s.DepositHeld() == 0 || len(s.Deductions) > 0 || g.drifts(f, domain.DayOf(g.at)) {
			return nil //nolint:nilerr // No ledger, or no deposit to give back.
		}
		return act(g.lessor(d).actor, desk.SideLessor, escrow.SettleDeposit{ToLesseeFen: s.DepositHeld(), Basis: escrow.BasisAgreed})
	})
	return nil
}

// refund lets the bank pay what was approved to go back.
func (g *generator) refund(d *deal, s escrow.State) error {
	bank, today := d.flat.firm.bank, domain.DayOf(g.at)
	for _, r := range s.Refunds {
		if r.Stage != escrow.RefundStageApproved {
			continue
		}
		txn := fmt.Sprintf("DEMO%08d", g.ids)
		_, _, err := g.o.Desk.LedgerAct(g.ctx, g.call(bank.actor), d.id, desk.SideBank, escrow.ConfirmRefund{RefundID: r.RefundID, BankTxnID: txn, ValueDate: today})
		if err != nil {
			if err = unexpected(err); err != nil {
				return err
			}
			continue
		}
		bank.book(today, txn, -r.AmountFen, d.id)
	}
	return nil
}

// withholdDeposit: after one lease ended in the last quarter its lessor claims a ground that the contract does not name,
// and the tenant contests it.
func (g *generator) withholdDeposit(d *deal) error {
	f := d.flat.firm
	if g.withheld || f == nil || f.bank == nil || f.highLow || domain.DayOf(g.at) < g.o.Today.AddDays(-driftDays) {
		return nil
	}
	s, _, err := g.o.Desk.Ledger(g.ctx, g.city, d.id, zeroTime)
	if err != nil || s.DepositHeld() == 0 {
		return nil //nolint:nilerr // No ledger, or no deposit in it.
	}
	half, err := s.DepositHeld().MulDiv(1, 2)
	if err != nil {
		return err
	}
	if _, _, err := g.o.Desk.LedgerAct(g.ctx, g.call(g.lessor(d).actor), d.id, desk.SideLessor, escrow.ProposeDeduction{
		DeductionID: "demo-1", Ground: "CLEANING", AmountFen: half,
	}); err != nil {
		return unexpected(err)
	}
	if _, _, err := g.o.Desk.LedgerAct(g.ctx, g.call(d.tenant.actor), d.id, desk.SideLessee, escrow.ContestDeduction{
		DeductionID: "demo-1", Reason: "示例：合同未约定",
	}); err != nil {
		return unexpected(err)
	}
	g.withheld = true
	return nil
}
