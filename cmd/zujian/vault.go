package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zujian/api/desk"
	"zujian/eventstore/faults"
	"zujian/eventstore/folder"
	"zujian/eventstore/register/notary"
	"zujian/eventstore/room"
	"zujian/eventstore/seal"
	"zujian/eventstore/seal/remote"
)

// vaultFlags name a vault that several servers share. Without them the keys are in the data folder.
type vaultFlags struct {
	URL       string `name:"vault" help:"Vault of personal data that zujian vault serves: https://host:port; the data folder's own if empty." env:"ZUJIAN_VAULT" placeholder:"URL"`
	TokenFile string `name:"vault-token-file" help:"File with the vault's token." env:"ZUJIAN_VAULT_TOKEN_FILE" placeholder:"FILE" type:"path"`
	CAFile    string `name:"vault-ca-file" help:"Certificates the vault's is checked against (PEM); the system's if none." env:"ZUJIAN_VAULT_CA_FILE" placeholder:"FILE" type:"path"`
}

var errVaultElsewhere = fmt.Errorf("%w: this needs the keys in the data folder, not --vault", errUsage)

// sharedVault is what the desk needs of a vault, wherever it is.
type sharedVault interface {
	desk.Vault
	Close() error
}

// openVault opens the data folder's vault, or the one elsewhere.
func (h *house) openVault(g *globals, suite seal.Suite, o openOptions) error {
	if f := g.Config.Vault; f.URL != "" {
		client, err := f.connect()
		if err == nil {
			h.keys = client
		}
		return err
	}
	wrapper, unload, err := g.Config.HSM.open()
	if err != nil {
		return err
	}
	h.unload = unload
	if h.vault, err = seal.Open(g.Data, seal.Options{FS: h.disk(), Wrapper: wrapper, Suite: suite, Now: o.now, DeferSync: o.deferSync}); err != nil {
		return err
	}
	h.keys = remote.Here{Vault: h.vault}
	return nil
}

// disk is the file system of what is kept beside the log, see [embedded.Store.Disk]; nil is the real one.
func (h *house) disk() faults.FS {
	switch {
	case h.log != nil:
		return h.log.Disk()
	case h.room != nil:
		return h.room.Disk()
	}
	return nil
}

func (f vaultFlags) connect() (sharedVault, error) {
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && (u.Scheme != "http" || !localHost(u.Hostname()))) {
		return nil, fmt.Errorf("%w: --vault is https://host:port, or http:// on this machine", errUsage)
	}
	token, err := os.ReadFile(f.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("read the vault's token: %w", err)
	}
	transport := &http.Transport{}
	if f.CAFile != "" {
		pem, err := os.ReadFile(f.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the vault's certificates: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: %s holds no certificate", errUsage, f.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return remote.NewClient(f.URL, strings.TrimSpace(string(token)), transport), nil
}

func localHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}

// vaultCmd serves the keys of personal data to servers that hold none themselves.
type vaultCmd struct {
	Listen string  `help:"Address to listen on; without TLS on this machine, with TLS beyond it." default:"127.0.0.1:8090" env:"ZUJIAN_VAULT_LISTEN"`
	TLS    tlsFlag `embed:"" prefix:"tls-"`
}

const (
	vaultTokenFile = "vault-token"
	tokenMin       = 16      // Of one that somebody else made, perhaps; nobody finds it by asking.
	vaultBallast   = 1 << 20 // Eight thousand keys, or a checkpoint and as many more as replace it.
)

// Run implements the command.
func (c *vaultCmd) Run(g *globals) (err error) {
	suite, err := seal.ParseSuite(g.Config.Suite)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if g.Config.Vault.URL != "" {
		return fmt.Errorf("%w: a vault is served from its own folder", errUsage)
	}
	if err := refuseLostVault(g); err != nil {
		return err
	}
	h := &house{room: room.New(room.Options{
		FS: g.disk, Dir: registerDir(g), Ballast: vaultBallast, Logger: g.Log,
		Full: "new keys and signatures may have to wait", Again: "keys are made and checkpoints signed",
	})}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.openVault(g, suite, openOptions{now: g.Now}); err != nil {
		return err
	}
	if err := h.refuseCopy(g); err != nil {
		return err
	}
	token, path, err := vaultToken(g)
	if err != nil {
		return err
	}
	n, err := openNotary(g, h)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, n.Close())
		h.noteSigns(g)
	}()
	h.room.Watch()
	defer h.room.Close()
	mux := http.NewServeMux()
	mux.Handle("/", remote.Server(h.vault, token))
	mux.Handle(notary.Prefix, remote.Guard(token, notary.Handler(n)))
	l, err := (&net.ListenConfig{}).Listen(g.Ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	scheme := "http"
	if c.TLS.Cert != "" || !loopback(l.Addr()) {
		config, err := c.TLS.load(g, l.Addr())
		if err != nil {
			return errors.Join(err, l.Close())
		}
		scheme, l = "https", tls.NewListener(l, config)
	}
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	fmt.Fprintf(g.Stdout, "zujian %s serves the vault of %s at %s://%s (token in %s)\n", version, g.Data, scheme, l.Addr(), path)
	select {
	case <-g.Ctx.Done():
		err = errors.Join(server.Close(), ignoreClosed(<-served))
	case err = <-served:
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// vaultToken reads the folder's token, or makes it the first time.
func vaultToken(g *globals) (token, path string, err error) {
	path = filepath.Join(g.Data, vaultTokenFile)
	raw, err := folder.Read(folder.Real(), path)
	if token = strings.TrimSpace(string(raw)); err == nil && len(token) < tokenMin {
		return "", path, fmt.Errorf("%s holds no token of %d characters or more: delete it, and give the servers the one that is then made", path, tokenMin)
	}
	if err == nil {
		return token, path, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", path, err
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", path, err
	}
	token = "zjv_" + base64.RawURLEncoding.EncodeToString(secret[:])
	return token, path, folder.File{Path: path, Data: []byte(token + "\n"), Mode: 0o600}.Write(folder.Real())
}
