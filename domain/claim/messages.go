package claim

import "zujian/domain"

// Command asks for a claim or gives it back.
//
//sumtype:decl
type Command interface{ isCommand() }

// Make claims the value for Holder. The same holder again changes nothing.
type Make struct{ Holder string }

// Release gives the value back; then another may claim it. A value nobody holds stays free.
type Release struct{ Holder string }

func (Make) isCommand()    {}
func (Release) isCommand() {}

// Event is a fact of a claim. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Made means the value belongs to Holder alone.
type Made struct {
	Holder string `json:"holder"`
}

// Released means the value is free again.
type Released struct {
	Holder string `json:"holder"`
}

func (Made) EventType() string     { return "claim.made" }
func (Released) EventType() string { return "claim.released" }
func (Made) isEvent()              {}
func (Released) isEvent()          {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{domain.Stored[Made](), domain.Stored[Released]()}
