// Package building owns one building's register (楼盘表): which units stand in it on which day.
package building
