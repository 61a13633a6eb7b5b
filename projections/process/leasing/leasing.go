// Package leasing is the process that keeps the unit, the listing and the contracts below in step with a contract, and
// ends what time ends. The desk does most of it at once, in the request; this process finishes what a crash left and
// repeats harmlessly what was done.
//
// A filed contract holds its space and takes the listings of it down (L-03); one that ended or was cancelled gives it
// back; a reservation without a filing is released after it lapsed; a space lost to another annuls the contract. When a
// head lease ends, or is cancelled or annulled, every sublease under it is told and its operator's money is stopped (scenario
// 6), one whose money is planned or which is filed only later too. The supervised money follows: an amended contract lays its
// collections out anew, one that ends early, is cancelled or annulled gives the rent not used back. A contract expires the day
// after its last, a verification code the day after its own (L-02).
package leasing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/listing"
	"zujian/domain/party"
	"zujian/domain/unit"
	"zujian/eventstore/aggregate"
	"zujian/projections"
	"zujian/projections/process"
)

// Process is listed in cmd/zujian/registry.go.
type Process struct{}

// Name of the process; it never changes.
func (Process) Name() string { return "leasing" }

// Version of what it keeps.
func (Process) Version() int { return 3 }

// Types it reacts to.
func (Process) Types() []string {
	return []string{
		"contract.drafted", "contract.filed", "contract.filing_returned", "contract.amended", "contract.lessor_replaced", "contract.terminated",
		"contract.expired", "contract.filing_cancelled", "contract.annulled",
		"escrow.funds_expected",
		"unit.reserved", "unit.leased", "unit.released", "unit.reservation_lost", "unit.lease_ended",
		"listing.drafted", "listing.edited", "listing.verified", "listing.code_renewed", "listing.published",
		"listing.withdrawn", "listing.let", "listing.expired", "listing.revoked",
	}
}

// overdueMax bounds what one call of Resume sends; the rest waits a minute.
const overdueMax = 500

// lease is what the process keeps of a contract.
type lease struct {
	Unit  string     `json:"unit"`
	Kind  string     `json:"kind"`
	Rooms []string   `json:"rooms,omitempty"`
	Head  string     `json:"head,omitempty"`
	End   domain.Day `json:"end"`
	Filed bool       `json:"filed,omitempty"`
	Money bool       `json:"money,omitempty"` // There is a ledger.

	RentFen    domain.Fen `json:"rent_fen,omitempty"`
	Subletters []string   `json:"subletters,omitempty"` // Natural persons who sublet by it (S-09).
}

// groundOwnWish is the ground of a lessee who goes for reasons of their own: then an agreed break fee is due.
const groundOwnWish = "OWN_WISH"

// offer is what it keeps of a listing.
type offer struct {
	Unit  string     `json:"unit"`
	Rooms []string   `json:"rooms,omitempty"`
	Until domain.Day `json:"until,omitzero"`
}

// held is a reservation that is neither confirmed nor released yet.
type held struct {
	Unit, Contract string
	ExpiresAt      time.Time
}

func leaseKey(id string) string                  { return "contract/" + id }
func endKey(end domain.Day, id string) string    { return "end/" + end.String() + "/" + id }
func childKey(head, id string) string            { return "child/" + head + "/" + id }
func overKey(head string) string                 { return "over/" + head } // Holds the day on which it ended.
func offerKey(id string) string                  { return "listing/" + id }
func offersOf(unitID string) string              { return "offer/" + unitID + "/" }
func codeKey(until domain.Day, id string) string { return "code/" + until.String() + "/" + id }
func subletKey(partyID string) string            { return "sublet/" + partyID }
func heldKey(unitID, id string) string           { return "held/" + unitID + "/" + id }

// React implements process.Process.
func (Process) React(ctx context.Context, v projections.View, e projections.Event) ([]process.Outgoing, error) {
	id := projections.ID(e.Stream)
	switch f := e.Event.(type) {
	case contract.Event:
		return onContract(ctx, v, id, domain.DayOf(e.Meta.At), f)
	case unit.Event:
		return onUnit(v, id, f), nil
	case listing.Event:
		return nil, onListing(ctx, v, id, f)
	case escrow.FundsExpected:
		l, err := projections.Get[lease](ctx, v, leaseKey(id))
		if err != nil || l.Unit == "" {
			return nil, err
		}
		l.Money = true
		projections.Put(v, leaseKey(id), l)
		return onSublet(ctx, v, id, l)
	}
	return nil, fmt.Errorf("leasing: unexpected %s", e.Type)
}

