// Package escrow decides the money of one lease contract under fund supervision (资金监管): what the tenant is to pay,
// what arrived, when it is passed on, what goes back, and the deposit until it is settled. It keeps double-entry
// accounts in fen. It does not decide the contract (package contract), nor the bank's day (package statement).
//
// # Accounts
//
// "bank:<bank>:cash" is the only asset. Everything else is owed: "escrow:<contract>:unclassified|rent|deposit|other|
// disputed|awarded" is held, "payable:owner|operator|lessor|tenant:<contract>" is on its way out, "suspense:<bank>"
// came too late. No balance is ever negative.
//
// # Decisions
//
//   - A collection is what one pay cycle brings. Money fills the deposit first, then the months in order; what is more
//     than the collections open on its value date is OTHER and can be refunded. A collection opens 31 days before it is
//     due, the first at once.
//   - Rent gets tranches as it arrives, so at every prefix Σ tranches = captured rent, partial payments included.
//   - A month's rent is passed on at the month's beginning. An early end may therefore owe the tenant more than is still
//     held: the rest is recorded as the lessor's debt (shortfall), never taken from the deposit.
//   - A freeze needs an order number and one hand, because it only stops money; lifting it needs another hand.
//   - The lessor's silence after the lessee's claim gives the lessee the deposit; the lessee's silence gives nobody
//     anything: that goes to mediation.
//   - An amended rent counts from the first month of the lease that begins on or after its day. Months already paid never
//     become cheaper by an amendment: money only leaves by a release or an approved refund.
//   - A bank may date a movement up to 31 days ahead (holidays); releases look at the server's day alone.
//   - One bank transaction booked to two contracts is seen by the day's statement (DUPLICATE), not here.
package escrow
