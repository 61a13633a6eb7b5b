package contract

// Asked is the command that wrote these events on a contract in the state s, and the party it was asked as: what the
// events of one command tell of it, in their order. Facts of other aggregates are not among it unless an event holds
// them. ok is false for a command on which no rule and no parameter of one has a say.
func Asked(s State, events []Event) (c Command, party string, ok bool) {
	switch e := events[len(events)-1].(type) {
	case Drafted:
		return Draft{Terms: e.Terms, Subject: e.Subject, GuidanceVersion: e.GuidanceVersion}, "", true
	case Signed:
		return askedToSign(events[0], e)
	case Filed:
		if s.Stage == StageHeld {
			return DecideFiling{Accept: true}, "", true
		}
		return File{Number: e.FilingNo, ByRole: e.ByRole, By: e.By, Authority: e.Authority}, "", true
	case FilingHeld:
		return File{Number: e.FilingNo, ByRole: e.ByRole, By: e.By, Refreshed: &e.Subject}, "", true
	case AmendmentProposed:
		return ProposeAmendment{AmendmentID: e.AmendmentID, By: e.By, Changes: e.Changes, EffectiveFrom: e.EffectiveFrom}, "", true
	case Amended:
		if signed, ok := events[0].(AmendmentSigned); ok {
			return SignAmendment{AmendmentID: signed.AmendmentID, Party: signed.Party, Hash: signed.Hash}, "", true
		}
	case OccupantAdded:
		return AddOccupant{Occupant: e.Occupant}, "", true
	case NoticeGiven:
		return GiveNotice{By: e.By, Party: e.Party, Ground: e.Ground, NoticeDate: e.NoticeDate, VacateBy: e.VacateBy}, "", true
	}
	return nil, "", false
}

func askedToSign(first Event, e Signed) (c Command, party string, ok bool) {
	switch by := first.(type) {
	case SignedByParty:
		party = by.Party
		if by.Method == MethodMandate {
			party = by.By
		}
		return Sign{
			Party: by.Party, ContentHash: by.ContentHash, Method: by.Method, Evidence: by.Evidence, Mandated: by.Method == MethodMandate,
			GuidanceVersion: e.GuidanceVersion,
		}, party, true
	case PaperRecorded:
		return RecordPaper{
			ScanSHA256: by.ScanSHA256, ContentHash: by.ContentHash, ByRole: by.ByRole, By: by.By, GuidanceVersion: e.GuidanceVersion,
		}, by.By, true
	}
	return nil, "", false
}
