package wallclock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Slept is how long the machine has slept since it was started: the clock with that time less the one without.
func Slept() time.Duration {
	var with, without unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &without) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &with) != nil {
		return 0
	}
	return time.Duration(with.Nano() - without.Nano())
}
