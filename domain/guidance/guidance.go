// Package guidance decides the guidance prices (租金指导价格) of a period: proposed by one person, approved by another,
// published as numbered versions that never change. How the prices are computed is projections/guidance's business.
package guidance
