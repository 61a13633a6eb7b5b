// Package numbering owns the serial numbers of one kind, district and month: each is issued at most once, in blocks.
package numbering
