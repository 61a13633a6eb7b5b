package eventstore

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// Check tells what is wrong with an append before anything is written: ErrInvalid, naming the field and the rule.
// Every store calls it first, so that all refuse the same appends.
func Check(stream string, expected Revision, events []NewEvent) error {
	_, err := check(stream, expected, events)
	return err
}

// check gives the bytes of the events, too, as limits count them.
func check(stream string, expected Revision, events []NewEvent) (total int, err error) {
	if rule := badName(stream, StreamBytesMax); rule != "" {
		return 0, fmt.Errorf("%w: stream name %s", ErrInvalid, rule)
	}
	if expected < AnyRevision {
		return 0, fmt.Errorf("%w: expected revision %d is below %d", ErrInvalid, expected, AnyRevision)
	}
	if eventsMax := appendMax(events); len(events) == 0 || len(events) > eventsMax {
		return 0, fmt.Errorf("%w: %d events, not 1 to %d", ErrInvalid, len(events), eventsMax)
	}
	for i := range events {
		bytes, err := checkEvent(&events[i])
		if err != nil {
			return 0, fmt.Errorf("%w: event %d: %w", ErrInvalid, i, err)
		}
		total += bytes
	}
	if total > AppendBytesMax {
		return 0, fmt.Errorf("%w: %d bytes of events, more than %d", ErrInvalid, total, AppendBytesMax)
	}
	return total, nil
}

// CheckParts tells what is wrong with an append in parts. All events count towards the limits of one append.
func CheckParts(parts []Part) error {
	if len(parts) == 0 || len(parts) > PartsMax {
		return fmt.Errorf("%w: %d parts, not 1 to %d", ErrInvalid, len(parts), PartsMax)
	}
	events, bytes := 0, 0
	for i, p := range parts {
		if p.Expected == AnyRevision {
			return fmt.Errorf("%w: part %d expects any revision", ErrInvalid, i)
		}
		n, err := check(p.Stream, p.Expected, p.Events)
		if err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
		events, bytes = events+len(p.Events), bytes+n
	}
	if events > AppendMax || bytes > AppendBytesMax {
		return fmt.Errorf("%w: %d events of %d bytes in all parts, more than %d or %d", ErrInvalid, events, bytes, AppendMax, AppendBytesMax)
	}
	return nil
}

func appendMax(events []NewEvent) int {
	if len(events) <= AppendMax || slices.ContainsFunc(events, func(e NewEvent) bool { return !e.Meta.Outside }) {
		return AppendMax
	}
	return OutsideMax
}

// Normal gives the event as every store returns it: decision time in UTC and whole microseconds.
func (e NewEvent) Normal() NewEvent {
	e.Meta.At = e.Meta.At.UTC().Truncate(time.Microsecond).Round(0)
	return e
}

func checkEvent(e *NewEvent) (bytes int, err error) {
	if e.ID == ([16]byte{}) {
		return 0, fmt.Errorf("id is zero")
	}
	if rule := badName(e.Type, TypeBytesMax); rule != "" {
		return 0, fmt.Errorf("type %s", rule)
	}
	m := &e.Meta
	if rest := (Metadata{Outside: m.Outside, Raw: m.Raw}); m.Outside && *m != rest {
		return 0, fmt.Errorf("metadata of an event from outside holds more than its own bytes")
	}
	if !m.Outside && (m.Raw != "" || e.Binary) {
		return 0, fmt.Errorf("raw metadata or binary data of an event that is not from outside")
	}
	bytes = len(e.Data) + len(m.Raw)
	for _, t := range [...]struct{ name, text string }{
		{"actor", m.Actor},
		{"role", m.Role},
		{"command", m.Command},
		{"causation", m.Causation},
		{"correlation", m.Correlation},
	} {
		if len(t.text) > MetaBytesMax || !utf8.ValidString(t.text) {
			return 0, fmt.Errorf("metadata %s is not UTF-8 of at most %d bytes", t.name, MetaBytesMax)
		}
		bytes += len(t.text)
	}
	if bytes > EventBytesMax {
		return 0, fmt.Errorf("%d bytes, more than %d", bytes, EventBytesMax)
	}
	if m.Schema < 0 || m.Schema > math.MaxInt32 || m.Policy < 0 || m.Policy > math.MaxInt32 {
		return 0, fmt.Errorf("metadata schema %d or policy %d is not 0 to %d", m.Schema, m.Policy, math.MaxInt32)
	}
	if !m.Salt.known() {
		return 0, fmt.Errorf("metadata salt: unknown suite 0x%02x", m.Salt[0])
	}
	if y := m.At.UTC().Year(); y < 0 || y > 9999 {
		return 0, fmt.Errorf("metadata at: year %d is not 0 to 9999", y)
	}
	return bytes, nil
}

// badName names the broken rule of a stream or type name, or nothing.
func badName(s string, bytesMax int) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > bytesMax:
		return fmt.Sprintf("has %d bytes, more than %d", len(s), bytesMax)
	case printable(s): // As nearly every one is.
		return ""
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "holds a control character"
		}
	}
	return ""
}

// printable tells that s is nothing but ASCII that can be seen, and spaces.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
