package listing_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/listing"
)

const (
	code1 = "HY3201042601000001A"
	code2 = "HY3201152611000001B"
)

var (
	at         = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	today      = domain.Date(2026, time.November, 23)
	until      = today.AddDays(60)
	ask        = domain.Request[Command]{At: at, Actor: domain.Actor{ID: "k1", Role: domain.RoleLandlord, Party: "p1"}}
	asDistrict = domain.Actor{ID: "k2", Role: domain.RoleDistrict, Area: "320115"}

	offer = Offer{
		Unit: "u1", LetMode: LetWhole, Publisher: "p1", PublisherRole: PublisherOwner, Owner: "p1",
		RentFen: 350_000, DepositFen: 350_000, PayCycleMonths: 3, AreaC: 8912, Channels: []string{"app"},
	}
	facts = Facts{
		Unit:      UnitFacts{AdminCode: "320115", ReportUnit: "320115", Street: "320115004", GrossAreaC: 8912, PlannedUse: "RESIDENTIAL", Owners: []string{"p1", "p2"}},
		Publisher: PartyFacts{Kind: "PERSON", Level: 2},
	}
	submitIt  = Submit{Facts: facts, Code: code1, ValidUntil: until}
	place     = Submitted{AdminCode: "320115", ReportUnit: "320115", Street: "320115004"}
	passed    = []Check{{"IDENTITY", true}, {"TITLE", true}, {"MANDATE", true}}
	drafted   = []Event{Drafted{Offer: offer}}
	verified  = Verified{Code: code1, ValidUntil: until, Checks: passed}
	published = Published{Channels: []string{"app"}, On: today}
)

func given(events ...Event) []Event { return append(slices.Clone(drafted), events...) }

func but(f func(*Facts)) Submit { c := submitIt; f(&c.Facts); return c }

func TestDraftAndEdit(t *testing.T) {
	with := func(f func(*Offer)) Offer { o := offer; f(&o); return o }
	dearer := with(func(o *Offer) { o.RentFen++ })
	text := with(func(o *Offer) { o.Text = "阳光充足" })
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "draft", When: Draft{Offer: offer}, Then: drafted},
		{Name: "draft again", Given: drafted, When: Draft{Offer: offer}},
		{Name: "draft again after an edit", Given: given(Edited{Offer: dearer}), When: Draft{Offer: offer}},
		{Name: "draft other content", Given: drafted, When: Draft{Offer: dearer}, Err: ErrExists},
		{Name: "no rent", When: Draft{Offer: with(func(o *Offer) { o.RentFen = 0 })}, Err: ErrField},
		{Name: "a whole home with rooms", When: Draft{Offer: with(func(o *Offer) { o.Rooms = []string{"r1"} })}, Err: ErrRooms},
		{Name: "by room without rooms", When: Draft{Offer: with(func(o *Offer) { o.LetMode = LetByRoom })}, Err: ErrRooms},
		{Name: "channel twice", When: Draft{Offer: with(func(o *Offer) { o.Channels = []string{"a", "a"} })}, Err: ErrField},
		{Name: "a whole account number", When: Draft{Offer: with(func(o *Offer) { o.AccountRef.Last4 = "6222020000000000018" })}, Err: ErrField},
		{Name: "a novel", When: Draft{Offer: with(func(o *Offer) { o.Text = strings.Repeat("好", 2001) })}, Err: ErrField},
		{Name: "edit a draft", Given: drafted, When: Edit{Offer: dearer}, Then: []Event{Edited{Offer: dearer}}},
		{Name: "the rent of a verified listing voids its code", Given: given(verified), When: Edit{Offer: dearer}, Then: []Event{Edited{Offer: dearer, Reverify: true}}},
		{Name: "the text of a shown listing does not", Given: given(verified, published), When: Edit{Offer: text}, Then: []Event{Edited{Offer: text}}},
		{Name: "channels of a shown listing stay", Given: given(verified, published), When: Edit{Offer: with(func(o *Offer) { o.Channels = nil })}, Err: ErrChannelsFixed},
		{Name: "another unit", Given: drafted, When: Edit{Offer: with(func(o *Offer) { o.Unit = "u2" })}, Err: ErrUnitFixed},
		{Name: "edit after it was let", Given: given(Let{Contract: "c1"}), When: Edit{Offer: dearer}, Err: ErrWrongState},
		{Name: "nothing there", When: Edit{Offer: offer}, Err: ErrNotFound},
	})
}

