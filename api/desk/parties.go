package desk

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"zujian/domain"
	"zujian/domain/claim"
	"zujian/domain/party"
	"zujian/eventstore"
	"zujian/eventstore/seal"
)

// NewParty is a registration. An organisation's document is its USCC.
type NewParty struct {
	Kind, OrgKind string
	Name          string
	DocType       string
	DocNo         string
	Phone         string
	ScopeText     string
	LicenceIssued domain.Day
	AdminCode     string
	OrgName, USCC string // Of a sole trader: Name and DocNo are those of the operator (经营者).
}

// ErrBrokerageNeeded is for a roster of a party that is no brokerage.
var ErrBrokerageNeeded = domain.Reject("party.no_brokerage", "this party is not a brokerage")

// ErrBankNeeded is for an account or a ledger at a party that is no supervising bank.
var ErrBankNeeded = domain.Reject("party.no_supervising_bank", "this party is not a supervising bank")

// ErrName is a name that is no name.
var ErrName = domain.Reject("party.name_invalid", "a name needs 1 to 100 characters, none of them control, direction or private-use characters")

// CleanName checks a name as filed: valid UTF-8, no control, bidirectional, zero-width or private-use characters.
func CleanName(s string) (string, error) {
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n == 0 || n > 100 || !utf8.ValidString(s) {
		return "", ErrName
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) || r == utf8.RuneError {
			return "", ErrName
		}
	}
	return s, nil
}

// RegisterParty enters a party, or finds the one with the same document: the answer is the same, so that nobody learns
// who is known. What a second registration says beside the document changes nothing.
func (d *Desk) RegisterParty(ctx context.Context, call Call, in NewParty) (string, Receipt, error) {
	name, err := CleanName(in.Name)
	if err != nil {
		return "", Receipt{}, ErrName.At("/name")
	}
	if in.Kind == party.KindOrg && in.DocType == "" {
		in.DocType = domain.DocUSCC
	}
	no := domain.NormalDocNo(norm.NFKC.String(in.DocNo))
	if (in.Kind == party.KindPerson) == (in.DocType == domain.DocUSCC) && in.Kind != party.KindSoleTrader {
		return "", Receipt{}, domain.ErrDocFormat.At("/doc_type")
	}
	if err := domain.CheckDocNo(in.DocType, no, domain.DayOf(call.At)); err != nil {
		var r *domain.Rejection
		if errors.As(err, &r) {
			return "", Receipt{}, r.At("/doc_no")
		}
		return "", Receipt{}, err
	}
	phone := ""
	if in.Phone != "" {
		if phone, err = domain.NormalPhone(norm.NFKC.String(in.Phone)); err != nil {
			return "", Receipt{}, domain.ErrPhoneFormat.At("/phone")
		}
	}
	index, err := d.documentIndex(ctx, in.DocType, no)
	if err != nil {
		return "", Receipt{}, err
	}
	cmd := party.Register{
		Kind: in.Kind, OrgKind: in.OrgKind, DocType: in.DocType, DocIndex: index, ScopeText: in.ScopeText,
		LicenceIssued: in.LicenceIssued, AdminCode: in.AdminCode,
	}
	identity := index
	if in.Kind == party.KindSoleTrader { // The business is the party: its operator may be one in person too, or have another.
		if cmd.OrgName, cmd.USCC, err = d.soleTrader(in); err != nil {
			return "", Receipt{}, err
		}
		if identity, err = d.businessIndex(ctx, cmd.USCC); err != nil {
			return "", Receipt{}, err
		}
	} else if in.OrgName != "" || in.USCC != "" {
		return "", Receipt{}, party.ErrIdentityImmutable.At("/org_name")
	}
	id, err := d.claimIdentity(ctx, call, identity)
	if err != nil {
		return "", Receipt{}, err
	}
	if last, rev, found, err := d.survivor(ctx, id); err != nil || found {
		return last, Receipt{Revision: rev}, err
	}
	if in.Kind == party.KindOrg {
		cmd.OrgName, cmd.USCC, cmd.DocIndex = name, no, ""
	} else {
		birth := ""
		if day, ok := domain.BirthDay(in.DocType, no); ok {
			birth = day.String()
		}
		for field, v := range map[string]struct {
			clear string
			to    *domain.Sealed
		}{"name": {name, &cmd.Name}, "doc_no": {no, &cmd.DocNo}, "phone": {phone, &cmd.Phone}, "birth": {birth, &cmd.Birth}} {
			if *v.to, err = d.seal(ctx, id, field, v.clear); err != nil {
				return "", Receipt{}, err
			}
		}
	}
	r, err := exec(ctx, d, call.step("register"), party.Decider, id, party.Command(cmd))
	if errors.Is(err, party.ErrExists) { // Another registration of the same document was faster.
		_, rev, _, err := load(ctx, d, party.Decider, id)
		return id, Receipt{Revision: rev}, err
	}
	return id, r, err
}