func onContract(ctx context.Context, v projections.View, id string, today domain.Day, e contract.Event) ([]process.Outgoing, error) {
	if d, ok := e.(contract.Drafted); ok {
		t := d.Terms
		projections.Put(v, leaseKey(id), lease{
			Unit: t.Unit, Kind: t.Kind, Rooms: t.Rooms, Head: t.Parent, End: t.End, RentFen: t.MonthlyRentFen, Subletters: subletters(d),
		})
		return nil, nil
	}
	l, err := projections.Get[lease](ctx, v, leaseKey(id))
	if err != nil || l.Unit == "" {
		return nil, err
	}
	switch f := e.(type) {
	case contract.Filed:
		l.Filed = true
		projections.Put(v, leaseKey(id), l)
		v.Set(endKey(l.End, id), nil)
		out, err := onFiled(ctx, v, id, l)
		if err != nil {
			return nil, err
		}
		told, err := onSublet(ctx, v, id, l)
		return append(out, told...), err
	case contract.FilingReturned:
		return []process.Outgoing{process.Send(unit.Decider, l.Unit, unit.Command(unit.Release{Contract: id, Unfiled: true}))}, nil
	case contract.Amended:
		return onAmended(v, id, l, f), nil
	case contract.LessorReplaced:
		return onLessorReplaced(ctx, v, id, l, f)
	case contract.Terminated:
		out, err := onEnded(ctx, v, id, l, f.On, f.By)
		return append(out, endEarly(id, l, f.On, f.By == contract.SideLessee && f.Ground == groundOwnWish)...), err
	case contract.Expired:
		return onEnded(ctx, v, id, l, f.On, contract.EndExpired)
	case contract.FilingCancelled, contract.Annulled:
		out := []process.Outgoing{process.Send(unit.Decider, l.Unit, unit.Command(unit.Release{Contract: id}))}
		out = append(out, endEarly(id, l, today, false)...)
		told, err := onOver(ctx, v, id, l, today)
		return append(out, told...), err
	}
	return nil, nil
}

// endEarly gives back the rent of the days after a lease that ends before its term.
func endEarly(id string, l lease, on domain.Day, fee bool) []process.Outgoing {
	if !l.Money || on >= l.End {
		return nil
	}
	return []process.Outgoing{process.Send(escrow.Decider, id, escrow.Command(escrow.EndEarly{On: on, ChargeBreakFee: fee}))}
}

// onAmended moves the end of the space and of the money with the contract's.
func onAmended(v projections.View, id string, l lease, f contract.Amended) (out []process.Outgoing) {
	if l.Money {
		out = append(out, process.Send(escrow.Decider, id, escrow.Command(escrow.Amend{
			EffectiveFrom: f.EffectiveFrom, RentFen: f.After.MonthlyRentFen, DepositFen: &f.After.DepositFen, End: f.After.End,
		})))
		if !slices.Equal(f.Before.Lessees, f.After.Lessees) {
			out = append(out, process.Send(escrow.Decider, id, escrow.Command(escrow.ReplaceParties{Lessees: f.After.Lessees, From: f.EffectiveFrom})))
		}
	}
	if f.After.End == l.End {
		return out
	}
	v.Delete(endKey(l.End, id))
	l.End = f.After.End
	projections.Put(v, leaseKey(id), l)
	if !l.Filed {
		return out
	}
	v.Set(endKey(l.End, id), nil)
	return append(out, moveEnd(id, l.Unit))
}

// moveEnd lets the space of a contract end with it as it stands: the desk may have moved both on by another amendment since.
func moveEnd(id, unitID string) process.Outgoing {
	return process.Outgoing{
		Target: aggregate.Stream(unit.Decider.Category, unitID),
		Run: func(ctx context.Context, r aggregate.Runner, b process.Base) error {
			s, _, err := aggregate.Load(ctx, r, contract.Decider, id)
			if err != nil || s.Stage != contract.StageFiled {
				return err
			}
			_, err = aggregate.Execute(ctx, r, unit.Decider, unitID,
				process.Ask(b, unit.Command(unit.Change{Contract: id, Until: s.Terms.End})), b.Options)
			return err
		},
	}
}

// onLessorReplaced sends the money after the title: the ledger's own, and of a head lease the owner's share in every
// ledger under it.
func onLessorReplaced(ctx context.Context, v projections.View, id string, l lease, f contract.LessorReplaced) (out []process.Outgoing, err error) {
	if l.Money {
		out = append(out, process.Send(escrow.Decider, id, escrow.Command(escrow.ReplaceParties{Lessors: f.After.Lessors, From: f.From})))
	}
	if l.Kind != contract.KindHead {
		return out, nil
	}
	prefix := childKey(id, "")
	for p, err := range v.Scan(ctx, prefix, prefix+"\xff", false) {
		if err != nil {
			return nil, err
		}
		out = append(out, process.Send(escrow.Decider, p.Key[len(prefix):],
			escrow.Command(escrow.ReplaceParties{Owner: f.After.Lessors[0], From: f.From})).
			Otherwise(func(*domain.Rejection) []process.Outgoing { return nil })) // No ledger, nobody to pay.
	}
	return out, nil
}

