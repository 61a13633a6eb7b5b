package webhook

import (
	"time"

	"zujian/domain"
)

// Command changes an endpoint or records what became of its messages.
//
//sumtype:decl
type Command interface{ isCommand() }

// Register makes an endpoint, which gets what is recorded from then on.
type Register struct {
	URL    string
	Types  []string // Event types it wants; none = all it may see.
	Owner  Owner
	Secret domain.Sealed // Of the signatures.
	After  uint64        // Position of the log after which it begins.
}

// RotateSecret makes a new secret the first; the one before signs too, for SecretOverlap.
type RotateSecret struct{ Secret domain.Sealed }

// Enable lets messages go out again, from where they stopped.
type Enable struct{}

// Disable stops messages.
type Disable struct{ Reason string }

// Remove ends the endpoint for good.
type Remove struct{}

// Replay sends everything after a position again.
type Replay struct{ After uint64 }

// Redeliver sends one message again.
type Redeliver struct{ Position uint64 }

// Record says what became of messages. It is written by the feed alone.
type Record struct {
	Round  int    // State.Round when they were sent; what belongs to an earlier one is dropped.
	Cursor uint64 // Everything up to this position is settled.
	Items  []Delivery
}

func (Register) isCommand()     {}
func (RotateSecret) isCommand() {}
func (Enable) isCommand()       {}
func (Disable) isCommand()      {}
func (Remove) isCommand()       {}
func (Replay) isCommand()       {}
func (Redeliver) isCommand()    {}
func (Record) isCommand()       {}

// Event is a fact of an endpoint. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Owner is whose endpoint it is, as its key said when it was registered: it gets what this actor may see.
type Owner struct {
	Key   string      `json:"key"`
	Role  domain.Role `json:"role"`
	Party string      `json:"party,omitempty"`
	Area  string      `json:"area,omitempty"`
}

// Actor is the owner as a caller.
func (o Owner) Actor() domain.Actor {
	return domain.Actor{ID: o.Key, Role: o.Role, Party: o.Party, Area: o.Area}
}

// Outcome of one attempt.
type Outcome string

// Outcomes. A dead letter (死信) is not sent again by itself.
const (
	Delivered Outcome = "DELIVERED"
	Retry     Outcome = "RETRY"
	Dead      Outcome = "DEAD"
)

// Delivery is one attempt to deliver one message.
type Delivery struct {
	Message  string    `json:"message"`  // Id of the event it tells of.
	Position uint64    `json:"position"` // Of that event.
	Type     string    `json:"type"`
	Subject  string    `json:"subject"` // Stream of that event: messages of one subject keep their order.
	Attempt  int       `json:"attempt"` // From 1.
	Outcome  Outcome   `json:"outcome"`
	Status   int       `json:"status,omitempty"` // HTTP status of the answer; 0 without one.
	Error    string    `json:"error,omitempty"`  // A code: timeout, refused_address, …
	At       time.Time `json:"at"`
	Next     time.Time `json:"next,omitzero"`   // Of the next attempt.
	Again    bool      `json:"again,omitempty"` // Asked for by Redeliver.
}

// Registered means the endpoint gets messages.
type Registered struct {
	URL    string        `json:"url"`
	Types  []string      `json:"types,omitempty"`
	Owner  Owner         `json:"owner"`
	Secret domain.Sealed `json:"secret"`
	After  uint64        `json:"after"`
}

// SecretRotated means a new secret signs; the one before until Overlap.
type SecretRotated struct {
	Secret  domain.Sealed `json:"secret"`
	Overlap time.Time     `json:"overlap"`
}

// Enabled means messages go out.
type Enabled struct{}

// Disabled means they do not.
type Disabled struct {
	Reason string `json:"reason"`
}

// Removed means the endpoint is gone.
type Removed struct{}

// ReplayRequested means that messages after a position are sent again.
type ReplayRequested struct {
	After uint64 `json:"after"`
}

// RedeliveryRequested means that one message is sent again.
type RedeliveryRequested struct {
	Position uint64 `json:"position"`
}

// DeliveriesRecorded says what became of messages.
type DeliveriesRecorded struct {
	Cursor uint64     `json:"cursor"`
	Items  []Delivery `json:"items,omitempty"`
}

func (Registered) EventType() string          { return "webhook.registered" }
func (SecretRotated) EventType() string       { return "webhook.secret_rotated" }
func (Enabled) EventType() string             { return "webhook.enabled" }
func (Disabled) EventType() string            { return "webhook.disabled" }
func (Removed) EventType() string             { return "webhook.removed" }
func (ReplayRequested) EventType() string     { return "webhook.replay_requested" }
func (RedeliveryRequested) EventType() string { return "webhook.redelivery_requested" }
func (DeliveriesRecorded) EventType() string  { return "webhook.deliveries_recorded" }

func (Registered) isEvent()          {}
func (SecretRotated) isEvent()       {}
func (Enabled) isEvent()             {}
func (Disabled) isEvent()            {}
func (Removed) isEvent()             {}
func (ReplayRequested) isEvent()     {}
func (RedeliveryRequested) isEvent() {}
func (DeliveriesRecorded) isEvent()  {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Registered](), domain.Stored[SecretRotated](), domain.Stored[Enabled](), domain.Stored[Disabled](),
	domain.Stored[Removed](), domain.Stored[ReplayRequested](), domain.Stored[RedeliveryRequested](),
	domain.Stored[DeliveriesRecorded](),
}
