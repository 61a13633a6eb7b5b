package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// subjectID is SHA-256 of the subject's name: fixed length, and the folder tells nobody whose keys it holds.
type subjectID [sha256.Size]byte

func idOf(subject string) subjectID {
	name := make([]byte, 0, 128) // Most fit, and then it is not allocated.
	return sha256.Sum256(append(append(name, "zujian subject\x00"...), subject...))
}

// slot is one record of the key file.
//
//	[0] status  [1] suite  [2] KEK version  [3] format 0  [4:36] subject  [36:112] wrapped key  [112:124] 0  [124:128] CRC-32C
//
// 128 divides the sector, so overwriting a slot is one sector write. Every format has its length, its checksum and its number
// at these places.
type slot struct {
	status  byte
	suite   Suite
	kek     byte
	subject subjectID
	wrapped [wrappedLen]byte
}

const (
	slotLen    = 128
	slotFormat = 0
	slotLive   = 1
	slotErased = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s slot) encode() [slotLen]byte {
	var b [slotLen]byte
	b[0], b[1], b[2], b[3] = s.status, byte(s.suite), s.kek, slotFormat
	copy(b[4:36], s.subject[:])
	copy(b[36:], s.wrapped[:])
	binary.BigEndian.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// soundSlot tells that a slot is as it was written, in whatever format.
func soundSlot(b []byte) bool {
	return binary.BigEndian.Uint32(b[124:slotLen]) == crc32.Checksum(b[:124], castagnoli)
}

func decodeSlot(b []byte) (slot, bool) {
	if !soundSlot(b) || b[3] != slotFormat {
		return slot{}, false
	}
	s := slot{status: b[0], suite: Suite(b[1]), kek: b[2], subject: subjectID(b[4:36])}
	copy(s.wrapped[:], b[36:])
	return s, s.status == slotLive || s.status == slotErased
}

const slotsName = "subjects"

// slotFile appends slots in groups: while one group is written and synced, the next gathers. Erasing comes between.
//
// The file grows by more than a group needs, in zeroes: a slot that takes the place of zeroes which are durable is synced
// without anything of the file system's own. Slots acknowledged before share its sector, and are in it whether the write
// of that sector happens or not.
type slotFile struct {
	f         vfs.File
	deferSync bool
	growth    int64

	mu      sync.Mutex
	still   *sync.Cond // Nobody writes.
	pending *slotGroup
	spare   []byte // Memory of a group before.
	next    uint64 // Number of the next slot.
	done    uint64 // Slots below it are durable (written, under deferSync).
	size    int64  // Of the file; whoever writes moves it. From next on it holds zeroes.
	writing bool
	failed  error // A write or sync failed; nothing is accepted any more.
}

// growthMin and growthMax are the bytes that the file grows by: as many as it has, so that a small one stays small and
// one key in two thousand waits for a large one to grow.
const (
	growthMin = 4 << 10
	growthMax = 256 << 10
)

// slotGroup is what is written at once. Who begins it writes it.
type slotGroup struct {
	slots   []byte
	settled chan struct{} // Closed when they are durable (written, under deferSync), or err says why not; nil if nobody waits.
	err     error
}

func (g *slotGroup) settle(err error) {
	g.err = err
	if g.settled != nil {
		close(g.settled)
	}
}

// openSlots reads every slot and overwrites with zeroes what a crash left unfinished at the end. A damaged slot before
// the last good one is an error, unless all its bytes are zero: then its group was never acknowledged. So are a slot of
// another format, wherever it is, and fewer slots than atLeast. What was read is durable before anybody relies on it: a process killed before its sync left it unsynced.
func openSlots(d folder, atLeast uint64, o Options, each func(n uint64, s slot)) (*slotFile, error) {
	f, err := d.open(slotsName)
	if err != nil {
		return nil, fmt.Errorf("seal: open keys: %w", err)
	}
	data, err := readAll(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("seal: read keys: %w", err), f.Close())
	}
	count := uint64(len(data) / slotLen)
	for count > 0 {
		if soundSlot(data[(count-1)*slotLen:]) {
			break
		}
		count--
	}
	for n := range count {
		raw := data[n*slotLen : (n+1)*slotLen]
		s, ok := decodeSlot(raw)
		switch {
		case ok:
			each(n, s)
		case soundSlot(raw):
			return nil, errors.Join(fmt.Errorf("seal: key slot %d is of format %d, status %d, which this program does not read: run the program that wrote it",
				n, raw[3], raw[0]), f.Close())
		case [slotLen]byte(raw) != ([slotLen]byte{}):
			return nil, errors.Join(fmt.Errorf("seal: key slot %d is damaged: restore the key folder from its backup", n), f.Close())
		}
	}
	if count < atLeast {
		return nil, errors.Join(fmt.Errorf("seal: key slot %d is missing or damaged, there were %d: restore the key folder from its backup",
			count, atLeast), f.Close())
	}
	if torn := data[count*slotLen:]; len(bytes.TrimRight(torn, "\x00")) > 0 {
		if _, err := f.WriteAt(make([]byte, len(torn)), int64(count)*slotLen); err != nil {
			return nil, errors.Join(fmt.Errorf("seal: cut torn keys: %w", err), f.Close())
		}
	}
	if err := f.Sync(); err != nil {
		return nil, errors.Join(fmt.Errorf("seal: sync keys: %w", err), f.Close())
	}
	k := &slotFile{
		f: f, deferSync: o.DeferSync, growth: o.growth, next: count, done: count, size: int64(len(data)), pending: &slotGroup{},
	}
	k.still = sync.NewCond(&k.mu)
	return k, nil
}

