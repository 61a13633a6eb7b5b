// Package esdb is the event log in an EventStoreDB, or in anything that speaks its protocol, through the official client.
// It owns what that client leaves open: calls that outlive their context, clients that die and stay dead, subscriptions
// that fall silent. Only cmd imports it.
//
// # Decisions
//
// Every call runs in a goroutine of its own, bounded by its context and by Options.Timeout. A client that fails as a
// connection fails is closed, once for all its callers, and the next one is made after a pause that grows, with jitter.
// What can be repeated is: reads go on behind the last event yielded, and an append is sent again as the very same batch,
// which the store recognises. After Options.Patience the caller gets eventstore.ErrUnavailable.
//
// Waiting does not poll: one subscription tells where the log ends. Since a subscription can fall silent without an
// error, the head is asked for now and then, and a subscription that knows less is replaced.
//
// Our own server (zujian store) gives each event's ordinal and hides nothing when asked. A real EventStoreDB knows no
// ordinals and keeps events of its own, of types with a "$", in the log: they are left out, and ordinals are counted, in
// memory, eight bytes an event. With Options.Prefix the log is the streams with that prefix, so that one EventStoreDB can
// hold several registers.
//
// Nothing is ever deleted through this package: deleting a stream would break the recognition of repeats.
package esdb
