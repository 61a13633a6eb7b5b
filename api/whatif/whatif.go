// Package whatif simulates: it replays a period of the log under a changed rule set (监管规则) or changed guidance prices
// (指导价格) and says what would have been decided otherwise, who would be hit, and what it does to the rent index and to
// supervised money. It writes nothing. The API and `zujian simulate` call it.
//
// # Decisions
//
// A decision is taken again, not imitated: the events of one command tell the command (Asked in each aggregate), the desk's
// own code gathers the facts as they stood right before them ([desk.Past]), and the aggregate decides, once under the rule
// set known at that moment and once under the changed one. What differs between the two answers is the effect of the
// change and of nothing else. The first answer is also held against what was recorded: Check counts how many decisions the
// program of today takes as they were taken then, and names those it does not.
//
// There is no behavioural response and no chain: every decision is taken on the state as it really was. A contract refused
// at its draft is counted once, by its gravest effect, however many of its later decisions would fall too.
//
// What was refused then left nothing in the log, so a looser rule shows who is held or warned no longer, never who would
// have come through the door.
//
// The result has no clock and no map order in it: the same log up to the same position, rules, table, period and program
// give the same bytes, in whatever batches and on however many cores.
package whatif

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/guidance"
	"zujian/domain/ruleset"
	"zujian/eventstore"
	"zujian/projections/rentindex"
)

// Options are what a simulation runs on.
type Options struct {
	Desk      *desk.Desk
	Store     eventstore.Store
	Catalogue domain.Catalogue
	Index     rentindex.Projection

	States  int                      // Folded states kept in memory; 0 = 20,000.
	Batch   int                      // Decisions taken at once; 0 = 256.
	Workers int                      // Goroutines that decide; 0 = one a core.
	Step    func(done, total uint64) // Progress in events; may be nil. Called from one goroutine.
}

// Request is what is asked.
type Request struct {
	Change   *Change    // nil = the rule set that was in force: nothing changes, which checks the simulation itself.
	Guidance *Table     // nil = the prices that were in force.
	From, To domain.Day // Days of the decisions, both included. Zero = as far as the log goes.
	Refused  Treatment  // Of refused contracts in the index; "" = Out.
	Ceiling  string     // Of a changed table: filed rents above its "p75" or "p90" are hit. "" = none is set.
	Cases    int        // Most cases the result lists; 0 = 1,000.
}

// Treatment is what the index does with a contract that would be refused.
type Treatment string

// Treatments.
const (
	Out    Treatment = "out"    // It is left out.
	Capped Treatment = "capped" // It is let at the highest rent at which no rule refuses it; left out where no rent helps.
)

const (
	statesDefault = 20_000
	batchDefault  = 256
	casesDefault  = 1000
	casesMax      = 100_000
	stepEvery     = 512 // Events between two words of progress.
)

// Run goes through the log up to where it ended when the simulation began. It is called once. Rejection: ErrPeriod.
func (s *Simulation) Run(ctx context.Context) (*Result, error) {
	if err := s.replay(ctx); err != nil {
		return nil, err
	}
	if s.res.Decisions == 0 {
		return nil, ErrPeriod.With("problem", fmt.Sprintf("rules decided nothing from %s to %s", s.r.From, s.r.To))
	}
	if err := s.finish(ctx); err != nil {
		return nil, err
	}
	return s.res, nil
}

// Simulation is one that was found to make sense and has not run yet.
type Simulation struct {
	o    Options
	r    Request
	head eventstore.Head
	past *desk.Past
	last domain.Day // Of the log.

	approved ruleset.State
	policies map[int]policies // By version of the rule set.

	batch  []item
	totals totals
	money  money
	rents  rents
	res    *Result
}

// policies are the rule set of one version, as it was and changed.
type policies struct{ then, now domain.Policy }

// item is a decision to take again, or something to take note of in its order.
type item struct {
	decision *desk.Decision
	policies policies
	note     func()
	judged   judged
}

