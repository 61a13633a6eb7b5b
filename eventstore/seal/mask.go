package seal

import "strings"

// Viewer is for whom a field is masked (脱敏), domain.md §4.6. What someone may see in full is opened, not masked.
type Viewer int

// Viewers.
const (
	Public      Viewer = iota
	Counterpart        // The other side of a contract.
	Officer            // A regulator on duty who gave no purpose for more.
)

const shortDoc = 12 // Below this length first three and last four would show most of the number.

// MaskName masks a person's name: 张*, 张*三, 欧**明. Names of organisations are public and not masked.
func MaskName(name string) string {
	r := []rune(strings.TrimSpace(name))
	switch len(r) {
	case 0:
		return ""
	case 1:
		return "*"
	case 2:
		return string(r[:1]) + "*"
	}
	return string(r[:1]) + strings.Repeat("*", len(r)-2) + string(r[len(r)-1:])
}

// MaskDocNo masks a document number: hidden ("") from the public, the last four for the counterpart, the first three
// too for an officer.
func MaskDocNo(no string, to Viewer) string {
	switch to {
	case Counterpart:
		return keepEnds(no, 0, 4)
	case Officer:
		if len([]rune(no)) < shortDoc {
			return keepEnds(no, 0, 4)
		}
		return keepEnds(no, 3, 4)
	}
	return ""
}

// MaskPhone masks a telephone number: hidden ("") from the public, 138****0000 for the others.
func MaskPhone(phone string, to Viewer) string {
	if to != Counterpart && to != Officer {
		return ""
	}
	return keepEnds(phone, 3, 4)
}

// keepEnds stars everything but the first and last runes; at least half of what there is.
func keepEnds(s string, first, last int) string {
	r := []rune(strings.TrimSpace(s))
	if len(r) < 2*last || first+last >= len(r) {
		first, last = 0, min(last, len(r)/4)
	}
	return string(r[:first]) + strings.Repeat("*", len(r)-first-last) + string(r[len(r)-last:])
}
