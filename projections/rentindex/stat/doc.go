// Package stat is the arithmetic of rent indices (租金指数): exact sufficient statistics of observations, and the
// models solved from them. It knows columns and numbers only; what an observation is, who may see a figure and where
// a cell is kept is its callers' business. It imports nothing of this module.
//
// # Words
//
//   - observation: one log rent with its characteristics, every number already on the 2⁻³² grid ([Quantise])
//   - cell: the sums of any number of observations ([Cell]); one per area, population and month is the usual cut
//   - term: one column of the design: a level of a factor ("bed=2", a 0/1 dummy) or a numeric regressor ("age")
//   - fit: a model solved from the cells of several periods ([TimeDummy])
//
// # Decisions
//
// Sums are integers: a count is an int64, a sum or sum of products a 192-bit integer ([Wide]). Integer addition is
// associative and commutative, so any order, batching, sharding or later removal of observations gives the same bits,
// and [Cell.Encode] writes equal content as equal bytes. A float appears twice only: when a logarithm is put on the
// grid, and in the final solve.
//
// What is the same on every machine: [Log], [Exp] and the solve use IEEE 754 double additions, multiplications,
// divisions and square roots alone, each product converted with float64(a*b) so that no compiler may fuse it with an
// addition (Go specification, "Floating-point operators"), and every loop has one order. math.Log is not used: it is
// assembler on some processors and fused on others, and differs there in its last bit, which is enough to move one
// value in some hundred thousand to the next grid point. So cells, their hashes and fitted figures agree bit for bit
// between architectures and compiler versions.
//
// Every level of a factor is kept, the base too: which level is the base depends on what is merged, and is chosen by
// the solve. A cell may hold more terms than a model uses; the solve takes those of its [Design].
//
// Centred products are formed as integers before they become floats (n·Σxy − Σx·Σy): no cancellation, and a column
// that does not vary within any period has a pivot of exactly zero.
//
// All methods read sums alone. A rolling window ([Rolling]) is the pooled model over fewer periods, a double imputation
// ([DoubleImputation]) that of each period by itself; repeat rents ([RepeatRent]) read counts and sums of pairs, and
// medians ([StratifiedMedian]) exact multisets. A spliced or imputed figure is linear in the rents, with weights that are
// linear in the characteristics within a period: its standard error follows exactly from the same cells.
//
// What cannot be estimated is absent and named (a level a month lacks, a period no chain of pairs leads to), never NaN.
package stat
