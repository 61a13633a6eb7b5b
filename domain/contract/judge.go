package contract

import (
	"reflect"

	"zujian/domain"
)

// judge puts questions to the rules and keeps the last answer of the signing rules, with the facts it rests on. nil keeps
// nothing.
type judge struct {
	policy int // Version of the rule set.
	asked  Question
	facts  domain.Facts
	answer domain.Verdict

	next Question // The one at hand.
}

// signing is what the signing rules say. Nobody changes it.
func (j *judge) signing(p domain.Policy, q Question) domain.Verdict {
	if j == nil {
		return p.Judge(domain.StageSign, q.SignedOn, q.Facts())
	}
	if !j.knows(p, q) {
		j.policy, j.asked, j.facts = p.Version, q, q.Facts()
		j.answer = p.Judge(domain.StageSign, q.SignedOn, j.facts)
	}
	return j.answer
}

// filing is what the filing rules say, and the signing rules beside them.
func (j *judge) filing(p domain.Policy, q Question) (filing, signing domain.Verdict) {
	unfiled := q
	unfiled.FiledOn, unfiled.FiledBy, unfiled.PaperUnchecked = 0, "", false
	if j == nil || !j.knows(p, unfiled) {
		facts := q.Facts()
		return p.Judge(domain.StageFiling, q.SignedOn, facts), p.Judge(domain.StageSign, q.SignedOn, facts)
	}
	facts, answer := j.facts, j.answer
	j.facts = nil // They become those of the filing.
	q.filing(facts["lease"].(domain.Facts))
	return p.Judge(domain.StageFiling, q.SignedOn, facts), p.JudgeAgain(answer, domain.StageSign, q.SignedOn, facts, filingFacts...)
}

// knows is true of the question asked last.
func (j *judge) knows(p domain.Policy, q Question) bool {
	j.next = q
	return j.facts != nil && j.policy == p.Version && reflect.DeepEqual(&j.next, &j.asked)
}
