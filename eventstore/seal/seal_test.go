package seal_test

import (
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
	"pgregory.net/rapid"

	"zujian/eventstore/seal"
)

var suites = []seal.Suite{seal.INTL, seal.GM}

func open(t testing.TB, dir string, suite seal.Suite) *seal.Vault {
	t.Helper()
	v, err := seal.Open(dir, seal.Options{Suite: suite, Now: func() time.Time { return time.Unix(1_790_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func sealed(t testing.TB, v *seal.Vault, subject, stream, field, plain string) string {
	t.Helper()
	s, err := v.Seal(t.Context(), subject, stream, field, plain)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKnownAnswers(t *testing.T) {
	un := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	// GB/T 32905 appendix A.1.
	if got := sm3.Sum([]byte("abc")); hex.EncodeToString(got[:]) != "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" {
		t.Errorf("SM3: %x", got)
	}
	// GB/T 32907 appendix A.1.
	key := un("0123456789abcdeffedcba9876543210")
	block, err := sm4.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	var got [16]byte
	block.Encrypt(got[:], key)
	if hex.EncodeToString(got[:]) != "681edf34d206965e86b3e94f536e4246" {
		t.Errorf("SM4: %x", got)
	}
	// RFC 8998 appendix A.1.
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain := un(strings.ReplaceAll("AA BB CC DD EE FF EE AA", " ", ""))
	plain = bytes.Join([][]byte{
		bytes.Repeat(plain[0:1], 8), bytes.Repeat(plain[1:2], 8), bytes.Repeat(plain[2:3], 8), bytes.Repeat(plain[3:4], 8),
		bytes.Repeat(plain[4:5], 8), bytes.Repeat(plain[5:6], 8), bytes.Repeat(plain[6:7], 8), bytes.Repeat(plain[7:8], 8),
	}, nil)
	want := "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15" +
		"a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec"
	if got := gcm.Seal(nil, un("00001234567800000000abcd"), plain, un("feedfacedeadbeeffeedfacedeadbeefabaddad2")); hex.EncodeToString(got) != want {
		t.Errorf("SM4-GCM: %x", got)
	}
}

func TestLawsUnderBothSuites(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite.String(), func(t *testing.T) {
			v := open(t, t.TempDir(), suite)
			ctx := t.Context()
			rapid.Check(t, func(t *rapid.T) {
				name := rapid.StringMatching(`[a-c]`)
				where := [3]string{name.Draw(t, "subject"), name.Draw(t, "stream"), name.Draw(t, "field")}
				plain := rapid.String().Draw(t, "plain")
				got, err := v.Seal(ctx, where[0], where[1], where[2], plain)
				if err != nil {
					t.Fatal(err)
				}
				if back, err := v.Open(ctx, where[0], where[1], where[2], got); err != nil || back != plain {
					t.Fatalf("open: %q, %v; want %q", back, err, plain)
				}
				if plain == "" {
					return
				}
				other := where
				other[rapid.IntRange(0, 2).Draw(t, "moved")] = "d" // As long as what it replaces.
				if _, err := v.Open(ctx, other[0], other[1], other[2], got); !errors.Is(err, seal.ErrForged) && !errors.Is(err, seal.ErrNoKey) {
					t.Fatalf("pasted to %v: %v", other, err)
				}
				raw, _ := base64.RawURLEncoding.DecodeString(got)
				raw[rapid.IntRange(0, len(raw)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				if _, err := v.Open(ctx, where[0], where[1], where[2], base64.RawURLEncoding.EncodeToString(raw)); !errors.Is(err, seal.ErrForged) && !errors.Is(err, seal.ErrSuite) {
					t.Fatalf("one bit changed: %v", err)
				}
			})
			// Lengths are part of the place: ("ab","c") is not ("a","bc").
			if _, err := v.Open(ctx, "a", "bc", "f", sealed(t, v, "a", "b", "cf", "x")); !errors.Is(err, seal.ErrForged) {
				t.Errorf("parts run together: %v", err)
			}
			if a, b := sealed(t, v, "a", "s", "f", "x"), sealed(t, v, "a", "s", "f", "x"); a == b {
				t.Error("the same value sealed twice is equal: a nonce repeats")
			}
		})
	}
}

func TestEveryPieceOfGarbageIsForged(t *testing.T) {
	v := open(t, t.TempDir(), seal.INTL)
	sealed(t, v, "p", "s", "f", "x")
	for _, in := range []string{"x", "====", strings.Repeat("A", 39), strings.Repeat("A", 40), "é"} {
		if _, err := v.Open(t.Context(), "p", "s", "f", in); !errors.Is(err, seal.ErrForged) && !errors.Is(err, seal.ErrSuite) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := v.Seal(t.Context(), "p", "s", "f", strings.Repeat("x", 1<<16+1)); !errors.Is(err, seal.ErrTooBig) {
		t.Errorf("too big: %v", err)
	}
	if _, err := v.Open(t.Context(), "nobody", "s", "f", sealed(t, v, "p", "s", "f", "x")); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("unknown subject: %v", err)
	}
}

func TestMixedSuitesReadBack(t *testing.T) {
	dir := t.TempDir()
	var values []string
	for i := range 4 {
		v := open(t, dir, suites[i%2])
		values = append(values, sealed(t, v, "p", "s", "f", "张三"), sealed(t, v, fmt.Sprint("q", i), "s", "f", "李四"))
		for j, s := range values {
			subject, want := "p", "张三"
			if j%2 == 1 {
				subject, want = fmt.Sprint("q", j/2), "李四"
			}
			if got, err := v.Open(t.Context(), subject, "s", "f", s); err != nil || got != want {
				t.Errorf("round %d value %d: %q %v", i, j, got, err)
			}
		}
		if got := v.Blind("id_no", "x"); i > 0 && got != firstBlind {
			t.Errorf("blind index changed with the suite: %s", got)
		} else {
			firstBlind = got
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

var firstBlind string

func TestErase(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite.String(), func(t *testing.T) {
			dir := t.TempDir()
			v := open(t, dir, suite)
			gone := sealed(t, v, "gone", "s", "f", "320102188801010015")
			kept := sealed(t, v, "kept", "s", "f", "x")
			before := keyFolder(t, dir)["keys/subjects"]
			for range 2 {
				if err := v.Erase(t.Context(), "gone"); err != nil {
					t.Fatal(err)
				}
			}
			if err := v.Erase(t.Context(), "never seen"); err != nil {
				t.Fatal(err)
			}
			check := func(v *seal.Vault) {
				t.Helper()
				if _, err := v.Open(t.Context(), "gone", "s", "f", gone); !errors.Is(err, seal.ErrErased) {
					t.Errorf("open: %v", err)
				}
				for _, subject := range []string{"gone", "never seen"} {
					if _, err := v.Seal(t.Context(), subject, "s", "f", "x"); !errors.Is(err, seal.ErrErased) {
						t.Errorf("a new key for %s: %v", subject, err)
					}
				}
				if got, err := v.Open(t.Context(), "kept", "s", "f", kept); err != nil || got != "x" {
					t.Errorf("kept: %q, %v", got, err)
				}
				if !v.Erased("gone") || v.Erased("kept") {
					t.Error("Erased is wrong")
				}
			}
			check(v)
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			wrapped := before[36:112]
			for name, data := range keyFolder(t, dir) {
				if bytes.Contains(data, wrapped) || bytes.Contains(data, wrapped[12:44]) {
					t.Errorf("%s still holds the wrapped key", name)
				}
			}
			v = open(t, dir, suite)
			check(v)
			_ = v.Close()
			// A backup of the key file brings nobody back.
			if err := os.WriteFile(filepath.Join(dir, "keys/subjects"), before, 0o600); err != nil {
				t.Fatal(err)
			}
			v = open(t, dir, suite)
			check(v)
			_ = v.Close()
			if bytes.Contains(keyFolder(t, dir)["keys/subjects"], wrapped) {
				t.Error("the restored key was not destroyed")
			}
		})
	}
}

func keyFolder(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestNothingReadableInTheKeyFolder(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	for i := range 50 {
		s := sealed(t, v, fmt.Sprint("subject-canary-", i), "s", "f", "canary-plain")
		if i%2 == 0 {
			if err := v.Erase(t.Context(), fmt.Sprint("subject-canary-", i)); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(s, "canary") {
			t.Error("sealed value shows its content")
		}
	}
	v.Blind("id_no", "canary-blind")
	_ = v.Close()
	for name, data := range keyFolder(t, dir) {
		if bytes.Contains(data, []byte("canary")) {
			t.Errorf("%s holds a canary", name)
		}
		info, _ := os.Stat(filepath.Join(dir, name))
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
}

func TestTornTails(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	values := map[string]string{}
	for i := range 5 {
		subject := fmt.Sprint("p", i)
		values[subject] = sealed(t, v, subject, "s", "f", subject)
	}
	if err := v.Erase(t.Context(), "p4"); err != nil {
		t.Fatal(err)
	}
	_ = v.Close()
	whole := keyFolder(t, dir)
	crashed := true // Before "seen" was written.
	var behind []byte
	reopen := func(subjects, erased []byte) error {
		if crashed {
			if err := os.Remove(filepath.Join(dir, "keys/seen")); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(filepath.Join(dir, "keys/seen"), whole["keys/seen"], 0o600); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"keys/subjects": slices.Concat(subjects, behind), "keys/erased": erased} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		v, err := seal.Open(dir, seal.Options{Now: time.Now})
		if err != nil {
			return err
		}
		defer v.Close()
		for i := range min(len(subjects)/128, 4) {
			subject := fmt.Sprint("p", i)
			if got, err := v.Open(t.Context(), subject, "s", "f", values[subject]); err != nil || got != subject {
				return fmt.Errorf("%s lost: %w", subject, err)
			}
		}
		if _, err := v.Seal(t.Context(), "new", "s", "f", "x"); err != nil {
			return fmt.Errorf("not writable: %w", err)
		}
		return nil
	}
	full, ahead := whole["keys/subjects"][:5*128], whole["keys/subjects"][5*128:]
	if len(ahead) < 128 || len(bytes.Trim(ahead, "\x00")) > 0 {
		t.Fatalf("%d bytes behind the slots, not zeroes", len(ahead))
	}
	for cut := range len(full) {
		if cut%9 != 0 && cut%128 != 0 {
			continue
		}
		if err := reopen(full[:cut], whole["keys/erased"]); err != nil {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
		junk := append(bytes.Clone(full[:cut-cut%128]), bytes.Repeat([]byte{0xA5}, cut%128)...)
		if err := reopen(junk, whole["keys/erased"]); err != nil {
			t.Errorf("junk to %d bytes: %v", cut, err)
		}
		behind = ahead
		if err := reopen(junk, whole["keys/erased"]); err != nil {
			t.Errorf("junk to %d bytes, before zeroes: %v", cut, err)
		}
		behind = nil
	}
	for cut := range len(whole["keys/erased"]) {
		if err := reopen(full, whole["keys/erased"][:cut]); err != nil {
			t.Errorf("tombstones cut to %d bytes: %v", cut, err)
		}
	}
	crashed = false // The same behind a clean end is damage, and nothing is cut.
	for _, cut := range []int{0, 100, len(full) - 128, len(full) - 1} {
		if err := reopen(full[:cut], whole["keys/erased"]); err == nil || !strings.Contains(err.Error(), "key slot") {
			t.Errorf("cut to %d bytes behind a clean end: %v", cut, err)
		}
		if got := keyFolder(t, dir)["keys/subjects"]; !bytes.Equal(got, full[:cut]) {
			t.Errorf("the refused folder was changed: %d bytes, not %d", len(got), cut)
		}
		zeroed := append(bytes.Clone(full[:cut]), make([]byte, len(full)-cut+len(ahead))...)
		if err := reopen(zeroed, whole["keys/erased"]); err == nil || !strings.Contains(err.Error(), "key slot") {
			t.Errorf("zeroes from byte %d behind a clean end: %v", cut, err)
		}
	}
	flipped := bytes.Clone(whole["keys/erased"])
	flipped[20] ^= 1
	if err := reopen(full, flipped); err == nil || !strings.Contains(err.Error(), "tombstone at byte 0") {
		t.Errorf("a damaged last tombstone behind a clean end: %v", err)
	}
	crashed = true
	damaged := bytes.Clone(full)
	damaged[130] ^= 1
	if err := reopen(damaged, whole["keys/erased"]); err == nil || !strings.Contains(err.Error(), "slot 1") {
		t.Errorf("a damaged slot in the middle: %v", err)
	}
	hole := bytes.Clone(full)
	clear(hole[128:256])
	if err := reopen(hole, whole["keys/erased"]); err == nil || !strings.Contains(err.Error(), "p1 lost") {
		t.Errorf("a hole that was never acknowledged must open: %v", err)
	}
	if err := reopen(append(bytes.Clone(full), full[:128]...), whole["keys/erased"]); err == nil {
		t.Error("a repeated subject was accepted")
	}
}

// TestCrashBetweenTombstoneAndSlot finishes the erasure at the next opening.
func TestCrashBetweenTombstoneAndSlot(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	value := sealed(t, v, "p", "s", "f", "x")
	live := keyFolder(t, dir)["keys/subjects"]
	if err := v.Erase(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	_ = v.Close()
	if err := os.WriteFile(filepath.Join(dir, "keys/subjects"), live, 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, dir, seal.INTL)
	if _, err := v.Open(t.Context(), "p", "s", "f", value); !errors.Is(err, seal.ErrErased) {
		t.Errorf("got %v", err)
	}
	if bytes.Contains(keyFolder(t, dir)["keys/subjects"], live[36:112]) {
		t.Error("the key survives in its slot")
	}
}

func TestManyFirstUsesAtOnce(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	const people, each = 250, 4
	var wg sync.WaitGroup
	var values [people][each]string
	start := make(chan struct{})
	for i := range people {
		for j := range each {
			wg.Go(func() {
				<-start
				s, err := v.Seal(t.Context(), fmt.Sprint("p", i), "s", "f", "x")
				if err != nil {
					t.Error(err)
				}
				values[i][j] = s
			})
		}
	}
	close(start)
	wg.Wait()
	_ = v.Close()
	slots := map[string]int{}
	for slot := range slices.Chunk(keyFolder(t, dir)["keys/subjects"], 128) {
		slots[string(slot[:36])]++
	}
	delete(slots, string(make([]byte, 36))) // Made ahead.
	if len(slots) != people {
		t.Errorf("%d slots, want one for each of %d", len(slots), people)
	}
	v = open(t, dir, seal.INTL)
	for i := range people {
		for j := range each {
			if got, err := v.Open(t.Context(), fmt.Sprint("p", i), "s", "f", values[i][j]); err != nil || got != "x" {
				t.Fatalf("%d/%d: %q %v", i, j, got, err)
			}
		}
	}
}

func TestEraseRacesWithFirstUse(t *testing.T) {
	v := open(t, t.TempDir(), seal.INTL)
	for i := range 30 {
		subject := fmt.Sprint("p", i)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = v.Seal(context.Background(), subject, "s", "f", "x") })
		wg.Go(func() {
			if err := v.Erase(context.Background(), subject); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if _, err := v.Seal(t.Context(), subject, "s", "f", "x"); !errors.Is(err, seal.ErrErased) {
			t.Fatalf("%s lives after its erasure: %v", subject, err)
		}
	}
}

func TestDeferSync(t *testing.T) {
	dir := t.TempDir()
	v, err := seal.Open(dir, seal.Options{Now: time.Now, DeferSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s := sealed(t, v, "p", "s", "f", "x")
	if err := errors.Join(v.Sync(), v.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, dir, seal.INTL).Open(t.Context(), "p", "s", "f", s); err != nil || got != "x" {
		t.Errorf("%q %v", got, err)
	}
}

func TestFolderIsGuarded(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	sealed(t, v, "p", "s", "f", "x")
	opts := seal.Options{Now: time.Now}
	if _, err := seal.Open(dir, opts); err == nil {
		t.Error("two vaults on one folder")
	}
	_ = v.Close()
	kek := filepath.Join(dir, "keys/kek")
	if err := os.Chmod(kek, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(dir, opts); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a readable key: %v", err)
	}
	for _, name := range []string{"kek", "identity"} {
		aside := filepath.Join(dir, "aside")
		if err := errors.Join(os.Chmod(kek, 0o600), os.Rename(filepath.Join(dir, "keys", name), aside)); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Open(dir, opts); err == nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("without %s: %v", name, err)
		}
		if err := os.Rename(aside, filepath.Join(dir, "keys", name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := seal.Open(t.TempDir(), seal.Options{}); err == nil {
		t.Error("no clock accepted")
	}
	if _, err := seal.Open(t.TempDir(), seal.Options{Now: time.Now, Suite: 9}); !errors.Is(err, seal.ErrSuite) {
		t.Errorf("suite 9: %v", err)
	}
}

func TestBlindAndSign(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.GM)
	a := v.Blind("id_no", "320102188801010015")
	if len(a) != 32 || a != v.Blind("id_no", "320102188801010015") || a == v.Blind("phone", "320102188801010015") || a == v.Blind("id_no", "x") {
		t.Errorf("blind index %s", a)
	}
	sig := v.Sign([]byte("certificate"))
	pub := v.PublicKey()
	_ = v.Close()
	v = open(t, dir, seal.GM)
	if v.Blind("id_no", "320102188801010015") != a || !bytes.Equal(pub, v.PublicKey()) {
		t.Error("identity changed at reopening")
	}
	if !v.Verify([]byte("certificate"), sig) || !seal.Verify(pub, []byte("certificate"), sig) {
		t.Error("own signature refused")
	}
	if v.Verify([]byte("certificatE"), sig) || seal.Verify(pub[:5], []byte("certificate"), sig) {
		t.Error("wrong signature accepted")
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.INTL)
	sealed(t, v, "p", "s", "f", "x")
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("vault", "vault", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("vault", "vault", v)
	fmt.Fprintf(&out, "%v %+v %#v %s", v, v, v, v)
	if got := strings.Count(out.String(), "[redacted]"); got != 6 || out.Len() > 500 {
		t.Errorf("printed %q", out.String())
	}
	bad := filepath.Join(dir, "keys/kek")
	_ = v.Close()
	data, _ := os.ReadFile(bad)
	if err := os.WriteFile(bad, append(data, []byte("2 c2VjcmV0\n")...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(dir, seal.Options{Now: time.Now}); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Errorf("error quotes the key: %v", err)
	}
}

func TestMasks(t *testing.T) {
	names := map[string]string{"": "", "张": "*", "张三": "张*", "张小三": "张*三", "欧阳小明": "欧**明", "𠮷田": "𠮷*"}
	for in, want := range names {
		if got := seal.MaskName(in); got != want {
			t.Errorf("MaskName(%q) = %q, want %q", in, got, want)
		}
	}
	cases := []struct {
		got, want string
	}{
		{seal.MaskDocNo("320102188801010015", seal.Public), ""},
		{seal.MaskDocNo("320102188801010015", seal.Counterpart), "**************0015"},
		{seal.MaskDocNo("320102188801010015", seal.Officer), "320***********0015"},
		{seal.MaskDocNo("E12345678", seal.Officer), "*****5678"},
		{seal.MaskDocNo("E1234", seal.Officer), "****4"},
		{seal.MaskDocNo("E12", seal.Counterpart), "***"},
		{seal.MaskPhone("13800000000", seal.Public), ""},
		{seal.MaskPhone("13800000000", seal.Counterpart), "138****0000"},
		{seal.MaskPhone("13800000000", seal.Officer), "138****0000"},
		{seal.MaskPhone("", seal.Officer), ""},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite.String(), func(b *testing.B) {
			v := open(b, b.TempDir(), suite)
			for b.Loop() {
				if _, err := v.Seal(b.Context(), "p", "party-1", "doc_no", "320102188801010015"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestRegisterKeysAreKeptAndNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir, seal.GM)
	if _, _, _, err := v.RegisterKeys(t.Context(), false); err == nil {
		t.Fatal("missing keys were made unasked")
	}
	log, ed, sm2, err := v.RegisterKeys(t.Context(), true)
	if err != nil || log == ed || ed == sm2 || log == sm2 {
		t.Fatalf("got %v", err)
	}
	if _, _, err := v.Rotate(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "keys")
	if _, err := seal.CopyKeys(dir, to); err != nil {
		t.Fatal(err)
	}
	v = open(t, filepath.Dir(to), seal.INTL)
	if l, e, s, err := v.RegisterKeys(t.Context(), false); err != nil || l != log || e != ed || s != sm2 {
		t.Fatalf("after rotation and copy: other keys, or %v", err)
	}
	path := filepath.Join(to, "register")
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Contains(raw, log[:8]) {
		t.Fatalf("a key lies open in its file, or: %v", err)
	}
	raw[20] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := v.RegisterKeys(t.Context(), true); err == nil {
		t.Fatal("damaged keys were read or replaced")
	}
}

// TestForeignKeysAreRefused: the file of keys of another folder, whole in itself, is not opened, and nothing is added to it.
func TestForeignKeysAreRefused(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, at := range []string{dir, other} {
		v := open(t, at, seal.GM)
		for _, who := range []string{"a", "b"} {
			sealed(t, v, who, "s", "f", who)
		}
		if err := v.Erase(t.Context(), "a"); err != nil { // Of an erased slot nobody can tell whose it is.
			t.Fatal(err)
		}
		_ = v.Close()
	}
	foreign, err := os.ReadFile(filepath.Join(other, "keys", "subjects"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "subjects"), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := seal.Open(dir, seal.Options{Now: time.Now})
	if err == nil {
		_, err = v.Seal(t.Context(), "c", "s", "f", "c")
		t.Errorf("opened; a new key beside them: %v", err)
		_ = v.Close()
	} else if !strings.Contains(err.Error(), "another folder's") {
		t.Errorf("it says %v", err)
	}
}
