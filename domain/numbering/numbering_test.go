package numbering_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"zujian/domain"
	"zujian/domain/domaintest"
	. "zujian/domain/numbering"
)

func TestDecide(t *testing.T) {
	first := []Event{BlockIssued{First: 1, Count: 100}}
	almost := []Event{BlockIssued{First: 999_990, Count: 8}}
	domaintest.Run(t, Decider, domain.Request[Command]{}, []domaintest.Case[Command, Event]{
		{Name: "the first block starts at one", When: Issue{Count: 100}, Then: first, Repeats: true},
		{Name: "the next follows", Given: first, When: Issue{Count: 5}, Then: []Event{BlockIssued{First: 101, Count: 5}}, Repeats: true},
		{Name: "no numbers", When: Issue{}, Err: ErrCount},
		{Name: "fewer than none", When: Issue{Count: -1}, Err: ErrCount},
		{Name: "too many at once", When: Issue{Count: BlockMax + 1}, Err: ErrCount},
		{Name: "the last two", Given: almost, When: Issue{Count: 2}, Then: []Event{BlockIssued{First: 999_998, Count: 2}}, Repeats: true},
		{Name: "more than are left", Given: almost, When: Issue{Count: 3}, Err: ErrExhausted},
	})
}

func TestNoNumberTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		var last int64
		for range rapid.IntRange(1, 50).Draw(t, "blocks") {
			events, err := Decider.Decide(s, domain.Request[Command]{Command: Issue{Count: rapid.Int64Range(1, BlockMax).Draw(t, "count")}})
			if err != nil {
				t.Fatal(err)
			}
			b := events[0].(BlockIssued)
			if b.First <= last {
				t.Fatalf("number %d was issued before", b.First)
			}
			last = b.First + b.Count - 1
			s = Decider.Fold(s, events...)
		}
	})
}

func TestFormat(t *testing.T) {
	jan := domain.Date(2026, time.January, 9).Month()
	for _, c := range []struct {
		kind, district string
		seq            int64
		want           string
	}{
		{"HY", "320104", 1, "HY3201042601000001A"},
		{"BA", "320115", 42, "BA32011526010000429"},
		{"XM", "320113", 7, "XM3201132601000007W"},
		{"HY", "320104", 0, ""},
		{"HY", "320104", SeqMax + 1, ""},
		{"H", "320104", 1, ""},
		{"HY", "32010", 1, ""},
		{"hy", "320104", 1, ""},
	} {
		got := Format(c.kind, c.district, jan, c.seq)
		if got != c.want {
			t.Errorf("Format(%s, %s, %d) = %q, want %q", c.kind, c.district, c.seq, got, c.want)
		}
		if got != "" && !domain.ValidNumber(got) {
			t.Errorf("%s does not check", got)
		}
	}
	if got := ID("HY", "320115", domain.Date(2026, time.November, 1).Month()); got != "HY-320115-2611" {
		t.Errorf("ID = %q", got)
	}
}

func TestGolden(t *testing.T) { domaintest.Golden(t, Types, "testdata/events") }
