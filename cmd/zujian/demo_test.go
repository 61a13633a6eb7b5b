package main

import (
	"testing"
	"time"
)

// TestDemoRecordsNothingAhead holds the demo city's last day to the clock at every hour of one.
func TestDemoRecordsNothingAhead(t *testing.T) {
	for hour := range 48 {
		now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).Add(time.Duration(hour) * time.Hour)
		nine := demoToday(now).Start().Add(9 * time.Hour) // Its commands come from then on, seconds apart.
		if now.Sub(nine) < 15*time.Minute || now.Sub(nine) > 25*time.Hour {
			t.Errorf("at %s the city's last day begins to work at %s", now, nine)
		}
	}
}
