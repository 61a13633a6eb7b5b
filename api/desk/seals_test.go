package desk

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// slowKeys is a vault that says what it was asked to seal, a second after it was first asked of a subject.
type slowKeys struct {
	Vault
	full string // A subject there is no room for.
}

func (v slowKeys) Seal(_ context.Context, subject, stream, field, plain string) (string, error) {
	if field == occupantName {
		time.Sleep(time.Second)
	}
	if subject == v.full {
		return "", errNoRoom
	}
	return subject + " " + stream + " " + field + " " + plain, nil
}

var errNoRoom = errors.New("no room")

func TestAHouseholdWaitsOnceForItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in []NewOccupant
		for i := range 5 {
			in = append(in, NewOccupant{ClearName: " name" + strconv.Itoa(i), ClearDoc: "e-" + strconv.Itoa(i)})
		}
		in[1].ClearName, in[1].Party = "", "someone"
		in[2].ID, in[3].ClearDoc = "own", ""
		d, began := New(Options{Vault: slowKeys{}}), time.Now()
		out, err := d.sealOccupants(t.Context(), "c", in)
		if took := time.Since(began); err != nil || took != time.Second {
			t.Fatalf("after %v: %v", took, err)
		}
		for i, want := range []struct{ id, name, doc string }{
			{"1", "occupant-c-1 contract-c name name0", "occupant-c-1 contract-c doc E-0"},
			{"2", "", ""},
			{"own", "occupant-c-own contract-c name name2", "occupant-c-own contract-c doc E-2"},
			{"4", "occupant-c-4 contract-c name name3", ""},
			{"5", "occupant-c-5 contract-c name name4", "occupant-c-5 contract-c doc E-4"},
		} {
			if got := out[i]; got.ID != want.id || string(got.Name) != want.name || string(got.Doc) != want.doc {
				t.Errorf("occupant %d is %+v, not %+v", i, got, want)
			}
		}
		if in[0].ID != "" || out[1].Party != "someone" {
			t.Errorf("%+v became %+v", in, out)
		}
		d = New(Options{Vault: slowKeys{full: "occupant-c-4"}})
		if _, err := d.sealOccupants(t.Context(), "c", in); !errors.Is(err, errNoRoom) {
			t.Errorf("a key was not made: %v", err)
		}
		in[4].ClearName, began = "\u202e", time.Now()
		if _, err := d.sealOccupants(t.Context(), "c", in); !errors.Is(err, ErrName) || time.Since(began) > 0 {
			t.Errorf("a name that is none: %v after %v", err, time.Since(began))
		}
	})
}
