package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"zujian/api/desk"
	"zujian/domain/contract"
)

// terms turns the body into what is hashed and signed. Names of persons stay out: occupants go beside.
func terms(in NewContract) contract.Terms {
	t := contract.Terms{
		Kind: in.Kind, Unit: in.UnitId, Rooms: in.Rooms, LetMode: in.LetMode, Parent: in.ParentId,
		Lessors: shares(in.Lessors), Lessees: shares(in.Lessees), Use: in.Use, Start: in.Start, End: in.End, SignedOn: in.SignedOn,
		MonthlyRentFen: in.MonthlyRentFen, PayCycleMonths: in.PayCycleMonths, RentFreeDays: in.RentFreeDays,
		DepositFen: in.DepositFen, DepositReturnDays: in.DepositReturnDays, DeductionGrounds: in.DeductionGrounds,
		SubleaseConsent: in.SubleaseConsent, Payee: contract.Payee{Party: in.Payee.PartyId, Role: in.Payee.Role},
		Brokerage: in.BrokerageId, Practitioner: in.PractitionerId,
		Escrow:    contract.Escrow{Mode: in.Escrow.Mode, Bank: in.Escrow.BankId},
		Clauses:   contract.Clauses{BreakFeeFen: in.Clauses.BreakFeeFen, RenewalNoticeDays: in.Clauses.RenewalNoticeDays, Dispute: in.Clauses.Dispute},
		Relatives: in.Relatives, TemplateID: in.TemplateId, DocumentSHA256: in.DocumentSha256,
	}
	if t.LetMode == "" {
		t.LetMode = contract.LetWhole
		if len(t.Rooms) > 0 {
			t.LetMode = contract.LetByRoom
		}
	}
	for _, f := range in.Fees {
		t.Fees = append(t.Fees, contract.Fee{Kind: f.Kind, AmountFen: f.AmountFen, Payee: f.PayeeId, Listed: f.Listed})
	}
	if in.Loan != (Loan{}) {
		l := in.Loan
		t.Loan = &contract.Loan{
			Embedded: l.Embedded, Lender: l.Lender, AmountFen: l.AmountFen, Months: l.Months, PayCycleMonths: l.PayCycleMonths, ToLessee: l.ToLessee,
		}
	}
	for _, d := range in.Documents {
		t.Docs = append(t.Docs, contract.Doc{Kind: d.Kind, SHA256: d.Sha256})
	}
	return t
}

func shares(in []PartyShare) []contract.PartyShare {
	out := make([]contract.PartyShare, 0, len(in))
	for _, p := range in {
		out = append(out, contract.PartyShare{Party: p.PartyId, ShareBP: p.ShareBp, Capacity: p.Capacity})
	}
	return out
}

func partyShares(in []contract.PartyShare) []PartyShare {
	out := make([]PartyShare, 0, len(in))
	for _, p := range in {
		out = append(out, PartyShare{PartyId: p.Party, ShareBp: p.ShareBP, Capacity: p.Capacity})
	}
	return out
}

func newOccupants(in []Occupant) []desk.NewOccupant {
	out := make([]desk.NewOccupant, 0, len(in))
	for _, o := range in {
		out = append(out, newOccupant(o))
	}
	return out
}

func newOccupant(o Occupant) desk.NewOccupant {
	return desk.NewOccupant{
		Occupant: contract.Occupant{
			Party: o.PartyId, DocType: o.DocType, Room: o.Room, Relation: o.Relation, FamilyID: o.FamilyId, Minor: o.Minor, MoveIn: o.MoveIn,
		},
		ClearName: o.Name, ClearDoc: o.DocNo,
	}
}

