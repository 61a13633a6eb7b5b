package desk

import (
	"context"
	"errors"
	"strconv"
	"time"

	"zujian/domain"
	"zujian/domain/claim"
	"zujian/domain/listing"
	"zujian/domain/party"
	"zujian/domain/unit"
)

func itoa(n int) string { return strconv.Itoa(n) }

// claimCode is the kind of claim that leads from a verification code to its listing.
const claimCode = "code"

func listingRow(s listing.State) Row {
	return Row{District: s.Place.AdminCode, Unit: s.Place.ReportUnit, Parties: []string{s.Offer.Publisher, s.Offer.Owner}}
}

// DraftListing creates a listing of the caller's: an owner's own home, a company's or broker's by mandate or HEAD contract.
func (d *Desk) DraftListing(ctx context.Context, call Call, offer listing.Offer) (string, Receipt, error) {
	_, _, found, err := load(ctx, d, unit.Decider, offer.Unit)
	if err != nil {
		return "", Receipt{}, err
	}
	if !found {
		return "", Receipt{}, unit.ErrNotFound.At("/unit_id")
	}
	if offer, err = d.ownOffer(ctx, call, offer); err != nil {
		return "", Receipt{}, err
	}
	id := derive("listing", call.ID)
	r, err := exec(ctx, d, call, listing.Decider, id, listing.Command(listing.Draft{Offer: offer}))
	return id, r, err
}

// ownOffer fills in who publishes, from the caller's key.
func (d *Desk) ownOffer(ctx context.Context, call Call, offer listing.Offer) (listing.Offer, error) {
	switch call.Actor.Role {
	case domain.RoleLandlord, domain.RoleTenant:
		offer.PublisherRole = listing.PublisherOwner
	case domain.RoleCompany:
		offer.PublisherRole = listing.PublisherCompany
	case domain.RoleBroker:
		offer.PublisherRole = listing.PublisherBroker
	default:
		return offer, ErrForbidden
	}
	offer.Publisher = call.Actor.Party
	if offer.Owner == "" {
		u, _, _, err := load(ctx, d, unit.Decider, offer.Unit)
		if err != nil {
			return offer, err
		}
		owners := u.OwnersOn(domain.DayOf(call.At))
		switch {
		case owns(u, offer.Publisher, domain.DayOf(call.At)) || len(owners) == 0:
			offer.Owner = offer.Publisher
		default:
			offer.Owner = owners[0].Party
		}
	}
	if err := d.mustBank(ctx, offer.AccountRef.Bank, "/account/bank_party_id"); err != nil {
		return offer, err
	}
	return offer, d.mustParty(ctx, offer.Owner, "/owner_id")
}

// Listing reads one listing.
func (d *Desk) Listing(ctx context.Context, actor domain.Actor, id string, asOf time.Time) (listing.State, Receipt, error) {
	return view(ctx, d, actor, listing.Decider, id, asOf, func(s listing.State) (Row, bool) { return listingRow(s), false })
}

// publisherOf loads a listing for an act of its publisher.
func (d *Desk) publisherOf(ctx context.Context, call Call, id string) (listing.State, error) {
	s, _, err := d.Listing(ctx, call.Actor, id, time.Time{})
	if err != nil {
		return s, err
	}
	if s.Offer.Publisher != call.Actor.Party {
		return s, ErrForbidden
	}
	return s, nil
}

// EditListing replaces the offer of the caller's own listing.
func (d *Desk) EditListing(ctx context.Context, call Call, id string, offer listing.Offer) (Receipt, error) {
	s, err := d.publisherOf(ctx, call, id)
	if err != nil {
		return Receipt{}, err
	}
	offer.Unit, offer.Publisher, offer.PublisherRole = s.Offer.Unit, s.Offer.Publisher, s.Offer.PublisherRole
	if offer.Owner == "" {
		offer.Owner = s.Offer.Owner
	}
	if err := d.mustBank(ctx, offer.AccountRef.Bank, "/account/bank_party_id"); err != nil {
		return Receipt{}, err
	}
	return exec(ctx, d, call, listing.Decider, id, listing.Command(listing.Edit{Offer: offer}))
}

