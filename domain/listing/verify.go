package listing

import (
	"slices"
	"strings"
	"unicode/utf8"

	"zujian/domain"
)

// submit verifies automatically. Submitted again, a rejected or held listing is looked at anew: its facts may have
// changed. What an officer rejected must be edited first.
func submit(s State, r domain.Request[Command], c Submit) ([]Event, error) {
	if s.coded() {
		return nil, nil
	}
	if err := s.inStage(StageDraft, StageHeld, StageRejected); err != nil {
		return nil, err
	}
	switch {
	case s.Rejected.Human && s.Stage == StageRejected:
		return nil, s.inStage(StageDraft)
	case s.Held.AtPublication && s.Stage == StageHeld:
		return nil, nil
	}
	verified, err := s.code(r, c.Code, c.ValidUntil)
	if err != nil {
		return nil, err
	}
	verdict, err := s.judge(r, c.Facts, verified.Code, verified.ValidUntil)
	if err != nil {
		return nil, err
	}
	if c.Facts.Let {
		return nil, ErrSpaceLet.At("/unit_id")
	}
	checks, unknown := s.checks(c.Facts)
	u := c.Facts.Unit
	place := Submitted{Building: u.Building, AdminCode: u.AdminCode, ReportUnit: u.ReportUnit, Street: u.Street, Address: u.Address}
	failed := failures(checks)
	switch {
	case len(failed) > 0:
		no := Rejected{Reasons: failed, Rules: verdict}
		if s.Stage == StageRejected && slices.Equal(s.Rejected.Reasons, failed) {
			return nil, nil
		}
		return []Event{place, no}, nil
	case unknown || len(s.uncleared(verdict)) > 0:
		held := Held{Checks: checks, Rules: verdict}
		if s.Stage == StageHeld && slices.Equal(s.Held.Checks, checks) && slices.Equal(holding(s.Held.Rules), holding(verdict)) {
			return nil, nil
		}
		return []Event{place, held}, nil
	}
	verified.Checks, verified.Rules = checks, verdict
	return []Event{place, verified}, nil
}

// code checks a proposed code and shortens its life to what L-01 allows.
func (s State) code(r domain.Request[Command], code string, until domain.Day) (Verified, error) {
	switch {
	case !domain.ValidNumber(code) || !strings.HasPrefix(code, "HY"):
		return Verified{}, ErrCode.At("/code")
	case until < r.Today():
		return Verified{}, ErrCode.At("/valid_until")
	}
	if days, ok := r.Policy.Param("L-01", "days", r.Today()); ok {
		until = min(until, r.Today().AddDays(int(days)))
	}
	return Verified{Code: code, ValidUntil: until}, nil
}

// checks are the automatic ones; unknown is true when the title was never recorded, so that a human must see it.
func (s State) checks(f Facts) (checks []Check, unknown bool) {
	o := s.Offer
	operator := f.HeadLessee != "" && f.HeadLessee == o.Publisher // Lets under its own head lease.
	head := operator || (f.HeadLessee != "" && f.HeadLessee == o.Owner)
	unknown = len(f.Unit.Owners) == 0 && !head
	return []Check{
		{"IDENTITY", f.Publisher.Level >= identityLevel && (operator || o.Owner == o.Publisher || f.Owner.Level >= identityLevel)},
		{"TITLE", head || unknown || slices.Contains(f.Unit.Owners, o.Owner)},
		{"MANDATE", operator || f.Mandated || (o.PublisherRole == PublisherOwner && o.Owner == o.Publisher)},
	}, unknown
}

// Entitled reports whether the automatic checks still stand on other facts than those of the verification: a mandate may
// have been revoked since, or the home sold. An officer who upheld an objection answers for them.
func (s State) Entitled(f Facts) bool {
	checks, _ := s.checks(f)
	return s.Objection != "" || len(failures(checks)) == 0
}

func failures(checks []Check) []string {
	var out []string
	for _, c := range checks {
		if !c.OK {
			out = append(out, c.Name)
		}
	}
	return out
}

func (s State) judge(r domain.Request[Command], f Facts, code string, until domain.Day) (domain.Verdict, error) {
	facts, err := s.facts(f, code, until, r.Today())
	if err != nil {
		return nil, err
	}
	v := r.Policy.Judge(domain.StageListing, r.Today(), facts)
	return v, v.Err()
}