func TestVerification(t *testing.T) {
	stranger := but(func(f *Facts) { f.Unit.Owners = []string{"p9"} })
	refused := Rejected{Reasons: []string{"TITLE"}}
	human := Rejected{Reasons: []string{"no such flat"}, Human: true}
	final := Rejected{Reasons: []string{"as before"}, Human: true, Final: true}
	held := Held{Checks: passed}
	due := domain.Date(2026, time.November, 26)
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "every check passes", Given: drafted, When: submitIt, Then: []Event{place, verified}},
		{Name: "publisher not identified", Given: drafted, When: but(func(f *Facts) { f.Publisher.Level = 1 }), Then: []Event{place, Rejected{Reasons: []string{"IDENTITY"}}}},
		{Name: "publisher does not own it", Given: drafted, When: stranger, Then: []Event{place, refused}},
		{Name: "submitted again with the facts mended", Given: given(place, refused), When: submitIt, Then: []Event{place, verified}},
		{Name: "ownership never recorded: a human looks", Given: drafted, When: but(func(f *Facts) { f.Unit.Owners = nil }), Then: []Event{place, held}},
		{Name: "the operator of a head lease", Given: drafted, When: but(func(f *Facts) { f.Unit.Owners, f.HeadLessee = nil, "p1" }), Then: []Event{place, verified}},
		{Name: "already let", Given: drafted, When: but(func(f *Facts) { f.Let = true }), Err: ErrSpaceLet},
		{Name: "a code that does not check", Given: drafted, When: Submit{Facts: facts, Code: "HY3201042601000001B", ValidUntil: until}, Err: ErrCode},
		{Name: "a filing number as code", Given: drafted, When: Submit{Facts: facts, Code: "BA32011526010000429", ValidUntil: until}, Err: ErrCode},
		{Name: "a code of yesterday", Given: drafted, When: Submit{Facts: facts, Code: code1, ValidUntil: today - 1}, Err: ErrCode},

		{Name: "review accepts", Given: given(held), When: Review{Accept: true, Code: code1, ValidUntil: until, Reason: "seen"}, Then: []Event{Verified{Code: code1, ValidUntil: until, Reason: "seen"}}},
		{Name: "review refuses", Given: given(held), When: Review{Reason: "no such flat"}, Then: []Event{human}},
		{Name: "review refuses without a word", Given: given(held), When: Review{}, Err: ErrReason},
		{Name: "review what is not held", Given: drafted, When: Review{Accept: true, Code: code1, ValidUntil: until}, Err: ErrWrongState},
		{Name: "what an officer refused must be edited", Given: given(human), When: submitIt, Err: ErrWrongState},
		{Name: "object", Given: given(human), When: Object{Text: "there is"}, Then: []Event{Objected{Text: "there is", Due: due}}},
		{Name: "object to nothing", Given: drafted, When: Object{Text: "x"}, Err: ErrWrongState},
		{Name: "objection upheld", Given: given(human, Objected{}), When: DecideObjection{Uphold: true, Code: code2, ValidUntil: until}, Then: []Event{ObjectionDecided{Upheld: true}, Verified{Code: code2, ValidUntil: until}}},
		{Name: "objection dismissed", Given: given(human, Objected{}), When: DecideObjection{Reason: "as before"}, Then: []Event{ObjectionDecided{Reason: "as before"}, final}},
		{Name: "no second objection", Given: given(final), When: Object{Text: "x"}, Err: ErrWrongState},
		{Name: "no edit after it", Given: given(final), When: Edit{Offer: Offer{Unit: "u1"}}, Err: ErrWrongState},
	})
}

