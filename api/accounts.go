package api

import (
	"context"
	"net/http"

	"zujian/domain/account"
	"zujian/projections"
	"zujian/projections/money"
)

func applyAccount(ctx context.Context, s *Server, c *call, in NewAccount) (answer, error) {
	id, r, err := s.o.Desk.ApplyAccount(ctx, c.Call, in.BankPartyId, in.District)
	a := wrote(http.StatusCreated, r, Done{Id: id})
	a.location = "/v1/accounts/" + id
	return a, err
}

func accountAct(ctx context.Context, s *Server, c *call, cmd account.Command) (answer, error) {
	r, err := s.o.Desk.AccountAct(ctx, c.Call, c.path("account"), cmd)
	return wrote(http.StatusOK, r, Done{Id: c.path("account")}), err
}

func openAccount(ctx context.Context, s *Server, c *call, in AccountOpening) (answer, error) {
	if in.Number == "" && in.Last4 == "" {
		return answer{}, invalid(FieldError{Pointer: "/last4", Code: codeRequired})
	}
	r, err := s.o.Desk.OpenAccount(ctx, c.Call, c.path("account"), in.Number,
		account.Open{Last4: in.Last4, AgreementNo: in.AgreementNo, ReserveFen: in.ReserveFen})
	return wrote(http.StatusOK, r, Done{Id: c.path("account")}), err
}

func decideAccount(ctx context.Context, s *Server, c *call, in Decision) (answer, error) {
	if in.Accept {
		return accountAct(ctx, s, c, account.Accept{})
	}
	return accountAct(ctx, s, c, account.Decline{Reason: in.Reason})
}

func suspendAccount(ctx context.Context, s *Server, c *call, in AccountOrder) (answer, error) {
	return accountAct(ctx, s, c, account.Suspend{OrderNo: in.OrderNo, Reason: in.Reason})
}

func resumeAccount(ctx context.Context, s *Server, c *call, in Order) (answer, error) {
	return accountAct(ctx, s, c, account.Resume{OrderNo: in.OrderNo})
}

func closeAccount(ctx context.Context, s *Server, c *call) (answer, error) {
	return s.alone(ctx, func() (answer, error) { // What its ledgers hold decides.
		return accountAct(ctx, s, c, account.Close{})
	}, money.Projection{}.Name())
}

func setReserve(ctx context.Context, s *Server, c *call, in ReserveRequired) (answer, error) {
	return accountAct(ctx, s, c, account.SetReserve{RequiredFen: in.RequiredFen, Basis: in.Basis})
}

func depositReserve(ctx context.Context, s *Server, c *call, in ReserveDeposit) (answer, error) {
	return accountAct(ctx, s, c, account.DepositReserve{BankTxnID: in.BankTxnId, AmountFen: in.AmountFen, ValueDate: in.ValueDate})
}

func orderDraw(ctx context.Context, s *Server, c *call, in NewDraw) (answer, error) {
	cmd := account.OrderDraw{DrawID: c.ID, OrderNo: in.OrderNo, Reason: in.Reason, ReplenishBy: in.ReplenishBy}
	for _, b := range in.Beneficiaries {
		cmd.Beneficiaries = append(cmd.Beneficiaries, account.Share{Party: b.PartyId, AmountFen: b.AmountFen})
	}
	a, err := accountAct(ctx, s, c, cmd)
	a.status, a.body = http.StatusCreated, Done{Id: c.ID}
	return a, err
}

func confirmDraw(ctx context.Context, s *Server, c *call, in ReservePayment) (answer, error) {
	return accountAct(ctx, s, c, account.ConfirmDraw{DrawID: c.path("draw_id"), BankTxnID: in.BankTxnId, ValueDate: in.ValueDate})
}

func cancelDraw(ctx context.Context, s *Server, c *call, in Reason) (answer, error) {
	return accountAct(ctx, s, c, account.CancelDraw{DrawID: c.path("draw_id"), Reason: in.Reason})
}

func declareLoans(ctx context.Context, s *Server, c *call, in LoanMonth) (answer, error) {
	return accountAct(ctx, s, c, account.DeclareLoans{Month: in.Month, IncomeFen: in.IncomeFen, LoanFen: in.LoanFen})
}

func readAccount(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	a, r, err := s.o.Desk.Account(ctx, c.Actor, c.path("account"), asOf)
	if err != nil {
		return answer{}, err
	}
	body := Account{
		Id: c.path("account"), OperatorId: a.Operator, District: a.AdminCode, State: string(a.Stage), Number: a.Number,
		ReserveFen: a.Reserve, ReserveFreeFen: a.Free(), ReserveRequiredFen: a.Required, ClosedOn: a.ClosedOn, Draws: []Draw{}, Loans: []DeclaredMonth{},
	}
	if a.Current != nil {
		body.BankPartyId, body.Last4, body.AgreementNo, body.OpenedOn = a.Current.Bank, a.Current.Last4, a.Current.AgreementNo, a.Current.On
	}
	if a.Next != nil {
		body.AppliedAt = AppliedAt{BankPartyId: a.Next.Bank, Last4: a.Next.Last4, OpenedOn: a.Next.On}
	}
	if a.Order != nil {
		body.SuspendedByOrder = a.Order.OrderNo
	}
	for _, d := range a.Draws {
		row := Draw{Id: d.DrawID, OrderNo: d.OrderNo, AmountFen: d.AmountFen, ReplenishBy: d.ReplenishBy, State: "ORDERED", BankTxnId: d.PaidTxn}
		switch {
		case d.Cancelled:
			row.State = "CANCELLED"
		case d.PaidTxn != "":
			row.State = "PAID"
		}
		body.Draws = append(body.Draws, row)
	}
	for _, m := range a.Loans {
		body.Loans = append(body.Loans, DeclaredMonth{Month: m.Month, IncomeFen: m.IncomeFen, LoanFen: m.LoanFen, Exceeded: m.Exceeded})
	}
	return answer{body: body, revision: &r.Revision}, nil
}

// listAccounts is the account board (V-M1).
func listAccounts(ctx context.Context, s *Server, c *call) (answer, error) {
	judge, err := s.judge(ctx)
	if err != nil {
		return answer{}, err
	}
	return listView(ctx, s, c, money.Projection{}, func(r projections.Reader, scope projections.Scope, p projections.Page) ([]money.Account, string, error) {
		return money.Accounts(ctx, r, scope, judge, c.on(), p)
	})
}
