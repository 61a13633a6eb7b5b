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
//   - Rules decided by code have no entry: S-02 and S-03 (check digits), U-10 (double let: the unit's stream), L-02, L-03,
//     L-05 and L-12 to L-14 (listing and its processes), M-06 and M-09. C-01 and C-18 can't be violated here, nor C-17: the
//     last signature under an amendment files it. C-20 and M-10 are entered for their parameters and texts: contract and
//     escrow decide them, so nobody judges them; so does S-09's n for the event by which the party learns that it has to
//     register. C-13, M-07 and M-14, of the same stage PERIODIC, are judged by account and the view of money.
//   - P-02 and P-03 are entered for their parameters: the view of guidance prices sorts rents and cells by them, and nobody
//     judges them one by one. P-04 waits for subsidy standards. P-05 and P-06 are this register's own.
//   - M-07 states no amount: an authority sets each account's. S-15 counts accounts in force, of which package account lets
//     an operator have one. M-07b is what M-07 does to new contracts.
//   - These need facts that nobody gives yet: S-10 (the place of business registered elsewhere), S-12 (the law names no
//     figure of its own), U-04 (complaints), L-04 (what channels show), C-24 (a public
//     service that asks), M-08 (a bank's own day book), M-12 and M-13 (receipts outside the account).
//   - A new rule may use any code of the shipped rules, or rule.violated, so that every refusal has its texts.
package ruleset
