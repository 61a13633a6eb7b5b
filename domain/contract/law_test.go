package contract_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/contract"
	"zujian/domain/domaintest"
	"zujian/domain/ruleset"
)

// anyCommand is one of everything, near enough to the history to be accepted often.
func anyCommand(r *rapid.T, s State) Command {
	parties := []string{"owner", "tenant", "second", "x"}
	party := rapid.SampledFrom(parties).Draw(r, "party")
	hash := rapid.SampledFrom([]string{s.ContentHash, s.DraftHash, "wrong"}).Draw(r, "hash")
	when := day("2026-11-23") + domain.Day(rapid.IntRange(-40, 420).Draw(r, "days"))
	id := fmt.Sprintf("id%d", rapid.IntRange(0, 3).Draw(r, "id"))
	terms, facts := ordinary(), subject()
	terms.MonthlyRentFen += domain.Fen(rapid.IntRange(0, 2).Draw(r, "rent"))
	if rapid.Bool().Draw(r, "two lessees") {
		terms.Lessees = append(terms.Lessees, PartyShare{Party: "second"})
	}
	facts.Parties = append(facts.Parties, person("second"))
	if rapid.IntRange(0, 3).Draw(r, "objection") == 0 {
		facts.Unit.Flags = []string{"OBJECTION"}
	}
	amendmentHash := "wrong"
	if s.Amendment != nil {
		amendmentHash, id = s.Amendment.Hash, rapid.SampledFrom([]string{id, s.Amendment.ID}).Draw(r, "amendment")
	}
	changes := Changes{MonthlyRentFen: fenp(domain.Fen(rapid.Int64Range(-1, 500000).Draw(r, "new rent"))), End: when}
	return rapid.SampledFrom([]Command{
		Draft{Terms: terms, Subject: facts},
		AbandonDraft{},
		Decline{Party: party},
		Sign{Party: party, ContentHash: hash},
		Sign{Party: "owner", ContentHash: s.DraftHash},
		Sign{Party: "tenant", ContentHash: s.DraftHash},
		Sign{Party: party, ContentHash: hash, Method: MethodESign, Evidence: sha("a")},
		Sign{Party: party, ContentHash: hash, Method: MethodMandate},
		RecordPaper{ScanSHA256: sha("b"), ContentHash: hash, ByRole: ByCounter},
		RecordPaper{ScanSHA256: sha("b"), ContentHash: hash, ByRole: ByLessee, By: party},
		File{Number: validNo, ByRole: ByLessor, By: party},
		File{Number: validNo, ByRole: ByCounter},
		File{Number: "bad", ByRole: ByCounter},
		DecideFiling{Accept: true},
		DecideFiling{Reason: "no"},
		ProposeAmendment{AmendmentID: id, Changes: changes, EffectiveFrom: when},
		SignAmendment{AmendmentID: id, Party: party, Hash: amendmentHash},
		ApplyAmendment{AmendmentID: id},
		AddOccupant{Occupant: Occupant{ID: id, Party: party}},
		RemoveOccupant{OccupantID: id, On: when},
		GiveNotice{By: SideLessor, Party: party, Ground: "G", NoticeDate: when, VacateBy: when + 20},
		Terminate{By: SideLessor, Party: party, Ground: "G", On: when},
		Terminate{By: Agreed, Party: party, On: when},
		Terminate{By: Court, DecisionNo: "1", On: when},
		Expire{},
		Renew{NewContract: id},
		CancelFiling{Reason: "R", DecisionNo: id},
		ApproveCancellation{DecisionNo: id},
		RejectCancellation{DecisionNo: id},
		MarkUpstreamEnded{Head: id},
		Annul{Reason: "R"},
		RecordLegacy{Source: LegacySource{Name: id, Row: 1}, Observation: domain.Observation{RentFen: 1}},
	}).Draw(r, "command")
}

func TestLaws(t *testing.T) {
	policy := testPolicy(t)
	rapid.Check(t, func(r *rapid.T) {
		var s State
		var events []Event
		at, call := now, new(OneCall).Decider()
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 20*24).Draw(r, "hours")) * time.Hour)
			c := anyCommand(r, s)
			actor := rapid.SampledFrom([]domain.Actor{as("owner"), as("tenant"), as("second"), district, city}).Draw(r, "actor")
			req := domain.Request[Command]{At: at, Actor: actor, Policy: policy, Command: c}
			got, err := Decider.Decide(s, req)
			sameAnswer(r, call, s, req, got, err)
			if err != nil {
				continue
			}
			before := s
			s = Decider.Fold(s, got...)
			Decider.Fold(before, elsewhere...) // Another history from the same state must not reach into this one.
			events = append(events, got...)
			checkStep(r, before, got, s)
			if again, err := Decider.Decide(s, req); err != nil || len(again) > 0 {
				r.Fatalf("%T again: %v, %v", c, again, err)
			}
		}
		cut := rapid.IntRange(0, len(events)).Draw(r, "cut")
		pieces := Decider.Fold(Decider.Fold(State{}, events[:cut]...), events[cut:]...)
		if diff := cmp.Diff(pieces, s); diff != "" {
			r.Fatalf("folded in pieces:\n%s", diff)
		}
	})
}

