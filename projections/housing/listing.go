package housing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"zujian/domain"
	"zujian/domain/listing"
	"zujian/projections"
)

type listingRow struct {
	State       listing.State     `json:"state"`
	Submitted   domain.Day        `json:"submitted,omitzero"` // First times.
	Verified    domain.Day        `json:"verified,omitzero"`
	Published   domain.Day        `json:"published,omitzero"`
	EndedOn     domain.Day        `json:"ended_on,omitzero"`
	Submissions int               `json:"submissions,omitempty"`
	SubmittedAt time.Time         `json:"submitted_at,omitzero"` // The last time.
	Minutes     *int64            `json:"minutes,omitempty"`     // From there to the first verification.
	Rejections  int               `json:"rejections,omitempty"`
	Duplicates  int               `json:"duplicates,omitempty"` // Times L-06 stopped it.
	Revisions   []revision        `json:"revisions,omitempty"`
	ObjectedOn  domain.Day        `json:"objected_on,omitzero"`
	Overturned  bool              `json:"overturned,omitempty"`
	Trail       projections.Trail `json:"trail"`
}

// Packed implements projections.Packed.
func (listingRow) Packed() {}

// revision is one change of the asking rent of a listing that had been published.
type revision struct {
	Month domain.Month `json:"month"`
	Up    bool         `json:"up,omitempty"`
}

const revisionsMax = 100 // Of one listing; what is revised more often is not counted further.

func (w *work) listing(ctx context.Context, e projections.Event, ev listing.Event) error {
	id := projections.ID(e.Stream)
	key := projections.Key(keyListing, id)
	before, err := projections.GetOwn[listingRow](ctx, w.View, key, e)
	if err != nil {
		return err
	}
	after, on := before, domain.DayOf(e.Meta.At)
	after.State, after.Trail = listing.Decider.Evolve(before.State, ev), before.Trail.Add(e)
	switch ev := ev.(type) {
	case listing.Drafted: // Its place is known at the submission; until then, from the unit.
		u, err := projections.Get[unitRow](ctx, w.View, projections.Key(keyUnit, after.State.Offer.Unit))
		if err != nil {
			return err
		}
		h := u.State.Home
		after.State.Place = listing.Submitted{Building: h.Building, AdminCode: h.AdminCode, ReportUnit: h.ReportUnit, Street: h.Street, Address: h.Address}
	case listing.Edited:
		if was := before.State.Offer.RentFen; !before.Published.IsZero() && ev.RentFen != was && len(before.Revisions) < revisionsMax {
			after.Revisions = append(slices.Clone(before.Revisions), revision{Month: on.Month(), Up: ev.RentFen > was})
		}
	case listing.Submitted:
		after.Submitted, after.Submissions, after.SubmittedAt = orDay(after.Submitted, on), after.Submissions+1, e.Meta.At
	case listing.Verified:
		after.Verified = orDay(after.Verified, on)
		if after.Minutes == nil && !after.SubmittedAt.IsZero() {
			minutes := min(max(0, int64(e.Meta.At.Sub(after.SubmittedAt)/time.Minute)), minutesMax)
			after.Minutes = &minutes
		}
	case listing.Published:
		after.Published = orDay(after.Published, on)
	case listing.Rejected:
		after.Rejections++
		after.Duplicates += stopped(ev.Rules)
	case listing.Held:
		after.Duplicates += stopped(ev.Rules)
	case listing.Objected:
		after.ObjectedOn = on
	case listing.ObjectionDecided:
		after.Overturned = ev.Upheld
	}
	if after.State.Ended() {
		after.EndedOn = orDay(after.EndedOn, on)
	}
	projections.Put(w.View, key, after)
	w.listings.Changed(key, before, after)
	if err := w.stands(ctx, after.locality()); err != nil {
		return err
	}
	if before.State.Code == after.State.Code {
		return nil
	}
	return codeEffect(id, after).Replace(ctx, w.View, codeEffect(id, before))
}

func (r listingRow) locality() locality {
	p := r.State.Place
	return locality{p.AdminCode, p.ReportUnit, p.Street}
}

// codeEffect is how a listing is found by its verification code.
func codeEffect(id string, r listingRow) (e projections.Effect) {
	if r.State.Code != "" {
		e.Mark(projections.Key(keyCode, r.State.Code), id)
	}
	return e
}

const minutesMax = 999_999 // Longer waits count as this long.