// mergersMax bounds how often in a row who took a party's place was merged itself: more is a mistake.
const mergersMax = 16

// survivor is the party that stands for one now: itself, or the last it was merged into.
func (d *Desk) survivor(ctx context.Context, id string) (last string, rev eventstore.Revision, found bool, err error) {
	for range mergersMax {
		var s party.State
		if s, rev, found, err = load(ctx, d, party.Decider, id); err != nil || s.MergedInto == "" {
			break
		}
		id = s.MergedInto
	}
	return id, rev, found, err
}

// soleTrader checks the name and code of an individual business (个体工商户).
func (d *Desk) soleTrader(in NewParty) (name, code string, err error) {
	if name, err = CleanName(in.OrgName); err != nil {
		return "", "", ErrName.At("/org_name")
	}
	code = domain.NormalDocNo(norm.NFKC.String(in.USCC))
	if err := domain.CheckDocNo(domain.DocUSCC, code, 0); err != nil {
		var r *domain.Rejection
		if errors.As(err, &r) {
			err = r.At("/uscc")
		}
		return "", "", err
	}
	return name, code, nil
}

// businessIndex is the identity of a business: its public code, like an organisation's.
func (d *Desk) businessIndex(ctx context.Context, uscc string) (domain.BlindIndex, error) {
	return d.documentIndex(ctx, domain.DocUSCC, uscc)
}

func (d *Desk) documentIndex(ctx context.Context, docType, no string) (domain.BlindIndex, error) {
	s, err := d.o.Vault.Blind(ctx, "document", docType+":"+no)
	return domain.BlindIndex(s), err
}

// claimIdentity makes the document's blind index belong to one party id, and says which.
func (d *Desk) claimIdentity(ctx context.Context, call Call, index domain.BlindIndex) (string, error) {
	return d.claim(ctx, call, "identity", string(index), derive("party", call.ID))
}

// claim makes a value belong to holder unless it belongs to another already, and returns whose it is.
func (d *Desk) claim(ctx context.Context, call Call, kind, value, holder string) (string, error) {
	id := kind + "." + value
	_, err := exec(ctx, d, call.step("claim "+id), claim.Decider, id, claim.Command(claim.Make{Holder: holder}))
	if !errors.Is(err, claim.ErrTaken) {
		return holder, err
	}
	s, _, _, err := load(ctx, d, claim.Decider, id)
	return s.Holder, err
}

// seal encrypts a personal field of a party for its own stream; "" stays absent.
func (d *Desk) seal(ctx context.Context, partyID, field, clear string) (domain.Sealed, error) {
	if clear == "" {
		return "", nil
	}
	return d.sealFor(ctx, partyID, "party-"+partyID, field, clear)
}

// sealFor encrypts a field under a party's key. Who is erased has none any more.
func (d *Desk) sealFor(ctx context.Context, partyID, stream, field, clear string) (domain.Sealed, error) {
	s, err := d.o.Vault.Seal(ctx, partyID, stream, field, clear)
	if errors.Is(err, seal.ErrErased) {
		err = party.ErrErased
	}
	return domain.Sealed(s), err
}

// Person is what an actor may read of a party: opened and masked by who asks.
type Person struct {
	party.State
	Name, DocNo, Phone string // Clear for oneself, masked for others, "" where hidden or erased.
}

func partyRow(id string, s party.State) Row {
	district := s.Registered.AdminCode
	if s.Opening.AdminCode != "" {
		district = s.Opening.AdminCode
	}
	return Row{District: district, Parties: []string{id}, Bank: id}
}

// Party reads one party for an actor: itself in clear, regulators and auditors masked, its representatives masked.
// Everyone else learns nothing, not even that it exists.
func (d *Desk) Party(ctx context.Context, call Call, id string, asOf time.Time) (Person, Receipt, error) {
	today := domain.DayOf(call.At)
	s, r, err := view(ctx, d, call.Actor, party.Decider, id, asOf, func(s party.State) (Row, bool) {
		open := call.Actor.Role == domain.RoleDistrict // Persons have no district of their own; what is shown is masked.
		return partyRow(id, s), open || mandatedAny(s, call.Actor.Party, today)
	})
	if err != nil {
		return Person{}, r, err
	}
	p, err := d.person(ctx, call.Actor, id, s)
	return p, r, err
}

// Opening reads the opening report of a business. A published one is for everyone; before, it is the business's own and
// the authorities'.
func (d *Desk) Opening(ctx context.Context, actor domain.Actor, id string, asOf time.Time) (party.State, Receipt, error) {
	s, r, err := view(ctx, d, actor, party.Decider, id, asOf, func(s party.State) (Row, bool) {
		return partyRow(id, s), s.OpeningReported()
	})
	if err == nil && s.OpeningStage == party.OpeningNone {
		return party.State{}, Receipt{}, ErrNotFound
	}
	return s, r, err
}

