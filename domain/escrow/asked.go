package escrow

// Asked is the command that wrote these events on a ledger, and the party it was asked as. ok is false for a command on
// which no rule and no parameter of one has a say; the opening of a ledger follows from its contract, see Plan.
func Asked(s State, events []Event) (c Command, party string, ok bool) {
	switch e := events[len(events)-1].(type) {
	case ReleaseOrdered:
		return OrderRelease{Tranche: e.Tranche, On: e.On}, s.Bank, true
	case DeductionProposed:
		return ProposeDeduction(e), s.Plan.Lessor, true
	case DeductionHeld:
		return ProposeDeduction{DeductionID: e.DeductionID, Ground: e.Ground, AmountFen: e.AmountFen, Evidence: e.Evidence}, s.Plan.Lessor, true
	case DepositClaimed:
		return ClaimDeposit{}, s.Plan.Lessee, true
	}
	return nil, "", false
}
