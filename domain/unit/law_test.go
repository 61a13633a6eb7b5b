package unit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	. "zujian/domain/unit"
)

func drawCommand(t *rapid.T) Command {
	contract := rapid.SampledFrom([]string{"a", "b", "c", "d", "h", "k"})
	day := rapid.Custom(func(t *rapid.T) domain.Day { return domain.Date(2026, 1, rapid.IntRange(1, 12).Draw(t, "day")) })
	who := contract.Draw(t, "contract")
	command := rapid.IntRange(0, 12).Draw(t, "command")
	switch command {
	case 0, 1, 2, 3, 4, 12:
		kind, parent := KindOut, rapid.SampledFrom([]string{"", "", "h", "k", "a"}).Draw(t, "parent")
		if who == "h" || who == "k" {
			kind = KindHead
		}
		rooms := rapid.SampledFrom([][]string{nil, {"r1"}, {"r2"}, {"r2", "r1"}}).Draw(t, "rooms")
		from := day.Draw(t, "from")
		space := Reserve{Contract: who, Kind: kind, Parent: parent, Rooms: rooms, From: from, Until: from.AddDays(rapid.IntRange(0, 6).Draw(t, "days"))}
		if command == 4 {
			return Confirm{Contract: who, Space: &space}
		}
		if command == 12 {
			return Lease(space)
		}
		return space
	case 5, 6, 7:
		return Confirm{Contract: who}
	case 8, 9:
		return Release{Contract: who, Unfiled: command == 9}
	case 10:
		return End{Contract: who, On: day.Draw(t, "on")}
	}
	return Change{Contract: who, Until: day.Draw(t, "until")}
}

// TestNoSpaceIsLetTwice is rule U-10: whatever is asked in whatever order, by clocks that may run backwards and past
// any expiry, no two OUT leases hold the same room on the same day.
func TestNoSpaceIsLetTwice(t *testing.T) {
	leases := 0
	rapid.Check(t, func(t *rapid.T) {
		s := Decider.Fold(State{}, unit...)
		var log []Event
		for range rapid.IntRange(40, 120).Draw(t, "steps") {
			now := at.Add(time.Duration(rapid.IntRange(-20, 20).Draw(t, "minutes")) * time.Minute)
			req := domain.Request[Command]{At: now, Command: drawCommand(t)}
			before := s
			events, err := Decider.Decide(s, req)
			if err != nil {
				continue
			}
			s = Decider.Fold(s, events...)
			log = append(log, events...)
			if again, err := Decider.Decide(s, req); err != nil || len(again) > 0 {
				t.Fatalf("%#v repeated: %#v, %v\nbefore %+v", req.Command, again, err, before.Occupancies)
			}
			letOnce(t, s)
			if len(s.OccupiedOn(domain.Date(2026, 1, 6))) > 1 {
				leases++
			}
		}
		if diff := cmp.Diff(s, Decider.Fold(Decider.Fold(State{}, unit...), log...)); diff != "" {
			t.Fatalf("folding in pieces differs: %s", diff)
		}
	})
	if leases == 0 {
		t.Error("no sequence ever let two spaces: the law was not tried")
	}
}

// letOnce counts day by day and room by room, in other words than the code under test.
func letOnce(t *rapid.T, s State) {
	for d := domain.Date(2026, 1, 1); d <= domain.Date(2026, 1, 12); d++ {
		held := map[string]string{}
		for _, o := range s.OccupiedOn(d) {
			if o.Kind != KindOut {
				continue
			}
			rooms := o.Rooms
			if len(rooms) == 0 {
				rooms = []string{"r1", "r2"}
			}
			for _, room := range rooms {
				if other, taken := held[room]; taken {
					t.Fatalf("%s is let to %s and %s on %v: %+v", room, other, o.Contract, d, s.Occupancies)
				}
				held[room] = o.Contract
			}
		}
	}
}

// TestALateConfirmationNeverLosesSilently: every confirmation of a reservation is answered by a lease or by a loss.
func TestALateConfirmationNeverLosesSilently(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Decider.Fold(State{}, unit...)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now := at.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "minutes")) * time.Minute)
			cmd := drawCommand(t)
			events, err := Decider.Decide(s, domain.Request[Command]{At: now, Command: cmd})
			s = Decider.Fold(s, events...)
			c, isConfirm := cmd.(Confirm)
			if !isConfirm || err != nil {
				continue
			}
			o, held := s.Occupancy(c.Contract)
			lost := slices.ContainsFunc(events, func(e Event) bool { _, is := e.(ReservationLost); return is })
			if !held || (!o.Confirmed && !lost && !o.Ended) {
				t.Fatalf("confirmed %s, yet %+v", c.Contract, o)
			}
		}
	})
}