// publisherBefore is publisherOf for what writes elsewhere before the listing: the caller's own expectation of it holds.
func (d *Desk) publisherBefore(ctx context.Context, call Call, id string) (listing.State, error) {
	s, err := d.publisherOf(ctx, call, id)
	if err == nil {
		err = expected(ctx, d, call, listing.Decider, id)
	}
	return s, err
}

// SubmitListing asks for verification; when every check passes the listing has its code at once.
func (d *Desk) SubmitListing(ctx context.Context, call Call, id string) (listing.State, Receipt, error) {
	s, err := d.publisherBefore(ctx, call, id)
	if err != nil {
		return s, Receipt{}, err
	}
	facts, err := d.listingFacts(ctx, call, s.Offer, d.bookInForce)
	if err != nil {
		return s, Receipt{}, err
	}
	code, until, err := d.newCode(ctx, call, id, facts.Unit.AdminCode)
	if err != nil {
		return s, Receipt{}, err
	}
	r, err := exec(ctx, d, call, listing.Decider, id, listing.Command(listing.Submit{Facts: facts, Code: code, ValidUntil: until}))
	if err != nil {
		return s, r, err
	}
	s, _, _, err = load(ctx, d, listing.Decider, id)
	return s, r, err
}

// newCode takes a verification code and claims it for the listing, so that the code leads back without any view.
func (d *Desk) newCode(ctx context.Context, call Call, id, district string) (string, domain.Day, error) {
	today := domain.DayOf(call.At)
	code, err := d.number(ctx, call, numberVerification, district, today.Month())
	if err != nil {
		return "", 0, err
	}
	if _, err := d.claim(ctx, call, claimCode, code, id); err != nil {
		return "", 0, err
	}
	policy, err := d.Policy(ctx)
	if err != nil {
		return "", 0, err
	}
	return code, codeUntil(policy, today), nil
}

// codeUntil is the last day of a code taken today.
func codeUntil(policy domain.Policy, today domain.Day) domain.Day {
	days, ok := policy.Param("L-02", "valid_days", today)
	if !ok {
		days = 60 // What the rule ships with.
	}
	return today.AddDays(int(days))
}

// listingFacts copies what a verification needs of the unit, the publisher and the owner, and the guidance price.
func (d *Desk) listingFacts(ctx context.Context, call Call, o listing.Offer, in priceBook) (listing.Facts, error) {
	today := domain.DayOf(call.At)
	u, _, _, err := load(ctx, d, unit.Decider, o.Unit)
	if err != nil {
		return listing.Facts{}, err
	}
	f := listing.Facts{Unit: listing.UnitFacts{
		Building: u.Home.Building, AdminCode: u.Home.AdminCode, ReportUnit: u.Home.ReportUnit, Street: u.Home.Street,
		Address: u.Home.Address, GrossAreaC: u.Home.GrossAreaC, InnerAreaC: u.Home.InnerAreaC, PlannedUse: u.Home.PlannedUse,
		ConversionApproved: u.Conversion != "", Incomplete: u.Home.Incomplete, LandKind: u.Home.LandKind,
		SafetyGrade: u.Safety.Grade, Flags: u.Flags, Retired: u.Stage != unit.StageActive,
	}}
	for _, r := range u.Rooms {
		f.Unit.Rooms = append(f.Unit.Rooms, listing.RoomFacts{ID: r.ID, Kind: r.Kind, Origin: r.Origin, UsableAreaC: r.UsableAreaC})
	}
	publisher, owner, err := d.listingParties(ctx, o)
	if err != nil {
		return f, err
	}
	f.Publisher, f.Owner = listingPartyFacts(publisher), listingPartyFacts(owner)
	if err := d.listingRights(ctx, &f, o, u, owner, today); err != nil {
		return f, err
	}
	acc, err := d.accountOf(ctx, o.Publisher, publisher.Registered.OrgKind)
	if err != nil {
		return f, err
	}
	if acc.InForce() {
		f.Publisher.EscrowAccounts = 1
	}
	f.Let = letOn(u, o.Rooms, max(today, o.AvailableFrom))
	f.Guidance, err = d.listingPrice(ctx, o, f.Unit, u.Home.Fitout, today, in)
	return f, err
}

