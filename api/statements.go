package api

import (
	"context"
	"net/http"

	"zujian/api/desk"
	"zujian/domain/statement"
	"zujian/projections/money"
)

func importStatement(ctx context.Context, s *Server, c *call, in NewStatement) (answer, error) {
	req := desk.NewStatement{Date: in.Date, OpeningFen: in.OpeningFen, ClosingFen: in.ClosingFen}
	for _, l := range in.Lines {
		req.Lines = append(req.Lines, statement.Line{TxnID: l.TxnId, AmountFen: l.AmountFen, ValueDate: l.ValueDate, Contract: l.ContractId})
	}
	var a answer
	err := s.importing(ctx, func(ctx context.Context) error {
		if err := s.catchUp(ctx, money.Projection{}.Name()); err != nil {
			return err
		}
		id, state, r, err := s.o.Desk.ImportStatement(ctx, c.Call, req)
		if err == nil {
			a = wrote(http.StatusCreated, r, statementBody(id, state))
			a.location = "/v1/bank-statements/" + id
		}
		return err
	})
	return a, err
}

// importing calls f while nobody else imports a statement, here or, as far as a lease can tell, at another server.
func (s *Server) importing(ctx context.Context, f func(context.Context) error) error {
	s.imports.Lock()
	defer s.imports.Unlock()
	if s.o.Alone == nil {
		return f(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*atLeastWait) // For its turn, and for the view.
	defer cancel()
	began := false
	var failed error
	err := s.o.Alone(ctx, "statements", func(ctx context.Context) error {
		began, failed = true, f(ctx)
		return nil
	})
	if began {
		err = failed // What was written stands, whoever has the turn by now.
	}
	return err
}

func readStatement(ctx context.Context, s *Server, c *call) (answer, error) {
	state, r, err := s.o.Desk.Statement(ctx, c.Actor, c.path("id"))
	if err != nil {
		return answer{}, err
	}
	return answer{body: statementBody(c.path("id"), state), revision: &r.Revision}, nil
}

func resolveDiscrepancy(ctx context.Context, s *Server, c *call, in NewResolution) (answer, error) {
	state, r, err := s.o.Desk.ResolveDiscrepancy(ctx, c.Call, c.path("id"), statement.Resolve{
		Line: in.Line, Classification: statement.Classification(in.Classification), Contract: in.ContractId, Note: in.Note,
	})
	return wrote(http.StatusOK, r, statementBody(c.path("id"), state)), err
}

func statementBody(id string, st statement.State) Statement {
	i := st.Imported
	body := Statement{
		Id: id, BankId: i.Bank, Date: i.Date, OpeningFen: i.OpeningFen, ClosingFen: i.ClosingFen, LedgerFen: st.LedgerFen,
		Matched: i.Matched, Reconciled: st.Reconciled, Discrepancies: []Discrepancy{},
	}
	for n, d := range st.Discrepancies {
		body.Discrepancies = append(body.Discrepancies, Discrepancy{
			Line: n + 1, Kind: string(d.Kind), TxnId: d.TxnID, BankFen: d.BankFen, LedgerFen: d.LedgerFen,
			ContractId: d.DiscrepancyFound.Contract, Classification: string(d.Classification),
		})
	}
	return body
}
