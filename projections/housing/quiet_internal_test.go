package housing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/unit"
	"zujian/projections"
)

// TestQuietEvents: what Apply leaves out as quiet changes no effect of a row in any of its stages.
func TestQuietEvents(t *testing.T) {
	row := Contract{
		ID: "c1", Origin: "NEW", Kind: contract.KindOut, Unit: "u1", Lessors: []string{"a"}, Lessees: []string{"b"}, AdminCode: "320102",
		ReportUnit: "320102", Street: "320102001", Start: 20_000, End: 20_364, SignedOn: 19_990, FileBy: 20_020, FiledOn: 19_995,
		FilingNo: "BA1", FiledByRole: contract.ByLessor, Occupants: 1, LetMode: contract.LetWhole,
	}
	quiet := []contract.Event{
		contract.SignedByParty{Party: "b"},
		contract.OccupantAdded{Occupants: 2},
		contract.OccupantRemoved{Occupants: 0},
		contract.NoticeGiven{By: "LESSEE"},
		contract.TerminationAgreed{Party: "b"},
	}
	for _, stage := range []string{StageDrafted, StageSigned, StageHeld, StageReturned, StageFiled, StageEnded, StageCancelled} {
		row.State = stage
		for _, ev := range quiet {
			if !quietContract(ev) {
				t.Errorf("%s is not quiet", ev.EventType())
			}
			same(t, stage+" "+ev.EventType(), contractEffect(row), contractEffect(row.after("c1", ev)))
		}
	}
	home := unitRow{Trail: projections.Trail{Stream: "unit-u1", Events: 1}}
	home.State = unit.Decider.Evolve(home.State, unit.Registered{Home: unit.Home{AdminCode: "320102", Street: "320102001"}})
	from, until := domain.Day(20_000), domain.Day(20_364)
	for _, ev := range []unit.Event{
		unit.Reserved{Contract: "c1", From: from, Until: until},
		unit.Leased{Contract: "c1", From: from, Until: until},
		unit.LeaseChanged{Contract: "c1", Until: until + 9},
		unit.LeaseEnded{Contract: "c1", On: until},
		unit.ReservationLost{Contract: "c1"},
		unit.Released{Contract: "c1"},
	} {
		if !quietUnit(ev) {
			t.Errorf("%s is not quiet", ev.EventType())
		}
		after := home
		after.State = unit.Decider.Evolve(home.State, ev)
		same(t, ev.EventType(), unitEffect(home), unitEffect(after))
		home = after
	}
}

func same(t *testing.T, name string, before, after projections.Effect) {
	t.Helper()
	was := dump(t, before) // Which uses it up.
	if diff := cmp.Diff(was, dump(t, after)); diff != "" || len(was) == 0 {
		t.Errorf("%s: %s", name, diff)
	}
}

// dump is what an effect puts into an empty view.
func dump(t *testing.T, e projections.Effect) []projections.Pair {
	t.Helper()
	var views projections.Memory
	if err := views.Batch(t.Context(), "v", 1, 0, 1, func(v projections.View) error { return e.Replace(t.Context(), v, projections.Effect{}) }); err != nil {
		t.Fatal(err)
	}
	if err := views.Activate(t.Context(), "v", 1); err != nil {
		t.Fatal(err)
	}
	var out []projections.Pair
	if err := views.Read(t.Context(), "v", func(r projections.Reader) error {
		for p, err := range r.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}
