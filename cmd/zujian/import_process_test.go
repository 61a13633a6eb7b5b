package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// oldRowsMany is an old register of n good rows, at most a few of them equal.
func oldRowsMany(n int) string {
	var b strings.Builder
	b.WriteString("编号,签订日期,起,止,月租金,面积,街道,室\n")
	for i := range n {
		fmt.Fprintf(&b, "A%d,2026-01-%02d,2026-02-01,2027-01-31,%d,%d,湖南路,2\n", i, i%28+1, 2000+i%3000, 40+i%90)
	}
	return b.String()
}

// importer runs the built program on files in a folder.
type importer struct {
	t                *testing.T
	bin, dir, toData string
}

func newImporter(t *testing.T) *importer {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	i := &importer{t: t, bin: bin, dir: t.TempDir()}
	i.toData = filepath.Join(i.dir, "data")
	i.write("map.json", fmt.Sprintf(oldRegister, ""))
	return i
}

func (i *importer) write(name, content string) string {
	i.t.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return path
}

func (i *importer) command(args ...string) *exec.Cmd {
	return exec.CommandContext(i.t.Context(), i.bin, append([]string{
		"import", "contracts", "--json", "--data", i.toData, "--map", filepath.Join(i.dir, "map.json"), "--rejects", i.dir,
	}, args...)...)
}

// run gives the exit code, the sums and what was said on stderr.
func (i *importer) run(args ...string) (code int, sum importSum, said string) {
	i.t.Helper()
	cmd := i.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			i.t.Fatal(err)
		}
		code = exit.ExitCode()
	}
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &sum); err != nil {
			i.t.Fatalf("%v: %s", err, out.String())
		}
	}
	if strings.Contains(errs.String(), "panic") || strings.Contains(errs.String(), "goroutine ") {
		i.t.Fatalf("a crash: %s", errs.String())
	}
	return code, sum, errs.String()
}

// TestImportProcessKilled kills an import in the middle: run again it goes on, and once more it changes nothing.
func TestImportProcessKilled(t *testing.T) {
	const rows, tries = 15_000, 5
	for try := 1; ; try++ {
		i := newImporter(t)
		file := i.write("old.csv", oldRowsMany(rows))
		i.killed(file)
		code, sum, errs := i.run(file)
		if sum.Recorded == 0 && sum.Already == rows && try < tries {
			continue // On a busy machine it may have come to its end before.
		}
		if code != 0 || sum.Recorded+sum.Already != rows || sum.Already == 0 || sum.Recorded == 0 || sum.Rejected != 0 {
			t.Fatalf("the second run ended with %d: %d recorded, %d already: %s", code, sum.Recorded, sum.Already, errs)
		}
		code, sum, errs = i.run(file)
		if code != 0 || sum.Recorded != 0 || sum.Already != rows {
			t.Errorf("the third run ended with %d: %d recorded, %d already: %s", code, sum.Recorded, sum.Already, errs)
		}
		return
	}
}

// killed begins an import and kills it when some of it is in the log.
func (i *importer) killed(file string) {
	i.t.Helper()
	cmd := i.command(file)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	logs := filepath.Join(i.toData, "log")
	for deadline := time.Now().Add(2 * time.Minute); size(logs) < 1<<20; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			i.t.Fatalf("nothing was imported: %s", said.String())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		i.t.Fatal(err)
	}
	_ = cmd.Wait() // Killed.
}

// size is how many bytes of a folder are written; files are made larger in advance, so that zeros at the end don't count.
func size(dir string) (n int64) {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil {
			n += int64(len(bytes.TrimRight(raw, "\x00")))
		}
	}
	return n
}

// TestImportProcessBadFiles gives the program what real registers are like: it names what it refuses and takes the rest.
func TestImportProcessBadFiles(t *testing.T) {
	i := newImporter(t)
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(oldRowsMany(3))
	if err != nil {
		t.Fatal(err)
	}
	good := oldRowsMany(3)
	for _, c := range []struct {
		name, file, content string
		code                int
		recorded, rejected  int64
		says                string // On stderr, or in the file of rejects.
	}{
		{"UTF-8", "utf8.csv", good, 0, 3, 0, ""},
		{"GB18030", "gb.csv", gb, 0, 3, 0, ""},
		{"a byte-order mark", "bom.csv", "\ufeff" + good, 0, 3, 0, ""},
		{"a wrong type in a cell is recorded as missing", "type.csv", good + "B1,2026-01-09,2026-02-01,2027-01-31,电议,50,湖南路,1\n", 0, 4, 0, ""},
		{"a cell of a million characters likewise", "long.csv", good + "B2," + strings.Repeat("长", 1_000_000) + ",2026-02-01,2027-01-31,2000,50,湖南路,1\n", 0, 4, 0, ""},
		{"an end before the start", "period.csv", good + "B3,2026-01-09,2026-02-01,2025-01-31,2000,50,湖南路,1\n", 0, 3, 1, "/end"},
		{"an empty file", "empty.csv", "", 1, 0, 0, "empty"},
		{"another header", "header.csv", "a,b,c\n1,2,3\n", 1, 0, 0, "header"},
		{"not a workbook", "not.xlsx", "not a zip", 1, 0, 0, "not.xlsx"},
		{"a bomb", "bomb.xlsx", bomb(t), 1, 0, 0, "bomb.xlsx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, sum, said := i.run(i.write(c.file, c.content))
			if rejects, err := os.ReadFile(filepath.Join(i.dir, c.file+".rejects.csv")); err == nil {
				said += string(rejects)
			}
			if code != c.code || int64(sum.Recorded) != c.recorded || int64(sum.Rejected) != c.rejected || !strings.Contains(said, c.says) {
				t.Errorf("ended with %d, %d recorded, %d rejected: %.400s", code, sum.Recorded, sum.Rejected, said)
			}
		})
	}
	if code, _, said := i.run(filepath.Join(i.dir, "absent.csv")); code == 0 || !strings.Contains(said, "absent.csv") {
		t.Errorf("a file that is not there: %d %s", code, said)
	}
}

// bomb is a workbook whose sheet is 600 MB of spaces, in 600 KB.
func bomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	part := func(name, head string, pad int) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(head))
		}
		for chunk := bytes.Repeat([]byte(" "), 1<<20); err == nil && pad > 0; pad-- {
			_, err = w.Write(chunk)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	part("[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`, 0)
	part("xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>`, 0)
	part("xl/_rels/workbook.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`, 0)
	part("xl/worksheets/sheet1.xml", `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`, 600)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
