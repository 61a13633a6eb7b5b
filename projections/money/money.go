// Package money is the view of supervised money (钱): ledgers with every posting (V-M2), the account board by party, bank
// and district (V-M1), tranches by due day (V-M3), cash by bank and day for reconciliation, and the banks' days.
// It answers reads; the ledgers themselves are decided by package escrow.
//
// # Decisions
//
// A ledger's row keeps escrow.State as folded by escrow's own Evolve, so the view can never disagree with the decider.
// Boards are kept by adding what an event changed, never by scanning ledgers.
package money

import (
	"context"
	"fmt"
	"slices"

	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/escrow"
	"zujian/domain/statement"
	"zujian/projections"
)

// Projection is listed in cmd/zujian/registry.go.
type Projection struct{}

// Name of the view's keyspace.
func (Projection) Name() string { return "money" }

// Version of Apply's meaning.
func (Projection) Version() int { return 6 }

// Types the view reads: everything about accounts, ledgers and statements.
func (Projection) Types() []string {
	var out []string
	for _, t := range slices.Concat(account.Types, escrow.Types, statement.Types) {
		out = append(out, t.Name)
	}
	return out
}

// Keys of the view. Each is Key(kind, …); days are "2026-03-01", positions hexadecimal.
const (
	keyLedger    = "g"  // contract → row
	keyPosting   = "p"  // contract, position → Entry
	keyByParty   = "gp" // party, contract
	keyByBank    = "gb" // bank, contract
	keyByArea    = "gd" // district or reporting unit, contract
	keyCash      = "x"  // bank, value day, position → Cash
	keyDue       = "r"  // due day, contract, tranche → bank
	keyBoard     = "a"  // kind, id, bank → Counters
	keyExpected  = "ae" // lessor, bank, day → Counters{due_fen}: what its tenants are to pay into supervision
	keyStatement = "s"  // bank, day → Day
	keyOpenDay   = "so" // bank, day: statements with open discrepancies

	keyAccount      = "c"  // account → accountRow
	keyAccountParty = "cp" // operator, account
	keyAccountBank  = "cb" // bank, account
	keyAccountArea  = "cd" // district, account
)

// row is what the view keeps of one ledger.
type row struct {
	State escrow.State      `json:"state"`
	Trail projections.Trail `json:"trail"`
}

// Packed implements projections.Packed.
func (row) Packed() {}

// Entry is one event that moved money, or changed the plan for it.
type Entry struct {
	Position  uint64           `json:"position"`
	Revision  int64            `json:"revision"`
	Type      string           `json:"type"`
	On        domain.Day       `json:"on"` // Day of the decision.
	ValueDate domain.Day       `json:"value_date,omitzero"`
	BankTxnID string           `json:"bank_txn_id,omitempty"`
	Journal   []escrow.Posting `json:"journal,omitempty"`
}

// Packed implements projections.Packed.
func (Entry) Packed() {}

// Cash is one entry of a bank's cash, signed: positive came in.
type Cash struct {
	Position  uint64     `json:"position"`
	Contract  string     `json:"contract,omitempty"`
	Account   string     `json:"account,omitempty"` // Supervised account; of the reserve without a contract.
	TxnID     string     `json:"txn_id"`
	AmountFen domain.Fen `json:"amount_fen"`
	Type      string     `json:"type"`
}

// Packed implements projections.Packed.
func (Cash) Packed() {}

// Apply folds a batch.
func (p Projection) Apply(ctx context.Context, v projections.View, batch []projections.Event) error {
	ledgers := projections.Settling[row]{Effect: figures}
	for _, e := range batch {
		var err error
		switch ev := e.Event.(type) {
		case account.Event:
			err = accountEvent(ctx, v, e, ev)
		case escrow.Event:
			err = ledgerEvent(ctx, v, &ledgers, e, ev)
		case statement.Event:
			err = statementEvent(ctx, v, e, ev)
		}
		if err != nil {
			return fmt.Errorf("money: %s@%d: %w", e.Stream, e.Revision, err)
		}
	}
	if err := ledgers.Settle(ctx, v); err != nil {
		return fmt.Errorf("money: %w", err)
	}
	return nil
}

