// Package api is the HTTP interface of the register: it decodes strictly, finds out who asks, lets in who may, and hands
// typed requests to the desk or questions to the views. It owns the contract (openapi.yaml), the problem catalogue
// (problems.json) and the pages in api/web; it decides nothing about leases, homes or money. Only cmd/zujian imports it.
//
// # Decisions
//
// openapi.yaml is read at start and the router is built from it: paths, roles (x-roles), money (x-money), views to
// wait for (x-views) and body schemas, compiled once. So the contract can't drift from the routes; New fails when an
// operation has no handler or a handler no operation.
//
// oapi-codegen gives the models only, not its strict echo server. That one decodes with encoding/json, which takes
// duplicate and differently cased names, before any schema is asked; wants a response type for each status of each
// operation, each repeating ETag and Zujian-Position; and can't replay a stored answer or stream a batch without going
// round it. The price is one map of handlers, and with[B] to decode.
//
// A body is read three times: by strictJSON, which knows what JSON must be; by its schema, which knows the fields; and
// by encoding/json into the model, which can't fail any more. At 10 µs that is less than one append costs.
//
// Of the answers under an Idempotency-Key only successes are kept. A refusal writes nothing and is decided again on a
// repeat, because what it missed may have come in the meantime; but the key stays bound to its request, since a part of
// it may have been written under the command id that the two give. The answer that holds a new API key is not kept
// at all. When the answer is no longer kept, another request under its key is another command: it is not taken for a
// repeat of the first, which would acknowledge what is never written.
//
// Idempotency-Key is required where money moves and optional elsewhere: a client that does not repeat needs none.
//
// Limits count by key, and by address for callers without one. X-Forwarded-For is not believed.
package api
