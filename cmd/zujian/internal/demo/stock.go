package demo

import (
	"fmt"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/account"
	"zujian/domain/party"
	"zujian/domain/statement"
	"zujian/domain/unit"
)

// firm is a rental company. A sublease operator rents flats from owners by HEAD contracts and lets them on.
type firm struct {
	member
	operator bool  // 转租经营: lets what it rents.
	highLow  bool  // Pays high, lets low, and in the last quarter collects beside its account.
	bank     *bank // Of its supervised account; nil for a person.
}

type estate struct {
	name, street, unit, admin string
	owner                     *firm // A rental company that owns all of it; nil = many owners.
	effect                    float64
	built, floors, metro      int
}

type flat struct {
	id     string
	home   home
	areaC  int64
	owner  member
	firm   *firm // Manages or sublets it; nil = the owner lets it.
	rooms  []room
	byRoom bool
	head   string // HEAD contract of its operator.

	listing string     // The live one; "" = none.
	taken   domain.Day // Last day of its lettings.
}

type room struct {
	id    string
	areaC int64
}

var estateNames = []string{"梧桐苑", "秦淮人家", "紫金名邸", "莫愁新寓", "江畔花园", "玄武雅居", "雨花里", "栖霞新村", "百家湖公馆", "滨江一号", "龙池翠苑", "石湫春晓"}

func (g *generator) verify(id string, level int) error {
	method := party.MethodIDNameMatch
	if level == 3 {
		method = party.MethodCounter
	}
	_, err := g.o.Desk.PartyAct(g.ctx, g.call(g.city), id, false, party.Verify{Level: level, Method: method})
	return err
}

// organisation registers a firm, verifies it and, for those that must, reports and publishes its opening.
func (g *generator) organisation(kind, name string, role domain.Role, opening *party.Opening) (member, error) {
	g.seq++
	scope := "住房租赁经营"
	if kind == party.OrgBrokerage {
		scope = "房地产经纪"
	}
	id, _, err := g.o.Desk.RegisterParty(g.ctx, g.call(g.city), desk.NewParty{
		Kind: party.KindOrg, OrgKind: kind, Name: name, DocType: domain.DocUSCC, DocNo: syntheticUSCC(g.seq),
		ScopeText: scope, LicenceIssued: g.truth.Start.AddMonths(-30),
	})
	if err != nil {
		return member{}, fmt.Errorf("register %s: %w", name, err)
	}
	m := member{id: id, actor: actor{ID: "demo:" + id[:8], Role: role, Party: id}}
	if err := g.verify(id, 3); err != nil || opening == nil {
		return m, err
	}
	if _, err := g.o.Desk.PartyAct(g.ctx, g.call(m.actor), id, true, party.ReportOpening{Opening: *opening}); err != nil {
		return m, err
	}
	_, err = g.o.Desk.PartyAct(g.ctx, g.call(g.city), id, false, party.PublishOpening{})
	return m, err
}

// openAccount gives a firm its supervised account, in force.
func (g *generator) openAccount(firm, bank member, number string) error {
	id, _, err := g.o.Desk.ApplyAccount(g.ctx, g.call(firm.actor), bank.id, "320115")
	if err != nil {
		return fmt.Errorf("apply for an account: %w", err)
	}
	if _, err := g.o.Desk.OpenAccount(g.ctx, g.call(bank.actor), id, number, account.Open{AgreementNo: "示例监管协议" + number[14:]}); err != nil {
		return err
	}
	_, err = g.o.Desk.AccountAct(g.ctx, g.call(g.city), id, account.Accept{})
	return err
}

