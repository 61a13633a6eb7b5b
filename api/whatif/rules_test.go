package whatif_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"zujian/api/whatif"
	"zujian/domain"
	"zujian/domain/ruleset"
)

// rule is one that could be added, with something of it replaced.
func rule(replacements ...string) string {
	return strings.NewReplacer(replacements...).Replace(`{"id":"X-01","version":1,"title_zh":"示例","title_en":"example","source":"TEST",
		"article":"1","effective_from":"2026-01-01","status":"ACTIVE","stages":["CONTRACT_SIGN"],
		"predicate":[">","$lease.monthly_rent_fen","@max_fen"],"params":{"max_fen":{"value":400000,"unit":"fen"}},
		"outcome":"REJECT","severity":3,"code":"rule.violated","message_zh":"示例","message_en":"example"}`)
}

func TestWhatCannotBeJudgedIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ doc, pointer, id, problem string }{
		"no JSON":                     {`{`, "", "", "no such document"},
		"an unknown part":             {`{"swap":[]}`, "", "", `"swap"`},
		"more than one document":      {`{"remove":["C-09"]} {}`, "", "", "more after"},
		"nothing":                     {`{}`, "", "", "changes nothing"},
		"a whole set and a patch":     {`{"rules":[],"remove":["C-09"]}`, "/rules", "", "do not go together"},
		"a rule that is not there":    {`{"change":[{"id":"Z-99","severity":5}]}`, "/change/0/id", "Z-99", "no such rule"},
		"a version that is not":       {`{"change":[{"id":"M-01","version":9,"severity":5}]}`, "/change/0/id", "M-01", "no such rule"},
		"no id":                       {`{"change":[{"severity":5}]}`, "/change/0/id", "", "by id"},
		"no change":                   {`{"change":[{"id":"M-01"}]}`, "/change/0", "M-01", "changes no field"},
		"an unknown field":            {`{"change":[{"id":"M-01","colour":"red"}]}`, "/change/0", "M-01", "colour"},
		"a parameter it has not":      {`{"change":[{"id":"M-01","params":{"cycle_limt":2}}]}`, "/change/0/params/cycle_limt", "M-01", "cycle_limit"},
		"a text for a number":         {`{"change":[{"id":"M-01","params":{"cycle_limit":"2"}}]}`, "/change/0/params/cycle_limit", "M-01", "a whole number, not a text"},
		"a fraction":                  {`{"change":[{"id":"M-01","params":{"cycle_limit":2.5}}]}`, "/change/0/params/cycle_limit", "M-01", "whole number"},
		"an unknown fact":             {`{"add":[` + rule("monthly_rent_fen", "mood") + `]}`, "/add/0", "X-01", "lease.mood"},
		"a fact of another kind":      {`{"add":[` + rule("monthly_rent_fen", "use") + `]}`, "/add/0", "X-01", "compares"},
		"a fact of another stage":     {`{"add":[` + rule("CONTRACT_SIGN", "UNIT") + `]}`, "/add/0", "X-01", "monthly_rent_fen"},
		"an unknown operator":         {`{"add":[` + rule(`[">"`, `["above"`) + `]}`, "/add/0", "X-01", "above"},
		"a number taken":              {`{"add":[` + rule("X-01", "C-09") + `]}`, "/add/0", "C-09", "twice"},
		"two on one day":              {`{"add":[` + rule() + `,` + rule(`"version":1`, `"version":2`) + `]}`, "/add/1/effective_from", "X-01", "both count on 2026-01-01"},
		"dates that overlap":          {`{"add":[` + rule(`"status"`, `"effective_to":"2026-09-30","status"`) + `,` + rule(`"version":1`, `"version":2`, "2026-01-01", "2026-07-01") + `]}`, "/add/1/effective_from", "X-01", "both count on 2026-07-01"},
		"an end before its begin":     {`{"change":[{"id":"M-01","effective_from":"2026-06-01","effective_to":"2026-05-01"}]}`, "/change/0", "M-01", "effective_to"},
		"no day":                      {`{"change":[{"id":"M-01","effective_from":"2026-02-30"}]}`, "/change/0", "M-01", "2026-02-30"},
		"unconfirmed and refusing":    {`{"change":[{"id":"C-23","status":"UNCONFIRMED","outcome":"REJECT"}]}`, "/change/0", "C-23", "unconfirmed"},
		"one of a whole set":          {`{"rules":[` + rule() + `,` + rule("X-01", "X-02", "@max_fen", "@most") + `]}`, "/rules/1", "X-02", "most"},
		"removed, and not there":      {`{"remove":["M-01@7"]}`, "/remove/0", "M-01", "no such rule"},
		"a merge that is no document": {`{"change":["M-01"]}`, "/change/0", "", "no such document"},
	} {
		t.Run(name, func(t *testing.T) {
			change, err := whatif.ParseChange([]byte(c.doc))
			if err == nil {
				_, err = change.Apply(ruleset.Shipped(), true)
			}
			no, ok := errors.AsType[*domain.Rejection](err)
			if !ok || !errors.Is(err, whatif.ErrRules) {
				t.Fatalf("not refused: %v", err)
			}
			problem, _ := no.Params["problem"].(string)
			id, _ := no.Params["id"].(string)
			if no.Pointer != c.pointer || id != c.id || !strings.Contains(problem, c.problem) {
				t.Errorf("refused at %q, rule %q: %s", no.Pointer, id, problem)
			}
		})
	}
}

