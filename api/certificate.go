package api

import (
	"context"
	"strconv"
	"time"
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
	versions := st.CertificateVersions()
	n := len(versions)
	if v := c.query["version"]; v != "" {
		if n, err = strconv.Atoi(v); err != nil || n > len(versions) {
			return answer{}, errNotFound
		}
	}
	if n == 0 {
		return answer{}, errNotFound
	}
	t := versions[n-1]
	full := c.Actor.Party != "" && st.Terms.Names(c.Actor.Party)
	body := Certificate{
		FilingNo: t.FilingNo, ContractId: id, UnitId: t.Unit, CertificateHash: t.Hash(), ContentHash: t.ContentHash,
		Rooms: t.Rooms, Use: t.Use, Start: t.Start, End: t.End, MonthlyRentFen: t.RentFen,
		SignedOn: st.SignedOn, FiledOn: t.FiledOn, Authority: t.Authority, Stage: string(st.Stage),
		Version: n, Versions: len(versions), ChangeNo: t.ChangeNo, ChangedOn: t.ChangedOn, EffectiveFrom: t.EffectiveFrom, ReplacesSha256: t.Replaces,
	}
	if n == len(versions) {
		body.DepositFen = st.Terms.DepositFen // Beside what the hash covers: known of the terms in force only.
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
	if body.Receipt, err = s.receipt(ctx, id, t.FilingNo, 0); err != nil {
		return answer{}, err
	}
	return answer{body: body, revision: &r.Revision}, nil
}

func (s *Server) named(ctx context.Context, parties []string, full bool) ([]CertificateParty, error) {
	out := make([]CertificateParty, 0, len(parties))
	for _, p := range parties {
		name, err := s.o.Desk.NameFor(ctx, p, full)
		if err != nil {
			return nil, err
		}
		out = append(out, CertificateParty{PartyId: p, Name: name})
	}
	return out, nil
}
