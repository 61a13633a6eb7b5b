// Package party owns one party (当事人): who it is, how surely that is known, and what it may do for whom. Personal fields
// come sealed and are never looked into; that a person is registered once is a claim on the blind index of the document,
// made before.
//
// A practitioner's employment lives in the practitioner's own stream, which so owns "one brokerage at a time" (S-07).
//
// # Facts
//
// Registration, opening reports, rosters and corrections are judged at stage PARTY with party.act (REGISTER, OPENING, ROSTER,
// CORRECT), party.kind, party.org_kind, party.scope_text,
// party.licence_issued, party.verification_level, party.suspended, party.opening_reported, party.local_entity (of an
// opening report), party.homes, party.staff and party.own_funds_fen (the same), party.banned, party.active_employments (with another brokerage), party.today, scope.subject_kinds.
//
// # Decisions
//
// Document numbers of persons are checked by the edge before they are sealed; a credit code is public and checked here.
// A ban also takes the practitioner off the roster, in the same append. Expired mandates and bans stay in the state:
// whether one counts is a question about a day. Level 3 is never lowered: a doubt about an identity is a suspension.
package party

import (
	"reflect"
	"slices"
	"unicode/utf8"

	"zujian/domain"
)

// Decider is the party aggregate.
var Decider = domain.Decider[State, Command, Event]{Category: "party", Decide: decide, Evolve: evolve}

// Rejections. The codes are public API.
var (
	ErrNotFound          = domain.Reject("party.not_found", "there is no such party")
	ErrWrongState        = domain.Reject("party.wrong_state", "the party is not in a state for this")
	ErrErased            = domain.Reject("party.erased", "the party's personal data were erased")
	ErrSuspended         = domain.Reject("party.is_suspended", "the party is suspended from new business")
	ErrExists            = domain.Reject("party.already_registered", "the party is registered with other data")
	ErrField             = domain.Reject("party.field", "a field of the party is missing or out of range")
	ErrLevel             = domain.Reject("party.verification_method", "this method does not give this verification level")
	ErrTries             = domain.Reject("party.verification_limit", "five verifications failed today; try again tomorrow")
	ErrNoOpening         = domain.Reject("party.opening_not_required", "only enterprises, brokerages and platforms report an opening")
	ErrElsewhere         = domain.Reject("party.practitioner_elsewhere", "the practitioner is on another brokerage's roster")
	ErrBanned            = domain.Reject("party.practitioner_banned", "the practitioner is banned from every roster")
	ErrNotRostered       = domain.Reject("party.not_rostered", "the practitioner is not on this brokerage's roster")
	ErrMandate           = domain.Reject("party.mandate", "the mandate is not valid")
	ErrMandateExists     = domain.Reject("party.mandate_exists", "a mandate with this id exists with other content")
	ErrMandateNotFound   = domain.Reject("party.mandate_not_found", "there is no such mandate")
	ErrRepresentative    = domain.Reject("party.representative", "a representative needs a person and a last day ahead")
	ErrOrderNo           = domain.Reject("party.order_no", "an order or decision number and a reason are required")
	ErrHasOpenContracts  = domain.Reject("party.has_open_contracts", "the party has open contracts")
	ErrUnsettled         = domain.Reject("party.unsettled_ledger", "a ledger of the party still holds money")
	ErrRetention         = domain.Reject("party.retention_running", "the law still wants the data kept")
	ErrMerged            = domain.Reject("party.merged", "the party was merged into another one")
	ErrMerger            = domain.Reject("party.merger", "a party is merged into another, live party of its kind")
	ErrPersonRequired    = domain.Reject("party.person_required", "this is for natural persons")
	ErrOrgRequired       = domain.Reject("party.org_required", "this is for organisations and sole traders")
	ErrIdentityImmutable = domain.Reject("party.identity_fixed", "this kind of party does not have these data")
)

const (
	triesMax  = 5 // Failed verifications of one day.
	levelMax  = 3
	textMax   = 500 // Characters of a text.
	sealedMax = 4096
	listMax   = 100 // Units of a mandate; mandates of a party are not limited.

	representMaxDays = 3660 // Ten years and some: a longer one is a typing error.
)