// listingRights copies by what right a home is offered on a day: who owns it, who rents it whole, whether there is a mandate.
func (d *Desk) listingRights(ctx context.Context, f *listing.Facts, o listing.Offer, u unit.State, owner party.State, today domain.Day) error {
	for _, w := range u.OwnersOn(today) {
		f.Unit.Owners = append(f.Unit.Owners, w.Party)
	}
	f.Mandated = o.Publisher == o.Owner || owner.Mandated(o.Publisher, party.ScopeList, o.Unit, today)
	if head, ok := u.HeadOn(max(today, o.AvailableFrom)); ok {
		c, err := d.contractState(ctx, head.Contract)
		if err != nil {
			return err
		}
		f.HeadContract = head.Contract
		if len(c.Terms.Lessees) > 0 {
			f.HeadLessee = c.Terms.Lessees[0].Party
		}
		f.Mandated = f.Mandated || f.HeadLessee == o.Publisher // The operator lets what it rents.
	}
	return nil
}

func (d *Desk) listingParties(ctx context.Context, o listing.Offer) (publisher, owner party.State, err error) {
	if publisher, _, _, err = load(ctx, d, party.Decider, o.Publisher); err != nil {
		return publisher, owner, err
	}
	owner, _, _, err = load(ctx, d, party.Decider, o.Owner)
	return publisher, owner, err
}

func listingPartyFacts(s party.State) listing.PartyFacts {
	f := listing.PartyFacts{
		Kind: s.Registered.Kind, OrgKind: s.Registered.OrgKind, Level: s.Level, Suspended: s.IsSuspended,
		OpeningReported: s.OpeningReported(), LicenceIssued: s.Registered.LicenceIssued, ScopeText: s.ScopeText,
		EntityRegistered: s.Registered.Kind != party.KindPerson,
	}
	if s.Gone() {
		f.Level = 0 // Nobody is behind it whose identity was verified.
	}
	return f
}

// PublishListing makes a verified listing public.
func (d *Desk) PublishListing(ctx context.Context, call Call, id string) (Receipt, error) {
	s, err := d.publisherBefore(ctx, call, id)
	if err != nil {
		return Receipt{}, err
	}
	facts, err := d.listingFacts(ctx, call, s.Offer, d.bookInForce)
	if err != nil {
		return Receipt{}, err
	}
	if s.Offer.PublisherRole == listing.PublisherBroker {
		d.showing.Lock()
		defer d.showing.Unlock()
	}
	if err := d.claimChannels(ctx, call, id, s.Offer); err != nil {
		return Receipt{}, err
	}
	return exec(ctx, d, call, listing.Decider, id, listing.Command(listing.Publish{Facts: facts}))
}

// ListingAct is any other act of the publisher (withdraw, suspend, resume, object).
func (d *Desk) ListingAct(ctx context.Context, call Call, id string, cmd listing.Command) (Receipt, error) {
	s, err := d.publisherOf(ctx, call, id)
	if err != nil {
		return Receipt{}, err
	}
	r, err := exec(ctx, d, call, listing.Decider, id, cmd)
	if err == nil {
		err = d.releaseChannels(ctx, call, id, s.Offer)
	}
	return r, err
}

// ErrDuplicate is L-05: one live listing of a space per brokerage and platform.
var ErrDuplicate = domain.Reject("listing.duplicate", "the brokerage already shows this home on this platform")

// channelClaims are the claims that keep L-05: one per platform of a broker's listing.
func channelClaims(o listing.Offer) []string {
	if o.PublisherRole != listing.PublisherBroker {
		return nil
	}
	channels := o.Channels
	if len(channels) == 0 {
		channels = []string{""}
	}
	claims := make([]string, 0, len(channels))
	for _, channel := range channels {
		claims = append(claims, o.Unit+"."+o.Publisher+"."+derive("channel", channel)[:8])
	}
	return claims
}

