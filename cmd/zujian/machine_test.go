package main

import (
	"testing"
	"testing/fstest"
)

// machineOf is the root of a machine of version 2 with this memory and this limit of its container's.
func machineOf(info, limit string) fstest.MapFS {
	return fstest.MapFS{
		"proc/meminfo": {Data: []byte(info)}, "proc/self/cgroup": {Data: []byte("0::/\n")}, "sys/fs/cgroup/memory.max": {Data: []byte(limit)},
	}
}

// TestControlGroups reads the limit of a process's control groups as both versions of them say it.
func TestControlGroups(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name, groups string
		limits       map[string]string
		want         int64
	}{
		{"no groups", "", nil, 16 * gib},
		{"version 2, a service", "0::/system.slice/zujian.service\n", map[string]string{"system.slice/zujian.service/memory.max": "2147483648\n", "system.slice/memory.max": "max\n"}, 2 * gib},
		{"version 2, a service in a tighter slice", "0::/a/b\n", map[string]string{"a/b/memory.max": "4294967296\n", "a/memory.max": "1073741824\n"}, gib},
		{"version 2, a container's own root", "0::/\n", map[string]string{"memory.max": "3221225472\n"}, 3 * gib},
		{"version 1, a container that sees its own group", "12:pids:/docker/1\n5:cpu,memory:/docker/1\n", map[string]string{"memory/memory.limit_in_bytes": "1073741824\n"}, gib},
		{"version 1, a group of the machine", "5:memory:/docker/1\n", map[string]string{"memory/docker/1/memory.limit_in_bytes": "2147483648\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2 * gib},
		{"version 1, unlimited", "5:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16 * gib},
		{"both, memory in version 1", "5:memory:/x\n0::/y\n", map[string]string{"memory/x/memory.limit_in_bytes": "1073741824", "y/memory.max": "max"}, gib},
		{"a group that only sounds like it", "5:memory2:/\n", map[string]string{"memory/memory.limit_in_bytes": "1\n"}, 16 * gib},
		{"nonsense", "memory\n::\n5:memory:../../..\n0::\n", map[string]string{"memory/memory.limit_in_bytes": "-1", "memory.max": "lots"}, 16 * gib},
	} {
		root := fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal: 16777216 kB\n")}, "proc/self/cgroup": {Data: []byte(c.groups)}}
		for name, limit := range c.limits {
			root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(limit)}
		}
		if got := memoryIn(root); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestMemory(t *testing.T) {
	const info = "MemTotal:       24684084 kB\nMemFree:        14488132 kB\n"
	for _, c := range []struct {
		name, info, limit string
		want, block, row  int64
		mem               uint64
		batch             int
		ballast           int64
	}{
		{"a machine of 23.5 GiB", info, "max\n", 24684084 << 10, 24684084 << 10 / 32, 24684084 << 10 / 8, 128 << 20, 32 << 10, 24684084 << 10 / 128},
		{"a container of 1 GiB on it", info, "1073741824\n", 1 << 30, 64 << 20, 128 << 20, 32 << 20, 8 << 10, 8 << 20},
		{"a limit above it", info, "999999999999999\n", 24684084 << 10, 24684084 << 10 / 32, 24684084 << 10 / 8, 128 << 20, 32 << 10, 24684084 << 10 / 128},
		{"a limit alone", "", "2147483648", 2 << 30, 64 << 20, 256 << 20, 32 << 20, 8 << 10, 16 << 20},
		{"a large machine", "MemTotal: 268435456 kB\n", "", 256 << 30, 1 << 30, 4 << 30, 128 << 20, 32 << 10, 512 << 20},
		{"a machine of 8 GiB", "MemTotal: 8388608 kB\n", "", 8 << 30, 256 << 20, 1 << 30, 64 << 20, 16 << 10, 64 << 20},
		{"an unlimited group alone", "", "9223372036854771712\n", 0, 64 << 20, 32 << 20, 32 << 20, 8 << 10, 0},
		{"nothing is said", "", "", 0, 64 << 20, 32 << 20, 32 << 20, 8 << 10, 0},
		{"nonsense", "MemTotal: lots kB\nMemTotal: 1 kB\n", "-5", 0, 64 << 20, 32 << 20, 32 << 20, 8 << 10, 0},
	} {
		got := memoryIn(machineOf(c.info, c.limit))
		if b := ballastOf(got); b != c.ballast {
			t.Errorf("%s: ballast of %d, want %d", c.name, b, c.ballast)
		}
		if o := viewCaches(got); got != c.want || o.BlockCache != c.block || o.RowRoom != c.row || o.MemTable != c.mem || batchOf(got) != c.batch {
			t.Errorf("%s: %d %+v, batches of %d, want %d, %d of tables, %d of rows, %d of writes, %d", c.name, got, o, batchOf(got), c.want, c.block, c.row, c.mem, c.batch)
		}
	}
}
