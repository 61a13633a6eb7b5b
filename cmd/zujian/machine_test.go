package main

import "testing"

func TestMemoryOf(t *testing.T) {
	const info = "MemTotal:       24684084 kB\nMemFree:        14488132 kB\n"
	for _, c := range []struct {
		name, info, limit string
		want, block, row  int64
		mem               uint64
		batch             int
		ballast           int64
	}{
		{"a machine of 23.5 GiB", info, "max\n", 24684084 << 10, 24684084 << 10 / 32, 24684084 << 10 / 512, 128 << 20, 32 << 10, 24684084 << 10 / 64},
		{"a container of 1 GiB on it", info, "1073741824\n", 1 << 30, 64 << 20, 16 << 20, 32 << 20, 8 << 10, 16 << 20},
		{"a limit above it", info, "999999999999999\n", 24684084 << 10, 24684084 << 10 / 32, 24684084 << 10 / 512, 128 << 20, 32 << 10, 24684084 << 10 / 64},
		{"a limit alone", "", "2147483648", 2 << 30, 64 << 20, 16 << 20, 32 << 20, 8 << 10, 32 << 20},
		{"a large machine", "MemTotal: 268435456 kB\n", "", 256 << 30, 1 << 30, 64 << 20, 128 << 20, 32 << 10, 512 << 20},
		{"a machine of 8 GiB", "MemTotal: 8388608 kB\n", "", 8 << 30, 256 << 20, 16 << 20, 64 << 20, 16 << 10, 128 << 20},
		{"nothing is said", "", "", 0, 64 << 20, 16 << 20, 32 << 20, 8 << 10, 0},
		{"nonsense", "MemTotal: lots kB\nMemTotal: 1 kB\n", "-5", 0, 64 << 20, 16 << 20, 32 << 20, 8 << 10, 0},
	} {
		got := memoryOf(c.info, c.limit)
		if b := ballastOf(got); b != c.ballast {
			t.Errorf("%s: ballast of %d, want %d", c.name, b, c.ballast)
		}
		if o := viewCaches(got); got != c.want || o.BlockCache != c.block || o.RowCache != c.row || o.MemTable != c.mem || batchOf(got) != c.batch {
			t.Errorf("%s: %d %+v, batches of %d, want %d, %d of tables, %d of rows, %d of writes, %d", c.name, got, o, batchOf(got), c.want, c.block, c.row, c.mem, c.batch)
		}
	}
}
