package contract

import (
	"slices"

	"zujian/domain"
)

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Drafted:
		s.Stage, s.Terms, s.Subject, s.Occupants = StageDrafted, e.Terms, e.Subject, e.Terms.Occupants
		s.DraftHash, s.ContentHash, s.GuidanceVersion, s.Escrow = e.ContentHash, e.ContentHash, e.GuidanceVersion, e.Terms.Escrow
	case Abandoned:
		s.Stage = StageAbandoned
	case SignedByParty:
		s.Signatures = append(slices.Clip(s.Signatures), Signature{Party: e.Party, Method: e.Method, By: e.By, At: e.At})
	case Declined:
		s.Stage = StageDeclined
	case PaperRecorded:
		s.Paper = e
	case Signed:
		s.Stage, s.SignedOn, s.Escrow, s.GuidanceVersion = StageSigned, e.SignedOn, e.Escrow, e.GuidanceVersion
	case OccupantAdded:
		s.Occupants = append(slices.Clip(s.Occupants), e.Occupant)
	case OccupantRemoved:
		s.Occupants = slices.DeleteFunc(slices.Clone(s.Occupants), func(o Occupant) bool { return o.ID == e.OccupantID })
		s.Left = append(slices.Clip(s.Left), e.OccupantID)
	case AmendmentProposed:
		s.Amendment = &Amendment{ID: e.AmendmentID, Changes: e.Changes, EffectiveFrom: e.EffectiveFrom, Hash: e.Hash}
	case AmendmentSigned:
		s = s.countAmendmentSignature(e)
	case Amended:
		s = s.amended(e)
	case LessorReplaced:
		s = s.changedTerms(withLessors(s.Terms, e.Lessors), e.ReplacedOn, e.From)
		s.ContentHash, s.Subject = e.ContentHash, e.Subject
	case HandoverRecorded, HandoverConfirmed:
		s = s.handedOver(e)
	case LegacyRecorded:
		s = fromLegacy(e)
	case Filed, FilingHeld, FilingReturned, CancellationProposed, CancellationRejected, FilingCancelled:
		s = s.evolveFiling(e)
	case NoticeGiven, TerminationAgreed, Terminated, Expired, Renewed, UpstreamEnded, Annulled:
		s = s.evolveEnding(e)
	}
	return s
}

func (s State) evolveFiling(e Event) State {
	switch e := e.(type) {
	case FilingHeld:
		s.Stage, s.FilingNo, s.FiledByRole, s.FiledBy = StageHeld, e.FilingNo, e.ByRole, e.By
		s.HeldOn, s.HeldRules, s.HeldReasons, s.Subject = e.HeldOn, e.Rules, e.Reasons, e.Subject
	case FilingReturned:
		s.Stage, s.ReturnReason = StageReturned, e.Reason
	case Filed:
		s.Stage, s.FilingNo, s.FiledByRole, s.FiledBy = StageFiled, e.FilingNo, e.ByRole, e.By
		s.FiledOn, s.Late, s.Authority, s.CertificateHash = e.FiledOn, e.Late, e.Authority, e.CertificateHash
		s.Observations = []domain.Observation{e.Observation}
	case CancellationProposed:
		s.Cancellation = &e
	case CancellationRejected:
		s.Cancellation = nil
	case FilingCancelled:
		s.Stage, s.Observations = StageCancelled, nil
	}
	return s
}

func (s State) evolveEnding(e Event) State {
	switch e := e.(type) {
	case NoticeGiven:
		s.Notice = &e
	case TerminationAgreed:
		others := slices.DeleteFunc(slices.Clone(s.Agreed), func(a TerminationAgreed) bool { return a.Party == e.Party })
		s.Agreed = append(others, e)
	case Terminated:
		s.Stage, s.EndReason, s.EndedOn = StageEnded, e.By, e.On
		s.Observations = replaceLast(s.Observations, e.Observation)
	case Expired:
		s.Stage, s.EndReason, s.EndedOn = StageEnded, EndExpired, e.On
	case Renewed:
		s.RenewedBy = e.NewContract
	case UpstreamEnded:
		s.Upstream = &e
	case Annulled:
		s.Stage, s.Observations = StageAnnulled, nil
	}
	return s
}

func (s State) countAmendmentSignature(e AmendmentSigned) State {
	if s.Amendment == nil || s.Amendment.ID != e.AmendmentID {
		return s
	}
	a := *s.Amendment
	a.Signed = append(slices.Clip(a.Signed), e.Party)
	s.Amendment = &a
	return s
}

func (s State) amended(e Amended) State {
	done := Amendment{ID: e.AmendmentID, Changes: e.Changes, EffectiveFrom: e.EffectiveFrom}
	if s.Amendment != nil && s.Amendment.ID == e.AmendmentID {
		done = *s.Amendment
	}
	s.Amendments, s.Amendment = append(slices.Clip(s.Amendments), done), nil
	s = s.changedTerms(e.Changes.Apply(s.Terms), e.AmendedOn, e.EffectiveFrom)
	s.ContentHash = e.ContentHash
	s.Escrow = e.After.Escrow
	if e.Observation == nil || e.ObservationBefore == nil {
		return s
	}
	if e.Observation.From <= e.ObservationBefore.From {
		s.Observations = replaceLast(s.Observations, e.Observation)
		return s
	}
	closed := *e.ObservationBefore
	closed.To = e.Observation.From - 1
	s.Observations = append(replaceLast(s.Observations, &closed), *e.Observation)
	return s
}

// replaceLast is a copy of all whose last segment is now o, or gone if o is nil.
func replaceLast(all []domain.Observation, o *domain.Observation) []domain.Observation {
	if len(all) == 0 {
		return all
	}
	out := slices.Clone(all[:len(all)-1])
	if o != nil {
		out = append(out, *o)
	}
	return slices.Clip(out)
}

func fromLegacy(e LegacyRecorded) State {
	return State{
		Stage: StageFiled, Origin: OriginLegacy, Source: e.Source, FilingNo: e.FilingNo, FiledOn: e.FiledOn,
		Terms: Terms{
			Kind: e.Kind, Start: e.Start, End: e.End, MonthlyRentFen: e.MonthlyRentFen, DepositFen: e.DepositFen,
		},
		Observations: []domain.Observation{e.Observation},
	}
}
