package desk

import (
	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/contract"
	"zujian/domain/guidance"
	"zujian/domain/party"
	"zujian/domain/webhook"
	"zujian/eventstore/aggregate"
)

// SealedField is one sealed field of an event, and what the desk sealed it for.
type SealedField struct {
	Path                   string // JSON pointer into the event's data.
	Subject, Stream, Field string // As the vault is asked.
	Value                  domain.Sealed
}

// Seals finds what is sealed in events, and for whom, so that somebody who has only the log can check all of it. It MUST
// be shown the events of the log in order: an account's number is sealed for the operator that applied for the account.
// It is used by one goroutine at a time.
type Seals struct {
	operators map[string]string // Of accounts, by stream.
}

// NewSeals returns one that has seen no event.
func NewSeals() *Seals { return &Seals{operators: map[string]string{}} }

// SealedTypes are the event types that Seals has to be shown; every other has nothing for it.
func SealedTypes() []string {
	return []string{
		(party.Registered{}).EventType(), (party.DataCorrected{}).EventType(), (party.PersonalDataErased{}).EventType(),
		(contract.Drafted{}).EventType(), (contract.OccupantAdded{}).EventType(),
		(account.Applied{}).EventType(), (account.Opened{}).EventType(),
		(webhook.Registered{}).EventType(), (webhook.SecretRotated{}).EventType(), (webhook.Removed{}).EventType(),
		(guidance.ObjectionFiled{}).EventType(),
	}
}

// Of gives the fields of an event of a stream that hold a sealed value.
func (s *Seals) Of(stream string, e domain.Event) []SealedField {
	var out []SealedField
	add := func(path, subject, field string, v domain.Sealed) {
		if v != "" {
			out = append(out, SealedField{Path: path, Subject: subject, Stream: stream, Field: field, Value: v})
		}
	}
	id := aggregate.ID(stream)
	switch e := e.(type) {
	case party.Registered:
		add("/name", id, "name", e.Name)
		add("/doc_no", id, "doc_no", e.DocNo)
		add("/phone", id, "phone", e.Phone)
		add("/birth", id, "birth", e.Birth)
	case party.DataCorrected:
		add("/name", id, "name", e.Name)
		add("/phone", id, "phone", e.Phone)
	case contract.Drafted:
		for i, o := range e.Terms.Occupants {
			addOccupant(add, "/terms/occupants/"+itoa(i), id, o)
		}
	case contract.OccupantAdded:
		addOccupant(add, "/occupant", id, e.Occupant)
	case account.Applied:
		s.operators[stream] = e.Operator
	case account.Opened:
		add("/number", s.operators[stream], accountNumber, e.Number)
	case webhook.Registered:
		add("/secret", webhookSubject(id), webhookSecret, e.Secret)
	case webhook.SecretRotated:
		add("/secret", webhookSubject(id), webhookSecret, e.Secret)
	case guidance.ObjectionFiled:
		add("/text", e.Subject, objectionText, e.Text)
	}
	return out
}

func addOccupant(add func(path, subject, field string, v domain.Sealed), path, contractID string, o contract.Occupant) {
	subject := occupantSubject(contractID, o.ID)
	add(path+"/name", subject, occupantName, o.Name)
	add(path+"/doc", subject, occupantDoc, o.Doc)
}

// Erases tells whose key the event says is destroyed; "" is nobody's.
func (*Seals) Erases(stream string, e domain.Event) (subject string) {
	switch e.(type) {
	case party.PersonalDataErased:
		return aggregate.ID(stream)
	case webhook.Removed:
		return webhookSubject(aggregate.ID(stream))
	}
	return ""
}

// Fields under which occupants, accounts and objections are sealed. They never change: old values are bound to them.
const (
	occupantName  = "name"
	occupantDoc   = "doc"
	accountNumber = "number"
	objectionText = "objection"
)

// occupantSubject is whose key seals an occupant who is no party.
func occupantSubject(contractID, occupantID string) string {
	return "occupant-" + contractID + "-" + occupantID
}
