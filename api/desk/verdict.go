package desk

import (
	"slices"

	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/guidance"
	"zujian/domain/listing"
	"zujian/domain/party"
	"zujian/domain/unit"
)

// Verdict is what all rules said, as events hold it; nil for events that hold none.
func Verdict(events []domain.Event) (v domain.Verdict) {
	for _, e := range events {
		v = slices.Concat(v, verdictOf(e))
	}
	return v
}

func verdictOf(e domain.Event) domain.Verdict {
	switch e := e.(type) {
	case contract.Drafted:
		return e.Rules
	case contract.Signed:
		return e.Rules
	case contract.Filed:
		return e.Rules
	case contract.FilingHeld:
		return e.Rules
	case contract.AmendmentProposed:
		return e.Rules
	case contract.Amended:
		return e.Rules
	case contract.OccupantAdded:
		return e.Rules
	case listing.Verified:
		return e.Rules
	case listing.Rejected:
		return e.Rules
	case listing.Held:
		return e.Rules
	case listing.Published:
		return e.Rules
	case listing.Let:
		return e.Rules
	case escrow.FundsExpected:
		return e.Rules
	case escrow.ReleaseOrdered:
		return e.Rules
	case escrow.DeductionHeld:
		return e.Rules
	case account.ReserveDeposited:
		return e.Rules
	case account.ReserveDrawn:
		return e.Rules
	case account.LoansDeclared:
		return e.Rules
	case party.Registered:
		return e.Rules
	case party.OpeningReported:
		return e.Rules
	case party.PractitionerRostered:
		return e.Rules
	case party.DataCorrected:
		return e.Rules
	case guidance.CellAdjusted:
		return e.Rules
	case unit.RoomsProposed:
		return e.Rules
	case unit.RoomsConfirmed:
		return e.Rules
	}
	return nil
}

// Held says whether events leave something for a human to look at first.
func Held(events []domain.Event) bool {
	return slices.ContainsFunc(events, func(e domain.Event) bool {
		switch e := e.(type) {
		case contract.FilingHeld, listing.Held, escrow.DeductionHeld:
			return true
		case contract.NoticeGiven:
			return e.Held
		}
		return false
	})
}
