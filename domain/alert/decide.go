package alert

import (
	"cmp"
	"reflect"
	"slices"

	"zujian/domain"
)

// Decider is the alert aggregate: one stream an indicator and subject, beside them the health scores and the rounds.
var Decider = domain.Decider[State, Command, Event]{Category: "alert", Decide: decide, Evolve: evolve}

// Rejections.
var (
	ErrNotFound = domain.Reject("alert.not_found", "no such alert, or no such episode of it")
	ErrVerdict  = domain.Reject("alert.invalid_verdict", "a verdict is TRUE, FALSE or UNCLEAR, with a note of 1 to 1000 characters")
	ErrRaised   = domain.Reject("alert.was_raised", "the indicator did warn on that day: judge its alert instead")
	ErrMiss     = domain.Reject("alert.invalid_miss", "a missed case names a day up to today, a subject of the indicator and a note of 1 to 1000 characters")
)

// State of one stream.
type State struct {
	Subject  Subject // Zero before the first event, and of rounds.
	Level    Level
	Since    [5]domain.Day // By level: since when it has been at it or beyond; 0 = it is not.
	Changed  domain.Day    // Day of the last change of level.
	Episodes []Episode     // Episodes[i] is number i+1.
	Missed   []Missed

	Scored *HealthScored // Of a health stream.
	Round  domain.Day    // Of a stream of rounds: the last one.
}

// Episode of an alert, from raised to cleared.
type Episode struct {
	From, To domain.Day // To is 0 while it lasts.
	Verdict  Verdict
	Note     string
}

// Beyond is since when the alert has been at a level or beyond it; 0 = it is not.
func (s State) Beyond(l Level) domain.Day { return s.Since[l] }

const noteMax = 1000

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	switch c := r.Command.(type) {
	case Evaluate:
		level, reason := judge(c.ClearPercent, c.Indicator, c.Figure, s.Level)
		if reason != "" {
			return nil, nil
		}
		i, e := c.Indicator, c.Evidence
		e.Value, e.Figure, e.ClearPercent = c.Figure.Value(), c.Figure, cmp.Or(i.Clear, c.ClearPercent)
		e.Norm, e.Up, e.Down = i.Norm, i.Up, i.Down
		return s.change(level, Raised{Subject: c.Subject, Indicator: i.ID, Dimension: i.Dimension, Day: c.Day, Evidence: e}), nil
	case Look:
		e := c.Evidence
		e.Signs = c.Signs
		return s.change(c.Watch.level(c.Day, c.Signs), Raised{Subject: c.Subject, Indicator: BlowUp, Dimension: "risk", Day: c.Day, Evidence: e}), nil
	case Score:
		if old := s.Scored; old != nil && (c.Day < old.Day || old.Book == c.Book && old.Score == c.Score &&
			reflect.DeepEqual(old.Parts, c.Parts) && slices.Equal(old.Missing, c.Missing)) {
			return nil, nil
		}
		return []Event{HealthScored(c)}, nil
	case CloseRound:
		if c.Round.Day <= s.Round {
			return nil, nil
		}
		return []Event{c.Round}, nil
	case Judge:
		return s.verdict(r, c)
	case ReportMiss:
		return s.miss(r, c)
	}
	panic("alert: unhandled command") // Sealed set: only a programming error gets here.
}

// change is what follows from a level on a day: nothing when it is the level before, or the day was decided already.
func (s State) change(level Level, first Raised) []Event {
	switch {
	case level == s.Level || first.Day <= s.Changed:
		return nil
	case s.Level == None:
		first.Episode, first.Level = len(s.Episodes)+1, level
		return []Event{first}
	case level == None:
		return []Event{Cleared{Episode: len(s.Episodes), From: s.Level, Day: first.Day, Evidence: first.Evidence}}
	}
	return []Event{LevelChanged{Episode: len(s.Episodes), From: s.Level, To: level, Day: first.Day, Evidence: first.Evidence}}
}

// level is RED when enough signs have held for the watch's days, this one included, and ORANGE when enough hold.
func (w Watch) level(day domain.Day, signs []Standing) Level {
	holds, long := 0, 0
	for _, s := range signs {
		if s.Since.IsZero() {
			continue
		}
		holds++
		if day-s.Since >= domain.Day(w.Days-1) {
			long++
		}
	}
	switch {
	case long >= w.Least:
		return Red
	case holds >= w.Least:
		return Orange
	}
	return None
}

func (s State) verdict(r domain.Request[Command], c Judge) ([]Event, error) {
	n := c.Episode
	if n == 0 {
		n = len(s.Episodes)
	}
	if n < 1 || n > len(s.Episodes) {
		return nil, ErrNotFound
	}
	if !slices.Contains([]Verdict{True, False, Unclear}, c.Verdict) || !noted(c.Note) {
		return nil, ErrVerdict
	}
	if e := s.Episodes[n-1]; e.Verdict == c.Verdict && e.Note == c.Note {
		return nil, nil
	}
	return []Event{Judged{Episode: n, Verdict: c.Verdict, On: r.Today(), By: r.Actor.ID, Note: c.Note}}, nil
}

func (s State) miss(r domain.Request[Command], c ReportMiss) ([]Event, error) {
	if c.On.IsZero() || c.On > r.Today() || !noted(c.Note) || !c.Indicator.Of(c.Subject.Kind) {
		return nil, ErrMiss
	}
	for _, e := range s.Episodes {
		if e.From <= c.On && (e.To.IsZero() || c.On < e.To) {
			return nil, ErrRaised.With("day", e.From.String())
		}
	}
	if slices.ContainsFunc(s.Missed, func(m Missed) bool { return m.On == c.On }) {
		return nil, nil
	}
	return []Event{Missed{
		Subject: c.Subject, Indicator: c.Indicator.ID, Dimension: c.Indicator.Dimension, On: c.On, By: r.Actor.ID, Note: c.Note,
	}}, nil
}

func noted(note string) bool {
	n := len([]rune(note))
	return n > 0 && n <= noteMax
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Raised:
		s.Subject = e.Subject
		s.Episodes = append(slices.Clip(s.Episodes), Episode{From: e.Day})
		return s.moved(e.Level, e.Day)
	case LevelChanged:
		return s.moved(e.To, e.Day)
	case Cleared:
		s.Episodes = slices.Clone(s.Episodes)
		if n := len(s.Episodes); n > 0 {
			s.Episodes[n-1].To = e.Day
		}
		return s.moved(None, e.Day)
	case Judged:
		s.Episodes = slices.Clone(s.Episodes)
		if e.Episode >= 1 && e.Episode <= len(s.Episodes) {
			s.Episodes[e.Episode-1].Verdict, s.Episodes[e.Episode-1].Note = e.Verdict, e.Note
		}
	case Missed:
		s.Subject = e.Subject
		s.Missed = append(slices.Clip(s.Missed), e)
	case HealthScored:
		s.Subject, s.Scored = e.Subject, &e
	case RoundDone:
		s.Round = e.Day
	}
	return s
}

// moved is the state at another level from a day on.
func (s State) moved(level Level, day domain.Day) State {
	for l := Blue; l <= Red; l++ {
		switch {
		case l > level:
			s.Since[l] = 0
		case s.Since[l].IsZero():
			s.Since[l] = day
		}
	}
	s.Level, s.Changed = level, day
	return s
}