// stopped is 1 when the rule on double listings (L-06) fired.
func stopped(v domain.Verdict) int {
	if slices.ContainsFunc(v.Fired(), func(r *domain.RuleResult) bool { return r.Rule == "L-06" }) {
		return 1
	}
	return 0
}

func orDay(have, now domain.Day) domain.Day {
	if have.IsZero() {
		return now
	}
	return have
}

func listingEffect(r listingRow) (e projections.Effect) {
	if r.Trail.Events == 0 {
		return e
	}
	id, s, l := projections.ID(r.Trail.Stream), r.State, r.locality()
	e.Mark(projections.Key(keyOfUnit, s.Offer.Unit, id), "")
	for _, p := range listingParties(s) {
		e.Mark(projections.Key(keyOfParty, p, id), "")
	}
	if s.Stage == listing.StagePublished {
		e.Sum(projections.Key(keyShown, s.Offer.Unit), "published", 1)
	}
	e.Over(l.areas())
	e.Mark(l.key(keyOfArea, string(s.Stage), id), "")
	e.SumEach(keyStock, "", "listings_"+string(s.Stage), 1)
	flow := func(day domain.Day, counter string, n int64) { e.SumEach(keyFlow, day.Month().String(), counter, n) }
	for _, first := range [...]struct {
		counter string
		day     domain.Day
	}{{"listings_submitted", r.Submitted}, {"listings_verified", r.Verified}, {"listings_published", r.Published}} {
		if !first.day.IsZero() {
			flow(first.day, first.counter, 1)
		}
	}
	if !r.EndedOn.IsZero() {
		flow(r.EndedOn, "listings_ended_"+string(s.Stage), 1)
	}
	if r.Rejections > 0 {
		flow(r.Submitted, "listings_rejections", int64(r.Rejections))
	}
	if r.Duplicates > 0 {
		flow(r.Submitted, "listings_duplicates_stopped", int64(r.Duplicates))
	}
	if !r.ObjectedOn.IsZero() {
		flow(r.ObjectedOn, "listings_objections", 1)
		if r.Overturned {
			flow(r.ObjectedOn, "listings_objections_upheld", 1)
		}
	}
	if r.Minutes != nil {
		e.SumEach(keyMinutes, projections.Key(r.Verified.Month().String(), fmt.Sprintf("%06d", *r.Minutes)), "n", 1)
	}
	if s.Stage == listing.StagePublished && !s.ValidUntil.IsZero() {
		e.SumEach(keyValid, s.ValidUntil.String(), "n", 1)
	}
	r.onMarket(&e)
	return e
}

// daysOnMarketMax bounds the days counted one by one; longer waits count as this many.
const daysOnMarketMax = 999

// onMarket adds a listing's time on the market to the figures of its areas: from its first publication until it ended.
func (r listingRow) onMarket(e *projections.Effect) {
	if r.Published.IsZero() {
		return
	}
	e.SumEach(keyMarket, r.Published.Month().String(), "n", 1)
	if !r.EndedOn.IsZero() {
		e.SumEach(keyMarket, r.EndedOn.Month().String(), "n", -1)
	}
	if r.State.Stage == listing.StageLet {
		days := min(max(0, int(r.EndedOn-r.Published)), daysOnMarketMax)
		e.SumEach(keyMarketFor, projections.Key(r.EndedOn.Month().String(), fmt.Sprintf("%03d", days)), "n", 1)
	}
	for _, x := range r.Revisions {
		name := "listings_rent_down"
		if x.Up {
			name = "listings_rent_up"
		}
		e.SumEach(keyFlow, x.Month.String(), name, 1)
	}
}

func listingParties(s listing.State) []string {
	all := []string{s.Offer.Publisher, s.Offer.Owner}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(p string) bool { return p == "" })
}

