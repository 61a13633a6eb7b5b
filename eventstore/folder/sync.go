package folder

import "github.com/cockroachdb/pebble/v2/vfs"

// syncedApart is a file whose data the kernel's own workers sync where the machine lets them: who waits for the disk then
// waits as for a network, and keeps no thread that could run others. With fdatasync(2) a processor stood still for an eighth
// of the time when 64 clients filed on two: a thread in it keeps its turn of the scheduler until that notices, and more
// threads than processors stand in one queue while another is empty.
type syncedApart struct{ vfs.File }

// SyncData implements vfs.File.
func (f syncedApart) SyncData() error {
	if taken, err := syncApart(f.Fd()); taken {
		return err
	}
	return f.File.SyncData()
}

// SyncsApart tells whether this machine syncs files without a thread of the process's.
func SyncsApart() bool {
	s, err := takeSyncer()
	if err == nil {
		leaveSyncer(s)
	}
	return err == nil
}