func TestChanges(t *testing.T) {
	shipped := ruleset.Shipped()
	apply := func(doc string) domain.Policy {
		t.Helper()
		change, err := whatif.ParseChange([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		p, err := change.Apply(shipped, true)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before, _ := json.Marshal(shipped.Rules)
	p := apply(`{"change":[{"id":"M-01","effective_from":"2026-06-01","params":{"cycle_limit":2}}]}`)
	for day, want := range map[domain.Day]int64{domain.Date(2026, 5, 31): 3, domain.Date(2026, 6, 1): 2, domain.Date(2030, 1, 1): 2} {
		if n, _ := p.Param("M-01", "cycle_limit", day); n != want {
			t.Errorf("on %s the limit is %d, not %d", day, n, want)
		}
	}
	p = apply(`{"change":[{"id":"U-01","effective_from":"2024-01-01","params":{"kinds":["KITCHEN"]}}]}`)
	if r, _ := p.Rule("U-01", 3); r.EffectiveFrom != domain.Date(2024, 1, 1) {
		t.Errorf("the new version is %+v", r)
	}
	if r, ok := p.Rule("U-01", 2); ok { // What it said after that day it says no longer.
		t.Errorf("version 2 still counts from %s", r.EffectiveFrom)
	}
	if r, _ := p.Rule("U-01", 1); r.EffectiveTo != domain.Date(2023, 12, 31) {
		t.Errorf("version 1 counts until %s", r.EffectiveTo)
	}
	p = apply(`{"change":[{"id":"U-01","severity":1}]}`)
	for _, version := range []int{1, 2} {
		if r, _ := p.Rule("U-01", version); r.Severity != 1 {
			t.Errorf("version %d has severity %d", version, r.Severity)
		}
	}
	p = apply(`{"remove":["U-01@1","C-09"],"add":[` + rule() + `]}`)
	_, one := p.Rule("U-01", 1)
	_, two := p.Rule("U-01", 2)
	_, gone := p.Rule("C-09", 1)
	_, added := p.Rule("X-01", 1)
	if one || !two || gone || !added {
		t.Errorf("U-01@1 %v, U-01@2 %v, C-09@1 %v, X-01@1 %v", one, two, gone, added)
	}
	if after, _ := json.Marshal(shipped.Rules); string(after) != string(before) {
		t.Error("the rule set it was applied to changed")
	}
	// What the register itself writes of its rules is a whole set.
	raw, err := os.ReadFile("../../domain/ruleset/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	if whole := apply(string(raw)); len(whole.Rules) != len(shipped.Rules) {
		t.Errorf("%d rules of %d", len(whole.Rules), len(shipped.Rules))
	}
	older := shipped // A rule that came later is nothing to an older set.
	older.Rules = older.Rules[:10]
	change, err := whatif.ParseChange([]byte(`{"change":[{"id":"M-01","severity":1}],"remove":["M-02"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := change.Apply(older, false); err != nil || len(p.Rules) != 10 {
		t.Errorf("%d rules, %v", len(p.Rules), err)
	}
}

func TestTables(t *testing.T) {
	city := &domain.City{Units: []domain.ReportUnit{{Code: "320106"}}, Streets: []domain.Street{{Code: "320106003"}}}
	cell := func(replacements ...string) string {
		return strings.NewReplacer(replacements...).Replace(`{"area":"320106003","let_mode":"WHOLE","size_band":"50-70","fitout":"FULL","n":40,"p10":4000,"p25":4500,"median":5000,"p75":5500,"p90":6000}`)
	}
	if table, err := whatif.ParseTable([]byte(`{"period":"2026Q3","version":1,"effective_from":"2026-07-01","cells":[`+cell()+`,`+cell("320106003", "city")+`]}`), city); err != nil || len(table.Cells) != 2 {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct{ cells, pointer, problem string }{
		"none":                {``, "/cells", "0 cells"},
		"an unknown area":     {cell("320106003", "320199999"), "/cells/0/area", "320199999"},
		"a way of letting":    {cell("WHOLE", "BY_HALF"), "/cells/0/let_mode", "BY_HALF"},
		"a size":              {cell("50-70", "50-71"), "/cells/0/size_band", "50-71"},
		"a fit-out":           {cell("FULL", "GOLD"), "/cells/0/fitout", "GOLD"},
		"fewer than none":     {cell("40,", "-9223372036854775808,"), "/cells/0/n", "fewer than 0"},
		"falling quantiles":   {cell("4500", "3500"), "/cells/0", "rising"},
		"the same cell twice": {cell() + "," + cell(), "/cells/1", "first as cell 0"},
		"an unknown field":    {cell(`"n"`, `"m"`), "", `"m"`},
	} {
		_, err := whatif.ParseTable([]byte(`{"cells":[`+c.cells+`]}`), city)
		no, ok := errors.AsType[*domain.Rejection](err)
		if !ok || !errors.Is(err, whatif.ErrGuidance) {
			t.Errorf("%s: not refused: %v", name, err)
			continue
		}
		if problem, _ := no.Params["problem"].(string); no.Pointer != c.pointer || !strings.Contains(problem, c.problem) {
			t.Errorf("%s: refused at %q: %s", name, no.Pointer, problem)
		}
	}
}