// Listing is one listing (房源) as the board shows it.
type Listing struct {
	ID          string            `json:"id"`
	State       listing.Stage     `json:"state"`
	Unit        string            `json:"unit"`
	Rooms       []string          `json:"rooms,omitempty"`
	LetMode     string            `json:"let_mode"`
	Publisher   string            `json:"publisher"`
	Role        string            `json:"publisher_role"`
	Owner       string            `json:"owner,omitempty"`
	RentFen     domain.Fen        `json:"rent_fen"`
	DepositFen  domain.Fen        `json:"deposit_fen,omitzero"`
	AreaC       int64             `json:"area_c,omitzero"`
	Available   domain.Day        `json:"available_from,omitzero"`
	Channels    []string          `json:"channels,omitempty"`
	Text        string            `json:"text,omitempty"`
	Code        string            `json:"code,omitempty"`
	ValidUntil  domain.Day        `json:"valid_until,omitzero"`
	Building    string            `json:"building,omitempty"`
	Address     string            `json:"address,omitempty"` // To building level.
	AdminCode   string            `json:"admin_code,omitempty"`
	ReportUnit  string            `json:"report_unit,omitempty"`
	Street      string            `json:"street,omitempty"`
	Submitted   domain.Day        `json:"submitted,omitzero"`
	Verified    domain.Day        `json:"verified,omitzero"`
	Published   domain.Day        `json:"published,omitzero"`
	EndedOn     domain.Day        `json:"ended_on,omitzero"`
	Reasons     []string          `json:"reasons,omitempty"` // Of a rejection.
	Contract    string            `json:"contract,omitempty"`
	SuspendedBy string            `json:"suspended_cause,omitempty"`
	Trail       projections.Trail `json:"trail"`
}

func listingOf(id string, r listingRow) Listing {
	s, o, p := r.State, r.State.Offer, r.State.Place
	l := Listing{
		ID: id, State: s.Stage, Unit: o.Unit, Rooms: o.Rooms, LetMode: o.LetMode, Publisher: o.Publisher, Role: o.PublisherRole, Owner: o.Owner,
		RentFen: o.RentFen, DepositFen: o.DepositFen, AreaC: o.AreaC, Available: o.AvailableFrom, Channels: o.Channels, Text: o.Text,
		Code: s.Code, ValidUntil: s.ValidUntil, Building: p.Building, Address: p.Address, AdminCode: p.AdminCode, ReportUnit: p.ReportUnit,
		Street: p.Street, Submitted: r.Submitted, Verified: r.Verified, Published: r.Published, EndedOn: r.EndedOn, Contract: s.Contract, Trail: r.Trail,
	}
	switch s.Stage {
	case listing.StageRejected, listing.StageObjected:
		l.Reasons = s.Rejected.Reasons
	case listing.StageSuspended:
		l.SuspendedBy = s.Suspended.Cause
	}
	return l
}

// ListingByCode finds a listing by its verification code (核验码): public, whatever its state.
func ListingByCode(ctx context.Context, r projections.Reader, code string) (Listing, bool, error) {
	id, ok, err := r.Get(ctx, projections.Key(keyCode, code))
	if err != nil || !ok {
		return Listing{}, false, err
	}
	return ListingOf(ctx, r, projections.Scope{All: true}, string(id))
}

// ListingOf reads one listing.
func ListingOf(ctx context.Context, r projections.Reader, s projections.Scope, id string) (Listing, bool, error) {
	row, err := projections.Get[listingRow](ctx, r, projections.Key(keyListing, id))
	if err != nil || row.Trail.Events == 0 || !s.Sees(row.locality().place(), listingParties(row.State), "") {
		return Listing{}, false, err
	}
	return listingOf(id, row), true, nil
}

// ListingFilter narrows Listings.
type ListingFilter struct {
	Unit, Party, Area string
	State             listing.Stage
}

// Listings lists by unit, party or area (and state), by the caller's own index when the scope is narrow.
func Listings(ctx context.Context, r projections.Reader, s projections.Scope, f ListingFilter, p projections.Page) ([]Listing, string, error) {
	prefixes, err := [][]string{{keyListing}}, error(nil)
	switch {
	case f.Unit != "":
		prefixes = [][]string{{keyOfUnit, f.Unit}}
	case f.Party != "":
		prefixes = [][]string{{keyOfParty, f.Party}}
	case !s.All && s.Party != "":
		prefixes = [][]string{{keyOfParty, s.Party}}
	case f.Area != "" || (!s.All && s.District != ""):
		area := f.Area
		if area == "" {
			area = s.District
		}
		var of []string
		if f.State != "" {
			of = append(of, string(f.State))
		}
		prefixes, err = inArea(ctx, r, keyOfArea, area, of...)
	}
	if err != nil {
		return nil, "", err
	}
	return projections.ListBetween(ctx, r, prefixes, "", "", false, p, func(pair projections.Pair) (Listing, bool, error) {
		l, ok, err := ListingOf(ctx, r, s, projections.Tail(pair.Key))
		in := f.Area == "" || slices.Contains(locality{l.AdminCode, l.ReportUnit, l.Street}.areas(), f.Area)
		return l, ok && in && (f.State == "" || l.State == f.State) && (f.Party == "" || l.Publisher == f.Party || l.Owner == f.Party), err
	})
}
