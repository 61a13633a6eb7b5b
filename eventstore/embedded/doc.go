// Package embedded is the default event log: append-only segment files with an index beside them, in one folder of
// one process. It owns the files; it knows nothing of the domain. The segments are the only truth. The index
// (Pebble, in the folder "index") is a function of them and may be deleted whenever the store is closed.
//
// # Format
//
// A log is a run of segments named by the position of their first byte. A segment is a header, then groups, then
// zeroes. A group is what one sync made durable: a header and one frame for each event. A position is an offset in the
// log; an event's Position is the offset of the end of its frame, so reading after a position is a seek.
// Every checksum (CRC-32C) starts from the log's own id, so that nothing of another log, and nothing inside an event's
// data, can pass for a group or a frame; it covers the position, so nothing stale can fit either.
//
// Each frame carries a salt and the commitment to the event that package leaf defines, so that the verifiable register
// over the events is a function of this log.
//
// # Decisions
//
// Commit: one leader takes all that is queued, without a timer, and writes it as one group with one fdatasync. The
// first caller leads when nobody does, so a lone writer pays for no hand-over; under load a goroutine leads.
//
// The index follows behind the durable position. Who reads a stream waits for it only where the stream's own frames may
// not be in it yet: what was written lately is in memory. A revision is checked against the heads of recent streams in
// memory, then against the index, once it has come as far as the memory goes back. A stream's head in the index says where its
// first frames start, so that one look-up gives all of a short stream, and its events need no rows of their own.
//
// A failed write or sync is fatal: nothing is acknowledged afterwards, since what reached the disk is unknown. A
// segment that cannot be made ready (disk full) is not: nothing was written, and the append may be tried again.
//
// Recovery: at most one group was ever written and not yet synced. A bad group with nothing valid behind it is that
// one, torn: it is cut, and what is behind it is zeroed and synced before anything else is written. A bad group with a
// later group that says "synced before me" stops the open with the position. A flip inside the very last group looks
// like a tear unless the index has seen the group; otherwise only an outside witness can tell.
//
// Events of a mapped segment share its memory: what is durable is never written again, and fresh memory for a copy costs
// more than everything else about reading an event. So what was lent stays mapped after Close. Segments below 16 MiB are
// copied from, as are those that can't be mapped: tests and tools open and close many.
//
// The first segment is small and each next one four times larger up to SegmentBytes, so that a fresh folder costs
// little to zero.
package embedded
