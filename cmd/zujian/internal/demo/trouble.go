package demo

import (
	"fmt"
	"time"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/listing"
)

var zeroTime time.Time

// Listings: some flats are listed when a lease ends, more of those that are vacant today.
const (
	listedShare       = 0.04
	listedRecentShare = 0.7
	listedRecentDays  = 50 // Codes live 60.
	codeDays          = 60
)

// planListing lists a share of flats that became vacant, and lets the code run out if nobody rents it meanwhile.
func (g *generator) planListing(f *flat, day domain.Day, share float64) {
	if f.firm != nil && (f.firm.operator || f.firm.bank == nil) || !g.chance(share) {
		return
	}
	g.on(day, rankList, func() error { return g.list(f, day) })
}

func (g *generator) list(f *flat, day domain.Day) error {
	if f.listing != "" {
		return nil
	}
	id, _, err := g.o.Desk.DraftListing(g.ctx, g.call(f.owner.actor), listing.Offer{
		Unit: f.id, LetMode: listing.LetWhole, RentFen: g.truth.rent(g.rnd, f.home, day.Month(), f.areaC),
		PayCycleMonths: 1, AreaC: f.areaC, AvailableFrom: day, Channels: []string{"示例平台"}, Text: "示例数据",
	})
	if err != nil {
		return unexpected(err)
	}
	s, _, err := g.o.Desk.SubmitListing(g.ctx, g.call(f.owner.actor), id)
	if err != nil || s.Code == "" {
		return unexpected(err) // Let already, or a human must look.
	}
	f.listing = id
	if _, err := g.o.Desk.PublishListing(g.ctx, g.call(f.owner.actor), id); err != nil {
		return unexpected(err)
	}
	g.on(day.AddDays(codeDays+1), rankEnd, func() error {
		if f.listing != id {
			return nil
		}
		f.listing = ""
		return g.clockwork(id, listing.Expire{On: day.AddDays(codeDays + 1)})
	})
	return nil
}

// letListing ends the listing of a flat whose contract was filed (L-03).
func (g *generator) letListing(d *deal) error {
	id := d.flat.listing
	if id == "" {
		return nil
	}
	d.flat.listing = ""
	return g.clockwork(id, listing.MarkLet{Contract: d.id})
}

// clockwork is what the processes of a running product do by themselves.
func (g *generator) clockwork(id string, c listing.Command) error {
	_, err := g.o.Desk.AuthorityListing(g.ctx, g.call(domain.Actor{ID: "process:leasing", Role: domain.RoleSystem}), id, c)
	return unexpected(err)
}

// Before today so many days are evaluated for warnings: each of the last, before them one a week, since a demonstration must
// start soon. The watch of operators wants its signs seen for a week.
const (
	watchedDays = 42
	watchedLast = 2
	watchedStep = 7
)

// planWatch lets the warnings of the last days be evaluated in the evening.
func (g *generator) planWatch() {
	if g.o.Watch == nil {
		return
	}
	for ago := watchedDays; ago >= 0; ago-- {
		day := g.o.Today.AddDays(-ago)
		if day < g.truth.Start || ago > watchedLast && ago%watchedStep != 0 {
			continue
		}
		g.on(day, rankWatch, func() error {
			call := g.call(g.city)
			return g.o.Watch(call.At, call.ID)
		})
	}
}

// makeTrouble adds what a regulator looks for: listings of every state and a fake one, and an overcrowded flat.
func (g *generator) makeTrouble() error {
	if err := g.troubleListings(); err != nil {
		return err
	}
	return g.makeOvercrowding()
}

// troubleListings turns some of the live listings into the other states a tenant may meet.
func (g *generator) troubleListings() error {
	var live []*flat
	for _, f := range g.flats {
		if f.listing != "" {
			live = append(live, f)
		}
	}
	for i, f := range live[:min(len(live), 4)] {
		var err error
		switch i {
		case 0: // The fake one.
			_, err = g.o.Desk.AuthorityListing(g.ctx, g.call(g.city), f.listing, listing.Revoke{Finding: "示例：虚假房源，查无此房出租"})
		case 1:
			_, err = g.o.Desk.ListingAct(g.ctx, g.call(f.owner.actor), f.listing, listing.Withdraw{Reason: "示例：自住"})
		case 2:
			_, err = g.o.Desk.ListingAct(g.ctx, g.call(f.owner.actor), f.listing, listing.Suspend{Cause: "示例：维修"})
		case 3:
			_, err = g.o.Desk.AuthorityListing(g.ctx, g.call(g.city), f.listing, listing.Suspend{Cause: "示例：核实中"})
		}
		if err = unexpected(err); err != nil {
			return err
		}
	}
	return nil
}

