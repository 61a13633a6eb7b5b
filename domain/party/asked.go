package party

// Asked is the command that wrote these events on a party. ok is false for a command on which no rule and no parameter of
// one has a say.
func Asked(events []Event) (c Command, ok bool) {
	switch e := events[len(events)-1].(type) {
	case Registered:
		return Register{
			Kind: e.Kind, OrgKind: e.OrgKind, Name: e.Name, DocType: e.DocType, DocNo: e.DocNo, DocIndex: e.DocIndex, Phone: e.Phone,
			Birth: e.Birth, OrgName: e.OrgName, USCC: e.USCC, ScopeText: e.ScopeText, LicenceIssued: e.LicenceIssued, AdminCode: e.AdminCode,
		}, true
	case OpeningReported:
		return ReportOpening{Opening: e.Opening}, true
	case PractitionerRostered:
		return Roster{Brokerage: e.Brokerage, From: e.From}, true
	case DataCorrected:
		return ReplaceData{Name: e.Name, Phone: e.Phone, OrgName: e.OrgName, ScopeText: e.ScopeText, Evidence: e.Evidence}, true
	case SublettingScaleReached:
		return ReachScale(e), true
	}
	return nil, false
}
