package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/party"
	"zujian/domain/unit"
)

// benchFlat is a home ready to be let once: owned, under its company's mandate, its tenant registered and verified. Tens of
// thousands of them live while the product is measured: there is nothing of their own in them that a collector would look at.
type benchFlat struct {
	unit, owner, tenant uuid.UUID
	key                 string // The company's.
	occupant            int    // Who will live there has this made-up identity number, see benchID.
}

const (
	benchCompanies = 4
	benchPerHouse  = 100 // Flats of one building.
	benchPerOwner  = 10
	benchFlatsMax  = 60_000
)

// benchWorld makes a register of its own with so many flats, through the desk.
type benchWorld struct {
	b       *bench
	h       *house
	streets []string
}

// makeBenchWorld fills a folder, makes it durable and closes it.
func makeBenchWorld(b *bench, g *globals, flats int) (_ []benchFlat, err error) {
	h, err := openHouse(g, openOptions{deferSync: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.log.Sync(), h.vault.Sync(), h.Close()) }()
	w := &benchWorld{b: b, h: h}
	today := domain.DayOf(g.Now())
	for _, s := range h.city.City.Streets {
		if _, ok := h.city.City.Street(s.Code, today); ok {
			w.streets = append(w.streets, s.Code)
		}
	}
	var keys, companies []string
	for i := range benchCompanies {
		id, key, err := w.company(i, today)
		if err != nil {
			return nil, fmt.Errorf("company %d: %w", i, err)
		}
		keys, companies = append(keys, key), append(companies, id)
	}
	out := make([]benchFlat, flats)
	work, ctx := errgroup.WithContext(b.ctx)
	work.SetLimit(4) // The desk waits for no disk here; more would only queue.
	for at := 0; at < flats; at += benchPerHouse {
		part, n := out[at:min(at+benchPerHouse, flats)], at
		work.Go(func() error {
			company := n / benchPerHouse % benchCompanies
			if err := errors.Join(ctx.Err(), w.house(part, n, companies[company], keys[company], today)); err != nil {
				return fmt.Errorf("building %d: %w", n/benchPerHouse, err)
			}
			return nil
		})
	}
	return out, work.Wait()
}

func (w *benchWorld) call(a domain.Actor) desk.Call {
	id := uuid.NewString()
	return desk.Call{ID: id, At: w.b.g.Now(), Actor: a, Correlation: id}
}

func (w *benchWorld) city() desk.Call {
	return w.call(domain.Actor{ID: "bench", Role: domain.RoleCity})
}

// company is a rental enterprise in good standing and a key of its own.
func (w *benchWorld) company(n int, today domain.Day) (id, key string, err error) {
	id, _, err = w.h.desk.RegisterParty(w.b.ctx, w.city(), desk.NewParty{
		Kind: party.KindOrg, OrgKind: party.OrgRentalEnterprise, Name: fmt.Sprintf("示例租赁%d", n), DocType: domain.DocUSCC, DocNo: benchUSCC(n),
		ScopeText: "住房租赁经营", LicenceIssued: today.AddDays(-20),
	})
	if err != nil {
		return "", "", err
	}
	opening := party.Opening{AdminCode: w.h.city.City.Units[0].Code, Place: "示例路 1 号", Operation: "MANAGED", Homes: 100, Staff: 10, LocalEntity: true}
	_, err1 := w.h.desk.PartyAct(w.b.ctx, w.city(), id, false, party.Verify{Level: 3, Method: party.MethodCounter})
	_, err2 := w.h.desk.PartyAct(w.b.ctx, w.call(domain.Actor{ID: id, Role: domain.RoleCompany, Party: id}), id, true, party.ReportOpening{Opening: opening})
	_, err3 := w.h.desk.PartyAct(w.b.ctx, w.city(), id, false, party.PublishOpening{})
	key, _, _, err4 := w.h.desk.IssueKey(w.b.ctx, w.city(), desk.NewKey{Role: domain.RoleCompany, Party: id, Expires: w.b.g.Now().Add(24 * time.Hour)})
	return id, key, errors.Join(err1, err2, err3, err4)
}

