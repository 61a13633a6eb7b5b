package escrow

import (
	"cmp"

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

// Fact implements domain.Source, of FUND_IN and CONTRACT_SIGN.
func (c *Plan) Fact(path string) domain.Value {
	switch path {
	case "lease.kind":
		return domain.FactText(cmp.Or(c.Kind, "OUT"))
	case "lease.monthly_rent_fen":
		return domain.FactInt(c.RentFen)
	case "lease.pay_cycle_months":
		return domain.FactInt(c.PayCycleMonths)
	case "lease.deposit_fen":
		return domain.FactInt(c.DepositFen)
	case "lease.start":
		return domain.FactDay(c.Start)
	case "lease.end":
		return domain.FactDay(c.End)
	case "lease.sign_date", "lease.signed_on":
		return domain.FactDay(c.SignedOn)
	case "lease.escrow_mode":
		return domain.FactText(string(cmp.Or(c.Mode, ModeNone)))
	case "lease.wants_escrow":
		return domain.FactBool(c.Mode == ModeVoluntary || c.Mode == ModeMandatory)
	case "lease.payee_role":
		if c.Operator {
			return domain.FactText("OPERATOR")
		}
		return domain.FactText("LESSOR")
	case "lease.by_operator", "operator.collects":
		return domain.FactBool(c.Operator)
	}
	return domain.Value{}
}