// contractBody shows a contract to those whom it concerns. It names nobody: parties are ids.
func contractBody(id string, s contract.State) Contract {
	t := s.Terms
	body := Contract{
		Id: id, Stage: string(s.Stage), Origin: s.Origin, Kind: t.Kind, UnitId: t.Unit, Rooms: t.Rooms, LetMode: t.LetMode,
		ParentId: t.Parent, Renews: t.Renews, Lessors: partyShares(t.Lessors), Lessees: partyShares(t.Lessees),
		Use: t.Use, Start: t.Start, End: t.End, SignedOn: t.SignedOn, MonthlyRentFen: t.MonthlyRentFen,
		PayCycleMonths: t.PayCycleMonths, DepositFen: t.DepositFen, DepositReturnDays: t.DepositReturnDays,
		DeductionGrounds: t.DeductionGrounds, SubleaseConsent: t.SubleaseConsent, BrokerageId: t.Brokerage,
		ContentHash: s.ContentHash, GuidanceVersion: s.GuidanceVersion, FilingNo: s.FilingNo, FiledOn: s.FiledOn,
		FiledByRole: s.FiledByRole, Late: s.Late, CertificateHash: s.CertificateHash, HeldRules: heldRules(s),
		ReturnReason: s.ReturnReason, EndedOn: s.EndedOn, EndReason: s.EndReason, RenewedBy: s.RenewedBy,
		CancellationProposed: s.Cancellation != nil, Amendment: amendmentBody(s.Amendment),
	}
	if !s.SignedOn.IsZero() {
		body.SignedOn = s.SignedOn
	}
	if e := s.Escrow; e.Mode != "" {
		body.Escrow = EscrowChoice{Mode: e.Mode, BankId: e.Bank}
	} else if t.Escrow.Mode != "" {
		body.Escrow = EscrowChoice{Mode: t.Escrow.Mode, BankId: t.Escrow.Bank}
	}
	for _, o := range s.Occupants {
		body.Occupants = append(body.Occupants, LivingThere{Id: o.ID, PartyId: o.Party, Room: o.Room, Relation: o.Relation, Minor: o.Minor})
	}
	for _, g := range s.Signatures {
		body.Signatures = append(body.Signatures, SignatureMade{PartyId: g.Party, Method: g.Method, At: g.At})
	}
	for _, h := range s.Handovers {
		body.Handovers = append(body.Handovers, handoverBody(h))
	}
	if s.Upstream != nil {
		body.UpstreamEndedOn = s.Upstream.On
	}
	return body
}

// heldRules are the ids of the rules that wait for a human.
func heldRules(s contract.State) []string {
	var ids []string
	if s.Stage == contract.StageHeld {
		ids = s.HeldReasons
	}
	return ids
}

func amendmentBody(a *contract.Amendment) Amendment {
	if a == nil {
		return Amendment{}
	}
	ch := a.Changes
	body := Amendment{Id: a.ID, ContentHash: a.Hash, EffectiveFrom: a.EffectiveFrom, Signed: a.Signed, Changes: Changes{
		MonthlyRentFen: ch.MonthlyRentFen, DepositFen: ch.DepositFen, PayCycleMonths: ch.PayCycleMonths, End: ch.End,
		DepositReturnDays: ch.DepositReturnDays, DeductionGrounds: ch.DeductionGrounds, SubleaseConsent: ch.SubleaseConsent,
	}}
	if len(ch.Lessees) > 0 {
		body.Changes.Lessees = partyShares(ch.Lessees)
	}
	if ch.Payee != nil {
		body.Changes.Payee = Payee{PartyId: ch.Payee.Party, Role: ch.Payee.Role}
	}
	if ch.Escrow != nil {
		body.Changes.Escrow = EscrowChoice{Mode: ch.Escrow.Mode, BankId: ch.Escrow.Bank}
	}
	return body
}

// filing is the answer to a filing, with its receipt; at is where its stream stands.
func (s *Server) filing(ctx context.Context, id string, state contract.State, at desk.Receipt) (body Filing, err error) {
	body = filingBody(id, state)
	body.Receipt, err = s.receipt(ctx, id, state.FilingNo, max(at.Revision, 0))
	return body, err
}