// judgeDeal holds the rent of the contract against the rent asked (L-10).
func (s State) judgeDeal(r domain.Request[Command], deal domain.Fen) domain.Verdict {
	if deal == 0 {
		return nil
	}
	facts := domain.Facts{"listing": domain.Facts{"deal_rent_fen": deal, "rent_fen": s.Offer.RentFen, "today": r.Today()}}
	return slices.DeleteFunc(r.Policy.Judge(domain.StageListing, r.Today(), facts), func(res *domain.RuleResult) bool {
		return !strings.HasPrefix(res.Rule, "L-10")
	})
}

func (s State) facts(f Facts, code string, until, today domain.Day) (domain.Facts, error) {
	o, p, u := s.Offer, f.Publisher, f.Unit
	listing := domain.Facts{
		"publisher_role": o.PublisherRole, "today": today, "rent_fen": o.RentFen, "area_c": known(o.AreaC),
		"code": nil, "deal_rent_fen": nil, "code_until": until, "account_shown": o.AccountRef.Bank != "" && o.AccountRef.Last4 != "",
		"prechecks": domain.Facts{
			"identity": o.Prechecks.Identity, "title": o.Prechecks.Title, "visit": o.Prechecks.Visit,
			"contract": o.Prechecks.Contract, "statement": o.Prechecks.Statement,
		},
		"under_head_of_other": f.HeadLessee != "" && f.HeadLessee != o.Publisher && f.HeadLessee != o.Owner,
		"others":              others(f.OtherListings),
	}
	if code != "" {
		listing["code"] = code
	}
	space := domain.Facts{
		"flags": slices.Clone(u.Flags), "retired": u.Retired, "safety_grade": u.SafetyGrade, "planned_use": u.PlannedUse,
		"conversion_approved": u.ConversionApproved, "land_kind": u.LandKind, "is_complete_home": !u.Incomplete,
		"admin_code": u.AdminCode, "report_unit": u.ReportUnit, "street": u.Street,
	}
	if u.LandKind == "" {
		space["land_kind"] = "STATE"
	}
	kinds, origins, area, err := s.rooms(u)
	if err != nil {
		return nil, err
	}
	space["kinds"], space["origins"] = kinds, origins
	if area > 0 {
		space["let_area_c"] = area
	}
	if o.AreaC > 0 {
		area = o.AreaC
	}
	if area > 0 {
		if perM2, err := o.RentFen.MulDiv(100, area); err == nil {
			listing["rent_fen_m2"] = perM2
		}
	}
	guidance := domain.Facts{"median_fen": nil, "p25_fen": nil, "p75_fen": nil}
	if g := f.Guidance; g != nil {
		guidance = domain.Facts{"median_fen": g.MedianFen, "p25_fen": g.P25Fen, "p75_fen": g.P75Fen}
	}
	return domain.Facts{
		"listing": listing, "space": space, "guidance": guidance,
		"party": domain.Facts{
			"kind": p.Kind, "org_kind": p.OrgKind, "verification_level": int64(p.Level), "suspended": p.Suspended,
			"on_black_list": p.OnBlackList, "opening_reported": p.OpeningReported, "licence_issued": p.LicenceIssued,
			"market_entity": p.EntityRegistered, "subletting_homes": int64(p.SublettingHomes), "accounts": int64(p.EscrowAccounts),
		},
		"scope": domain.Facts{"let_mode": o.LetMode, "subject_kinds": subjectKinds(p)},
	}, nil
}

func subjectKinds(p PartyFacts) []string {
	if p.OrgKind == "" {
		return []string{p.Kind}
	}
	return []string{p.Kind, p.OrgKind}
}

// rooms describes the space offered: the flat, or its rooms.
func (s State) rooms(u UnitFacts) (kinds, origins []string, areaC int64, err error) {
	kinds, origins = []string{}, []string{}
	if len(s.Offer.Rooms) == 0 {
		return kinds, origins, u.GrossAreaC, nil
	}
	complete := true
	for _, id := range s.Offer.Rooms {
		i := slices.IndexFunc(u.Rooms, func(r RoomFacts) bool { return r.ID == id })
		if i < 0 {
			return nil, nil, 0, ErrUnknownRoom.At("/rooms").With("room", id)
		}
		room := u.Rooms[i]
		kinds, origins = append(kinds, room.Kind), append(origins, room.Origin)
		areaC += room.UsableAreaC
		complete = complete && room.UsableAreaC > 0
	}
	if !complete {
		areaC = 0
	}
	return kinds, origins, areaC, nil
}

