// Package claim owns the uniqueness of one value (唯一性占用): one stream for each value, named "claim-<kind>.<value>". Whoever
// made the claim holds the value until the holder gives it back.
package claim
