package tabular

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// DateSystem says how a bare number in a date column counts days.
type DateSystem uint8

// Date systems. In text a bare number is no day count.
const (
	DatesText DateSystem = iota
	Dates1900            // Workbooks: 1 is 1900-01-01, and 60 is a day that never was.
	Dates1904            // Workbooks from old Macintosh programs: 0 is 1904-01-01.
)

// Date is a civil date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// Errors of values.
var (
	ErrNotADate   = errors.New("not a date")
	ErrNotANumber = errors.New("not a number")
)

var dayMarks = strings.NewReplacer("年", "-", "月", "-", "日", "")

const serialMax = 2_958_466 // 10000-01-01 in the 1900 system.

// ParseDate reads a date: 2018-01-18, 2018/1/18, 2018.1.18, 2018年1月18日, 20180118, each with a time behind it or not; in
// a workbook also its day number. layout, when not "", is the one text form allowed, as package time writes it.
// Forms whose order of day and month is anybody's guess are refused.
func ParseDate(s string, system DateSystem, layout string) (Date, error) {
	s = strings.TrimSpace(s)
	if layout != "" {
		if t, err := time.Parse(layout, s); err == nil {
			y, m, d := t.Date()
			return Date{y, m, d}, nil
		}
	}
	if system != DatesText {
		if v, err := ParseNumber(s); err == nil && v < serialMax {
			return serialDate(v, system)
		}
	}
	if layout != "" {
		return Date{}, ErrNotADate
	}
	return textDate(s)
}

func serialDate(v float64, system DateSystem) (Date, error) {
	base := time.Date(1899, time.December, 30, 0, 0, 0, 0, time.UTC)
	days := int(math.Floor(v))
	switch {
	case v < 0, system == Dates1900 && (days < 1 || days == 60):
		return Date{}, ErrNotADate
	case system == Dates1904:
		base = time.Date(1904, time.January, 1, 0, 0, 0, 0, time.UTC)
	case days < 60:
		days++
	}
	y, m, d := base.AddDate(0, 0, days).Date()
	if y > 9999 {
		return Date{}, ErrNotADate
	}
	return Date{y, m, d}, nil
}

func textDate(s string) (Date, error) {
	if len(s) > 64 {
		return Date{}, ErrNotADate
	}
	day, rest := s, ""
	if i := strings.IndexAny(s, "T "); i > 0 {
		day, rest = s[:i], s[i+1:]
	}
	if rest != "" && strings.Trim(rest, "0123456789:.+-Z ") != "" {
		return Date{}, ErrNotADate
	}
	var parts []string
	switch {
	case len(day) == 8 && strings.Trim(day, "0123456789") == "":
		parts = []string{day[:4], day[4:6], day[6:]}
	case strings.HasSuffix(day, "日"):
		parts = strings.Split(dayMarks.Replace(day), "-")
	default:
		for _, sep := range []string{"-", "/", "."} {
			if strings.Contains(day, sep) {
				parts = strings.Split(day, sep)
				break
			}
		}
	}
	if len(parts) != 3 || len(parts[0]) != 4 {
		return Date{}, ErrNotADate
	}
	var n [3]int
	for i, p := range parts {
		if p == "" || len(p) > 4 || i > 0 && len(p) > 2 || strings.Trim(p, "0123456789") != "" {
			return Date{}, ErrNotADate
		}
		n[i], _ = strconv.Atoi(p) // Digits only, at most four.
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
	if y, m, d := t.Date(); n[0] == 0 || y != n[0] || int(m) != n[1] || d != n[2] {
		return Date{}, ErrNotADate
	}
	return Date{n[0], time.Month(n[1]), n[2]}, nil
}

// ParseNumber reads a decimal number: digits, a point, an exponent. No separators of thousands (1,234 is 1234 in one
// country and 1.234 in another), no hexadecimal, infinities or NaN.
func ParseNumber(s string) (float64, error) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 64 || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, ErrNotANumber
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, ErrNotANumber
	}
	return v, nil
}

// ParseHundredths reads a decimal number of at most two places as hundredths, exactly: rents in fen, areas in 0.01 ㎡.
// Workbooks keep 0.1 as its nearest binary fraction and write 17 digits of it; digits past the 15th are rounded off.
func ParseHundredths(s string) (int64, error) {
	v, err := ParseNumber(s)
	if err != nil {
		return 0, err
	}
	if math.Abs(v) > 1e13 {
		return 0, errors.New("out of range")
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64) // FormatFloat's own output.
	whole, places, _ := strings.Cut(strconv.FormatFloat(v, 'f', -1, 64), ".")
	if len(places) > 2 {
		return 0, errors.New("more than two decimal places")
	}
	return strconv.ParseInt(whole+(places + "00")[:2], 10, 64)
}
