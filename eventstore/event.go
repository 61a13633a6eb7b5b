package eventstore

import "time"

// NewEvent is an encoded fact on its way in.
type NewEvent struct {
	ID     [16]byte // UUID; derived from the command, so that a repeated append is recognised.
	Type   string   // "contract.drafted"
	Data   []byte   // JSON, unless Binary.
	Binary bool     // Data is application/octet-stream. Only events from outside are.
	Meta   Metadata
}

// Metadata says where a fact came from. Every field but Causation and Salt is mandatory. It never holds personal data.
// An event that a client of eventstore/wire wrote has the client's own metadata instead: Outside is true, Raw holds its
// bytes, and every other field is zero.
// $causationId and $correlationId are EventStoreDB's own spellings, so that its tools show them.
type Metadata struct {
	Schema      int       `json:"schema"`                 // Version of Data's shape, from 1.
	Actor       string    `json:"actor"`                  // Party id, API key id, or "process:<name>".
	Role        string    `json:"role"`                   // One of domain's roles.
	Command     string    `json:"command"`                // Command id.
	Causation   string    `json:"$causationId,omitempty"` // Event that caused it, if any.
	Correlation string    `json:"$correlationId"`         // The outside request it all came from.
	At          time.Time `json:"at"`                     // Decision time, UTC, whole microseconds.
	Policy      int       `json:"policy"`                 // Version of the rule set (监管规则集) that decided.
	Salt        Salt      `json:"salt,omitzero"`          // Of the commitment. Zero on the way in lets the store draw one.
	Outside     bool      `json:"-"`                      // Written by a program that is no part of the product.
	Raw         string    `json:"-"`                      // What it gave as metadata: any bytes.
}

// Recorded is a stored event.
type Recorded struct {
	NewEvent
	Stream   string
	Revision Revision
	Position Position
	Ordinal  uint64    // Its number in the whole log, from 0, without gaps: the leaf number of the transparency log.
	StoredAt time.Time // When the store wrote it (recorded time), UTC, whole microseconds, never before an earlier event's.
}

// Appended is the end of the stream after an append.
type Appended struct {
	Revision Revision
	Position Position
}
