package domain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"zujian/domain"
)

// TestVerdictIsStoredAsItsResults holds a whole verdict to its results one by one, as encoding/json puts them in a list.
func TestVerdictIsStoredAsItsResults(t *testing.T) {
	word := rapid.StringOf(rapid.SampledFrom([]rune(`aZ9 ,:[]{}"\<>&租` + "\n")))
	rapid.Check(t, func(t *rapid.T) {
		v := domain.Verdict{}
		for i := range rapid.IntRange(0, 8).Draw(t, "results") {
			r := &domain.RuleResult{
				Rule: fmt.Sprintf("C-%02d", i), Version: rapid.IntRange(1, 200).Draw(t, "version"), Outcome: domain.OutcomePass,
				Unconfirmed: rapid.Bool().Draw(t, "unconfirmed"),
			}
			if rapid.Bool().Draw(t, "fired") {
				r.Outcome, r.Code = domain.OutcomeAlert, "contract.deposit_clause"
				r.Params = map[string]any{word.Draw(t, "name"): word.Draw(t, "text"), "n": int64(7), "list": []string{word.Draw(t, "item")}}
				for range rapid.IntRange(0, 4).Draw(t, "more") {
					r.Params[word.Draw(t, "another")] = rapid.OneOf(rapid.Int64().AsAny(), rapid.Bool().AsAny(), word.AsAny()).Draw(t, "param")
				}
				if rapid.IntRange(0, 4).Draw(t, "bare") == 0 {
					r.Params, r.Code = nil, ""
				}
				type plain domain.RuleResult // As encoding/json writes it.
				want, err1 := json.Marshal(plain(*r))
				got, err2 := r.MarshalJSON()
				if err := errors.Join(err1, err2); err != nil || string(got) != string(want) {
					t.Fatalf("stored as %s, want %s, %v", got, want, err)
				}
			}
			v = append(v, r)
		}
		got, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal([]*domain.RuleResult(v))
		if err != nil || string(got) != string(want) {
			t.Fatalf("stored as %s, its results as %s, %v", got, want, err)
		}
		var wide bytes.Buffer
		if err := json.Indent(&wide, got, "", "\t"); err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{got, wide.Bytes()} {
			var back domain.Verdict
			if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, v) {
				t.Fatalf("%s read back as %+v, %v; want %+v", text, back, err, v)
			}
			if back, err := domain.FormOf[domain.Verdict]().Unmarshal(text); err != nil || !reflect.DeepEqual(back, v) {
				t.Fatalf("%s read by its form as %+v, %v; want %+v", text, back, err, v)
			}
		}
	})
}

func TestVerdictRefusesOtherJSON(t *testing.T) {
	for _, text := range []string{`{}`, `"C-04@1"`, `3`, `["C-04"]`, `["C-04@x"]`, `[3]`, `[["C-04@1"]]`} {
		var v domain.Verdict
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s was read as %+v", text, v)
		}
	}
	v := domain.Verdict{{Rule: "C-04"}}
	if err := json.Unmarshal([]byte(`null`), &v); err != nil || v != nil {
		t.Errorf("null: %+v, %v", v, err)
	}
	if raw, err := json.Marshal(struct{ Rules domain.Verdict }{}); err != nil || string(raw) != `{"Rules":null}` {
		t.Errorf("none: %s, %v", raw, err)
	}
	if raw, err := json.Marshal(domain.Verdict{{Rule: `C"`, Outcome: domain.OutcomePass}}); err == nil {
		t.Errorf("a rule that is none: %s", raw)
	}
}
