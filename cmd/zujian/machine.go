package main

import (
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"zujian/eventstore/folder"
	"zujian/projections/pebbleviews"
)

// cores is how many processors the process may use: the machine's, or what its control group or GOMAXPROCS says.
var cores = runtime.GOMAXPROCS(0)

// runAtOnce is how many goroutines run at a time: as many as there are processors, and one more where a thread waits for each
// sync of the log or the keys, a quarter of a millisecond that is too short for Go's scheduler to notice. GOMAXPROCS in the
// environment wins.
func runAtOnce() int {
	if folder.SyncsApart() {
		return cores
	}
	return cores + 1
}

// Shares of the machine's memory that the view store may use for what was read lately. What does not fit is read from the
// disk's tables again: with a million events and 64 MiB that was a third of the work of building views. A machine that does
// not say how much it has gets the least.
const (
	blockShare = 32 // One part in so many: tables.
	blockLeast = 64 << 20
	blockMost  = 1 << 30
	rowShare   = 8 // One part in so many: rows of the views that are built, of all of them together.
	rowLeast   = 32 << 20
	rowMost    = 4 << 30
	memShare   = 128 // One part in so many: what was written last, up to four times.
	memLeast   = 32 << 20
	memMost    = 128 << 20
)

// Events that are folded into the views at once while they catch up: what many of them touch is written once. An event is
// some KB in memory, and three batches are there at a time.
const (
	batchShare = 512 << 10 // Bytes of the machine's memory for each.
	batchLeast = 8 << 10
	batchMost  = 32 << 10
)

// viewBatch fits that number to this machine.
func viewBatch() int { return batchOf(machineMemory()) }

func batchOf(memory int64) int { return int(min(max(memory/batchShare, batchLeast), batchMost)) }

// Room that counts as living when garbage is weighed: three times as much may gather before it is looked at, a 40th of the
// machine's memory. With more, collections are fewer, but more of what is written goes to memory that no cache and no page
// table knows: twice as much took 8 % of the filings. A machine that does not say how much it has gets none.
const (
	ballastShare = 128 // One part in so many.
	ballastMost  = 512 << 20
)

func ballastOf(memory int64) int64 { return min(memory/ballastShare, ballastMost) }

// viewOptions fit the view store to this machine.
func viewOptions(g *globals) pebbleviews.Options {
	o := viewCaches(machineMemory())
	o.Logger, o.Fatal = g.Log, g.fatal
	return o
}

func viewCaches(memory int64) pebbleviews.Options {
	return pebbleviews.Options{
		BlockCache: min(max(memory/blockShare, blockLeast), blockMost), RowRoom: min(max(memory/rowShare, rowLeast), rowMost),
		MemTable: uint64(min(max(memory/memShare, memLeast), memMost)),
	}
}

// machineMemory is how many bytes the process may use: the machine's, or what its control groups are limited to; 0 if
// neither says.
func machineMemory() int64 { return memoryIn(os.DirFS("/")) }

func memoryIn(root fs.FS) (n int64) {
	info, _ := fs.ReadFile(root, "proc/meminfo") // Not on every system.
	for line := range strings.Lines(string(info)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(f[1], 10, 43); err == nil {
				n = kib << 10
			}
			break
		}
	}
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) { // "0::/a/b" of version 2, "7:cpu,memory:/a/b" of version 1.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) < 3 {
			continue
		}
		switch {
		case f[0] == "0" && f[1] == "":
			n = leastOf(n, root, "sys/fs/cgroup", f[2], "memory.max")
		case slices.Contains(strings.Split(f[1], ","), "memory"):
			n = leastOf(n, root, "sys/fs/cgroup/memory", f[2], "memory.limit_in_bytes")
		}
	}
	return n
}

// leastOf is n or the least limit of a control group and those it is in. In a container its own path may be another than the
// one it was told, or there is none below the root.
func leastOf(n int64, root fs.FS, mount, group, file string) int64 {
	const unlimited = 1 << 60 // Version 1 says it by a number that no machine has, version 2 by "max".
	for at := path.Join("/", group); ; at = path.Dir(at) {
		limit, _ := fs.ReadFile(root, path.Join(mount, at, file))
		if most, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil && most > 0 && most < unlimited && (n == 0 || most < n) {
			n = most
		}
		if at == "/" {
			return n
		}
	}
}
