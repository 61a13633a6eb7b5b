package people

import (
	"slices"

	"zujian/domain/contract"
)

// Sublettings counts what each party sublets, from the events of contracts alone and as the view counts it (S-09): for
// whoever follows the log and asks on the way. Only subleases in force take memory.
type Sublettings struct {
	leases map[string]lease
	homes  map[string]int
}

// NewSublettings has counted nothing yet.
func NewSublettings() *Sublettings {
	return &Sublettings{leases: map[string]lease{}, homes: map[string]int{}}
}

// sublettingTypes are the events that count.
var sublettingTypes = []string{
	contract.Filed{}.EventType(), contract.Amended{}.EventType(), contract.LessorReplaced{}.EventType(), contract.Terminated{}.EventType(),
	contract.Expired{}.EventType(), contract.FilingCancelled{}.EventType(), contract.Annulled{}.EventType(),
}

// Counts says whether events of a type change what is sublet.
func (s *Sublettings) Counts(eventType string) bool {
	return slices.Contains(sublettingTypes, eventType)
}

// Add takes in the next event of a contract.
func (s *Sublettings) Add(id string, e contract.Event) {
	was := s.leases[id]
	now := was.after(e)
	now.ID = id
	was.sublets(func(party string, n int) { s.homes[party] -= n })
	now.sublets(func(party string, n int) { s.homes[party] += n })
	if now.Active && now.Sublet {
		s.leases[id] = now
	} else {
		delete(s.leases, id)
	}
}

// Of is how many homes or rooms a party sublets by contracts now in force.
func (s *Sublettings) Of(party string) int { return s.homes[party] }

// sublets tells how many homes or rooms each lessor sublets by the contract.
func (l lease) sublets(count func(party string, n int)) {
	if !l.Active || !l.Sublet || l.Kind == contract.KindHead {
		return
	}
	for _, p := range l.Lessors {
		count(p, max(l.Rooms, 1))
	}
}
