// Package wire serves the EventStoreDB gRPC protocol over any eventstore.Store, so that programs of other people, in any
// language that has an EventStoreDB client, read the register, and several of our own servers can share one log. It owns
// what that protocol promises and a Store does not: visible windows of streams, virtual streams, subscriptions, and
// persistent subscriptions. Its messages and stubs are those the official Go client exports. Only cmd imports it.
//
// # Decisions
//
// Everything is a fact in the log. Deleting a stream writes its metadata or a tombstone event; it only changes what a
// reader of that stream sees. Nothing of the log is ever lost, and $all shows everything.
//
// A position of the protocol is an event's Position. Reads of $all start at a position, subscriptions after it.
//
// The configuration, the checkpoints and the parked messages of persistent subscriptions are events in system streams,
// named as the real server names them: they survive a restart over any store, and an auditor can see who was told what.
// Replayed messages stay parked until they are acknowledged, so a crash loses none.
//
// $ce- and $et- streams are not written: they are read from an index that is built in memory when one is first asked
// for. Its size is bounded: beyond a million matches it keeps every second position, and so on.
//
// Metadata that has exactly the bytes of our own shape is kept as such; anything else is an event from outside, kept
// byte for byte. So our own servers write through this protocol what they would write into their own folder.
package wire
