package party

import (
	"reflect"
	"slices"

	"zujian/domain"
)

// levelOf is the highest level a method gives; 0 for an unknown method.
func levelOf(method string) int {
	switch method {
	case MethodSMS:
		return 1
	case MethodIDNameMatch:
		return 2
	case MethodFace, MethodBankCard, MethodUSCCRep, MethodCounter:
		return levelMax
	}
	return 0
}

func verify(s State, r domain.Request[Command], c Verify) ([]Event, error) {
	switch {
	case c.Level < 1 || c.Level > levelOf(c.Method):
		return nil, ErrLevel.At("/level").With("method", c.Method).With("level_max", int64(levelOf(c.Method)))
	case c.Method == MethodUSCCRep && s.Registered.Kind == KindPerson:
		return nil, ErrOrgRequired.At("/method")
	case c.Level <= s.Level:
		return nil, nil
	case s.triesOn(r.Today()) >= triesMax:
		return nil, ErrTries.With("max", int64(triesMax))
	}
	return []Event{IdentityVerified(c)}, nil
}

func (s State) triesOn(day domain.Day) int {
	if s.TriesOn != day {
		return 0
	}
	return s.Tries
}

func failVerification(s State, r domain.Request[Command], c FailVerification) ([]Event, error) {
	switch {
	case levelOf(c.Method) == 0:
		return nil, ErrLevel.At("/method").With("method", c.Method)
	case s.triesOn(r.Today()) >= triesMax:
		return nil, ErrTries.With("max", int64(triesMax))
	}
	return []Event{VerificationFailed{Method: c.Method, On: r.Today()}}, nil
}

func reportOpening(s State, r domain.Request[Command], c ReportOpening) ([]Event, error) {
	o := c.Opening
	bad := func(field string) error { return ErrField.At("/"+field).With("field", field) }
	switch {
	case !slices.Contains(reporting, s.Registered.OrgKind):
		return nil, ErrNoOpening
	case (s.OpeningStage == OpeningWaiting || s.OpeningStage == OpeningPublic) && s.Opening == o:
		return nil, nil
	case !domain.IsDigits(o.AdminCode, 6):
		return nil, bad("admin_code")
	case o.Place == "" || !short(o.Place):
		return nil, bad("place")
	case !slices.Contains([]string{"", "CENTRALIZED", "SCATTERED", "MANAGED", "AGENCY_LET"}, o.Operation):
		return nil, bad("operation")
	case o.Homes < 0 || o.Homes > 10_000_000:
		return nil, bad("homes")
	case o.Staff < 0 || o.Staff > 1_000_000:
		return nil, bad("staff")
	case o.OwnFundsFen < 0 || o.OwnFundsFen > domain.FenMax:
		return nil, bad("own_funds_fen")
	case o.AccountLast != "" && !domain.IsDigits(o.AccountLast, 4):
		return nil, bad("account_last4")
	}
	verdict := r.Policy.Judge(domain.StageParty, r.Today(), s.facts(actOpening, r.Today(), domain.Facts{
		"local_entity": o.LocalEntity, "homes": int64(o.Homes), "staff": int64(o.Staff), "own_funds_fen": int64(o.OwnFundsFen),
	}))
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	return []Event{OpeningReported{Opening: o, Rules: verdict}}, nil
}

func publishOpening(s State, r domain.Request[Command]) ([]Event, error) {
	switch s.OpeningStage {
	case OpeningPublic:
		return nil, nil
	case OpeningWaiting:
		return []Event{OpeningPublished{On: r.Today()}}, nil
	}
	return nil, s.openingState()
}

func returnOpening(s State, c ReturnOpening) ([]Event, error) {
	switch {
	case s.OpeningStage == OpeningSentBack:
		return nil, nil
	case s.OpeningStage != OpeningWaiting:
		return nil, s.openingState()
	case c.Reason == "" || !short(c.Reason):
		return nil, ErrField.At("/reason").With("field", "reason")
	}
	return []Event{OpeningReturned(c)}, nil
}

func (s State) openingState() error {
	return ErrWrongState.With("from", "OPENING_"+string(s.OpeningStage)).With("allowed", []string{"OPENING_" + string(OpeningWaiting)})
}

