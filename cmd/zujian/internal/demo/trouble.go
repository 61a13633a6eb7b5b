package demo

import (
	"fmt"
	"time"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/escrow"
	"zujian/domain/listing"
)

var zeroTime time.Time

// makeTrouble adds what a regulator looks for: listings of every state and a fake one, an overcrowded flat, a withheld
// deposit, and prices two people published.
func (g *generator) makeTrouble() error {
	g.day(g.o.Today.AddDays(-3))
	for _, step := range []func() error{g.makeListings, g.makeOvercrowding, g.makeWithheldDeposit} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

const demoListings = 120

func (g *generator) makeListings() error {
	made := 0
	for _, f := range g.flats {
		if made == demoListings {
			break
		}
		if f.firm != nil || f.byRoom {
			continue
		}
		id, _, err := g.o.Desk.DraftListing(g.ctx, g.call(f.owner.actor), listing.Offer{
			Unit: f.id, LetMode: listing.LetWhole, RentFen: g.truth.rent(g.rnd, f.home, g.o.Today.Month(), f.areaC),
			PayCycleMonths: 1, AreaC: f.areaC, AvailableFrom: g.o.Today, Channels: []string{"示例平台"}, Text: "示例数据",
		})
		if err != nil {
			if expected(err) {
				continue
			}
			return fmt.Errorf("draft listing: %w", err)
		}
		made++
		if made%10 == 0 {
			continue // Some stay drafts.
		}
		s, _, err := g.o.Desk.SubmitListing(g.ctx, g.call(f.owner.actor), id)
		if err != nil && !expected(err) {
			return fmt.Errorf("submit listing: %w", err)
		}
		if err != nil || s.Code == "" || made%10 == 1 {
			continue
		}
		if _, err := g.o.Desk.PublishListing(g.ctx, g.call(f.owner.actor), id); err != nil && !expected(err) {
			return fmt.Errorf("publish listing: %w", err)
		}
		switch made {
		case 7: // The fake one.
			_, err = g.o.Desk.AuthorityListing(g.ctx, g.call(g.city), id, listing.Revoke{Finding: "示例：虚假房源，查无此房出租"})
		case 8:
			_, err = g.o.Desk.ListingAct(g.ctx, g.call(f.owner.actor), id, listing.Withdraw{Reason: "示例：自住"})
		case 9:
			_, err = g.o.Desk.ListingAct(g.ctx, g.call(f.owner.actor), id, listing.Suspend{Cause: "示例：维修"})
		}
		if err != nil && !expected(err) {
			return err
		}
	}
	return nil
}

// makeOvercrowding puts twelve people into one flat: the rule on heads can only alert until the city confirms its number.
func (g *generator) makeOvercrowding() error {
	for _, f := range g.flats {
		if f.firm != nil || f.byRoom || f.areaC > 6000 {
			continue
		}
		tenant, err := g.person(domain.RoleTenant)
		if err != nil {
			return err
		}
		days := 7
		start := g.o.Today.AddMonths(40) // Far enough to be free.
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

// makeWithheldDeposit lets one lessor claim the whole deposit of a lease that ended, and the tenant contest it.
func (g *generator) makeWithheldDeposit() error {
	for _, f := range g.flats {
		if f.firm == nil || f.byRoom {
			continue
		}
		tenant, err := g.person(domain.RoleTenant)
		if err != nil {
			return err
		}
		lessor := f.owner
		if f.firm.operator {
			continue
		}
		days := 7
		start := g.o.Today.AddMonths(60)
		id, s, _, err := g.o.Desk.DraftContract(g.ctx, g.call(lessor.actor), contract.Terms{
			Kind: contract.KindOut, Unit: f.id, LetMode: contract.LetWhole, Use: "RESIDENTIAL", Start: start, End: start.AddMonths(6).AddDays(-1),
			SignedOn: domain.DayOf(g.at), MonthlyRentFen: 300_000, PayCycleMonths: 6, DepositFen: 300_000, DepositReturnDays: &days,
			DeductionGrounds: []string{"ARREARS"}, Lessors: []contract.PartyShare{{Party: lessor.id}}, Lessees: []contract.PartyShare{{Party: tenant.id}},
			Escrow: contract.Escrow{Mode: contract.EscrowVoluntary, Bank: f.firm.bank},
		}, nil)
		if expected(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range []member{lessor, tenant} {
			if _, _, err := g.o.Desk.Sign(g.ctx, g.call(m.actor), id, m.id, s.ContentHash); err != nil && !expected(err) {
				return err
			}
		}
		if _, _, err := g.o.Desk.Receive(g.ctx, g.call(g.bank(f.firm.bank).actor), id, escrow.Receive{
			BankTxnID: "DEMO-DEPOSIT", AmountFen: 2_100_000, ValueDate: domain.DayOf(g.at), PayerMask: "6222********0018",
		}); err != nil && !expected(err) {
			return err
		}
		if _, _, err := g.o.Desk.LedgerAct(g.ctx, g.call(lessor.actor), id, desk.SideLessor, escrow.ProposeDeduction{
			DeductionID: "demo-1", Ground: "CLEANING", AmountFen: 80_000,
		}); err != nil && !expected(err) {
			return err
		}
		_, _, err = g.o.Desk.LedgerAct(g.ctx, g.call(tenant.actor), id, desk.SideLessee, escrow.ContestDeduction{DeductionID: "demo-1", Reason: "示例：合同未约定"})
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
