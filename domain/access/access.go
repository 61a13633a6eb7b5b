// Package access owns the access log (查阅记录) of one party: every time somebody read its personal data in clear. The event
// is in the log before the answer is given, and the party can read who it was. It holds no personal data itself.
package access

import (
	"slices"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the access-log aggregate; its stream is "access-<party>".
var Decider = domain.Decider[State, Command, Event]{Category: "access", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrFields  = domain.Reject("access.fields", "name what is to be read: NAME, DOC_NO or PHONE")
	ErrPurpose = domain.Reject("access.purpose", "personal data are read in clear for a known purpose and a case with a number")
)

// Fields that can be read in clear.
const (
	FieldName  = "NAME"
	FieldDocNo = "DOC_NO"
	FieldPhone = "PHONE"
)

var (
	fields   = []string{FieldName, FieldDocNo, FieldPhone}
	purposes = []string{"COMPLAINT", "INSPECTION", "ENFORCEMENT", "DISPUTE", "FILING_REVIEW", "COURT_ORDER", "EMERGENCY"}
)

const caseNoMax = 200 // Runes.

// Command asks to read.
//
//sumtype:decl
type Command interface{ isCommand() }

// Disclose reads fields in clear for a case.
type Disclose struct {
	Fields  []string
	Purpose string
	CaseNo  string
}

func (Disclose) isCommand() {}

// Event is a fact of an access log. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Disclosed means personal data were read in clear. Who and when stands beside: the actor, its role and area.
type Disclosed struct {
	Fields  []string    `json:"fields"`
	Purpose string      `json:"purpose"`
	CaseNo  string      `json:"case_no"`
	By      string      `json:"by"` // Actor id.
	Role    domain.Role `json:"role"`
	Area    string      `json:"area,omitempty"` // Of a district regulator.
	On      domain.Day  `json:"on"`
}

func (Disclosed) EventType() string { return "access.disclosed" }
func (Disclosed) isEvent()          {}

// Types is the storage format.
var Types = []domain.Type{domain.Stored[Disclosed]()}

// State counts accesses: nothing is decided by it, every access is a new one.
type State struct{ Count int }

func decide(_ State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Disclose:
		unknown := func(f string) bool { return !slices.Contains(fields, f) }
		switch {
		case len(c.Fields) == 0 || len(c.Fields) > len(fields) || slices.ContainsFunc(c.Fields, unknown):
			return nil, ErrFields.At("/fields")
		case !slices.Contains(purposes, c.Purpose):
			return nil, ErrPurpose.At("/purpose")
		case c.CaseNo == "" || utf8.RuneCountInString(c.CaseNo) > caseNoMax:
			return nil, ErrPurpose.At("/case_no")
		}
		return []Event{Disclosed{
			Fields: c.Fields, Purpose: c.Purpose, CaseNo: c.CaseNo, By: r.Actor.ID, Role: r.Actor.Role, Area: r.Actor.Area, On: r.Today(),
		}}, nil
	}
	panic("access: unhandled command") // Sealed set: only a programming error gets here.
}

func evolve(s State, e Event) State {
	switch e.(type) {
	case Disclosed:
		s.Count++
	}
	return s
}
