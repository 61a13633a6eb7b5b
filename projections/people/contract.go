package people

import (
	"context"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/projections"
)

// lease is what the roster needs of one contract.
type lease struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind"`
	Rooms        int        `json:"rooms,omitempty"`
	Lessors      []string   `json:"lessors,omitempty"`
	Lessees      []string   `json:"lessees,omitempty"`
	Brokerage    string     `json:"brokerage,omitempty"`
	Practitioner string     `json:"practitioner,omitempty"`
	AdminCode    string     `json:"admin_code,omitempty"`
	SignedOn     domain.Day `json:"signed_on,omitzero"`
	Active       bool       `json:"active,omitempty"` // Filed and not ended.
	Upstream     bool       `json:"upstream,omitempty"`
	Void         bool       `json:"void,omitempty"`
	Sublet       bool       `json:"sublet,omitempty"` // Under a head lease.
}

// Packed implements projections.Packed.
func (lease) Packed() {}

func (w *work) contract(ctx context.Context, e projections.Event, ev contract.Event) error {
	id := projections.ID(e.Stream)
	key := projections.Key(keyContract, id)
	before, err := projections.GetOwn[lease](ctx, w.View, key, e)
	if err != nil {
		return err
	}
	after := before.after(ev)
	after.ID = id
	projections.Put(w.View, key, after)
	w.leases.Changed(key, before, after)
	return nil
}

func (l lease) after(ev contract.Event) lease {
	switch e := ev.(type) {
	case contract.Drafted:
		t := e.Terms
		l = lease{Kind: t.Kind, Rooms: len(t.Rooms), Brokerage: t.Brokerage, Practitioner: t.Practitioner, AdminCode: e.Subject.Unit.AdminCode}
		for _, s := range t.Lessors {
			l.Lessors = append(l.Lessors, s.Party)
		}
		for _, s := range t.Lessees {
			l.Lessees = append(l.Lessees, s.Party)
		}
	case contract.Signed:
		l.SignedOn = e.SignedOn
	case contract.Filed:
		l = l.summary(e.Summary)
		l.Active = true
	case contract.Amended:
		l = l.summary(e.After)
	case contract.LessorReplaced:
		l = l.summary(e.After)
	case contract.Terminated, contract.Expired:
		l.Active = false
	case contract.FilingCancelled, contract.Annulled:
		l.Active, l.Void = false, true
	case contract.UpstreamEnded:
		l.Upstream = true
	}
	return l
}

func (l lease) summary(s contract.Summary) lease {
	l.Sublet = s.Kind == contract.KindOut && s.Parent != ""
	l.Kind, l.Rooms, l.Lessors, l.Lessees, l.Brokerage, l.AdminCode = s.Kind, len(s.Rooms), s.Lessors, s.Lessees, s.Brokerage, s.AdminCode
	return l
}

func (l lease) effect() (e projections.Effect) {
	if l.ID == "" {
		return e
	}
	if l.Practitioner != "" && !l.SignedOn.IsZero() && !l.Void {
		e.Mark(projections.Key(keyDeal, l.Practitioner, l.SignedOn.String(), l.ID), "")
	}
	kind := "out"
	if l.Kind == contract.KindHead {
		kind = "head"
	}
	side := func(parties []string, name string) {
		for _, p := range parties {
			if l.AdminCode != "" {
				e.Sum(projections.Key(keyArea, l.AdminCode, p), "contracts", 1)
			}
			if !l.Active {
				continue
			}
			cell := projections.Key(keyTally, p)
			e.Sum(cell, name+"_"+kind, 1)
			if l.Upstream {
				e.Sum(cell, "upstream_ended", 1)
			}
			if name != "lessor" || kind != "out" {
				continue
			}
			if l.Rooms == 0 {
				e.Sum(cell, "homes_whole", 1)
			} else {
				e.Sum(cell, "rooms", int64(l.Rooms))
			}
		}
	}
	side(l.Lessors, "lessor")
	side(l.Lessees, "lessee")
	l.sublets(func(party string, n int) { e.Sum(projections.Key(keyTally, party), "sublets", int64(n)) })
	return e
}

// ledger is what the roster needs of one supervised ledger.
type ledger struct {
	Lessor string          `json:"lessor"`
	Open   bool            `json:"open"`
	Orders map[string]bool `json:"orders,omitempty"` // Freezes not lifted.
}

// Packed implements projections.Packed.
func (ledger) Packed() {}

func (w *work) escrow(ctx context.Context, e projections.Event, ev escrow.Event) error {
	key := projections.Key(keyLedger, projections.ID(e.Stream))
	before, err := projections.GetOwn[ledger](ctx, w.View, key, e)
	if err != nil {
		return err
	}
	after := ledger{Lessor: before.Lessor, Open: before.Open, Orders: map[string]bool{}}
	for order := range before.Orders {
		after.Orders[order] = true
	}
	switch ev := ev.(type) {
	case escrow.FundsExpected:
		after.Lessor, after.Open = ev.Lessor, true
	case escrow.PartiesReplaced:
		if len(ev.Lessors) > 0 {
			after.Lessor = ev.Lessors[0]
		}
	case escrow.Frozen:
		after.Orders[ev.OrderNo] = true
	case escrow.Unfrozen:
		delete(after.Orders, ev.OrderNo)
	case escrow.Closed:
		after.Open = false
	}
	projections.Put(w.View, key, after)
	w.ledgers.Changed(key, before, after)
	return nil
}

func (l ledger) effect() (e projections.Effect) {
	if l.Lessor == "" {
		return e
	}
	cell := projections.Key(keyTally, l.Lessor)
	e.Sum(cell, "ledgers", 1)
	if l.Open {
		e.Sum(cell, "ledgers_open", 1)
	}
	if len(l.Orders) > 0 {
		e.Sum(cell, "ledgers_frozen", 1)
	}
	return e
}
