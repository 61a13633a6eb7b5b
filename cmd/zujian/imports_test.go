package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// layers says what each part of the tree may import from this module. First match wins; a trailing slash means "and
// everything below". An unlisted folder fails, so a new part is a decision. The package comment of the part says why.
var layers = []struct{ part, may string }{
	{"domain/domaintest", "domain"},
	{"domain/", "domain"}, // An aggregate sees the kernel, never a sibling.
	{"domain", ""},
	{"eventstore/aggregate", "domain eventstore"},
	{"eventstore/seal/hsm", "eventstore/seal"},
	{"eventstore/seal/remote", "eventstore/seal"},
	{"eventstore/seal", "eventstore/folder"},
	{"eventstore/leaf", "eventstore"},
	{"eventstore/folder", ""},
	{"eventstore/room", "eventstore/folder"},
	{"eventstore/register/notary", "eventstore eventstore/register"},
	{"eventstore/", "eventstore eventstore/folder eventstore/leaf eventstore/room"},
	{"eventstore", ""},
	{"projections/pebbleviews", "eventstore eventstore/folder projections"},
	{"projections/redisviews", "eventstore projections"},
	{"projections/viewstest", "domain eventstore projections"},
	{"projections/process", "domain eventstore eventstore/aggregate projections"},
	{"projections/process/", "domain domain/ eventstore eventstore/aggregate projections projections/process"},
	{"projections/", "domain domain/ eventstore projections"},
	{"projections", "domain eventstore"},
	{"api/desk", "domain domain/ eventstore eventstore/aggregate eventstore/seal projections projections/"},
	{"api/whatif", "api/desk domain domain/ eventstore eventstore/aggregate projections projections/"},
	{"api/", "api domain domain/ eventstore projections projections/"},
	{"api", "api/ domain domain/ eventstore eventstore/aggregate eventstore/leaf eventstore/register eventstore/seal projections projections/"},
	{"cmd/", "*"},
}

// owners says which parts may import a third-party module; a module not listed is free for every part but the domain.
var owners = []struct{ module, parts string }{
	{"github.com/cockroachdb/pebble", "eventstore/embedded eventstore/faults eventstore/folder eventstore/register eventstore/room eventstore/seal projections/pebbleviews"},
	{"github.com/anishathalye/porcupine", "eventstore/faults"},
	{"github.com/labstack/echo", "api"},
	{"github.com/EventStore/EventStore-Client-Go", "eventstore/esdb eventstore/wire"},
	{"github.com/redis/go-redis", "projections/redisviews projections/feed cmd/zujian/internal/peers"},
	{"github.com/jackc/pgx", "cmd/zujian/internal/peers"},
	{"modernc.org/sqlite", "cmd/zujian/internal/peers"},
	{"github.com/ThreeDotsLabs/watermill", "projections/feed"},
	{"github.com/miekg/pkcs11", "eventstore/seal/hsm"},
	{"github.com/emmansun/gmsm", "eventstore/leaf eventstore/register eventstore/seal"},
	{"github.com/xuri/excelize", "cmd/"},
	{"github.com/alecthomas/kong", "cmd/"},
	{"github.com/vbauerster/mpb", "cmd/"},
}

// impure is what the domain may not touch: decisions take data, not the world.
var impure = []string{"net", "os", "log", "sync", "math/rand", "database", "context", "crypto/rand", "io/fs"}

// timed are the adapters of logs, folders and view tables: they time their own disk, and a log defaults its own clock.
var timed = []string{"eventstore/embedded", "eventstore/esdb", "eventstore/faults", "eventstore/folder", "eventstore/memory", "eventstore/storetest", "projections/pebbleviews"}

// banned is what nobody but the composition root reads: times and ids come from the caller.
var banned = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "Tick"},
	"uuid": {"New", "NewString", "NewRandom", "NewV7"},
}

func TestImports(t *testing.T) {
	for _, v := range violations(t, os.DirFS("../..")) {
		t.Error(v)
	}
}

