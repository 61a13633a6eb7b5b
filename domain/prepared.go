package domain

import (
	"slices"
	"strings"
)

// prepared is what a rule set says of every day, worked out once. It changes only where a version begins or ends.
type prepared struct {
	rules []Rule // Which rule set: a policy given other rules is not prepared.
	days  []span // In order; none before the first rule.
}

// span is the rules in force from a day until the next span's.
type span struct {
	from   Day
	all    []*Rule
	byID   map[string]*Rule
	stages map[Stage]staged
}

// staged are the rules of a stage, and by path which of them read the fact there.
type staged struct {
	rules   []judged
	readers map[string]readers
}

// judged is a rule ready to be judged.
type judged struct {
	*Rule
	violated term
	pass     *RuleResult // Of whatever does not violate it.
}

// readers are the rules, by number, whose predicate reads the fact at a path, and those that read one there or below.
type readers struct{ here, within []int }

// reading are the rules that may read what stands at a path, or around or below it, by number.
func (s *staged) reading(path string) []int {
	some := s.readers[path].within
	for i := range len(path) {
		if path[i] == '.' {
			some = slices.Concat(some, s.readers[path[:i]].here)
		}
	}
	return some
}

// note adds that rule number i reads the fact at a path.
func (s *staged) note(i int, path string) {
	r := s.readers[path]
	r.here = append(r.here, i)
	s.readers[path] = r
	for end := len(path); end >= 0; end = strings.LastIndexByte(path[:end], '.') {
		r := s.readers[path[:end]]
		r.within = append(r.within, i)
		s.readers[path[:end]] = r
	}
}

// Prepared is the same policy, quick to ask: which version of which rule is in force, and judged at which stage, is
// worked out for all days. A policy that was not prepared, or was given other rules since, says the same and works it
// out at each question.
func (p Policy) Prepared() Policy {
	var turns []Day
	for i := range p.Rules {
		turns = append(turns, p.Rules[i].EffectiveFrom)
		if to := p.Rules[i].EffectiveTo; to != 0 {
			turns = append(turns, to+1)
		}
	}
	slices.Sort(turns)
	out := &prepared{rules: p.Rules}
	for _, from := range slices.Compact(turns) {
		s := span{from: from, all: p.workOut(from), byID: map[string]*Rule{}, stages: map[Stage]staged{}}
		for _, r := range s.all {
			s.byID[r.ID] = r
		}
		for _, stage := range allStages {
			s.stages[stage] = ofStage(s.all, stage)
		}
		out.days = append(out.days, s)
	}
	p.ready = out
	return p
}

// on is what is known of a day; ok is false of a policy that is not prepared.
func (p Policy) on(day Day) (s span, ok bool) {
	r := p.ready
	if r == nil || len(r.rules) != len(p.Rules) || len(r.rules) > 0 && &r.rules[0] != &p.Rules[0] {
		return span{}, false
	}
	i, exact := slices.BinarySearchFunc(r.days, day, func(s span, d Day) int { return int(s.from) - int(d) })
	switch {
	case exact:
		return r.days[i], true
	case i == 0:
		return span{}, true
	}
	return r.days[i-1], true
}

// inForce are the rules in force on a day, in the rule set's order. Nobody changes the list.
func (p Policy) inForce(on Day) []*Rule {
	if s, ok := p.on(on); ok {
		return s.all
	}
	return p.workOut(on)
}

// version is the version of a rule in force on a day, or nil.
func (p Policy) version(id string, on Day) *Rule {
	if s, ok := p.on(on); ok {
		return s.byID[id]
	}
	for _, r := range p.workOut(on) {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// atStage are those judged at a stage.
func (p Policy) atStage(stage Stage, on Day) staged {
	if s, ok := p.on(on); ok {
		return s.stages[stage]
	}
	return ofStage(p.workOut(on), stage)
}

func ofStage(rules []*Rule, stage Stage) staged {
	s := staged{readers: map[string]readers{}}
	for _, r := range rules {
		if !slices.Contains(r.Stages, stage) {
			continue
		}
		for _, path := range r.Predicate.Facts() {
			s.note(len(s.rules), path)
		}
		pass := &RuleResult{Rule: r.ID, Version: r.Version, Outcome: OutcomePass, Unconfirmed: r.Status == RuleUnconfirmed}
		s.rules = append(s.rules, judged{r, termOf(&r.Predicate, r.Params), pass})
	}
	return s
}
