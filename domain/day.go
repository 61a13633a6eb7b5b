package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// shanghai is UTC+8 without daylight saving since 1991; every date this product keeps is later.
var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// Day is a civil date (日历日) in Asia/Shanghai, as days since 1970-01-01. JSON: "2026-03-01". The zero Day is
// absent (JSON ""; omitzero drops it); 1970-01-01 itself can't be expressed, and nothing here is that old.
type Day int32

// Dates of leases and facts lie between these two; anything else is a typing error.
var (
	DayMin = Date(1900, time.January, 1)
	DayMax = Date(2199, time.December, 31)
)

// Date is the Day of a calendar date; it normalises like time.Date.
func Date(year int, month time.Month, day int) Day {
	return Day(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// DayOf is the civil date in Asia/Shanghai at instant t.
func DayOf(t time.Time) Day {
	y, m, d := t.In(shanghai).Date()
	return Date(y, m, d)
}

// ParseDay reads "2026-03-01". It refuses impossible dates and those outside [DayMin, DayMax].
func ParseDay(s string) (Day, error) {
	t, err := time.Parse("2006-01-02", s)
	if err != nil || len(s) != len("2006-01-02") {
		return 0, fmt.Errorf("domain: %q is not a date", s)
	}
	d := Date(t.Date())
	if d < DayMin || d > DayMax || d == 0 {
		return 0, fmt.Errorf("domain: %q is out of range", s)
	}
	return d, nil
}

func (d Day) time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

func (d Day) String() string {
	if d == 0 {
		return ""
	}
	return d.time().Format("2006-01-02")
}

// IsZero is true of the absent day.
func (d Day) IsZero() bool { return d == 0 }

// Start is the first instant of d in Asia/Shanghai.
func (d Day) Start() time.Time { return d.time().Add(-8 * time.Hour) }

// Date splits d.
func (d Day) Date() (year int, month time.Month, day int) { return d.time().Date() }

// Weekday of d.
func (d Day) Weekday() time.Weekday { return d.time().Weekday() }

// Month is "2026-03".
func (d Day) Month() Month {
	y, m, _ := d.Date()
	return Month(y*12 + int(m) - 1)
}

// AddDays is d plus n days.
func (d Day) AddDays(n int) Day { return d + Day(n) }

// AddMonths adds n months and clamps to the month's end: 31 January plus one month is 28 or 29 February.
func (d Day) AddMonths(n int) Day {
	y, m, day := d.Date()
	first := time.Date(y, m+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := time.Date(first.Year(), first.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return Date(first.Year(), first.Month(), min(day, last))
}

// MonthsUntil counts whole months from d to end, where end is the last day included: 2026-12-01 to 2027-11-30 is 12.
func (d Day) MonthsUntil(end Day) int {
	stop := end + 1
	y1, m1, _ := d.Date()
	y2, m2, _ := stop.Date()
	n := (y2-y1)*12 + int(m2) - int(m1)
	if d.AddMonths(n) > stop {
		n--
	}
	return n
}

func (d Day) MarshalJSON() ([]byte, error) { return quote(d.String()), nil }

// quote makes a JSON text of one that needs no escapes.
func quote(s string) []byte {
	return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
}

// unquote reads a JSON text.
func unquote(b []byte) (s string, err error) {
	if n := len(b) - 1; n > 0 && b[0] == '"' && !bytes.ContainsRune(b, '\\') {
		return string(b[1:n]), nil
	}
	err = json.Unmarshal(b, &s)
	return s, err
}

func (d *Day) UnmarshalJSON(b []byte) error {
	s, err := unquote(b)
	if err != nil {
		return err
	}
	if s == "" {
		*d = 0
		return nil
	}
	v, err := ParseDay(s)
	*d = v
	return err
}

// Month is a calendar month, as year×12 + month−1. JSON and text: "2026-03".
type Month int32

// ParseMonth reads "2026-03".
func ParseMonth(s string) (Month, error) {
	d, err := ParseDay(s + "-01")
	if err != nil {
		return 0, fmt.Errorf("domain: %q is not a month", s)
	}
	return d.Month(), nil
}

// First day of m.
func (m Month) First() Day { return Date(int(m)/12, time.Month(int(m)%12+1), 1) }

func (m Month) String() string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%04d-%02d", int(m)/12, int(m)%12+1)
}

// IsZero is true of the absent month.
func (m Month) IsZero() bool { return m == 0 }

func (m Month) MarshalJSON() ([]byte, error) { return quote(m.String()), nil }

func (m *Month) UnmarshalJSON(b []byte) error {
	s, err := unquote(b)
	if err != nil {
		return err
	}
	if s == "" {
		*m = 0
		return nil
	}
	v, err := ParseMonth(s)
	*m = v
	return err
}
