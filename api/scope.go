package api

import (
	"zujian/api/desk"
	"zujian/domain"
	"zujian/projections"
)

// scopeOf is the one place that says which rows of the views a caller may see (trust.md §5.2); desk.Sees is its
// counterpart for what is read from the log itself. A row out of scope is answered exactly like one that isn't there.
func scopeOf(c desk.Call) projections.Scope {
	a, today := c.Actor, domain.DayOf(c.At)
	switch a.Role {
	case domain.RoleCity, domain.RoleAuditor:
		return projections.Scope{All: true}
	case domain.RoleDistrict:
		return projections.Scope{District: a.Area}
	case domain.RoleBank:
		return projections.Scope{Bank: a.Party}
	case domain.RoleLandlord, domain.RoleTenant, domain.RoleCompany, domain.RoleBroker:
		return projections.Scope{Party: a.Party, Today: today}
	case domain.RolePartner, domain.RolePublic, domain.RoleSystem:
	}
	return projections.Scope{}
}