// Begin looks at what is asked before any long work. Rejections: ErrRules, ErrPeriod, ErrOption.
func Begin(ctx context.Context, o Options, r Request) (*Simulation, error) {
	if o.States <= 0 {
		o.States = statesDefault
	}
	if o.Batch <= 0 {
		o.Batch = batchDefault
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if r.Cases == 0 {
		r.Cases = casesDefault
	}
	if r.Refused == "" {
		r.Refused = Out
	}
	switch {
	case r.Refused != Out && r.Refused != Capped:
		return nil, ErrOption.At("/refused").With("problem", fmt.Sprintf("%q is neither out nor capped", r.Refused))
	case r.Ceiling != "" && r.Ceiling != CeilingP75 && r.Ceiling != CeilingP90:
		return nil, ErrOption.At("/ceiling").With("problem", fmt.Sprintf("%q is neither p75 nor p90", r.Ceiling))
	case r.Ceiling != "" && r.Guidance == nil:
		return nil, ErrOption.At("/ceiling").With("problem", "a ceiling is one of a table of guidance prices, and none is given")
	case r.Cases < 0 || r.Cases > casesMax:
		return nil, ErrOption.At("/cases").With("problem", fmt.Sprintf("cases are 0 to %d", casesMax))
	}
	s := &Simulation{o: o, r: r, policies: map[int]policies{}}
	var err error
	if s.head, err = o.Store.Head(ctx); err != nil {
		return nil, err
	}
	if err := s.period(ctx); err != nil {
		return nil, err
	}
	if s.approved, _, err = o.Desk.Ruleset(ctx); err != nil {
		return nil, err
	}
	s.past = o.Desk.Past(o.Store, o.States)
	if r.Guidance != nil {
		from := r.Guidance.EffectiveFrom
		if from == 0 {
			from = s.r.From
		}
		s.past.Prices(guidance.Version{Cells: r.Guidance.Cells}.Book(), from)
	}
	s.totals.begin()
	s.money.begin()
	s.rents.begin()
	return s, s.announce()
}

// period sets the days of the decisions.
func (s *Simulation) period(ctx context.Context) error {
	first := domain.Day(0)
	for rec, err := range s.o.Store.All(ctx, 0) {
		if err != nil {
			return err
		}
		first = domain.DayOf(rec.StoredAt)
		break
	}
	for rec, err := range s.o.Store.AllBack(ctx, s.head.Position) {
		if err != nil {
			return err
		}
		s.last = domain.DayOf(rec.StoredAt)
		break
	}
	if s.r.From == 0 {
		s.r.From = first
	}
	switch {
	case s.head.Events == 0:
		return ErrPeriod.With("problem", "the log is empty")
	case s.r.To != 0 && s.r.From > s.r.To:
		return ErrPeriod.At("/from").With("problem", fmt.Sprintf("it begins on %s, after its end on %s", s.r.From, s.r.To))
	case s.r.From > s.last:
		return ErrPeriod.At("/from").With("problem", fmt.Sprintf("it lies in the future: the log ends on %s", s.last))
	case s.r.To == 0 || s.r.To > s.last:
		s.r.To = s.last
	}
	if s.r.To < first {
		return ErrPeriod.At("/to").With("problem", fmt.Sprintf("the log begins on %s", first))
	}
	s.r.From = max(s.r.From, first)
	return nil
}

// announce says in the result what is simulated, and refuses a change that can't be judged.
func (s *Simulation) announce() error {
	then := ruleset.Policy(s.o.Desk.Shipped(), s.approved)
	now, err := s.changed(then, true)
	if err != nil {
		return err
	}
	s.policies[then.Version] = policies{then, now}
	s.res = &Result{
		Position: uint64(s.head.Position), Events: s.head.Events, City: s.o.Desk.City().ID, From: s.r.From, To: s.r.To, Refused: s.r.Refused,
		Ceiling: s.r.Ceiling, Changed: differences(then, now), Assumptions: assumptions(s.r),
	}
	s.res.Rules.Then.Version, s.res.Rules.Now.Version = then.Version, then.Version
	if s.res.Rules.Then.SHA256, err = rulesHash(then); err != nil {
		return err
	}
	s.res.Rules.Now.SHA256, err = rulesHash(now)
	if s.r.Guidance != nil {
		s.res.GuidanceSHA256 = s.r.Guidance.hash
	}
	return err
}

func (s *Simulation) changed(then domain.Policy, complete bool) (domain.Policy, error) {
	if s.r.Change == nil {
		return then, nil
	}
	return s.r.Change.Apply(then, complete)
}

// ruleset is the rule set of one version, as it was and changed.
func (s *Simulation) ruleset(version int) (policies, error) {
	if p, ok := s.policies[version]; ok {
		return p, nil
	}
	state := s.approved
	if n := version - 1; n >= 0 && n < len(state.Approved) {
		state.Approved = state.Approved[:n]
	}
	p := policies{then: ruleset.Policy(s.o.Desk.Shipped(), state)}
	var err error
	if p.now, err = s.changed(p.then, false); err != nil {
		return p, fmt.Errorf("rule set %d: %w", version, err)
	}
	s.policies[version] = p
	return p, nil
}

// finish makes the tables, the days and the series.
func (s *Simulation) finish(ctx context.Context) error {
	s.count()
	s.escrow()
	return s.index(ctx)
}

// replay goes through the log once, command by command.
func (s *Simulation) replay(ctx context.Context) error {
	var group []eventstore.Recorded
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		err := s.command(ctx, group)
		group = group[:0]
		return err
	}
	n := uint64(0)
	for rec, err := range s.o.Store.All(ctx, 0) {
		if err != nil {
			return err
		}
		if rec.Position > s.head.Position {
			break
		}
		if k := len(group); k > 0 && (group[k-1].Stream != rec.Stream || group[k-1].Meta.Command != rec.Meta.Command || rec.Meta.Outside) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, rec)
		if n++; n%stepEvery == 0 && s.o.Step != nil {
			s.o.Step(n, s.head.Events)
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if err := s.decide(ctx); err != nil {
		return err
	}
	if s.o.Step != nil {
		s.o.Step(s.head.Events, s.head.Events)
	}
	return nil
}

// command looks at the events of one command and goes on past them.
func (s *Simulation) command(ctx context.Context, group []eventstore.Recorded) error {
	if day := domain.DayOf(group[0].Meta.At); !group[0].Meta.Outside && day >= s.r.From && day <= s.r.To {
		d, err := s.past.Decision(ctx, group)
		if err != nil {
			return err
		}
		if d != nil {
			p, err := s.ruleset(d.Policy)
			if err != nil {
				return err
			}
			s.batch = append(s.batch, item{decision: d, policies: p})
		}
	}
	for _, rec := range group {
		note, err := s.notice(rec)
		if err != nil {
			return err
		}
		if note != nil {
			s.batch = append(s.batch, item{note: note})
		}
	}
	if err := s.past.Move(group...); err != nil {
		return err
	}
	if len(s.batch) >= s.o.Batch {
		return s.decide(ctx)
	}
	return nil
}

// decide takes the decisions of the batch again, on every core, and folds them in the log's order.
func (s *Simulation) decide(ctx context.Context) error {
	var workers sync.WaitGroup
	share := max((len(s.batch)+s.o.Workers-1)/s.o.Workers, 1)
	for part := range slices.Chunk(s.batch, share) {
		workers.Go(func() {
			for i := range part {
				if part[i].decision != nil && ctx.Err() == nil {
					part[i].judged = judge(part[i].decision, part[i].policies, s.r)
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, x := range s.batch {
		if x.note != nil {
			x.note()
			continue
		}
		s.fold(x.decision, x.judged)
	}
	s.batch = s.batch[:0]
	return nil
}

func example(stream string, at eventstore.Position) string { return fmt.Sprintf("%s@%d", stream, at) }