func roster(s State, r domain.Request[Command], c Roster) ([]Event, error) {
	from := c.From
	if from == 0 {
		from = r.Today()
	}
	elsewhere := s.Brokerage != "" && s.Brokerage != c.Brokerage
	others := int64(0)
	if elsewhere {
		others = 1
	}
	switch {
	case s.Registered.Kind == KindOrg:
		return nil, ErrPersonRequired
	case c.Brokerage == "":
		return nil, ErrField.At("/brokerage_id").With("field", "brokerage_id")
	case from < domain.DayMin || from > domain.DayMax:
		return nil, ErrField.At("/from").With("field", "from")
	case s.Brokerage == c.Brokerage && (c.From == 0 || c.From == s.RosteredFrom):
		return nil, nil
	case s.Banned(from) || s.Banned(r.Today()):
		return nil, ErrBanned.With("until", s.BannedUntil)
	}
	verdict := r.Policy.Judge(domain.StageParty, r.Today(), s.facts(actRoster, r.Today(), domain.Facts{"active_employments": others}))
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	switch {
	case elsewhere: // S-07: an invariant, whatever the rule set says.
		return nil, ErrElsewhere
	case s.IsSuspended:
		return nil, ErrSuspended
	}
	return []Event{PractitionerRostered{Brokerage: c.Brokerage, From: from, Rules: verdict}}, nil
}

func unroster(s State, r domain.Request[Command], c Unroster) ([]Event, error) {
	on := c.On
	if on == 0 {
		on = r.Today()
	}
	switch {
	case s.Brokerage == "" && s.LeftBrokerage == c.Brokerage && c.Brokerage != "":
		return nil, nil
	case s.Brokerage != c.Brokerage || c.Brokerage == "":
		return nil, ErrNotRostered
	}
	return []Event{PractitionerRemoved{Brokerage: c.Brokerage, On: on}}, nil
}

func ban(s State, r domain.Request[Command], c Ban) ([]Event, error) {
	switch {
	case s.Registered.Kind == KindOrg:
		return nil, ErrPersonRequired
	case c.OrderNo == "" || !short(c.OrderNo):
		return nil, ErrOrderNo.At("/order_no")
	case s.BannedUntil >= c.Until && s.BanOrder == c.OrderNo && c.Until != 0:
		return nil, nil
	case c.Until <= r.Today() || c.Until > domain.DayMax:
		return nil, ErrField.At("/until").With("field", "until")
	}
	events := []Event{PractitionerBanned(c)}
	if s.Brokerage != "" {
		events = append(events, PractitionerRemoved{Brokerage: s.Brokerage, On: r.Today()})
	}
	return events, nil
}

func grantMandate(s State, r domain.Request[Command], c GrantMandate) ([]Event, error) {
	m := Mandate(c)
	bad := func(field string) error { return ErrMandate.At("/"+field).With("field", field) }
	if i := slices.IndexFunc(s.Mandates, func(m Mandate) bool { return m.MandateID == c.MandateID }); i >= 0 {
		if reflect.DeepEqual(s.Mandates[i], m) {
			return nil, nil
		}
		return nil, ErrMandateExists
	}
	switch {
	case slices.Contains(s.Revoked, c.MandateID):
		return nil, ErrMandateExists
	case c.MandateID == "":
		return nil, bad("mandate_id")
	case c.To == "":
		return nil, bad("to")
	case len(c.Scope) == 0 || len(c.Scope) > len(scopes) || slices.ContainsFunc(c.Scope, func(x string) bool { return !slices.Contains(scopes, x) }):
		return nil, bad("scope")
	case len(c.Units) > listMax || slices.Contains(c.Units, ""):
		return nil, bad("units")
	case c.Until < r.Today() || c.Until > domain.DayMax:
		return nil, bad("until")
	}
	return []Event{MandateGranted{m}}, nil
}

func revokeMandate(s State, c RevokeMandate) ([]Event, error) {
	switch {
	case slices.Contains(s.Revoked, c.MandateID):
		return nil, nil
	case !slices.ContainsFunc(s.Mandates, func(m Mandate) bool { return m.MandateID == c.MandateID }):
		return nil, ErrMandateNotFound
	}
	return []Event{MandateRevoked(c)}, nil
}

func bind(s State, r domain.Request[Command], c BindRepresentative) ([]Event, error) {
	switch {
	case s.Registered.Kind == KindPerson:
		return nil, ErrOrgRequired
	case slices.Contains(s.Bound, RepresentativeBound(c)):
		return nil, nil
	case c.Representative == "":
		return nil, ErrRepresentative.At("/representative_id")
	case c.Until < r.Today() || c.Until > r.Today().AddDays(representMaxDays):
		return nil, ErrRepresentative.At("/until")
	}
	return []Event{RepresentativeBound(c)}, nil
}

