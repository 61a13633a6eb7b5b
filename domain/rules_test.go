package domain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
)

func expr(t testing.TB, text string) domain.Expr {
	t.Helper()
	var e domain.Expr
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

func rule(e domain.Expr) domain.Rule {
	return domain.Rule{
		ID: "C-99", Version: 1, TitleZH: "规则", TitleEN: "Rule", Source: "CC", Article: "Art 1", EffectiveFrom: domain.Date(2020, time.January, 1),
		Status: domain.RuleActive, Stages: []domain.Stage{domain.StageSign}, Predicate: e, Outcome: domain.OutcomeReject, Severity: 1,
		Code: "contract.deposit_clause", Pointer: "/deposit_fen", MessageZH: "不行", MessageEN: "no",
	}
}

var someDay = domain.Date(2026, time.March, 2)

func facts() domain.Facts {
	return domain.Facts{
		"n": int64(3), "big": int64(math.MaxInt64), "small": int64(math.MinInt64), "yes": true, "no": false, "text": "abc",
		"day": domain.Date(2026, time.January, 31), "none": nil, "zero_day": domain.Day(0), "fen": domain.Fen(5), "plain": 7,
		"list": []string{"A", "B"}, "empty": []string{}, "odd": 1.5,
		"people": []domain.Facts{{"age": int64(17), "room": "r1"}, {"age": int64(40), "room": "r1"}, {"room": "r2"}},
		"adults": []domain.Facts{{"age": int64(40), "guardian": false}, {"age": int64(41), "guardian": true}},
		"lease":  domain.Facts{"kind": "OUT", "deep": domain.Facts{"n": int64(9)}},
	}
}

func judge(t testing.TB, e domain.Expr) domain.Outcome {
	t.Helper()
	p := domain.Policy{Rules: []domain.Rule{rule(e)}, Calendar: domain.Calendar{Years: []domain.CalendarYear{{
		Year: 2026, Holidays: []domain.Day{domain.Date(2026, time.March, 3)}, Workdays: []domain.Day{domain.Date(2026, time.March, 7)},
	}}}}
	p.Rules[0].Params = map[string]domain.Param{"k": {Value: int64(3)}, "set": {Value: []string{"A"}}}
	v := p.Judge(domain.StageSign, someDay, facts())
	if len(v) != 1 {
		t.Fatalf("%d results", len(v))
	}
	return v[0].Outcome
}

// TestOperators: R is violated, P passes, U is unknown.
func TestOperators(t *testing.T) {
	for text, want := range map[string]string{
		// Three-valued logic.
		`["and", "$no", "$gone"]`: "P", `["and", "$gone", "$no"]`: "P", `["and", "$yes", "$gone"]`: "U", `["or", "$gone", "$yes"]`: "R",
		`["or", "$no", "$gone"]`: "U", `["not", "$gone"]`: "U", `["not", "$no"]`: "R", `["and", "$yes"]`: "R", `["and", "$n", "$no"]`: "P",
		`["any", "$people", ["<", ".age", 18]]`: "R", `["any", "$people", [">", ".age", 99]]`: "U", `["all", "$people", [">", ".age", 18]]`: "P",
		`["all", "$people", [">", ".age", 1]]`: "U", `["any", "$empty", "$gone"]`: "P", `["all", "$empty", "$gone"]`: "R",
		`["any", "$gone", true]`: "U",
		// Presence and null.
		`["present", "$gone"]`: "P", `["present", "$none"]`: "P", `["present", "$n"]`: "R", `["present", "$zero_day"]`: "P",
		`["==", "$none", null]`: "R", `["!=", "$n", null]`: "R", `["==", "$gone", null]`: "U", `[">", "$none", 1]`: "U",
		`[">", ["first", "$gone", "$none", "$n"], 2]`: "R", `[">", ["first", "$gone", "$none"], 2]`: "U",
		// Comparison.
		`["==", "$n", 3]`: "R", `["!=", "$n", 3]`: "P", `["==", "$n", "$text"]`: "U", `["==", "$list", "$list"]`: "U", `["<", "$text", "$text"]`: "U",
		`[">=", "$n", "@k"]`: "R", `["<=", "$n", 2]`: "P", `["between", "$n", 3, 4]`: "R", `["between", "$n", 4, 9]`: "P", `["between", "$n", 1, "$day"]`: "U",
		`["<", "$day", ["day", "2026-02-01"]]`: "R", `["==", "$fen", 5]`: "R", `["==", "$plain", 7]`: "R", `["==", "$odd", 1]`: "U",
		// Lists and texts.
		`["in", "$lease.kind", ["list", "OUT"]]`: "R", `["in", "$lease.kind", ["list"]]`: "P", `["contains", "$list", "B"]`: "R",
		`["contains", "$text", "bc"]`: "R", `["contains", "$n", "x"]`: "U", `["any", "$list", ["in", ".", "@set"]]`: "R",
		`["==", ["count", "$people"], 3]`: "R", `["==", ["count", "$people", ["==", ".room", "r1"]], 2]`: "R", `["==", ["count", "$people", [">", ".age", 1]], 2]`: "U",
		`["==", ["distinct", "$people", ".room"], 2]`: "R", `["==", ["sum", "$adults", ".age"], 81]`: "R", `["==", ["min", "$adults", ".age"], 40]`: "R",
		`["==", ["max", "$adults", ".age"], 41]`: "R", `["==", ["max", "$n", 8], 8]`: "R", `["==", ["min", "$empty", 1], 0]`: "U", `["==", ["sum", "$people", ".age"], 1]`: "U",
		`["any", "$adults", ["and", ["<", ".age", 41], ["not", ".guardian"]]]`: "R",
		// Numbers.
		`["==", ["+", 1, 2, "$n"], 6]`: "R", `["==", ["-", 1, "$n"], -2]`: "R", `["==", ["*", -4, "$n"], -12]`: "R", `["==", ["pct", 12345, 5000], 6173]`: "R",
		`[">", ["+", "$big", 1], 0]`: "U", `[">", ["-", "$small", 1], 0]`: "U", `[">", ["*", "$big", 2], 0]`: "U", `[">", ["*", "$small", -1], 0]`: "U",
		`[">", ["pct", "$big", 10000], 0]`: "U", `[">", ["+", "$n", "$text"], 0]`: "U",
		// Days.
		`["==", ["date_diff_days", "$day", ["day", "2026-02-02"]], 2]`: "R", `["==", ["add_days", "$day", -31], ["day", "2025-12-31"]]`: "R",
		`["==", ["add_months", "$day", 1], ["day", "2026-02-28"]]`: "R", `["==", ["add_workdays", ["day", "2026-03-02"], 4], ["day", "2026-03-07"]]`: "R",
		`["==", ["add_days", "$day", "$big"], "$day"]`: "U", `["==", ["add_months", "$n", 1], "$day"]`: "U",
		`["==", "$lease.deep.n", 9]`: "R", `["==", "$lease.deep.x", 9]`: "U", `["==", "$n.x", 9]`: "U", `"$n"`: "U",
	} {
		full := map[string]domain.Outcome{"R": domain.OutcomeReject, "P": domain.OutcomePass, "U": domain.OutcomeUnknown}[want]
		if got := judge(t, expr(t, text)); got != full {
			t.Errorf("%s: %s, want %s", text, got, full)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	kinds := map[string]domain.FactKind{
		"n": domain.KindInt, "day": domain.KindDay, "text": domain.KindText, "yes": domain.KindBool, "list": domain.KindTexts, "people": domain.KindRecords,
	}
	kindOf := func(p string) (domain.FactKind, bool) { k, ok := kinds[p]; return k, ok }
	for _, text := range []string{
		`"$n"`, `["and"]`, `["and", "$n"]`, `["not", "$yes", "$yes"]`, `["<", "$n", "$day"]`, `["==", "$n", "$text"]`, `["<", "$text", "$text"]`,
		`["<", "$gone", 1]`, `["<", "$n", "@gone"]`, `["<", ".age", 1]`, `["any", "$n", true]`, `["any", "$people", "$n"]`, `["in", "$text", "$text"]`,
		`["contains", "$n", "x"]`, `["present", ["+", 1, 2]]`, `[">", ["add_days", "$n", 1], "$day"]`, `["<", ["sum", "$people", "$yes"], 1]`, `null`, `3`,
	} {
		if err := rule(expr(t, text)).Validate(kindOf); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	for _, text := range []string{
		`{}`, `[]`, `[1]`, `["loop", 1]`, `["<", "$n", 1.5]`, `["<", "$n", 1e99]`, `["day", "2026-02-30"]`, `["day", 1]`, `["list", 1]`, `["and", {"x": 1}]`,
		strings.Repeat(`["not", `, 20) + "true" + strings.Repeat("]", 20), `["or"` + strings.Repeat(", true", 400) + `]`,
	} {
		var e domain.Expr
		if err := json.Unmarshal([]byte(text), &e); err == nil {
			t.Errorf("%.40s is read", text)
		}
	}
	good := rule(expr(t, `["and", "$yes", [">", "$n", 1]]`))
	if err := good.Validate(kindOf); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*domain.Rule){
		"id": func(r *domain.Rule) { r.ID = "c4" }, "version": func(r *domain.Rule) { r.Version = 0 }, "from": func(r *domain.Rule) { r.EffectiveFrom = 0 },
		"to": func(r *domain.Rule) { r.EffectiveTo = r.EffectiveFrom - 1 }, "status": func(r *domain.Rule) { r.Status = "X" }, "stages": func(r *domain.Rule) { r.Stages = nil },
		"stage": func(r *domain.Rule) { r.Stages = []domain.Stage{"X"} }, "outcome": func(r *domain.Rule) { r.Outcome = domain.OutcomePass },
		"unconfirmed": func(r *domain.Rule) { r.Status = domain.RuleUnconfirmed }, "severity": func(r *domain.Rule) { r.Severity = 6 }, "code": func(r *domain.Rule) { r.Code = "X" },
		"pointer": func(r *domain.Rule) { r.Pointer = "x" }, "text": func(r *domain.Rule) { r.MessageZH = "" }, "long": func(r *domain.Rule) { r.Article = strings.Repeat("x", 1001) },
		"param": func(r *domain.Rule) { r.Params = map[string]domain.Param{"A b": {Value: int64(1)}} },
	} {
		bad := good
		change(&bad)
		if bad.Validate(kindOf) == nil {
			t.Errorf("a rule with a wrong %s is accepted", name)
		}
	}
}

func TestValidateRefusesATextThatDecidesNothing(t *testing.T) {
	r := rule(expr(t, `["or", ["and", ["==", "@op", ">"], [">", 3, 2]], ["and", ["==", ">=", "@op"], [">=", 3, 2]]]`))
	for text, want := range map[string]string{">": "", ">=": "", "≥": `parameter op is "≥", not one of [">" ">="]`, "": `parameter op is ""`} {
		r.Params = map[string]domain.Param{"op": {Value: text}}
		if err := r.Validate(nil); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	reject, hold, unsure, missing := rule(expr(t, "true")), rule(expr(t, "true")), rule(expr(t, "true")), rule(expr(t, `"$gone"`))
	reject.Params = map[string]domain.Param{"max": {Value: int64(2), Unit: "month"}}
	reject.Predicate = expr(t, `[">", "$n", "@max"]`)
	hold.ID, hold.Outcome = "C-01", domain.OutcomeHold
	unsure.ID, unsure.Status = "C-02", domain.RuleUnconfirmed
	missing.ID, missing.Status, missing.Outcome = "C-03", domain.RuleUnconfirmed, domain.OutcomeHold
	doc, route, pass := hold, hold, rule(expr(t, "false"))
	doc.ID, doc.Outcome, route.ID, route.Outcome, pass.ID = "C-04", domain.OutcomeRequireDoc, "C-05", domain.OutcomeRoute, "C-06"
	say := func(rules ...domain.Rule) domain.Verdict {
		return domain.Policy{Rules: rules}.Judge(domain.StageSign, someDay, facts())
	}
	all := say(hold, unsure, missing, doc, route, pass, reject)
	got, ok := errors.AsType[*domain.Rejection](all.Err())
	want := &domain.Rejection{
		Code: "contract.deposit_clause", Detail: "no", Pointer: "/deposit_fen", Rule: "C-99", RuleVersion: 1,
		Params: map[string]any{"max": int64(2), "n": int64(3)},
	}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if all[1].Outcome != domain.OutcomeAlert || !all[1].Unconfirmed {
		t.Errorf("an unconfirmed rule says %+v", all[1])
	}
	if all[2].Outcome != domain.OutcomeUnknown || all[2].Params["missing"] != "gone" {
		t.Errorf("a missing fact gives %+v", all[2])
	}
	if !all.Routed("C-05") || all.Routed("C-04") || len(all.Fired()) != 6 {
		t.Errorf("routed or fired: %+v", all.Fired())
	}
	if err := say(doc, hold).Err(); err == nil {
		t.Error("a required document is no refusal")
	}
	if v := say(unsure, missing, route, pass); v.Err() != nil || v.Holds() {
		t.Error("unconfirmed rules or routes stop a command")
	}
	missing.Status = domain.RuleActive
	if !say(missing).Holds() || !say(hold).Holds() {
		t.Error("hold and unknown must hold")
	}
	blob, err := json.Marshal(all)
	if err != nil || !strings.Contains(string(blob), `"C-06@1"`) {
		t.Fatalf("%s %v", blob, err)
	}
	var back domain.Verdict
	if err := json.Unmarshal(blob, &back); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Refuses = nil
	}
	if !reflect.DeepEqual(back, all) {
		t.Errorf("stored and read back\n got %+v\nwant %+v", back, all)
	}
}

func TestScopeAndVersions(t *testing.T) {
	v1, v2, v3 := rule(expr(t, "true")), rule(expr(t, "true")), rule(expr(t, "true"))
	v2.Version, v2.EffectiveFrom = 2, domain.Date(2025, time.September, 15)
	v3.Version, v3.EffectiveFrom, v3.EffectiveTo = 3, domain.Date(2027, time.January, 1), domain.Date(2027, time.June, 30)
	for _, order := range [][]domain.Rule{{v1, v2, v3}, {v3, v2, v1}, {v2, v3, v1}} {
		p := domain.Policy{Rules: order}
		for day, want := range map[string]int{
			"2019-12-31": 0, "2020-01-01": 1, "2025-09-14": 1, "2025-09-15": 2, "2026-12-31": 2, "2027-01-01": 3, "2027-06-30": 3, "2027-07-01": 0,
		} {
			on, _ := domain.ParseDay(day)
			got := 0
			for _, r := range p.InForce(on) {
				got = r.Version
			}
			if got != want {
				t.Errorf("%s: version %d, want %d", day, got, want)
			}
		}
	}
	scoped := rule(expr(t, "true"))
	scoped.Scope = domain.Scope{SubjectKinds: []string{"ORG"}, LetModes: []string{"BY_ROOM"}}
	p := domain.Policy{Rules: []domain.Rule{scoped}}
	for _, c := range []struct {
		scope domain.Facts
		want  int
	}{
		{domain.Facts{"subject_kinds": []string{"PERSON"}, "let_mode": "BY_ROOM"}, 0},
		{domain.Facts{"subject_kinds": []string{"ORG", "BROKERAGE"}, "let_mode": "BY_ROOM"}, 1},
		{domain.Facts{"subject_kinds": []string{"ORG"}, "let_mode": "WHOLE"}, 0},
		{domain.Facts{}, 1},
	} {
		if got := len(p.Judge(domain.StageSign, someDay, domain.Facts{"scope": c.scope})); got != c.want {
			t.Errorf("%v: judged %d times, want %d", c.scope, got, c.want)
		}
	}
}

func TestCalendarLaws(t *testing.T) {
	c := domain.Calendar{Years: []domain.CalendarYear{{
		Year: 2026, Holidays: []domain.Day{domain.Date(2026, time.October, 1), domain.Date(2026, time.October, 2)}, Workdays: []domain.Day{domain.Date(2026, time.October, 10)},
	}}}
	rapid.Check(t, func(t *rapid.T) {
		d := domain.Date(2026, time.September, 1) + domain.Day(rapid.IntRange(0, 90).Draw(t, "day"))
		n := rapid.IntRange(1, 40).Draw(t, "n")
		end := c.AddWorkdays(d, n)
		count := 0
		for x := d + 1; x <= end; x++ {
			if c.IsWorkday(x) {
				count++
			}
		}
		if count != n || !c.IsWorkday(end) {
			t.Fatalf("%s + %d working days = %s, which is %d", d, n, end, count)
		}
		if back := c.AddWorkdays(end+1, -1); back != end {
			t.Fatalf("one back from the day after %s is %s", end, back)
		}
		if last := c.Deadline(d, n); last < d.AddDays(n) || !c.IsWorkday(last) {
			t.Fatalf("%s + %d days ends on %s", d, n, last)
		}
	})
	if got := c.Deadline(domain.Date(2026, time.September, 1), 30); got != domain.Date(2026, time.October, 5) {
		t.Errorf("thirty days to a holiday end on %s", got)
	}
	if c.AddWorkdays(someDay, math.MaxInt) <= someDay || c.AddWorkdays(someDay, 0) != someDay {
		t.Error("extremes")
	}
	for _, bad := range []domain.CalendarYear{
		{Year: 2026, Holidays: []domain.Day{domain.Date(2025, time.January, 1)}},
		{Year: 2026, Workdays: []domain.Day{domain.Date(2026, time.November, 23)}},
		{Year: 2026, Holidays: []domain.Day{domain.Date(2026, time.November, 22)}, Workdays: []domain.Day{domain.Date(2026, time.November, 22)}},
	} {
		if (domain.Calendar{Years: []domain.CalendarYear{bad}}).Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// FuzzPredicate: any JSON either is refused or judges without a panic, encodes to itself, and judges the same again.
func FuzzPredicate(f *testing.F) {
	for _, text := range []string{
		`["and", "$no", ["<", ["add_months", "$day", 12], ["day", "2026-02-01"]]]`, `["any", "$people", ["in", ".room", ["list", "r1"]]]`,
		`["==", ["pct", ["*", "$big", "$n"], 5], null]`, `["between", ["distinct", "$people", "."], 1, "@k"]`, `["==", ["add_workdays", "$day", 10000], "$day"]`,
		`["min", "$list", "."]`, `["count", "$people", "."]`, `"."`, `["text", "$x"]`, `["not", ["first", "$gone", ["all", "$list", ["contains", ".", "A"]]]]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var e domain.Expr
		if json.Unmarshal([]byte(text), &e) != nil {
			return
		}
		_ = rule(e).Validate(nil)
		first := judge(t, e)
		blob, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back domain.Expr
		if err := json.Unmarshal(blob, &back); err != nil {
			t.Fatalf("%s: %v", blob, err)
		}
		if again := judge(t, back); again != first || !reflect.DeepEqual(e, back) {
			t.Fatalf("%s judges %s, stored as %s judges %s", text, first, blob, again)
		}
	})
}

// TestPreparedPolicySaysTheSame asks a prepared rule set and the same one unprepared about every day something may change.
func TestPreparedPolicySaysTheSame(t *testing.T) {
	yes := expr(t, "true")
	stages := []domain.Stage{domain.StageSign, domain.StageFiling, domain.StageFundIn}
	rapid.Check(t, func(t *rapid.T) {
		day := func(name string) domain.Day { return someDay + domain.Day(rapid.IntRange(0, 12).Draw(t, name)) }
		var p domain.Policy
		for i := range rapid.IntRange(0, 12).Draw(t, "rules") {
			r := rule(yes)
			r.ID, r.Version = fmt.Sprintf("C-%02d", rapid.IntRange(1, 4).Draw(t, "id")), i+1
			r.EffectiveFrom = day("from")
			if rapid.Bool().Draw(t, "ends") {
				r.EffectiveTo = r.EffectiveFrom + domain.Day(rapid.IntRange(0, 5).Draw(t, "days"))
			}
			r.Stages = rapid.SliceOfNDistinct(rapid.SampledFrom(stages), 1, 3, rapid.ID).Draw(t, "stages")
			p.Rules = append(p.Rules, r)
		}
		ready := p.Prepared()
		changed := ready // A rule set of its own is not the prepared one.
		changed.Rules = append([]domain.Rule{rule(yes)}, p.Rules...)
		plain := domain.Policy{Rules: changed.Rules}
		for on := someDay - 2; on < someDay+20; on++ {
			if got, want := ready.InForce(on), p.InForce(on); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: in force %v, want %v", on, got, want)
			}
			for i := range 5 {
				id := fmt.Sprintf("C-%02d", i)
				want := slices.IndexFunc(p.InForce(on), func(r domain.Rule) bool { return r.ID == id })
				for _, p := range []domain.Policy{p, ready} {
					if got, ok := p.InForceOf(id, on); ok != (want >= 0) || ok && !reflect.DeepEqual(got, p.InForce(on)[want]) {
						t.Fatalf("%s: %s in force %v %v, want number %d", on, id, got, ok, want)
					}
				}
			}
			for _, stage := range stages {
				if got, want := ready.Judge(stage, on, nil), p.Judge(stage, on, nil); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s at %s: %v, want %v", on, stage, got, want)
				}
				if got, want := changed.Judge(stage, on, nil), plain.Judge(stage, on, nil); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s at %s with another rule: %v, want %v", on, stage, got, want)
				}
			}
		}
	})
}

func TestJudgeOnlySomeRules(t *testing.T) {
	a, b, c := rule(expr(t, "true")), rule(expr(t, "true")), rule(expr(t, "true"))
	a.ID, b.ID, c.ID = "C-01", "C-02", "C-03"
	p := domain.Policy{Rules: []domain.Rule{a, b, c}}
	if v := p.Judge(domain.StageSign, someDay, facts(), "C-03", "C-01", "M-01"); len(v) != 2 || v[0].Rule != "C-01" || v[1].Rule != "C-03" {
		t.Errorf("judged %+v", v)
	}
	if v := p.Judge(domain.StageSign, someDay, facts(), "M-01"); v != nil {
		t.Errorf("judged %+v", v)
	}
	if r, ok := p.InForceOf("C-02", someDay); !ok || r.ID != "C-02" {
		t.Errorf("in force: %+v, %t", r, ok)
	}
	if r, ok := p.InForceOf("C-09", someDay); ok {
		t.Errorf("in force: %+v", r)
	}
}

// TestJudgeAgainSaysWhatJudgeSays changes some facts and asks only the rules that read them.
func TestJudgeAgainSaysWhatJudgeSays(t *testing.T) {
	predicates := []string{
		`[">", "$n", 3]`, `["==", "$lease.kind", "OUT"]`, `["present", "$lease"]`, `["present", "$lease.kindred"]`, `["==", "$lease.deep.n", 9]`,
		`["any", "$people", [">", ".age", "@k"]]`, `["and", "$yes", ["<", "$lease.deep.n", "$n"]]`, `"$text"`, "true",
	}
	paths := []string{"n", "lease.kind", "lease.deep.n", "lease.deep", "lease", "people", "yes"}
	rapid.Check(t, func(t *rapid.T) {
		var p domain.Policy
		for i, text := range rapid.SliceOfN(rapid.SampledFrom(predicates), 0, 8).Draw(t, "predicates") {
			r := rule(domain.Expr{})
			if err := json.Unmarshal([]byte(text), &r.Predicate); err != nil {
				t.Fatal(err)
			}
			r.ID, r.Params = fmt.Sprintf("C-%02d", i), map[string]domain.Param{"k": {Value: int64(18)}}
			if rapid.Bool().Draw(t, "scoped") {
				r.Scope.LetModes = []string{"WHOLE"}
			}
			p.Rules = append(p.Rules, r)
		}
		if rapid.Bool().Draw(t, "prepared") {
			p = p.Prepared()
		}
		before, after := facts(), facts()
		mode := domain.Facts{"let_mode": rapid.SampledFrom([]string{"WHOLE", "BY_ROOM"}).Draw(t, "mode")}
		before["scope"], after["scope"] = mode, mode
		changed := rapid.SliceOfDistinct(rapid.SampledFrom(paths), rapid.ID).Draw(t, "changed")
		for _, path := range changed {
			switch path {
			case "n":
				after["n"] = int64(rapid.IntRange(0, 9).Draw(t, "n"))
			case "lease.kind":
				after["lease"].(domain.Facts)["kind"] = "HEAD"
			case "lease.deep.n":
				after["lease"].(domain.Facts)["deep"] = domain.Facts{"n": int64(2)}
			case "lease.deep", "people", "yes":
				in, name := after, path
				if path == "lease.deep" {
					in, name = after["lease"].(domain.Facts), "deep"
				}
				delete(in, name)
			case "lease":
				after["lease"] = domain.Facts{"kindred": true}
			}
			if _, whole := after["lease"].(domain.Facts)["kindred"]; whole {
				break // What else changed below it is within it.
			}
		}
		first := p.Judge(domain.StageSign, someDay, before)
		var kept domain.Verdict
		for _, r := range first {
			kept = append(kept, new(*r))
		}
		got, want := p.JudgeAgain(first, domain.StageSign, someDay, after, changed...), p.Judge(domain.StageSign, someDay, after)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("after %v: %v, want %v", changed, got, want)
		}
		if !reflect.DeepEqual(first, kept) {
			t.Fatal("the verdict before was changed")
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	var rules []domain.Rule
	for i := range 60 {
		r := rule(expr(b, `["and", "$yes", ["or", [">", "$n", "@k"], ["any", "$people", ["<", ".age", 18]]], "$no"]`))
		r.ID = fmt.Sprintf("C-%02d", i)
		rules = append(rules, r)
	}
	p, f := domain.Policy{Rules: rules}.Prepared(), facts()
	for b.Loop() {
		p.Judge(domain.StageSign, someDay, f)
	}
}