var (
	orgKinds = []string{
		OrgRentalEnterprise, OrgSubleaseOperator, OrgBrokerage, OrgSupervisingBank, OrgEmployer, OrgNetworkPlatform, OrgOther,
	}
	reporting = []string{OrgRentalEnterprise, OrgSubleaseOperator, OrgBrokerage, OrgNetworkPlatform}
	scopes    = []string{ScopeList, ScopeSign, ScopeFile, ScopeCollect, ScopeManage}
	docKinds  = []string{
		domain.DocCNID, domain.DocHMTResidence, domain.DocHMPermit, domain.DocTWPermit, domain.DocPassport, domain.DocForeignPR, domain.DocMilitary,
	}
)

// OpeningStage is how far an opening report has come.
type OpeningStage string

// Stages of an opening report. The zero OpeningStage means none.
const (
	OpeningNone     OpeningStage = ""
	OpeningWaiting  OpeningStage = "REPORTED"
	OpeningPublic   OpeningStage = "PUBLISHED"
	OpeningSentBack OpeningStage = "RETURNED"
)

// State is the party. The zero State means no party.
type State struct {
	Registered Registered // As first registered.
	Name       domain.Sealed
	Phone      domain.Sealed
	OrgName    string
	ScopeText  string

	Level         int    // Verification level 0–3.
	Method        string // That gave it.
	TriesOn       domain.Day
	Tries         int // Failed on TriesOn.
	Opening       Opening
	OpeningStage  OpeningStage
	Brokerage     string // On whose roster; "" = none.
	RosteredFrom  domain.Day
	LeftBrokerage string
	BannedUntil   domain.Day
	BanOrder      string
	Mandates      []Mandate // Not revoked; they may have expired.
	Revoked       []string  // Ids of revoked mandates.
	Bound         []RepresentativeBound
	IsSuspended   bool
	SuspendOrder  string
	Scale         int
	Erased        bool
	Erasure       *ErasureProposed // Open proposal.
	Merger        *MergerProposed  // Open proposal.
	MergedInto    string

	PublishedOn  domain.Day     // Of the opening report.
	ReturnReason string         // The same.
	OpeningRules domain.Verdict // The same, as judged when it was reported.
}

// Exists reports whether the party is registered.
func (s State) Exists() bool { return s.Registered.Kind != "" }

// Gone reports whether nobody may take the party in any more: it is erased, or another took its place.
func (s State) Gone() bool { return s.Erased || s.MergedInto != "" }

// Operates reports whether an organisation of a kind lets homes for its living, on an account under supervision.
func Operates(orgKind string) bool {
	return orgKind == OrgSubleaseOperator || orgKind == OrgRentalEnterprise
}

// OpeningReported reports whether the opening report is accepted and public.
func (s State) OpeningReported() bool { return s.OpeningStage == OpeningPublic }

// Banned reports whether no roster may carry the practitioner on a day.
func (s State) Banned(on domain.Day) bool { return s.BannedUntil != 0 && on <= s.BannedUntil }

// RosteredAt reports whether the practitioner is on the brokerage's roster on a day.
func (s State) RosteredAt(brokerage string, on domain.Day) bool {
	return brokerage != "" && s.Brokerage == brokerage && s.RosteredFrom <= on && !s.Banned(on)
}

// Mandated reports whether to may do scope for this party with unit on a day. A unit "" asks for a mandate of all units.
func (s State) Mandated(to, scope, unit string, on domain.Day) bool {
	return to != "" && slices.ContainsFunc(s.Mandates, func(m Mandate) bool {
		return m.To == to && on <= m.Until && slices.Contains(m.Scope, scope) && (len(m.Units) == 0 || slices.Contains(m.Units, unit))
	})
}

// Represented reports whether by may act for this organisation on a day.
func (s State) Represented(by string, on domain.Day) bool {
	return by != "" && slices.ContainsFunc(s.Bound, func(b RepresentativeBound) bool { return b.Representative == by && on <= b.Until })
}

