package contract

import "zujian/domain"

// Rejections of this aggregate. Codes are public. Those of the rule set carry the rule's own code.
var (
	ErrNotFound       = domain.Reject("contract.not_found", "there is no such contract")
	ErrWrongState     = domain.Reject("contract.wrong_state", "the contract is not in a state that allows this")
	ErrAlreadyDrafted = domain.Reject("contract.already_drafted", "the contract already has other terms")

	ErrField         = domain.Reject("contract.invalid_term", "a term is missing, out of range or not of a known kind")
	ErrDates         = domain.Reject("contract.invalid_dates", "the term needs a first day and a last day not before it")
	ErrSignedFuture  = domain.Reject("contract.signed_in_future", "the day of signing is still to come")
	ErrAmount        = domain.Reject("contract.invalid_amount", "an amount is negative, zero where it may not be, or above the limit")
	ErrParties       = domain.Reject("contract.invalid_parties", "a contract needs a lessor and a lessee, each named once and on one side")
	ErrShares        = domain.Reject("contract.invalid_shares", "shares are either all absent or add up to 10 000 basis points")
	ErrPartyUnknown  = domain.Reject("contract.party_unknown", "a party of the contract is not registered")
	ErrUnitUnknown   = domain.Reject("contract.unit_unknown", "the unit is not registered or no longer exists")
	ErrRooms         = domain.Reject("contract.invalid_rooms", "a letting by room or bed names rooms of the unit, each once; a whole letting names none")
	ErrUse           = domain.Reject("contract.use_not_housing", "the register files housing leases only")
	ErrOccupant      = domain.Reject("contract.invalid_occupant", "an occupant needs an id of its own, a party or a name, and a room that is let")
	ErrParentUnknown = domain.Reject("contract.parent_unknown", "the head lease is not registered or has ended")
	ErrOutsideParent = domain.Reject("contract.outside_head_lease", "the sublease is not by the head lease's lessee, or not within its space or period")

	ErrSignatureHash = domain.Reject("contract.signature_hash", "the signature is over other content than the contract's")
	ErrNotParty      = domain.Reject("contract.not_party", "this is no party of the contract in that role")
	ErrNotSigner     = domain.Reject("contract.not_signer", "each party signs for itself")
	ErrNoMandate     = domain.Reject("contract.no_mandate", "nobody signs in a party's name without a live mandate")
	ErrEvidence      = domain.Reject("contract.evidence_required", "the signature or document needs the SHA-256 of its evidence, in hex")
	ErrNotAllSigned  = domain.Reject("contract.not_all_signed", "not every party has signed")

	ErrFilingNo     = domain.Reject("contract.invalid_filing_no", "the filing number or its check character is wrong")
	ErrReason       = domain.Reject("contract.reason_required", "the decision needs a reason")
	ErrAuthority    = domain.Reject("contract.not_authority", "only the authority records what a court decided")
	ErrDecisionNo   = domain.Reject("contract.decision_no_required", "the decision needs its number")
	ErrFourEyes     = domain.Reject("contract.four_eyes", "a cancellation is approved by another person than proposed it")
	ErrCancellation = domain.Reject("contract.cancellation_open", "another cancellation of this filing is open")
	ErrNoProposal   = domain.Reject("contract.no_cancellation", "no cancellation with this decision number is open")

	ErrAmendment       = domain.Reject("contract.invalid_amendment", "an amendment needs an id, a change, and a day within the term from which it counts")
	ErrAmendmentExists = domain.Reject("contract.amendment_exists", "the amendment already has other content")
	ErrNoAmendment     = domain.Reject("contract.amendment_not_found", "no such amendment is open")
	ErrUnilateralRise  = domain.Reject("contract.unilateral_rise", "the rent may not rise within the term without the lessee's signature")
	ErrLegacyTerms     = domain.Reject("contract.legacy_terms", "a contract of the older system has no full terms to change")

	ErrTitle      = domain.Reject("contract.invalid_title", "a change of lessor needs the new title's number and its day, within the lease and not ahead")
	ErrHandover   = domain.Reject("contract.invalid_handover", "a hand-over needs a direction, a day since signing, meters and things of known kinds")
	ErrHandedOver = domain.Reject("contract.handed_over", "both sides have agreed on this hand-over's inventory")
	ErrNoHandover = domain.Reject("contract.handover_not_found", "no inventory of this direction is open")

	ErrOccupantExists   = domain.Reject("contract.occupant_exists", "the occupant is registered with other data")
	ErrOccupantNotFound = domain.Reject("contract.occupant_not_found", "there is no such occupant")

	ErrNotice         = domain.Reject("contract.invalid_notice", "a notice needs its side, a ground, its day and the day to vacate by")
	ErrNoticeRequired = domain.Reject("contract.notice_required", "a lessor ends a lease only after a notice with a reasonable time to leave")
	ErrNoticeHeld     = domain.Reject("contract.notice_held", "the notice is shorter than the reasonable time; a district decides first")
	ErrBeforeVacate   = domain.Reject("contract.before_vacate_by", "the lease ends before the day the notice gave to vacate")
	ErrEnd            = domain.Reject("contract.invalid_end", "the end needs its way, a ground, and a day between signing and the last day of the term")
	ErrNotDue         = domain.Reject("contract.not_due", "the last day of the term has not passed")
	ErrAlreadyRenewed = domain.Reject("contract.already_renewed", "the contract was renewed by another one")
	ErrNotUnder       = domain.Reject("contract.not_under_head_lease", "the contract does not stand under that head lease")
	ErrLegacySource   = domain.Reject("contract.legacy_source", "a legacy record names its source, row and a rent unless it is excluded")
	ErrLegacyExists   = domain.Reject("contract.legacy_exists", "the stream holds another contract")
)

// byRule marks a structural refusal with the rule it enforces, in the version in force on a day.
func byRule(e *domain.Rejection, p domain.Policy, rule string, on domain.Day) *domain.Rejection {
	c := *e
	c.Rule = rule
	if r, ok := p.InForceOf(rule, on); ok {
		c.RuleVersion = r.Version
	}
	return &c
}
