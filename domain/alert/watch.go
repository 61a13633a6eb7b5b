package alert

// Signs are one operator's levels on one day.
type Signs struct {
	Shortfall, OwnerArrears, OffAccount, Complaints, Growth, Gap Level
}

// watched is how many days in a row two signs must hold.
const watched = 7

// BlowUp is the watch over one operator: days are consecutive, oldest first. It gives the signs that held on each of
// the last seven days, and red when there are two or more. Fewer than seven days hold nothing.
func BlowUp(days []Signs) (held []string, red bool) {
	if len(days) < watched {
		return nil, false
	}
	for _, sign := range []struct {
		name  string
		holds func(Signs) bool
	}{
		{"SHORTFALL", func(s Signs) bool { return s.Shortfall >= Red }},
		{"OWNER_ARREARS", func(s Signs) bool { return s.OwnerArrears >= Orange }},
		{"OFF_ACCOUNT", func(s Signs) bool { return s.OffAccount >= Orange }},
		{"COMPLAINT_BURST", func(s Signs) bool { return s.Complaints >= Orange }},
		{"GROWTH_WITH_GAP", func(s Signs) bool { return s.Growth >= Orange && s.Gap >= Orange }},
	} {
		all := true
		for _, s := range days[len(days)-watched:] {
			all = all && sign.holds(s)
		}
		if all {
			held = append(held, sign.name)
		}
	}
	return held, len(held) >= 2
}
