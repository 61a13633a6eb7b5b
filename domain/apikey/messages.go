package apikey

import (
	"time"

	"zujian/domain"
)

// Command issues or ends a key.
//
//sumtype:decl
type Command interface{ isCommand() }

// Issue creates the key. Only the hash of its secret is known here.
type Issue struct {
	Hash    string // Lower-case hex SHA-256 of the secret.
	Role    domain.Role
	Party   string    // Party it acts as; required of landlord, tenant, company, broker and bank.
	Area    string    // Six-digit district; required of district.
	Expires time.Time // First instant it no longer works; zero = never.
	Label   string    // What it is for, ≤ 100 characters, no personal data.
}

// Revoke ends the key at once and for good.
type Revoke struct{ Reason string }

func (Issue) isCommand()  {}
func (Revoke) isCommand() {}

// Event is a fact of a key. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Issued means the key works, until Expires or its revocation.
type Issued struct {
	Hash    string      `json:"hash"`
	Role    domain.Role `json:"role"`
	Party   string      `json:"party,omitempty"`
	Area    string      `json:"area,omitempty"`
	Expires time.Time   `json:"expires,omitzero"`
	Label   string      `json:"label,omitempty"`
}

// Revoked means the key never works again.
type Revoked struct {
	Reason string `json:"reason,omitempty"`
}

func (Issued) EventType() string  { return "apikey.issued" }
func (Revoked) EventType() string { return "apikey.revoked" }
func (Issued) isEvent()           {}
func (Revoked) isEvent()          {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{domain.Stored[Issued](), domain.Stored[Revoked]()}
