package contract_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"zujian/domain"
	. "zujian/domain/contract"
)

// 2026-11-23 10:00 in Shanghai.
var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func day(s string) domain.Day {
	d, err := domain.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

// testPolicy is a small rule set in the format of the shipped one.
func testPolicy(t testing.TB) domain.Policy {
	t.Helper()
	b, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var rules []domain.Rule
	if err := json.Unmarshal(b, &rules); err != nil {
		t.Fatal(err)
	}
	return domain.Policy{Version: 1, Rules: rules}
}

func as(party string) domain.Actor {
	return domain.Actor{ID: "key-" + party, Role: domain.RoleLandlord, Party: party}
}

var (
	district = domain.Actor{ID: "key-district", Role: domain.RoleDistrict, Area: "320115"}
	city     = domain.Actor{ID: "key-city", Role: domain.RoleCity}
)

func base(t testing.TB) domain.Request[Command] {
	return domain.Request[Command]{At: now, Actor: as("owner"), Policy: testPolicy(t)}
}

func intp(n int) *int                    { return &n }
func fenp(n domain.Fen) *domain.Fen      { return &n }
func sha(digit string) string            { return strings.Repeat(digit, 64) }
func person(id string) PartyFacts        { return PartyFacts{ID: id, Kind: "PERSON", Level: 2} }
func edit[T any](v T, f func(*T)) T      { f(&v); return v }
func with(g []Event, e ...Event) []Event { return append(append([]Event{}, g...), e...) }

// ordinary is the contract of the main path: an owner lets a two-room flat to one tenant for a year.
func ordinary() Terms {
	return Terms{
		Kind: KindOut, Unit: "u1", LetMode: LetWhole, Use: "RESIDENTIAL",
		Lessors: []PartyShare{{Party: "owner"}}, Lessees: []PartyShare{{Party: "tenant"}},
		Start: day("2026-12-01"), End: day("2027-11-30"), SignedOn: day("2026-11-23"),
		MonthlyRentFen: 350000, PayCycleMonths: 3, DepositFen: 350000, DepositReturnDays: intp(7),
		DeductionGrounds: []string{"ARREARS", "DAMAGE"}, Escrow: Escrow{Mode: EscrowVoluntary},
	}
}

func subject() Subject {
	return Subject{
		Unit: UnitFacts{
			ID: "u1", Building: "b1", ReportUnit: "320115", Street: "320115004", AdminCode: "320115", GrossAreaC: 8912,
			Bedrooms: 2, Floor: 12, Floors: 18, BuiltYear: 2015, MetroM: 700, PlannedUse: "RESIDENTIAL",
			Owners: []Owner{{Party: "owner", ShareBP: 10_000}},
		},
		Parties: []PartyFacts{person("owner"), person("tenant")},
	}
}

// rooms is the same flat with rooms and a kitchen.
func rooms() Subject {
	return edit(subject(), func(s *Subject) {
		s.Unit.Rooms = []RoomFacts{
			{ID: "r1", Kind: "BEDROOM", Origin: "DESIGNED", UsableAreaC: 1500},
			{ID: "r2", Kind: "BEDROOM", Origin: "DESIGNED", UsableAreaC: 1200},
		}
	})
}

// sublet is operator → tenant under the head lease "h1".
func sublet() (Terms, Subject) {
	t := edit(ordinary(), func(t *Terms) {
		t.Parent, t.Lessors = "h1", []PartyShare{{Party: "operator", Capacity: CapacitySublessor}}
	})
	s := edit(subject(), func(s *Subject) {
		s.Parties = []PartyFacts{{ID: "operator", Kind: "ORG", OrgKind: "SUBLEASE_OPERATOR", Level: 2, OpeningReported: true}, person("tenant")}
		s.Parent = &ParentFacts{
			ID: "h1", Exists: true, Filed: true, Unit: "u1", Lessees: []string{"operator"}, Start: day("2026-01-01"),
			End: day("2028-12-31"), MonthlyRentFen: 300000, SubleaseConsent: true, ChainDepth: 1,
		}
	})
	return t, s
}

// history decides commands one after another and returns every event; any refusal fails the test.
type history struct {
	t      testing.TB
	policy domain.Policy
	state  State
	events []Event
}

func begin(t testing.TB) *history { return &history{t: t, policy: testPolicy(t)} }

func (h *history) do(at time.Time, actor domain.Actor, commands ...Command) *history {
	h.t.Helper()
	for _, c := range commands {
		got, err := Decider.Decide(h.state, domain.Request[Command]{At: at, Actor: actor, Policy: h.policy, Command: c})
		if err != nil {
			h.t.Fatalf("%T: %v", c, err)
		}
		h.events = append(h.events, got...)
		h.state = Decider.Fold(h.state, got...)
	}
	return h
}

func (h *history) last() Event { return h.events[len(h.events)-1] }

func drafted(t testing.TB, terms Terms, s Subject) *history {
	return begin(t).do(now, as("owner"), Draft{Terms: terms, Subject: s, GuidanceVersion: "2026Q3/1"})
}

func signed(t testing.TB, terms Terms, s Subject) *history {
	h := drafted(t, terms, s)
	for _, p := range h.state.Parties() {
		h.do(now, as(p), Sign{Party: p, ContentHash: h.state.ContentHash, GuidanceVersion: "2026Q3/1"})
	}
	return h
}

const filingNo = "BA32011526110000019"

func number(body string) string {
	c, _ := domain.CheckChar37(body)
	return body + string(c)
}

var validNo = number(filingNo[:18])

func filed(t testing.TB, terms Terms, s Subject) *history {
	h := signed(t, terms, s)
	return h.do(now, as(terms.Lessors[0].Party), File{Number: validNo, ByRole: ByLessor, By: terms.Lessors[0].Party})
}