func (d *Desk) person(ctx context.Context, actor domain.Actor, id string, s party.State) (Person, error) {
	p := Person{State: s, Name: s.OrgName, DocNo: s.Registered.USCC}
	if s.Erased || s.Registered.Kind == party.KindOrg {
		return p, nil
	}
	var err error
	if p.Name, err = d.open(ctx, id, "name", s.Name); err != nil {
		return p, err
	}
	if p.DocNo, err = d.open(ctx, id, "doc_no", s.Registered.DocNo); err != nil {
		return p, err
	}
	if p.Phone, err = d.open(ctx, id, "phone", s.Phone); err != nil {
		return p, err
	}
	if actor.Party != id {
		viewer := seal.Counterpart
		if regulator(actor) || actor.Role == domain.RoleAuditor {
			viewer = seal.Officer
		}
		p.Name, p.DocNo, p.Phone = seal.MaskName(p.Name), seal.MaskDocNo(p.DocNo, viewer), seal.MaskPhone(p.Phone, viewer)
	}
	return p, nil
}

// open decrypts a personal field of a party's stream. An erased subject reads as "".
func (d *Desk) open(ctx context.Context, partyID, field string, sealed domain.Sealed) (string, error) {
	if sealed == "" {
		return "", nil
	}
	clear, err := d.o.Vault.Open(ctx, partyID, "party-"+partyID, field, string(sealed))
	if errors.Is(err, seal.ErrErased) {
		return "", nil
	}
	return clear, err
}

// publicName is what anyone may learn of who lets a home: an organisation's name, a person's masked one.
func (d *Desk) publicName(ctx context.Context, id string, s party.State) (string, error) {
	if s.Registered.Kind == party.KindOrg {
		return s.OrgName, nil
	}
	return d.OpenName(ctx, id, s.Name, false)
}

// NameFor is a party's name as an actor may read it: in full for the parties of a common contract (after signing) and
// oneself, masked otherwise. full says which.
func (d *Desk) NameFor(ctx context.Context, id string, full bool) (string, error) {
	s, _, found, err := load(ctx, d, party.Decider, id)
	if err != nil || !found {
		return "", err
	}
	if s.Registered.Kind == party.KindOrg {
		return s.OrgName, nil
	}
	return d.OpenName(ctx, id, s.Name, full)
}

// OpenName is the sealed name of a person, as an answer has it, in full or masked. An erased one's is "".
func (d *Desk) OpenName(ctx context.Context, id string, sealed domain.Sealed, full bool) (string, error) {
	name, err := d.open(ctx, id, "name", sealed)
	if !full {
		name = seal.MaskName(name)
	}
	return name, err
}

// PartyAct is an act on a party. self says that only the party itself may ask for it; else only authority.
func (d *Desk) PartyAct(ctx context.Context, call Call, id string, self bool, cmd party.Command) (Receipt, error) {
	s, _, found, err := load(ctx, d, party.Decider, id)
	if err != nil || !found {
		return Receipt{}, orNotFound(err)
	}
	switch {
	case self && call.Actor.Party != id:
		return Receipt{}, ErrNotFound
	case !self && elsewhere(call.Actor, s):
		return Receipt{}, ErrOutOfArea
	}
	switch c := cmd.(type) {
	case party.GrantMandate:
		if err := d.mustParty(ctx, c.To, "/to"); err != nil {
			return Receipt{}, err
		}
	case party.ReportOpening:
		if err := d.mustBank(ctx, c.Opening.AccountBank, "/account/bank_party_id"); err != nil {
			return Receipt{}, err
		}
	case party.BindRepresentative:
		if err := d.mustParty(ctx, c.Representative, "/representative_id"); err != nil {
			return Receipt{}, err
		}
	case party.Merge:
		if err := d.mayMerge(ctx, id, s, c.Survivor); err != nil {
			return Receipt{}, err
		}
	}
	return exec(ctx, d, call, party.Decider, id, cmd)
}

// elsewhere is true for a district other than that of a business.
func elsewhere(a domain.Actor, s party.State) bool {
	return a.Role == domain.RoleDistrict && s.Opening.AdminCode != "" && s.Opening.AdminCode != a.Area
}

// mayMerge wants a living party of the same kind that is not itself merged away.
func (d *Desk) mayMerge(ctx context.Context, id string, s party.State, survivor string) error {
	to, _, found, err := load(ctx, d, party.Decider, survivor)
	if err == nil && (!found || survivor == id || to.Erased || to.MergedInto != "" || to.Registered.Kind != s.Registered.Kind) {
		err = party.ErrMerger.At("/survivor_id")
	}
	return err
}

