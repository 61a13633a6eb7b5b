package alert_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/alert"
	"zujian/domain/domaintest"
)

func edit[T any](v T, f func(*T)) T { f(&v); return v }

// coverage is an evaluation of the shortfall of an operator: num hundredths on a day of November.
func coverage(t *testing.T, day int, num int64) Evaluate {
	t.Helper()
	b, by := book(t)
	return Evaluate{
		Subject: Subject{Kind: Operator, ID: "o1", District: "320115"}, Indicator: by["SHORTFALL"], ClearPercent: b.ClearPercent,
		Day: domain.Date(2026, time.November, day), Figure: Figure{Num: num, Den: 100, N: 1},
		Evidence: Evidence{Book: b.Version, View: "money", ViewVersion: 3, Position: 17, Inputs: map[string]int64{"balance_fen": num}},
	}
}

// proof is the evidence that an evaluation leaves.
func proof(c Evaluate) Evidence {
	e := c.Evidence
	e.Value, e.Figure, e.ClearPercent = c.Figure.Num*100, c.Figure, 100
	e.Norm, e.Down = c.Indicator.Norm, c.Indicator.Down
	return e
}

func raised(c Evaluate, episode int, l Level) Raised {
	return Raised{Episode: episode, Subject: c.Subject, Indicator: "SHORTFALL", Dimension: "risk", Level: l, Day: c.Day, Evidence: proof(c)}
}

func TestDecide(t *testing.T) {
	ask := domain.Request[Command]{At: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC), Actor: domain.Actor{ID: "k1", Role: domain.RoleCity}}
	good, bad, worse := coverage(t, 20, 110), coverage(t, 20, 99), coverage(t, 21, 90)
	up := []Event{raised(bad, 1, Orange)}
	cleared := Cleared{Episode: 1, From: Orange, Day: domain.Date(2026, 11, 22), Evidence: proof(coverage(t, 22, 110))}
	over := append(up, cleared)
	verdict := Judge{Verdict: True, Note: "查实"}
	judged := Judged{Episode: 1, Verdict: True, On: domain.Date(2026, 11, 23), By: "k1", Note: "查实"}
	miss := ReportMiss{Subject: bad.Subject, Indicator: bad.Indicator, On: domain.Date(2026, 11, 1), Note: "投诉查实"}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "nothing to warn of", When: good},
		{Name: "raised with its evidence", When: bad, Then: up},
		{Name: "the same day again", Given: up, When: bad},
		{Name: "the same level the next day", Given: up, When: coverage(t, 21, 99)},
		{Name: "a second change on one day", Given: up, When: coverage(t, 20, 90)},
		{Name: "a day before the last change", Given: up, When: coverage(t, 19, 110)},
		{Name: "worse", Given: up, When: worse, Then: []Event{LevelChanged{Episode: 1, From: Orange, To: Red, Day: worse.Day, Evidence: proof(worse)}}},
		{
			Name: "milder", Given: up, When: coverage(t, 21, 101),
			Then: []Event{LevelChanged{Episode: 1, From: Orange, To: Yellow, Day: worse.Day, Evidence: proof(coverage(t, 21, 101))}},
		},
		{Name: "cleared", Given: up, When: coverage(t, 22, 110), Then: []Event{cleared}},
		{Name: "a second episode", Given: over, When: coverage(t, 23, 99), Then: []Event{raised(coverage(t, 23, 99), 2, Orange)}},
		{Name: "no base says nothing", Given: up, When: edit(worse, func(c *Evaluate) { c.Figure.Den = 0 })},
		{Name: "too few say nothing", Given: up, When: edit(worse, func(c *Evaluate) { c.Figure.N = 0 })},

		{Name: "a verdict", Given: up, When: verdict, Then: []Event{judged}},
		{Name: "of an episode that is over", Given: over, When: edit(verdict, func(c *Judge) { c.Episode = 1 }), Then: []Event{judged}},
		{Name: "the same verdict", Given: append(up, judged), When: verdict},
		{
			Name: "another verdict", Given: append(up, judged), When: Judge{Verdict: False, Note: "误报"},
			Then: []Event{edit(judged, func(j *Judged) { j.Verdict, j.Note = False, "误报" })},
		},
		{Name: "a verdict on nothing", When: verdict, Err: ErrNotFound},
		{Name: "on an episode to come", Given: up, When: edit(verdict, func(c *Judge) { c.Episode = 2 }), Err: ErrNotFound},
		{Name: "a verdict of another kind", Given: up, When: Judge{Verdict: "MAYBE", Note: "x"}, Err: ErrVerdict},
		{Name: "a verdict without a note", Given: up, When: Judge{Verdict: True}, Err: ErrVerdict},
		{Name: "a note too long", Given: up, When: Judge{Verdict: True, Note: strings.Repeat("长", 1001)}, Err: ErrVerdict},

		{Name: "a case missed", When: miss, Then: []Event{Missed{Subject: bad.Subject, Indicator: "SHORTFALL", Dimension: "risk", On: miss.On, By: "k1", Note: miss.Note}}},
		{Name: "missed before it was raised", Given: up, When: miss, Then: []Event{Missed{Subject: bad.Subject, Indicator: "SHORTFALL", Dimension: "risk", On: miss.On, By: "k1", Note: miss.Note}}},
		{Name: "missed while it was raised", Given: up, When: edit(miss, func(c *ReportMiss) { c.On = 0; c.On = domain.Date(2026, 11, 20) }), Err: ErrRaised},
		{Name: "missed in the future", When: edit(miss, func(c *ReportMiss) { c.On = domain.Date(2026, 11, 24) }), Err: ErrMiss},
		{Name: "missed of a subject it is not computed of", When: edit(miss, func(c *ReportMiss) { c.Subject.Kind = Street }), Err: ErrMiss},
	})
}

