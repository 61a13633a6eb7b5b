// Package unit owns one flat (户): its description, rooms, owners and rights, and above all who holds which of its
// rooms on which days. Two contracts can never hold the same space on the same day (一房一约).
package unit
