package seal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	folders "zujian/eventstore/folder"
)

// keyFiles are the files of a key folder in the order in which they are copied: tombstones last, so that an erasure
// during the copy is in it.
var keyFiles = [...]string{"subjects", "identity", "register", "kek", "erased"}

// sumsName is a file of a copy: after its format a line "<SHA-256> <bytes> <name>" for each file, and the SHA-256 of all that. A
// cut file of keys or of tombstones is whole as far as it goes, so nothing else tells that there was more.
const (
	sumsName   = "sums"
	sumsFormat = "zujian keys "
	sumsHead   = sumsFormat + "1\n"
)

// CopyKeys copies the key folder of DIR to the folder to, which it makes, while a vault may have it open, and gives the
// SHA-256 of what [RestoreKeys] holds it to. A copy opens everything sealed up to its beginning; while keys are rotated there
// is none. Keep copies no longer than an erasure may take, and apart from the log's.
func CopyKeys(dir, to string) (sum string, err error) {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return "", fmt.Errorf("seal: copy keys: %w", err)
	}
	// The wrapped keys are copied before the one that opens them, which is the same then, or may have been retired meanwhile.
	kek, err := os.ReadFile(filepath.Join(dir, "keys", kekName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("seal: copy keys: %w", err)
	}
	sums := sumsHead
	for _, name := range keyFiles {
		line, err := copyFile(filepath.Join(dir, "keys", name), filepath.Join(to, name), name == slotsName)
		if errors.Is(err, os.ErrNotExist) && (name == kekName || name == registerBundle.file) {
			continue // The wrapper keeps the one elsewhere; the other comes with the first start of a server.
		}
		if err != nil {
			return "", fmt.Errorf("seal: copy keys: %w", err)
		}
		if name == kekName && !strings.HasPrefix(line, hexSum(kek)) {
			return "", errors.New("seal: copy keys: they were rotated meanwhile: copy them again")
		}
		sums += line
	}
	sums += hexSum([]byte(sums)) + "\n"
	f, err := os.OpenFile(filepath.Join(to, sumsName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(sums)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return "", fmt.Errorf("seal: copy keys: %w", err)
	}
	return hexSum([]byte(sums)), errors.Join(folders.Sync(folders.Real(), to), folders.Sync(folders.Real(), filepath.Dir(to)))
}

// RestoreKeys copies the keys that CopyKeys copied to the folder from into DIR's key folder, which it makes, and refuses what
// is missing or is not what was copied. sum is what CopyKeys gave; if it is "", the folder itself says what was copied.
// summed is false for a folder of before there were sums: all files of it are taken as they are.
func RestoreKeys(from, dir, sum string) (summed bool, err error) {
	to := filepath.Join(dir, "keys")
	if err := os.MkdirAll(to, 0o700); err != nil {
		return false, fmt.Errorf("seal: restore keys: %w", err)
	}
	lines, summed, err := readSums(from, sum)
	if err != nil {
		return false, err
	}
	if !summed {
		entries, err := os.ReadDir(from)
		if err != nil {
			return false, fmt.Errorf("seal: restore keys: %w", err)
		}
		for _, e := range entries {
			if e.Name() != signsName {
				lines = append(lines, e.Name())
			}
		}
	}
	for _, want := range lines {
		name := filepath.Base(want[strings.LastIndexByte(want, ' ')+1:])
		got, err := copyFile(filepath.Join(from, name), filepath.Join(to, name), false)
		if err != nil {
			return false, fmt.Errorf("seal: restore keys: %w", err)
		}
		if summed && strings.TrimSuffix(got, "\n") != want {
			return false, fmt.Errorf("seal: restore keys: %s is not the file that was copied there: use another copy", filepath.Join(from, name))
		}
	}
	return summed, nil
}

// readSums gives the lines of a copy's sums.
func readSums(from, sum string) (lines []string, there bool, err error) {
	path := filepath.Join(from, sumsName)
	raw, err := folders.Read(folders.Real(), path)
	if errors.Is(err, os.ErrNotExist) && sum == "" {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("seal: restore keys: %w", err)
	}
	text := string(raw)
	if head, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(head, sumsFormat) && head+"\n" != sumsHead {
		return nil, false, fmt.Errorf("seal: restore keys: %s is of another format (%q): of a later version", path, head)
	}
	body, found := strings.CutPrefix(text, sumsHead)
	cut := strings.LastIndexByte(strings.TrimSuffix(body, "\n"), '\n') + 1
	if !found || body[cut:] != hexSum([]byte(sumsHead+body[:cut]))+"\n" || sum != "" && sum != hexSum(raw) {
		return nil, false, fmt.Errorf("seal: restore keys: %s is damaged, or another copy's: use another copy", path)
	}
	return strings.Split(strings.TrimSuffix(body[:cut], "\n"), "\n"), true, nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// copyFile copies a file durably, and gives its line of the sums.
func copyFile(from, to string, slots bool) (line string, err error) {
	in, err := folders.Real().Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	both := io.MultiWriter(out, sum)
	if slots {
		err = copySlots(in, both)
	} else {
		_, err = io.Copy(both, in)
	}
	info, err2 := out.Stat()
	if err := errors.Join(err, err2, out.Sync(), out.Close()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x %d %s\n", sum.Sum(nil), info.Size(), filepath.Base(to)), nil
}

const slotTries = 1000 // A slot that is being overwritten is whole a moment later.

// copySlots copies whole slots. What a group under way leaves torn at the end was not acknowledged, and is cut at opening.
func copySlots(in io.ReaderAt, out io.Writer) error {
	w := bufio.NewWriterSize(out, 1<<20)
	var b [slotLen]byte
	for n := int64(0); ; n++ {
		for try := 0; ; try++ {
			got, err := in.ReadAt(b[:], n*slotLen)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if got < slotLen {
				return w.Flush()
			}
			if _, whole := decodeSlot(b[:]); whole || b == [slotLen]byte{} || try == slotTries {
				break // Damaged for good: copied as it is, and named when the copy is opened.
			}
		}
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
}

// AddTombstones adds the erasures that the file lists, in the form of a key folder's own list ("erased"), to the list of
// DIR's key folder, before it is opened: a restored folder must not know anybody whom a later erasure forgot. It gives
// how many were new.
func AddTombstones(dir, file string) (added int, err error) {
	list, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("seal: add tombstones: %w", err)
	}
	return keyFolder(folders.Real(), dir).addTombstones(list, file)
}

func (d folder) addTombstones(list []byte, file string) (added int, err error) {
	known := map[subjectID]bool{}
	before, err := readSeen(d)
	if err != nil {
		return 0, err
	}
	t, err := openTombstones(d, before.graveyard, nil, func(id subjectID) { known[id] = true })
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.f.Close()) }()
	whole, err := parseTombstones(list, func(id subjectID, at time.Time) error {
		if at.Unix() == ownerAt {
			return t.join(id)
		}
		if known[id] {
			return nil
		}
		if err := t.add(id, at); err != nil {
			return err
		}
		known[id] = true
		added++
		return nil
	})
	torn := list[whole:]
	// A crash tears one line: it leaves a part of it, or loses a part in the middle to zeroes.
	if err == nil && (len(torn) > tombstoneMax || bytes.HasSuffix(torn, []byte("\n")) && bytes.IndexByte(torn, 0) < 0) {
		err = fmt.Errorf("seal: tombstone at byte %d is damaged", whole)
	}
	if err == nil && whole == 0 { // A key folder's own names at least whose it is.
		err = errors.New("seal: nothing is in it: it is no list of erased people, or was cut")
	}
	if err != nil {
		return added, fmt.Errorf("add tombstones of %s: %w", file, err)
	}
	return added, nil
}