// append returns the slot's number once it is durable. One caller writes for all who came meanwhile. ErrFull means that
// it was not written and may be asked for again.
func (k *slotFile) append(s slot) (uint64, error) {
	b := s.encode()
	k.mu.Lock()
	n, g := k.next, k.pending
	k.next++
	g.slots = append(g.slots, b[:]...)
	if len(g.slots) == slotLen {
		k.wait()
		if k.pending == g { // Else the group before it found the disk full.
			k.write(g)
		}
		k.mu.Unlock()
		return n, g.err
	}
	if g.settled == nil {
		g.settled = make(chan struct{})
	}
	k.mu.Unlock()
	<-g.settled
	return n, g.err
}

// wait waits until nobody writes; the caller holds the lock, and has it again afterwards.
func (k *slotFile) wait() {
	for k.writing {
		k.still.Wait()
	}
}

// write writes the gathering group down and settles it; the caller holds the lock, which is free meanwhile.
func (k *slotFile) write(g *slotGroup) {
	k.pending, k.spare = &slotGroup{slots: k.spare[:0]}, nil
	if k.failed != nil {
		g.settle(k.failed)
		return
	}
	at := k.next - uint64(len(g.slots)/slotLen)
	k.writing = true
	k.mu.Unlock()
	err := k.put(g.slots, int64(at)*slotLen)
	k.mu.Lock()
	k.writing = false
	switch {
	case errors.Is(err, ErrFull): // Nor those who came meanwhile, whose slots are behind these.
		k.pending.settle(err)
		k.next, k.pending = at, &slotGroup{}
	case err != nil:
		err = fmt.Errorf("seal: write keys: %w", err)
		k.failed = err
	default:
		k.done = at + uint64(len(g.slots)/slotLen)
	}
	k.spare = g.slots
	g.settle(err)
	k.still.Broadcast()
}

// put writes a group's slots at an offset, durably unless that is deferred. Only a file that grows is synced with its size.
func (k *slotFile) put(slots []byte, at int64) error {
	sync := k.f.SyncData
	if end := at + int64(len(slots)); end > k.size {
		growth := k.growth
		if growth == 0 {
			growth = min(max(k.size, growthMin), growthMax)
		}
		k.size = (end/growth + 1) * growth
		slots = append(slots, make([]byte, k.size-end)...)
		sync = k.f.Sync
	}
	_, err := k.f.WriteAt(slots, at)
	if vfs.IsNoSpaceError(err) {
		return k.unwrite(at, len(slots))
	}
	if err == nil && !k.deferSync {
		err = sync()
	}
	return err
}

// unwrite zeroes what was written of a group that found no room for all of it, durably: a subject asked for again gets
// another slot, and no two may be its.
func (k *slotFile) unwrite(at int64, size int) error {
	info, err := k.f.Stat()
	if err != nil {
		return err
	}
	k.size = info.Size()
	if size = int(min(int64(size), k.size-at)); size > 0 {
		if _, err := k.f.WriteAt(make([]byte, size), at); err != nil {
			return err
		}
		if err := k.f.Sync(); err != nil {
			return err
		}
	}
	return ErrFull
}

// overwrite replaces slot n in place and syncs, even under deferSync: an erasure is never put off.
func (k *slotFile) overwrite(n uint64, s slot) error {
	b := s.encode()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wait()
	if k.failed != nil {
		return k.failed
	}
	if _, err := k.f.WriteAt(b[:], int64(n)*slotLen); err != nil {
		k.failed = fmt.Errorf("seal: erase key: %w", err)
	} else if err := k.f.Sync(); err != nil {
		k.failed = fmt.Errorf("seal: erase key: %w", err)
	}
	return k.failed
}

// sync makes everything appended so far durable.
func (k *slotFile) sync() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wait()
	if k.failed != nil {
		return k.failed
	}
	if err := k.f.Sync(); err != nil {
		k.failed = fmt.Errorf("seal: sync keys: %w", err)
	}
	return k.failed
}

// tombstones is the list of erased subjects: lines "<subject> <seconds> <CRC-32C>", only ever appended. It outlives
// the slots, so a key file restored from an old backup stays erased. One line, of the second before 1970 (ownerAt), names no
// subject but the register whose list it is.
type tombstones struct {
	f      vfs.File
	size   int64
	owners []subjectID // As many as the list names.
	failed error       // As in slotFile: nothing is accepted after a failure.
}

const (
	tombstonesName = "erased"
	tombstoneMax   = 2*sha256.Size + 1 + 20 + 1 + 8 + 1 // Bytes of a line.
	ownerAt        = -1
)

