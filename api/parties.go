package api

import (
	"context"
	"net/http"
	"slices"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/party"
)

// registerParty answers the same for somebody new and somebody known: no revision, and a position either way.
func registerParty(ctx context.Context, s *Server, c *call, in NewParty) (answer, error) {
	id, r, err := s.o.Desk.RegisterParty(ctx, c.Call, desk.NewParty{
		Kind: in.Kind, OrgKind: in.OrgKind, Name: in.Name, DocType: in.DocType, DocNo: in.DocNo, Phone: in.Phone,
		ScopeText: in.ScopeText, LicenceIssued: in.LicenceIssued, OrgName: in.OrgName, USCC: in.Uscc,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusCreated, body: Done{Id: id}, location: "/v1/parties/" + id, position: s.atLeast(r.Position),
	}, nil
}

func readParty(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	id := c.path("id")
	p, r, err := s.o.Desk.Party(ctx, c.Call, id, asOf)
	if err != nil {
		return answer{}, err
	}
	g := p.Registered
	body := Party{
		Id: id, Kind: g.Kind, OrgKind: g.OrgKind, Name: p.Name, DocType: g.DocType, DocNo: p.DocNo, Phone: p.Phone, Level: p.Level,
		Suspended: p.IsSuspended, Erased: p.Erased, OpeningPublished: p.OpeningReported(), BrokerageId: p.Brokerage,
		Uscc: g.USCC, ScopeText: p.ScopeText, MergedInto: p.MergedInto, MergerProposed: p.Merger != nil,
	}
	if g.Kind == party.KindSoleTrader {
		body.OrgName = p.OrgName
	}
	if c.Actor.Party == id || regulator(c.Actor) {
		body.Mandates = mandates(p.Mandates)
	}
	return answer{body: body, revision: &r.Revision}, nil
}

func mandates(in []party.Mandate) []Mandate {
	out := make([]Mandate, 0, len(in))
	for _, m := range in {
		out = append(out, Mandate{Id: m.MandateID, To: m.To, Scope: m.Scope, Units: m.Units, Until: m.Until})
	}
	return out
}

// listMandates is for the party itself, regulators and auditors; whoever only acts for it sees its own.
func listMandates(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	p, r, err := s.o.Desk.Party(ctx, c.Call, c.path("id"), asOf)
	if err != nil {
		return answer{}, err
	}
	body := Mandates{Mandates: mandates(p.Mandates), Representatives: []Representative{}}
	if c.Actor.Party != c.path("id") && !regulator(c.Actor) && c.Actor.Role != domain.RoleAuditor {
		body.Mandates = slices.DeleteFunc(body.Mandates, func(m Mandate) bool { return m.To != c.Actor.Party })
	} else {
		for _, b := range p.Bound {
			body.Representatives = append(body.Representatives, Representative{RepresentativeId: b.Representative, Until: b.Until})
		}
	}
	return answer{body: body, revision: &r.Revision}, nil
}

// readOpening tells everyone what was published, and the business and its regulators how far a report is.
func readOpening(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	p, r, err := s.o.Desk.Opening(ctx, c.Actor, c.path("id"), asOf)
	if err != nil {
		return answer{}, err
	}
	o := p.Opening
	body := OpeningReport{
		PartyId: c.path("id"), State: string(p.OpeningStage), AdminCode: o.AdminCode, Place: o.Place, Operation: o.Operation, Homes: o.Homes,
		Staff: o.Staff, OwnFundsFen: o.OwnFundsFen, LocalEntity: o.LocalEntity, PublishedOn: p.PublishedOn, ReturnReason: p.ReturnReason,
	}
	if o.AccountBank != "" {
		body.Account = AccountRef{BankPartyId: o.AccountBank, Last4: o.AccountLast}
	}
	if p.OpeningStage != party.OpeningPublic {
		for _, res := range p.OpeningRules.Fired() {
			body.HeldRules = append(body.HeldRules, res.Rule)
		}
	}
	return answer{body: body, revision: &r.Revision}, nil
}

func bindRepresentative(ctx context.Context, s *Server, c *call, in NewRepresentative) (answer, error) {
	return partyAct(ctx, s, c, !regulator(c.Actor), party.BindRepresentative{Representative: in.RepresentativeId, Until: in.Until})
}

func correctParty(ctx context.Context, s *Server, c *call, in NewCorrection) (answer, error) {
	r, err := s.o.Desk.CorrectParty(ctx, c.Call, c.path("id"), desk.Correction{
		Name: in.Name, OrgName: in.OrgName, Phone: in.Phone, ScopeText: in.ScopeText, Evidence: in.Evidence,
	})
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

// partyAct runs a command on the party of the path. self: only the party itself may ask for it, else the authority.
func partyAct(ctx context.Context, s *Server, c *call, self bool, cmd party.Command) (answer, error) {
	r, err := s.o.Desk.PartyAct(ctx, c.Call, c.path("id"), self, cmd)
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

func verifyParty(ctx context.Context, s *Server, c *call, in NewVerification) (answer, error) {
	if in.Failed {
		return partyAct(ctx, s, c, false, party.FailVerification{Method: in.Method})
	}
	if in.Level == 0 {
		return answer{}, invalid(FieldError{Pointer: "/level", Code: codeRequired})
	}
	return partyAct(ctx, s, c, false, party.Verify{Level: in.Level, Method: in.Method})
}

func reportOpening(ctx context.Context, s *Server, c *call, in NewOpeningReport) (answer, error) {
	return partyAct(ctx, s, c, true, party.ReportOpening{Opening: party.Opening{
		AdminCode: in.AdminCode, Place: in.Place, Operation: in.Operation, Homes: in.Homes, Staff: in.Staff,
		OwnFundsFen: in.OwnFundsFen, AccountBank: in.Account.BankPartyId, AccountLast: in.Account.Last4, LocalEntity: in.LocalEntity,
	}})
}

func decideOpening(ctx context.Context, s *Server, c *call, in Decision) (answer, error) {
	if in.Accept {
		return partyAct(ctx, s, c, false, party.PublishOpening{})
	}
	return partyAct(ctx, s, c, false, party.ReturnOpening{Reason: in.Reason})
}

func grantMandate(ctx context.Context, s *Server, c *call, in NewMandate) (answer, error) {
	a, err := partyAct(ctx, s, c, !regulator(c.Actor), party.GrantMandate{
		MandateID: c.ID, To: in.To, Scope: in.Scope, Units: in.Units, Until: in.Until,
	})
	a.status, a.body = http.StatusCreated, Done{Id: c.ID}
	return a, err
}

func revokeMandate(ctx context.Context, s *Server, c *call) (answer, error) {
	return partyAct(ctx, s, c, !regulator(c.Actor), party.RevokeMandate{MandateID: c.path("mandate_id")})
}

// brokerage is whose roster the caller keeps: its own, or as the authority any.
func brokerage(c *call, named string) (string, error) {
	if !regulator(c.Actor) && named != c.Actor.Party {
		return "", errForbidden
	}
	return named, nil
}

func rosterPractitioner(ctx context.Context, s *Server, c *call, in NewRosterEntry) (answer, error) {
	b, err := brokerage(c, in.BrokerageId)
	if err != nil {
		return answer{}, err
	}
	r, err := s.o.Desk.Practitioner(ctx, c.Call, c.path("id"), party.Roster{Brokerage: b, From: in.From})
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

func unrosterPractitioner(ctx context.Context, s *Server, c *call, in RosterRemoval) (answer, error) {
	b, err := brokerage(c, in.BrokerageId)
	if err != nil {
		return answer{}, err
	}
	r, err := s.o.Desk.Practitioner(ctx, c.Call, c.path("id"), party.Unroster{Brokerage: b, On: in.On})
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

func banPractitioner(ctx context.Context, s *Server, c *call, in NewBan) (answer, error) {
	return partyAct(ctx, s, c, false, party.Ban{Until: in.Until, OrderNo: in.OrderNo})
}

func suspendParty(ctx context.Context, s *Server, c *call, in Order) (answer, error) {
	return partyAct(ctx, s, c, false, party.Suspend{Reason: in.Reason, OrderNo: in.OrderNo})
}

func reinstateParty(ctx context.Context, s *Server, c *call, in Order) (answer, error) {
	return partyAct(ctx, s, c, false, party.Reinstate{OrderNo: in.OrderNo})
}
