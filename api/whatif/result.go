package whatif

import (
	"cmp"
	"slices"
	"strings"

	"zujian/api/desk"
	"zujian/domain"
)

// Result is what a simulation says. Counts are of decisions unless they say otherwise; money is in fen.
type Result struct {
	Position uint64     `json:"position"` // Of the log: every event up to it was read, none after.
	Events   uint64     `json:"events"`
	City     string     `json:"city"`
	From     domain.Day `json:"from"` // Days of the decisions, both included.
	To       domain.Day `json:"to"`
	Rules    struct {
		Then Ruleset `json:"then"` // In force at the position.
		Now  Ruleset `json:"now"`
	} `json:"rules"`
	Changed        []RuleChange `json:"changed"`
	GuidanceSHA256 string       `json:"guidance_sha256,omitempty"`
	Ceiling        string       `json:"ceiling,omitempty"`
	Refused        Treatment    `json:"refused"`
	Assumptions    []Text       `json:"assumptions"`

	Decisions int         `json:"decisions"`
	Check     Check       `json:"check"`
	Effects   []EffectRow `json:"effects"`
	Subjects  int         `json:"subjects"` // Contracts, listings, ledgers, accounts, parties, units that any effect falls on.
	Parties   int         `json:"parties"`  // Lessors, publishers, operators behind them.
	ByRule    []RuleRow   `json:"by_rule"`
	ByKind    []HitRow    `json:"by_party_kind"`
	ByUnit    []HitRow    `json:"by_report_unit"`
	ByOwner   []HitRow    `json:"by_operator"`
	Cases     []Case      `json:"cases"` // In the log's order.
	CasesAll  int         `json:"cases_total"`

	Guidance *GuidanceEffect `json:"guidance,omitempty"`
	Index    IndexEffect     `json:"index"`
	Escrow   EscrowEffect    `json:"escrow"`
}

// Ruleset names a rule set. Version counts the city's approved changes from 1.
type Ruleset struct {
	Version int    `json:"version"`
	SHA256  string `json:"sha256"`
}

// Text is said in both languages.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Check is the simulation held against the log: decisions taken again under the rules of then, and how many of them come
// out as recorded, to the byte. One that does not was taken by another version of the product, or on facts that an event
// beside it overtook.
type Check struct {
	AsRecorded int      `json:"as_recorded"`
	Otherwise  int      `json:"otherwise"`
	Examples   []string `json:"examples,omitempty"` // stream@position
}

const examplesMax = 20

// EffectRow counts one effect on one kind of decision.
type EffectRow struct {
	Kind      string `json:"kind"`
	Effect    Effect `json:"effect"`
	Decisions int    `json:"decisions"`
	Subjects  int    `json:"subjects"`
}

// RuleRow counts what one rule said, under the rules of then and the changed ones.
type RuleRow struct {
	Rule string       `json:"rule"`
	Then OutcomeCount `json:"then"`
	Now  OutcomeCount `json:"now"`
}

// OutcomeCount counts judgements by outcome.
type OutcomeCount struct {
	Judged     int `json:"judged"`
	Reject     int `json:"reject,omitempty"`
	RequireDoc int `json:"require_doc,omitempty"`
	Hold       int `json:"hold,omitempty"`
	Route      int `json:"route,omitempty"`
	Alert      int `json:"alert,omitempty"`
	Annotate   int `json:"annotate,omitempty"`
	Unknown    int `json:"unknown,omitempty"`
}

func (c *OutcomeCount) add(o domain.Outcome) {
	c.Judged++
	switch o {
	case domain.OutcomeReject:
		c.Reject++
	case domain.OutcomeRequireDoc:
		c.RequireDoc++
	case domain.OutcomeHold:
		c.Hold++
	case domain.OutcomeRoute:
		c.Route++
	case domain.OutcomeAlert:
		c.Alert++
	case domain.OutcomeAnnotate:
		c.Annotate++
	case domain.OutcomeUnknown:
		c.Unknown++
	case domain.OutcomePass:
	}
}

// HitRow counts subjects by their gravest effect.
type HitRow struct {
	Key      string         `json:"key"`
	Subjects int            `json:"subjects"`
	Effects  map[Effect]int `json:"effects"`
}

// Case is one decision that would be otherwise.
type Case struct {
	Stream     string     `json:"stream"`
	Position   uint64     `json:"position"`
	Day        domain.Day `json:"day"`
	Kind       string     `json:"kind"`
	Effect     Effect     `json:"effect"`
	Rules      []string   `json:"rules,omitempty"`
	Party      string     `json:"party,omitempty"`
	PartyKind  string     `json:"party_kind,omitempty"`
	Operator   string     `json:"operator,omitempty"`
	ReportUnit string     `json:"report_unit,omitempty"`
	RentFen    domain.Fen `json:"rent_fen,omitzero"`
	CapFen     domain.Fen `json:"cap_fen,omitzero"` // Highest rent that would be allowed.
}

// totals are the counts so far.
type totals struct {
	effects  map[[2]string]*EffectRow
	counted  map[[3]string]bool // kind, effect, stream
	rules    map[string]*RuleRow
	subjects map[string]subject // By stream.
	parties  map[string]bool
}

// subject is the gravest effect on one stream and whom it concerns.
type subject struct {
	effect  Effect
	concern desk.Concern
}

func (t *totals) begin() {
	*t = totals{
		effects: map[[2]string]*EffectRow{}, counted: map[[3]string]bool{}, rules: map[string]*RuleRow{},
		subjects: map[string]subject{}, parties: map[string]bool{},
	}
}

