package domain_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
)

// The text of a day is made and read by hand: package time says what it must be.
func TestDayAsPackageTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := domain.Day(rapid.Int32Range(-1_000_000, 4_000_000).Draw(t, "day"))
		want := time.Unix(int64(d)*86400, 0).UTC().Format("2006-01-02")
		if d == 0 {
			want = ""
		}
		raw, err := json.Marshal(d)
		if d.String() != want || string(raw) != `"`+want+`"` || err != nil {
			t.Fatalf("%d: got %s, JSON %s %v, want %s", d, d, raw, err, want)
		}
		if m := d.Month(); d > 0 && m.String() != want[:len(want)-3] {
			t.Fatalf("%s: month %s", want, m)
		}
	})
	digit := rapid.StringMatching(`[0-9]{3}[0-9 ][-/][0-3][0-9:][-.][0-3][0-9a]`)
	date := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%04d-%02d-%02d", rapid.IntRange(1890, 2210).Draw(t, "y"), rapid.IntRange(0, 13).Draw(t, "m"), rapid.IntRange(0, 32).Draw(t, "d"))
	})
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(date, digit, rapid.String()).Draw(t, "text")
		at, err := time.Parse("2006-01-02", s)
		want := domain.Date(at.Date())
		good := err == nil && want >= domain.DayMin && want <= domain.DayMax && want != 0
		got, err := domain.ParseDay(s)
		if (err == nil) != good || (good && got != want) {
			t.Fatalf("%q: got %s %v, want %s, %v", s, got, err, want, good)
		}
		raw, _ := json.Marshal(s) // A text always encodes.
		err = json.Unmarshal(raw, &got)
		if good != (err == nil && s != "") || (good && got != want) {
			t.Fatalf("JSON %s: got %s %v, want %s, %v", raw, got, err, want, good)
		}
	})
}
