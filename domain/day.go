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
	d, ok := readDay(s)
	if !ok {
		return 0, fmt.Errorf("domain: %q is not a date", s)
	}
	if d < DayMin || d > DayMax || d == 0 {
		return 0, fmt.Errorf("domain: %q is out of range", s)
	}
	return d, nil
}

const daysLeast = 28 // Every month has so many.

// readDay reads "2026-03-01", of any year; ok is false for what is no date.
func readDay[T string | []byte](s T) (d Day, ok bool) {
	if len(s) != len("2006-01-02") || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:])
	if year < 0 || month < 1 || month > 12 || day < 1 {
		return 0, false
	}
	d = Date(year, time.Month(month), day)
	if day <= daysLeast {
		return d, true
	}
	_, m, _ := d.Date()
	return d, int(m) == month // Else the month has fewer days.
}

// digits is a number of decimal digits alone; -1 for anything else.
func digits[T string | []byte](s T) (n int) {
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return -1
		}
		n = n*10 + int(c)
	}
	return n
}

func (d Day) time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

func (d Day) String() string {
	var buf [dateBytes]byte
	return string(d.append(buf[:0]))
}

const dateBytes = len("2006-01-02") + 2 // In quotes.

// append writes String's text.
func (d Day) append(b []byte) []byte {
	if d == 0 {
		return b
	}
	y, m, day := d.Date()
	if y < 0 || y > 9999 {
		return d.time().AppendFormat(b, "2006-01-02")
	}
	return append(appendMonth(b, y, int(m)), '-', byte('0'+day/10), byte('0'+day%10))
}

func appendMonth(b []byte, y, m int) []byte {
	return append(b, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-', byte('0'+m/10), byte('0'+m%10))
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
	to := Date(y, m+time.Month(n), 1) + Day(day) - 1
	if day <= daysLeast {
		return to
	}
	return min(to, Date(y, m+time.Month(n)+1, 1)-1)
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

// unquote reads a JSON text.
func unquote(b []byte) (s string, err error) {
	if n := len(b) - 1; n > 0 && b[0] == '"' && !bytes.ContainsRune(b, '\\') {
		return string(b[1:n]), nil
	}
	err = json.Unmarshal(b, &s)
	return s, err
}

// MarshalJSON writes the text in quotes.
func (d Day) MarshalJSON() ([]byte, error) {
	return append(d.append(append(make([]byte, 0, dateBytes), '"')), '"'), nil
}

// plainDay reads what most days are, a quoted text without escapes.
func plainDay(b []byte) (d Day, ok bool) {
	if len(b) != dateBytes || b[0] != '"' || b[dateBytes-1] != '"' {
		return 0, false
	}
	d, ok = readDay(b[1 : dateBytes-1])
	return d, ok && d >= DayMin && d <= DayMax && d != 0
}

// UnmarshalJSON reads what ParseDay takes, and "" as the absent day.
func (d *Day) UnmarshalJSON(b []byte) error {
	if v, ok := plainDay(b); ok {
		*d = v
		return nil
	}
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
	var buf [dateBytes]byte
	return string(m.append(buf[:0]))
}

// append writes String's text.
func (m Month) append(b []byte) []byte {
	if m == 0 {
		return b
	}
	if m < 0 || m >= 10_000*12 {
		return fmt.Appendf(b, "%04d-%02d", int(m)/12, int(m)%12+1)
	}
	return appendMonth(b, int(m)/12, int(m)%12+1)
}

// IsZero is true of the absent month.
func (m Month) IsZero() bool { return m == 0 }

// MarshalJSON writes the text in quotes.
func (m Month) MarshalJSON() ([]byte, error) {
	return append(m.append(append(make([]byte, 0, dateBytes), '"')), '"'), nil
}

// UnmarshalJSON reads what ParseMonth takes, and "" as the absent month.
func (m *Month) UnmarshalJSON(b []byte) error {
	if len(b) == len(`"2006-01"`) {
		if d, ok := plainDay(append(append(make([]byte, 0, dateBytes), b[:len(b)-1]...), `-01"`...)); ok {
			*m = d.Month()
			return nil
		}
	}
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