// fold counts one decision.
func (s *Simulation) fold(d *desk.Decision, j judged) {
	s.res.Decisions++
	if j.differs {
		s.otherwise(d.Stream, d.Position)
	} else {
		s.res.Check.AsRecorded++
	}
	for _, side := range []struct {
		v  domain.Verdict
		to func(*RuleRow) *OutcomeCount
	}{{j.then.verdict, func(r *RuleRow) *OutcomeCount { return &r.Then }}, {j.now.verdict, func(r *RuleRow) *OutcomeCount { return &r.Now }}} {
		for _, res := range side.v {
			row := s.totals.rules[res.Rule]
			if row == nil {
				row = &RuleRow{Rule: res.Rule}
				s.totals.rules[res.Rule] = row
			}
			side.to(row).add(res.Outcome)
		}
	}
	s.priced(d, &j)
	s.money.decided(d, j)
	s.rents.decided(d, j)
	if j.effect != "" {
		s.hit(d, j)
	}
}

func (s *Simulation) hit(d *desk.Decision, j judged) {
	t := &s.totals
	row := t.effects[[2]string{d.Kind, string(j.effect)}]
	if row == nil {
		row = &EffectRow{Kind: d.Kind, Effect: j.effect}
		t.effects[[2]string{d.Kind, string(j.effect)}] = row
	}
	row.Decisions++
	if key := [3]string{d.Kind, string(j.effect), d.Stream}; !t.counted[key] {
		t.counted[key] = true
		row.Subjects++
	}
	if was, ok := t.subjects[d.Stream]; !ok || grave(j.effect) < grave(was.effect) {
		t.subjects[d.Stream] = subject{j.effect, d.Concern}
	}
	if d.Concern.Party != "" {
		t.parties[d.Concern.Party] = true
	}
	s.res.CasesAll++
	if len(s.res.Cases) < s.r.Cases {
		s.res.Cases = append(s.res.Cases, Case{
			Stream: d.Stream, Position: uint64(d.Position), Day: domain.DayOf(d.At), Kind: d.Kind, Effect: j.effect, Rules: j.because,
			Party: d.Concern.Party, PartyKind: d.Concern.PartyKind, Operator: d.Concern.Operator, ReportUnit: d.Concern.ReportUnit,
			RentFen: d.Rent, CapFen: j.cap,
		})
	}
}

func grave(e Effect) int { return slices.Index(Effects, e) }

// count makes the tables of what was counted, each in a fixed order.
func (s *Simulation) count() {
	t, res := &s.totals, s.res
	for _, row := range t.effects {
		res.Effects = append(res.Effects, *row)
	}
	slices.SortFunc(res.Effects, func(a, b EffectRow) int {
		return cmp.Or(grave(a.Effect)-grave(b.Effect), strings.Compare(a.Kind, b.Kind))
	})
	for _, row := range t.rules {
		res.ByRule = append(res.ByRule, *row)
	}
	slices.SortFunc(res.ByRule, func(a, b RuleRow) int { return strings.Compare(a.Rule, b.Rule) })
	res.Subjects, res.Parties = len(t.subjects), len(t.parties)
	res.ByKind = t.by(func(c desk.Concern) string { return c.PartyKind })
	res.ByUnit = t.by(func(c desk.Concern) string { return c.ReportUnit })
	res.ByOwner = t.by(func(c desk.Concern) string { return c.Operator })
	for _, list := range []*[]HitRow{&res.ByKind, &res.ByUnit, &res.ByOwner} {
		if *list == nil {
			*list = []HitRow{}
		}
	}
	if res.Cases == nil {
		res.Cases = []Case{}
	}
	if res.Effects == nil {
		res.Effects = []EffectRow{}
	}
}

// by counts subjects by what they concern; those that concern nothing of it are left out.
func (t *totals) by(key func(desk.Concern) string) (out []HitRow) {
	rows := map[string]*HitRow{}
	for _, x := range t.subjects { // Counts: the order does not matter.
		k := key(x.concern)
		if k == "" {
			continue
		}
		if rows[k] == nil {
			rows[k] = &HitRow{Key: k, Effects: map[Effect]int{}}
		}
		rows[k].Subjects++
		rows[k].Effects[x.effect]++
	}
	for _, row := range rows {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b HitRow) int { return cmp.Or(b.Subjects-a.Subjects, strings.Compare(a.Key, b.Key)) })
	return out
}

func assumptions(r Request) []Text {
	out := []Text{
		{
			"各项决定均按当时实际状态重新作出；当事人行为不变，一项变化不引起后续变化。",
			"Every decision is taken on the state as it really was; nobody acts otherwise, and one change brings no other.",
		},
		{
			"日志不含被拒绝的申请：放宽规则后新增的申请无从得知。",
			"The log holds no refused requests: who would come when a rule is loosened cannot be known.",
		},
		{
			"暂缓的备案视为经人工核查后通过，仍计入指数。",
			"A filing that would be held is taken to pass the officer, and stays in the index.",
		},
		{
			"监管资金按签订时的收款与划转计划计算；提前终止的合同当日退清。",
			"Supervised money is taken to be paid and passed on as planned at the signature; what ends early is paid out that day.",
		},
	}
	if r.Refused == Capped {
		return append(out, Text{
			"被拒绝的合同按规则允许的最高租金计入指数；任何租金均被拒绝的合同不计。",
			"A refused contract counts in the index at the highest rent that the rules allow; one refused at any rent is left out.",
		})
	}
	return append(out, Text{"被拒绝的合同不计入指数。", "A refused contract is left out of the index."})
}
