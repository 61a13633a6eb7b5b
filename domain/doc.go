// Package domain is the kernel every aggregate shares: requests, deciders, typed events, rejections, money, days,
// check digits, and the rules engine. It is pure: standard library only, and of that no clock, randomness, network,
// file or lock. Aggregates live in domain/<aggregate> and import this package alone, never a sibling.
//
// # Words
//
//   - party 当事人: a person, organisation or sole trader; lessor 出租人, lessee 承租人, occupant 实际居住人
//   - unit 户(套), room 间, building 幢, estate 楼盘; the building register is the 楼盘表
//   - listing 房源, verification 房源核验, verification code 核验码
//   - contract 租赁合同; HEAD 收房合同, OUT 出房合同; filing 备案, filing number 备案号
//   - escrow 资金监管; release schedule 划转计划; deposit 押金
//   - rule set 监管规则集; fact date 事实发生日; reporting unit 统计单元
//
// # Decisions
//
// Shared numbers are int64: money in fen (分), area in hundredths of a square metre, ratios in basis points. A civil
// date is a [Day] in Asia/Shanghai, an instant a UTC time in whole microseconds.
package domain
