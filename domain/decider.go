package domain

import "time"

// Event is a fact that happened. Its type name is part of the storage format and never changes.
type Event interface{ EventType() string }

// Request is a command plus everything else a decision may know: who asks, when, under which policy.
// It is plain data, so deciding again from the log gives the same events.
type Request[C any] struct {
	ID      string    // Command id (幂等键); event ids derive from it.
	At      time.Time // Decision time, UTC, whole microseconds, taken once at the edge.
	Actor   Actor
	Policy  Policy // The rule set (监管规则集) known at At.
	Command C
}

// Today is the civil date of the decision in Asia/Shanghai.
func (r Request[C]) Today() Day { return DayOf(r.At) }

// Actor is the person or system that asks.
type Actor struct {
	ID    string // API key id or "process:<name>".
	Role  Role
	Party string // The party it acts as; "" for regulators and processes.
	Area  string // District code of a district regulator; "" otherwise.
}

// Role is what an actor may do (角色).
type Role string

// Roles. SYSTEM is a process of ours; PUBLIC has no key.
const (
	RoleLandlord Role = "landlord"
	RoleTenant   Role = "tenant"
	RoleCompany  Role = "company"  // 住房租赁企业
	RoleBroker   Role = "broker"   // 经纪机构
	RoleBank     Role = "bank"     // 监管银行
	RolePartner  Role = "partner"  // 登记、公安等部门接口
	RoleDistrict Role = "district" // 区级主管部门
	RoleCity     Role = "city"     // 市级主管部门
	RoleAuditor  Role = "auditor"
	RolePublic   Role = "public"
	RoleSystem   Role = "system"
)

// Decider is the whole behaviour of one aggregate. Both functions are pure and deterministic.
type Decider[S, C any, E Event] struct {
	Category string                           // First part of the stream name: "contract". No hyphen in it.
	Decide   func(S, Request[C]) ([]E, error) // nil, nil means "already so": nothing is written.
	Evolve   func(S, E) S                     // Total: a recorded fact is never refused. It must not change its argument.
}

// Fold replays events over s. The zero S is the state before any event.
func (d Decider[S, C, E]) Fold(s S, events ...E) S {
	for _, e := range events {
		s = d.Evolve(s, e)
	}
	return s
}
