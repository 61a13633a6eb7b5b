package contract

import (
	"encoding/json"
	"slices"
	"strings"

	"zujian/domain"
)

// Apply is t with the changes made.
func (c Changes) Apply(t Terms) Terms {
	if c.MonthlyRentFen != nil {
		t.MonthlyRentFen = *c.MonthlyRentFen
	}
	if c.DepositFen != nil {
		t.DepositFen = *c.DepositFen
	}
	if c.PayCycleMonths != 0 {
		t.PayCycleMonths = c.PayCycleMonths
	}
	if c.End != 0 {
		t.End = c.End
	}
	if c.Payee != nil {
		t.Payee = *c.Payee
	}
	if c.Escrow != nil {
		t.Escrow = *c.Escrow
	}
	if c.DepositReturnDays != nil {
		t.DepositReturnDays = c.DepositReturnDays
	}
	if len(c.DeductionGrounds) > 0 {
		t.DeductionGrounds = c.DeductionGrounds
	}
	if c.SubleaseConsent != nil {
		t.SubleaseConsent = *c.SubleaseConsent
	}
	if len(c.Lessees) > 0 {
		t.Lessees = c.Lessees
	}
	return t.normal()
}

func (s State) amendment(id string) (Amendment, bool) {
	for _, a := range s.Amendments {
		if a.ID == id {
			return a, true
		}
	}
	return Amendment{}, false
}

// amendable refuses contracts whose terms can't be changed.
func (s State) amendable() error {
	switch {
	case s.Origin == OriginLegacy:
		return ErrLegacyTerms
	case s.Stage != StageSigned && s.Stage != StageFiled:
		return s.wrongState(StageSigned, StageFiled)
	}
	return nil
}

func proposeAmendment(s State, r request, c ProposeAmendment) ([]Event, error) {
	hash := AmendmentHash(s.ContentHash, c.AmendmentID, c.Changes, c.EffectiveFrom)
	if done, ok := s.amendment(c.AmendmentID); ok {
		if done.EffectiveFrom == c.EffectiveFrom && hashOf(json.Marshal(done.Changes)) == hashOf(json.Marshal(c.Changes)) {
			return nil, nil
		}
		return nil, ErrAmendmentExists
	}
	if open := s.Amendment; open != nil && open.ID == c.AmendmentID {
		if open.Hash == hash {
			return nil, nil
		}
		return nil, ErrAmendmentExists
	}
	if err := s.amendable(); err != nil {
		return nil, err
	}
	changed := c.Changes.Apply(s.Terms)
	switch {
	case c.AmendmentID == "" || len(c.AmendmentID) > codeMax:
		return nil, ErrAmendment.At("/amendment_id")
	case c.By != "" && !s.Terms.Names(c.By):
		return nil, ErrNotParty.At("/by")
	case Hash(changed) == s.ContentHash:
		return nil, ErrAmendment.At("/changes")
	case c.EffectiveFrom < s.Terms.Start || c.EffectiveFrom > changed.End:
		return nil, ErrAmendment.At("/effective_from")
	}
	verdict, err := s.judgeAmendment(r, changed, c.Refreshed, false)
	if err != nil {
		return nil, err
	}
	return []Event{AmendmentProposed{
		AmendmentID: c.AmendmentID, By: c.By, Changes: c.Changes, EffectiveFrom: c.EffectiveFrom, Hash: hash, Rules: verdict,
	}}, nil
}

// judgeAmendment puts the changed terms to the rules of today.
func (s State) judgeAmendment(r request, changed Terms, fresh *Subject, withoutLessees bool) (domain.Verdict, error) {
	subject := s.subject(fresh)
	if err := check(changed, subject, r.Today()); err != nil {
		return nil, err
	}
	q := question(changed, subject, s.Occupants, r.Today())
	q.SignedOn = r.Today()
	q.Amendment, q.PrevRentFen, q.ContractSignedOn, q.WithoutLessees = true, s.Terms.MonthlyRentFen, s.SignedOn, withoutLessees
	verdict := r.Policy.Judge(domain.StageSign, q.SignedOn, &q)
	return verdict, verdict.Err()
}

func signAmendment(s State, r request, c SignAmendment) ([]Event, error) {
	if done, ok := s.amendment(c.AmendmentID); ok {
		if !slices.Contains(done.Signed, c.Party) {
			return nil, ErrNotParty.At("/party_id")
		}
		if done.Hash == c.Hash {
			return nil, nil
		}
		return nil, ErrSignatureHash.At("/content_hash")
	}
	a := s.Amendment
	switch {
	case !slices.Contains(s.AmendmentParties(), c.Party):
		return nil, ErrNotParty.At("/party_id")
	case a == nil || a.ID != c.AmendmentID:
		return nil, ErrNoAmendment
	case c.Hash != a.Hash:
		return nil, ErrSignatureHash.At("/content_hash")
	case slices.Contains(a.Signed, c.Party):
		return nil, nil
	}
	if err := s.amendable(); err != nil {
		return nil, err
	}
	signed := AmendmentSigned{AmendmentID: c.AmendmentID, Party: c.Party, Hash: c.Hash}
	s = s.countAmendmentSignature(signed)
	if len(s.amendmentMissing()) > 0 {
		return []Event{signed}, nil
	}
	amended, err := s.amend(r, c.Refreshed)
	if err != nil {
		return nil, err
	}
	return []Event{signed, amended}, nil
}

