package projections_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zujian/projections"
)

func TestScope(t *testing.T) {
	for _, c := range []struct {
		scope projections.Scope
		want  bool
	}{
		{projections.Scope{}, false},
		{projections.Scope{All: true}, true},
		{projections.Scope{District: "320106"}, true},
		{projections.Scope{District: "320115"}, false},
		{projections.Scope{District: "320191"}, true},
		{projections.Scope{Party: "b"}, true},
		{projections.Scope{Party: "c"}, false},
		{projections.Scope{Bank: "icbc"}, true},
		{projections.Scope{Bank: "boc"}, false},
	} {
		if got := c.scope.Sees(projections.Place{District: "320106", Unit: "320191"}, []string{"a", "b"}, "icbc"); got != c.want {
			t.Errorf("%+v sees: %v", c.scope, got)
		}
	}
	if (projections.Scope{}).Sees(projections.Place{}, []string{""}, "") {
		t.Error("the zero scope sees a row without owner")
	}
}

func TestListPages(t *testing.T) {
	var views projections.Memory
	ctx := context.Background()
	var want []string
	err := views.Batch(ctx, "v", 1, 0, 9, func(v projections.View) error {
		for i := range 25 {
			v.Set(projections.Key("a", fmt.Sprintf("%02d", i)), []byte("x"))
			v.Set(projections.Key("b", fmt.Sprint(i*i%7), fmt.Sprintf("%02d", i)), []byte("x"))
			want = append(want, fmt.Sprintf("%02d", i))
		}
		v.Set(projections.Key("a"), nil)       // Not under the prefix.
		v.Set(projections.Key("ab", "0"), nil) // Nor this.
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := views.Activate(ctx, "v", 1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		prefixes [][]string
		reverse  bool
	}{
		{[][]string{{"a"}}, false},
		{[][]string{{"a"}, {"none"}}, true},
		{[][]string{{"b", "4"}, {"b", "0"}, {"b", "1"}, {"b", "2"}}, false},
		{[][]string{{"b", "0"}, {"b", "2"}, {"b", "1"}, {"b", "4"}}, true},
	} {
		var got []string
		pages, page := 0, projections.Page{Limit: 10}
		for {
			var rows []string
			err := views.Read(ctx, "v", func(r projections.Reader) (err error) {
				rows, page.Cursor, err = projections.ListBetween(ctx, r, c.prefixes, "", "", c.reverse, page, func(p projections.Pair) (string, bool, error) {
					return projections.Tail(p.Key), true, nil
				})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			got, pages = append(got, rows...), pages+1
			if page.Cursor == "" {
				break
			}
		}
		if c.reverse {
			for i := range got[:len(got)/2] {
				got[i], got[len(got)-1-i] = got[len(got)-1-i], got[i]
			}
		}
		if d := cmp.Diff(got, want); d != "" || pages != 3 {
			t.Errorf("%q, reverse %v: %d pages\n%s", c.prefixes, c.reverse, pages, d)
		}
	}
}
