package contract

import (
	"slices"

	"zujian/domain"
)

// judge remembers what the signing rules said of the draft, for the other commands of the call that drafts, and has room for
// what deciding one of them takes.
type judge struct {
	policy    int    // Version of the rule set; 0 before the draft.
	hash      string // Of the terms.
	occupants []Occupant
	signedOn  domain.Day
	today     domain.Day
	answer    domain.Verdict

	asked Question // Put last.
	room  hashRoom
}

// question puts terms to the rules of the day they are signed. It stands until the next.
func (j *judge) question(t Terms, s Subject, occupants []Occupant, today domain.Day) *Question {
	j.asked = question(t, s, occupants, today)
	return &j.asked
}

// drafting is what the signing rules say of a draft. Nobody changes it.
func (j *judge) drafting(p domain.Policy, q *Question, hash string) domain.Verdict {
	answer := p.Judge(domain.StageSign, q.SignedOn, q)
	j.policy, j.hash, j.occupants, j.signedOn, j.today, j.answer = p.Version, hash, q.Occupants, q.SignedOn, q.Today, answer
	return answer
}

// signing is what they say at the last signature, with fresh facts if there are any. Nobody changes it.
func (j *judge) signing(p domain.Policy, s *State, fresh *Subject, today domain.Day) domain.Verdict {
	on := signedOn(s.Terms, today)
	if fresh == nil && j.knows(p, s, on, today) {
		return j.answer
	}
	return p.Judge(domain.StageSign, on, j.question(s.Terms, s.subject(fresh), s.Occupants, today))
}

// filing is what the filing rules say, and the signing rules beside them.
func (j *judge) filing(p domain.Policy, s *State, fresh *Subject, q *Question) (filing, signing domain.Verdict) {
	filing = p.Judge(domain.StageFiling, q.SignedOn, q)
	if fresh == nil && j.knows(p, s, q.SignedOn, q.Today) {
		return filing, p.JudgeAgain(j.answer, domain.StageSign, q.SignedOn, q, filingFacts...)
	}
	return filing, p.Judge(domain.StageSign, q.SignedOn, q)
}

// knows is true of the contract drafted in this call, of which nothing has changed since but that it is being filed.
func (j *judge) knows(p domain.Policy, s *State, signedOn, today domain.Day) bool {
	return j.policy == p.Version && j.hash == s.DraftHash && j.signedOn == signedOn && j.today == today && slices.Equal(j.occupants, s.Occupants)
}
