package api

import (
	"context"
	"slices"
	"time"

	"zujian/domain/contract"
)

// readCertificate gives what a filing certificate (备案证明) states. The parties read each other's names in full, as on
// the contract they signed; others read them masked.
func readCertificate(ctx context.Context, s *Server, c *call) (answer, error) {
	id := c.path("id")
	st, r, err := s.o.Desk.Contract(ctx, c.Actor, id, time.Time{})
	if err != nil {
		return answer{}, err
	}
	if st.FilingNo == "" || st.CertificateHash == "" {
		return answer{}, errNotFound
	}
	full := c.Actor.Party != "" && slices.Contains(st.Parties(), c.Actor.Party)
	t := st.Terms
	body := Certificate{
		FilingNo: st.FilingNo, ContractId: id, UnitId: t.Unit, CertificateHash: st.CertificateHash, ContentHash: st.DraftHash,
		Rooms: t.Rooms, Use: t.Use, Start: t.Start, End: t.End, MonthlyRentFen: t.MonthlyRentFen, DepositFen: t.DepositFen,
		SignedOn: st.SignedOn, FiledOn: st.FiledOn, Authority: st.Authority, Stage: string(st.Stage),
	}
	u, _, err := s.o.Desk.Unit(ctx, c.Actor, t.Unit, time.Time{})
	if err != nil {
		return answer{}, err
	}
	body.Address, body.UnitNo = u.Home.Address, u.Home.UnitNo
	if body.Lessors, err = s.named(ctx, t.Lessors, full); err != nil {
		return answer{}, err
	}
	if body.Lessees, err = s.named(ctx, t.Lessees, full); err != nil {
		return answer{}, err
	}
	return answer{body: body, revision: &r.Revision}, nil
}

func (s *Server) named(ctx context.Context, parties []contract.PartyShare, full bool) ([]CertificateParty, error) {
	out := make([]CertificateParty, 0, len(parties))
	for _, p := range parties {
		name, err := s.o.Desk.NameFor(ctx, p.Party, full)
		if err != nil {
			return nil, err
		}
		out = append(out, CertificateParty{PartyId: p.Party, Name: name})
	}
	return out, nil
}
