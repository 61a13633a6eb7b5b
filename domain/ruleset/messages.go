package ruleset

import "zujian/domain"

// ID names a rule set by its city ("nanjing"); its stream is "ruleset-<id>".
type ID string

// Command is a request to this aggregate.
//
//sumtype:decl
type Command interface{ isCommand() }

// ProposeChange proposes a new version of a rule, or a new rule.
type ProposeChange struct {
	ChangeID string
	Rule     domain.Rule
	Reason   string // Required: the decision or text of law behind the change.
}

// ApproveChange puts a proposed change into the rule set. The actor MUST be another than the proposer's.
type ApproveChange struct{ ChangeID string }

// RejectChange drops a proposed change; its proposer may withdraw it so.
type RejectChange struct {
	ChangeID string
	Reason   string
}

func (ProposeChange) isCommand() {}
func (ApproveChange) isCommand() {}
func (RejectChange) isCommand()  {}

// Event is a fact of this aggregate. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	EventType() string
	isEvent()
}

// ChangeProposed means a regulator proposed a rule version.
type ChangeProposed struct {
	ChangeID string      `json:"change_id"`
	Rule     domain.Rule `json:"rule"`
	Reason   string      `json:"reason"`
	By       string      `json:"by"` // Actor id.
}

// ChangeApproved means a second regulator approved it: the version is part of the rule set from here on.
type ChangeApproved struct {
	ChangeID string      `json:"change_id"`
	Rule     domain.Rule `json:"rule"`
	By       string      `json:"by"`
}

// ChangeRejected means the proposal was dropped.
type ChangeRejected struct {
	ChangeID string `json:"change_id"`
	Reason   string `json:"reason"`
	By       string `json:"by"`
}

func (ChangeProposed) EventType() string { return "ruleset.change_proposed" }
func (ChangeApproved) EventType() string { return "ruleset.change_approved" }
func (ChangeRejected) EventType() string { return "ruleset.change_rejected" }
func (ChangeProposed) isEvent()          {}
func (ChangeApproved) isEvent()          {}
func (ChangeRejected) isEvent()          {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[ChangeProposed](),
	domain.Stored[ChangeApproved](),
	domain.Stored[ChangeRejected](),
}
