package escrow

import (
	"zujian/domain"
)

// Facts given to the rule set, by stage.
//
// FUND_IN and CONTRACT_SIGN at Plan, judged on the signing date; only M-01, M-02, C-05 and C-10 are asked, and any of
// them that routes makes supervision mandatory (M-02 alone: voluntary):
//
//	lease.kind              string  HEAD, OUT
//	lease.monthly_rent_fen  int64
//	lease.pay_cycle_months  int64
//	lease.deposit_fen       int64
//	lease.start, lease.end, lease.sign_date  Day
//	lease.signed_on         Day     = lease.sign_date
//	lease.escrow_mode       string  NONE, VOLUNTARY, MANDATORY: the contract's own choice
//	lease.wants_escrow      bool    escrow_mode is not NONE
//	lease.payee_role        string  OPERATOR, LESSOR
//	lease.by_operator       bool    = operator.collects, as package contract names it
//	operator.collects       bool    the lessor sublets, or an agency collects
//
// FUND_OUT at OrderRelease (M-04, M-05, M-11), judged on the day ordered:
//
//	fund.amount_fen         int64
//	fund.class              string  RENT; AWARDED = the lessor's share of a settled deposit
//	fund.payee              string  LESSOR, OWNER, OPERATOR
//	fund.due, fund.value_date  Day
//	fund.owner_unpaid_fen   int64   the owner's tranches due by then and not paid
//	fund.frozen             bool
//	fund.tenant_refund      bool    always false here
//	operator.collects       bool
//
// FUND_OUT at ProposeDeduction (C-22), judged on the day proposed:
//
//	deduction.ground        string
//	deduction.amount_fen    int64
//	deduction.in_clause     bool
//	lease.deduction_grounds []string
//	lease.deposit_fen       int64
func planFacts(c Plan) domain.Facts {
	kind, payee, mode := c.Kind, "LESSOR", string(c.Mode)
	if mode == "" {
		mode = string(ModeNone)
	}
	if kind == "" {
		kind = "OUT"
	}
	if c.Operator {
		payee = "OPERATOR"
	}
	return domain.Facts{
		"lease": domain.Facts{
			"kind": kind, "monthly_rent_fen": int64(c.RentFen), "pay_cycle_months": int64(c.PayCycleMonths),
			"deposit_fen": int64(c.DepositFen), "start": c.Start, "end": c.End, "sign_date": c.SignedOn, "signed_on": c.SignedOn,
			"escrow_mode": mode, "by_operator": c.Operator,
			"wants_escrow": c.Mode == ModeVoluntary || c.Mode == ModeMandatory, "payee_role": payee,
		},
		"operator": domain.Facts{"collects": c.Operator},
	}
}
