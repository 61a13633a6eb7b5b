// Package ruleset owns the rule set (监管规则集): the shipped rules of law as data (rules.json), the facts they may read
// (facts.json), the working calendar (calendar.json), and the aggregate by which regulators change it. The engine that
// judges is in package domain; which facts exist is documented by the aggregates that give them.
//
// # Decisions
//
//   - A change is a whole new rule version, proposed by one regulator and approved by another. It may not reach back
//     before the day it is decided, so no judged fact is ever judged otherwise later.
//   - The policy in force is the shipped rules plus approved changes in the order of approval; its version is 1 plus
//     their number. A version of a rule ends where the next begins, so nothing is deleted.
//   - A rule with two consequences is two rules that share a number: U-08 (grade D, refused) and U-08b (grade C, held).
//   - Rules decided by code have no entry: S-02 and S-03 (check digits), S-07 (one brokerage: the practitioner's own
//     stream), U-10 (double let: the unit's stream), L-02, L-03, L-05 and L-12 to L-14 (listing and its processes), M-06
//     and M-09. C-01 and C-18 can't be violated here. S-04, S-10 to S-12, S-15, U-04, L-04, L-10, C-13, C-17, C-24, M-07,
//     M-08 and M-12 to M-14 need facts that nobody gives yet. C-20 and M-10 are entered for their parameters and texts:
//     contract and escrow decide them, so they are of stage PERIODIC, which nobody judges.
//   - A new rule may use any code of the shipped rules, or rule.violated, so that every refusal has its texts.
package ruleset
