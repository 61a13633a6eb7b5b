package people

import (
	"context"
	"slices"
	"strings"

	"zujian/domain"
	"zujian/domain/party"
	"zujian/projections"
)

// sees: a party sees itself and whom it holds a mandate of; a district those registered, reporting or contracting in it.
func (s Subject) sees(ctx context.Context, r projections.Reader, scope projections.Scope) (bool, error) {
	who := []string{s.ID, s.Brokerage}
	for _, m := range s.Mandates {
		if scope.Today <= m.Until {
			who = append(who, m.To)
		}
	}
	if scope.Sees(projections.Place{}, slices.DeleteFunc(who, func(p string) bool { return p == "" }), "") {
		return true, nil
	}
	if scope.District == "" {
		return false, nil
	}
	_, there, err := r.Get(ctx, projections.Key(keyArea, scope.District, s.ID))
	return there, err
}

// SubjectOf reads one party on a day; ok is false when there is none or the scope does not see it.
func SubjectOf(ctx context.Context, r projections.Reader, scope projections.Scope, id string, on domain.Day) (Subject, bool, error) {
	s, err := projections.Get[Subject](ctx, r, projections.Key(keySubject, id))
	if err != nil || s.ID == "" {
		return Subject{}, false, err
	}
	if ok, err := s.sees(ctx, r, scope); err != nil || !ok {
		return Subject{}, false, err
	}
	tally, err := projections.Get[projections.Counters](ctx, r, projections.Key(keyTally, id))
	if err != nil {
		return Subject{}, false, err
	}
	s.Practitioners = int(tally["practitioners"])
	delete(tally, "practitioners")
	if len(tally) > 0 {
		s.Tally = tally
	}
	return s.standing(on), true, nil
}

// openingDays after its licence a business must have reported its opening (S-05).
const openingDays = 30

// standing fills in what depends on the day: whether the opening report is overdue and the business scope says what the
// business does.
func (s Subject) standing(on domain.Day) Subject {
	word := map[string]string{party.OrgRentalEnterprise: "租赁", party.OrgSubleaseOperator: "租赁", party.OrgBrokerage: "经纪"}[s.OrgKind]
	if word == "" {
		return s
	}
	ok := strings.Contains(s.ScopeText, word)
	s.ScopeOK = &ok
	reported := s.OpeningState == OpeningReported || s.OpeningState == OpeningPublished
	if due := s.LicenceIssued.AddDays(openingDays); !reported && !s.LicenceIssued.IsZero() && on > due {
		s.OpeningOverdue = int(on - due)
	}
	return s
}

// Seat is the district that supervises a company: where it reported its opening, else where it is registered.
func (s Subject) Seat() string {
	if s.Opening != nil && s.Opening.AdminCode != "" {
		return s.Opening.AdminCode
	}
	return s.AdminCode
}

// SubjectStreams are the streams of a party and of all who ever were its practitioners. Its tally also counts contracts
// and their ledgers, which the view of homes lists (housing.ContractsOf).
func SubjectStreams(ctx context.Context, r projections.Reader, id string) ([]string, error) {
	streams := []string{"party-" + id}
	for pair, err := range r.Scan(ctx, projections.Prefix(keyEver, id), projections.PrefixEnd(keyEver, id), false) {
		if err != nil {
			return nil, err
		}
		streams = append(streams, "party-"+projections.Tail(pair.Key))
	}
	return streams, nil
}

// Find gives the id of the party with a credit code or with a document's blind index; "" for none. For the desk alone:
// it tells whether somebody is known.
func Find(ctx context.Context, r projections.Reader, uscc string, doc domain.BlindIndex) (string, error) {
	key := projections.Key(keyUSCC, uscc)
	if uscc == "" {
		key = projections.Key(keyIdentity, string(doc))
	}
	id, _, err := r.Get(ctx, key)
	return string(id), err
}

// Filter narrows Subjects.
type Filter struct {
	Kind, OrgKind string
	District      string
	OpeningState  string // REPORTED, PUBLISHED, RETURNED
	LevelMin      int
	On            domain.Day // What is overdue is counted up to it.
}

func (f Filter) keeps(s Subject) bool {
	return (f.Kind == "" || s.Kind == f.Kind) && (f.OrgKind == "" || s.OrgKind == f.OrgKind) &&
		(f.OpeningState == "" || s.OpeningState == f.OpeningState) && s.Level >= f.LevelMin
}

