// Package webhook owns the life of one webhook endpoint (回调端点): registered, told of facts, disabled when it does not
// answer, removed; and, as facts of its own, what became of each message. How messages are sent is the feed's.
//
// # Decisions
//
// The endpoint's stream is also its checkpoint: everything up to Cursor is settled, and what is settled or tried beyond it
// is listed. So after a crash nothing is lost, and a message goes out twice only if the crash came between the answer and
// the record of it; both carry the same id.
//
// Addresses are checked by the feed, before the command and again at each dial: what a name stands for is no fact.
package webhook

import (
	"slices"
	"strings"
	"time"

	"zujian/domain"
)

// Decider is the endpoint aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "webhook", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrNotFound   = domain.Reject("webhook.not_found", "there is no such endpoint")
	ErrExists     = domain.Reject("webhook.exists", "the endpoint was registered with other content")
	ErrURL        = domain.Reject("webhook.url", "an endpoint is https://host/path on port 443, without user, password or fragment")
	ErrAddress    = domain.Reject("webhook.address", "an endpoint must have a public address")
	ErrTypes      = domain.Reject("webhook.types", "the event types are unknown, repeated or too many")
	ErrRole       = domain.Reject("webhook.role", "this role sees no events")
	ErrSecret     = domain.Reject("webhook.secret", "an endpoint needs a secret")
	ErrNoDelivery = domain.Reject("webhook.no_such_delivery", "no such message was sent to this endpoint")
	ErrPending    = domain.Reject("webhook.too_many_redeliveries", "too many messages wait to be sent again")
)

const (
	typesMax      = 50
	redeliverMax  = 100            // Messages that wait to be sent again.
	ItemsMax      = 100            // Attempts in one record.
	OpenMax       = 1000           // Messages beyond the cursor that are settled or being tried.
	SecretOverlap = 24 * time.Hour // How long the secret before signs too.
)

// Stage is how far an endpoint has come.
type Stage string

// Stages.
const (
	StageNone     Stage = ""
	StageEnabled  Stage = "ENABLED"
	StageDisabled Stage = "DISABLED"
	StageRemoved  Stage = "REMOVED"
)

// Reasons for which the feed disables an endpoint.
const (
	ReasonExhausted = "EXHAUSTED" // A message was refused to the last attempt.
	ReasonGone      = "GONE"      // It answered 410.
)

// State is the endpoint. The zero State means none.
type State struct {
	Registered
	Stage     Stage
	Reason    string // Why it is disabled.
	Previous  domain.Sealed
	Overlap   time.Time  // Until when Previous signs too.
	Round     int        // Raised by a replay: records of an earlier one count no more.
	Cursor    uint64     // Everything up to here is settled.
	Open      []Delivery // The last attempt of each message beyond Cursor that was tried, by position.
	Redeliver []uint64   // Positions asked for again.
}

// Secrets are those that sign now, the current first.
func (s State) Secrets(now time.Time) []domain.Sealed {
	if s.Previous != "" && now.Before(s.Overlap) {
		return []domain.Sealed{s.Secret, s.Previous}
	}
	return []domain.Sealed{s.Secret}
}

// Wants reports whether the endpoint asked for a type of event. It never hears of endpoints: that would not end.
func (s State) Wants(name string) bool {
	if strings.HasPrefix(name, "webhook.") || strings.HasPrefix(name, "apikey.") {
		return false
	}
	return len(s.Types) == 0 || slices.Contains(s.Types, name)
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	if c, ok := r.Command.(Register); ok {
		return register(s, c)
	}
	if s.Stage == StageNone || s.Stage == StageRemoved {
		if _, again := r.Command.(Remove); again && s.Stage == StageRemoved {
			return nil, nil
		}
		return nil, ErrNotFound
	}
	switch c := r.Command.(type) {
	case RotateSecret:
		if c.Secret == "" {
			return nil, ErrSecret
		}
		if c.Secret == s.Secret {
			return nil, nil
		}
		return []Event{SecretRotated{Secret: c.Secret, Overlap: r.At.Add(SecretOverlap)}}, nil
	case Enable:
		if s.Stage == StageEnabled {
			return nil, nil
		}
		return []Event{Enabled{}}, nil
	case Disable:
		if s.Stage == StageDisabled {
			return nil, nil
		}
		return []Event{Disabled(c)}, nil
	case Remove:
		return []Event{Removed{}}, nil
	case Replay:
		if s.Cursor == c.After && len(s.Open) == 0 {
			return nil, nil // Nothing went out since.
		}
		return []Event{ReplayRequested(c)}, nil
	case Redeliver:
		switch {
		case slices.Contains(s.Redeliver, c.Position):
			return nil, nil
		case len(s.Redeliver) >= redeliverMax:
			return nil, ErrPending
		}
		return []Event{RedeliveryRequested(c)}, nil
	case Record:
		return record(s, c), nil
	}
	panic("webhook: unhandled command") // Sealed set: only a programming error gets here.
}

