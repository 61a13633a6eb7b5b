package account

// Asked is the command that wrote these events on an account, and the party it was asked as. ok is false for a command
// that no rule judges.
func Asked(s State, events []Event) (c Command, party string, ok bool) {
	switch e := events[len(events)-1].(type) {
	case LoansDeclared:
		return DeclareLoans{Month: e.Month, IncomeFen: e.IncomeFen, LoanFen: e.LoanFen}, s.Operator, true
	case ReserveDeposited:
		return DepositReserve{BankTxnID: e.BankTxnID, AmountFen: e.AmountFen, ValueDate: e.ValueDate}, e.Bank, true
	case ReserveDrawn:
		return ConfirmDraw{DrawID: e.DrawID, BankTxnID: e.BankTxnID, ValueDate: e.ValueDate}, e.Bank, true
	}
	return nil, "", false
}
