package desk

import (
	"context"
	"slices"

	"zujian/domain"
	"zujian/domain/party"
)

// Row says whose a thing is: what the one row-scope decision needs to know of it.
type Row struct {
	District string   // Administrative district (GB/T 2260).
	Unit     string   // Reporting unit; an overlay's regulator sees by this.
	Parties  []string // Parties it concerns.
	Bank     string   // Supervising bank.
}

// Sees is the one row-scope decision (trust.md §5.2): may the actor know that the row exists?
func Sees(a domain.Actor, r Row) bool {
	switch a.Role {
	case domain.RoleCity, domain.RoleAuditor, domain.RoleSystem:
		return true
	case domain.RoleDistrict:
		return a.Area != "" && (a.Area == r.District || a.Area == r.Unit)
	case domain.RoleBank:
		return a.Party != "" && a.Party == r.Bank
	case domain.RoleLandlord, domain.RoleTenant, domain.RoleCompany, domain.RoleBroker:
		return a.Party != "" && slices.Contains(r.Parties, a.Party)
	case domain.RolePartner, domain.RolePublic:
		return false
	}
	return false
}

func regulator(a domain.Actor) bool {
	return a.Role == domain.RoleDistrict || a.Role == domain.RoleCity
}

// inArea refuses a district's act outside its area.
func inArea(a domain.Actor, r Row) error {
	if a.Role == domain.RoleDistrict && !Sees(a, r) {
		return ErrOutOfArea
	}
	return nil
}

// actsFor says whether the actor may act for a party: it is that party, or holds its mandate of this scope for the unit.
func (d *Desk) actsFor(ctx context.Context, call Call, principal, scope, unit string) (own, mandated bool, err error) {
	if call.Actor.Party == "" || principal == "" {
		return false, false, nil
	}
	if call.Actor.Party == principal {
		return true, false, nil
	}
	s, _, found, err := load(ctx, d, party.Decider, principal)
	if err != nil || !found {
		return false, false, err
	}
	return false, s.Mandated(call.Actor.Party, scope, unit, domain.DayOf(call.At)), nil
}

// anyFor finds the first of several parties the actor is or may act for; "" if none.
func (d *Desk) anyFor(ctx context.Context, call Call, parties []string, scope, unit string) (string, error) {
	for _, p := range parties {
		own, mandated, err := d.actsFor(ctx, call, p, scope, unit)
		if err != nil {
			return "", err
		}
		if own || mandated {
			return p, nil
		}
	}
	return "", nil
}
