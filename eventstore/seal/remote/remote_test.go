package remote_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"zujian/eventstore/seal"
	. "zujian/eventstore/seal/remote"
)

func TestRemoteIsTheVault(t *testing.T) {
	v, err := seal.Open(t.TempDir(), seal.Options{Suite: seal.INTL, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	s := httptest.NewServer(Server(v, "token"))
	defer s.Close()
	c := NewClient(s.URL+"/", "token", nil)
	ctx := t.Context()
	sealed, err := c.Seal(ctx, "p1", "party-p1", "name", "王某")
	if err != nil || sealed == "" || strings.Contains(sealed, "王") {
		t.Fatalf("%q %v", sealed, err)
	}
	for who, open := range map[string]func() (string, error){
		"there": func() (string, error) { return v.Open(ctx, "p1", "party-p1", "name", sealed) },
		"here":  func() (string, error) { return c.Open(ctx, "p1", "party-p1", "name", sealed) },
	} {
		if got, err := open(); got != "王某" || err != nil {
			t.Errorf("opened %s: %q, %v", who, got, err)
		}
	}
	if got, err := c.Open(ctx, "p1", "party-p1", "phone", sealed); err == nil {
		t.Errorf("opened as another field: %q", got)
	}
	if got, err := c.Blind(ctx, "document", "x"); got != v.Blind("document", "x") || err != nil {
		t.Errorf("blind %q, %v", got, err)
	}
	if _, err := c.Open(ctx, "p2", "party-p2", "name", sealed); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("nobody's key: %v", err)
	}
	if err := c.Erase(ctx, "p1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(ctx, "p1", "party-p1", "name", sealed); !errors.Is(err, seal.ErrErased) {
		t.Errorf("an erased person's: %v", err)
	}
	if got, err := c.Seal(ctx, "p1", "s", "f", ""); got != "" || err != nil {
		t.Errorf("nothing sealed: %q, %v", got, err)
	}
	if _, err := NewClient(s.URL, "other", nil).Blind(ctx, "document", "x"); !errors.Is(err, seal.ErrUnavailable) {
		t.Errorf("another token: %v", err)
	}
	if got := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(got, "token") {
		t.Errorf("the token is printed: %s", got)
	}
	s.Close()
	if _, err := c.Blind(ctx, "document", "x"); !errors.Is(err, seal.ErrUnavailable) {
		t.Errorf("a vault that is away: %v", err)
	}
}
