// Package apikey owns the life of one API key (接口密钥): issued, used until it expires, revoked. It knows the secret's hash
// only, and who the key speaks for; what a role may do is the API's.
package apikey

import (
	"strings"
	"time"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the API key aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "apikey", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrExists    = domain.Reject("apikey.exists", "this key was issued with other content")
	ErrNotFound  = domain.Reject("apikey.not_found", "there is no such key")
	ErrHash      = domain.Reject("apikey.hash", "the hash is not a hexadecimal SHA-256")
	ErrRole      = domain.Reject("apikey.role", "a key can't have this role")
	ErrParty     = domain.Reject("apikey.party_required", "a key of this role acts for a party")
	ErrArea      = domain.Reject("apikey.area_required", "a district's key needs its six-digit area, and no other key has one")
	ErrExpired   = domain.Reject("apikey.expires_past", "the key would be expired when issued")
	ErrLabelLong = domain.Reject("apikey.label_too_long", "the label is longer than 100 characters")
)

const labelMax = 100 // Characters: one line of a list.

// State is the key. The zero State means no key.
type State struct {
	Issued  Issued
	Revoked bool
	Reason  string // Of the revocation.
}

// Live reports whether the key works at an instant.
func (s State) Live(at time.Time) bool {
	return s.Issued.Hash != "" && !s.Revoked && (s.Issued.Expires.IsZero() || at.Before(s.Issued.Expires))
}

// Actor is who a request with key id acts as.
func (s State) Actor(id string) domain.Actor {
	return domain.Actor{ID: id, Role: s.Issued.Role, Party: s.Issued.Party, Area: s.Issued.Area}
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Issue:
		want := Issued(c)
		want.Expires = c.Expires.UTC()
		if s.Issued.Hash != "" {
			if same(s.Issued, want) {
				return nil, nil
			}
			return nil, ErrExists
		}
		if err := check(c, r.At); err != nil {
			return nil, err
		}
		return []Event{want}, nil
	case Revoke:
		switch {
		case s.Issued.Hash == "":
			return nil, ErrNotFound
		case s.Revoked:
			return nil, nil
		}
		return []Event{Revoked(c)}, nil
	}
	panic("apikey: unhandled command") // Sealed set: only a programming error gets here.
}

func same(a, b Issued) bool {
	expires := a.Expires.Equal(b.Expires)
	a.Expires, b.Expires = time.Time{}, time.Time{}
	return expires && a == b
}

func check(c Issue, at time.Time) error {
	if len(c.Hash) != 64 || strings.Trim(c.Hash, "0123456789abcdef") != "" {
		return ErrHash.At("/hash")
	}
	switch c.Role {
	case domain.RoleLandlord, domain.RoleTenant, domain.RoleCompany, domain.RoleBroker, domain.RoleBank:
		if c.Party == "" {
			return ErrParty.At("/party_id")
		}
	case domain.RolePartner, domain.RoleDistrict, domain.RoleCity, domain.RoleAuditor:
	default: // public has no key, system is not a caller.
		return ErrRole.At("/role").With("role", string(c.Role))
	}
	isArea := len(c.Area) == 6 && strings.Trim(c.Area, "0123456789") == ""
	switch {
	case (c.Role == domain.RoleDistrict) != isArea, !isArea && c.Area != "":
		return ErrArea.At("/area")
	case !c.Expires.IsZero() && !c.Expires.After(at):
		return ErrExpired.At("/expires_on")
	case utf8.RuneCountInString(c.Label) > labelMax:
		return ErrLabelLong.At("/label").With("max", int64(labelMax))
	}
	return nil
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Issued:
		s.Issued = e
	case Revoked:
		s.Revoked, s.Reason = true, e.Reason
	}
	return s
}
