package webhook_test

import (
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/webhook"
)

var at = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

var register = Register{
	URL: "https://example.com/hook", Types: []string{"contract.filed"}, Owner: Owner{Key: "key:1", Role: domain.RoleCompany, Party: "p1"},
	Secret: "sealed", After: 10,
}

func item(position uint64, o Outcome, attempt int) Delivery {
	return Delivery{Message: "m", Position: position, Type: "contract.filed", Subject: "contract-1", Attempt: attempt, Outcome: o, At: at}
}

func TestDecide(t *testing.T) {
	given := []Event{Registered(register)}
	with := func(more ...Event) []Event { return append(given[:1:1], more...) }
	change := func(f func(*Register)) Register { c := register; f(&c); return c }
	delivered := Record{Cursor: 20, Items: []Delivery{item(20, Delivered, 1)}}
	dead := Record{Cursor: 20, Items: []Delivery{item(20, Dead, 9)}}
	gone := Record{Cursor: 20, Items: []Delivery{{Position: 20, Outcome: Dead, Status: 410}}}
	again := Record{Cursor: 10, Items: []Delivery{{Position: 5, Outcome: Dead, Again: true}}}
	domaintest.Run(t, Decider, domain.Request[Command]{At: at}, []domaintest.Case[Command, Event]{
		{Name: "register", When: register, Then: given},
		{Name: "register again, another secret drawn", Given: given, When: change(func(c *Register) { c.Secret = "other" })},
		{Name: "register another", Given: given, When: change(func(c *Register) { c.URL = "https://example.com/" }), Err: ErrExists},
		{Name: "a partner sees nothing", When: change(func(c *Register) { c.Owner.Role = domain.RolePartner }), Err: ErrRole},
		{Name: "a type twice", When: change(func(c *Register) { c.Types = []string{"a", "a"} }), Err: ErrTypes},
		{Name: "no secret", When: change(func(c *Register) { c.Secret = "" }), Err: ErrSecret},
		{Name: "rotate", Given: given, When: RotateSecret{Secret: "new"}, Then: []Event{SecretRotated{Secret: "new", Overlap: at.Add(SecretOverlap)}}},
		{Name: "delivered", Given: given, When: delivered, Then: []Event{DeliveriesRecorded{Cursor: 20, Items: delivered.Items}}},
		{Name: "a dead letter disables", Given: given, When: dead, Then: []Event{DeliveriesRecorded{Cursor: 20, Items: dead.Items}, Disabled{Reason: ReasonExhausted}}},
		{Name: "gone disables", Given: given, When: gone, Then: []Event{DeliveriesRecorded{Cursor: 20, Items: gone.Items}, Disabled{Reason: ReasonGone}}},
		{Name: "one asked for again does not", Given: with(RedeliveryRequested{Position: 5}), When: again, Then: []Event{DeliveriesRecorded{Cursor: 10, Items: again.Items}}},
		{Name: "nothing new", Given: with(DeliveriesRecorded{Cursor: 30}), When: Record{Cursor: 30}},
		{Name: "the cursor never goes back", Given: with(DeliveriesRecorded{Cursor: 30}), When: delivered},
		{Name: "a record from before a replay", Given: with(ReplayRequested{After: 1}), When: delivered},
		{Name: "replay", Given: given, When: Replay{After: 3}, Then: []Event{ReplayRequested{After: 3}}},
		{Name: "redeliver", Given: given, When: Redeliver{Position: 3}, Then: []Event{RedeliveryRequested{Position: 3}}},
		{Name: "redeliver what waits already", Given: with(RedeliveryRequested{Position: 3}), When: Redeliver{Position: 3}},
		{Name: "disable", Given: given, When: Disable{Reason: "ASKED"}, Then: []Event{Disabled{Reason: "ASKED"}}},
		{Name: "enable", Given: with(Disabled{Reason: "x"}), When: Enable{}, Then: []Event{Enabled{}}},
		{Name: "remove", Given: given, When: Remove{}, Then: []Event{Removed{}}},
		{Name: "remove again", Given: with(Removed{}), When: Remove{}},
		{Name: "enable what is gone", Given: with(Removed{}), When: Enable{}, Err: ErrNotFound},
		{Name: "enable nothing", When: Enable{}, Err: ErrNotFound},
	})
}

func TestState(t *testing.T) {
	s := Decider.Fold(State{}, Registered(register), DeliveriesRecorded{Cursor: 15, Items: []Delivery{
		item(30, Delivered, 1), item(20, Retry, 1), item(12, Delivered, 1),
	}}, RedeliveryRequested{Position: 5}, DeliveriesRecorded{Cursor: 15, Items: []Delivery{item(20, Retry, 2), {Position: 5, Outcome: Delivered, Again: true}}})
	if len(s.Open) != 2 || s.Open[0].Attempt != 2 || s.Open[1].Position != 30 || len(s.Redeliver) != 0 || s.Cursor != 15 {
		t.Errorf("%+v", s)
	}
	if s = Decider.Fold(s, DeliveriesRecorded{Cursor: 30, Items: []Delivery{item(20, Delivered, 3)}}); len(s.Open) != 0 || s.Cursor != 30 {
		t.Errorf("%+v", s)
	}
	if s = Decider.Fold(s, ReplayRequested{After: 2}); s.Cursor != 2 || s.Round != 1 {
		t.Errorf("%+v", s)
	}
	s = Decider.Fold(s, SecretRotated{Secret: "new", Overlap: at.Add(SecretOverlap)})
	if got := s.Secrets(at); len(got) != 2 || got[0] != "new" || got[1] != "sealed" {
		t.Errorf("secrets %v", got)
	}
	if got := s.Secrets(at.Add(SecretOverlap)); len(got) != 1 {
		t.Errorf("after the overlap %v", got)
	}
	for name, want := range map[string]bool{"contract.filed": true, "contract.drafted": false, "webhook.registered": false} {
		if s.Wants(name) != want {
			t.Errorf("wants %s: %t", name, !want)
		}
	}
	if s = Decider.Fold(s, Removed{}); s.Secret != "" || s.Previous != "" || (State{Stage: StageEnabled}).Wants("apikey.issued") {
		t.Error("a removed endpoint keeps its secret, or keys are told of")
	}
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
