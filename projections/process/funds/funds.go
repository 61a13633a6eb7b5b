// Package funds is the process that passes supervised rent on when it is due: each day it orders the tranches of that
// day, the owner's before the operator's (M-05), and settles deposits whose lessor stayed silent after the lessee's claim.
// The bank pays and confirms; a failed tranche is ordered again the next day.
package funds

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"zujian/domain"
	"zujian/domain/escrow"
	"zujian/projections"
	"zujian/projections/process"
)

// Process is listed in cmd/zujian/registry.go.
type Process struct{}

// Name of the process; it never changes.
func (Process) Name() string { return "funds" }

// Version of what it keeps.
func (Process) Version() int { return 1 }

// Types it reacts to.
func (Process) Types() []string {
	return []string{
		"escrow.release_scheduled", "escrow.release_ordered", "escrow.release_failed", "escrow.funds_reversed",
		"escrow.refund_approved", "escrow.deposit_claimed", "escrow.deposit_settled",
	}
}

// overdueMax bounds what one call of Resume sends; the rest waits a minute.
const overdueMax = 500

// dueKey sorts by day, then owner before operator, then ledger and tranche.
func dueKey(t escrow.Tranche, ledger string) string {
	rank := "1"
	if t.Payee == escrow.PayeeOperator {
		rank = "2"
	}
	return "due/" + t.Due.String() + "/" + rank + "/" + ledger + "/" + strconv.Itoa(t.No)
}

func trancheKey(ledger string, no int) string { return "tranche/" + ledger + "/" + strconv.Itoa(no) }

func claimKey(respondBy domain.Day, ledger string) string {
	return "claim/" + respondBy.String() + "/" + ledger
}

// React implements process.Process.
func (Process) React(ctx context.Context, v projections.View, e projections.Event) ([]process.Outgoing, error) {
	ledger := projections.ID(e.Stream)
	drop := func(no int) (escrow.Tranche, error) {
		t, err := projections.Get[escrow.Tranche](ctx, v, trancheKey(ledger, no))
		if err == nil && t.No != 0 {
			v.Delete(dueKey(t, ledger))
		}
		return t, err
	}
	keep := func(t escrow.Tranche) {
		projections.Put(v, trancheKey(ledger, t.No), t)
		v.Set(dueKey(t, ledger), nil)
	}
	dropAll := func(numbers []int) error {
		for _, no := range numbers {
			if _, err := drop(no); err != nil {
				return err
			}
		}
		return nil
	}
	switch f := e.Event.(type) {
	case escrow.ReleaseScheduled:
		for _, t := range f.Tranches {
			keep(t)
		}
	case escrow.ReleaseOrdered:
		_, err := drop(f.Tranche)
		return nil, err
	case escrow.ReleaseFailed:
		t, err := projections.Get[escrow.Tranche](ctx, v, trancheKey(ledger, f.Tranche))
		if err != nil {
			return nil, err
		}
		t.Due = domain.DayOf(e.Meta.At).AddDays(1)
		keep(t)
	case escrow.FundsReversed:
		return nil, dropAll(f.Cancelled)
	case escrow.RefundApproved:
		return nil, dropAll(f.Cancelled)
	case escrow.DepositClaimed:
		v.Set(claimKey(f.RespondBy, ledger), nil)
		v.Set("claimed/"+ledger, []byte(f.RespondBy.String()))
	case escrow.DepositSettled:
		if f.Tranche != nil { // The lessor's share of the deposit.
			keep(*f.Tranche)
		}
		raw, found, err := v.Get(ctx, "claimed/"+ledger)
		if err != nil || !found {
			return nil, err
		}
		v.Delete("claim/" + string(raw) + "/" + ledger)
		v.Delete("claimed/" + ledger)
	default:
		return nil, fmt.Errorf("funds: unexpected %s", e.Type)
	}
	return nil, nil
}

// Resume implements process.Process.
func (Process) Resume(ctx context.Context, r projections.Reader, now time.Time) ([]process.Outgoing, error) {
	today := domain.DayOf(now)
	var out []process.Outgoing
	for p, err := range r.Scan(ctx, "due/", "due/"+today.AddDays(1).String(), false) {
		if err != nil {
			return nil, err
		}
		parts := strings.Split(p.Key, "/")
		if len(parts) != 5 {
			return nil, errors.New("funds: a key of its own is broken: " + p.Key)
		}
		no, err := strconv.Atoi(parts[4])
		if err != nil {
			return nil, fmt.Errorf("funds: a key of its own is broken: %w", err)
		}
		// Once a day: what is frozen or waits for the owner today may go tomorrow.
		out = append(out, process.Send(escrow.Decider, parts[3], escrow.Command(escrow.OrderRelease{Tranche: no})).
			As("release-"+parts[4]+"-"+today.String()))
		if len(out) == overdueMax {
			return out, nil
		}
	}
	for p, err := range r.Scan(ctx, "claim/", "claim/"+today.String(), false) {
		if err != nil {
			return nil, err
		}
		ledger := p.Key[len("claim/2006-01-02/"):]
		out = append(out, process.Send(escrow.Decider, ledger, escrow.Command(escrow.SettleByDefault{})).As("default-"+p.Key))
	}
	return out, nil
}
