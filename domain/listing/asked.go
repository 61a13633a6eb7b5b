package listing

// Asked is the command that wrote these events on a listing, and the party it was asked as. The facts of a Submit or
// Publish, and the code that a listing which was not verified would have had, are the asker's to fill in. ok is false for a
// command on which no rule and no parameter of one has a say.
func Asked(s State, events []Event) (c Command, party string, ok bool) {
	party = s.Offer.Publisher
	if _, first := events[0].(Submitted); first && len(events) == 2 {
		v, _ := events[1].(Verified)
		return Submit{Code: v.Code, ValidUntil: v.ValidUntil}, party, true
	}
	switch e := events[len(events)-1].(type) {
	case Verified:
		if s.Stage == StageHeld {
			return Review{Accept: true, Code: e.Code, ValidUntil: e.ValidUntil, Reason: e.Reason}, party, true
		}
	case Published:
		return Publish{}, party, true
	case Held:
		if e.AtPublication {
			return Publish{}, party, true
		}
	case Let:
		return MarkLet{Contract: e.Contract, RentFen: e.RentFen}, party, true
	case CodeRenewed:
		return Renew(e), party, true
	case Objected:
		return Object{Text: e.Text}, party, true
	}
	return nil, "", false
}
