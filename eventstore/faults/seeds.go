package faults

// Regression are seeds that once found something, or came near it; tests run each of them beside a new one. Add one with
// the fault it found. They are never removed.
var Regression = []uint64{
	1,                   // A table of the index that can't be written kept Close waiting for ever (Errors, write for ever).
	3,                   // Power lost in the middle of a second recovery.
	11,                  // A first open killed before it synced the folder's parent: the next one never did (PowerLoss).
	1795614593436715165, // A segment started and its first group never written.
}
