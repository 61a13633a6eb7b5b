package domain

import (
	"fmt"
	"slices"
	"time"
)

// Calendar is the working calendar (工作日历): statutory holidays and swapped working weekends, year by year, as the
// State Council announces them. A year that is not in the table has plain weekends.
type Calendar struct {
	Years []CalendarYear `json:"years"`
}

// CalendarYear is one announced year. Unconfirmed marks a forecast: it may only shift reminders, never refuse.
type CalendarYear struct {
	Year        int    `json:"year"`
	Source      string `json:"source"`
	Unconfirmed bool   `json:"unconfirmed,omitempty"`
	Holidays    []Day  `json:"holidays"` // Days off, weekends inside a holiday included.
	Workdays    []Day  `json:"workdays"` // Saturdays and Sundays worked instead (调休上班).
}

// workdaysMax bounds AddWorkdays: forty years. No deadline of the rule set comes near.
const workdaysMax = 10_000

// Validate refuses duplicate years and days outside their year.
func (c Calendar) Validate() error {
	seen := map[int]bool{}
	for _, y := range c.Years {
		if seen[y.Year] {
			return fmt.Errorf("calendar: year %d twice", y.Year)
		}
		seen[y.Year] = true
		for _, d := range slices.Concat(y.Holidays, y.Workdays) {
			if got, _, _ := d.Date(); got != y.Year {
				return fmt.Errorf("calendar: %s is not in %d", d, y.Year)
			}
		}
		for _, d := range y.Workdays {
			if w := d.Weekday(); w != time.Saturday && w != time.Sunday {
				return fmt.Errorf("calendar: swapped working day %s is no weekend", d)
			}
			if slices.Contains(y.Holidays, d) {
				return fmt.Errorf("calendar: %s is both a holiday and a working day", d)
			}
		}
	}
	return nil
}

// IsWorkday is true of a day on which offices and banks work.
func (c Calendar) IsWorkday(d Day) bool {
	year, _, _ := d.Date()
	w := d.Weekday()
	weekend := w == time.Saturday || w == time.Sunday
	for _, y := range c.Years {
		if y.Year == year {
			if weekend {
				return slices.Contains(y.Workdays, d)
			}
			return !slices.Contains(y.Holidays, d)
		}
	}
	return !weekend
}

// AddWorkdays is the n-th working day after d, d itself not counted (民法典第二百零一条); before d for n < 0. For n = 0
// it is d. n is cut to ±10,000.
func (c Calendar) AddWorkdays(d Day, n int) Day {
	n = min(max(n, -workdaysMax), workdaysMax)
	step := Day(1)
	if n < 0 {
		step, n = -1, -n
	}
	for n > 0 {
		d += step
		if c.IsWorkday(d) {
			n--
		}
	}
	return d
}

// Deadline is the last day of a term of n calendar days from d: the first day is not counted, and a last day that is
// no working day moves to the next one (民法典第二百零一条、第二百零三条).
func (c Calendar) Deadline(d Day, n int) Day {
	last := d.AddDays(min(max(n, 0), 100_000))
	if c.IsWorkday(last) {
		return last
	}
	return c.AddWorkdays(last, 1)
}
