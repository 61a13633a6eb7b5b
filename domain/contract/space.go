package contract

import (
	"cmp"
	"slices"

	"zujian/domain"
)

// Heads are counted with everyone known to live there; a contract without a list counts its lessees.

func (q *Question) heads() int {
	persons := 0
	for _, l := range q.Terms.Lessees {
		if p := q.known(l.Party); p == nil || p.Kind == "PERSON" {
			persons++
		}
	}
	return max(len(q.Occupants), persons, 1)
}

// Fact implements domain.Source, for lease.occupants.
func (o *Occupant) Fact(name string) domain.Value {
	switch name {
	case "room":
		return domain.FactText(o.Room)
	case "relation":
		return domain.FactText(o.Relation)
	case "family_id":
		return domain.FactText(o.FamilyID)
	case "minor":
		return domain.FactBool(o.Minor)
	}
	return domain.Value{}
}

// roomHeads is the most heads in one room, and the most where they are not one family. People without a room are
// spread over the bedrooms let, rounded up.
func (q *Question) roomHeads() (heads, unrelated int) {
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

func (q *Question) roomOf(o Occupant) string {
	if o.Room == "" && len(q.Terms.Rooms) == 1 {
		return q.Terms.Rooms[0]
	}
	return o.Room
}

// bedrooms let: rooms of a letting by room, else those of the flat.
func (q *Question) bedrooms() int {
	if len(q.Terms.Rooms) > 0 {
		return len(q.Terms.Rooms)
	}
	return q.Subject.Unit.Bedrooms
}

// families counts families and unrelated adults among this contract's heads.
func (q *Question) families() (families, unrelatedAdults int) {
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

func (q *Question) roomsLet() []RoomFacts {
	var out []RoomFacts
	for _, r := range q.Subject.Unit.Rooms {
		if slices.Contains(q.Terms.Rooms, r.ID) {
			out = append(out, r)
		}
	}
	return out
}

// areas are what is let (gross area of a flat, usable area of rooms) and the usable area of it.
func (q *Question) areas() (let, usable int64) {
	u := q.Subject.Unit
	if len(q.Terms.Rooms) == 0 {
		return u.GrossAreaC, cmp.Or(u.InnerAreaC, u.GrossAreaC)
	}
	for _, r := range q.roomsLet() {
		let += r.UsableAreaC
	}
	return let, cmp.Or(let, u.InnerAreaC, u.GrossAreaC)
}

func (q *Question) space(name string) domain.Value {
	u := &q.Subject.Unit
	switch name {
	case "id":
		return domain.FactText(u.ID)
	case "report_unit":
		return domain.FactText(u.ReportUnit)
	case "street":
		return domain.FactText(u.Street)
	case "admin_code":
		return domain.FactText(u.AdminCode)
	case "planned_use": // RESIDENTIAL, …; what is not recorded is absent.
		if u.PlannedUse == "" {
			return domain.Value{}
		}
		return domain.FactText(u.PlannedUse)
	case "conversion_approved":
		return domain.FactBool(u.ConversionApproved || q.hasDoc("CONVERSION_APPROVAL"))
	case "is_complete_home": // 成套住宅
		return domain.FactBool(!u.Incomplete)
	case "land_kind": // STATE, COLLECTIVE
		return domain.FactText(cmp.Or(u.LandKind, "STATE"))
	case "safety_grade": // A–D, "" = never appraised.
		return domain.FactText(u.SafetyGrade)
	case "flags": // SEIZED, MORTGAGED, OBJECTION, ILLEGAL, NOT_LETTABLE, USE_CHANGED
		return domain.FactTexts(u.Flags)
	case "retired":
		return domain.FactBool(u.Retired)
	case "kinds": // Of the rooms let; empty for a whole flat.
		return domain.FactTexts(q.eachRoom(func(r RoomFacts) string { return r.Kind }))
	case "origins": // The same.
		return domain.FactTexts(q.eachRoom(func(r RoomFacts) string { return r.Origin }))
	case "rooms": // Those let.
		return domain.FactRecords(q.roomsLet())
	case "gross_area_c": // Of the whole flat.
		return domain.FactInt(u.GrossAreaC)
	case "let_area_c": // Gross area of a flat, usable area of rooms.
		let, _ := q.areas()
		return domain.FactInt(let)
	case "heads_total": // Everyone in the flat: lease.heads and those of other contracts now in force.
		return domain.FactInt(q.headsTotal())
	case "families": // In the flat, people without a family each counting one.
		families, _ := q.families()
		return domain.FactInt(families + u.OtherFamilies)
	case "unrelated_adults": // In the flat, who share no family with another occupant.
		_, adults := q.families()
		return domain.FactInt(adults + u.OtherAdults)
	case "gross_per_head_c": // Of the flat.
		return domain.FactInt(u.GrossAreaC / q.headsTotal())
	case "usable_per_head_c": // Usable (else inner, else gross) area of what is let ÷ lease.heads.
		_, usable := q.areas()
		return domain.FactInt(usable / int64(q.heads()))
	case "owner_consent_bp": // Share of owners who are lessors or consented; absent when ownership is not recorded.
		if bp, known := q.ownerConsent(); known {
			return domain.FactInt(bp)
		}
	}
	return domain.Value{}
}

// headsTotal is, whatever a caller counted, at least those of this contract.
func (q *Question) headsTotal() int64 {
	return int64(q.heads()) + max(int64(q.Subject.Unit.OtherHeads), 0)
}

// Fact implements domain.Source, for space.rooms.
func (r *RoomFacts) Fact(name string) domain.Value {
	switch name {
	case "id":
		return domain.FactText(r.ID)
	case "kind":
		return domain.FactText(r.Kind)
	case "origin":
		return domain.FactText(r.Origin)
	case "usable_area_c":
		return domain.FactInt(r.UsableAreaC)
	}
	return domain.Value{}
}

func (q *Question) eachRoom(f func(RoomFacts) string) []string {
	var out []string
	for _, r := range q.roomsLet() {
		out = append(out, f(r))
	}
	return out
}

// ownerConsent is the share of the owners who let, or agreed to it. Under a head lease their consent is the head
// lease's (C-06); a lessor who is not the owner has none of it.
func (q *Question) ownerConsent() (bp int, known bool) {
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
