package numbering

import "zujian/domain"

// Command asks for numbers.
//
//sumtype:decl
type Command interface{ isCommand() }

// Issue asks for a block of Count serial numbers, 1 to BlockMax. Asked twice it issues two blocks; gaps are harmless.
type Issue struct{ Count int64 }

func (Issue) isCommand() {}

// Event is a fact of a numbering. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// BlockIssued means the serial numbers First to First+Count-1 belong to who asked, and are never issued again.
type BlockIssued struct {
	First int64 `json:"first"`
	Count int64 `json:"count"`
}

func (BlockIssued) EventType() string { return "numbering.block_issued" }
func (BlockIssued) isEvent()          {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{domain.Stored[BlockIssued]()}
