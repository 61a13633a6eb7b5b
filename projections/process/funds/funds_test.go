package funds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/domain/ruleset"
	"zujian/eventstore"
	"zujian/projections"
	"zujian/projections/process/funds"
)

const ledger = "3f0d5eb2-8550-533e-9d2a-6f1c4b7e9d2a"

var (
	start  = domain.Date(2026, time.March, 1)
	policy = ruleset.Shipped()
)

// book is one ledger and what the process keeps of it.
type book struct {
	rt    *rapid.T
	state escrow.State
	views projections.Memory
	at    eventstore.Position
	day   domain.Day
}

func (b *book) ask(c escrow.Command) ([]escrow.Event, error) {
	return escrow.Decider.Decide(b.state, domain.Request[escrow.Command]{
		ID: "c", At: b.day.Start().Add(2 * time.Hour), Actor: domain.Actor{ID: "process:funds", Role: domain.RoleSystem},
		Policy: policy, Command: c,
	})
}

// tell lets ledger and process know of events.
func (b *book) tell(events ...escrow.Event) {
	p := funds.Process{}
	for _, e := range events {
		b.state = escrow.Decider.Evolve(b.state, e)
		if !slices.Contains(p.Types(), e.EventType()) {
			continue
		}
		err := b.views.Batch(context.Background(), "process-funds", p.Version(), b.at, b.at+1, func(v projections.View) error {
			_, err := p.React(context.Background(), v, projections.Event{
				Stream: "escrow-" + ledger, Type: e.EventType(), Event: e, Meta: eventstore.Metadata{At: b.day.Start().Add(2 * time.Hour)},
			})
			return err
		})
		if b.at++; err != nil {
			b.rt.Fatal(err)
		}
	}
}

// orders are the tranches that the process orders today.
func (b *book) orders() map[string]bool {
	p, got := funds.Process{}, map[string]bool{}
	err := errors.Join(b.views.Activate(context.Background(), "process-funds", p.Version()),
		b.views.Read(context.Background(), "process-funds", func(r projections.Reader) error {
			out, err := p.Resume(context.Background(), r, b.day.Start().Add(2*time.Hour))
			for _, o := range out {
				got[o.ID] = true
			}
			return err
		}))
	if err != nil {
		b.rt.Fatal(err)
	}
	return got
}

// TestOrdersWhatTheLedgerTakes: whatever is scheduled, paid, failed, cancelled and frozen, the process orders each day
// exactly the tranches that the ledger does not refuse; of those that failed today, tomorrow.
func TestOrdersWhatTheLedgerTakes(t *testing.T) {
	waited, ordered := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		b := &book{rt: rt, day: start, state: escrow.State{Plan: escrow.FundsExpected{Contract: "c1", Operator: true}, Bank: "icbc"}}
		b.tell(escrow.FundsReceived{Bank: "icbc", BankTxnID: "T", AmountFen: 1_000_000, Journal: []escrow.Posting{
			{Account: escrow.CashAccount("icbc"), DebitFen: 1_000_000}, {Account: escrow.HeldAccount("c1", "rent"), CreditFen: 1_000_000},
		}})
		failed := map[int]domain.Day{}
		for range rapid.IntRange(10, 40).Draw(rt, "steps") {
			n := len(b.state.Tranches)
			var t escrow.TrancheState
			if n > 0 {
				t = b.state.Tranches[rapid.IntRange(0, n-1).Draw(rt, "tranche")]
			}
			switch rapid.IntRange(0, 10).Draw(rt, "step") {
			case 0, 1:
				e := escrow.ReleaseScheduled{}
				for i := range rapid.IntRange(1, 3).Draw(rt, "scheduled") {
					e.Tranches = append(e.Tranches, escrow.Tranche{
						No: n + i + 1, Month: 1, Due: start.AddDays(rapid.IntRange(0, 12).Draw(rt, "due")), AmountFen: 100, Party: "p",
						Source: escrow.SourceRent, Payee: rapid.SampledFrom([]escrow.Payee{escrow.PayeeOwner, escrow.PayeeOperator, escrow.PayeeOperator}).Draw(rt, "payee"),
					})
				}
				b.tell(e)
			case 2, 3, 4, 8, 9:
				switch t.Stage {
				case escrow.TranchePlanned:
					if events, err := b.ask(escrow.OrderRelease{Tranche: t.No}); err == nil {
						b.tell(events...)
					}
				case escrow.TrancheOrdered:
					if rapid.IntRange(0, 2).Draw(rt, "fails") > 0 {
						b.tell(escrow.FundsReleased{Tranche: t.No, Payee: t.Payee, Bank: "icbc", BankTxnID: fmt.Sprint("T", b.at)})
						break
					}
					b.tell(escrow.ReleaseFailed{Tranche: t.No})
					failed[t.No] = b.day
				}
			case 5:
				if t.Stage == escrow.TranchePlanned {
					b.tell(rapid.SampledFrom([]escrow.Event{
						escrow.FundsReversed{Bank: "icbc", Cancelled: []int{t.No}}, escrow.RefundApproved{RefundID: fmt.Sprint(b.at), Cancelled: []int{t.No}},
					}).Draw(rt, "cancelled"))
				}
			case 6:
				b.tell(escrow.Frozen{
					OrderNo: fmt.Sprintf("冻/%d", b.at), Scope: rapid.SampledFrom([]escrow.FreezeScope{escrow.FreezeReleases, escrow.FreezeOperator}).Draw(rt, "scope"),
				})
			case 7:
				for _, f := range b.state.Freezes {
					b.tell(escrow.Unfrozen{OrderNo: f.OrderNo})
				}
			case 10:
				b.day = b.day.AddDays(rapid.IntRange(1, 4).Draw(rt, "days"))
			}
			want := map[string]bool{}
			for _, t := range b.state.Tranches {
				if t.Stage != escrow.TranchePlanned || t.Due > b.day || failed[t.No] == b.day {
					continue
				}
				if _, err := b.ask(escrow.OrderRelease{Tranche: t.No}); err == nil {
					want[fmt.Sprintf("release-%d-%s", t.No, b.day)] = true
					ordered++
				} else if escrow.ErrOwnerFirst.Is(err) || escrow.ErrFrozen.Is(err) {
					waited++
				} else {
					rt.Fatalf("tranche %d: %v", t.No, err)
				}
			}
			if diff := cmp.Diff(b.orders(), want); diff != "" {
				rt.Fatalf("on %s of %+v (got -, want +):\n%s", b.day, b.state.Tranches, diff)
			}
		}
	})
	if waited < 10 || ordered < 10 {
		t.Errorf("%d tranches waited, %d were ordered: that shows little", waited, ordered)
	}
}
