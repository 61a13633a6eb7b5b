package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/domain/unit"
	"zujian/eventstore/seal"
	"zujian/projections"
	"zujian/projections/feed"
	"zujian/projections/redisviews/redistest"
	"zujian/projections/rentindex"
)

// nodes are the processes of one register: a log, a vault and a Redis that they share, and two of each part.
type nodes struct {
	t     *testing.T
	redis *redistest.Server
	store *storeProcess
	logAt string // Where the log listens, for a restart.
	logIn string // Its folder.
	args  []string
	parts string // In how many the nodes that keep views keep the index.
	mu    sync.Mutex
	up    map[string]*serverProcess // "api0" …
	data  map[string]string
}

func startNodes(t *testing.T) *nodes {
	t.Helper()
	n := &nodes{t: t, redis: redistest.Start(t), logIn: t.TempDir(), parts: "3", up: map[string]*serverProcess{}, data: map[string]string{}}
	n.store = startStore(t, n.logIn, "--listen", "127.0.0.1:0", "--insecure")
	n.logAt = n.store.at
	vault, token := startVault(t)
	n.args = []string{
		"--store", "esdb://" + n.logAt + "?tls=false", "--views", n.redis.URL(), "--vault", vault, "--vault-token-file", token,
	}
	for _, part := range []string{"api", "project", "react"} {
		for i := range 2 {
			name := part + strconv.Itoa(i)
			n.data[name] = t.TempDir()
			n.start(name)
		}
	}
	return n
}

// start starts a node, again if it was killed.
func (n *nodes) start(name string) {
	n.t.Helper()
	args := append([]string{"--role", strings.TrimRight(name, "01"), "--webhook-loopback"}, n.args...)
	if strings.HasPrefix(name, "project") {
		args = append(args, "--parts", n.parts)
	}
	p := startServer(n.t, n.data[name], args...)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up[name] = p
}

func (n *nodes) node(name string) *serverProcess {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.up[name]
}

func startVault(t *testing.T, more ...string) (url, tokenFile string) {
	t.Helper()
	v := &vaultProcess{t: t, data: t.TempDir(), listen: "127.0.0.1:0", more: more}
	v.start()
	return v.url, v.token
}

// vaultProcess is a vault that may be killed, and started again where it was.
type vaultProcess struct {
	t          *testing.T
	data       string
	listen     string
	more       []string
	url, token string
	cmd        *exec.Cmd
}

func (v *vaultProcess) start() {
	v.t.Helper()
	bin, err := program()
	if err != nil {
		v.t.Fatal(err)
	}
	cmd := exec.Command(bin, append([]string{"vault", "--data", v.data, "--listen", v.listen}, v.more...)...)
	logs := &lockedBuffer{}
	cmd.Stderr = logs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.cmd = cmd
	v.t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended already.
		_ = cmd.Wait()         // A killed process says so here.
	})
	where := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if _, rest, ok := strings.Cut(lines.Text(), " at "); ok {
				where <- strings.Fields(rest)[0]
			}
		}
		close(where)
	}()
	v.url = ""
	select {
	case v.url = <-where:
	case <-time.After(time.Minute):
	}
	if v.url == "" {
		v.t.Fatalf("the vault did not start\n%s", logs)
	}
	_, v.listen, _ = strings.Cut(v.url, "://")
	v.token = filepath.Join(v.data, vaultTokenFile)
}

func (v *vaultProcess) kill() {
	_ = v.cmd.Process.Kill() // It lives, or the test has failed before.
	_ = v.cmd.Wait()         // A killed process says so here.
}