func filingBody(id string, s contract.State) Filing {
	body := Filing{
		ContractId: id, Stage: string(s.Stage), FilingNo: s.FilingNo, FiledOn: s.FiledOn, Late: s.Late,
		ContentHash: s.ContentHash, HeldRules: heldRules(s), ReturnReason: s.ReturnReason,
	}
	if s.CertificateHash != "" {
		body.Certificate = CertificateRef{Hash: s.CertificateHash, Href: "/v1/contracts/" + id + "/certificate"}
	}
	return body
}

func draftContract(ctx context.Context, s *Server, c *call, in NewContract) (answer, error) {
	id, state, r, err := s.o.Desk.DraftContract(ctx, c.Call, terms(in), newOccupants(in.Occupants))
	if err != nil {
		return answer{}, err
	}
	a := wrote(http.StatusCreated, r, contractBody(id, state))
	a.location = "/v1/contracts/" + id
	return a, nil
}

func readContract(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	state, r, err := s.o.Desk.Contract(ctx, c.Actor, c.path("id"), asOf)
	if err != nil {
		return answer{}, err
	}
	return answer{body: contractBody(c.path("id"), state), revision: &r.Revision}, nil
}

// contractAnswer is the answer of every write on the contract of the path.
func contractAnswer(c *call, state contract.State, r desk.Receipt, err error) (answer, error) {
	return wrote(http.StatusOK, r, contractBody(c.path("id"), state)), err
}

// contractAct runs a command on the contract of the path, for a party of it or, with "", as the authority.
func contractAct(ctx context.Context, s *Server, c *call, party string, cmd contract.Command) (answer, error) {
	state, r, err := s.o.Desk.ContractAct(ctx, c.Call, c.path("id"), party, cmd)
	return contractAnswer(c, state, r, err)
}

// forParty is the party an act is for: the one named, else the caller's own.
func forParty(c *call, named string) string {
	if named != "" {
		return named
	}
	return c.Actor.Party
}

func signContract(ctx context.Context, s *Server, c *call, in NewSignature) (answer, error) {
	state, r, err := s.o.Desk.Sign(ctx, c.Call, c.path("id"), in.PartyId, in.ContentHash)
	return contractAnswer(c, state, r, err)
}

func recordPaper(ctx context.Context, s *Server, c *call, in Paper) (answer, error) {
	state, r, err := s.o.Desk.RecordPaper(ctx, c.Call, c.path("id"), in.ScanSha256)
	return contractAnswer(c, state, r, err)
}

func declineContract(ctx context.Context, s *Server, c *call, in PartyRef) (answer, error) {
	return contractAct(ctx, s, c, in.PartyId, contract.Decline{Party: in.PartyId, Reason: in.Reason})
}

func abandonContract(ctx context.Context, s *Server, c *call) (answer, error) {
	r, err := s.o.Desk.AbandonDraft(ctx, c.Call, c.path("id"), "")
	if err != nil {
		return answer{}, err
	}
	state, _, err := s.o.Desk.Contract(ctx, c.Actor, c.path("id"), time.Time{})
	return contractAnswer(c, state, r, err)
}

func fileContract(ctx context.Context, s *Server, c *call) (answer, error) {
	state, r, err := s.o.Desk.File(ctx, c.Call, c.path("id"))
	if err != nil {
		return answer{}, err
	}
	body, err := s.filing(ctx, c.path("id"), state, r)
	return wrote(http.StatusOK, r, body), err
}

func decideFiling(ctx context.Context, s *Server, c *call, in Decision) (answer, error) {
	state, r, err := s.o.Desk.DecideFiling(ctx, c.Call, c.path("id"), in.Accept, in.Reason)
	if err != nil {
		return answer{}, err
	}
	body, err := s.filing(ctx, c.path("id"), state, r)
	return wrote(http.StatusOK, r, body), err
}

func proposeFilingCancellation(ctx context.Context, s *Server, c *call, in Cancellation) (answer, error) {
	return contractAct(ctx, s, c, "", contract.CancelFiling{Reason: in.Reason, DecisionNo: in.DecisionNo})
}