func TestWatch(t *testing.T) {
	b, _ := book(t)
	ask := domain.Request[Command]{At: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)}
	day := domain.Date(2026, 11, 23)
	look := func(since ...int) Look {
		c := Look{Subject: Subject{Kind: Operator, ID: "o1"}, Watch: b.Watch, Day: day, Evidence: Evidence{Book: "1", Exposure: &Exposure{Homes: 3}}}
		for n, d := range since {
			s := Standing{Sign: b.Watch.Signs[n].Name}
			if d > 0 {
				s.Since = domain.Date(2026, 11, d)
			}
			c.Signs = append(c.Signs, s)
		}
		return c
	}
	as := func(c Look, l Level) []Event {
		e := c.Evidence
		e.Signs = c.Signs
		return []Event{Raised{Episode: 1, Subject: c.Subject, Indicator: BlowUp, Dimension: "risk", Level: l, Day: day, Evidence: e}}
	}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "no sign", When: look(0, 0, 0)},
		{Name: "one sign for long", When: look(1, 0, 0)},
		{Name: "two for seven days", When: look(17, 0, 17), Then: as(look(17, 0, 17), Red)},
		{Name: "one of two for six days", When: look(17, 18, 0), Then: as(look(17, 18, 0), Orange)},
		{Name: "since today", When: look(23, 23, 0), Then: as(look(23, 23, 0), Orange)},
		{Name: "over", Given: []Event{edit(as(look(17, 17), Red)[0].(Raised), func(r *Raised) { r.Day = day - 1 })}, When: look(17, 0), Then: []Event{
			Cleared{Episode: 1, From: Red, Day: day, Evidence: edit(look().Evidence, func(e *Evidence) { e.Signs = look(17, 0).Signs })},
		}},
	})
}

