package api

import (
	"context"
	"net/http"
	"strconv"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/escrow"
)

func itoa(n int) string { return strconv.Itoa(n) }

func ledgerAnswer(c *call, status int, state escrow.State, r desk.Receipt, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return wrote(status, r, escrowBody(c.path("contract"), state)), nil
}

func ledgerAct(ctx context.Context, s *Server, c *call, status int, side desk.Side, cmd escrow.Command) (answer, error) {
	state, r, err := s.o.Desk.LedgerAct(ctx, c.Call, c.path("contract"), side, cmd)
	return ledgerAnswer(c, status, state, r, err)
}

func readEscrow(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	state, r, err := s.o.Desk.Ledger(ctx, c.Actor, c.path("contract"), asOf)
	if err != nil {
		return answer{}, err
	}
	return answer{body: escrowBody(c.path("contract"), state), revision: &r.Revision}, nil
}

func recordReceipt(ctx context.Context, s *Server, c *call, in NewReceipt) (answer, error) {
	state, r, err := s.o.Desk.Receive(ctx, c.Call, c.path("contract"), escrow.Receive{
		BankTxnID: in.BankTxnId, AmountFen: in.AmountFen, ValueDate: in.ValueDate, PayerMask: in.PayerMask, Account: in.AccountId,
	})
	return ledgerAnswer(c, http.StatusCreated, state, r, err)
}

func orderRelease(ctx context.Context, s *Server, c *call, in NewRelease) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusCreated, desk.SideOfficer, escrow.OrderRelease{Tranche: in.Tranche})
}

func confirmRelease(ctx context.Context, s *Server, c *call, in BankConfirmation) (answer, error) {
	tranche, _ := strconv.Atoi(c.path("tranche")) // Its form was checked.
	if in.Failure != "" {
		return ledgerAct(ctx, s, c, http.StatusOK, desk.SideBank, escrow.FailRelease{Tranche: tranche, Reason: in.Failure})
	}
	if in.BankTxnId == "" {
		return answer{}, invalid(FieldError{Pointer: "/bank_txn_id", Code: codeRequired})
	}
	return ledgerAct(ctx, s, c, http.StatusOK, desk.SideBank,
		escrow.ConfirmRelease{Tranche: tranche, BankTxnID: in.BankTxnId, ValueDate: in.ValueDate})
}

func requestRefund(ctx context.Context, s *Server, c *call, in NewRefund) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusCreated, desk.SideAny, escrow.RequestRefund{
		RefundID: c.ID, Source: escrow.Source(in.Source), AmountFen: in.AmountFen, Reason: in.Reason,
	})
}

func approveRefund(ctx context.Context, s *Server, c *call) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusOK, desk.SideAny, escrow.ApproveRefund{RefundID: c.path("refund_id")})
}

func confirmRefund(ctx context.Context, s *Server, c *call, in BankConfirmation) (answer, error) {
	if in.BankTxnId == "" {
		return answer{}, invalid(FieldError{Pointer: "/bank_txn_id", Code: codeRequired})
	}
	return ledgerAct(ctx, s, c, http.StatusOK, desk.SideBank,
		escrow.ConfirmRefund{RefundID: c.path("refund_id"), BankTxnID: in.BankTxnId, ValueDate: in.ValueDate})
}

func proposeDeduction(ctx context.Context, s *Server, c *call, in NewDeduction) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusCreated, desk.SideLessor, escrow.ProposeDeduction{
		DeductionID: c.ID, Ground: in.Ground, AmountFen: in.AmountFen, Evidence: in.Evidence,
	})
}

func answerDeduction(ctx context.Context, s *Server, c *call, in DeductionAnswer) (answer, error) {
	id := c.path("deduction_id")
	if in.Accept {
		return ledgerAct(ctx, s, c, http.StatusOK, desk.SideLessee, escrow.AcceptDeduction{DeductionID: id})
	}
	return ledgerAct(ctx, s, c, http.StatusOK, desk.SideLessee, escrow.ContestDeduction{DeductionID: id, Reason: in.Reason})
}

