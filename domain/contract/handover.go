package contract

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"zujian/domain"
)

// HandoverState is the inventory of one direction and how far it has come.
type HandoverState struct {
	Handover
	Hash        string
	Party       string // Who put it.
	ConfirmedBy string // "" = the other side's word is missing.
}

const (
	itemsMax   = 200
	itemMax    = 100 // Runes of an item's name.
	countMax   = 10_000
	readingMax = 1_000_000_000_000
)

var (
	meters     = []string{"WATER", "POWER", "GAS", "HEAT"}
	conditions = []string{"", "GOOD", "WORN", "DAMAGED", "MISSING"}
)

func withLessors(t Terms, lessors []PartyShare) Terms {
	t.Lessors = lessors
	return t.normal()
}

// replaceLessor does not ask the signing rules: a sale binds whoever buys, whatever the rules say of a new lease.
func replaceLessor(s State, r request, c ReplaceLessor) ([]Event, error) {
	changed := withLessors(s.Terms, c.Lessors)
	if slices.Equal(changed.Lessors, s.Terms.Lessors) && s.Live() {
		return nil, nil
	}
	if err := s.amendable(); err != nil {
		return nil, err
	}
	subject := s.subject(c.Refreshed)
	switch {
	case r.Actor.Role != domain.RoleDistrict && r.Actor.Role != domain.RoleCity && r.Actor.Role != domain.RolePartner:
		return nil, ErrAuthority
	case c.TitleNo == "" || utf8.RuneCountInString(c.TitleNo) > codeMax*5:
		return nil, ErrTitle.At("/title_no")
	case !validDay(c.From) || c.From > r.Today() || c.From > s.Terms.End:
		return nil, ErrTitle.At("/from")
	}
	for i, l := range partyIDs(changed.Lessors) {
		if slices.Contains(partyIDs(s.Terms.Lessees), l) {
			return nil, ErrParties.At(at("/lessors", i) + "/party_id")
		}
	}
	if err := checkParties(changed, subject); err != nil {
		return nil, err
	}
	return []Event{LessorReplaced{
		Lessors: changed.Lessors, TitleNo: c.TitleNo, From: c.From, Subject: subject, Before: s.Summary(),
		After: summarise(changed, subject.Unit, s.Escrow, len(s.Occupants)), ReplacedOn: r.Today(), ContentHash: Hash(changed),
		CertificateHash: s.nextCertificateHash(changed, r.Today(), c.From),
	}}, nil
}

// handover finds the inventory of a direction.
func (s State) handover(direction string) (HandoverState, bool) {
	i := slices.IndexFunc(s.Handovers, func(h HandoverState) bool { return h.Direction == direction })
	if i < 0 {
		return HandoverState{}, false
	}
	return s.Handovers[i], true
}

func recordHandover(s State, r request, c RecordHandover) ([]Event, error) {
	h := c.Handover
	hash := hashOf(json.Marshal(h))
	old, exists := s.handover(h.Direction)
	switch {
	case s.Origin == OriginLegacy:
		return nil, ErrLegacyTerms
	case !s.Live() && s.Stage != StageEnded:
		return nil, s.wrongState(append(slices.Clip(live), StageEnded)...)
	case !s.Terms.Names(c.Party):
		return nil, ErrNotParty.At("/party_id")
	case h.Direction != HandoverIn && h.Direction != HandoverOut:
		return nil, ErrHandover.At("/direction")
	case exists && old.Hash == hash:
		return nil, nil
	case exists && old.ConfirmedBy != "":
		return nil, ErrHandedOver.At("/direction")
	case !validDay(h.On) || h.On > r.Today() || h.On < s.SignedOn:
		return nil, ErrHandover.At("/on")
	case h.Keys < 0 || h.Keys > countMax:
		return nil, ErrHandover.At("/keys")
	case h.PhotosSHA256 != "" && !isSHA256(h.PhotosSHA256):
		return nil, ErrEvidence.At("/photos_sha256")
	case len(h.Items) > itemsMax:
		return nil, ErrHandover.At("/items")
	}
	for i, x := range h.Readings {
		twice := slices.ContainsFunc(h.Readings[:i], func(y Reading) bool { return y.Meter == x.Meter })
		if twice || !slices.Contains(meters, x.Meter) || x.ValueMilli < 0 || x.ValueMilli > readingMax {
			return nil, ErrHandover.At(at("/readings", i))
		}
	}
	for i, x := range h.Items {
		if x.Name == "" || utf8.RuneCountInString(x.Name) > itemMax || x.Count < 0 || x.Count > countMax || !slices.Contains(conditions, x.Condition) {
			return nil, ErrHandover.At(at("/items", i))
		}
	}
	return []Event{HandoverRecorded{Party: c.Party, Handover: h, Hash: hash}}, nil
}

func confirmHandover(s State, c ConfirmHandover) ([]Event, error) {
	h, exists := s.handover(c.Direction)
	sameSide := func(side []PartyShare) bool {
		ids := partyIDs(side)
		return slices.Contains(ids, h.Party) && slices.Contains(ids, c.Party)
	}
	switch {
	case !exists:
		return nil, ErrNoHandover
	case h.Hash != c.Hash:
		return nil, ErrSignatureHash.At("/content_hash")
	case h.ConfirmedBy != "":
		return nil, nil
	case !s.Terms.Names(c.Party) || sameSide(s.Terms.Lessors) || sameSide(s.Terms.Lessees):
		return nil, ErrNotParty.At("/party_id")
	}
	return []Event{HandoverConfirmed(c)}, nil
}

func (s State) handedOver(e Event) State {
	switch e := e.(type) {
	case HandoverRecorded:
		others := slices.DeleteFunc(slices.Clone(s.Handovers), func(h HandoverState) bool { return h.Direction == e.Handover.Direction })
		s.Handovers = append(others, HandoverState{Handover: e.Handover, Hash: e.Hash, Party: e.Party})
	case HandoverConfirmed:
		s.Handovers = slices.Clone(s.Handovers)
		for i, h := range s.Handovers {
			if h.Direction == e.Direction && h.Hash == e.Hash {
				s.Handovers[i].ConfirmedBy = e.Party
			}
		}
	}
	return s
}