// TestVaultOverTLS: the vault is reached by its own authority's word alone, and with its token alone.
func TestVaultOverTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	dir := t.TempDir()
	if err := makeCertificate(time.Now(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, dir); err != nil {
		t.Fatal(err)
	}
	url, token := startVault(t, "--tls-cert", filepath.Join(dir, storeCertFile), "--tls-key", filepath.Join(dir, storeCertKeyFile))
	ask := func(f vaultFlags) error {
		v, err := f.connect()
		if err != nil {
			return err
		}
		defer v.Close()
		_, err = v.Blind(t.Context(), "document", "x")
		return err
	}
	good := vaultFlags{URL: url, TokenFile: token, CAFile: filepath.Join(dir, storeAuthorityFile)}
	if err := ask(good); err != nil || !strings.HasPrefix(url, "https://") {
		t.Errorf("%s: %v", url, err)
	}
	stranger := good
	stranger.CAFile = ""
	wrong := good
	wrong.TokenFile = good.CAFile
	for what, f := range map[string]vaultFlags{"an authority nobody knows": stranger, "another token": wrong} {
		if err := ask(f); !errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, url := range []string{"http://example.com:1", "https://user:x@localhost:1", "ftp://localhost", "://"} {
		if err := ask(vaultFlags{URL: url, TokenFile: token}); !errors.Is(err, errUsage) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// holders are the processes that keep views, each by its token, and how many each keeps.
func (n *nodes) holders() map[string]int {
	client := n.redis.Client()
	defer client.Close()
	out := map[string]int{}
	keys, err := client.Keys(n.t.Context(), "*:{lease}:view/*").Result()
	for _, key := range keys {
		if who, e := client.Get(n.t.Context(), key).Result(); e == nil { // It may just have expired.
			out[who]++
		}
	}
	if err != nil {
		n.t.Error(err)
	}
	return out
}

// TestManyNodes runs a register of many processes under load and kills each part of it: nothing acknowledged is lost,
// nothing is done twice, reads go on or say that they are behind, and another takes over. Two nodes divide the views and the
// parts of the index among them; in the end it is kept in another number of parts, and equals the whole.
func TestManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills real processes")
	}
	n := startNodes(t)
	client := n.redis.Client()
	defer client.Close()
	w := prepare(t, n.node("api0"), n.data["api0"])
	hook := newSubscriber(t)
	made := n.node("api0").must(t, http.StatusCreated, "POST", "/v1/webhook-endpoints", w.city, map[string]any{"url": hook.URL, "types": []string{"contract.filed"}})
	hook.with(func() { hook.secret = made.field(t, "secret") })
	l := &nodeLoad{nodes: n, world: w, hook: hook, heard: map[string]bool{}, acked: map[string]filed{}, paid: map[string]int64{}}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range 4 {
		load.Go(func() { l.file(ctx, i) })
	}
	load.Go(func() { l.read(ctx) })
	listening, stopListening := context.WithCancel(t.Context())
	var listener sync.WaitGroup
	listener.Go(func() { l.listen(listening) })
	defer listener.Wait()
	defer stopListening()
	kill := func(name string) func() {
		return func() { n.node(name).kill() }
	}
	l.until("the nodes divide the views", func() bool {
		h := n.holders()
		t.Logf("views kept: %v", h)
		return len(h) == 2
	})
	for _, step := range []struct {
		what        string
		harm, mend  func()
		expectLater bool
	}{
		{"project0", kill("project0"), func() { n.start("project0") }, true},
		{"project1", kill("project1"), func() { n.start("project1") }, true},
		{"react0", kill("react0"), func() { n.start("react0") }, true},
		{"react1", kill("react1"), func() { n.start("react1") }, true},
		{"api0", kill("api0"), func() { n.start("api0") }, true},
		{"redis emptied", func() {
			if err := client.FlushAll(ctx).Err(); err != nil {
				t.Error(err)
			}
		}, func() {}, true},
		{"redis killed", n.redis.Kill, func() { n.redis.Restart(t) }, false},
		{"the log killed", func() { _ = n.store.cmd.Process.Kill(); err := <-n.store.done; n.store.done <- nil; _ = err }, func() {
			n.store = startStore(t, n.logIn, "--listen", n.logAt, "--insecure")
		}, false},
		{"another number of parts", func() {
			n.parts = "2"
			for _, name := range []string{"project0", "project1"} {
				n.node(name).kill()
				n.start(name)
			}
		}, func() {}, false},
	} {
		time.Sleep(300 * time.Millisecond)
		before := l.count()
		step.harm()
		began := time.Now()
		if !step.expectLater {
			time.Sleep(300 * time.Millisecond)
			step.mend()
		}
		l.until(step.what+": views know a new write", func() bool { return l.seen(ctx) })
		t.Logf("%s: views know a new write %s later", step.what, time.Since(began).Round(10*time.Millisecond))
		if step.expectLater {
			step.mend()
		}
		l.until(step.what+": filings go on", func() bool { return l.count() > before || l.exhausted() })
	}
	stop()
	load.Wait()
	l.finish()
}

// nodeLoad is clients at both API nodes, and what was answered to them.
type nodeLoad struct {
	nodes  *nodes
	world  *loadWorld
	hook   *subscriber     // Is told of every filing.
	heard  map[string]bool // Filings told of by live streams.
	next   atomic.Int64
	people atomic.Int64
	behind atomic.Int64
	wrong  atomic.Int64
	mu     sync.Mutex
	acked  map[string]filed
	paid   map[string]int64
}

func (l *nodeLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

func (l *nodeLoad) exhausted() bool { return int(l.next.Load()) >= 2*len(l.world.units) }

func (l *nodeLoad) until(what string, ok func() bool) {
	l.nodes.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			for name := range l.nodes.data {
				lines := strings.Split(l.nodes.node(name).logs.String(), "\n")
				l.nodes.t.Logf("%s: %s", name, strings.Join(lines[max(0, len(lines)-20):], "\n"))
			}
			l.nodes.t.Fatalf("never: %s", what)
		}
	}
}

