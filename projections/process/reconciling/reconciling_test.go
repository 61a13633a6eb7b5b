package reconciling_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/domain/ruleset"
	"zujian/domain/statement"
	"zujian/eventstore"
	"zujian/eventstore/aggregate"
	"zujian/eventstore/memory"
	"zujian/projections"
	"zujian/projections/process"
	"zujian/projections/process/reconciling"
)

const start = 7 // The log was not empty.

var day = domain.Date(2026, time.March, 2)

// TestNoMoneyOfADayIsLeftOut: whenever money of a bank's day is booked, before its statement is compared, meanwhile or after,
// the day in the end counts it once, and money of other days and banks never.
func TestNoMoneyOfADayIsLeftOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, p := context.Background(), reconciling.Process{}
		runner := aggregate.Runner{Store: &memory.Store{}, Catalogue: domain.NewCatalogue(statement.Types)}
		base := process.Base{
			At: day.AddDays(3).Start(), Actor: domain.Actor{ID: "process:reconciling", Role: domain.RoleSystem}, Policy: ruleset.Shipped(),
		}
		var views projections.Memory
		at := eventstore.Position(start)
		tell := func(e projections.Event) {
			was := at
			if at++; was == start {
				was = 0 // The first batch of a view.
			}
			e.Position, e.Type = at, e.Event.EventType()
			var out []process.Outgoing
			if err := views.Batch(ctx, "process-reconciling", p.Version(), was, at, func(v projections.View) (err error) {
				out, err = p.React(ctx, v, e)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for n, o := range out {
				b := base
				b.ID = fmt.Sprintf("%d-%d", at, n)
				if err := o.Run(ctx, runner, b); err != nil {
					t.Fatal(err)
				}
			}
		}
		const id = "icbc.2026-03-02"
		before, meanwhile := rapid.IntRange(0, 5).Draw(t, "before"), rapid.IntRange(0, 5).Draw(t, "meanwhile")
		after := rapid.IntRange(0, 5).Draw(t, "after")
		var read []statement.Entry // When the ledgers are read.
		want := domain.Fen(0)
		for n := range before + meanwhile + after {
			if n == before+meanwhile {
				in := statement.Import{Bank: "icbc", Date: day, Ledger: read, ComparedTo: uint64(start + before)}
				b := base
				b.ID = "import"
				if err := process.Send(statement.Decider, id, statement.Command(in)).Run(ctx, runner, b); err != nil {
					t.Fatal(err)
				}
				s, _, err := aggregate.Load(ctx, runner, statement.Decider, id)
				if err != nil {
					t.Fatal(err)
				}
				tell(projections.Event{Stream: "statement-" + id, Event: s.Imported})
			}
			got := escrow.FundsReceived{
				Bank: rapid.SampledFrom([]string{"icbc", "icbc", "icbc/", "boc"}).Draw(t, "bank"), BankTxnID: fmt.Sprint("t", n), AmountFen: domain.Fen(1 << n),
				ValueDate: rapid.SampledFrom([]domain.Day{day, day, day.AddDays(1)}).Draw(t, "day"),
			}
			if got.Bank == "icbc" && got.ValueDate == day {
				want += got.AmountFen
				if n < before {
					read = append(read, statement.Entry{TxnID: got.BankTxnID, AmountFen: got.AmountFen, Contract: "c"})
				}
			}
			tell(projections.Event{Stream: "escrow-c", Event: got})
		}
		if after == 0 {
			return // No statement came.
		}
		s, _, err := aggregate.Load(ctx, runner, statement.Decider, id)
		if err != nil || s.LedgerFen != want {
			t.Fatalf("the day's ledger is %d, want %d (%v)", s.LedgerFen, want, err)
		}
	})
}