func known(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func others(all []OtherListing) []domain.Facts {
	out := make([]domain.Facts, len(all))
	for i, o := range all {
		out[i] = domain.Facts{"rent_fen": o.RentFen, "area_c": known(o.AreaC)}
	}
	return out
}

// holding are the rules of a verdict that want a human.
func holding(v domain.Verdict) []string {
	var out []string
	for _, r := range v {
		if (domain.Verdict{r}).Holds() {
			out = append(out, r.Rule)
		}
	}
	return out
}

func (s State) uncleared(v domain.Verdict) []string {
	return slices.DeleteFunc(holding(v), func(rule string) bool { return slices.Contains(s.Cleared, rule) })
}

func review(s State, r domain.Request[Command], c Review) ([]Event, error) {
	switch {
	case c.Accept && s.Stage == StageVerified && s.Code == c.Code, !c.Accept && s.Stage == StageRejected && s.Rejected.Human:
		return nil, nil
	}
	if err := s.inStage(StageHeld); err != nil {
		return nil, err
	}
	if !c.Accept {
		if c.Reason == "" || utf8.RuneCountInString(c.Reason) > reasonMax {
			return nil, ErrReason.At("/reason")
		}
		return []Event{Rejected{Reasons: []string{c.Reason}, Human: true}}, nil
	}
	verified, err := s.code(r, c.Code, c.ValidUntil)
	if err != nil {
		return nil, err
	}
	verified.Reason = c.Reason
	return []Event{verified}, nil
}

// publish judges once more: days may have passed since the verification. A listing without a code meets rule L-01.
func publish(s State, r domain.Request[Command], c Publish) ([]Event, error) {
	switch {
	case s.Stage == StagePublished, s.Stage == StageHeld && s.Held.AtPublication:
		return nil, nil
	case s.Ended() || s.Stage == StageSuspended:
		return nil, s.inStage(StageVerified)
	}
	verdict, err := s.judge(r, c.Facts, s.Code, s.ValidUntil)
	if err != nil {
		return nil, err
	}
	if err := s.inStage(StageVerified); err != nil {
		return nil, err
	}
	switch {
	case r.Today() > s.ValidUntil:
		return nil, ErrCodeExpired.With("valid_until", s.ValidUntil)
	case c.Facts.Let:
		return nil, ErrSpaceLet.At("/unit_id")
	case len(s.uncleared(verdict)) > 0:
		return []Event{Held{AtPublication: true, Rules: verdict}}, nil
	}
	return []Event{Published{Channels: s.Offer.Channels, On: r.Today(), Rules: verdict}}, nil
}

func renew(s State, r domain.Request[Command], c Renew) ([]Event, error) {
	if err := s.inStage(StageVerified, StagePublished, StageSuspended); err != nil {
		return nil, err
	}
	fresh, err := s.code(r, c.Code, c.ValidUntil)
	switch {
	case s.Code == c.Code:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []Event{CodeRenewed{Code: fresh.Code, ValidUntil: fresh.ValidUntil}}, nil
}

func object(s State, r domain.Request[Command], c Object) ([]Event, error) {
	if s.Stage == StageObjected {
		return nil, nil
	}
	if err := s.inStage(StageRejected); err != nil {
		return nil, err
	}
	switch {
	case s.Rejected.Final:
		return nil, s.inStage(StageDraft)
	case c.Text == "" || utf8.RuneCountInString(c.Text) > textMax:
		return nil, ErrReason.At("/reason")
	}
	days, ok := r.Policy.Param("L-12", "days", r.Today())
	if !ok {
		days = objectionDays
	}
	return []Event{Objected{Text: c.Text, Due: r.Policy.Calendar.AddWorkdays(r.Today(), int(days))}}, nil
}

func decideObjection(s State, r domain.Request[Command], c DecideObjection) ([]Event, error) {
	switch {
	case c.Uphold && s.Stage == StageVerified && s.Code == c.Code, !c.Uphold && s.Stage == StageRejected && s.Rejected.Final:
		return nil, nil
	}
	if err := s.inStage(StageObjected); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(c.Reason) > reasonMax || (c.Reason == "" && !c.Uphold) {
		return nil, ErrReason.At("/reason")
	}
	decided := ObjectionDecided{Upheld: c.Uphold, Reason: c.Reason}
	if !c.Uphold {
		return []Event{decided, Rejected{Reasons: []string{c.Reason}, Human: true, Final: true}}, nil
	}
	verified, err := s.code(r, c.Code, c.ValidUntil)
	if err != nil {
		return nil, err
	}
	verified.Reason = c.Reason
	return []Event{decided, verified}, nil
}
