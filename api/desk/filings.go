package desk

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"zujian/domain"
	"zujian/domain/contract"
)

// OneCall is a signed contract in one request: its terms, parties that may still have to be registered, and what shows
// that each has signed.
type OneCall struct {
	Terms     contract.Terms
	Occupants []NewOccupant
	Lessors   []OneParty
	Lessees   []OneParty
	Evidence  []Evidence
}

// OneParty is a party by id, or one to register.
type OneParty struct {
	contract.PartyShare
	New *NewParty
}

// Evidence is a signature made elsewhere: an e-signature of one party, or a scan of the whole paper contract.
type Evidence struct {
	Party          string // Party id, or "lessors/0", "lessees/1".
	Method         string // E_SIGN or PAPER.
	DocumentSHA256 string
	ScanSHA256     string
}

// Rejections of the one-call filing.
var (
	ErrEvidenceMissing = domain.Reject("filing.evidence_missing", "every party's e-signature is needed, or one paper scan")
	ErrEvidenceMethod  = domain.Reject("filing.evidence_method", "this evidence does not go with your role: companies and brokers bring e-signatures, counters and lessees paper")
)

// FileOneCall drafts, signs by evidence, and files. A company or broker brings e-signatures under its mandate; a counter,
// or a lessee who files alone, brings paper. Repeated with the same call id it finds what it did.
func (d *Desk) FileOneCall(ctx context.Context, call Call, in OneCall) (string, contract.State, Receipt, error) {
	var s contract.State
	paper := len(in.Evidence) == 1 && in.Evidence[0].Method == contract.MethodPaper
	if err := mayOneCall(call.Actor, in.Evidence, paper); err != nil {
		return "", s, Receipt{}, err
	}
	in.Terms.Lessors, in.Terms.Lessees = nil, nil
	for _, side := range []struct {
		name    string
		parties []OneParty
		to      *[]contract.PartyShare
	}{{"lessors", in.Lessors, &in.Terms.Lessors}, {"lessees", in.Lessees, &in.Terms.Lessees}} {
		for i, p := range side.parties {
			if p.New != nil {
				id, _, err := d.RegisterParty(ctx, call.step(side.name+strconv.Itoa(i)), *p.New)
				if err != nil {
					return "", s, Receipt{}, under(err, "/"+side.name+"/"+strconv.Itoa(i))
				}
				p.Party = id
			}
			*side.to = append(*side.to, p.PartyShare)
		}
	}
	id, s, r, err := d.DraftContract(ctx, call, in.Terms, in.Occupants)
	if err != nil {
		return "", s, r, err
	}
	if s.Stage == contract.StageDrafted {
		if s, r, err = d.signByEvidence(ctx, call, id, s, in, paper); err != nil {
			return id, s, r, err
		}
	}
	s, filed, err := d.File(ctx, call.step("file"), id)
	return id, s, filed.later(r.Position), err
}

func mayOneCall(a domain.Actor, evidence []Evidence, paper bool) error {
	switch {
	case len(evidence) == 0:
		return ErrEvidenceMissing.At("/signatures")
	case paper && !regulator(a) && a.Role != domain.RoleTenant:
		return ErrEvidenceMethod.At("/signatures/0/method")
	case !paper && a.Role != domain.RoleCompany && a.Role != domain.RoleBroker:
		return ErrEvidenceMethod.At("/signatures/0/method")
	}
	for i, e := range evidence {
		if !paper && e.Method != contract.MethodESign {
			return ErrEvidenceMethod.At("/signatures/" + strconv.Itoa(i) + "/method")
		}
	}
	return nil
}

func (d *Desk) signByEvidence(ctx context.Context, call Call, id string, s contract.State, in OneCall, paper bool) (contract.State, Receipt, error) {
	if paper {
		return d.RecordPaper(ctx, call.step("paper"), id, in.Evidence[0].ScanSHA256)
	}
	var r Receipt
	for i, e := range in.Evidence {
		who, err := partyOf(e.Party, s.Terms)
		if err != nil {
			return s, r, under(err, "/signatures/"+strconv.Itoa(i))
		}
		if s, r, err = d.sign(ctx, call.step("sign "+who), id, s, contract.Sign{
			Party: who, ContentHash: s.ContentHash, Method: contract.MethodESign, Evidence: e.DocumentSHA256, Mandated: true,
		}); err != nil {
			return s, r, under(err, "/signatures/"+strconv.Itoa(i))
		}
	}
	if missing := s.Unsigned(); len(missing) > 0 {
		return s, r, ErrEvidenceMissing.With("missing", len(missing)).At("/signatures")
	}
	return s, r, nil
}

// partyOf resolves "lessees/0" or a party id of the contract.
func partyOf(ref string, t contract.Terms) (string, error) {
	side, index, ok := strings.Cut(ref, "/")
	if !ok {
		return ref, nil
	}
	list := map[string][]contract.PartyShare{"lessors": t.Lessors, "lessees": t.Lessees}[side]
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || n >= len(list) {
		return "", contract.ErrNotParty.At("/party")
	}
	return list[n].Party, nil
}

// under puts a rejection's pointer below another.
func under(err error, pointer string) error {
	var r *domain.Rejection
	if errors.As(err, &r) {
		return r.At(pointer + r.Pointer)
	}
	return err
}
