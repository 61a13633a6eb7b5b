package faults

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Clock is the clock of a machine whose wall clock somebody sets: its monotonic reading goes on.
type Clock struct {
	From   func() time.Time // time.Now if nil.
	ahead  atomic.Int64
	passed atomic.Int64
}

// Now is the time that the machine tells.
func (c *Clock) Now() time.Time {
	from := c.From
	if from == nil {
		from = time.Now
	}
	d := time.Duration(c.ahead.Load())
	set := from().Add(time.Duration(c.passed.Load()) + d) // Moves both readings; the monotonic one goes back where it was.
	(*struct {
		wall uint64
		mono int64
		loc  *time.Location
	})(unsafe.Pointer(&set)).mono -= int64(d)
	return set
}

// Set sets the wall clock ahead of what it was made of, or behind it.
func (c *Clock) Set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

// Pass lets so much time pass, by both readings.
func (c *Clock) Pass(d time.Duration) { c.passed.Add(int64(d)) }
