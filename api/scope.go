package api

import (
	"zujian/domain"
	"zujian/projections"
)

// scopeOf is the one place that says which rows of the views a caller may see (trust.md §5.2); desk.Sees is its
// counterpart for what is read from the log itself. A row out of scope is answered exactly like one that isn't there.
func scopeOf(a domain.Actor) projections.Scope {
	switch a.Role {
	case domain.RoleCity, domain.RoleAuditor:
		return projections.Scope{All: true}
	case domain.RoleDistrict:
		return projections.Scope{District: a.Area}
	case domain.RoleBank:
		return projections.Scope{Bank: a.Party}
	case domain.RoleLandlord, domain.RoleTenant, domain.RoleCompany, domain.RoleBroker:
		return projections.Scope{Party: a.Party}
	case domain.RolePartner, domain.RolePublic, domain.RoleSystem:
	}
	return projections.Scope{}
}
