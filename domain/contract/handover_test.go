package contract_test

import (
	"slices"
	"testing"

	. "zujian/domain/contract"
	"zujian/domain/domaintest"
)

func TestReplaceLessor(t *testing.T) {
	s := edit(subject(), func(s *Subject) { s.Parties = append(s.Parties, person("buyer")) })
	sale := ReplaceLessor{Lessors: []PartyShare{{Party: "buyer"}}, TitleNo: "t2", From: day("2026-11-23"), Refreshed: &s}
	h := filed(t, ordinary(), subject())
	before := h.state.CertificateVersions()
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "by the lessor", Given: h.events, When: sale, Err: ErrAuthority},
		{Name: "without a title", Given: h.events, As: district, When: edit(sale, func(c *ReplaceLessor) { c.TitleNo = "" }), Err: ErrTitle},
		{Name: "from tomorrow", Given: h.events, As: district, When: edit(sale, func(c *ReplaceLessor) { c.From++ }), Err: ErrTitle},
		{Name: "to the tenant", Given: h.events, As: district, When: edit(sale, func(c *ReplaceLessor) { c.Lessors = []PartyShare{{Party: "tenant"}} }), Err: ErrParties},
		{Name: "to nobody known", Given: h.events, As: district, When: edit(sale, func(c *ReplaceLessor) { c.Refreshed = nil }), Err: ErrPartyUnknown},
		{Name: "of a draft", Given: drafted(t, ordinary(), subject()).events, As: district, When: sale, Err: ErrWrongState},
	})
	h.do(now, district, sale)
	e := h.last().(LessorReplaced)
	after := h.state.CertificateVersions()
	if len(before) != 1 || len(after) != 2 || after[1].Replaces != before[0].Hash() || after[1].Hash() != e.CertificateHash ||
		h.state.CertificateHash != e.CertificateHash || h.state.ContentHash != Hash(h.state.Terms) || after[0].Hash() != before[0].Hash() {
		t.Errorf("versions %+v after %+v", after, e)
	}
	domaintest.Run(t, Decider, base(t), []tc{{Name: "again", Given: h.events, As: district, When: sale}})
}

func TestReplaceACoTenant(t *testing.T) {
	s := edit(subject(), func(s *Subject) { s.Parties = append(s.Parties, person("next")) })
	h := filed(t, ordinary(), subject())
	h.do(now, as("owner"), ProposeAmendment{
		AmendmentID: "a1", By: "owner", Changes: Changes{Lessees: []PartyShare{{Party: "next"}}}, EffectiveFrom: day("2027-01-01"), Refreshed: &s,
	})
	hash := h.state.Amendment.Hash
	h.do(now, as("owner"), SignAmendment{AmendmentID: "a1", Party: "owner", Hash: hash, Refreshed: &s}).
		do(now, as("next"), SignAmendment{AmendmentID: "a1", Party: "next", Hash: hash, Refreshed: &s})
	if h.state.Terms.Lessees[0].Party != "tenant" {
		t.Fatal("a tenant was put out without a word of theirs")
	}
	h.do(now, as("tenant"), SignAmendment{AmendmentID: "a1", Party: "tenant", Hash: hash, Refreshed: &s})
	if a := h.last().(Amended); a.After.Lessees[0] != "next" || a.CertificateHash != h.state.CertificateHash || h.state.Terms.Lessees[0].Party != "next" {
		t.Errorf("%+v", a)
	}
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "the leaver's signature again", Given: h.events, When: SignAmendment{AmendmentID: "a1", Party: "tenant", Hash: hash}},
		{Name: "a stranger's", Given: h.events, When: SignAmendment{AmendmentID: "a1", Party: "x", Hash: hash}, Err: ErrNotParty},
	})
}

func TestHandover(t *testing.T) {
	in := RecordHandover{Party: "owner", Handover: Handover{
		Direction: HandoverIn, On: day("2026-11-23"), Readings: []Reading{{"POWER", 1200}}, Items: []Item{{"空调", 2, "GOOD"}}, Keys: 3,
	}}
	h := filed(t, ordinary(), subject()).do(now, as("owner"), in)
	hash := h.last().(HandoverRecorded).Hash
	with := func(f func(*Handover)) RecordHandover { c := in; f(&c.Handover); return c }
	word := ConfirmHandover{Party: "tenant", Direction: HandoverIn, Hash: hash}
	domaintest.Run(t, Decider, base(t), []tc{
		{Name: "again", Given: h.events, When: in},
		{Name: "by a stranger", Given: h.events, When: edit(in, func(c *RecordHandover) { c.Party = "x" }), Err: ErrNotParty},
		{Name: "tomorrow", Given: h.events, When: with(func(h *Handover) { h.On++ }), Err: ErrHandover},
		{Name: "before the signature", Given: h.events, When: with(func(h *Handover) { h.On-- }), Err: ErrHandover},
		{Name: "in no direction", Given: h.events, When: with(func(h *Handover) { h.Direction = "UP" }), Err: ErrHandover},
		{Name: "a meter of nothing", Given: h.events, When: with(func(h *Handover) { h.Readings = []Reading{{"WIND", 1}} }), Err: ErrHandover},
		{Name: "photographs without a hash", Given: h.events, When: with(func(h *Handover) { h.PhotosSHA256 = "x" }), Err: ErrEvidence},
		{Name: "confirmed by the same side", Given: h.events, When: ConfirmHandover{"owner", HandoverIn, hash}, Err: ErrNotParty},
		{Name: "the other direction", Given: h.events, When: ConfirmHandover{"tenant", HandoverOut, hash}, Err: ErrNoHandover},
		{Name: "other content", Given: h.events, When: ConfirmHandover{"tenant", HandoverIn, sha("0")}, Err: ErrSignatureHash},
		{Name: "confirmed", Given: h.events, When: word, Then: []Event{HandoverConfirmed(word)}},
		{Name: "changed when agreed", Given: slices.Concat(h.events, []Event{HandoverConfirmed(word)}), When: with(func(h *Handover) { h.Keys = 1 }), Err: ErrHandedOver},
	})
}
