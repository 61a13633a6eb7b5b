package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
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
//	[0] status  [1] suite  [2] KEK version  [3] 0  [4:36] subject  [36:112] wrapped key  [112:124] 0  [124:128] CRC-32C
//
// 128 divides the sector, so overwriting a slot is one sector write.
type slot struct {
	status  byte
	suite   Suite
	kek     byte
	subject subjectID
	wrapped [wrappedLen]byte
}

const (
	slotLen    = 128
	slotLive   = 1
	slotErased = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s slot) encode() [slotLen]byte {
	var b [slotLen]byte
	b[0], b[1], b[2] = s.status, byte(s.suite), s.kek
	copy(b[4:36], s.subject[:])
	copy(b[36:], s.wrapped[:])
	binary.BigEndian.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

func decodeSlot(b []byte) (slot, bool) {
	if binary.BigEndian.Uint32(b[124:slotLen]) != crc32.Checksum(b[:124], castagnoli) {
		return slot{}, false
	}
	s := slot{status: b[0], suite: Suite(b[1]), kek: b[2], subject: subjectID(b[4:36])}
	copy(s.wrapped[:], b[36:])
	return s, s.status == slotLive || s.status == slotErased
}

const slotsName = "subjects"

// slotFile appends slots in groups: while one group is written and synced, the next gathers. Erasing comes between.
type slotFile struct {
	f         vfs.File
	deferSync bool

	mu      sync.Mutex
	moved   *sync.Cond // A group was settled, or failed changed.
	pending *slotGroup
	next    uint64 // Number of the next slot.
	done    uint64 // Slots below it are durable (written, under deferSync).
	writing bool
	failed  error // A write or sync failed; nothing is accepted any more.
}

// slotGroup is what is written at once.
type slotGroup struct {
	slots   []byte
	settled bool // They are durable (written, under deferSync), or err says why not.
	err     error
}

// openSlots reads every slot and overwrites with zeroes what a crash left unfinished at the end. A damaged slot before
// the last good one is an error, unless all its bytes are zero: then its group was never acknowledged. So is fewer slots
// than atLeast. What was read is durable before anybody relies on it: a process killed before its sync left it unsynced.
func openSlots(d folder, atLeast uint64, deferSync bool, each func(n uint64, s slot)) (*slotFile, error) {
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
		if _, ok := decodeSlot(data[(count-1)*slotLen:]); ok {
			break
		}
		count--
	}
	for n := range count {
		raw := data[n*slotLen : (n+1)*slotLen]
		s, ok := decodeSlot(raw)
		if ok {
			each(n, s)
		} else if [slotLen]byte(raw) != ([slotLen]byte{}) {
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
	k := &slotFile{f: f, deferSync: deferSync, next: count, done: count, pending: &slotGroup{}}
	k.moved = sync.NewCond(&k.mu)
	return k, nil
}

// append returns the slot's number once it is durable. One caller writes for all who came meanwhile. ErrFull means that
// it was not written and may be asked for again.
func (k *slotFile) append(s slot) (uint64, error) {
	b := s.encode()
	k.mu.Lock()
	defer k.mu.Unlock()
	n, g := k.next, k.pending
	k.next++
	g.slots = append(g.slots, b[:]...)
	for !g.settled && k.failed == nil {
		if k.writing {
			k.moved.Wait()
		} else { // Then g is still the one that gathers.
			k.write(g)
		}
	}
	if g.settled {
		return n, g.err
	}
	return 0, k.failed
}

// write writes the gathering group down; the caller holds the lock, which is free meanwhile.
func (k *slotFile) write(g *slotGroup) {
	at := k.next - uint64(len(g.slots)/slotLen)
	k.pending, k.writing = &slotGroup{}, true
	k.mu.Unlock()
	_, err := k.f.WriteAt(g.slots, int64(at)*slotLen)
	full := vfs.IsNoSpaceError(err)
	if full {
		err = k.unwrite(int64(at)*slotLen, len(g.slots))
	} else if err == nil && !k.deferSync {
		err = k.f.Sync()
	}
	k.mu.Lock()
	k.writing = false
	switch {
	case err != nil:
		k.failed = fmt.Errorf("seal: write keys: %w", err)
	case full: // Nor those who came meanwhile, whose slots are behind these.
		g.settled, g.err = true, ErrFull
		k.pending.settled, k.pending.err = true, ErrFull
		k.next, k.pending = at, &slotGroup{}
	default:
		k.done, g.settled = at+uint64(len(g.slots)/slotLen), true
	}
	k.moved.Broadcast()
}

// unwrite zeroes what was written of a group that found no room for all of it, durably: a subject asked for again gets
// another slot, and no two may be its.
func (k *slotFile) unwrite(at int64, size int) error {
	info, err := k.f.Stat()
	if err != nil {
		return err
	}
	if size = int(min(int64(size), info.Size()-at)); size <= 0 {
		return nil
	}
	if _, err := k.f.WriteAt(make([]byte, size), at); err != nil {
		return err
	}
	return k.f.Sync()
}

// overwrite replaces slot n in place and syncs, even under deferSync: an erasure is never put off.
func (k *slotFile) overwrite(n uint64, s slot) error {
	b := s.encode()
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.writing {
		k.moved.Wait()
	}
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
	for k.writing {
		k.moved.Wait()
	}
	if k.failed != nil {
		return k.failed
	}
	if err := k.f.Sync(); err != nil {
		k.failed = fmt.Errorf("seal: sync keys: %w", err)
	}
	return k.failed
}

// tombstones is the list of erased subjects: lines "<subject> <seconds> <CRC-32C>", only ever appended. It outlives
// the slots, so a key file restored from an old backup stays erased.
type tombstones struct {
	f      vfs.File
	size   int64
	failed error // As in slotFile: nothing is accepted after a failure.
}

const (
	tombstonesName = "erased"
	tombstoneMax   = 2*sha256.Size + 1 + 20 + 1 + 8 + 1 // Bytes of a line.
)

// openTombstones reads the list, which is durable before each hears of it, and cuts what a crash left unfinished.
func openTombstones(d folder, atLeast int64, each func(subjectID)) (*tombstones, error) {
	f, err := d.open(tombstonesName)
	if err != nil {
		return nil, fmt.Errorf("seal: open tombstones: %w", err)
	}
	t := &tombstones{f: f}
	ids, err := t.load(d, atLeast)
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
	t.size, err = parseTombstones(data, func(id subjectID, _ time.Time) error {
		ids = append(ids, id)
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
