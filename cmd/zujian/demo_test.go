package main

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
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

// TestTakenAddressIsSaidAtOnce: nobody waits for a demo city to be told that something else listens there.
func TestTakenAddressIsSaidAtOnce(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir, said := filepath.Join(t.TempDir(), "city"), &lockedBuffer{}
	code := run(t.Context(), []string{"serve", "--demo", "--homes", "10", "--data", dir, "--addr", l.Addr().String()}, &lockedBuffer{}, said)
	if code != 1 || !strings.Contains(said.String(), l.Addr().String()) {
		t.Errorf("exit %d, said %q", code, said.String())
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a city was begun: %v", err)
	}
}