// Correction is what a counter, or the party itself, corrects on evidence. Empty fields stay.
type Correction struct{ Name, OrgName, Phone, ScopeText, Evidence string }

// CorrectParty seals and records a correction. A party may change its own phone and nothing else.
func (d *Desk) CorrectParty(ctx context.Context, call Call, id string, in Correction) (Receipt, error) {
	self := !regulator(call.Actor)
	if self && (in.Name != "" || in.OrgName != "" || in.ScopeText != "") {
		return Receipt{}, ErrForbidden
	}
	if self && call.Actor.Party != id {
		return Receipt{}, ErrNotFound
	}
	s, _, found, err := load(ctx, d, party.Decider, id)
	if err != nil || !found {
		return Receipt{}, orNotFound(err)
	}
	cmd := party.ReplaceData{OrgName: in.OrgName, ScopeText: in.ScopeText, Evidence: in.Evidence}
	if in.OrgName != "" {
		if cmd.OrgName, err = CleanName(in.OrgName); err != nil {
			return Receipt{}, ErrName.At("/org_name")
		}
	}
	if in.Name != "" {
		name, err := CleanName(in.Name)
		if err != nil {
			return Receipt{}, ErrName.At("/name")
		}
		if cmd.Name, err = d.replacement(ctx, id, "name", name, s.Name); err != nil {
			return Receipt{}, err
		}
	}
	if in.Phone != "" {
		phone, err := domain.NormalPhone(norm.NFKC.String(in.Phone))
		if err != nil {
			return Receipt{}, domain.ErrPhoneFormat.At("/phone")
		}
		if cmd.Phone, err = d.replacement(ctx, id, "phone", phone, s.Phone); err != nil {
			return Receipt{}, err
		}
	}
	return d.PartyAct(ctx, call, id, self, cmd)
}

// replacement seals a new value; the value that stands keeps its seal, so that correcting nothing writes nothing.
func (d *Desk) replacement(ctx context.Context, id, field, clear string, old domain.Sealed) (domain.Sealed, error) {
	if now, err := d.open(ctx, id, field, old); err != nil || now == clear {
		return old, err
	}
	return d.seal(ctx, id, field, clear)
}

// Practitioner rosters or removes a practitioner of a brokerage; the command goes to the person's own stream.
func (d *Desk) Practitioner(ctx context.Context, call Call, person string, cmd party.Command) (Receipt, error) {
	if err := d.mustParty(ctx, person, "/party_id"); err != nil {
		return Receipt{}, err
	}
	id, joins := "", false
	switch c := cmd.(type) {
	case party.Roster:
		id, joins = c.Brokerage, true
	case party.Unroster:
		id = c.Brokerage
	}
	b, _, found, err := load(ctx, d, party.Decider, id)
	switch {
	case err != nil:
		return Receipt{}, err
	case joins && (!found || b.Registered.OrgKind != party.OrgBrokerage):
		return Receipt{}, ErrBrokerageNeeded.At("/brokerage_id")
	case elsewhere(call.Actor, b):
		return Receipt{}, ErrOutOfArea
	}
	return exec(ctx, d, call, party.Decider, person, cmd)
}

// ErasePerson proposes to destroy a person's key or, by another regulator under the same decision, destroys it after the
// law's retention: the events stay, nobody can read them again.
func (d *Desk) ErasePerson(ctx context.Context, call Call, id string, cmd party.Erase) (Receipt, error) {
	s, _, found, err := load(ctx, d, party.Decider, id)
	if err != nil || !found {
		return Receipt{}, orNotFound(err)
	}
	r, err := exec(ctx, d, call, party.Decider, id, party.Command(cmd))
	if err != nil {
		return r, err
	}
	if now, _, _, err := load(ctx, d, party.Decider, id); err != nil || !now.Erased { // Proposed.
		return r, err
	}
	identity := s.Registered.DocIndex
	if s.Registered.Kind == party.KindSoleTrader {
		if identity, err = d.businessIndex(ctx, s.Registered.USCC); err != nil {
			return r, err
		}
	}
	if identity != "" {
		cid := "identity." + string(identity)
		released, err := exec(ctx, d, call.step("forget"), claim.Decider, cid, claim.Command(claim.Release{Holder: id}))
		if err != nil {
			return r, err
		}
		r = r.later(released.Position)
	}
	return r, d.o.Vault.Erase(ctx, id)
}

// mandatedAny says whether the party lets another act for it in any way on a day: then that one may read it, masked.
func mandatedAny(s party.State, to string, on domain.Day) bool {
	for _, m := range s.Mandates {
		if to != "" && m.To == to && m.Until >= on {
			return true
		}
	}
	return false
}