// Subjects lists the roster (V-P1) by opening state, kind or district, in order of party id.
func Subjects(ctx context.Context, r projections.Reader, scope projections.Scope, f Filter, p projections.Page) ([]Subject, string, error) {
	if !scope.All && scope.District != "" {
		f.District = scope.District
	}
	if !scope.All && scope.District == "" && scope.Party != "" { // A party's roster is itself.
		s, ok, err := SubjectOf(ctx, r, scope, scope.Party, f.On)
		if err != nil || !ok || !f.keeps(s) || p.Cursor != "" {
			return nil, "", err
		}
		return []Subject{s}, "", nil
	}
	prefix := []string{keySubject}
	switch {
	case f.OpeningState != "":
		area := f.District
		if area == "" {
			area = countAll
		}
		prefix = []string{keyOpening, f.OpeningState, area}
	case f.District != "":
		prefix = []string{keyArea, f.District}
	case f.Kind != "" && (f.OrgKind != "" || f.Kind == "PERSON"):
		prefix = []string{keyKind, f.Kind, f.OrgKind}
	}
	return projections.List(ctx, r, prefix, false, p, func(pair projections.Pair) (Subject, bool, error) {
		s, ok, err := SubjectOf(ctx, r, scope, projections.Tail(pair.Key), f.On)
		return s, ok && f.keeps(s), err
	})
}

// Figures are the counts of parties of a district, or of "city": by kind, level, opening state.
func Figures(ctx context.Context, r projections.Reader, district string) (projections.Counters, error) {
	return projections.Get[projections.Counters](ctx, r, projections.Key(keyCount, district))
}

// Sublets is how many homes or rooms a party sublets by contracts now in force (S-09).
func Sublets(ctx context.Context, r projections.Reader, party string) (int, error) {
	t, err := projections.Get[projections.Counters](ctx, r, projections.Key(keyTally, party))
	return int(t["sublets"]), err
}

// Practitioner is one person of a brokerage's roster (V-P2).
type Practitioner struct {
	Party       string            `json:"party"`
	Name        domain.Sealed     `json:"name,omitempty"`
	Brokerage   string            `json:"brokerage,omitempty"`
	From        domain.Day        `json:"from,omitzero"`
	Left        domain.Day        `json:"left,omitzero"`
	BannedUntil domain.Day        `json:"banned_until,omitzero"`
	Banned      bool              `json:"banned"`   // On the day asked.
	Deals90     int               `json:"deals_90"` // Contracts signed in the 90 days up to the day asked.
	Trail       projections.Trail `json:"trail"`
}

const dealsMax = 10_000 // One person signs fewer in 90 days.

// PractitionerOf reads one practitioner on a day.
func PractitionerOf(ctx context.Context, r projections.Reader, scope projections.Scope, id string, on domain.Day) (Practitioner, bool, error) {
	s, ok, err := SubjectOf(ctx, r, scope, id, on)
	if err != nil || !ok {
		return Practitioner{}, false, err
	}
	p := Practitioner{
		Party: id, Name: s.Name, Brokerage: s.Brokerage, From: s.RosteredFrom, Left: s.RosteredTo, BannedUntil: s.BannedUntil,
		Banned: on <= s.BannedUntil, Trail: s.Trail,
	}
	from, to := projections.Key(keyDeal, id, on.AddDays(-89).String()), projections.Key(keyDeal, id, on.AddDays(1).String())
	for _, err := range r.Scan(ctx, from, to, false) {
		if err != nil {
			return p, false, err
		}
		if p.Deals90++; p.Deals90 == dealsMax {
			break
		}
	}
	return p, true, nil
}

// Practitioners lists a brokerage's roster on a day.
func Practitioners(ctx context.Context, r projections.Reader, scope projections.Scope, brokerage string, on domain.Day, p projections.Page) ([]Practitioner, string, error) {
	if _, ok, err := SubjectOf(ctx, r, scope, brokerage, on); err != nil || !ok {
		return nil, "", err
	}
	inner := projections.Scope{All: true} // Who sees the brokerage sees its roster.
	return projections.List(ctx, r, []string{keyRoster, brokerage}, false, p, func(pair projections.Pair) (Practitioner, bool, error) {
		return PractitionerOf(ctx, r, inner, projections.Tail(pair.Key), on)
	})
}

// Mandator is a party that another may act for.
type Mandator struct {
	Party     string     `json:"party"`
	MandateID string     `json:"mandate_id"`
	Scope     []string   `json:"scope"`
	Units     []string   `json:"units,omitempty"`
	Until     domain.Day `json:"until"`
}

// Mandators lists for whom a party may act on a day.
func Mandators(ctx context.Context, r projections.Reader, scope projections.Scope, to string, on domain.Day, p projections.Page) ([]Mandator, string, error) {
	if !scope.All && scope.Party != to {
		return nil, "", nil
	}
	return projections.List(ctx, r, []string{keyMandate, to}, false, p, func(pair projections.Pair) (Mandator, bool, error) {
		parts := projections.Parts(pair.Key)
		from, id := parts[2], parts[3]
		s, err := projections.Get[Subject](ctx, r, projections.Key(keySubject, from))
		if err != nil {
			return Mandator{}, false, err
		}
		for _, m := range s.Mandates {
			if m.MandateID == id && m.To == to {
				return Mandator{Party: from, MandateID: id, Scope: m.Scope, Units: m.Units, Until: m.Until}, on <= m.Until, nil
			}
		}
		return Mandator{}, false, nil
	})
}
