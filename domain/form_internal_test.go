package domain

import (
	"encoding/json"
	"errors"
	"testing"
)

// TestFormNeedsNoHelp shows that what json.Marshal writes is read without starting over, in any order and with blanks.
func TestFormNeedsNoHelp(t *testing.T) {
	type part struct {
		Share int64 `json:"share_bp"`
	}
	type whole struct {
		Text    string         `json:"text"`
		Empty   Day            `json:"empty"`
		Day     Day            `json:"day"`
		At      uint64         `json:"at"`
		Results Verdict        `json:"results"`
		Texts   []string       `json:"texts"`
		Parts   []part         `json:"parts"`
		None    []part         `json:"none"`
		One     *part          `json:"one"`
		Any     map[string]any `json:"any"`
		part
	}
	raw, err := json.Marshal(whole{
		Text: "<租>\n", Day: 20_000, At: 1, Results: Verdict{{Rule: "C-04", Version: 1, Outcome: OutcomePass}, {Rule: "C-05", Version: 1, Outcome: OutcomeAlert, Params: map[string]any{"a": []string{"]"}}}},
		Texts: []string{"a", "&"}, Parts: []part{{1}, {2}}, One: &part{3}, Any: map[string]any{"b": 1}, part: part{4},
	})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	err = json.Unmarshal(raw, &fields)
	sorted, err1 := json.Marshal(fields)
	wide, err2 := json.MarshalIndent(fields, "", "\t")
	if err := errors.Join(err, err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{raw, sorted, wide} {
		var got whole
		r := plainReader{b: raw}
		if ok := r.value(FormOf[whole]().shape, placeOf(&got)); !ok || !r.end() {
			t.Fatalf("%s\nstopped at %d: %s", raw, r.at, raw[r.at:])
		}
	}
}