var errOthersTombstones = errors.New("seal: the list of erased people is another register's: restore the key folder from its backup")

// openTombstones reads the list, which is durable before each hears of it, and cuts what a crash left unfinished. It is owner's;
// nil takes anybody's.
func openTombstones(d folder, atLeast int64, owner *subjectID, each func(subjectID)) (*tombstones, error) {
	f, err := d.open(tombstonesName)
	if err != nil {
		return nil, fmt.Errorf("seal: open tombstones: %w", err)
	}
	t := &tombstones{f: f}
	ids, err := t.load(d, atLeast)
	if err == nil && owner != nil {
		err = t.own(*owner)
	}
	if err != nil {
		return nil, errors.Join(err, t.f.Close())
	}
	for _, id := range ids {
		each(id)
	}
	return t, nil
}

func (t *tombstones) load(d folder, atLeast int64) (ids []subjectID, err error) {
	data, err := readAll(t.f)
	if err != nil {
		return nil, fmt.Errorf("seal: read tombstones: %w", err)
	}
	t.size, err = parseTombstones(data, func(id subjectID, at time.Time) error {
		if at.Unix() == ownerAt {
			t.owners = append(t.owners, id)
		} else {
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if t.size < atLeast {
		return nil, fmt.Errorf("seal: tombstone at byte %d is missing or damaged, there were %d bytes of them: restore the key folder from its backup",
			t.size, atLeast)
	}
	if t.size < int64(len(data)) {
		if err := d.write(tombstonesName, data[:t.size]); err != nil {
			return nil, err
		}
		whole, err := d.open(tombstonesName)
		if err != nil {
			return nil, fmt.Errorf("seal: open tombstones: %w", err)
		}
		if err := t.f.Close(); err != nil {
			return nil, errors.Join(err, whole.Close())
		}
		t.f = whole
	}
	if err := t.f.Sync(); err != nil {
		return nil, fmt.Errorf("seal: sync tombstones: %w", err)
	}
	return ids, nil
}

// own refuses another's list, and makes one that names nobody, as a fresh one and those of earlier versions, the owner's.
func (t *tombstones) own(owner subjectID) error {
	switch {
	case len(t.owners) == 0:
		err := t.add(owner, time.Unix(ownerAt, 0))
		if errors.Is(err, ErrFull) {
			err = nil // The next one that opens it does.
		}
		return err
	case slices.ContainsFunc(t.owners, func(id subjectID) bool { return id != owner }):
		return errOthersTombstones
	}
	return nil
}

// join takes in a list of the owner's. Where nobody is named yet, whoever opens the list hears whose it then is.
func (t *tombstones) join(owner subjectID) error {
	switch {
	case slices.Contains(t.owners, owner):
		return nil
	case len(t.owners) > 0:
		return errOthersTombstones
	}
	t.owners = append(t.owners, owner)
	return t.add(owner, time.Unix(ownerAt, 0))
}

func (t *tombstones) add(id subjectID, at time.Time) error {
	body := hex.EncodeToString(id[:]) + " " + strconv.FormatInt(at.Unix(), 10)
	line := fmt.Sprintf("%s %08x\n", body, crc32.Checksum([]byte(body), castagnoli))
	if t.failed != nil {
		return t.failed
	}
	_, err := t.f.WriteAt([]byte(line), t.size)
	if vfs.IsNoSpaceError(err) {
		return fmt.Errorf("%w: write tombstone: %w", ErrFull, err) // The next one is written over it; half a line is cut.
	}
	if err == nil {
		err = t.f.Sync()
	}
	if err != nil {
		t.failed = fmt.Errorf("seal: write tombstone: %w", err)
		return t.failed
	}
	t.size += int64(len(line))
	return nil
}

// parseTombstones reads a list and gives how many bytes of it are whole. What is not whole at its end was torn by a crash
// and never acknowledged; before, it is damage.
func parseTombstones(list []byte, each func(subjectID, time.Time) error) (whole int64, err error) {
	for text := string(list); text != ""; {
		line, rest, ended := strings.Cut(text, "\n")
		id, at, ok := parseTombstone(line)
		if !ended || !ok {
			if rest != "" {
				return whole, fmt.Errorf("seal: tombstone at byte %d is damaged", whole)
			}
			break
		}
		if err := each(id, at); err != nil {
			return whole, err
		}
		whole += int64(len(line)) + 1
		text = rest
	}
	return whole, nil
}

func parseTombstone(line string) (id subjectID, at time.Time, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || line[i+1:] != fmt.Sprintf("%08x", crc32.Checksum([]byte(line[:i]), castagnoli)) {
		return id, at, false
	}
	name, seconds, _ := strings.Cut(line[:i], " ")
	raw, err := hex.DecodeString(name)
	unix, err2 := strconv.ParseInt(seconds, 10, 64)
	if err != nil || err2 != nil || len(raw) != len(id) {
		return id, at, false
	}
	return subjectID(raw), time.Unix(unix, 0), true
}
