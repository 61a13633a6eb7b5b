// Package faults breaks an event log on purpose and says whether it kept its word: power loss at any operation of the
// disk, an error of every k-th operation, and histories of concurrent appends and reads checked for linearizability.
// The adapters' tests, the product's tests and `zujian soak` run the same code with other seeds and lengths. It knows
// the port and a log's file system, no adapter and nothing of the domain.
//
// # Decisions
//
// A fault is placed by counting operations, not by waiting: a seed names the operation at which the power fails, so
// that opening, recovering, rolling a segment and rebuilding the index are hit as surely as appending. Goroutines of
// the log still interleave as they like, so a seed replays the schedule of faults and data, not every interleaving.
//
// A check returns an error that starts with what was found in capitals (LOST, PHANTOM, GAP, CHANGED), so that a test
// of the tests can ask by what a broken log was found out.
package faults
