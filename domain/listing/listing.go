// Package listing owns one listing (房源): drafted, verified, published, and ended by a contract, a wish, time or a finding.
package listing