func decide(s State, r domain.Request[Command]) ([]Event, error) {
	if c, ok := r.Command.(Register); ok {
		return register(s, r, c)
	}
	if !s.Exists() {
		return nil, ErrNotFound
	}
	if c, ok := r.Command.(Erase); ok {
		return erase(s, r, c)
	}
	if s.Erased {
		return nil, ErrErased
	}
	if c, ok := r.Command.(Merge); ok {
		return merge(s, r, c)
	}
	if s.MergedInto != "" {
		return nil, ErrMerged.With("survivor", s.MergedInto)
	}
	switch c := r.Command.(type) {
	case Verify:
		return verify(s, r, c)
	case FailVerification:
		return failVerification(s, r, c)
	case ReportOpening:
		return reportOpening(s, r, c)
	case PublishOpening:
		return publishOpening(s, r)
	case ReturnOpening:
		return returnOpening(s, c)
	case Roster:
		return roster(s, r, c)
	case Unroster:
		return unroster(s, r, c)
	case Ban:
		return ban(s, r, c)
	case GrantMandate:
		return grantMandate(s, r, c)
	case RevokeMandate:
		return revokeMandate(s, c)
	case BindRepresentative:
		return bind(s, r, c)
	case ReplaceData:
		return replaceData(s, r, c)
	case Suspend:
		return suspend(s, c)
	case Reinstate:
		return reinstate(s, c)
	case ReachScale:
		return reachScale(s, r, c)
	}
	panic("party: unhandled command") // Sealed set: only a programming error gets here.
}

func register(s State, r domain.Request[Command], c Register) ([]Event, error) {
	e := Registered{
		Kind: c.Kind, OrgKind: c.OrgKind, Name: c.Name, DocType: c.DocType, DocNo: c.DocNo, DocIndex: c.DocIndex, Phone: c.Phone,
		Birth: c.Birth, OrgName: c.OrgName, USCC: c.USCC, ScopeText: c.ScopeText, LicenceIssued: c.LicenceIssued, AdminCode: c.AdminCode,
	}
	if s.Exists() {
		if same(s.Registered, e) {
			return nil, nil
		}
		return nil, ErrExists
	}
	if err := check(c, r.Today()); err != nil {
		return nil, err
	}
	next := evolve(State{}, e)
	verdict := r.Policy.Judge(domain.StageParty, r.Today(), next.facts(actRegister, r.Today(), nil))
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	e.Rules = verdict
	return []Event{e}, nil
}

// same compares registrations by identity and public data: sealing the same name twice gives two texts.
func same(a, b Registered) bool {
	a.Rules, b.Rules = nil, nil
	if a.DocIndex == b.DocIndex && a.USCC == b.USCC {
		for _, e := range []*Registered{&a, &b} {
			e.Name, e.DocNo, e.Phone, e.Birth = "", "", "", ""
		}
	}
	return reflect.DeepEqual(a, b)
}

func check(c Register, today domain.Day) error {
	bad := func(field string) error { return ErrField.At("/"+field).With("field", field) }
	person, org := c.Kind != KindOrg, c.Kind != KindPerson
	switch {
	case !slices.Contains([]string{KindPerson, KindOrg, KindSoleTrader}, c.Kind):
		return bad("kind")
	case person && (c.Name == "" || len(c.Name) > sealedMax):
		return bad("name")
	case person && !slices.Contains(docKinds, c.DocType):
		return bad("doc_type")
	case person && (c.DocNo == "" || c.DocIndex == "" || len(c.DocNo) > sealedMax || len(c.DocIndex) > 128):
		return bad("doc_no")
	case !person && (c.Name != "" || c.DocNo != "" || c.Birth != ""):
		return bad("name")
	case len(c.Phone) > sealedMax || len(c.Birth) > sealedMax:
		return bad("phone")
	case org && (c.OrgName == "" || !short(c.OrgName)):
		return bad("org_name")
	case org && !domain.CheckUSCC(c.USCC):
		return domain.ErrUSCCChecksum.At("/uscc")
	case !org && (c.OrgName != "" || c.USCC != "" || c.OrgKind != ""):
		return bad("org_kind")
	case org && !slices.Contains(orgKinds, c.OrgKind) && (c.Kind == KindOrg || c.OrgKind != ""):
		return bad("org_kind")
	case !short(c.ScopeText):
		return bad("scope_text")
	case c.LicenceIssued != 0 && (c.LicenceIssued < domain.DayMin || c.LicenceIssued > today):
		return bad("licence_issued")
	case c.AdminCode != "" && !domain.IsDigits(c.AdminCode, 6):
		return bad("admin_code")
	}
	return nil
}

