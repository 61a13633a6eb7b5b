package guidance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"zujian/domain"
)

// Rejections of objections.
var (
	ErrObjection    = domain.Reject("guidance.objection_not_found", "there is no such objection, or it is not in a state for this")
	ErrObjected     = domain.Reject("guidance.already_objected", "you have an objection to this cell that is not answered yet")
	ErrObjectors    = domain.Reject("guidance.too_many_objections", "too many objections without a name are open; file it with your key")
	ErrAnswered     = domain.Reject("guidance.objection_answered", "the objection was answered otherwise")
	ErrObjectionDoc = domain.Reject("guidance.invalid_objection", "an objection gives its reason, and names documents by SHA-256")
)

// Limits of objections.
const (
	anonymousMax          = 200 // Open ones of a period that nobody signed: the stream stays readable.
	evidenceMax           = 10
	answerWorkdaysDefault = 15 // When P-06 names none.
)

var evidenceForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Objection is one objection and what became of it.
type Objection struct {
	ObjectionFiled
	Overdue   bool
	Answer    *ObjectionAnswered
	RevisedBy int // Version that followed it; 0 = none yet.
}

// States of an objection.
const (
	ObjectionOpen      = "FILED"
	ObjectionLate      = "OVERDUE"
	ObjectionUpheld    = "UPHELD" // A revision is owed.
	ObjectionDismissed = "DISMISSED"
	ObjectionRevised   = "REVISED"
)

// State is how the objection stands.
func (o Objection) State() string {
	switch {
	case o.RevisedBy > 0:
		return ObjectionRevised
	case o.Answer != nil && o.Answer.Upheld:
		return ObjectionUpheld
	case o.Answer != nil:
		return ObjectionDismissed
	case o.Overdue:
		return ObjectionLate
	}
	return ObjectionOpen
}

func (s State) objection(id string) (Objection, bool) {
	i := slices.IndexFunc(s.Objections, func(o Objection) bool { return o.Objection == id })
	if i < 0 {
		return Objection{}, false
	}
	return s.Objections[i], true
}

// with changes one objection in a copy.
func with(all []Objection, id string, f func(*Objection)) []Objection {
	all = slices.Clone(all)
	for i := range all {
		if all[i].Objection == id {
			f(&all[i])
		}
	}
	return all
}

// checkAnswers holds a revision's objections to being upheld and not followed yet.
func (s State) checkAnswers(p Proposed) error {
	for i, id := range p.Answers {
		o, ok := s.objection(id)
		if !ok || o.State() != ObjectionUpheld || slices.Index(p.Answers, id) != i {
			return ErrObjection.At(fmt.Sprintf("/answers/%d", i))
		}
	}
	return nil
}

func fileObjection(s State, r domain.Request[Command], c FileObjection) ([]Event, error) {
	if _, filed := s.objection(c.Objection); filed {
		return nil, nil
	}
	v, ok := s.Version(c.Version)
	if !ok {
		return nil, ErrNotFound.At("/version")
	}
	if _, known := v.Cell(c.Cell); !known {
		return nil, ErrUnknown.At("/cell")
	}
	switch {
	case c.Text == "":
		return nil, ErrObjectionDoc.At("/reason")
	case len(c.Evidence) > evidenceMax || slices.ContainsFunc(c.Evidence, func(e string) bool { return !evidenceForm.MatchString(e) }):
		return nil, ErrObjectionDoc.At("/evidence")
	}
	open := 0
	for _, o := range s.Objections {
		if o.Answer != nil || o.Party != r.Actor.Party {
			continue
		}
		if open++; o.Party != "" && o.Version == c.Version && o.Cell == c.Cell {
			return nil, ErrObjected.With("objection", o.Objection).At("/cell")
		}
	}
	if r.Actor.Party == "" && open >= anonymousMax {
		return nil, ErrObjectors
	}
	if _, err := judge(r, domain.Facts{"objection": domain.Facts{"published": v.PublishedOn, "today": r.Today()}}); err != nil {
		return nil, err
	}
	days, ok := r.Policy.Param("P-06", "answer_workdays", r.Today())
	if !ok || days < 0 {
		days = answerWorkdaysDefault
	}
	return []Event{ObjectionFiled{
		Objection: c.Objection, Version: c.Version, Cell: c.Cell, Party: r.Actor.Party, Subject: c.Subject, Text: c.Text, Evidence: c.Evidence,
		FiledOn: r.Today(), AnswerBy: r.Policy.Calendar.AddWorkdays(r.Today(), int(min(days, 1000))),
	}}, nil
}

func answerObjection(s State, r domain.Request[Command], c AnswerObjection) ([]Event, error) {
	o, ok := s.objection(c.Objection)
	reason := strings.TrimSpace(c.Reason)
	switch {
	case !ok:
		return nil, ErrObjection
	case reason == "":
		return nil, ErrReason.At("/reason")
	case o.Answer != nil && o.Answer.Upheld == c.Uphold && o.Answer.Reason == reason:
		return nil, nil
	case o.Answer != nil:
		return nil, ErrAnswered.With("state", o.State())
	case o.Party != "" && o.Party == r.Actor.Party:
		return nil, ErrFourEyes
	}
	return []Event{ObjectionAnswered{
		Objection: c.Objection, Upheld: c.Uphold, Reason: reason, AnsweredBy: r.Actor.ID, On: r.Today(),
	}}, nil
}

func markOverdue(s State, r domain.Request[Command], c MarkOverdue) ([]Event, error) {
	o, ok := s.objection(c.Objection)
	if !ok || o.Answer != nil || o.Overdue || r.Today() <= o.AnswerBy {
		return nil, nil
	}
	return []Event{ObjectionOverdue{Objection: o.Objection, AnswerBy: o.AnswerBy}}, nil
}
