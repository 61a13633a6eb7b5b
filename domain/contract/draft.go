package contract

import (
	"cmp"
	"slices"
	"strings"

	"zujian/domain"
)

func draft(s State, r request, c Draft, j *judge) ([]Event, error) {
	t := c.Terms.normal()
	q := j.question(t, c.Subject, t.Occupants, r.Today())
	hash := hashBy(termsForm, &q.Terms, &j.room)
	switch {
	case s.Stage != StageNone && s.DraftHash == hash:
		return nil, nil
	case s.Stage != StageNone:
		return nil, ErrAlreadyDrafted
	}
	if err := check(t, c.Subject, r.Today()); err != nil {
		return nil, err
	}
	verdict := j.drafting(r.Policy, q, hash)
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	return []Event{Drafted{
		Terms: t, Subject: c.Subject, GuidanceVersion: c.GuidanceVersion, ContentHash: hash, Rules: verdict,
	}}, nil
}

// normal fills what the terms imply, so that equal agreements hash alike. A list without anything in it is no list, as in
// the event's JSON.
func (t Terms) normal() Terms {
	t.Rooms, t.Occupants, t.DeductionGrounds = noneIfEmpty(t.Rooms), noneIfEmpty(t.Occupants), noneIfEmpty(t.DeductionGrounds)
	t.Fees, t.Docs = noneIfEmpty(t.Fees), noneIfEmpty(t.Docs)
	if t.LetMode == "" {
		t.LetMode = LetWhole
		if len(t.Rooms) > 0 {
			t.LetMode = LetByRoom
		}
	}
	t.Use = cmp.Or(t.Use, "RESIDENTIAL")
	if t.Escrow.Mode == EscrowNone {
		t.Escrow.Mode = ""
	}
	return t
}

func noneIfEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// question puts terms to the rules of the day they are signed.
func question(t Terms, s Subject, occupants []Occupant, today domain.Day) Question {
	return Question{Terms: t, Subject: s, Occupants: occupants, SignedOn: signedOn(t, today), Today: today}
}

func signedOn(t Terms, today domain.Day) domain.Day { return cmp.Or(t.SignedOn, today) }

func abandon(s State, c AbandonDraft) ([]Event, error) {
	switch s.Stage {
	case StageDrafted:
		return []Event{Abandoned(c)}, nil
	case StageAbandoned:
		return nil, nil
	}
	return nil, s.wrongState(StageDrafted)
}

func decline(s State, c Decline) ([]Event, error) {
	switch {
	case !s.Terms.Names(c.Party):
		return nil, ErrNotParty.At("/party_id")
	case s.Stage == StageDeclined:
		return nil, nil
	case s.Stage != StageDrafted:
		return nil, s.wrongState(StageDrafted)
	}
	return []Event{Declined(c)}, nil
}

func sign(s State, r request, c Sign, j *judge) ([]Event, error) {
	method := cmp.Or(c.Method, MethodKey)
	switch {
	case !s.Terms.Names(c.Party):
		return nil, ErrNotParty.At("/party_id")
	case c.ContentHash != s.DraftHash:
		return nil, ErrSignatureHash.At("/content_hash")
	case s.signedBy(c.Party):
		return nil, nil
	case s.Stage != StageDrafted:
		return nil, s.wrongState(StageDrafted)
	}
	signed := SignedByParty{Party: c.Party, ContentHash: c.ContentHash, Method: method, Evidence: c.Evidence, At: r.At}
	switch method {
	case MethodKey:
		if r.Actor.Party != c.Party && r.Actor.Role != domain.RoleSystem {
			return nil, byRule(ErrNotSigner, r.Policy, "C-19", r.Today()).At("/party_id")
		}
	case MethodESign:
		if !isSHA256(c.Evidence) {
			return nil, ErrEvidence.At("/document_sha256")
		}
	case MethodMandate:
		if !c.Mandated {
			return nil, byRule(ErrNoMandate, r.Policy, "C-19", r.Today()).At("/party_id")
		}
		signed.By = r.Actor.Party
	default:
		return nil, ErrField.With("field", "method").At("/method")
	}
	if !s.lacksOnly(c.Party) {
		return []Event{signed}, nil
	}
	conclusion, err := conclude(s, r, c.Refreshed, c.GuidanceVersion, j)
	if err != nil {
		return nil, err
	}
	return []Event{signed, conclusion}, nil
}

// conclude is the last signature: the contract is checked and judged once more on fresh facts, if there are any, and where a
// rule routes the money its escrow is mandatory whatever was agreed.
func conclude(s State, r request, fresh *Subject, guidance string, j *judge) (Signed, error) {
	if fresh != nil {
		if err := check(s.Terms, *fresh, r.Today()); err != nil {
			return Signed{}, err
		}
	}
	verdict := j.signing(r.Policy, &s, fresh, r.Today())
	if err := verdict.Err(); err != nil {
		return Signed{}, err
	}
	return Signed{
		SignedOn: signedOn(s.Terms, r.Today()), ContentHash: s.DraftHash, Escrow: escrowOf(s.Terms, verdict),
		GuidanceVersion: guidance, Rules: verdict,
	}, nil
}

func escrowOf(t Terms, v domain.Verdict) Escrow {
	e := t.Escrow
	for _, rule := range []string{"C-05", "C-10", "M-01", "M-03"} {
		if v.Routed(rule) {
			e.Mode = EscrowMandatory
		}
	}
	return e
}

// subject is the fresh facts if the desk brought any, else those last recorded.
func (s State) subject(fresh *Subject) Subject {
	if fresh == nil {
		return s.Subject
	}
	return *fresh
}

func recordPaper(s State, r request, c RecordPaper, j *judge) ([]Event, error) {
	paper := PaperRecorded{ScanSHA256: c.ScanSHA256, ContentHash: c.ContentHash, ByRole: c.ByRole, By: c.By}
	switch {
	case c.ByRole != ByCounter && c.ByRole != ByLessee:
		return nil, ErrField.With("field", "by_role").At("/by_role")
	case c.ByRole == ByLessee && !slices.Contains(partyIDs(s.Terms.Lessees), c.By):
		return nil, ErrNotParty.At("/by")
	case c.ContentHash != s.DraftHash:
		return nil, ErrSignatureHash.At("/content_hash")
	case !isSHA256(c.ScanSHA256):
		return nil, ErrEvidence.At("/scan_sha256")
	case s.Paper == paper:
		return nil, nil
	case s.Stage != StageDrafted:
		return nil, s.wrongState(StageDrafted)
	}
	conclusion, err := conclude(s, r, nil, c.GuidanceVersion, j)
	if err != nil {
		return nil, err
	}
	conclusion.Paper = true
	return []Event{paper, conclusion}, nil
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