func decideFilingCancellation(ctx context.Context, s *Server, c *call, in CancellationDecision) (answer, error) {
	if in.Accept {
		return contractAct(ctx, s, c, "", contract.ApproveCancellation{DecisionNo: in.DecisionNo})
	}
	return contractAct(ctx, s, c, "", contract.RejectCancellation{DecisionNo: in.DecisionNo, Reason: in.Reason})
}

func proposeAmendment(ctx context.Context, s *Server, c *call, in NewAmendment) (answer, error) {
	ch := in.Changes
	changes := contract.Changes{
		MonthlyRentFen: ch.MonthlyRentFen, DepositFen: ch.DepositFen, PayCycleMonths: ch.PayCycleMonths, End: ch.End,
		DepositReturnDays: ch.DepositReturnDays, DeductionGrounds: ch.DeductionGrounds, SubleaseConsent: ch.SubleaseConsent,
	}
	if len(ch.Lessees) > 0 {
		changes.Lessees = shares(ch.Lessees)
	}
	if ch.Payee != (Payee{}) {
		changes.Payee = &contract.Payee{Party: ch.Payee.PartyId, Role: ch.Payee.Role}
	}
	if ch.Escrow != (EscrowChoice{}) {
		changes.Escrow = &contract.Escrow{Mode: ch.Escrow.Mode, Bank: ch.Escrow.BankId}
	}
	id, state, r, err := s.o.Desk.ProposeAmendment(ctx, c.Call, c.path("id"), forParty(c, in.PartyId), changes, in.EffectiveFrom)
	if err != nil {
		return answer{}, underChanges(err)
	}
	body := amendmentBody(state.Amendment)
	body.Id = id
	a := wrote(http.StatusCreated, r, body)
	a.location = "/v1/contracts/" + c.path("id")
	return a, nil
}

func signAmendment(ctx context.Context, s *Server, c *call, in NewSignature) (answer, error) {
	state, r, err := s.o.Desk.SignAmendment(ctx, c.Call, c.path("id"), in.PartyId, contract.SignAmendment{
		AmendmentID: c.path("amendment_id"), Party: in.PartyId, Hash: in.ContentHash,
	})
	return contractAnswer(c, state, r, err)
}

func addOccupant(ctx context.Context, s *Server, c *call, in Occupant) (answer, error) {
	state, r, err := s.o.Desk.AddOccupant(ctx, c.Call, c.path("id"), newOccupant(in))
	return contractAnswer(c, state, r, err)
}

func removeOccupant(ctx context.Context, s *Server, c *call) (answer, error) {
	return contractAct(ctx, s, c, "", contract.RemoveOccupant{OccupantID: c.path("party_id"), On: c.on()})
}

func giveNotice(ctx context.Context, s *Server, c *call, in NewNotice) (answer, error) {
	party := forParty(c, in.PartyId)
	return contractAct(ctx, s, c, party, contract.GiveNotice{
		By: in.By, Party: party, Ground: in.Ground, NoticeDate: in.NoticeDate, VacateBy: in.VacateBy,
	})
}

func terminateContract(ctx context.Context, s *Server, c *call, in NewTermination) (answer, error) {
	party := forParty(c, in.PartyId)
	return contractAct(ctx, s, c, party, contract.Terminate{
		By: in.By, Party: party, Ground: in.Ground, DecisionNo: in.DecisionNo, On: in.On,
	})
}

// renewContract drafts the contract that follows: the same parties, home and clauses, with what the body changes.
func renewContract(ctx context.Context, s *Server, c *call, in NewRenewal) (answer, error) {
	old, _, err := s.o.Desk.Contract(ctx, c.Actor, c.path("id"), time.Time{})
	if err != nil {
		return answer{}, err
	}
	t := old.Terms
	t.Renews, t.Start, t.End, t.SignedOn, t.Occupants = c.path("id"), in.Start, in.End, in.SignedOn, nil
	if in.MonthlyRentFen > 0 {
		t.MonthlyRentFen = in.MonthlyRentFen
	}
	if in.DepositFen != nil {
		t.DepositFen = *in.DepositFen
	}
	id, state, r, err := s.o.Desk.RenewContract(ctx, c.Call, t)
	if err != nil {
		return answer{}, err
	}
	a := wrote(http.StatusCreated, r, contractBody(id, state))
	a.location = "/v1/contracts/" + id
	return a, nil
}