// base is an API node, another each time.
func (l *nodeLoad) base(i int) string { return l.nodes.node("api" + strconv.Itoa(i%2)).base }

func (l *nodeLoad) file(ctx context.Context, worker int) {
	for i := worker; ctx.Err() == nil && !l.exhausted(); i++ {
		k := int(l.next.Add(1)) - 1
		var f filed
		for ctx.Err() == nil { // The same request again and again, at either node, until it is answered.
			var ok, done bool
			if f, ok, done = l.tryFile(ctx, l.base(i), k); ok || done {
				break
			}
			i++
			time.Sleep(20 * time.Millisecond)
		}
		if f.number == "" {
			continue
		}
		l.mu.Lock()
		l.acked[f.contract] = f
		l.mu.Unlock()
		for range 20 {
			if amount, ok := l.world.pay(ctx, l.base(i), f, k); ok {
				l.mu.Lock()
				l.paid[f.contract] = amount
				l.mu.Unlock()
				break
			}
			i++
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// tryFile asks once; done means that the answer is a no.
func (l *nodeLoad) tryFile(ctx context.Context, base string, k int) (f filed, ok, done bool) {
	var status int
	f, status = l.world.fileStatus(ctx, base, k)
	return f, f.number != "", status >= 400 && status < 500
}

// read reads a view all the time.
func (l *nodeLoad) read(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		r, err := ask(ctx, l.base(i), http.MethodGet, "/v1/views/housing/contracts?limit=20", l.world.city, nil)
		switch {
		case err != nil: // The node is dead.
		case r.status == http.StatusServiceUnavailable:
			l.behind.Add(1)
		case r.status != http.StatusOK:
			l.wrong.Add(1)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// listen follows live events, at the other node whenever a stream breaks.
func (l *nodeLoad) listen(ctx context.Context) {
	last := "0"
	for i := 0; ctx.Err() == nil; i++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base(i)+"/v1/events/stream?types=contract.filed", nil)
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+l.world.city)
		req.Header.Set("Last-Event-ID", last)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			var e feed.Event
			switch {
			case name == "id":
				last = value
			case name == "data" && json.Unmarshal([]byte(value), &e) == nil:
				l.mu.Lock()
				if l.heard[e.ID] {
					l.nodes.t.Errorf("the stream tells of %s twice", e.Subject)
				}
				l.heard[e.ID] = true
				l.mu.Unlock()
			}
		}
		_ = res.Body.Close() // It broke.
	}
}

// seen writes something and asks the other node for views that know it.
func (l *nodeLoad) seen(ctx context.Context) bool {
	r, err := ask(ctx, l.base(1), http.MethodPost, "/v1/parties", l.world.city, map[string]any{
		"kind": "PERSON", "name": "测试人", "doc_type": "CN_ID", "doc_no": testID(200 + int(l.people.Add(1))), "phone": "13800000000",
	})
	if err != nil || r.status != http.StatusCreated {
		return false
	}
	at := r.header.Get("Zujian-Position")
	for _, path := range []string{"/v1/views/people/subjects?limit=1", "/v1/views/housing/contracts?limit=1", "/v1/views/money/ledgers?limit=1", "/v1/rent-index?area=city"} {
		for _, i := range []int{1, 0} {
			r, err = ask(ctx, l.base(i), http.MethodGet, path, l.world.city, nil, "Zujian-At-Least", at)
			if err == nil {
				break // One of them may be dead.
			}
		}
		if err != nil || r.status != http.StatusOK {
			return false
		}
	}
	return true
}

// finish checks all that was acknowledged, the log for what was done twice, and the views against a replay.
func (l *nodeLoad) finish() {
	t := l.nodes.t
	l.world.check(t, l.nodes.node("api1"), l.acked, l.paid)
	t.Logf("%d filings asked, %d acknowledged, %d paid, 0 lost; %d reads were told to wait", l.next.Load(), len(l.acked), len(l.paid), l.behind.Load())
	if len(l.acked) < 10 || l.wrong.Load() > 0 {
		t.Errorf("%d acknowledged; %d reads failed otherwise than by 503", len(l.acked), l.wrong.Load())
	}
	g := &globals{Ctx: t.Context(), Stdout: &lockedBuffer{}, Stderr: &lockedBuffer{}, Data: t.TempDir(), Now: time.Now}
	g.Config, g.Log = nodeConfig(l.nodes), discardLog()
	h, err := openHouse(g, openOptions{role: roleReact})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var filings map[string]bool
	l.until("every filing has its lease, every acknowledged one its ledger", func() bool { // The last leases by the processes.
		var lacking []string
		filings, lacking = l.facts(h)
		return len(filings) >= len(l.acked) && len(lacking) == 0
	})
	var told map[string]bool
	l.until("everybody is told of every filing", func() bool {
		told = map[string]bool{}
		l.hook.with(func() {
			for _, e := range l.hook.got {
				told[e.ID] = true
			}
		})
		return len(told) == len(filings)
	})
	l.until("the stream tells of every filing", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.heard) == len(filings)
	})
	l.hook.with(func() { t.Logf("%d filings told of in %d messages", len(filings), len(l.hook.got)) })
	maps.DeleteFunc(filings, func(id string, _ bool) bool { return told[id] })
	if len(filings) > 0 {
		t.Errorf("%d filings were not told of, others were", len(filings))
	}
	l.until("readers see the index in two parts", func() bool {
		of, err := projections.ReadParts(t.Context(), h.views, rentindex.Projection{Model: h.city.Model}.Name())
		return err == nil && of == 2
	})
	head, err := h.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range views(h.city) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := h.runner.WaitFor(ctx, p.Name(), head.Position)
		cancel()
		if err = errors.Join(err, projections.CompareReplay(t.Context(), h.store, h.views, h.catalogue, p, &projections.Memory{})); err != nil {
			t.Error(fmt.Errorf("view %s: %w", p.Name(), err))
		}
	}
}

