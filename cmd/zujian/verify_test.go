package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zujian/projections"
	"zujian/projections/housing"
	"zujian/projections/pebbleviews"
)

// TestVerifyFindsAChangedRow: a view that is what its events say passes, one with a row changed is named, and the views
// built for the comparison are gone afterwards, those of a verify that was killed too.
func TestVerifyFindsAChangedRow(t *testing.T) {
	g := &globals{
		Ctx: t.Context(), Stdout: &lockedBuffer{}, Stderr: &lockedBuffer{}, Data: filepath.Join(t.TempDir(), "city"), Now: time.Now,
		Log: discardLog(), Config: &cli{City: "nanjing", Suite: "INTL"},
	}
	if err := loadDemo(g, 12, 2, 1); err != nil {
		t.Fatal(err)
	}
	replayed := filepath.Join(g.Data, replayDir)
	if err := os.CopyFS(replayed, os.DirFS(filepath.Join(g.Data, "views"))); err != nil {
		t.Fatal(err)
	}
	var res verifyResult
	if code := command(t, &res, "verify", "--data", g.Data); code != 0 || len(res.Views) != 8 {
		t.Fatalf("exit %d: %+v", code, res)
	}
	p := housing.Projection{}
	v, err := pebbleviews.Open(filepath.Join(g.Data, "views"), pebbleviews.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := loadCity(g.Config.City)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range views(c) {
		keysAreShort(t, v, p.Name())
	}
	at, err1 := v.Checkpoint(t.Context(), p.Name(), p.Version())
	key := ""
	err2 := v.Batch(t.Context(), p.Name(), p.Version(), at, at, func(v projections.View) error {
		for row, err := range v.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			key = row.Key
			v.Set(key, append(row.Value, ' '))
			return nil
		}
		return errors.New("the view has no homes")
	})
	if err := errors.Join(err1, err2, v.Close()); err != nil {
		t.Fatal(err)
	}
	var out, errs lockedBuffer
	want := fmt.Sprintf("housing has another value at key %q", projections.KeyText(key))
	if code := run(t.Context(), []string{"verify", "--data", g.Data}, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), want) {
		t.Errorf("exit %d, want %s: %s", code, want, errs.String())
	}
	if _, err := os.Stat(replayed); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", replayed, err)
	}
}

// keysAreShort checks that no view's key was made but by projections.Key, or without UUIDs.
func keysAreShort(t *testing.T, v projections.Views, name string) {
	t.Helper()
	n := 0
	err := v.Read(t.Context(), name, func(r projections.Reader) error {
		for row, err := range r.Scan(t.Context(), "", "", false) {
			if err != nil {
				return err
			}
			if made := projections.Key(projections.Parts(row.Key)...); made != row.Key && n < 3 {
				t.Errorf("%s has a key %q, not %q", name, row.Key, made)
				n++
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestVerifyReadsEveryTable: a byte flipped where no row is read from, in a table's filter or properties, is named like any
// other, in the views' tables and in those of the log's index.
func TestVerifyReadsEveryTable(t *testing.T) {
	t.Parallel()
	g := &globals{
		Ctx: t.Context(), Stdout: &lockedBuffer{}, Stderr: &lockedBuffer{}, Data: filepath.Join(t.TempDir(), "city"), Now: time.Now,
		Log: discardLog(), Config: &cli{City: "nanjing", Suite: "INTL"},
	}
	if err := loadDemo(g, 12, 2, 1); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"views", "log/index"} {
		tables, err := filepath.Glob(filepath.Join(g.Data, part, "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatalf("%s has no tables: %v", part, err)
		}
		table := tables[len(tables)-1]
		raw, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-300] ^= 1
		if err := os.WriteFile(table, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs lockedBuffer
		if code := run(t.Context(), []string{"verify", "--data", g.Data}, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), table) {
			t.Errorf("%s: exit %d: %s", part, code, errs.String())
		}
		raw[len(raw)-300] ^= 1
		if err := os.WriteFile(table, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code := command(t, &verifyResult{}, "verify", "--data", g.Data); code != 0 {
		t.Errorf("mended: exit %d", code)
	}
}
