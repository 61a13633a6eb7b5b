package apikey_test

import (
	"strings"
	"testing"
	"time"

	"zujian/domain"
	. "zujian/domain/apikey"
	"zujian/domain/domaintest"
)

var at = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	hash := strings.Repeat("0f", 32)
	issue := Issue{Hash: hash, Role: domain.RoleLandlord, Party: "p1", Label: "flat keys", Expires: at.AddDate(1, 0, 0)}
	issued := []Event{Issued(issue)}
	with := func(f func(*Issue)) Issue { c := issue; f(&c); return c }
	local := with(func(c *Issue) { c.Expires = c.Expires.In(time.FixedZone("", 8*3600)) })

	domaintest.Run(t, Decider, domain.Request[Command]{At: at}, []domaintest.Case[Command, Event]{
		{Name: "issue", When: issue, Then: issued},
		{Name: "issue again", Given: issued, When: issue},
		{Name: "issue again in another time zone", Given: issued, When: local},
		{Name: "issue again after it expired", Given: issued, At: at.AddDate(2, 0, 0), When: issue},
		{Name: "issue other content", Given: issued, When: with(func(c *Issue) { c.Party = "p2" }), Err: ErrExists},
		{Name: "hash too short", When: with(func(c *Issue) { c.Hash = "ab" }), Err: ErrHash},
		{Name: "hash not hex", When: with(func(c *Issue) { c.Hash = strings.Repeat("0G", 32) }), Err: ErrHash},
		{Name: "system has no key", When: with(func(c *Issue) { c.Role = domain.RoleSystem }), Err: ErrRole},
		{Name: "public has no key", When: with(func(c *Issue) { c.Role = domain.RolePublic }), Err: ErrRole},
		{Name: "a landlord's key needs a party", When: with(func(c *Issue) { c.Party = "" }), Err: ErrParty},
		{Name: "a district's key needs an area", When: Issue{Hash: hash, Role: domain.RoleDistrict}, Err: ErrArea},
		{Name: "a city's key has none", When: Issue{Hash: hash, Role: domain.RoleCity, Area: "320115"}, Err: ErrArea},
		{
			Name: "a district's key", When: Issue{Hash: hash, Role: domain.RoleDistrict, Area: "320115"},
			Then: []Event{Issued{Hash: hash, Role: domain.RoleDistrict, Area: "320115"}},
		},
		{Name: "already expired", When: with(func(c *Issue) { c.Expires = at }), Err: ErrExpired},
		{Name: "label too long", When: with(func(c *Issue) { c.Label = strings.Repeat("租", 101) }), Err: ErrLabelLong},
		{Name: "revoke", Given: issued, When: Revoke{Reason: "lost"}, Then: []Event{Revoked{Reason: "lost"}}},
		{Name: "revoke again", Given: []Event{issued[0], Revoked{}}, When: Revoke{Reason: "lost"}},
		{Name: "revoke nothing", When: Revoke{}, Err: ErrNotFound},
	})
}

func TestLive(t *testing.T) {
	s := Decider.Fold(State{}, Issued{Hash: "h", Role: domain.RoleBank, Party: "b1", Expires: at})
	for _, c := range []struct {
		name string
		s    State
		at   time.Time
		want bool
	}{
		{"before its expiry", s, at.Add(-1), true},
		{"at its expiry", s, at, false},
		{"revoked", Decider.Fold(s, Revoked{}), at.Add(-1), false},
		{"never issued", State{}, at, false},
		{"without expiry", Decider.Fold(State{}, Issued{Hash: "h"}), at, true},
	} {
		if got := c.s.Live(c.at); got != c.want {
			t.Errorf("%s: live = %v", c.name, got)
		}
	}
	if got := s.Actor("k1"); got != (domain.Actor{ID: "k1", Role: domain.RoleBank, Party: "b1"}) {
		t.Errorf("actor = %+v", got)
	}
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