func ledgerEvent(ctx context.Context, v projections.View, ledgers *projections.Settling[row], e projections.Event, ev escrow.Event) error {
	contract := projections.ID(e.Stream)
	key := projections.Key(keyLedger, contract)
	before, err := projections.GetOwn[row](ctx, v, key, e)
	if err != nil {
		return err
	}
	after := row{State: escrow.Decider.Evolve(before.State, ev), Trail: before.Trail.Add(e)}
	projections.Put(v, key, after)
	ledgers.Changed(key, before, after)
	if _, moved := ev.(escrow.PartiesReplaced); moved || before.Trail.Events == 0 {
		for _, party := range parties(before.State) {
			v.Delete(projections.Key(keyByParty, party, contract))
		}
		index(v, contract, after.State)
	}
	if after.State.Bank != before.State.Bank {
		v.Set(projections.Key(keyByBank, after.State.Bank, contract), nil)
	}
	entry(v, contract, after.State.Plan.Account, e, ev)
	due(v, contract, before.State, after.State)
	if sameDues(before.State, after.State) {
		return nil
	}
	return expected(after).Replace(ctx, v, expected(before))
}

// sameDues is true of two states of one ledger with the same collections due: most events leave them untouched.
func sameDues(before, after escrow.State) bool {
	was, now := before.Plan.Collections, after.Plan.Collections
	return len(was) == len(now) && (len(now) == 0 || &was[0] == &now[0]) &&
		before.Plan.Lessor == after.Plan.Lessor && before.Bank == after.Bank && before.Ended == after.Ended
}

// expected is when a ledger's collections are due, for its lessor's account. What a lease that ended would still have
// collected is due no more.
func expected(r row) (e projections.Effect) {
	s := r.State
	if r.Trail.Events == 0 {
		return e
	}
	for _, c := range s.Plan.Collections {
		if s.Ended != nil && c.Due > s.Ended.On {
			continue
		}
		e.Sum(projections.Key(keyExpected, s.Plan.Lessor, s.Bank, c.Due.String()), "due_fen", int64(c.RentFen+c.DepositFen))
	}
	return e
}

func index(v projections.View, contract string, s escrow.State) {
	for _, party := range parties(s) {
		v.Set(projections.Key(keyByParty, party, contract), nil)
	}
	for _, area := range []string{s.Plan.AdminCode, s.Plan.ReportUnit} {
		if area != "" {
			v.Set(projections.Key(keyByArea, area, contract), nil)
		}
	}
}

// parties who may see a ledger.
func parties(s escrow.State) []string {
	all := slices.Concat([]string{s.Plan.Lessor, s.Plan.Lessee, s.Plan.OperatorParty, s.Plan.Owner}, s.Plan.CoLessors, s.Plan.CoLessees)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(p string) bool { return p == "" })
}

func entry(v projections.View, contract, onAccount string, e projections.Event, ev escrow.Event) {
	at := projections.PositionKey(e.Position)
	cash, _ := escrow.CashOf(ev)
	line := Entry{
		Position: uint64(e.Position), Revision: int64(e.Revision), Type: e.Type, On: domain.DayOf(e.Meta.At), Journal: escrow.Journal(ev),
		BankTxnID: cash.TxnID, ValueDate: cash.ValueDate,
	}
	projections.Put(v, projections.Key(keyPosting, contract, at), line)
	if cash.Bank != "" {
		projections.Put(v, projections.Key(keyCash, cash.Bank, cash.ValueDate.String(), at), Cash{
			Position: line.Position, Contract: contract, Account: onAccount, TxnID: cash.TxnID, AmountFen: cash.AmountFen, Type: e.Type,
		})
	}
}

