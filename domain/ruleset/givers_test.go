package ruleset_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"zujian/domain"
	"zujian/domain/contract"
	"zujian/domain/ruleset"
)

// TestContractGivesTheVocabulary holds facts.json to what package contract really gives: every path of the vocabulary
// is there with its kind, and nothing beside it.
func TestContractGivesTheVocabulary(t *testing.T) {
	q := contract.Question{
		Terms: contract.Terms{
			Lessors: []contract.PartyShare{{Party: "p1"}}, Lessees: []contract.PartyShare{{Party: "p2"}},
			Start: domain.Date(2026, time.December, 1), End: domain.Date(2027, time.November, 30),
			MonthlyRentFen: 350000, DepositReturnDays: new(int), PayCycleMonths: 3,
		},
		Subject: contract.Subject{Unit: contract.UnitFacts{
			ID: "u1", GrossAreaC: 8912, PlannedUse: "RESIDENTIAL", Owners: []contract.Owner{{Party: "p1", ShareBP: 10000}},
		}},
		SignedOn: domain.Date(2026, time.November, 23), Today: domain.Date(2026, time.November, 23),
		FiledOn: domain.Date(2026, time.November, 23), FiledBy: contract.ByLessor,
	}
	got := map[string]domain.FactKind{}
	flatten(t, "", q.Facts(), got)
	want := map[string]domain.FactKind{}
	for _, g := range ruleset.Facts() {
		if g.From == "domain/contract" {
			for path, kind := range g.Facts {
				want[path] = kind
			}
		}
	}
	for path, kind := range want {
		if got[path] != kind {
			t.Errorf("%s: given as %q, the vocabulary says %s", path, got[path], kind)
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s is given, but not in the vocabulary", path)
		}
	}
	// A rule of the signing stage never lacks a fact of an ordinary contract.
	for _, r := range ruleset.Shipped().Judge(domain.StageSign, q.SignedOn, q.Facts()) {
		if r.Outcome == domain.OutcomeUnknown && r.Rule != "S-01" { // Nobody here was verified: no party facts.
			t.Errorf("%s: %v", r.Rule, r.Params)
		}
	}
}

func flatten(t *testing.T, prefix string, f domain.Facts, into map[string]domain.FactKind) {
	t.Helper()
	for name, v := range f {
		path := prefix + name
		switch v := v.(type) {
		case domain.Facts:
			flatten(t, path+".", v, into)
		case int64, domain.Fen:
			into[path] = domain.KindInt
		case bool:
			into[path] = domain.KindBool
		case string:
			into[path] = domain.KindText
		case domain.Day:
			into[path] = domain.KindDay
		case []string:
			into[path] = domain.KindTexts
		case []domain.Facts:
			into[path] = domain.KindRecords
		default:
			t.Errorf("%s has the kind %s, which the engine does not read", path, fmt.Sprintf("%T", v))
		}
	}
}

// TestVocabularyHasNoDoubleKinds: one path means one kind at every stage.
func TestVocabularyHasNoDoubleKinds(t *testing.T) {
	kinds := map[string]domain.FactKind{}
	all := []domain.FactKind{domain.KindBool, domain.KindInt, domain.KindText, domain.KindDay, domain.KindTexts, domain.KindRecords}
	for _, g := range ruleset.Facts() {
		for path, kind := range g.Facts {
			if old, seen := kinds[path]; seen && old != kind {
				t.Errorf("%s is %s and %s", path, old, kind)
			}
			if !slices.Contains(all, kind) {
				t.Errorf("%s is %q", path, kind)
			}
			kinds[path] = kind
		}
	}
}
