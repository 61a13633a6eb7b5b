package ruleset_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/ruleset"
)

func TestShippedRulesAreValid(t *testing.T) {
	p := ruleset.Shipped()
	if p.Version != 1 {
		t.Errorf("version %d", p.Version)
	}
	seen := map[string]bool{}
	sources := ruleset.Sources()
	for _, r := range p.Rules {
		if err := ruleset.Validate(r); err != nil {
			t.Error(err)
		}
		key := r.ID + "@" + string(rune('0'+r.Version))
		if seen[key] {
			t.Errorf("%s twice", key)
		}
		seen[key] = true
		if sources[r.Source] == "" {
			t.Errorf("%s cites the unknown source %s", r.ID, r.Source)
		}
		if r.Status == domain.RuleUnconfirmed && (r.Outcome == domain.OutcomeReject || r.Outcome == domain.OutcomeRequireDoc) {
			t.Errorf("%s is unconfirmed and refuses", r.ID)
		}
	}
	if err := p.Calendar.Validate(); err != nil {
		t.Error(err)
	}
}

// TestRulesRoundTrip: a rule is stored in events, so it encodes and decodes to itself.
func TestRulesRoundTrip(t *testing.T) {
	for _, r := range ruleset.Shipped().Rules {
		first, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back domain.Rule
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		if second, _ := json.Marshal(back); !bytes.Equal(first, second) {
			t.Errorf("%s changes:\n%s\n%s", r.ID, first, second)
		}
	}
}

// example is one fact record of testdata/cases.json. Base names the record it changes: every fact of the base stands
// but those that Facts gives (null removes nothing: it is a fact known to be none; "-" in Without removes).
type example struct {
	Rule    string         `json:"rule"`
	Name    string         `json:"name"`
	Stage   domain.Stage   `json:"stage"`
	On      domain.Day     `json:"on"`
	Base    string         `json:"base"`
	Facts   map[string]any `json:"facts"` // By dotted path.
	Without []string       `json:"without"`
	Want    domain.Outcome `json:"want"`
	Version int            `json:"version"` // Of the rule expected; 0 = any.
}

type exampleFile struct {
	Bases map[string]map[string]any `json:"bases"`
	Cases []example                 `json:"cases"`
}

func examples(t testing.TB) exampleFile {
	t.Helper()
	data, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var f exampleFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f exampleFile) record(t testing.TB, e example) domain.Facts {
	t.Helper()
	base, ok := f.Bases[e.Base]
	if !ok {
		t.Fatalf("%s: no base %q", e.Name, e.Base)
	}
	flat := maps.Clone(base)
	maps.Copy(flat, e.Facts)
	for _, path := range e.Without {
		if _, ok := flat[path]; !ok {
			t.Fatalf("%s: nothing to remove at %s", e.Name, path)
		}
		delete(flat, path)
	}
	out := domain.Facts{}
	for path, raw := range flat {
		put(out, strings.Split(path, "."), fact(t, path, raw))
	}
	return out
}

func put(f domain.Facts, path []string, v any) {
	if len(path) == 1 {
		f[path[0]] = v
		return
	}
	sub, ok := f[path[0]].(domain.Facts)
	if !ok {
		sub = domain.Facts{}
		f[path[0]] = sub
	}
	put(sub, path[1:], v)
}

func fact(t testing.TB, path string, raw any) any {
	t.Helper()
	switch v := raw.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return n
	case string:
		if d, err := domain.ParseDay(v); err == nil {
			return d
		}
		return v
	case []any:
		if len(v) > 0 {
			if _, records := v[0].(map[string]any); records {
				out := []domain.Facts{}
				for _, x := range v {
					rec := domain.Facts{}
					for k, y := range x.(map[string]any) {
						rec[k] = fact(t, path+"."+k, y)
					}
					out = append(out, rec)
				}
				return out
			}
		}
		out := []string{}
		for _, x := range v {
			out = append(out, x.(string))
		}
		return out
	}
	return raw
}

// TestEachRuleAtItsBoundary judges the examples: for every version of every rule at least one record it fires on and
// one it passes, and the bases, which are the ordinary cases, pass every rule that could stop them.
func TestEachRuleAtItsBoundary(t *testing.T) {
	f, p := examples(t), ruleset.Shipped()
	type key struct {
		rule    string
		version int
	}
	fired, passed := map[key]bool{}, map[key]bool{}
	for _, e := range f.Cases {
		t.Run(e.Rule+" "+e.Name, func(t *testing.T) {
			verdict := p.Judge(e.Stage, e.On, f.record(t, e))
			i := slices.IndexFunc(verdict, func(r *domain.RuleResult) bool { return r.Rule == e.Rule })
			if i < 0 {
				if e.Want != "" {
					t.Fatalf("the rule is not judged on %s", e.On)
				}
				return
			}
			got := verdict[i]
			if got.Outcome != e.Want || (e.Version != 0 && got.Version != e.Version) {
				t.Fatalf("got %s by version %d, want %s by %d: %v", got.Outcome, got.Version, e.Want, e.Version, got.Params)
			}
			k := key{got.Rule, got.Version}
			if got.Outcome == domain.OutcomePass {
				passed[k] = true
			} else if got.Outcome != domain.OutcomeUnknown {
				fired[k] = true
			}
		})
	}
	for _, r := range p.Rules {
		k := key{r.ID, r.Version}
		if !fired[k] {
			t.Errorf("%s version %d: no example violates it", r.ID, r.Version)
		}
		if !passed[k] {
			t.Errorf("%s version %d: no example passes it", r.ID, r.Version)
		}
	}
}

