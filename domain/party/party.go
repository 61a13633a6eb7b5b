// Package party owns one party (当事人): who it is, how surely that is known, and what it may do for whom.
package party