func replaceData(s State, r domain.Request[Command], c ReplaceData) ([]Event, error) {
	switch {
	case s.Registered.Kind == KindOrg && c.Name != "", s.Registered.Kind == KindPerson && (c.OrgName != "" || c.ScopeText != ""):
		return nil, ErrIdentityImmutable
	case len(c.Name) > sealedMax || len(c.Phone) > sealedMax || !short(c.OrgName) || !short(c.ScopeText):
		return nil, ErrField.At("/name").With("field", "name")
	case c.Evidence == "" || !short(c.Evidence):
		return nil, ErrField.At("/evidence").With("field", "evidence")
	}
	e := DataCorrected{Name: c.Name, Phone: c.Phone, OrgName: c.OrgName, ScopeText: c.ScopeText, Evidence: c.Evidence}
	next := evolve(s, e)
	if next.Name == s.Name && next.Phone == s.Phone && next.OrgName == s.OrgName && next.ScopeText == s.ScopeText {
		return nil, nil
	}
	verdict := r.Policy.Judge(domain.StageParty, r.Today(), next.facts(actCorrect, r.Today(), nil))
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	e.Rules = verdict
	return []Event{e}, nil
}

func suspend(s State, c Suspend) ([]Event, error) {
	switch {
	case c.OrderNo == "" || c.Reason == "" || !short(c.OrderNo) || !short(c.Reason):
		return nil, ErrOrderNo.At("/order_no")
	case s.IsSuspended && s.SuspendOrder == c.OrderNo:
		return nil, nil
	case s.IsSuspended:
		return nil, ErrWrongState.With("from", "SUSPENDED").With("allowed", []string{"REGISTERED"})
	}
	return []Event{Suspended(c)}, nil
}

func reinstate(s State, c Reinstate) ([]Event, error) {
	switch {
	case c.OrderNo == "" || !short(c.OrderNo):
		return nil, ErrOrderNo.At("/order_no")
	case !s.IsSuspended:
		return nil, nil
	}
	return []Event{Reinstated(c)}, nil
}

// scaleDefault is at how many sublet homes or rooms registration is due when the rule set names none (S-09).
const scaleDefault = 10

func reachScale(s State, r domain.Request[Command], c ReachScale) ([]Event, error) {
	due, ok := r.Policy.Param("S-09", "n", r.Today())
	if !ok {
		due = scaleDefault
	}
	switch {
	case s.Registered.Kind != KindPerson:
		return nil, ErrPersonRequired
	case c.Count < 1:
		return nil, ErrField.At("/count").With("field", "count")
	case int64(c.Count) < due:
		return nil, nil
	case s.Scale > 0: // Reached once; later counts change nothing.
		return nil, nil
	}
	return []Event{SublettingScaleReached(c)}, nil
}

func merge(s State, r domain.Request[Command], c Merge) ([]Event, error) {
	switch {
	case s.MergedInto == c.Survivor && c.Survivor != "":
		return nil, nil
	case s.MergedInto != "":
		return nil, ErrMerged.With("survivor", s.MergedInto)
	case c.Survivor == "":
		return nil, ErrMerger.At("/survivor_id")
	case c.DecisionNo == "" || c.Reason == "" || !short(c.DecisionNo) || !short(c.Reason):
		return nil, ErrOrderNo.At("/decision_no")
	case c.OpenContracts > 0:
		return nil, ErrHasOpenContracts.With("open", int64(c.OpenContracts))
	}
	proposal := MergerProposed{Survivor: c.Survivor, Reason: c.Reason, DecisionNo: c.DecisionNo, ProposedBy: r.Actor.ID}
	switch {
	case s.Merger == nil || s.Merger.Survivor != c.Survivor || s.Merger.DecisionNo != c.DecisionNo:
		return []Event{proposal}, nil // A newer proposal replaces an older one.
	case s.Merger.ProposedBy == r.Actor.ID:
		return nil, nil // It waits for somebody else.
	}
	return []Event{Merged{Survivor: c.Survivor, DecisionNo: c.DecisionNo}}, nil
}

func erase(s State, r domain.Request[Command], c Erase) ([]Event, error) {
	switch {
	case s.Erased:
		return nil, nil
	case c.DecisionNo == "" || c.Reason == "" || !short(c.DecisionNo) || !short(c.Reason):
		return nil, ErrOrderNo.At("/decision_no")
	case c.OpenContracts > 0:
		return nil, ErrHasOpenContracts.With("open", int64(c.OpenContracts))
	case r.Today() <= c.RetainUntil:
		return nil, ErrRetention.With("until", c.RetainUntil)
	case c.UnsettledLedgers > 0:
		return nil, ErrUnsettled.With("ledgers", int64(c.UnsettledLedgers))
	case s.Erasure == nil || s.Erasure.DecisionNo != c.DecisionNo:
		return []Event{ErasureProposed{Reason: c.Reason, DecisionNo: c.DecisionNo, ProposedBy: r.Actor.ID}}, nil // A newer proposal replaces an older one.
	case s.Erasure.ProposedBy == r.Actor.ID:
		return nil, nil // It waits for somebody else.
	}
	return []Event{PersonalDataErased{Reason: c.Reason, DecisionNo: c.DecisionNo}}, nil
}
