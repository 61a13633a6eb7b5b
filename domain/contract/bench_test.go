package contract_test

import (
	"testing"

	"zujian/domain"
	. "zujian/domain/contract"
	"zujian/domain/ruleset"
)

// BenchmarkMainPath is draft, two signatures and filing under the shipped rules: four decisions, three judgements of
// the signing rules and one of the filing rules; in one call the signing rules are judged once.
func BenchmarkMainPath(b *testing.B) {
	b.Run("apart", func(b *testing.B) { mainPath(b, func() domain.Decider[State, Command, Event] { return Decider }) })
	b.Run("one call", func(b *testing.B) { mainPath(b, new(OneCall).Decider) })
}

func mainPath(b *testing.B, by func() domain.Decider[State, Command, Event]) {
	policy := ruleset.Shipped()
	terms, facts := ordinary(), subject()
	hash := Hash(terms)
	commands := []struct {
		as string
		c  Command
	}{
		{"owner", Draft{Terms: terms, Subject: facts}},
		{"owner", Sign{Party: "owner", ContentHash: hash}},
		{"tenant", Sign{Party: "tenant", ContentHash: hash}},
		{"owner", File{Number: validNo, ByRole: ByLessor, By: "owner"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		var s State
		d := by()
		for _, x := range commands {
			got, err := d.Decide(s, domain.Request[Command]{At: now, Actor: as(x.as), Policy: policy, Command: x.c})
			if err != nil {
				b.Fatal(err)
			}
			s = d.Fold(s, got...)
		}
		if s.Stage != StageFiled {
			b.Fatal(s.Stage)
		}
	}
}