// makeOvercrowding puts twelve people into one flat: the rule on heads can only alert until the city confirms its number.
func (g *generator) makeOvercrowding() error {
	for _, f := range g.flats {
		if f.firm != nil || f.byRoom || f.areaC > 6000 || f.taken >= g.o.Today.AddDays(-10) {
			continue
		}
		tenant, err := g.person(domain.RoleTenant)
		if err != nil {
			return err
		}
		days := 7
		start := g.o.Today.AddDays(-2) // Refused where somebody lives; then the next is tried.
		var occupants []desk.NewOccupant
		for i := range 12 {
			occupants = append(occupants, desk.NewOccupant{Occupant: contract.Occupant{ID: fmt.Sprint(i + 1), Relation: "OTHER"}, ClearName: syntheticName(g.rnd)})
		}
		id, s, _, err := g.o.Desk.DraftContract(g.ctx, g.call(f.owner.actor), contract.Terms{
			Kind: contract.KindOut, Unit: f.id, LetMode: contract.LetWhole, Use: "RESIDENTIAL", Start: start, End: start.AddMonths(12).AddDays(-1),
			SignedOn: domain.DayOf(g.at), MonthlyRentFen: 400_000, PayCycleMonths: 1, DepositFen: 400_000, DepositReturnDays: &days,
			DeductionGrounds: []string{"DAMAGE"}, Lessors: []contract.PartyShare{{Party: f.owner.id}}, Lessees: []contract.PartyShare{{Party: tenant.id}},
		}, occupants)
		if expected(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range []member{f.owner, tenant} {
			if _, _, err := g.o.Desk.Sign(g.ctx, g.call(m.actor), id, m.id, s.ContentHash); err != nil && !expected(err) {
				return err
			}
		}
		_, _, err = g.o.Desk.File(g.ctx, g.call(f.owner.actor), id)
		if expected(err) {
			return nil
		}
		return err
	}
	return nil
}

// makeKeys issues the keys of demo-keys.json: a landlord and a tenant who own and rent nothing yet, a company, a broker, a
// bank, the regulators and an auditor.
func (g *generator) makeKeys() (map[string]Key, error) {
	keys := map[string]Key{}
	landlord, err := g.person(domain.RoleLandlord)
	if err != nil {
		return nil, err
	}
	tenant, err := g.person(domain.RoleTenant)
	if err != nil {
		return nil, err
	}
	for _, k := range []struct {
		name  string
		role  domain.Role
		party string
		area  string
	}{
		{"landlord", domain.RoleLandlord, landlord.id, ""},
		{"tenant", domain.RoleTenant, tenant.id, ""},
		{"company", domain.RoleCompany, g.firms[0].id, ""},
		{"broker", domain.RoleBroker, g.brokers[0].id, ""},
		{"bank", domain.RoleBank, g.banks[0].id, ""},
		{"partner", domain.RolePartner, "", ""},
		{"district", domain.RoleDistrict, "", "320115"},
		{"district2", domain.RoleDistrict, "", "320106"},
		{"city", domain.RoleCity, "", ""},
		{"city2", domain.RoleCity, "", ""}, // The second pair of eyes.
		{"auditor", domain.RoleAuditor, "", ""},
	} {
		clear, _, _, err := g.o.Desk.IssueKey(g.ctx, g.call(g.city), desk.NewKey{Role: k.role, Party: k.party, Area: k.area, Label: "demo " + k.name})
		if err != nil {
			return nil, fmt.Errorf("issue the %s key: %w", k.name, err)
		}
		keys[k.name] = Key{Key: clear, PartyID: k.party, Area: k.area}
	}
	return keys, nil
}