func TestScoresAndRounds(t *testing.T) {
	ask := domain.Request[Command]{At: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)}
	day := domain.Date(2026, 11, 23)
	score := Score{Subject: Subject{Kind: City, ID: City}, Book: "1", Day: day, Score: 8000, Parts: []Part{{Dimension: "risk", Weight: 25, Score: 8000, Inputs: []Input{{"SHORTFALL", Blue, 80}}}}, Missing: []string{"price"}}
	first := HealthScored(score)
	done := RoundDone{Day: day, Book: "1", Judged: 3}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "a score", When: score, Then: []Event{first}},
		{Name: "the same the next day", Given: []Event{first}, When: edit(score, func(c *Score) { c.Day++ })},
		{Name: "the same of other inputs", Given: []Event{first}, When: edit(score, func(c *Score) { c.Missing = nil }), Then: []Event{edit(first, func(e *HealthScored) { e.Missing = nil })}},
		{Name: "a day before", Given: []Event{first}, When: edit(score, func(c *Score) { c.Day--; c.Score = 1 })},
		{Name: "a round", When: CloseRound{done}, Then: []Event{done}},
		{Name: "the same round", Given: []Event{done}, When: CloseRound{edit(done, func(r *RoundDone) { r.Judged = 4 })}},
	})
}

// TestLaws: whatever is evaluated in whatever order, a stream has at most one change a day, in order of days; episodes
// alternate with calm; Since never says more than the level; and evaluating all of it again writes nothing.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "n")
		var s State
		var given []Evaluate
		last, open := domain.Day(0), false
		for range n {
			c := coverage(t, rapid.IntRange(1, 28).Draw(rt, "day"), rapid.Int64Range(80, 120).Draw(rt, "coverage"))
			given = append(given, c)
			events, err := Decider.Decide(s, domain.Request[Command]{Command: c})
			if err != nil || len(events) > 1 {
				rt.Fatalf("%v %v", events, err)
			}
			for _, e := range events {
				if c.Day <= last {
					rt.Fatalf("%s changes after %s", c.Day, last)
				}
				_, raises := e.(Raised)
				_, clears := e.(Cleared)
				if raises && open || !raises && !open {
					rt.Fatalf("%T while open is %v", e, open)
				}
				last, open = c.Day, !clears
				s = Decider.Evolve(s, e)
			}
			for l := Blue; l <= Red; l++ {
				if s.Beyond(l).IsZero() != (s.Level < l) {
					rt.Fatalf("at %s, beyond %s since %s", s.Level, l, s.Beyond(l))
				}
			}
		}
		for _, c := range given {
			if c.Day > last {
				continue
			}
			if events, _ := Decider.Decide(s, domain.Request[Command]{Command: c}); len(events) > 0 {
				rt.Fatalf("again: %v", events)
			}
		}
	})
}

func TestGolden(t *testing.T) {
	day := domain.Date(2026, 3, 1)
	who := Subject{Kind: Operator, ID: "o1", District: "320115"}
	proof := Evidence{
		Value: 9000, Figure: Figure{Num: 9, Den: 10, N: 40, SE: 5}, Norm: 11000, Up: []int64{1, 2, 3, 4}, Down: []int64{4, 3, 2, 1}, ClearPercent: 80,
		Rule: "M-14", Book: "2026-1", From: day - 90, To: day, View: "money", ViewVersion: 3, Position: 17, Inputs: map[string]int64{"balance_fen": 9},
		Rows: "/v1/views/money/boards", Signs: []Standing{{Sign: "SHORTFALL", Since: day - 7, Alerts: []string{"SHORTFALL.operator.o1"}}},
		Exposure: &Exposure{Contracts: 1, Homes: 2, Tenants: 3, Owners: 4, DepositsFen: 5, PrepaidFen: 6, UnheldFen: 7, OwnersFen: 8, ShortfallFen: 9},
	}
	domaintest.Golden(t, Types, "testdata/events",
		Raised{Episode: 1, Subject: who, Indicator: "SHORTFALL", Dimension: "risk", Level: Orange, Day: day, Evidence: proof},
		LevelChanged{Episode: 1, From: Orange, To: Red, Day: day, Evidence: proof},
		Cleared{Episode: 1, From: Red, Day: day, Evidence: proof},
		HealthScored{
			Subject: Subject{Kind: Unit, ID: "320115", District: "320115"}, Book: "2026-1", Day: day, Score: 8000,
			Parts: []Part{{Dimension: "risk", Weight: 25, Score: 8000, Inputs: []Input{{Indicator: "SHORTFALL", Level: Blue, Score: 80}}}}, Missing: []string{"price"},
		})
}
