package register

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"zujian/eventstore"
	"zujian/eventstore/folder"
)

const (
	checkpointName     = "checkpoint"
	checkpointHead     = "zujian checkpoint 1 " // Then 8 hexadecimal digits of CRC-32C and a newline.
	checkpointBytesMax = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// widths are the partial tiles of the tile under way at one level: bit w is set if a checkpoint had width w.
type widths [tileWidth / 8]byte

func (w *widths) set(n uint64)      { w[n/8] |= 1 << (n % 8) }
func (w *widths) has(n uint64) bool { return w[n/8]&(1<<(n%8)) != 0 }

// MarshalText implements encoding.TextMarshaler.
func (w widths) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, w[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *widths) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(w)) {
		return errors.New("widths of the wrong length")
	}
	_, err := hex.Decode(w[:], b)
	return err
}

// signed is what is kept of the last checkpoint.
type signed struct {
	Origin    string              `json:"origin"`
	Size      uint64              `json:"size"`
	Root      []byte              `json:"root"`
	Note      string              `json:"note"`             // As it was signed.
	Last      eventstore.Position `json:"last"`             // End of the last event in it.
	Before    eventstore.Position `json:"before"`           // End of the one before that.
	Tail      mark                `json:"tail,omitzero"`    // Where the comparison at the start begins,
	Mid       mark                `json:"mid,omitzero"`     // and where it will when the log has grown enough.
	Audited   mark                `json:"audited,omitzero"` // How far the comparison in the background was.
	Widths    [levelsMax]widths   `json:"widths"`
	Confirmed string              `json:"confirmed,omitempty"` // The last that enough witnesses cosigned, with their lines.
}

// next is the checkpoint of a larger tree after s.
func (s *signed) next(size uint64) signed {
	n := *s
	for l := range levelsMax {
		was, is := s.Size>>(tileHeight*l), size>>(tileHeight*l)
		if was>>tileHeight != is>>tileHeight {
			n.Widths[l] = widths{} // The tile under way then is full.
		}
		n.Widths[l].set(is % tileWidth)
	}
	n.Size = size
	return n
}

// body is the text of a checkpoint.
func body(origin string, size uint64, root hash) string {
	return origin + "\n" + strconv.FormatUint(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
}

// parseBody reads the text of a checkpoint, with no other lines.
func parseBody(text string) (origin string, size uint64, root hash, err error) {
	bad := errors.New("register: malformed checkpoint")
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return "", 0, root, bad
	}
	size, err = strconv.ParseUint(lines[1], 10, 63)
	raw, err2 := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || err2 != nil || len(raw) != sha256.Size || strconv.FormatUint(size, 10) != lines[1] {
		return "", 0, root, bad
	}
	return lines[0], size, hash(raw), nil
}

// save replaces the checkpoint, durably. When the disk is full the one before is still there.
func (s *signed) save(fs vfs.FS, dir string) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	raw = append(fmt.Appendf(nil, "%s%08x\n", checkpointHead, crc32.Checksum(raw, castagnoli)), raw...)
	if err := (folder.File{Path: fs.PathJoin(dir, checkpointName), Data: raw, Category: "register"}).Write(fs); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// loadSigned reads the checkpoint. There may be none: ok is false.
func loadSigned(disk vfs.FS, dir string) (s signed, ok bool, err error) {
	path := disk.PathJoin(dir, checkpointName)
	if _, err := disk.Stat(path); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return s, false, fmt.Errorf("look for the checkpoint: %w", err)
		}
		// A start that ended before the first checkpoint, of an empty tree, leaves a tree without leaves.
		if leaves, err := disk.Stat(disk.PathJoin(dir, leavesName)); err == nil && leaves.Size() > 0 {
			return s, false, damage(0, "the tree is there, but its checkpoint file is missing: restore it from a backup")
		}
		return s, false, nil
	}
	f, err := disk.Open(path)
	if err != nil {
		return s, false, fmt.Errorf("open checkpoint: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, checkpointBytesMax+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return s, false, fmt.Errorf("read checkpoint: %w", err)
	}
	head, rest, _ := bytes.Cut(raw, []byte("\n"))
	if f := strings.Fields(string(head)); len(f) == 4 && strings.HasPrefix(checkpointHead, strings.Join(f[:2], " ")+" ") && !strings.HasPrefix(string(head), checkpointHead) {
		return s, false, damage(0, "the checkpoint file is of format %.20q, which this program does not read: run the program that wrote it", f[2])
	}
	if string(head) != fmt.Sprintf("%s%08x", checkpointHead, crc32.Checksum(rest, castagnoli)) || len(raw) > checkpointBytesMax {
		return s, false, damage(0, "the checkpoint file is damaged: restore it from a backup")
	}
	if err := json.Unmarshal(rest, &s); err != nil || len(s.Root) != sha256.Size {
		return s, false, damage(0, "the checkpoint file cannot be read: restore it from a backup")
	}
	return s, true, nil
}

// verify checks the note of s against its fields and the keys of its own origin.
func (s *signed) verify(keys Keys) error {
	n, err := note.Open([]byte(s.Note), note.VerifierList(newEd25519(s.Origin, keys.Ed25519), newSM2(s.Origin, keys.SM2)))
	if err != nil || len(n.Sigs) != 2 {
		return damage(s.Last, "the last checkpoint is not signed by this register's keys")
	}
	if n.Text != body(s.Origin, s.Size, hash(s.Root)) {
		return damage(s.Last, "the last checkpoint was signed for something else")
	}
	return nil
}

// verifyPublic checks what can be without the secrets: the first signature of the note, if the key of it is known.
func (s *signed) verifyPublic(p PublicKeys) error {
	if p.Ed25519 != "" {
		v, err := note.NewVerifier(p.Ed25519)
		if err != nil {
			return fmt.Errorf("register: verifier key: %w", err)
		}
		if _, err := note.Open([]byte(s.Note), note.VerifierList(v)); err != nil {
			return damage(s.Last, "the last checkpoint is not signed by %s", p.Ed25519)
		}
	}
	if noteText(s.Note) != body(s.Origin, s.Size, hash(s.Root)) {
		return damage(s.Last, "the last checkpoint was signed for something else")
	}
	return nil
}

// DamageError says where the register and the log part, or what of the register is damaged.
type DamageError struct {
	Position eventstore.Position // Of the event concerned, as far as it is known.
	What     string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("register: at position %d: %s", e.Position, e.What)
}

func damage(at eventstore.Position, format string, args ...any) error {
	return &DamageError{Position: at, What: fmt.Sprintf(format, args...)}
}