// due keeps the calendar of tranches not yet ordered.
func due(v projections.View, contract string, before, after escrow.State) {
	for i, t := range after.Tranches {
		if i < len(before.Tranches) && before.Tranches[i] == t {
			continue
		}
		key := dueKey(t.Due, contract, t.No)
		if t.Stage == escrow.TranchePlanned {
			projections.Put(v, key, Due{Contract: contract, Tranche: t.No, Due: t.Due, AmountFen: t.AmountFen, Payee: string(t.Payee), Party: t.Party, Bank: after.Bank, Attempts: t.Attempts})
		} else {
			v.Delete(key)
		}
	}
}

func dueKey(day domain.Day, contract string, no int) string {
	return projections.Key(keyDue, day.String(), contract, fmt.Sprintf("%04d", no))
}

// figures of one ledger, on each board it counts for; its first receipt may bring it to another bank's.
func figures(r row) (e projections.Effect) {
	s := r.State
	if r.Trail.Events == 0 {
		return e
	}
	e.Over(boards(s))
	count := func(name string, n int64) { e.SumEach(keyBoard, "", name, n) }
	count("ledgers", 1)
	count("expected_rent_fen", int64(s.Plan.RentFen))
	count("expected_deposit_fen", int64(s.Plan.DepositFen))
	if len(s.Balances) > 0 { // No money came before that.
		held(s, count)
	}
	if s.ClosedOn.IsZero() {
		count("open_ledgers", 1)
	}
	if slices.ContainsFunc(s.Freezes, func(f escrow.FreezeOrder) bool { return !f.Lifted }) {
		count("frozen_ledgers", 1)
	}
	var received, paid, unpaid domain.Fen
	for _, t := range s.Txns {
		switch t.Kind {
		case escrow.TxnReceipt:
			received += t.AmountFen
		case escrow.TxnReversal:
			received -= t.AmountFen
		case escrow.TxnPayment:
			paid += t.AmountFen
		}
	}
	failed := int64(0)
	for _, t := range s.Tranches {
		if t.Payee == escrow.PayeeOwner && t.Stage == escrow.TranchePlanned {
			unpaid += t.AmountFen
		}
		if t.Attempts > 0 && t.Stage == escrow.TranchePlanned {
			failed++
		}
	}
	count("received_fen", int64(received))
	count("paid_out_fen", int64(paid))
	count("owner_unpaid_fen", int64(unpaid))
	count("failed_tranches", failed)
	return e
}

// held counts what the accounts of a ledger hold.
func held(s escrow.State, count func(name string, n int64)) {
	part := func(name, part string) { count(name, int64(s.Held(escrow.HeldAccount(s.Plan.Contract, part)))) }
	count("held_deposit_fen", int64(s.DepositHeld()))
	part("held_rent_fen", "rent")
	part("disputed_fen", "disputed")
	part("other_fen", "other")
	part("awarded_fen", "awarded")
	part("unclassified_fen", "unclassified")
	if s.Bank != "" {
		count("cash_fen", int64(s.Held(escrow.CashAccount(s.Bank))))
		count("suspense_fen", int64(s.Held(escrow.SuspenseAccount(s.Bank))))
	}
	for _, to := range []string{"owner", "operator", "lessor", "tenant"} {
		count("payable_"+to+"_fen", int64(s.Held(escrow.PayableAccount(s.Plan.Contract, to))))
	}
}

// Kinds of board rows.
const (
	BoardParty = "party" // The lessor or operator whose contracts they are.
	BoardArea  = "area"  // District code.
	BoardBank  = "bank"
	BoardCity  = "city"
)

// boards a ledger counts for: kind, id and bank.
func boards(s escrow.State) []string {
	return []string{
		projections.Key(BoardParty, s.Plan.Lessor, s.Bank), projections.Key(BoardArea, s.Plan.AdminCode, s.Bank),
		projections.Key(BoardBank, s.Bank, ""), projections.Key(BoardCity, "", s.Bank),
	}
}

// boardParts are the id and the bank in a board's key.
func boardParts(key string) (id, bank string) {
	parts := projections.Parts(key) // keyBoard, kind, id, bank
	return parts[2], parts[3]
}
