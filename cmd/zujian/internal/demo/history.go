package demo

import (
	"errors"

	"zujian/domain"
	"zujian/domain/contract"
)

// deal is one letting that the plan of the three years holds.
type deal struct {
	flat   *flat
	room   int // Index into the flat's rooms; −1 = whole flat.
	signed domain.Day
	start  domain.Day
	end    domain.Day
	early  domain.Day // Ends early on this day; zero = runs out.
	filed  domain.Day // Zero = never filed yet.
	rent   domain.Fen
	cycle  int
	renew  *deal // The deal it renews.
	head   bool
	self   bool // Its tenant files it alone.
	ended  bool

	tenant member
	id     string
}

// planHead is the operator's own lease of the flat, over the whole history.
func (g *generator) planHead(f *flat) {
	start := g.truth.Start
	d := &deal{flat: f, room: -1, head: true, signed: start.AddDays(-20), start: start.AddDays(-10), end: g.o.Today.AddMonths(30), cycle: 3}
	market := g.truth.rent(g.rnd, f.home, start.Month(), f.areaC)
	num := int64(82)
	if f.firm.highLow {
		num = 112 // Pays high, lets low.
	}
	d.rent, _ = market.MulDiv(num, 100)
	d.filed = d.signed.AddDays(3)
	g.on(d.signed, rankSign, func() error { return g.sign(d) })
	g.on(d.filed, rankFile, func() error { return g.file(d) })
}

// planSpace plans the lettings of one space: terms of 6, 12 and 24 months, renewals, early ends, gaps.
func (g *generator) planSpace(f *flat, room int) {
	at := g.truth.Start.AddDays(g.rnd.IntN(240))
	var last *deal
	for at < g.o.Today {
		term := 12
		switch p := g.rnd.Float64(); {
		case p < 0.15:
			term = 6
		case p > 0.85:
			term = 24
		}
		d := &deal{flat: f, room: room, start: at, end: at.AddMonths(term).AddDays(-1), cycle: 1, renew: last}
		d.signed = at.AddDays(-1 - g.rnd.IntN(20))
		if g.chance(0.4) {
			d.cycle = 3
		}
		if f.firm != nil && g.chance(0.5) {
			d.cycle = 3 + 3*g.rnd.IntN(2)
		}
		area := f.areaC
		if room >= 0 {
			area = f.rooms[room].areaC
		}
		d.rent = g.truth.rent(g.rnd, f.home, d.signed.Month(), area)
		if g.chance(0.07) {
			d.early = at.AddMonths(2 + g.rnd.IntN(term-3)).AddDays(9)
		}
		switch p := g.rnd.Float64(); {
		case p < 0.88:
			d.filed = d.signed.AddDays(g.rnd.IntN(25))
		case p < 0.92:
			d.filed = d.signed.AddDays(31 + g.rnd.IntN(40))
		case g.chance(0.3):
			d.filed, d.self = d.signed.AddDays(60+g.rnd.IntN(90)), true // 承租人自行备案: a tenant files alone.
		}
		g.planDeal(d)
		stop := d.end
		if !d.early.IsZero() {
			stop = d.early
		}
		last, at = nil, stop.AddDays(3+g.rnd.IntN(45))
		f.taken = max(f.taken, stop)
		if d.early.IsZero() && g.chance(0.35) {
			last, at = d, stop.AddDays(1)
			continue
		}
		if room >= 0 || d.filed.IsZero() {
			continue
		}
		if g.chance(0.01) { // Listed and not let any more.
			g.planListing(f, stop.AddDays(1), 1)
			return
		}
		share := listedShare
		if stop > g.o.Today.AddDays(-listedRecentDays) {
			share = listedRecentShare
		}
		g.planListing(f, stop.AddDays(1), share)
	}
}

func (g *generator) planDeal(d *deal) {
	g.on(d.signed, rankSign, func() error { return g.sign(d) })
	if d.filed.IsZero() || d.filed > g.o.Today {
		d.filed = 0
	} else {
		g.on(d.filed, rankFile, func() error { return g.file(d) })
	}
	if !d.early.IsZero() && d.early < g.o.Today && d.early > d.filed {
		g.on(d.early, rankEnd, func() error { return g.end(d) })
	} else if d.end < g.o.Today && !d.filed.IsZero() {
		g.on(d.end.AddDays(1), rankEnd, func() error { return g.expire(d) })
	}
}

// expected says whether an error is part of life in the demo city: two signed contracts can want overlapping days, and
// only the first to be filed gets them.
func expected(err error) bool {
	var r *domain.Rejection
	return errors.As(err, &r)
}

