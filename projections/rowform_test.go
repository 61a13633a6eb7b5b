package projections_test

import (
	"errors"
	"strings"
	"testing"

	"zujian/domain"
	"zujian/projections"
)

type plainRow struct {
	ID    string     `json:"id"`
	Names []string   `json:"names,omitempty"`
	On    domain.Day `json:"on,omitzero"`
}

type shortRow plainRow

func (shortRow) Packed() {}

// renamedRow is shortRow as another version of a view has it.
type renamedRow struct {
	ID    string     `json:"id"`
	Names []string   `json:"parties,omitempty"`
	On    domain.Day `json:"on,omitzero"`
}

func (renamedRow) Packed() {}

// TestPackedRows stores rows as JSON and packed: both come back, people read the same of both, and one that another version
// of the program packed is not misread.
func TestPackedRows(t *testing.T) {
	ctx := t.Context()
	plain := plainRow{ID: "0198c6f2-3d1e-7abc-8def-0123456789ab", Names: []string{"甲", "乙"}, On: 20_000}
	short := shortRow(plain)
	var views projections.Memory
	err := views.Batch(ctx, "v", 1, 0, 1, func(v projections.View) error {
		projections.Put(v, "plain", plain)
		projections.Put(v, "short", short)
		return nil
	})
	if err := errors.Join(err, views.Activate(ctx, "v", 1)); err != nil {
		t.Fatal(err)
	}
	err = views.Read(ctx, "v", func(r projections.Reader) error {
		raw, _, err1 := r.Get(ctx, "plain")
		packed, _, err2 := r.Get(ctx, "short")
		if text := projections.RowText(raw); text != string(raw) || !strings.HasPrefix(text, "{") {
			t.Errorf("JSON is shown as %q", text)
		}
		if text := projections.RowText(packed); text[5:] != string(raw) || len(packed)*2 > len(raw) {
			t.Errorf("packed in %d bytes and shown as %q, not %q", len(packed), text, raw)
		}
		gotPlain, err3 := projections.Get[plainRow](ctx, r, "plain")
		gotShort, err4 := projections.Get[shortRow](ctx, r, "short")
		if gotPlain.ID != plain.ID || gotShort.On != plain.On || strings.Join(gotShort.Names, " ") != "甲 乙" {
			t.Errorf("%+v %+v", gotPlain, gotShort)
		}
		none, err5 := projections.Get[shortRow](ctx, r, "none")
		if none.ID != "" {
			t.Errorf("a missing row is %+v", none)
		}
		if got, err := projections.Get[renamedRow](ctx, r, "short"); !errors.Is(err, projections.ErrUnavailable) || got.ID != "" {
			t.Errorf("a row of another version is read as %+v, %v", got, err)
		}
		if _, err := projections.RowOf[shortRow](projections.Pair{Key: "short", Value: packed[:len(packed)-1]}); err == nil || errors.Is(err, projections.ErrUnavailable) {
			t.Errorf("a damaged row is read: %v", err)
		}
		return errors.Join(err1, err2, err3, err4, err5)
	})
	if err != nil {
		t.Fatal(err)
	}
}