// person is a verified natural person. Birth years of the 1880s: nobody living is meant.
func (w *benchWorld) person(n int) (string, error) {
	id, _, err := w.h.desk.RegisterParty(w.b.ctx, w.city(), desk.NewParty{
		Kind: party.KindPerson, Name: "示例", DocType: domain.DocCNID, DocNo: benchID(n), Phone: fmt.Sprintf("138%08d", n),
	})
	if err != nil {
		return "", err
	}
	_, err = w.h.desk.PartyAct(w.b.ctx, w.city(), id, false, party.Verify{Level: 2, Method: party.MethodIDNameMatch})
	return id, err
}

// house is one building with its flats, owners, mandates and tenants. Flat number n of the world is its first.
func (w *benchWorld) house(flats []benchFlat, n int, company, key string, today domain.Day) error {
	in := desk.NewBuilding{
		Estate: fmt.Sprintf("示例苑%d", n), BuildingNo: "1", Street: w.streets[n/benchPerHouse%len(w.streets)], Address: "示例大道 1 号",
		BuiltYear: 2010, Floors: 25, MetroM: 800,
	}
	for i := range flats {
		in.Units = append(in.Units, desk.NewUnit{
			UnitNo: fmt.Sprintf("%d%02d", i/4+1, i%4+1), Floor: i/4 + 1, GrossAreaC: 8912, InnerAreaC: 7100, Bedrooms: 2, LivingRooms: 1,
			Bathrooms: 1, Kitchens: 1, PlannedUse: "RESIDENTIAL", Fitout: "FULL",
		})
	}
	_, units, _, err := w.h.desk.RegisterBuilding(w.b.ctx, w.city(), in)
	if err != nil {
		return err
	}
	for from := 0; from < len(flats); from += benchPerOwner {
		to := min(from+benchPerOwner, len(flats))
		owner, err := w.person(3 * (n + from))
		if err != nil {
			return err
		}
		var ids []string
		for i := from; i < to; i++ {
			f := &flats[i]
			home := units[i].ID
			tenant, err := w.person(3*(n+i) + 1)
			if err != nil {
				return err
			}
			*f = benchFlat{unit: uuid.MustParse(home), owner: uuid.MustParse(owner), tenant: uuid.MustParse(tenant), key: key, occupant: 3*(n+i) + 2}
			ids = append(ids, home)
			if _, err := w.h.desk.UnitAct(w.b.ctx, w.city(), home, unit.RecordOwnership{
				Owners: []unit.Owner{{Party: owner, ShareBP: 10_000}}, TitleNo: fmt.Sprintf("示例%07d", n+i), From: today.AddDays(-1000),
			}); err != nil {
				return err
			}
		}
		actor := domain.Actor{ID: owner, Role: domain.RoleLandlord, Party: owner}
		if _, err := w.h.desk.PartyAct(w.b.ctx, w.call(actor), owner, true, party.GrantMandate{
			MandateID: "bench-" + owner, To: company, Units: ids, Until: today.AddMonths(24), Scope: []string{party.ScopeSign, party.ScopeFile},
		}); err != nil {
			return err
		}
	}
	return nil
}

// benchID is the n-th made-up identity number: a date of the 1880s, a serial and its check digit (GB 11643).
func benchID(n int) string {
	day, serial := domain.Date(1880, time.January, 1).AddDays(n%3600), n/3600%999+1
	district := []string{"320102", "320104", "320105", "320106", "320111", "320113"}[n/3600/999%6]
	y, m, d := day.Date()
	body := fmt.Sprintf("%s%04d%02d%02d%03d", district, y, m, d, serial)
	sum := 0
	for i, weight := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(body[i]-'0') * weight
	}
	return body + "10X98765432"[sum%11:][:1]
}

// benchUSCC is the n-th made-up unified social credit code (GB 32100): its organisation code and both check characters.
func benchUSCC(n int) string {
	const symbols = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	value := func(c byte) int {
		for i := range symbols {
			if symbols[i] == c {
				return i
			}
		}
		return 0
	}
	inner, sum := fmt.Sprintf("9%07d", n), 0
	for i, weight := range [8]int{3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(inner[i]-'0') * weight
	}
	body := "91320100" + inner + "0123456789X"[(11-sum%11)%11:][:1]
	sum = 0
	for i, weight := range [17]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28} {
		sum += value(body[i]) * weight
	}
	return body + symbols[(31-sum%31)%31:][:1]
}

// below gives a copy of the globals whose data folder is one of the run's own.
func (b *bench) below(name string) *globals {
	g := *b.g
	g.Data = filepath.Join(b.dir, name)
	return &g
}