func TestLife(t *testing.T) {
	live := given(place, verified, published)
	paused := append(slices.Clone(live), Suspended{Cause: "holiday"})
	barred := append(slices.Clone(live), Suspended{Cause: "complaint", Authority: true})
	late := at.AddDate(0, 0, 61)
	show := Publish{Facts: facts}
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "publish", Given: given(place, verified), When: show, Then: []Event{published}},
		{Name: "publish a draft", Given: drafted, When: show, Err: ErrWrongState},
		{Name: "publish after the code ended", Given: given(place, verified), At: late, When: show, Err: ErrCodeExpired},
		{Name: "publish what is let", Given: given(place, verified), When: Publish{Facts: but(func(f *Facts) { f.Let = true }).Facts}, Err: ErrSpaceLet},
		{Name: "suspend", Given: live, When: Suspend{Cause: "holiday"}, Then: []Event{Suspended{Cause: "holiday"}}},
		{Name: "the authority suspends what is suspended", Given: paused, As: asDistrict, When: Suspend{Cause: "complaint"}, Then: []Event{Suspended{Cause: "complaint", Authority: true}}},
		{Name: "resume", Given: paused, When: Resume{}, Then: []Event{Resumed{}}},
		{Name: "resume with a code that ended", Given: paused, At: late, When: Resume{}, Err: ErrCodeExpired},
		{Name: "the publisher resumes what the authority suspended", Given: barred, When: Resume{}, Err: ErrAuthority},
		{Name: "the authority resumes it", Given: barred, As: asDistrict, When: Resume{}, Then: []Event{Resumed{}}},
		{Name: "withdraw", Given: live, When: Withdraw{Reason: "sold"}, Then: []Event{Withdrawn{Reason: "sold"}}},
		{Name: "let", Given: live, When: MarkLet{Contract: "c1"}, Then: []Event{Let{Contract: "c1"}}},
		{Name: "let after it ended", Given: append(slices.Clone(live), Withdrawn{}), When: MarkLet{Contract: "c1"}},
		{Name: "withdraw after it was let", Given: append(slices.Clone(live), Let{}), When: Withdraw{}, Err: ErrWrongState},
		{Name: "expire", Given: live, At: late, When: Expire{On: until + 1}, Then: []Event{Expired{On: until + 1}}},
		{Name: "expire on the last day", Given: live, At: late, When: Expire{On: until}},
		{Name: "expire in advance", Given: live, When: Expire{On: until + 1}},
		{Name: "renew", Given: paused, When: Renew{Code: code2, ValidUntil: until + 9}, Then: []Event{CodeRenewed{Code: code2, ValidUntil: until + 9}}},
		{Name: "renew an ended one", Given: append(slices.Clone(live), Expired{}), When: Renew{Code: code2, ValidUntil: until}, Err: ErrWrongState},
		{Name: "revoke", Given: live, As: asDistrict, When: Revoke{Finding: "f1"}, Then: []Event{Revoked{Finding: "f1"}}},
		{Name: "revoke for nothing", Given: live, When: Revoke{}, Err: ErrReason},
	})
}

