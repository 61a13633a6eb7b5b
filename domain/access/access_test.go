package access_test

import (
	"testing"
	"time"

	"zujian/domain"
	. "zujian/domain/access"
	"zujian/domain/domaintest"
)

var at = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func TestDisclose(t *testing.T) {
	ask := domain.Request[Command]{At: at, Actor: domain.Actor{ID: "key:d", Role: domain.RoleDistrict, Area: "320115"}}
	good := Disclose{Fields: []string{FieldName, FieldPhone}, Purpose: "COMPLAINT", CaseNo: "TS2026-1"}
	read := Disclosed{
		Fields: good.Fields, Purpose: good.Purpose, CaseNo: good.CaseNo, By: "key:d", Role: domain.RoleDistrict, Area: "320115",
		On: domain.DayOf(at),
	}
	with := func(f func(*Disclose)) Disclose { c := good; f(&c); return c }
	domaintest.Run(t, Decider, ask, []domaintest.Case[Command, Event]{
		{Name: "read", When: good, Then: []Event{read}, Repeats: true},
		{Name: "read again is another access", Given: []Event{read}, When: good, Then: []Event{read}, Repeats: true},
		{Name: "nothing", When: with(func(c *Disclose) { c.Fields = nil }), Err: ErrFields},
		{Name: "something else", When: with(func(c *Disclose) { c.Fields = []string{"BIRTH"} }), Err: ErrFields},
		{Name: "out of curiosity", When: with(func(c *Disclose) { c.Purpose = "CURIOSITY" }), Err: ErrPurpose},
		{Name: "without a case", When: with(func(c *Disclose) { c.CaseNo = "" }), Err: ErrPurpose},
	})
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