func (d *Desk) claimChannels(ctx context.Context, call Call, id string, o listing.Offer) error {
	for _, value := range channelClaims(o) {
		holder, err := d.claim(ctx, call, "listing", value, id)
		if err != nil {
			return err
		}
		if holder == id {
			continue
		}
		other, _, _, err := load(ctx, d, listing.Decider, holder)
		if err != nil {
			return err
		}
		shown := other.Stage == listing.StagePublished || other.Stage == listing.StageSuspended
		if shown && contains(channelClaims(other.Offer), value) {
			return ErrDuplicate
		}
		cid := "listing." + value // The holder never got to publishing, has ended, or is shown elsewhere by now.
		if _, err := exec(ctx, d, call.step("free "+cid), claim.Decider, cid, claim.Command(claim.Release{Holder: holder})); err != nil {
			return err
		}
		if holder, err = d.claim(ctx, call.step("again"), "listing", value, id); err != nil || holder != id {
			return errors.Join(err, ErrDuplicate)
		}
	}
	return nil
}

// releaseChannels gives the claims of an ended listing back; a live one keeps them.
func (d *Desk) releaseChannels(ctx context.Context, call Call, id string, o listing.Offer) error {
	s, _, _, err := load(ctx, d, listing.Decider, id)
	if err != nil || !s.Ended() {
		return err
	}
	for _, value := range channelClaims(o) {
		cid := "listing." + value
		if _, err := exec(ctx, d, call.step("release "+cid), claim.Decider, cid, claim.Command(claim.Release{Holder: id})); err != nil {
			return err
		}
	}
	return nil
}

// ReviewListing is the district's decision on a held listing or an objection: cmd gets its code here when it accepts.
func (d *Desk) ReviewListing(ctx context.Context, call Call, id string, accept bool, reason string, objection bool) (Receipt, error) {
	s, _, err := d.Listing(ctx, call.Actor, id, time.Time{})
	if err != nil {
		return Receipt{}, err
	}
	code, until := "", domain.Day(0)
	if accept {
		if code, until, err = d.newCode(ctx, call, id, s.Place.AdminCode); err != nil {
			return Receipt{}, err
		}
	}
	var cmd listing.Command = listing.Review{Accept: accept, Code: code, ValidUntil: until, Reason: reason}
	if objection {
		cmd = listing.DecideObjection{Uphold: accept, Code: code, ValidUntil: until, Reason: reason}
	}
	return exec(ctx, d, call, listing.Decider, id, cmd)
}

// AuthorityListing is an act of the authority: revoke, suspend, resume.
func (d *Desk) AuthorityListing(ctx context.Context, call Call, id string, cmd listing.Command) (Receipt, error) {
	s, _, err := d.Listing(ctx, call.Actor, id, time.Time{})
	if err != nil {
		return Receipt{}, err
	}
	r, err := exec(ctx, d, call, listing.Decider, id, cmd)
	if err == nil {
		err = d.releaseChannels(ctx, call, id, s.Offer)
	}
	return r, err
}

// RenewCode gives the caller's listing a fresh code before or after the old one ends.
func (d *Desk) RenewCode(ctx context.Context, call Call, id string) (listing.State, Receipt, error) {
	s, err := d.publisherBefore(ctx, call, id)
	if err != nil {
		return s, Receipt{}, err
	}
	code, until, err := d.newCode(ctx, call, id, s.Place.AdminCode)
	if err != nil {
		return s, Receipt{}, err
	}
	r, err := exec(ctx, d, call, listing.Decider, id, listing.Command(listing.Renew{Code: code, ValidUntil: until}))
	if err != nil {
		return s, r, err
	}
	s, _, _, err = load(ctx, d, listing.Decider, id)
	return s, r, err
}

// Verification is what the public learns of a code: the home, and who is letting it.
type Verification struct {
	Code       string
	State      string // PUBLISHED, VERIFIED, SUSPENDED, EXPIRED, LET, WITHDRAWN, REVOKED, SUPERSEDED
	Genuine    bool   // The listing is public now: its code is current and its home free.
	Address    string // To building level.
	ReportUnit string
	AreaC      int64
	Bedrooms   int
	LetMode    string
	RentFen    domain.Fen
	DepositFen domain.Fen
	PayCycle   int
	ValidUntil domain.Day
	Mortgaged  bool

	Publisher     string // Public name of an organisation; a masked name of a person.
	PublisherKind string // OWNER, COMPANY, BROKER
	PublisherOK   bool   // Verified identity, not suspended, still entitled to let it; an organisation's opening report published.
	AccountBank   string // Public name of the supervising bank.
	AccountLast4  string

	CheckedAt time.Time
}

