package domain_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
)

func TestDocumentNumbers(t *testing.T) {
	today := domain.Date(2026, time.November, 23)
	cases := []struct {
		kind, no string
		want     error
	}{
		// The standards' own specimens and synthetic numbers with birth years in the 1880s, so that no living person is hit.
		{domain.DocCNID, "11010519491231002X", nil},
		{domain.DocCNID, "440524188001010014", nil},
		{domain.DocCNID, "320102188801010015", nil},
		{domain.DocCNID, "320106188402290035", nil},
		{domain.DocCNID, domain.NormalDocNo(" 32011618881122009x "), nil},
		{domain.DocCNID, "320116881122009", domain.ErrIDChecksum},
		{domain.DocCNID, "320102188801010016", domain.ErrIDChecksum},
		{domain.DocCNID, "32010218890229001X", domain.ErrIDChecksum},
		{domain.DocCNID, "３20102188801010015", domain.ErrIDChecksum},
		{domain.DocCNID, "810000188801010013", domain.ErrIDChecksum}, // A residence permit, not an identity card.
		{domain.DocHMTResidence, "810000188801010013", nil},
		{domain.DocHMTResidence, "820000188801010023", nil},
		{domain.DocHMTResidence, "830000188801010033", nil},
		{domain.DocUSCC, "91320102MA1TEXT06J", nil},
		{domain.DocUSCC, "91320115MA27YYY95J", nil},
		{domain.DocUSCC, "91320191099999992R", nil},
		{domain.DocUSCC, "93320113MA99A0B145", nil},
		{domain.DocUSCC, "12320100466000002F", nil},
		{domain.DocUSCC, "91320104MA0000AB06", nil},
		{domain.DocUSCC, "91320106999900011P", nil},
		{domain.DocUSCC, "91320102MA1TEXT06K", domain.ErrUSCCChecksum},
		{domain.DocUSCC, "91320102MA1TESTO6J", domain.ErrUSCCChecksum},
		{domain.DocPassport, "E12345678", nil},
		{domain.DocPassport, "E1", domain.ErrDocFormat},
		{"LIBRARY_CARD", "1", domain.ErrDocFormat},
	}
	for _, c := range cases {
		if err := domain.CheckDocNo(c.kind, c.no, today); !errors.Is(err, c.want) {
			t.Errorf("%s %s: got %v, want %v", c.kind, c.no, err, c.want)
		}
	}
	if err := domain.CheckDocNo(domain.DocCNID, "11010519491231002X", domain.Date(1949, time.December, 30)); err == nil {
		t.Error("a birth date after today was accepted")
	}
}