// TestOrdinaryCasesPass: verified parties, a residential flat, three months at a time, one month's deposit.
func TestOrdinaryCasesPass(t *testing.T) {
	f, p := examples(t), ruleset.Shipped()
	on := domain.Date(2026, time.November, 23)
	for base, stages := range map[string][]domain.Stage{
		"lease": {domain.StageSign, domain.StageFiling}, "listing": {domain.StageListing}, "unit": {domain.StageUnit}, "party": {domain.StageParty},
		"release": {domain.StageFundOut}, "deduction": {domain.StageFundOut},
	} {
		for _, stage := range stages {
			verdict := p.Judge(stage, on, f.record(t, example{Base: base}))
			if len(verdict) == 0 {
				t.Errorf("%s: nothing judged at %s", base, stage)
			}
			for _, r := range verdict.Fired() {
				partial := stage == domain.StageFundOut && r.Outcome == domain.OutcomeUnknown // Rules of the other money order.
				if r.Outcome != domain.OutcomeRoute && !partial {
					t.Errorf("%s at %s: %s %s %v", base, stage, r.Rule, r.Outcome, r.Params)
				}
			}
			if !partialStage(stage) && (verdict.Err() != nil || verdict.Holds()) {
				t.Errorf("%s is stopped at %s", base, stage)
			}
		}
	}
}

func partialStage(s domain.Stage) bool { return s == domain.StageFundOut }

// TestBasesAreTheVocabulary: the ordinary records have every fact that is given at their stage, and no other, so that
// rules are tested on records like the real ones.
func TestBasesAreTheVocabulary(t *testing.T) {
	f := examples(t)
	for base, stage := range map[string]domain.Stage{"lease": domain.StageFiling, "listing": domain.StageListing, "unit": domain.StageUnit, "party": domain.StageParty} {
		want := map[string]domain.FactKind{}
		for _, g := range ruleset.Facts() {
			if slices.Contains(g.Stages, stage) {
				maps.Copy(want, g.Facts)
			}
		}
		for path := range f.Bases[base] {
			if _, ok := want[path]; !ok {
				t.Errorf("base %s has %s, which nobody gives at %s", base, path, stage)
			}
		}
		for path := range want {
			if _, ok := f.Bases[base][path]; !ok {
				t.Errorf("base %s lacks %s", base, path)
			}
		}
	}
}

// TestUsedFacts prints, with -v, which facts the rules read: the list to hold against the aggregates' facts.go.
func TestUsedFacts(t *testing.T) {
	used := map[string][]string{}
	for _, r := range ruleset.Shipped().Rules {
		for _, path := range r.Predicate.Facts() {
			used[path] = append(used[path], r.ID)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(used)) {
		t.Logf("%-34s %s", path, strings.Join(slices.Compact(used[path]), " "))
	}
	if len(used) < 60 {
		t.Errorf("only %d facts are read", len(used))
	}
}

func TestVersionsByDate(t *testing.T) {
	p := ruleset.Shipped()
	before, after := domain.Date(2025, time.September, 14), domain.Date(2025, time.September, 15)
	version := func(rule string, on domain.Day) int {
		for _, r := range p.InForce(on) {
			if r.ID == rule {
				return r.Version
			}
		}
		return 0
	}
	for _, c := range []struct {
		rule string
		on   domain.Day
		want int
	}{
		{"U-01", domain.Date(2011, time.January, 31), 0},
		{"U-01", domain.Date(2011, time.February, 1), 1},
		{"U-01", before, 1},
		{"U-01", after, 2},
		{"L-15", before, 1},
		{"L-15", after, 2},
		{"C-04", before, 0},
		{"C-04", after, 1},
		{"L-08", domain.Date(2021, time.March, 31), 0},
		{"L-08", domain.Date(2021, time.April, 30), 1},
	} {
		if got := version(c.rule, c.on); got != c.want {
			t.Errorf("%s on %s: version %d, want %d", c.rule, c.on, got, c.want)
		}
	}
	if v, ok := p.Param("M-01", "cycle_limit", after); !ok || v != 3 {
		t.Errorf("M-01 cycle_limit: %d %v", v, ok)
	}
	if v, ok := p.ParamText("M-01", "capture_mode", after); !ok || v != "WHOLE" {
		t.Errorf("M-01 capture_mode: %s %v", v, ok)
	}
	if _, ok := p.Param("C-04", "none", after); ok {
		t.Error("a parameter that is not there")
	}
}

func TestCalendar(t *testing.T) {
	c := ruleset.Shipped().Calendar
	for day, want := range map[string]bool{
		"2026-01-02": false, "2026-01-04": true, "2026-02-14": true, "2026-02-23": false, "2026-02-24": true, "2026-10-10": true,
		"2025-10-08": false, "2025-10-11": true, "2024-10-12": true, "2023-06-25": true, "2023-06-23": false, "2027-02-08": false,
		"2028-01-01": false, "2028-01-03": true, // Not in the table: plain weekends.
	} {
		d, _ := domain.ParseDay(day)
		if got := c.IsWorkday(d); got != want {
			t.Errorf("%s workday: %v", day, got)
		}
	}
	total := map[int]int{}
	for _, y := range c.Years {
		total[y.Year] = len(y.Holidays) - len(y.Workdays)
	}
	if total[2025] != 28-5 || total[2026] != 33-6 {
		t.Errorf("days off by year: %v", total)
	}
}

// TestCodesAreListed holds the codes of the rules to the list the API makes its catalogue from.
func TestCodesAreListed(t *testing.T) {
	data, err := os.ReadFile("testdata/codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{ruleset.CodeGeneral: true}
	for _, r := range ruleset.Shipped().Rules {
		codes[r.Code] = true
	}
	got := strings.Join(slices.Sorted(maps.Keys(codes)), "\n") + "\n"
	if got != string(data) {
		t.Errorf("testdata/codes.txt is not the codes of the rules:\n%s", got)
	}
}
