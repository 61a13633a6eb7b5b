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

func idOf(subject string) subjectID { return sha256.Sum256([]byte("zujian subject\x00" + subject)) }

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
	moved   *sync.Cond // done or failed changed.
	pending []byte
	next    uint64 // Number of the next slot.
	done    uint64 // Slots below it are durable (written, under deferSync).
	writing bool
	failed  error // A write or sync failed; nothing is accepted any more.
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
	k := &slotFile{f: f, deferSync: deferSync, next: count, done: count}
	k.moved = sync.NewCond(&k.mu)
	return k, nil
}

// append returns the slot's number once it is durable. One caller writes for all who came meanwhile.
func (k *slotFile) append(s slot) (uint64, error) {
	b := s.encode()
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.next
	k.next++
	k.pending = append(k.pending, b[:]...)
	for k.done <= n && k.failed == nil {
		if k.writing {
			k.moved.Wait()
			continue
		}
		group, at, end := k.pending, k.done, k.next
		k.pending, k.writing = nil, true
		k.mu.Unlock()
		_, err := k.f.WriteAt(group, int64(at)*slotLen)
		if err == nil && !k.deferSync {
			err = k.f.Sync()
		}
		k.mu.Lock()
		k.writing = false
		if err != nil {
			k.failed = fmt.Errorf("seal: write keys: %w", err)
		} else {
			k.done = end
		}
		k.moved.Broadcast()
	}
	if k.done > n {
		return n, nil
	}
	return 0, k.failed
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
