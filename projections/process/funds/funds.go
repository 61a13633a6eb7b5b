// Package funds is the process that passes supervised rent on when it is due: each day it orders the tranches of that
// day, the owner's before the operator's (M-05), and settles deposits whose lessor stayed silent after the lessee's claim.
// The bank pays and confirms; a failed tranche is ordered again the next day.
//
// A tranche that its ledger would refuse, as its releases are frozen or an owner's due by then is unpaid, is not ordered
// until that has changed.
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
func (Process) Version() int { return 2 }

// Types it reacts to.
func (Process) Types() []string {
	return []string{
		"escrow.release_scheduled", "escrow.release_ordered", "escrow.release_failed", "escrow.funds_released", "escrow.funds_reversed",
		"escrow.refund_approved", "escrow.deposit_claimed", "escrow.deposit_settled", "escrow.frozen", "escrow.unfrozen",
	}
}

// overdueMax bounds what one call of Resume sends; the rest waits a minute.
const overdueMax = 500

// tranche is one that was scheduled, and the day from which it is ordered: when it is due, or the day after it failed.
type tranche struct {
	escrow.Tranche
	From domain.Day `json:"from"`
}

// dueKey sorts by day, then owner before operator, then ledger and tranche.
func dueKey(t tranche, ledger string) string {
	rank := "1"
	if t.Payee == escrow.PayeeOperator {
		rank = "2"
	}
	return "due/" + t.From.String() + "/" + rank + "/" + ledger + "/" + strconv.Itoa(t.No)
}

func trancheKey(ledger string, no int) string { return "tranche/" + ledger + "/" + strconv.Itoa(no) }

// owedKey is there while an owner's tranche is neither paid nor cancelled; its value is the day it is due.
func owedKey(ledger string, no int) string { return "owed/" + ledger + "/" + strconv.Itoa(no) }

// frozenKey is there while an order stops releases; its value is the order's scope.
func frozenKey(ledger, order string) string { return "frozen/" + ledger + "/" + order }

func claimKey(respondBy domain.Day, ledger string) string {
	return "claim/" + respondBy.String() + "/" + ledger
}

// React implements process.Process.
func (Process) React(ctx context.Context, v projections.View, e projections.Event) ([]process.Outgoing, error) {
	ledger := projections.ID(e.Stream)
	drop := func(no int) error {
		t, err := projections.Get[tranche](ctx, v, trancheKey(ledger, no))
		if err == nil && t.No != 0 {
			v.Delete(dueKey(t, ledger))
		}
		return err
	}
	keep := func(t tranche) {
		projections.Put(v, trancheKey(ledger, t.No), t)
		v.Set(dueKey(t, ledger), nil)
	}
	schedule := func(t escrow.Tranche) {
		if keep(tranche{t, t.Due}); t.Payee == escrow.PayeeOwner {
			v.Set(owedKey(ledger, t.No), []byte(t.Due.String()))
		}
	}
	cancel := func(numbers []int) error {
		for _, no := range numbers {
			v.Delete(owedKey(ledger, no))
			if err := drop(no); err != nil {
				return err
			}
		}
		return nil
	}
	switch f := e.Event.(type) {
	case escrow.ReleaseScheduled:
		for _, t := range f.Tranches {
			schedule(t)
		}
	case escrow.ReleaseOrdered:
		return nil, drop(f.Tranche)
	case escrow.ReleaseFailed:
		t, err := projections.Get[tranche](ctx, v, trancheKey(ledger, f.Tranche))
		if err != nil {
			return nil, err
		}
		t.From = domain.DayOf(e.Meta.At).AddDays(1)
		keep(t)
	case escrow.FundsReleased:
		v.Delete(owedKey(ledger, f.Tranche))
	case escrow.FundsReversed:
		return nil, cancel(f.Cancelled)
	case escrow.RefundApproved:
		return nil, cancel(f.Cancelled)
	case escrow.Frozen:
		v.Set(frozenKey(ledger, f.OrderNo), []byte(f.Scope))
	case escrow.Unfrozen:
		v.Delete(frozenKey(ledger, f.OrderNo))
	case escrow.DepositClaimed:
		v.Set(claimKey(f.RespondBy, ledger), nil)
		v.Set("claimed/"+ledger, []byte(f.RespondBy.String()))
	case escrow.DepositSettled:
		if f.Tranche != nil { // The lessor's share of the deposit.
			schedule(*f.Tranche)
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
		waits, err := waits(ctx, r, parts[3], no)
		if err != nil {
			return nil, err
		}
		if waits {
			continue
		}
		// Once a day: what another rule refuses today may go tomorrow.
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

// waits is true of a tranche that its ledger would refuse as it stands: frozen, or behind an owner's (M-05).
func waits(ctx context.Context, r projections.Reader, ledger string, no int) (bool, error) {
	t, err := projections.Get[tranche](ctx, r, trancheKey(ledger, no))
	if err != nil {
		return false, err
	}
	for p, err := range r.Scan(ctx, frozenKey(ledger, ""), "frozen/"+ledger+"0", false) {
		if err != nil {
			return false, err
		}
		if escrow.FreezeScope(p.Value) == escrow.FreezeReleases || t.Payee == escrow.PayeeOperator {
			return true, nil
		}
	}
	if t.Payee != escrow.PayeeOperator {
		return false, nil
	}
	for p, err := range r.Scan(ctx, "owed/"+ledger+"/", "owed/"+ledger+"0", false) {
		if err != nil || string(p.Value) <= t.Due.String() { // Days in this form sort as they follow.
			return err == nil, err
		}
	}
	return false, nil
}
