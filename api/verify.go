package api

import (
	"context"
	"encoding/json"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/projections"
	"zujian/projections/housing"
)

func verifyCode(ctx context.Context, s *Server, c *call) (answer, error) {
	v, err := s.o.Desk.Verify(ctx, c.path("code"), c.At)
	if err != nil {
		return answer{}, err
	}
	body := CodeAnswer{
		Code: v.Code, State: v.State, Genuine: v.Genuine, Address: v.Address, ReportUnit: v.ReportUnit, AreaC: v.AreaC,
		Bedrooms: v.Bedrooms, LetMode: v.LetMode, RentFen: v.RentFen, DepositFen: v.DepositFen, PayCycleMonths: v.PayCycle,
		ValidUntil: v.ValidUntil, Mortgaged: v.Mortgaged, Publisher: v.Publisher, PublisherKind: v.PublisherKind,
		PublisherOk: v.PublisherOK, AccountBank: v.AccountBank, AccountLast4: v.AccountLast4, CheckedAt: v.CheckedAt,
	}
	body.Signature, err = s.signed(ctx, body)
	return answer{body: body}, err
}

// signed is the register's signature over an answer that somebody may keep as evidence.
func (s *Server) signed(ctx context.Context, body any) (Signature, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Signature{}, err
	}
	key, sig, err := s.o.Desk.SignAnswer(ctx, contract.Canonical(text))
	return Signature{Algorithm: "Ed25519", PublicKey: key, Value: sig}, err
}

// readVerifyKey is the public key of those signatures, for whoever wants to know it before the first answer.
func readVerifyKey(ctx context.Context, s *Server, _ *call) (answer, error) {
	key, _, err := s.o.Desk.SignAnswer(ctx, nil)
	return answer{body: VerifyKey{Algorithm: "Ed25519", PublicKey: key}}, err
}

// verifyFiling tells whoever holds a certificate whether it still stands.
func verifyFiling(ctx context.Context, s *Server, c *call) (answer, error) {
	no := c.path("filing_no")
	if !domain.ValidNumber(no) {
		return answer{}, errNotFound
	}
	var id string
	err := s.o.Views.Read(ctx, housing.Projection{}.Name(), func(r projections.Reader) error {
		row, ok, err := housing.ContractByFilingNo(ctx, r, projections.Scope{All: true}, no)
		if err == nil && !ok {
			err = errNotFound
		}
		id = row.ID
		return err
	})
	if err != nil {
		return answer{}, err
	}
	st, versions, err := s.o.Desk.Certificates(ctx, id)
	if err != nil {
		return answer{}, err
	}
	if len(versions) == 0 { // Held or returned: no certificate was ever issued.
		return answer{}, errNotFound
	}
	last := versions[len(versions)-1]
	body := FilingAnswer{
		FilingNo: no, State: string(st.Stage), Authority: last.Authority, FiledOn: last.FiledOn, Start: last.Start, End: last.End,
		EndedOn: st.EndedOn, Version: len(versions), CertificateHash: last.Hash(), CheckedAt: c.At,
	}
	body.Signature, err = s.signed(ctx, body)
	return answer{body: body}, err
}