func (g *generator) makeInstitutions() error {
	for _, name := range []string{"示例银行一", "示例银行二", "示例银行三", "示例银行四"} {
		m, err := g.organisation(party.OrgSupervisingBank, name, domain.RoleBank, nil)
		if err != nil {
			return err
		}
		g.banks = append(g.banks, &bank{member: m, days: map[domain.Day][]statement.Line{}})
	}
	for i, f := range []struct {
		name     string
		operator bool
		highLow  bool
	}{{"示例安居租赁", false, false}, {"示例宁寓租赁", false, false}, {"示例城投租赁", false, false}, {"示例优家转租", true, false}, {"示例蓝杉转租", true, true}, {"示例和寓租赁", false, false}} {
		kind := party.OrgRentalEnterprise
		if f.operator {
			kind = party.OrgSubleaseOperator
		}
		bank := g.banks[i%len(g.banks)]
		m, err := g.organisation(kind, f.name, domain.RoleCompany, &party.Opening{
			AdminCode: "320115", Place: "示例路 1 号", Operation: "SCATTERED", Homes: 100, Staff: 12, OwnFundsFen: 1_000_000_000,
			AccountBank: bank.id, AccountLast: fmt.Sprintf("%04d", 1000+i), LocalEntity: true,
		})
		if err != nil {
			return err
		}
		if err := g.openAccount(m, bank.member, fmt.Sprintf("62220202001122%04d", 1000+i)); err != nil {
			return err
		}
		g.firms = append(g.firms, &firm{member: m, operator: f.operator, highLow: f.highLow, bank: bank})
	}
	for i := range 9 {
		m, err := g.organisation(party.OrgBrokerage, fmt.Sprintf("示例经纪%d", i+1), domain.RoleBroker, &party.Opening{
			AdminCode: "320115", Place: "示例路 2 号", Staff: 5, LocalEntity: true,
		})
		if err != nil {
			return err
		}
		g.brokers = append(g.brokers, m)
		for range 2 {
			agent, err := g.person(domain.RoleTenant)
			if err != nil {
				return err
			}
			if _, err := g.o.Desk.Practitioner(g.ctx, g.call(m.actor), agent.id, party.Roster{Brokerage: m.id}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *generator) makeEstates() error {
	n := max(g.o.Homes/33, 12)
	for i := range n {
		l := g.unitOf(i, n)
		var streets []domain.Street
		for _, s := range g.o.City.Streets {
			if s.Unit == l {
				streets = append(streets, s)
			}
		}
		s := streets[g.rnd.IntN(len(streets))]
		e := &estate{
			name: estateNames[i%len(estateNames)] + fmt.Sprintf("%d期", i/len(estateNames)+1), street: s.Code, unit: s.Unit, admin: s.Admin,
			effect: g.rnd.NormFloat64() * estateSD, built: 1995 + g.rnd.IntN(28), floors: []int{6, 6, 11, 18, 26, 33}[g.rnd.IntN(6)],
			metro: 150 + g.rnd.IntN(2200),
		}
		if i >= n-affordable { // What there is of 保障性租赁住房 so far: whole estates of one company.
			e.name, e.owner = fmt.Sprintf("示例保障性租赁住房%d号", i-n+affordable+1), g.firms[2]
		}
		g.estates = append(g.estates, e)
	}
	return nil
}

const affordable = 3

// unitOf spreads estates over the reporting units by their share of homes; each has at least one.
func (g *generator) unitOf(i, n int) string {
	if i < len(levels) {
		return levels[i].unit
	}
	at := (i - len(levels)) * 100 / max(n-len(levels), 1)
	for _, l := range levels {
		if at -= l.share; at < 0 {
			return l.unit
		}
	}
	return levels[0].unit
}

func (g *generator) makeFlats() error {
	per := g.o.Homes / len(g.estates)
	g.total = g.o.Homes + g.o.Homes*3
	for i, e := range g.estates {
		count := per
		if i == len(g.estates)-1 {
			count = g.o.Homes - per*(len(g.estates)-1)
		}
		if err := g.makeBuilding(e, count); err != nil {
			return fmt.Errorf("estate %s: %w", e.name, err)
		}
	}
	return nil
}

var bedroomAreas = [][2]int64{{2800, 5000}, {4200, 6800}, {6500, 9800}, {8800, 13500}}

func (g *generator) makeBuilding(e *estate, count int) error {
	b := desk.NewBuilding{
		Estate: e.name, BuildingNo: "1", Street: e.street, Address: "示例大道" + fmt.Sprint(10+g.rnd.IntN(400)) + "号",
		BuiltYear: e.built, Floors: e.floors, MetroM: e.metro,
	}
	perFloor := max((count+e.floors-1)/e.floors, 2)
	flats := make([]*flat, 0, count)
	for i := range count {
		floor := i/perFloor%e.floors + 1
		beds := []int{0, 1, 1, 2, 2, 2, 2, 3, 3}[g.rnd.IntN(9)]
		span := bedroomAreas[beds]
		area := span[0] + g.rnd.Int64N(span[1]-span[0])
		fitout := []string{"FULL", "FULL", "FULL", "SIMPLE", "SIMPLE", "BARE"}[g.rnd.IntN(6)]
		u := desk.NewUnit{
			UnitNo: fmt.Sprintf("%d%02d", floor+i/(perFloor*e.floors)*100, i%perFloor+1), Floor: floor, GrossAreaC: area, InnerAreaC: area * 80 / 100, Bedrooms: beds,
			LivingRooms: 1, Bathrooms: 1, Kitchens: 1, PlannedUse: "RESIDENTIAL", Fitout: fitout,
		}
		f := &flat{areaC: area, byRoom: beds >= 2 && g.chance(0.12)}
		if f.byRoom {
			for n := range beds {
				u.Rooms = append(u.Rooms, desk.NewRoom{RoomNo: string(rune('A' + n)), Kind: "BEDROOM", Origin: unit.OriginDesigned, UsableAreaC: 900 + g.rnd.Int64N(700)})
			}
			u.Rooms = append(u.Rooms, desk.NewRoom{RoomNo: "K", Kind: "KITCHEN", Origin: unit.OriginDesigned, UsableAreaC: 500})
		}
		f.home = home{unit: e.unit, street: e.street, estate: e.effect, fitout: fitout, byRoom: f.byRoom, bands: domain.Home{
			AreaC: area, Floor: floor, Floors: e.floors, BuiltYear: e.built, MetroM: e.metro, OnYear: yearOf(g.truth.Start),
		}.Bands()}
		b.Units = append(b.Units, u)
		flats = append(flats, f)
	}
	_, units, _, err := g.o.Desk.RegisterBuilding(g.ctx, g.call(g.city), b)
	if err != nil {
		return err
	}
	for i, f := range flats {
		f.id = units[i].ID
		for n, r := range units[i].Rooms {
			if b.Units[i].Rooms[n].Kind == "BEDROOM" {
				f.rooms = append(f.rooms, room{id: r.ID, areaC: b.Units[i].Rooms[n].UsableAreaC})
			}
		}
		if err := g.ownFlat(f, e.owner); err != nil {
			return err
		}
		g.flats = append(g.flats, f)
		g.step()
	}
	return nil
}

// ownFlat gives the flat an owner, and a company for three in ten.
func (g *generator) ownFlat(f *flat, company *firm) (err error) {
	switch {
	case company != nil:
		f.owner, f.firm = company.member, company
	case len(g.private) > 0 && g.chance(0.2): // Some own several.
		f.owner = g.private[g.rnd.IntN(len(g.private))]
	default:
		if f.owner, err = g.person(domain.RoleLandlord); err != nil {
			return err
		}
		g.private = append(g.private, f.owner)
	}
	if company == nil && g.chance(0.3) {
		f.firm = g.firms[g.rnd.IntN(len(g.firms))]
	}
	if _, err := g.o.Desk.UnitAct(g.ctx, g.call(g.city), f.id, unit.RecordOwnership{
		Owners: []unit.Owner{{Party: f.owner.id, ShareBP: 10_000}}, TitleNo: fmt.Sprintf("苏(示例)不动产权第%07d号", len(g.flats)+1), From: g.truth.Start.AddDays(-40),
	}); err != nil {
		return err
	}
	if f.firm != nil && !f.firm.operator && company == nil {
		_, err = g.o.Desk.PartyAct(g.ctx, g.call(f.owner.actor), f.owner.id, true, party.GrantMandate{
			MandateID: "demo-" + f.id[:8], To: f.firm.id, Units: []string{f.id}, Until: g.o.Today.AddMonths(24),
			Scope: []string{party.ScopeList, party.ScopeSign, party.ScopeFile, party.ScopeCollect, party.ScopeManage},
		})
	}
	return err
}

// makeSubletter makes one person who rents flats and lets their rooms, more than nine of them (二房东, S-09).
func (g *generator) makeSubletter() error {
	m, err := g.person(domain.RoleLandlord)
	if err != nil {
		return err
	}
	g.subletter = &firm{member: m, operator: true}
	rooms := 0
	for _, f := range g.flats {
		if rooms >= 10 {
			break
		}
		if f.firm == nil && f.byRoom {
			f.firm = g.subletter
			rooms += len(f.rooms)
		}
	}
	return nil
}

func yearOf(d domain.Day) int { y, _, _ := d.Date(); return y }