// facts reads the ids of all filings from the log, and which contracts lack what must follow. Nothing may be there twice.
func (l *nodeLoad) facts(h *house) (filings map[string]bool, lacking []string) {
	once, leased := map[string]int{}, map[string]bool{}
	filings = map[string]bool{}
	for e, err := range h.store.All(l.nodes.t.Context(), 0) {
		if err != nil {
			l.nodes.t.Fatal(err)
		}
		switch e.Type {
		case "contract.filed":
			filings[uuid.UUID(e.ID).String()] = true
		case "unit.leased":
			d, err := h.catalogue.Decode(e.Type, e.Meta.Schema, e.Data)
			if err != nil {
				l.nodes.t.Fatal(err)
			}
			leased[d.(unit.Leased).Contract] = true
		case "escrow.funds_expected":
		default:
			continue
		}
		if once[e.Type+" "+e.Stream]++; once[e.Type+" "+e.Stream] > 1 {
			l.nodes.t.Errorf("%s twice on %s", e.Type, e.Stream)
		}
	}
	for fact := range once {
		if id, isFiling := strings.CutPrefix(fact, "contract.filed contract-"); isFiling {
			if _, acked := l.acked[id]; !leased[id] || (acked && once["escrow.funds_expected escrow-"+id] == 0) {
				lacking = append(lacking, id)
			}
		}
	}
	return filings, lacking
}

func nodeConfig(n *nodes) *cli {
	c := &cli{City: "nanjing", Suite: "INTL"}
	c.Store, c.Views, c.Vault.URL, c.Vault.TokenFile = "esdb://"+n.logAt+"?tls=false", n.redis.URL(), n.args[5], n.args[7]
	return c
}

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