var elsewhere = []Event{
	SignedByParty{Party: "elsewhere"},
	OccupantAdded{Occupant: Occupant{ID: "elsewhere"}},
	OccupantRemoved{OccupantID: "elsewhere"},
	TerminationAgreed{Party: "elsewhere"},
	AmendmentProposed{AmendmentID: "elsewhere"},
	AmendmentSigned{AmendmentID: "elsewhere", Party: "elsewhere"},
	Amended{AmendmentID: "elsewhere"},
}

// checkStep holds every step to what must never happen.
func checkStep(r *rapid.T, before State, got []Event, after State) {
	for _, e := range got {
		switch e := e.(type) {
		case Filed:
			if before.Origin == "" && !bound(before) {
				r.Fatalf("filed what not all had signed: %+v", before)
			}
			if e.ContentHash != Hash(before.Terms) {
				r.Fatalf("filed other content than the terms")
			}
		case Amended:
			open := before.Amendment
			for _, p := range before.Parties() {
				if !slices.Contains(open.Signed, p) && !slices.ContainsFunc(got, func(x Event) bool {
					return cmp.Equal(x, Event(AmendmentSigned{AmendmentID: open.ID, Party: p, Hash: open.Hash}))
				}) {
					r.Fatalf("amended without %s", p)
				}
			}
			continue
		case Drafted:
			if before.Stage != StageNone {
				r.Fatal("drafted twice")
			}
			continue
		case LegacyRecorded:
			continue
		}
		if len(got) == 1 && !cmp.Equal(before.Terms, after.Terms) {
			r.Fatalf("%T changed the terms", e)
		}
	}
	if after.Origin == "" && after.Stage != StageNone && after.ContentHash != Hash(after.Terms) {
		r.Fatal("the terms do not hash to the content hash")
	}
	for i, o := range after.Observations {
		if i > 0 && o.From <= after.Observations[i-1].From {
			r.Fatalf("segments out of order: %+v", after.Observations)
		}
	}
}

// bound is true when every party signed what was drafted, or it was signed on paper.
func bound(s State) bool { return len(s.Unsigned()) == 0 || s.Paper.ScanSHA256 != "" }

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }

// TestRubbishIsRefused: no terms, facts or command make a decision panic, and what is accepted folds and hashes.
func TestRubbishIsRefused(t *testing.T) {
	policy := ruleset.Shipped()
	commands := []*rapid.Generator[Command]{
		rapid.Custom(func(r *rapid.T) Command { return rapid.Make[Draft]().Draw(r, "draft") }),
		rapid.Custom(func(r *rapid.T) Command { return rapid.Make[ProposeAmendment]().Draw(r, "amendment") }),
		rapid.Custom(func(r *rapid.T) Command { return rapid.Make[AddOccupant]().Draw(r, "occupant") }),
		rapid.Custom(func(r *rapid.T) Command { return rapid.Make[GiveNotice]().Draw(r, "notice") }),
		rapid.Custom(func(r *rapid.T) Command { return rapid.Make[Terminate]().Draw(r, "end") }),
		rapid.Custom(func(r *rapid.T) Command { return rapid.Make[RecordLegacy]().Draw(r, "legacy") }),
		rapid.Custom(func(r *rapid.T) Command { // Ordinary terms, then one part of them rubbish.
			c := Draft{Terms: ordinary(), Subject: rooms()}
			switch rapid.IntRange(0, 6).Draw(r, "part") {
			case 0:
				c.Terms.Start, c.Terms.End = domain.Day(rapid.Int32().Draw(r, "start")), domain.Day(rapid.Int32().Draw(r, "end"))
			case 1:
				c.Terms.MonthlyRentFen = domain.Fen(rapid.Int64().Draw(r, "rent"))
			case 2:
				c.Terms.Fees, c.Terms.Loan = rapid.Make[[]Fee]().Draw(r, "fees"), rapid.Make[*Loan]().Draw(r, "loan")
			case 3:
				c.Terms.Occupants = rapid.Make[[]Occupant]().Draw(r, "occupants")
			case 4:
				c.Terms.Parent, c.Subject.Parent = "h", rapid.Make[*ParentFacts]().Draw(r, "parent")
			case 5:
				c.Subject.Project = rapid.Make[*ProjectFacts]().Draw(r, "project")
			default:
				c.Terms.SignedOn = domain.Day(rapid.Int32().Draw(r, "signed on"))
			}
			return c
		}),
	}
	running := filed(t, ordinary(), subject()).state
	rapid.Check(t, func(r *rapid.T) {
		s := rapid.SampledFrom([]State{{}, running}).Draw(r, "state")
		c := rapid.OneOf(commands...).Draw(r, "command")
		got, err := Decider.Decide(s, domain.Request[Command]{At: now, Actor: as("owner"), Policy: policy, Command: c})
		var no *domain.Rejection
		if err != nil && !errors.As(err, &no) {
			r.Fatalf("%T: %v is no rejection", c, err)
		}
		Decider.Fold(s, got...)
	})
}

// TestNobodyLivesInNegativeNumbers: a count of the others below zero divides nothing by zero. Random commands found it.
func TestNobodyLivesInNegativeNumbers(t *testing.T) {
	fresh := subject()
	fresh.Unit.OtherHeads = -1
	s := filed(t, ordinary(), subject()).state
	cmd := AddOccupant{Occupant: Occupant{ID: "A", Name: "A"}, Refreshed: &fresh}
	if _, err := Decider.Decide(s, domain.Request[Command]{At: now, Actor: as("owner"), Policy: ruleset.Shipped(), Command: cmd}); err != nil {
		t.Error(err)
	}
}