func short(s string) bool { return utf8.RuneCountInString(s) <= textMax }

// What a rule of stage PARTY may be judged at.
const (
	actRegister = "REGISTER"
	actOpening  = "OPENING"
	actRoster   = "ROSTER"
	actCorrect  = "CORRECT"
)

// facts describe the party for rules; more are those of the command.
func (s State) facts(act string, today domain.Day, more domain.Facts) domain.Facts {
	p := domain.Facts{
		"act": act, "kind": s.Registered.Kind, "org_kind": s.Registered.OrgKind, "scope_text": s.ScopeText, "licence_issued": s.Registered.LicenceIssued,
		"verification_level": int64(s.Level), "suspended": s.IsSuspended, "opening_reported": s.OpeningReported(), "today": today,
		"banned": s.Banned(today), "active_employments": int64(0), "local_entity": s.Opening.LocalEntity, "homes": int64(s.Opening.Homes),
		"staff": int64(s.Opening.Staff), "own_funds_fen": int64(s.Opening.OwnFundsFen),
	}
	for _, k := range []string{"active_employments", "local_entity", "homes", "staff", "own_funds_fen"} {
		if v, ok := more[k]; ok {
			p[k] = v
		}
	}
	kinds := []string{s.Registered.Kind}
	if s.Registered.OrgKind != "" {
		kinds = append(kinds, s.Registered.OrgKind)
	}
	return domain.Facts{"party": p, "scope": domain.Facts{"subject_kinds": kinds}}
}

func evolve(s State, e Event) State {
	switch e := e.(type) {
	case Registered:
		s.Registered, s.Name, s.Phone, s.OrgName, s.ScopeText = e, e.Name, e.Phone, e.OrgName, e.ScopeText
	case IdentityVerified:
		s.Level, s.Method = max(s.Level, e.Level), e.Method
	case VerificationFailed:
		if s.TriesOn != e.On {
			s.TriesOn, s.Tries = e.On, 0
		}
		s.Tries++
	case OpeningReported:
		s.Opening, s.OpeningStage, s.OpeningRules = e.Opening, OpeningWaiting, e.Rules
	case OpeningPublished:
		s.OpeningStage, s.PublishedOn, s.ReturnReason = OpeningPublic, e.On, ""
	case OpeningReturned:
		s.OpeningStage, s.ReturnReason = OpeningSentBack, e.Reason
	case PractitionerRostered:
		s.Brokerage, s.RosteredFrom = e.Brokerage, e.From
	case PractitionerRemoved:
		s.Brokerage, s.RosteredFrom, s.LeftBrokerage = "", 0, e.Brokerage
	case PractitionerBanned:
		s.BannedUntil, s.BanOrder = max(s.BannedUntil, e.Until), e.OrderNo
	case MandateGranted:
		s.Mandates = append(slices.Clip(s.Mandates), e.Mandate)
	case MandateRevoked:
		s.Mandates = slices.DeleteFunc(slices.Clone(s.Mandates), func(m Mandate) bool { return m.MandateID == e.MandateID })
		s.Revoked = append(slices.Clip(s.Revoked), e.MandateID)
	case RepresentativeBound:
		bound := slices.DeleteFunc(slices.Clone(s.Bound), func(b RepresentativeBound) bool { return b.Representative == e.Representative })
		s.Bound = append(bound, e)
	case DataCorrected:
		replace(&s.Name, e.Name)
		replace(&s.Phone, e.Phone)
		replace(&s.OrgName, e.OrgName)
		replace(&s.ScopeText, e.ScopeText)
	case Suspended:
		s.IsSuspended, s.SuspendOrder = true, e.OrderNo
	case Reinstated:
		s.IsSuspended, s.SuspendOrder = false, ""
	case SublettingScaleReached:
		s.Scale = e.Count
	case MergerProposed:
		s.Merger = &e
	case Merged:
		s.Merger, s.MergedInto = nil, e.Survivor
	case ErasureProposed:
		s.Erasure = &e
	case PersonalDataErased:
		s.Erased, s.Erasure = true, nil
	}
	return s
}

func replace[T ~string](old *T, now T) {
	if now != "" {
		*old = now
	}
}