func (g *generator) sign(d *deal) error {
	f := d.flat
	if d.renew != nil && d.renew.id != "" {
		d.tenant = d.renew.tenant
	}
	if d.tenant.id == "" && !d.head {
		t, err := g.person(domain.RoleTenant)
		if err != nil {
			return err
		}
		d.tenant = t
	}
	days := 7
	t := contract.Terms{
		Kind: contract.KindOut, Unit: f.id, LetMode: contract.LetWhole, Use: "RESIDENTIAL", Start: d.start, End: d.end,
		SignedOn: d.signed, MonthlyRentFen: d.rent, PayCycleMonths: d.cycle, DepositFen: d.rent, DepositReturnDays: &days,
		DeductionGrounds: []string{"ARREARS", "DAMAGE"},
	}
	lessor, lessee := f.owner, d.tenant
	switch {
	case d.head:
		t.Kind, t.SubleaseConsent, t.DepositFen, lessee = contract.KindHead, true, d.rent, f.firm.member
	case f.firm != nil && f.firm.operator:
		if f.head == "" {
			return nil // The head lease was never filed; nothing to let.
		}
		t.Parent, lessor = f.head, f.firm.member
	}
	if d.room >= 0 {
		t.LetMode, t.Rooms = contract.LetByRoom, []string{f.rooms[d.room].id}
	}
	if f.firm != nil && f.firm.bank != nil && !d.head {
		t.Escrow = contract.Escrow{Mode: contract.EscrowNone, Bank: f.firm.bank.id} // The rules make it mandatory where it is.
	}
	t.Lessors = []contract.PartyShare{{Party: lessor.id, Capacity: capacity(t)}}
	t.Lessees = []contract.PartyShare{{Party: lessee.id}}
	if d.renew != nil {
		t.Renews = d.renew.id
	}
	if err := g.countSublets(f); err != nil {
		return err
	}
	id, s, _, err := g.o.Desk.DraftContract(g.ctx, g.call(lessor.actor), t, nil)
	if err != nil {
		return skip(d, err)
	}
	for _, m := range []member{lessor, lessee} {
		if _, _, err := g.o.Desk.Sign(g.ctx, g.call(m.actor), id, m.id, s.ContentHash); err != nil {
			return skip(d, err)
		}
	}
	d.id = id
	return nil
}

// countSublets waits for the view that what the subletter sublets already is read from (S-09).
func (g *generator) countSublets(f *flat) error {
	if f.firm != g.subletter || g.o.Views == nil {
		return nil
	}
	return g.o.Views()
}

func capacity(t contract.Terms) string {
	if t.Parent != "" {
		return contract.CapacitySublessor
	}
	return contract.CapacityOwner
}

// skip drops a deal that the rules refuse, and passes every other error on.
func skip(d *deal, err error) error {
	d.id = ""
	return unexpected(err)
}

func (g *generator) file(d *deal) error {
	if d.id == "" {
		return nil
	}
	by := d.flat.owner
	if d.flat.firm != nil && d.flat.firm.operator && !d.head {
		by = d.flat.firm.member
	}
	if d.self {
		by = d.tenant
	}
	if err := g.countSublets(d.flat); err != nil {
		return err
	}
	s, _, err := g.o.Desk.File(g.ctx, g.call(by.actor), d.id)
	if err != nil {
		return skip(d, err)
	}
	if s.Stage == contract.StageHeld {
		_, _, err = g.o.Desk.DecideFiling(g.ctx, g.call(g.city), d.id, true, "示例：核查无误")
		if err != nil {
			return skip(d, err)
		}
	}
	if d.head {
		d.flat.head = d.id
		return nil
	}
	if err := g.letListing(d); err != nil {
		return err
	}
	return g.collect(d)
}

func (g *generator) end(d *deal) error {
	if d.id == "" {
		return nil
	}
	d.ended = true
	for _, m := range []member{g.lessor(d), d.tenant} {
		if _, _, err := g.o.Desk.ContractAct(g.ctx, g.call(m.actor), d.id, m.id, contract.Terminate{
			By: contract.Agreed, Party: m.id, Ground: "MUTUAL", On: d.early,
		}); err != nil && !expected(err) {
			return err
		}
	}
	return g.endLedger(d)
}

func (g *generator) lessor(d *deal) member {
	if d.flat.firm != nil && d.flat.firm.operator {
		return d.flat.firm.member
	}
	return d.flat.owner
}

func (g *generator) expire(d *deal) error {
	if d.id == "" {
		return nil
	}
	d.ended = true
	_, _, err := g.o.Desk.ContractAct(g.ctx, g.call(domain.Actor{ID: "process:clock", Role: domain.RoleSystem}), d.id, "", contract.Expire{})
	if expected(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := g.withholdDeposit(d); err != nil {
		return err
	}
	return g.endLedger(d)
}
