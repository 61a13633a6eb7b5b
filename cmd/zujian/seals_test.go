package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/domain/party"
	"zujian/eventstore"
)

// TestEverySealedFieldIsKnown fills every field of type Sealed of every event type: the desk must say of each whose it is,
// or verify would pass over it.
func TestEverySealedFieldIsKnown(t *testing.T) {
	shown := map[string]bool{}
	for _, name := range desk.SealedTypes() {
		shown[name] = true
	}
	total := 0
	for name, typ := range catalogue() {
		zero, err := typ.Decode(typ.Version, []byte("{}"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v := reflect.New(reflect.TypeOf(zero)).Elem()
		n := fillSealed(v, 8)
		found := desk.NewSeals().Of("some-stream", v.Interface().(domain.Event))
		if len(found) != n {
			t.Errorf("%s has %d sealed fields, the desk knows %d: %v", name, n, len(found), found)
		}
		if n > 0 && !shown[name] {
			t.Errorf("%s is not among the types that the desk asks for", name)
		}
		total += n
	}
	if total < 10 {
		t.Errorf("only %d sealed fields in all: does this test see them?", total)
	}
}

// fillSealed gives every Sealed below v a value, one element to every list, and counts them. Types hold
// their like: it goes no deeper than it is told.
func fillSealed(v reflect.Value, deep int) (n int) {
	if deep == 0 {
		return 0
	}
	if v.Type() == reflect.TypeFor[domain.Sealed]() {
		v.SetString("sealed")
		return 1
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				n += fillSealed(v.Field(i), deep-1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if n = fillSealed(v.Index(0), deep-1); n == 0 {
			v.SetZero()
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if n = fillSealed(v.Elem(), deep-1); n == 0 {
			v.SetZero()
		}
	}
	return n
}

// TestVerifyOpensEverySeal: a city's sealed fields all open; a forged one, one of a lost key, and one whose key was
// destroyed without a word are named, and nothing is claimed without the keys.
func TestVerifyOpensEverySeal(t *testing.T) {
	g := &globals{
		Ctx: t.Context(), Stdout: &lockedBuffer{}, Stderr: &lockedBuffer{}, Data: filepath.Join(t.TempDir(), "city"), Now: time.Now,
		Log: discardLog(), Config: &cli{City: "nanjing", Suite: "GM"},
	}
	if err := loadDemo(g, 60, 8, 1); err != nil {
		t.Fatal(err)
	}
	sealedExtras(t, g)
	var whole verifyResult
	if code := command(t, &whole, "verify", "--log-only", "--data", g.Data); code != 0 {
		t.Fatalf("exit %d", code)
	}
	s := whole.Seals
	if s.Fields < 100 || s.Opened+s.Erased != s.Fields || s.Erased != 5 || s.Damaged+s.Pending+s.Formal != 0 || !s.KeysHere || whole.Limit != "" {
		t.Errorf("a whole city: %+v", whole)
	}

	copied := func(name string) string {
		to := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(to, os.DirFS(g.Data)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(to, "keys", "kek"), 0o600); err != nil {
			t.Fatal(err)
		}
		return to
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	says := func(name, data string, want ...string) (res verifyResult) {
		t.Helper()
		code, res, said := verified(t, data)
		if code != exitFailed {
			t.Errorf("%s: exit %d", name, code)
		}
		for _, w := range append(want, "at position ") {
			if !strings.Contains(said, w) {
				t.Errorf("%s: does not say %q: %s", name, w, said)
			}
		}
		return res
	}

	forged := copied("forged")
	appendForged(t, g, forged)
	if res := says("another's name", forged, "/name of party.data_corrected", "not what was sealed"); res.Seals.Damaged != 1 {
		t.Errorf("another's name: %+v", res.Seals)
	}

	// An older key folder beside the log: whoever came later has no key.
	lost := copied("lost")
	must(os.Remove(filepath.Join(lost, "keys", "seen")))
	subjects, err := os.ReadFile(filepath.Join(lost, "keys", "subjects"))
	must(err)
	must(os.WriteFile(filepath.Join(lost, "keys", "subjects"), subjects[:len(subjects)/2], 0o600))
	if res := says("an older key folder", lost, "its key is gone"); res.Seals.Damaged == 0 || res.Seals.Opened == 0 {
		t.Errorf("an older key folder: %+v", res.Seals)
	}

	// The tombstones of two erasures are lost with their file: the log says the same.
	silent := copied("silent")
	must(os.Remove(filepath.Join(silent, "keys", "seen")))
	must(os.Remove(filepath.Join(silent, "keys", "erased")))
	if code, res, said := verified(t, silent); code != 0 || res.Seals.Erased != s.Erased {
		t.Errorf("erasures of the log: exit %d %+v %s", code, res.Seals, said)
	}

	apart := copied("apart")
	must(os.RemoveAll(filepath.Join(apart, "keys")))
	if code := command(t, nil, "verify", "--log-only", "--data", apart); code != exitFailed {
		t.Errorf("without the keys, and not told so: exit %d", code)
	}
	if _, err := os.Stat(filepath.Join(apart, "keys")); err == nil {
		t.Error("verify made a key folder")
	}
	var formal verifyResult
	if code := command(t, &formal, "verify", "--without-keys", "--data", apart); code != 0 {
		t.Errorf("without the keys: exit %d", code)
	}
	if f := formal.Seals; f.Formal != s.Fields || f.Opened != 0 || f.KeysHere || formal.Limit == "" {
		t.Errorf("without the keys: %+v", formal)
	}
}

// sealedExtras adds what the demo city lacks: an endpoint's secret that stays, one that is destroyed, and a person erased.
func sealedExtras(t *testing.T, g *globals) {
	t.Helper()
	h, err := openHouse(g, openOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	call := func() desk.Call {
		c := operator(g)
		c.Actor = domain.Actor{ID: uuid.NewString(), Role: domain.RoleCity}
		return c
	}
	_, _, _, err = h.desk.RegisterWebhook(g.Ctx, call(), "https://example.com/a", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	owner := call()
	gone, _, _, err := h.desk.RegisterWebhook(g.Ctx, owner, "https://example.com/b", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	owner.ID = uuid.NewString()
	if _, err := h.desk.RemoveWebhook(g.Ctx, owner, gone); err != nil {
		t.Fatal(err)
	}
	erased, _, err := h.desk.RegisterParty(g.Ctx, call(), desk.NewParty{Kind: party.KindPerson, Name: "测试某", DocType: domain.DocCNID, DocNo: testID(901), Phone: "13800000000"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // One proposes, another decides.
		if _, err := h.desk.ErasePerson(g.Ctx, call(), erased, party.Erase{Reason: "当事人申请", DecisionNo: "决字1"}); err != nil {
			t.Fatal(err)
		}
	}
}

// appendForged writes an event that holds one person's name as another's, past the desk.
func appendForged(t *testing.T, g *globals, data string) {
	t.Helper()
	there := *g
	there.Data = data
	h, err := openHouse(&there, openOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	var name domain.Sealed
	var last eventstore.Recorded
	for rec, err := range h.store.All(g.Ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Type != (party.Registered{}).EventType() {
			continue
		}
		e, err := h.catalogue.Decode(rec.Type, rec.Meta.Schema, rec.Data)
		if err != nil {
			t.Fatal(err)
		}
		if e := e.(party.Registered); e.Name != "" {
			if name != "" {
				last = rec
				break
			}
			name = e.Name
		}
	}
	raw, err := json.Marshal(party.DataCorrected{Name: name, Evidence: "测试"})
	if err != nil {
		t.Fatal(err)
	}
	next := last.NewEvent
	next.ID, next.Type, next.Data, next.Meta.Schema = uuid.New(), (party.DataCorrected{}).EventType(), raw, 1
	if _, err := h.store.Append(g.Ctx, last.Stream, eventstore.AnyRevision, next); err != nil {
		t.Fatal(err)
	}
}
