package contract

import (
	"cmp"
	"slices"

	"zujian/domain"
)

// Heads are counted with everyone known to live there; a contract without a list counts its lessees.

func (q Question) heads() int {
	persons := 0
	for _, l := range q.Terms.Lessees {
		if p, ok := q.partyFacts(l.Party); !ok || p.Kind == "PERSON" {
			persons++
		}
	}
	return max(len(q.Occupants), persons, 1)
}

func (q Question) occupants() []domain.Facts {
	out := []domain.Facts{}
	for _, o := range q.Occupants {
		out = append(out, domain.Facts{
			"room": o.Room, "relation": o.Relation, "family_id": o.FamilyID, "minor": o.Minor,
		})
	}
	return out
}

// roomHeads is the most heads in one room, and the most where they are not one family. People without a room are
// spread over the bedrooms let, rounded up.
func (q Question) roomHeads() (heads, unrelated int) {
	beds := max(q.bedrooms(), 1)
	if len(q.Occupants) == 0 {
		heads = (q.heads() + beds - 1) / beds
		if q.heads() > 1 {
			unrelated = heads
		}
		return heads, unrelated
	}
	for _, first := range q.Occupants {
		n, mixed := 0, false
		for _, o := range q.Occupants {
			if q.roomOf(o) != q.roomOf(first) {
				continue
			}
			n++
			mixed = mixed || (o.ID != first.ID && (o.FamilyID == "" || o.FamilyID != first.FamilyID))
		}
		if q.roomOf(first) == "" {
			n = (n + beds - 1) / beds
		}
		heads = max(heads, n)
		if mixed {
			unrelated = max(unrelated, n)
		}
	}
	return heads, unrelated
}

func (q Question) roomOf(o Occupant) string {
	if o.Room == "" && len(q.Terms.Rooms) == 1 {
		return q.Terms.Rooms[0]
	}
	return o.Room
}

// bedrooms let: rooms of a letting by room, else those of the flat.
func (q Question) bedrooms() int {
	if len(q.Terms.Rooms) > 0 {
		return len(q.Terms.Rooms)
	}
	return q.Subject.Unit.Bedrooms
}

// families counts families and unrelated adults among this contract's heads.
func (q Question) families() (families, unrelatedAdults int) {
	sizes := map[string]int{}
	for _, o := range q.Occupants {
		if o.FamilyID != "" {
			sizes[o.FamilyID]++
		}
	}
	families = len(sizes)
	for _, o := range q.Occupants {
		if o.FamilyID == "" {
			families++
		}
		if !o.Minor && sizes[o.FamilyID] < 2 {
			unrelatedAdults++
		}
	}
	if len(q.Occupants) == 0 {
		return q.heads(), q.heads()
	}
	return families, unrelatedAdults
}

// Household counts who lives there by this contract: heads, families, and adults without family.
func (s State) Household() (heads, families, adults int) {
	q := Question{Terms: s.Terms, Subject: s.Subject, Occupants: s.Occupants}
	families, adults = q.families()
	return q.heads(), families, adults
}

func (q Question) roomsLet() []RoomFacts {
	var out []RoomFacts
	for _, r := range q.Subject.Unit.Rooms {
		if slices.Contains(q.Terms.Rooms, r.ID) {
			out = append(out, r)
		}
	}
	return out
}

// areas are what is let (gross area of a flat, usable area of rooms) and the usable area of it.
func (q Question) areas() (let, usable int64) {
	u := q.Subject.Unit
	if len(q.Terms.Rooms) == 0 {
		return u.GrossAreaC, cmp.Or(u.InnerAreaC, u.GrossAreaC)
	}
	for _, r := range q.roomsLet() {
		let += r.UsableAreaC
	}
	return let, cmp.Or(let, u.InnerAreaC, u.GrossAreaC)
}

func (q Question) space() domain.Facts {
	u := q.Subject.Unit
	rooms, kinds, origins := []domain.Facts{}, []string{}, []string{}
	for _, r := range q.roomsLet() {
		rooms = append(rooms, domain.Facts{"id": r.ID, "kind": r.Kind, "origin": r.Origin, "usable_area_c": r.UsableAreaC})
		kinds, origins = append(kinds, r.Kind), append(origins, r.Origin)
	}
	let, usable := q.areas()
	heads := int64(q.heads())
	families, adults := q.families()
	total := heads + max(int64(u.OtherHeads), 0) // Whatever a caller counted, at least those of this contract.
	f := domain.Facts{
		"id": u.ID, "report_unit": u.ReportUnit, "street": u.Street, "admin_code": u.AdminCode,
		"conversion_approved": u.ConversionApproved || q.hasDoc("CONVERSION_APPROVAL"), "is_complete_home": !u.Incomplete,
		"land_kind": cmp.Or(u.LandKind, "STATE"), "safety_grade": u.SafetyGrade, "flags": texts(u.Flags), "retired": u.Retired,
		"kinds": kinds, "origins": origins, "rooms": rooms,
		"gross_area_c": u.GrossAreaC, "let_area_c": let,
		"heads_total": total, "families": int64(families + u.OtherFamilies), "unrelated_adults": int64(adults + u.OtherAdults),
		"gross_per_head_c": u.GrossAreaC / total, "usable_per_head_c": usable / heads,
	}
	if u.PlannedUse != "" {
		f["planned_use"] = u.PlannedUse
	}
	if bp, known := q.ownerConsent(); known {
		f["owner_consent_bp"] = int64(bp)
	}
	return f
}

// ownerConsent is the share of the owners who let, or agreed to it. Under a head lease their consent is the head
// lease's (C-06); a lessor who is not the owner has none of it.
func (q Question) ownerConsent() (bp int, known bool) {
	owners := q.Subject.Unit.Owners
	switch {
	case q.isSublease() && q.Subject.Parent != nil && q.Subject.Parent.Exists:
		return 10_000, true
	case len(owners) == 0:
		return 0, false
	}
	lessors := partyIDs(q.Terms.Lessors)
	for _, o := range owners {
		if slices.Contains(lessors, o.Party) {
			bp += o.ShareBP
		}
	}
	if bp > 0 && q.hasDoc("CO_OWNER_CONSENT") {
		return 10_000, true
	}
	return bp, true
}

func partyIDs(shares []PartyShare) []string {
	out := make([]string, len(shares))
	for i, s := range shares {
		out[i] = s.Party
	}
	return out
}

func containsAll(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

func texts(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