func forget(ctx context.Context, v projections.View, id string, l lease) error {
	v.Delete(endKey(l.End, id))
	v.Delete(leaseKey(id))
	if l.Head != "" {
		v.Delete(childKey(l.Head, id))
	}
	if !l.Filed {
		return nil
	}
	_, err := sublet(ctx, v, l, -1)
	return err
}

// onFiled secures the space and ends the listings of it.
func onFiled(ctx context.Context, v projections.View, id string, l lease) ([]process.Outgoing, error) {
	confirm := process.Send(unit.Decider, l.Unit, unit.Command(unit.Confirm{Contract: id}))
	out := []process.Outgoing{confirm.Unless(func(e domain.Event) bool { f, ok := e.(unit.Leased); return ok && f.Contract == id })}
	if l.Kind != contract.KindOut {
		return out, nil
	}
	out = append(out, openLedger(id).Unless(func(e domain.Event) bool { _, ok := e.(escrow.FundsExpected); return ok }))
	told, err := sublet(ctx, v, l, 1)
	if err != nil {
		return nil, err
	}
	out = append(out, told...)
	prefix := offersOf(l.Unit)
	for p, err := range v.Scan(ctx, prefix, prefix+"\xff", false) {
		if err != nil {
			return nil, err
		}
		listed := p.Key[len(prefix):]
		o, err := projections.Get[offer](ctx, v, offerKey(listed))
		if err != nil {
			return nil, err
		}
		if apart(o.Rooms, l.Rooms) {
			continue
		}
		out = append(out, process.Send(listing.Decider, listed, listing.Command(listing.MarkLet{Contract: id, RentFen: l.RentFen})))
	}
	return out, nil
}

// subletters are the natural persons who let under a head lease.
func subletters(d contract.Drafted) (out []string) {
	if d.Terms.Kind != contract.KindOut || d.Terms.Parent == "" {
		return nil
	}
	for _, l := range d.Terms.Lessors {
		person := func(p contract.PartyFacts) bool { return p.ID == l.Party && p.Kind == party.KindPerson }
		if slices.ContainsFunc(d.Subject.Parties, person) {
			out = append(out, l.Party)
		}
	}
	return out
}

// sublet counts a sublease in (1) or out (-1) for each natural person who lets by it, and tells how many homes or rooms it
// makes: at how many registration is due is the party's to decide.
func sublet(ctx context.Context, v projections.View, l lease, sign int) (out []process.Outgoing, err error) {
	for _, p := range l.Subletters {
		n, err := projections.Get[int](ctx, v, subletKey(p))
		if err != nil {
			return nil, err
		}
		n += sign * max(len(l.Rooms), 1)
		projections.Put(v, subletKey(p), n)
		if sign > 0 {
			out = append(out, process.Send(party.Decider, p, party.Command(party.ReachScale{Count: n})))
		}
	}
	return out, nil
}

// apart says whether two sets of rooms have nothing in common; no rooms means the whole flat.
func apart(a, b []string) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(r string) bool { return slices.Contains(b, r) })
}

// onEnded gives the space back and, under a head lease, protects the tenants.
func onEnded(ctx context.Context, v projections.View, id string, l lease, on domain.Day, reason string) ([]process.Outgoing, error) {
	out := []process.Outgoing{process.Send(unit.Decider, l.Unit, unit.Command(unit.End{Contract: id, On: on, Reason: reason}))}
	told, err := onOver(ctx, v, id, l, on)
	return append(out, told...), err
}

// onOver forgets a lease and, of a head lease, tells those under it.
func onOver(ctx context.Context, v projections.View, id string, l lease, on domain.Day) (out []process.Outgoing, err error) {
	if l.Kind == contract.KindHead {
		prefix := childKey(id, "")
		for p, err := range v.Scan(ctx, prefix, prefix+"\xff", false) {
			if err != nil {
				return nil, err
			}
			out = append(out, upstreamEnded(p.Key[len(prefix):], id, on)...)
		}
		projections.Put(v, overKey(id), on)
	}
	return out, forget(ctx, v, id, l)
}

// onSublet puts a sublease under its head lease, which may have ended before.
func onSublet(ctx context.Context, v projections.View, id string, l lease) ([]process.Outgoing, error) {
	if l.Head == "" {
		return nil, nil
	}
	v.Set(childKey(l.Head, id), nil)
	on, err := projections.Get[domain.Day](ctx, v, overKey(l.Head))
	if err != nil || on.IsZero() {
		return nil, err
	}
	return upstreamEnded(id, l.Head, on), nil
}

