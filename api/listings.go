package api

import (
	"context"
	"net/http"
	"time"

	"zujian/api/desk"
	"zujian/domain/listing"
)

func accountRef(a AccountRef) listing.AccountRef {
	return listing.AccountRef{Bank: a.BankPartyId, Last4: a.Last4}
}

func prechecks(p Prechecks) listing.Prechecks {
	return listing.Prechecks{Identity: p.Identity, Title: p.Title, Visit: p.Visit, Contract: p.Contract, Statement: p.Statement}
}

func draftListing(ctx context.Context, s *Server, c *call, in NewListing) (answer, error) {
	id, r, err := s.o.Desk.DraftListing(ctx, c.Call, listing.Offer{
		Unit: in.UnitId, Rooms: in.Rooms, LetMode: in.LetMode, Owner: in.OwnerId, RentFen: in.RentFen, DepositFen: in.DepositFen,
		PayCycleMonths: in.PayCycleMonths, AreaC: in.AreaC, AvailableFrom: in.AvailableFrom, Channels: in.Channels,
		Prechecks: prechecks(in.Prechecks), AccountRef: accountRef(in.Account), Text: in.Text,
	})
	if err != nil {
		return answer{}, err
	}
	state, _, err := s.o.Desk.Listing(ctx, c.Actor, id, time.Time{})
	a := wrote(http.StatusCreated, r, s.listingBody(id, state))
	a.location = "/v1/listings/" + id
	return a, err
}

// listingBody shows a listing to its publisher, its owner and the authority.
func (s *Server) listingBody(id string, st listing.State) Listing {
	o := st.Offer
	body := Listing{
		Id: id, Stage: string(st.Stage), UnitId: o.Unit, Rooms: o.Rooms, LetMode: o.LetMode, PublisherId: o.Publisher,
		PublisherRole: o.PublisherRole, OwnerId: o.Owner, RentFen: o.RentFen, DepositFen: o.DepositFen,
		PayCycleMonths: o.PayCycleMonths, AreaC: o.AreaC, AvailableFrom: o.AvailableFrom, Channels: o.Channels, Text: o.Text,
		Code: st.Code, ValidUntil: st.ValidUntil, Reasons: st.Rejected.Reasons, ContractId: st.Contract,
	}
	for _, r := range st.Held.Rules.Fired() {
		body.HeldRules = append(body.HeldRules, r.Rule)
	}
	if st.Code != "" {
		body.VerifyUrl = "/v/" + st.Code
	}
	return body
}

// listingNow answers a write on the listing of the path with how it stands.
func (s *Server) listingNow(ctx context.Context, c *call, r desk.Receipt, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	state, _, err := s.o.Desk.Listing(ctx, c.Actor, c.path("id"), time.Time{})
	return wrote(http.StatusOK, r, s.listingBody(c.path("id"), state)), err
}

func readListing(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	state, r, err := s.o.Desk.Listing(ctx, c.Actor, c.path("id"), asOf)
	if err != nil {
		return answer{}, err
	}
	return answer{body: s.listingBody(c.path("id"), state), revision: &r.Revision}, nil
}

// editListing lays the body over the offer as it stands.
func editListing(ctx context.Context, s *Server, c *call, in ListingEdit) (answer, error) {
	id := c.path("id")
	state, _, err := s.o.Desk.Listing(ctx, c.Actor, id, time.Time{})
	if err != nil {
		return answer{}, err
	}
	o := state.Offer
	set(&o.Rooms, in.Rooms)
	set(&o.LetMode, in.LetMode)
	set(&o.RentFen, in.RentFen)
	set(&o.DepositFen, in.DepositFen)
	set(&o.PayCycleMonths, in.PayCycleMonths)
	set(&o.AreaC, in.AreaC)
	set(&o.AvailableFrom, in.AvailableFrom)
	set(&o.Channels, in.Channels)
	set(&o.Text, in.Text)
	if in.Account != (AccountRef{}) {
		o.AccountRef = accountRef(in.Account)
	}
	if in.Prechecks != (Prechecks{}) {
		o.Prechecks = prechecks(in.Prechecks)
	}
	r, err := s.o.Desk.EditListing(ctx, c.Call, id, o)
	return s.listingNow(ctx, c, r, err)
}

// set overwrites what the client named.
func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

func submitListing(ctx context.Context, s *Server, c *call) (answer, error) {
	state, r, err := s.o.Desk.SubmitListing(ctx, c.Call, c.path("id"))
	return wrote(http.StatusOK, r, s.listingBody(c.path("id"), state)), err
}

func renewCode(ctx context.Context, s *Server, c *call) (answer, error) {
	state, r, err := s.o.Desk.RenewCode(ctx, c.Call, c.path("id"))
	return wrote(http.StatusOK, r, s.listingBody(c.path("id"), state)), err
}

func reviewListing(ctx context.Context, s *Server, c *call, in Decision) (answer, error) {
	r, err := s.o.Desk.ReviewListing(ctx, c.Call, c.path("id"), in.Accept, in.Reason, false)
	return s.listingNow(ctx, c, r, err)
}

func decideObjection(ctx context.Context, s *Server, c *call, in Decision) (answer, error) {
	r, err := s.o.Desk.ReviewListing(ctx, c.Call, c.path("id"), in.Accept, in.Reason, true)
	return s.listingNow(ctx, c, r, err)
}

func publishListing(ctx context.Context, s *Server, c *call) (answer, error) {
	r, err := s.o.Desk.PublishListing(ctx, c.Call, c.path("id"))
	return s.listingNow(ctx, c, r, err)
}

// listingAct runs a command as the authority or as the publisher, by the caller's role.
func listingAct(ctx context.Context, s *Server, c *call, cmd listing.Command) (answer, error) {
	act := s.o.Desk.ListingAct
	if regulator(c.Actor) {
		act = s.o.Desk.AuthorityListing
	}
	r, err := act(ctx, c.Call, c.path("id"), cmd)
	return s.listingNow(ctx, c, r, err)
}

func suspendListing(ctx context.Context, s *Server, c *call, in Reason) (answer, error) {
	return listingAct(ctx, s, c, listing.Suspend{Cause: in.Reason})
}

func resumeListing(ctx context.Context, s *Server, c *call) (answer, error) {
	return listingAct(ctx, s, c, listing.Resume{})
}

func withdrawListing(ctx context.Context, s *Server, c *call, in Reason) (answer, error) {
	return listingAct(ctx, s, c, listing.Withdraw{Reason: in.Reason})
}

func objectListing(ctx context.Context, s *Server, c *call, in Reason) (answer, error) {
	return listingAct(ctx, s, c, listing.Object{Text: in.Reason})
}

func revokeListing(ctx context.Context, s *Server, c *call, in Reason) (answer, error) {
	return listingAct(ctx, s, c, listing.Revoke{Finding: in.Reason})
}

// verifyCode answers everybody; the page /v/{code} asks the same question.
