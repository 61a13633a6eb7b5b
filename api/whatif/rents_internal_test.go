package whatif

import (
	"slices"
	"testing"

	"zujian/domain"
	"zujian/domain/contract"
)

// TestRewrittenRents follows one contract through the figures as it was and as it would have been: what is taken out is
// always what was put in.
func TestRewrittenRents(t *testing.T) {
	month := func(y, m int) domain.Month { return domain.Date(y, 1, 1).Month() + domain.Month(m-1) }
	first := domain.Observation{Month: month(2026, 1), From: month(2026, 1), To: month(2026, 12), RentFen: 500_000, AreaC: 9000, ReportUnit: "320106"}
	second := first
	second.RentFen, second.From = 600_000, month(2026, 6)
	ended := second
	ended.To = month(2026, 9)
	events := []contract.Event{
		contract.Filed{Observation: first},
		contract.Amended{AmendmentID: "a", ObservationBefore: &first, Observation: &second},
		contract.Terminated{ObservationBefore: &second, Observation: &ended},
		contract.FilingCancelled{Observations: []domain.Observation{first, ended}},
	}
	for _, c := range []struct {
		name string
		as   rewritten
		want []domain.Fen // Rents in the figures after each event, 0 between them.
	}{
		{"nothing of it", rewritten{out: true}, nil},
		{"as it was", rewritten{}, []domain.Fen{500_000, 0, 500_000, 600_000, 0, 500_000, 600_000, 0}},
		{"without its amendment", rewritten{dropped: map[string]bool{"a": true}}, []domain.Fen{500_000, 0, 500_000, 0}},
		{"capped after the amendment", rewritten{cap: 550_000}, []domain.Fen{500_000, 0, 500_000, 550_000, 0, 500_000, 550_000, 0}},
		{"capped all along", rewritten{cap: 400_000}, []domain.Fen{400_000, 0, 400_000, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := c.as
			var held []domain.Observation // What the index holds of the contract.
			var got []domain.Fen
			out := func(o domain.Observation) {
				i := slices.IndexFunc(held, func(h domain.Observation) bool { return h.RentFen == o.RentFen && h.From == o.From && h.To == o.To })
				if i < 0 {
					t.Fatalf("%+v is taken out of %+v", o, held)
				}
				held = slices.Delete(held, i, i+1)
			}
			for _, e := range events {
				changed, keep := x.event(e)
				if !keep {
					continue
				}
				switch e := changed.(type) {
				case contract.Filed:
					held = append(held, e.Observation)
				case contract.Amended:
					out(*e.ObservationBefore)
					if e.Observation.From > e.ObservationBefore.From {
						closed := *e.ObservationBefore
						closed.To = e.Observation.From - 1
						held = append(held, closed)
					}
					held = append(held, *e.Observation)
				case contract.Terminated:
					out(*e.ObservationBefore)
					held = append(held, *e.Observation)
				case contract.FilingCancelled:
					for _, o := range e.Observations {
						out(o)
					}
				}
				for _, h := range held {
					got = append(got, h.RentFen)
				}
				got = append(got, 0)
			}
			if len(held) > 0 {
				t.Errorf("%+v stays for ever", held)
			}
			if want := c.want; !slices.Equal(compactZeros(got), compactZeros(want)) {
				t.Errorf("the figures hold %v, not %v", got, want)
			}
		})
	}
}

func compactZeros(rents []domain.Fen) []domain.Fen { return slices.Compact(rents) }