// upstreamEnded tells a sublease that its head lease is over, and stops the operator's money.
func upstreamEnded(id, head string, on domain.Day) []process.Outgoing {
	return []process.Outgoing{
		process.Send(contract.Decider, id, contract.Command(contract.MarkUpstreamEnded{Head: head, On: on})),
		process.Send(escrow.Decider, id, escrow.Command(escrow.Freeze{OrderNo: "HEAD-" + head, Scope: escrow.FreezeOperator})).
			Otherwise(func(*domain.Rejection) []process.Outgoing { return nil }), // No ledger, nothing to stop.
	}
}

func onUnit(v projections.View, id string, e unit.Event) []process.Outgoing {
	switch f := e.(type) {
	case unit.Reserved:
		projections.Put(v, heldKey(id, f.Contract), held{id, f.Contract, f.ExpiresAt})
	case unit.Leased:
		v.Delete(heldKey(id, f.Contract))
	case unit.Released:
		v.Delete(heldKey(id, f.Contract))
	case unit.LeaseEnded:
		v.Delete(heldKey(id, f.Contract))
	case unit.ReservationLost:
		v.Delete(heldKey(id, f.Contract))
		return []process.Outgoing{process.Send(contract.Decider, f.Contract,
			contract.Command(contract.Annul{Reason: "the space was taken by another contract before this one was secured"}))}
	}
	return nil
}

func onListing(ctx context.Context, v projections.View, id string, e listing.Event) error {
	o, err := projections.Get[offer](ctx, v, offerKey(id))
	if err != nil {
		return err
	}
	until := func(day domain.Day) {
		if !o.Until.IsZero() {
			v.Delete(codeKey(o.Until, id))
		}
		o.Until = day
		v.Set(codeKey(day, id), nil)
		projections.Put(v, offerKey(id), o)
	}
	switch f := e.(type) {
	case listing.Drafted:
		projections.Put(v, offerKey(id), offer{Unit: f.Unit, Rooms: f.Rooms})
	case listing.Edited:
		o.Rooms = f.Rooms
		projections.Put(v, offerKey(id), o)
	case listing.Verified:
		until(f.ValidUntil)
		v.Set(offersOf(o.Unit)+id, nil)
	case listing.CodeRenewed:
		until(f.ValidUntil)
	case listing.Published:
		v.Set(offersOf(o.Unit)+id, nil)
	case listing.Withdrawn, listing.Let, listing.Expired, listing.Revoked:
		v.Delete(offersOf(o.Unit) + id)
		v.Delete(codeKey(o.Until, id))
		v.Delete(offerKey(id))
	}
	return nil
}

// Resume implements process.Process.
func (Process) Resume(ctx context.Context, r projections.Reader, now time.Time) ([]process.Outgoing, error) {
	today := domain.DayOf(now)
	var out []process.Outgoing
	for p, err := range r.Scan(ctx, "end/", "end/"+today.String(), false) {
		if err != nil {
			return nil, err
		}
		if len(out) == overdueMax {
			return out, nil
		}
		id := p.Key[len("end/2006-01-02/"):]
		out = append(out, process.Send(contract.Decider, id, contract.Command(contract.Expire{})).As("expire-"+p.Key))
	}
	for p, err := range r.Scan(ctx, "code/", "code/"+today.String(), false) {
		if err != nil {
			return nil, err
		}
		if len(out) == overdueMax {
			return out, nil
		}
		id := p.Key[len("code/2006-01-02/"):]
		out = append(out, process.Send(listing.Decider, id, listing.Command(listing.Expire{On: today})).As("expire-"+p.Key))
	}
	stuck, err := resumeHeld(ctx, r, now)
	return append(out, stuck...), err
}

// resumeHeld confirms the reservations of filed contracts and releases those that lapsed without a filing.
func resumeHeld(ctx context.Context, r projections.Reader, now time.Time) (out []process.Outgoing, err error) {
	for p, err := range r.Scan(ctx, "held/", "held0", false) {
		if err != nil {
			return nil, err
		}
		h, err := projections.Get[held](ctx, r, p.Key)
		if err != nil {
			return nil, err
		}
		l, err := projections.Get[lease](ctx, r, leaseKey(h.Contract))
		if err != nil {
			return nil, err
		}
		switch {
		case l.Filed:
			out = append(out, process.Send(unit.Decider, h.Unit, unit.Command(unit.Confirm{Contract: h.Contract})))
		case now.After(h.ExpiresAt):
			out = append(out, process.Send(unit.Decider, h.Unit, unit.Command(unit.Release{Contract: h.Contract, Unfiled: true})))
		}
		if len(out) >= overdueMax {
			break
		}
	}
	return out, nil
}
