package embedded

import (
	"strings"

	"zujian/eventstore"
)

// heads remembers the last revision of the streams written most recently, in two generations: when the young one is
// full it becomes the old one and the old one is dropped. Only the leader uses it.
type heads struct {
	young, old map[string]eventstore.Revision
	max        int // Streams in a generation. A group touches no more streams than that.

	rotated bool                // The generations moved on during the group being made.
	frozen  eventstore.Position // The old generation knows nothing written after this.
	dropped eventstore.Position // The index must have come this far before a stream not found here is looked up there.
}

func newHeads(streams int) *heads {
	return &heads{max: max(streams/2, eventstore.PartsMax), young: map[string]eventstore.Revision{}}
}

func (h *heads) get(stream string) (eventstore.Revision, bool) {
	rev, ok := h.young[stream]
	if !ok {
		rev, ok = h.old[stream]
	}
	return rev, ok
}

func (h *heads) put(stream string, rev eventstore.Revision) {
	if _, ok := h.young[stream]; ok {
		h.young[stream] = rev
		return
	}
	if len(h.young) >= h.max {
		h.dropped = h.frozen
		h.old, h.young = h.young, make(map[string]eventstore.Revision, h.max/4)
		h.rotated = true
	}
	h.young[strings.Clone(stream)] = rev
}

// written is called after each group with the log's new end.
func (h *heads) written(end eventstore.Position) {
	if h.rotated {
		h.frozen, h.rotated = end, false
	}
}