func register(s State, c Register) ([]Event, error) {
	want := Registered(c)
	want.Types = slices.Sorted(slices.Values(c.Types))
	switch {
	case s.Stage != StageNone && s.URL == want.URL && s.Owner == want.Owner && slices.Equal(s.Types, want.Types):
		return nil, nil
	case s.Stage != StageNone:
		return nil, ErrExists
	case c.Secret == "":
		return nil, ErrSecret
	case len(c.Types) > typesMax || len(slices.Compact(slices.Clone(want.Types))) != len(c.Types):
		return nil, ErrTypes.At("/types")
	}
	switch c.Owner.Role {
	case domain.RolePartner, domain.RolePublic, domain.RoleSystem, "":
		return nil, ErrRole
	default: // Everybody whose scope has rows.
	}
	return []Event{want}, nil
}

func record(s State, c Record) []Event {
	if c.Round != s.Round {
		return nil
	}
	c.Items = slices.DeleteFunc(slices.Clone(c.Items), s.knows)
	if len(c.Items) == 0 && c.Cursor <= s.Cursor {
		return nil
	}
	out := []Event{DeliveriesRecorded{Cursor: max(c.Cursor, s.Cursor), Items: c.Items}}
	for _, x := range c.Items {
		if x.Outcome == Dead && !x.Again && s.Stage == StageEnabled {
			reason := ReasonExhausted
			if x.Status == 410 {
				reason = ReasonGone
			}
			return append(out, Disabled{Reason: reason})
		}
	}
	return out
}

// knows reports whether an attempt is recorded already.
func (s State) knows(x Delivery) bool {
	if x.Again {
		return !slices.Contains(s.Redeliver, x.Position)
	}
	return x.Position <= s.Cursor || slices.ContainsFunc(s.Open, func(d Delivery) bool {
		return d.Position == x.Position && d.Attempt >= x.Attempt
	})
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Registered:
		s.Registered, s.Stage, s.Cursor = e, StageEnabled, e.After
	case SecretRotated:
		s.Previous, s.Secret, s.Overlap = s.Secret, e.Secret, e.Overlap
	case Enabled:
		s.Stage, s.Reason = StageEnabled, ""
	case Disabled:
		s.Stage, s.Reason = StageDisabled, e.Reason
	case Removed:
		s.Stage, s.Secret, s.Previous = StageRemoved, "", ""
	case ReplayRequested:
		s.Cursor, s.Open, s.Round = e.After, nil, s.Round+1
	case RedeliveryRequested:
		s.Redeliver = append(slices.Clip(s.Redeliver), e.Position)
	case DeliveriesRecorded:
		s = s.settle(e)
	}
	return s
}

func (s State) settle(e DeliveriesRecorded) State {
	s.Cursor = e.Cursor
	open := slices.Clone(s.Open)
	for _, x := range e.Items {
		if x.Again {
			if x.Outcome != Retry {
				s.Redeliver = slices.DeleteFunc(slices.Clone(s.Redeliver), func(p uint64) bool { return p == x.Position })
			}
			continue
		}
		at, found := slices.BinarySearchFunc(open, x.Position, func(d Delivery, p uint64) int {
			switch {
			case d.Position < p:
				return -1
			case d.Position > p:
				return 1
			}
			return 0
		})
		if found {
			open[at] = x
		} else {
			open = slices.Insert(open, at, x)
		}
	}
	s.Open = slices.DeleteFunc(open, func(d Delivery) bool { return d.Position <= e.Cursor })
	return s
}
