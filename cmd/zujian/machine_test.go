package main

import "testing"

func TestMemoryOf(t *testing.T) {
	const info = "MemTotal:       24684084 kB\nMemFree:        14488132 kB\n"
	for _, c := range []struct {
		name, info, limit string
		want, block, row  int64
	}{
		{"a machine of 23.5 GiB", info, "max\n", 24684084 << 10, 24684084 << 10 / 32, 24684084 << 10 / 512},
		{"a container of 1 GiB on it", info, "1073741824\n", 1 << 30, 64 << 20, 16 << 20},
		{"a limit above it", info, "999999999999999\n", 24684084 << 10, 24684084 << 10 / 32, 24684084 << 10 / 512},
		{"a limit alone", "", "2147483648", 2 << 30, 64 << 20, 16 << 20},
		{"a large machine", "MemTotal: 268435456 kB\n", "", 256 << 30, 1 << 30, 64 << 20},
		{"nothing is said", "", "", 0, 64 << 20, 16 << 20},
		{"nonsense", "MemTotal: lots kB\nMemTotal: 1 kB\n", "-5", 0, 64 << 20, 16 << 20},
	} {
		got := memoryOf(c.info, c.limit)
		if o := viewCaches(got); got != c.want || o.BlockCache != c.block || o.RowCache != c.row {
			t.Errorf("%s: %d %+v, want %d, %d of tables, %d of rows", c.name, got, o, c.want, c.block, c.row)
		}
	}
}