// AmendmentParties are all who must sign the open amendment: the parties, and those whom it makes parties. Nobody leaves
// a lease, or is put out of one, without their own word.
func (s State) AmendmentParties() []string {
	parties := s.Parties()
	if s.Amendment != nil {
		for _, p := range partyIDs(s.Amendment.Changes.Lessees) {
			if !slices.Contains(parties, p) {
				parties = append(parties, p)
			}
		}
	}
	return parties
}

// amendmentMissing are those who have not signed the open amendment.
func (s State) amendmentMissing() []string {
	return slices.DeleteFunc(s.AmendmentParties(), func(p string) bool { return slices.Contains(s.Amendment.Signed, p) })
}

func (s State) amend(r request, fresh *Subject) (Amended, error) {
	a := s.Amendment
	changed := a.Changes.Apply(s.Terms)
	verdict, err := s.judgeAmendment(r, changed, fresh, false)
	if err != nil {
		return Amended{}, err
	}
	u := s.subject(fresh).Unit
	escrow := escrowOf(changed, verdict)
	if s.Escrow.Mode == EscrowMandatory && a.Changes.Escrow == nil {
		escrow.Mode = EscrowMandatory // What a rule routed stays routed until the parties and the rules say otherwise.
	}
	e := Amended{
		AmendmentID: a.ID, Changes: a.Changes, Before: s.Summary(), After: summarise(changed, u, escrow, len(s.Occupants)),
		EffectiveFrom: a.EffectiveFrom, AmendedOn: r.Today(), ContentHash: Hash(changed), Rules: verdict,
	}
	e.CertificateHash = s.nextCertificateHash(changed, e.AmendedOn, e.EffectiveFrom)
	if n := len(s.Observations); n > 0 {
		before := s.Observations[n-1]
		after := before
		after.RentFen, after.To = changed.MonthlyRentFen, changed.End.Month()
		if after.RentFen != before.RentFen {
			after.From = max(before.From, a.EffectiveFrom.Month())
		}
		if after.RentFen != before.RentFen || after.To != before.To {
			e.ObservationBefore, e.Observation = &before, &after
		}
	}
	return e, nil
}

func applyAmendment(s State, r request, c ApplyAmendment) ([]Event, error) {
	if _, done := s.amendment(c.AmendmentID); done {
		return nil, nil
	}
	if s.Amendment == nil || s.Amendment.ID != c.AmendmentID {
		return nil, ErrNoAmendment
	}
	if err := s.amendable(); err != nil {
		return nil, err
	}
	missing := s.amendmentMissing()
	changed := s.Amendment.Changes.Apply(s.Terms)
	withoutLessees := slices.ContainsFunc(partyIDs(s.Terms.Lessees), func(p string) bool { return slices.Contains(missing, p) })
	if changed.MonthlyRentFen > s.Terms.MonthlyRentFen && withoutLessees {
		if _, err := s.judgeAmendment(r, changed, nil, true); err != nil {
			return nil, err
		}
		return nil, byRule(ErrUnilateralRise, r.Policy, "C-25", r.Today())
	}
	return nil, ErrNotAllSigned.With("missing", len(missing)) // The last signature would have amended.
}

func addOccupant(s State, r request, c AddOccupant) ([]Event, error) {
	o := c.Occupant
	if slices.Contains(s.Occupants, o) || slices.Contains(s.Left, o.ID) {
		return nil, nil
	}
	taken := slices.ContainsFunc(s.Occupants, func(x Occupant) bool { return x.ID == o.ID })
	switch {
	case s.Origin == OriginLegacy:
		return nil, ErrLegacyTerms
	case !s.Live():
		return nil, s.wrongState(live...)
	case taken:
		return nil, ErrOccupantExists.At("/id")
	case o.Party == "" && o.Name == "":
		return nil, ErrOccupant.At("/name")
	case !validOccupant(s.Terms, o) || !inUnit(s.Subject, o):
		return nil, ErrOccupant.At("/room")
	case len(s.Occupants) >= occupantsMax:
		return nil, ErrOccupant.With("max", occupantsMax)
	}
	occupants := append(slices.Clip(s.Occupants), o)
	verdict := judgeOccupants(r.Policy, question(s.Terms, s.subject(c.Refreshed), occupants, r.Today()), r.Today())
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	return []Event{OccupantAdded{Occupant: o, Occupants: len(occupants), Rules: verdict}}, nil
}

// judgeOccupants keeps, of the rules of today, those about how many people live where.
func judgeOccupants(p domain.Policy, q Question, today domain.Day) domain.Verdict {
	return slices.DeleteFunc(p.Judge(domain.StageSign, today, &q), func(res *domain.RuleResult) bool {
		return !strings.HasPrefix(res.Rule, "U-02") && !strings.HasPrefix(res.Rule, "U-03") && !strings.HasPrefix(res.Rule, "U-04")
	})
}

func removeOccupant(s State, r request, c RemoveOccupant) ([]Event, error) {
	lives := slices.ContainsFunc(s.Occupants, func(o Occupant) bool { return o.ID == c.OccupantID })
	switch {
	case !lives && slices.Contains(s.Left, c.OccupantID):
		return nil, nil
	case !lives:
		return nil, ErrOccupantNotFound
	case !s.Live() && s.Stage != StageEnded:
		return nil, s.wrongState(append(slices.Clip(live), StageEnded)...)
	}
	on := c.On
	if on == 0 {
		on = r.Today()
	}
	return []Event{OccupantRemoved{OccupantID: c.OccupantID, On: on, Occupants: len(s.Occupants) - 1}}, nil
}