func rule(t *testing.T, id string, outcome domain.Outcome, predicate string) domain.Rule {
	t.Helper()
	r := domain.Rule{
		ID: id, Version: 1, EffectiveFrom: 1, Status: domain.RuleActive, Stages: []domain.Stage{domain.StageListing},
		Outcome: outcome, Code: "listing." + strings.ToLower(id[:1]), Params: map[string]domain.Param{"days": {Value: int64(60)}},
	}
	if err := r.Predicate.UnmarshalJSON([]byte(predicate)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRulesRefuseHoldAndAreCleared(t *testing.T) {
	req := ask
	req.Policy.Rules = []domain.Rule{
		rule(t, "L-01", domain.OutcomeReject, `["or",["not",["present","$listing.code"]],[">","$listing.today","$listing.code_until"]]`),
		rule(t, "L-11", domain.OutcomeReject, `"$listing.under_head_of_other"`),
		rule(t, "S-14", domain.OutcomeHold, `"$party.suspended"`),
	}
	decide := func(s State, c Command) (State, []Event, error) {
		req.Command = c
		events, err := Decider.Decide(s, req)
		return Decider.Fold(s, events...), events, err
	}
	s := Decider.Fold(State{}, drafted...)
	refusedBy := func(name, want string, c Command) {
		t.Helper()
		_, _, err := decide(s, c)
		if no, _ := errors.AsType[*domain.Rejection](err); no == nil || no.Rule != want {
			t.Errorf("%s: %v, want a refusal by %s", name, err, want)
		}
	}
	refusedBy("shown without a code", "L-01", Publish{Facts: facts})
	refusedBy("under another's head lease", "L-11", but(func(f *Facts) { f.HeadLessee = "p7" }))

	suspended := but(func(f *Facts) { f.Publisher.Suspended = true })
	suspended.ValidUntil = until + 300
	s, events, err := decide(s, suspended)
	if err != nil || s.Stage != StageHeld {
		t.Fatalf("%v %v", events, err)
	}
	s, _, err = decide(s, Review{Accept: true, Code: code1, ValidUntil: until + 300})
	if err != nil || s.Stage != StageVerified || s.ValidUntil != until {
		t.Fatalf("%+v %v: want a code for 60 days", s, err)
	}
	if s, _, err = decide(s, Publish{Facts: suspended.Facts}); err != nil || s.Stage != StagePublished {
		t.Errorf("a rule an officer cleared holds again: %v %v", s.Stage, err)
	}

	// Held at publication, because the publisher was suspended after the verification.
	s = Decider.Fold(State{}, given(place, verified)...)
	s, events, err = decide(s, Publish{Facts: suspended.Facts})
	if err != nil || s.Stage != StageHeld || !events[0].(Held).AtPublication {
		t.Errorf("%v %v", events, err)
	}
	if _, again, err := decide(s, Publish{Facts: suspended.Facts}); err != nil || len(again) > 0 {
		t.Errorf("repeat: %v %v", again, err)
	}
}

func ends(c Command) bool {
	switch c.(type) {
	case Withdraw, MarkLet, Expire, Revoke:
		return true
	}
	return false
}

// TestAShownListingHasAValidCode: whatever is asked in whatever order, what becomes public carries a code of its own
// and nothing leaves an end but a revocation.
func TestAShownListingHasAValidCode(t *testing.T) {
	dear := offer
	dear.RentFen = 999_999
	commands := []Command{ // Draws lean to the first.
		submitIt,
		Publish{Facts: facts},
		Suspend{Cause: "x"},
		Resume{},
		Review{Accept: true, Code: code2, ValidUntil: until},
		but(func(f *Facts) { f.Unit.Owners = nil }), but(func(f *Facts) { f.Publisher.Level = 0 }),
		Edit{Offer: dear},
		Edit{Offer: offer},
		Object{Text: "o"},
		Review{Reason: "no"},
		DecideObjection{Uphold: true, Code: code1, ValidUntil: until},
		DecideObjection{Reason: "no"},
		Renew{Code: code2, ValidUntil: until + 5},
		Draft{Offer: offer},
		Withdraw{},
		MarkLet{Contract: "c"},
		Expire{On: until + 1},
		Revoke{Finding: "f"},
	}
	shown := 0
	rapid.Check(t, func(t *rapid.T) {
		s := Decider.Fold(State{}, drafted...)
		log := slices.Clone(drafted)
		for range rapid.IntRange(100, 300).Draw(t, "steps") {
			req := ask
			req.Command = rapid.SampledFrom(commands).Draw(t, "command")
			if ends(req.Command) && rapid.IntRange(0, 19).Draw(t, "end") > 0 {
				continue // Else most lives are short.
			}
			req.At = at.AddDate(0, 0, rapid.SampledFrom([]int{0, 0, 0, 59, 62}).Draw(t, "days"))
			before := s
			events, err := Decider.Decide(s, req)
			if err != nil {
				continue
			}
			s = Decider.Fold(s, events...)
			log = append(log, events...)
			if again, err := Decider.Decide(s, req); err != nil || len(again) > 0 {
				t.Fatalf("%#v repeated: %#v, %v", req.Command, again, err)
			}
			if s.Stage == StagePublished && before.Stage != StagePublished {
				shown++
				if !domain.ValidNumber(s.Code) || req.Today() > s.ValidUntil {
					t.Fatalf("shown on %v with code %q until %v", req.Today(), s.Code, s.ValidUntil)
				}
			}
			if before.Ended() && len(events) > 0 && s.Stage != StageRevoked {
				t.Fatalf("%v became %v", before.Stage, s.Stage)
			}
		}
		if diff := cmp.Diff(s, Decider.Fold(State{}, log...)); diff != "" {
			t.Fatal(diff)
		}
	})
	if shown == 0 {
		t.Error("nothing was ever shown: the law was not tried")
	}
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
