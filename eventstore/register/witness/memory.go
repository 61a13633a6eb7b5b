package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"zujian/eventstore/folder"
)

const (
	keyName     = "key"
	statePrefix = "log-"
)

// stateName is the file of a log's state.
func stateName(origin string) string {
	id := sha256.Sum256([]byte(origin))
	return fmt.Sprintf("%s%x", statePrefix, id[:16])
}

// keyFile is what the file of the key says: after its format the key, a line "log <origin>" for each log that the key has
// begun with, and the SHA-256 of all that. One of an earlier version has the key alone.
type keyFile struct {
	skey    string
	logs    []string
	changed bool // It is not in the file like this.
}

const (
	keyFormat = "zujian witness "
	keyHead   = keyFormat + "1"
)

func (k *keyFile) encode() []byte {
	text := keyHead + "\n" + k.skey + "\n"
	for _, origin := range k.logs {
		text += "log " + origin + "\n"
	}
	return fmt.Appendf(nil, "%ssum %x\n", text, sha256.Sum256([]byte(text)))
}

var errKeyDamaged = errors.New("witness: the key file is damaged: restore it, or begin with an empty folder and a new key") // Never quote it.

func parseKeyFile(raw string) (k keyFile, err error) {
	if !strings.HasPrefix(raw, keyFormat) {
		return keyFile{skey: strings.TrimSpace(raw), changed: true}, nil
	}
	lines := strings.Split(raw, "\n")
	if lines[0] != keyHead {
		return k, fmt.Errorf("witness: the key file is of another format (%q): of a later version", lines[0])
	}
	k.skey = lines[min(1, len(lines)-1)]
	for _, line := range lines[min(2, len(lines)):] {
		if origin, ok := strings.CutPrefix(line, "log "); ok {
			k.logs = append(k.logs, origin)
		}
	}
	if string(k.encode()) != raw {
		return k, errKeyDamaged
	}
	return k, nil
}

// openKey reads the key, or makes it where there is nothing yet.
func (w *Witness) openKey() error {
	path := filepath.Join(w.o.Dir, keyName)
	raw, err := folder.Read(folder.Real(), path)
	if errors.Is(err, os.ErrNotExist) {
		return w.makeKey()
	}
	if err != nil {
		return fmt.Errorf("witness: read key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("witness: read key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("witness: %s is readable by others (mode %o): chmod 600", path, mode)
	}
	if w.kept, err = parseKeyFile(string(raw)); err != nil {
		return err
	}
	return w.useKey()
}

func (w *Witness) makeKey() error {
	if w.o.Name == "" || strings.ContainsAny(w.o.Name, " +\n") {
		return fmt.Errorf("witness: %q can't be the name of a key", w.o.Name)
	}
	there, err := os.ReadDir(w.o.Dir)
	if err != nil {
		return fmt.Errorf("witness: look for states: %w", err)
	}
	if slices.ContainsFunc(there, func(f os.DirEntry) bool { return strings.HasPrefix(f.Name(), statePrefix) }) {
		return errors.New("witness: the key file is missing, but what it has cosigned is there: restore it, or begin with an empty folder and a new key")
	}
	if w.kept.skey, _, err = note.GenerateKey(rand.Reader, w.o.Name); err != nil {
		return fmt.Errorf("witness: make key: %w", err)
	}
	if err := w.keepKey(); err != nil { // Before any state: those without a key are of one that was lost.
		return err
	}
	return w.useKey()
}

func (w *Witness) useKey() (err error) {
	if w.key, err = publicOf(w.kept.skey); err != nil {
		return err
	}
	if w.signer, err = cosignature.NewSignerForCosignatureV1(w.kept.skey); err != nil {
		return errKeyDamaged
	}
	return nil
}

// publicOf makes the cosignature/v1 verifier key of an Ed25519 signer key, whose id it holds to the key.
func publicOf(skey string) (string, error) {
	parts := strings.SplitN(skey, "+", 5) // PRIVATE+KEY+name+id+key
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(parts) != 5 || len(seed) != 1+ed25519.SeedSize {
		return "", errKeyDamaged
	}
	vkey, err := note.NewEd25519VerifierKey(parts[2], ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey))
	if err != nil || !strings.HasPrefix(vkey, parts[2]+"+"+parts[3]+"+") {
		return "", errKeyDamaged
	}
	return cosignature.VKeyToCosignatureV1(vkey)
}

// remember reads what was cosigned of a log last. One that the key has not begun with begins now, as [Witness.begin] says.
func (w *Witness) remember(path, origin string) (last state, err error) {
	begun := slices.Contains(w.kept.logs, origin)
	raw, err := folder.Read(folder.Real(), path)
	switch {
	case errors.Is(err, os.ErrNotExist) && begun:
		return last, fmt.Errorf("witness: the state of %s is missing: restore it, or begin with an empty folder and a new key", origin)
	case errors.Is(err, os.ErrNotExist):
		last = state{Origin: origin, Root: rfc6962.DefaultHasher.EmptyRoot()}
	case err != nil:
		return last, fmt.Errorf("witness: read state: %w", err)
	default:
		head, rest, _ := strings.Cut(string(raw), "\n")
		whole := head == w.stateSum(rest) || !begun && head == fmt.Sprintf("%x", sha256.Sum256([]byte(rest))) // As earlier versions summed it.
		if !whole || json.Unmarshal([]byte(rest), &last) != nil || last.Origin != origin {
			return last, fmt.Errorf("witness: the state of %s is damaged, or another witness's: restore it, or retire this witness's key", origin)
		}
	}
	if !begun {
		w.kept.logs, w.kept.changed = append(w.kept.logs, origin), true
	}
	return last, nil
}

// keepKey writes the key's file.
func (w *Witness) keepKey() error {
	w.kept.changed = false
	return writeFile(filepath.Join(w.o.Dir, keyName), w.kept.encode())
}

// begin makes durable which logs the key has begun with, if there are new ones, and first their states, which an earlier
// version summed without the key.
func (w *Witness) begin() error {
	if !w.kept.changed {
		return nil
	}
	for _, l := range w.logs {
		if err := w.save(l.path, &l.last); err != nil {
			return err
		}
	}
	return w.keepKey()
}

func (w *Witness) stateSum(text string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(w.key+"\n"+text)))
}

func (w *Witness) save(path string, s *state) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFile(path, append(fmt.Appendf(nil, "%s\n", w.stateSum(string(raw))), raw...))
}

// writeFile writes a file whole and durably.
func writeFile(path string, data []byte) error {
	if err := (folder.File{Path: path, Data: data, Mode: 0o600}).Write(folder.Real()); err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	return nil
}
