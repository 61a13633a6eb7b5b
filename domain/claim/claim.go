// Package claim owns the uniqueness of one value (唯一性占用): one stream for each value, named "claim-<kind>.<value>". Whoever
// made the claim holds the value until the holder gives it back. It knows neither what the value means nor who the
// holder is; a value that identifies a person must come as a blind index.
package claim

import "zujian/domain"

// Decider is the claim aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "claim", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrTaken    = domain.Reject("claim.taken", "another holder has claimed this value")
	ErrNoHolder = domain.Reject("claim.no_holder", "a claim needs a holder")
)

// ID names the stream of one value: "identity.9f86…".
func ID(kind, value string) string { return kind + "." + value }

// State is who holds the value; "" means it is free.
type State struct{ Holder string }

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Make:
		switch s.Holder {
		case "":
			if c.Holder == "" {
				return nil, ErrNoHolder.At("/holder")
			}
			return []Event{Made(c)}, nil
		case c.Holder:
			return nil, nil
		}
		return nil, ErrTaken.With("holder", s.Holder)
	case Release:
		switch s.Holder {
		case "":
			return nil, nil
		case c.Holder:
			return []Event{Released(c)}, nil
		}
		return nil, ErrTaken.With("holder", s.Holder)
	}
	panic("claim: unhandled command") // Sealed set: only a programming error gets here.
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Made:
		s.Holder = e.Holder
	case Released:
		s.Holder = ""
	}
	return s
}