func TestRegisterNumbers(t *testing.T) {
	for _, no := range []string{"HY3201042601000001A", "BA32011526010000429", "XM3201132601000007W"} {
		if !domain.ValidNumber(no) {
			t.Errorf("%s refused", no)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // One wrong character is always found.
		no := []byte("HY3201042601000001A")
		i := rapid.IntRange(0, 17).Draw(t, "at")
		c := rapid.SampledFrom([]byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")).Draw(t, "char")
		if no[i] == c {
			t.Skip()
		}
		no[i] = c
		if domain.ValidNumber(string(no)) {
			t.Fatalf("%s accepted", no)
		}
	})
}

func TestPhones(t *testing.T) {
	for in, want := range map[string]string{"13800000000": "13800000000", "+86 138-0000-0000": "13800000000", "025-00000000": "025-00000000", "12800000000": "", "": ""} {
		got, err := domain.NormalPhone(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestMoney(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := domain.Fen(rapid.Int64Range(0, int64(domain.FenMax)).Draw(t, "total"))
		n := rapid.IntRange(1, 240).Draw(t, "parts")
		var sum domain.Fen
		for _, p := range total.Split(n) {
			if p < 0 {
				t.Fatalf("negative part of %d / %d", total, n)
			}
			sum += p
		}
		if sum != total {
			t.Fatalf("parts of %d / %d add up to %d", total, n, sum)
		}
	})
	for _, c := range []struct {
		a        domain.Fen
		num, den int64
		want     domain.Fen
	}{{3_000_00, 10, 30, 1_000_00}, {1, 1, 2, 1}, {-1, 1, 2, 0}, {-3, 1, 2, -1}, {10, 1, 3, 3}, {domain.FenMax, 1_000_000_007, 1_000_000_007, domain.FenMax}} {
		if got, err := c.a.MulDiv(c.num, c.den); err != nil || got != c.want {
			t.Errorf("%d×%d/%d: got %d, %v; want %d", c.a, c.num, c.den, got, err, c.want)
		}
	}
	for name, err := range map[string]error{
		"add": second(domain.FenMax.Add(1)), "add wraps": second(domain.Fen(math.MaxInt64).Add(1)), "times": second(domain.FenMax.Times(2)),
		"times negative": second(domain.Fen(1).Times(-1)), "min": second(domain.Fen(math.MinInt64).Times(1)), "muldiv": second(domain.FenMax.MulDiv(2, 1)),
	} {
		if !errors.Is(err, domain.ErrAmount) {
			t.Errorf("%s: got %v, want ErrAmount", name, err)
		}
	}
}

func second(_ domain.Fen, err error) error { return err }

func TestDays(t *testing.T) {
	day := func(s string) domain.Day {
		d, err := domain.ParseDay(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		from, want string
		months     int
	}{{"2026-01-31", "2026-02-28", 1}, {"2024-01-31", "2024-02-29", 1}, {"2026-01-29", "2026-02-28", 1}, {"2026-03-31", "2026-02-28", -1}, {"2026-11-23", "2027-11-23", 12}} {
		if got := day(c.from).AddMonths(c.months); got != day(c.want) {
			t.Errorf("%s + %d months: got %s, want %s", c.from, c.months, got, c.want)
		}
	}
	for _, c := range []struct {
		from, to string
		want     int
	}{{"2026-12-01", "2027-11-30", 12}, {"2026-12-01", "2026-12-31", 1}, {"2026-12-01", "2026-12-30", 0}, {"2026-01-31", "2026-02-27", 1}, {"2006-01-01", "2025-12-31", 240}} {
		if got := day(c.from).MonthsUntil(day(c.to)); got != c.want {
			t.Errorf("%s to %s: got %d months, want %d", c.from, c.to, got, c.want)
		}
	}
	for _, bad := range []string{"2026-02-30", "2026-02-29", "2026-2-3", "20260203", "1026-01-01", "2026-01-01T00:00:00Z", ""} {
		if d, err := domain.ParseDay(bad); err == nil {
			t.Errorf("%q read as %s", bad, d)
		}
	}
	// 2026-02-28 20:00 UTC is already 1 March in Shanghai.
	if got := domain.DayOf(time.Date(2026, 2, 28, 20, 0, 0, 0, time.UTC)); got != day("2026-03-01") {
		t.Errorf("civil day: got %s", got)
	}
	raw, _ := json.Marshal(struct{ M domain.Month }{day("2026-03-15").Month()})
	if string(raw) != `{"M":"2026-03"}` {
		t.Errorf("month JSON: %s", raw)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := domain.Day(rapid.IntRange(int(domain.DayMin), int(domain.DayMax)).Filter(func(n int) bool { return n != 0 }).Draw(t, "day"))
		back, err := domain.ParseDay(d.String())
		if err != nil || back != d || domain.DayOf(d.Start()) != d || d.Month().First().Month() != d.Month() {
			t.Fatalf("%d %s does not round-trip: %v %v", d, d, back, err)
		}
		n := rapid.IntRange(-10_000, 10_000).Draw(t, "months")
		later := d.AddMonths(n)
		_, _, day := d.Date()
		_, _, got := later.Date()
		if last := (d.Month() + domain.Month(n) + 1).First() - 1; later.Month() != last.Month() || got > day || got < day && later != last {
			t.Fatalf("%s + %d months: got %s", d, n, later)
		}
	})
}
