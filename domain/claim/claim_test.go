package claim_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/claim"
	"zujian/domain/domaintest"
)

func TestDecide(t *testing.T) {
	made := []Event{Made{Holder: "p1"}}
	free := []Event{Made{Holder: "p1"}, Released{Holder: "p1"}}
	domaintest.Run(t, Decider, domain.Request[Command]{}, []domaintest.Case[Command, Event]{
		{Name: "claim a free value", When: Make{Holder: "p1"}, Then: made},
		{Name: "no holder", When: Make{}, Err: ErrNoHolder},
		{Name: "the holder again", Given: made, When: Make{Holder: "p1"}},
		{Name: "another holder", Given: made, When: Make{Holder: "p2"}, Err: ErrTaken},
		{Name: "give it back", Given: made, When: Release{Holder: "p1"}, Then: []Event{Released{Holder: "p1"}}},
		{Name: "another gives it back", Given: made, When: Release{Holder: "p2"}, Err: ErrTaken},
		{Name: "give back a free value", Given: free, When: Release{Holder: "p1"}},
		{Name: "a released value is free for others", Given: free, When: Make{Holder: "p2"}, Then: []Event{Made{Holder: "p2"}}},
	})
	if got := ID("identity", "ab12"); got != "identity.ab12" {
		t.Errorf("ID = %q", got)
	}
}

func TestAValueHasOneHolderAtATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		holds := map[string]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "who")
			var cmd Command = Make{Holder: who}
			release := rapid.Bool().Draw(t, "release")
			if release {
				cmd = Release{Holder: who}
			}
			events, err := Decider.Decide(s, domain.Request[Command]{Command: cmd})
			if err != nil && !errors.Is(err, ErrTaken) {
				t.Fatal(err)
			}
			s = Decider.Fold(s, events...)
			if err == nil {
				if release {
					delete(holds, who)
				} else {
					holds[who] = true
				}
			}
			if len(holds) > 1 {
				t.Fatalf("held by %v", holds)
			}
		}
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
