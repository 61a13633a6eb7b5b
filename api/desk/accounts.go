package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/party"
	"zujian/eventstore/seal"
	"zujian/projections"
	"zujian/projections/money"
	"zujian/projections/process/leasing"
)

// accountOf is the supervised account of a party; zero for one that is no operator or has none.
func (d *Desk) accountOf(ctx context.Context, operator, orgKind string) (account.State, error) {
	if !party.Operates(orgKind) {
		return account.State{}, nil
	}
	s, _, _, err := load(ctx, d, account.Decider, leasing.AccountID(operator))
	return s, err
}

func accountRow(a domain.Actor, s account.State) Row {
	row := Row{District: s.AdminCode, Parties: []string{s.Operator}}
	if slices.Contains(s.Banks(), a.Party) {
		row.Bank = a.Party
	}
	return row
}

// ApplyAccount asks for a supervised account, or for another bank. Only an operator has one, and only its own.
func (d *Desk) ApplyAccount(ctx context.Context, call Call, bank, district string) (string, Receipt, error) {
	operator := call.Actor.Party
	p, _, found, err := load(ctx, d, party.Decider, operator)
	if err != nil {
		return "", Receipt{}, err
	}
	if !found || !party.Operates(p.Registered.OrgKind) {
		return "", Receipt{}, ErrForbidden
	}
	if p.Opening.AdminCode != "" {
		district = p.Opening.AdminCode // The authority that looks at its opening looks at its account.
	}
	if _, ok := d.o.City.Unit(district); !ok {
		return "", Receipt{}, ErrInvalid.At("/district")
	}
	if err := d.mustBank(ctx, bank, "/bank_party_id"); err != nil {
		return "", Receipt{}, err
	}
	id := leasing.AccountID(operator)
	r, err := exec(ctx, d, call, account.Decider, id, account.Command(account.Apply{Operator: operator, Bank: bank, AdminCode: district}))
	return id, r, err
}

// Account is what an actor may read of an account. Number is for its operator and its bank.
type Account struct {
	account.State
	Number string
}

// Account reads one account.
func (d *Desk) Account(ctx context.Context, actor domain.Actor, id string, asOf time.Time) (Account, Receipt, error) {
	s, r, err := view(ctx, d, actor, account.Decider, id, asOf, func(s account.State) (Row, bool) { return accountRow(actor, s), false })
	if err != nil {
		return Account{}, r, err
	}
	a := Account{State: s}
	if s.Current != nil && s.Current.Number != "" && (actor.Party == s.Operator || actor.Party == s.Current.Bank) && actor.Party != "" {
		a.Number, err = d.o.Vault.Open(ctx, s.Operator, "account-"+id, accountNumber, string(s.Current.Number))
		if errors.Is(err, seal.ErrErased) {
			err = nil
		}
	}
	return a, r, err
}

// OpenAccount is the bank's word that the account is open. The number is sealed here; its last four digits are shown.
func (d *Desk) OpenAccount(ctx context.Context, call Call, id, number string, cmd account.Open) (Receipt, error) {
	s, err := d.seenAccount(ctx, call.Actor, id)
	if err != nil {
		return Receipt{}, err
	}
	if number != "" {
		if cmd.Last4 != "" && number[len(number)-4:] != cmd.Last4 {
			return Receipt{}, ErrInvalid.At("/last4")
		}
		cmd.Last4 = number[len(number)-4:] // The schema holds it to eight digits or more.
		if cmd.Number, err = d.sealFor(ctx, s.Operator, "account-"+id, accountNumber, number); err != nil {
			return Receipt{}, err
		}
	}
	return exec(ctx, d, call, account.Decider, id, account.Command(cmd))
}

// AccountAct is an act on an account by one of its sides, which the account itself checks.
func (d *Desk) AccountAct(ctx context.Context, call Call, id string, cmd account.Command) (Receipt, error) {
	s, err := d.seenAccount(ctx, call.Actor, id)
	if err != nil {
		return Receipt{}, err
	}
	if err := expected(ctx, d, call, account.Decider, id); err != nil {
		return Receipt{}, err
	}
	txn := ""
	switch c := cmd.(type) {
	case account.Close:
		if c.Held, err = d.heldOn(ctx, s); err != nil {
			return Receipt{}, err
		}
		cmd = c
	case account.OrderDraw:
		for i, b := range c.Beneficiaries {
			if err := d.mustParty(ctx, b.Party, "/beneficiaries/"+itoa(i)+"/party_id"); err != nil {
				return Receipt{}, err
			}
		}
	case account.DepositReserve:
		txn = c.BankTxnID
	case account.ConfirmDraw:
		txn = c.BankTxnID
	}
	if txn != "" && call.Actor.Role == domain.RoleBank { // As for ledgers: a bank's transaction belongs to one place.
		if err := refused(ctx, d, call, account.Decider, s, cmd); err != nil {
			return Receipt{}, err
		}
		holder, err := d.claim(ctx, call, "txn", call.Actor.Party+"."+derive("bank transaction", txn), "account-"+id)
		if err != nil {
			return Receipt{}, err
		}
		if holder != "account-"+id {
			return Receipt{}, account.ErrTxnDuplicate.At("/bank_txn_id")
		}
	}
	return exec(ctx, d, call, account.Decider, id, cmd)
}

func (d *Desk) seenAccount(ctx context.Context, actor domain.Actor, id string) (account.State, error) {
	s, _, found, err := load(ctx, d, account.Decider, id)
	if err == nil && (!found || !Sees(actor, accountRow(actor, s))) {
		err = ErrNotFound
	}
	return s, err
}

// heldOn is what the ledgers of the account's operator hold at its bank and at the banks before. The caller waits for the
// view first.
func (d *Desk) heldOn(ctx context.Context, s account.State) (h account.Held, err error) {
	if s.Current == nil {
		return h, nil
	}
	banks := []string{s.Current.Bank}
	for _, o := range s.Former {
		if !slices.Contains(banks, o.Bank) {
			banks = append(banks, o.Bank)
		}
	}
	err = d.o.Views.Read(ctx, money.Projection{}.Name(), func(r projections.Reader) error {
		h = account.Held{}
		for _, b := range banks {
			sums, err := money.Sums(ctx, r, money.BoardParty, s.Operator, b)
			if err != nil {
				return err
			}
			h.OpenLedgers, h.CashFen = h.OpenLedgers+sums["open_ledgers"], h.CashFen+domain.Fen(sums["cash_fen"])
		}
		return nil
	})
	if errors.Is(err, projections.ErrNotBuilt) {
		err = nil
	}
	return h, err
}