// Verify answers for a verification code. Unknown and malformed codes are ErrNotFound alike.
func (d *Desk) Verify(ctx context.Context, code string, now time.Time) (Verification, error) {
	if !domain.ValidNumber(code) {
		return Verification{}, ErrNotFound
	}
	c, _, found, err := load(ctx, d, claim.Decider, claimCode+"."+code)
	if err != nil || !found || c.Holder == "" {
		return Verification{}, orNotFound(err)
	}
	s, _, found, err := load(ctx, d, listing.Decider, c.Holder)
	if err != nil || !found || s.Code == "" && !s.Recalled {
		return Verification{}, orNotFound(err)
	}
	today := domain.DayOf(now)
	u, _, _, err := load(ctx, d, unit.Decider, s.Offer.Unit)
	if err != nil {
		return Verification{}, err
	}
	publisher, owner, err := d.listingParties(ctx, s.Offer)
	if err != nil {
		return Verification{}, err
	}
	rights := listing.Facts{Publisher: listingPartyFacts(publisher), Owner: listingPartyFacts(owner)}
	if err := d.listingRights(ctx, &rights, s.Offer, u, owner, today); err != nil {
		return Verification{}, err
	}
	v := Verification{
		Code: code, State: publicState(s, u, code, today), Address: u.Home.Address, ReportUnit: u.Home.ReportUnit, AreaC: s.Offer.AreaC,
		Bedrooms: u.Home.Bedrooms, LetMode: s.Offer.LetMode, RentFen: s.Offer.RentFen, DepositFen: s.Offer.DepositFen,
		PayCycle: s.Offer.PayCycleMonths, ValidUntil: s.ValidUntil, PublisherKind: s.Offer.PublisherRole, CheckedAt: now,
		AccountLast4: s.Offer.AccountRef.Last4,
		PublisherOK: publisher.Level >= 2 && !publisher.IsSuspended && !publisher.Gone() && s.Entitled(rights) &&
			(publisher.Registered.Kind == party.KindPerson || publisher.OpeningReported()),
	}
	if v.AreaC == 0 {
		v.AreaC = u.Home.GrossAreaC
	}
	for _, f := range u.Flags {
		v.Mortgaged = v.Mortgaged || f == unit.FlagMortgaged
	}
	v.Genuine = v.State == "PUBLISHED" && v.PublisherOK
	if v.Publisher, err = d.publicName(ctx, s.Offer.Publisher, publisher); err != nil {
		return v, err
	}
	if bank := s.Offer.AccountRef.Bank; bank != "" {
		b, _, _, err := load(ctx, d, party.Decider, bank)
		if err != nil {
			return v, err
		}
		v.AccountBank = b.OrgName
	}
	return v, nil
}

// letOn says whether an OUT contract holds the space, or a part of it, on a day.
func letOn(u unit.State, rooms []string, on domain.Day) bool {
	for _, o := range u.OccupiedOn(on) {
		if o.Kind != unit.KindOut {
			continue
		}
		if len(rooms) == 0 || len(o.Rooms) == 0 {
			return true
		}
		for _, r := range rooms {
			if contains(o.Rooms, r) {
				return true
			}
		}
	}
	return false
}

// publicState is what the public is told a code is worth today.
// A home that is let is said to be, even before the listing was ended for it.
func publicState(s listing.State, u unit.State, code string, today domain.Day) string {
	switch {
	case s.Code != code:
		return "SUPERSEDED"
	case !s.Ended() && letOn(u, s.Offer.Rooms, max(today, s.Offer.AvailableFrom)):
		return string(listing.StageLet)
	case !s.Ended() && !s.ValidUntil.IsZero() && today > s.ValidUntil:
		return "EXPIRED"
	case s.Stage == listing.StageHeld || s.Stage == listing.StageObjected: // At publication, and what followed.
		return string(listing.StageSuspended)
	case s.Stage == listing.StageRejected:
		return string(listing.StageRevoked)
	}
	return string(s.Stage)
}