// TestImportsFindsPlantedViolations shows that the test above can fail, rule by rule.
func TestImportsFindsPlantedViolations(t *testing.T) {
	planted := []struct{ file, source, want string }{
		{"domain/contract/x.go", `import _ "zujian/domain/unit"`, "may not import zujian/domain/unit"},
		{"domain/x.go", `import _ "zujian/eventstore"`, "may not import zujian/eventstore"},
		{"domain/x.go", `import _ "github.com/google/uuid"`, "standard library only"},
		{"domain/contract/x.go", `import _ "net/http"`, "is not pure"},
		{"eventstore/x.go", `import _ "zujian/domain"`, "may not import zujian/domain"},
		{"eventstore/embedded/x.go", `import _ "zujian/domain"`, "may not import zujian/domain"},
		{"projections/housing/x.go", `import _ "zujian/eventstore/aggregate"`, "may not import"},
		{"projections/housing/x.go", `import _ "github.com/cockroachdb/pebble/v2"`, "only eventstore/embedded eventstore/faults eventstore/folder eventstore/register eventstore/room eventstore/seal projections/pebbleviews may"},
		{"eventstore/memory/x.go", `import _ "github.com/labstack/echo/v4"`, "only api may"},
		{"api/web/x.go", `import _ "zujian/eventstore/aggregate"`, "may not import"},
		{"helpers/x.go", `import _ "zujian/domain"`, "is not listed"},
		{"domain/x.go", "import \"time\"\nvar _ = time.Now", "time.Now"},
		{"projections/x.go", "import \"github.com/google/uuid\"\nvar _ = uuid.New", "uuid.New"},
	}
	for _, p := range planted {
		got := violations(t, fstest.MapFS{p.file: {Data: []byte("package x\n" + p.source + "\n")}})
		if len(got) != 1 || !strings.Contains(got[0], p.want) {
			t.Errorf("%s: %s: got %q, want one violation with %q", p.file, p.source, got, p.want)
		}
	}
}

func violations(t *testing.T, root fs.FS) (out []string) {
	t.Helper()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && strings.HasPrefix(path.Base(name), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			return err
		}
		out = append(out, fileViolations(name, file)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func fileViolations(name string, file *ast.File) (out []string) {
	dir := path.Dir(name)
	inDomain := dir == "domain" || strings.HasPrefix(dir, "domain/")
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if local, ok := strings.CutPrefix(imported, "zujian/"); ok {
			if why := layered(dir, local); why != "" {
				out = append(out, name+" "+why)
			}
			continue
		}
		std := !strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
		switch {
		case inDomain && !std && dir != "domain/domaintest":
			out = append(out, name+" imports "+imported+": the domain is standard library only")
		case inDomain && dir != "domain/domaintest" && within(imported, impure):
			out = append(out, name+" imports "+imported+", which is not pure")
		case !std:
			for _, o := range owners {
				if within(imported, []string{o.module}) && !within(dir, strings.Fields(o.parts)) {
					out = append(out, name+" imports "+imported+": only "+o.parts+" may")
				}
			}
		}
	}
	if strings.HasPrefix(dir, "cmd/") || within(dir, timed) {
		return out
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				for _, fn := range banned[x.Name] {
					if sel.Sel.Name == fn {
						out = append(out, name+" uses "+x.Name+"."+fn+": take times and ids from the caller; only cmd reads the world")
					}
				}
			}
		}
		return true
	})
	return out
}

// within reports whether name is one of the parts or below one ("a" matches "a" and "a/b"; "cmd/" anything below).
func within(name string, parts []string) bool {
	for _, p := range parts {
		p = strings.TrimSuffix(p, "/")
		if name == p || strings.HasPrefix(name, p+"/") {
			return true
		}
	}
	return false
}

// layered says why dir may not import the local package, or "".
func layered(dir, imported string) string {
	for _, l := range layers {
		if dir != l.part && !(strings.HasSuffix(l.part, "/") && strings.HasPrefix(dir, l.part)) {
			continue
		}
		for may := range strings.FieldsSeq(l.may) {
			if may == "*" || may == imported || (strings.HasSuffix(may, "/") && strings.HasPrefix(imported, may)) {
				return ""
			}
		}
		if strings.HasPrefix(imported, dir+"/") { // Its own subpackages.
			return ""
		}
		return "may not import zujian/" + imported + "; see layers in imports_test.go"
	}
	return "is in a folder that is not listed in layers, imports_test.go"
}
