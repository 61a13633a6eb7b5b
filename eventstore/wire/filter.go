package wire

import (
	"regexp"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"zujian/eventstore"
)

const (
	windowDefault   = 32        // Events between two checks when the caller sets no window.
	patternMax      = 4096      // Bytes of a regular expression.
	prefixesMax     = 1024      // Of one filter.
	checkpointEvery = 1_000_000 // Events, at most, from one checkpoint of a filtered subscription to the next.
)

// filter chooses events by stream or type, by prefix or regular expression (RE2: linear time whatever the caller asks).
type filter struct {
	byType   bool
	pattern  *regexp.Regexp
	prefixes []string
	every    uint64 // Events read between two checkpoints.

	spec filterSpec
}

// filterSpec is a filter as it is kept.
type filterSpec struct {
	ByType   bool     `json:"by_type,omitempty"`
	Pattern  string   `json:"pattern,omitempty"`
	Prefixes []string `json:"prefixes,omitempty"`
	Every    uint64   `json:"every,omitempty"`
}

func newFilter(spec filterSpec) (*filter, error) {
	f := &filter{byType: spec.ByType, prefixes: spec.Prefixes, every: spec.Every, spec: spec}
	if spec.Pattern == "" {
		return f, nil
	}
	var err error
	if f.pattern, err = regexp.Compile(spec.Pattern); err != nil {
		return nil, invalid("'%.200s' is not a valid regular expression (RE2): %v", spec.Pattern, err)
	}
	return f, nil
}

// expression and filterOptions are what the two services' own types for the same thing have in common.
type expression interface {
	GetRegex() string
	GetPrefix() []string
}

type filterOptions[E expression] interface {
	comparable
	GetStreamIdentifier() E
	GetEventType() E
	GetMax() uint32
	GetCount() *shared.Empty
	GetCheckpointIntervalMultiplier() uint32
}

// parseFilter checks a filter of either service. checkpoints says that the multiplier is used, so it must not be 0.
func parseFilter[E interface {
	expression
	comparable
}, O filterOptions[E]](o O, checkpoints bool) (*filter, error) {
	var none E
	spec := filterSpec{ByType: o.GetEventType() != none}
	e := o.GetStreamIdentifier()
	if spec.ByType {
		e = o.GetEventType()
	}
	if e == none {
		return nil, requiredArgument("filter")
	}
	spec.Pattern, spec.Prefixes = e.GetRegex(), e.GetPrefix()
	if spec.Pattern != "" { // It wins.
		spec.Prefixes = nil
	}
	if len(spec.Pattern) > patternMax || len(spec.Prefixes) > prefixesMax {
		return nil, invalid("a filter has at most %d bytes of regular expression or %d prefixes", patternMax, prefixesMax)
	}
	window := uint64(windowDefault)
	switch {
	case o.GetCount() != nil:
	case o.GetMax() > 0:
		window = uint64(o.GetMax())
	case checkpoints:
		return nil, invalid("the filter's window must be a count or more than 0")
	}
	if checkpoints && o.GetCheckpointIntervalMultiplier() == 0 {
		return nil, invalid("'0' is not a valid checkpoint interval multiplier")
	}
	spec.Every = min(max(window*uint64(o.GetCheckpointIntervalMultiplier()), 1), checkpointEvery)
	return newFilter(spec)
}

func (f *filter) match(r *eventstore.Recorded) bool {
	text := r.Stream
	if f.byType {
		text = r.Type
	}
	if f.pattern != nil {
		return f.pattern.MatchString(text)
	}
	for _, p := range f.prefixes {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}