func claimDeposit(ctx context.Context, s *Server, c *call) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusCreated, desk.SideLessee, escrow.ClaimDeposit{})
}

func mediateDeposit(ctx context.Context, s *Server, c *call, in NewMediation) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusOK, desk.SideOfficer, escrow.Mediate{
		ToLessorFen: in.ToLessorFen, ToLesseeFen: in.ToLesseeFen, Agreed: in.Agreed, RecordNo: in.RecordNo,
	})
}

func settleDeposit(ctx context.Context, s *Server, c *call, in NewSettlement) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusOK, desk.SideOfficer, escrow.SettleDeposit{
		ToLessorFen: in.ToLessorFen, ToLesseeFen: in.ToLesseeFen, Basis: escrow.Basis(in.Basis), PaperNo: in.PaperNo,
	})
}

func freezeEscrow(ctx context.Context, s *Server, c *call, in NewFreeze) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusCreated, desk.SideOfficer, escrow.Freeze{OrderNo: in.OrderNo, Scope: escrow.FreezeScope(in.Scope)})
}

func unfreezeEscrow(ctx context.Context, s *Server, c *call, in Order) (answer, error) {
	return ledgerAct(ctx, s, c, http.StatusOK, desk.SideOfficer, escrow.Unfreeze{OrderNo: in.OrderNo, Reason: in.Reason})
}

// escrowBody is the ledger to the fen.
func escrowBody(id string, st escrow.State) Escrow {
	p := st.Plan
	body := Escrow{
		ContractId: id, Mode: string(p.Mode), BankId: st.Bank, AccountId: p.Account, RentFen: p.RentFen, DepositFen: p.DepositFen,
		ClosedOn: st.ClosedOn, Balances: []Balance{}, Receipts: []Receipt{}, Tranches: []TrancheRow{},
	}
	for _, b := range st.Balances {
		body.Balances = append(body.Balances, Balance{Account: b.Account, BalanceFen: b.Fen})
	}
	for _, t := range st.Txns {
		if t.Kind == escrow.TxnReceipt {
			body.Receipts = append(body.Receipts, Receipt{
				BankTxnId: t.ID, AmountFen: t.AmountFen, ValueDate: t.ValueDate, RentFen: t.RentFen, DepositFen: t.DepositFen,
				OtherFen: t.OtherFen, SuspenseFen: t.SuspenseFen, ReversedBy: t.ReversedBy,
			})
		}
	}
	for i, t := range st.Tranches {
		body.Tranches = append(body.Tranches, TrancheRow{
			Tranche: i + 1, Due: t.Due, AmountFen: t.AmountFen, Payee: string(t.Payee), Source: string(t.Source), Stage: string(t.Stage), BankTxnId: t.PaidTxn,
		})
	}
	for _, r := range st.Refunds {
		body.Refunds = append(body.Refunds, Refund{Id: r.RefundID, Source: string(r.Source), AmountFen: r.AmountFen, Stage: string(r.Stage), BankTxnId: r.PaidTxn})
	}
	for _, d := range st.Deductions {
		body.Deductions = append(body.Deductions, Deduction{Id: d.DeductionID, Ground: d.Ground, AmountFen: d.AmountFen, Stage: string(d.Stage)})
	}
	if x := st.Settled; x != nil {
		body.Settlement = Settlement{ToLessorFen: x.ToLessorFen, ToLesseeFen: x.ToLesseeFen, Basis: string(x.Basis)}
	}
	for _, f := range st.Freezes {
		body.Freezes = append(body.Freezes, Freeze{OrderNo: f.OrderNo, Scope: string(f.Scope), Lifted: f.Lifted})
	}
	return body
}

// asRejection finds the business no in an error.
func asRejection(err error) (*domain.Rejection, bool) {
	rej, _ := classify(err)
	return rej, rej != errInternal && err != nil
}