// newOneCall turns the one-call body into the desk's: parties that the call itself brings are registered on the way.
func newOneCall(in NewFiling) desk.OneCall {
	byRef := map[string]*desk.NewParty{}
	for _, p := range in.Parties {
		byRef[p.Ref] = &desk.NewParty{Kind: p.Kind, OrgKind: p.OrgKind, Name: p.Name, DocType: p.DocType, DocNo: p.DocNo, Phone: p.Phone}
	}
	t := terms(in.Contract)
	one := desk.OneCall{Terms: t, Occupants: newOccupants(in.Contract.Occupants)}
	place := map[string]string{} // Of those the call brings.
	side := func(name string, shares []contract.PartyShare) []desk.OneParty {
		out := make([]desk.OneParty, 0, len(shares))
		for i, share := range shares {
			p := desk.OneParty{PartyShare: share, New: byRef[share.Party]}
			if out = append(out, p); p.New != nil {
				place[share.Party] = name + "/" + itoa(i)
			}
		}
		return out
	}
	one.Lessors, one.Lessees = side("lessors", t.Lessors), side("lessees", t.Lessees)
	one.Evidence = make([]desk.Evidence, 0, len(in.Signatures))
	for _, e := range in.Signatures {
		who := e.Party
		if at, ok := place[who]; ok {
			who = at
		}
		one.Evidence = append(one.Evidence, desk.Evidence{Party: who, Method: e.Method, DocumentSHA256: e.DocumentSha256, ScanSHA256: e.ScanSha256})
	}
	return one
}

func fileInOneCall(ctx context.Context, s *Server, c *call, in NewFiling) (answer, error) {
	id, state, r, err := s.o.Desk.FileOneCall(ctx, c.Call, newOneCall(in))
	if err != nil {
		return answer{}, underContract(err, in)
	}
	body, err := s.filing(ctx, id, state, r)
	if err != nil {
		return answer{}, err
	}
	a := wrote(http.StatusCreated, r, body)
	a.location = "/v1/contracts/" + id
	return a, nil
}

// underContract makes a pointer into the terms a pointer into the one-call body. What is wrong with a party that the
// call itself brings is wrong in parties.
func underContract(err error, in NewFiling) error {
	rej, ok := asRejection(err)
	if !ok || rej.Pointer == "" || strings.HasPrefix(rej.Pointer, "/signatures") {
		return err
	}
	for side, shares := range map[string][]PartyShare{"/lessors/": in.Contract.Lessors, "/lessees/": in.Contract.Lessees} {
		for i, share := range shares {
			field, its := strings.CutPrefix(rej.Pointer, side+itoa(i)+"/")
			n := slices.IndexFunc(in.Parties, func(p PartyInCall) bool { return p.Ref == share.PartyId })
			if its && n >= 0 && field != "party_id" && field != "share_bp" && field != "capacity" {
				return rej.At("/parties/" + itoa(n) + "/" + field)
			}
		}
	}
	return rej.At("/contract" + rej.Pointer)
}

// underChanges makes a pointer into the changed terms one into the amendment.
func underChanges(err error) error {
	rej, ok := asRejection(err)
	field, _, _ := strings.Cut(strings.TrimPrefix(rej.Pointer, "/"), "/")
	switch {
	case !ok || rej.Pointer == "" || field == "changes" || field == "effective_from" || field == "party_id":
		return err
	case slices.Contains([]string{
		"monthly_rent_fen", "deposit_fen", "pay_cycle_months", "end", "payee", "escrow", "deposit_return_days", "deduction_grounds", "sublease_consent",
		"lessees",
	}, field):
		return rej.At("/changes" + rej.Pointer)
	}
	return rej.At("/changes")
}
