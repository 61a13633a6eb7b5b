package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"zujian/cmd/zujian/internal/wallclock"
	"zujian/domain"
	"zujian/eventstore/embedded"
	"zujian/eventstore/folder"
	"zujian/eventstore/seal"
	"zujian/eventstore/wire"
)

// storeCmd runs the log alone, so that several servers can share it before a city needs a cluster.
type storeCmd struct {
	Listen   string  `help:"Address to listen on." default:"127.0.0.1:2113" env:"ZUJIAN_STORE_LISTEN"`
	ReadOnly bool    `help:"Take no writes." env:"ZUJIAN_STORE_READ_ONLY"`
	Reserve  int64   `help:"MiB of the disk left free, as serve does. 0 watches nothing." default:"256" env:"ZUJIAN_RESERVE"`
	TLS      tlsFlag `embed:"" prefix:"tls-"`
	Insecure bool    `help:"No TLS and no keys: whoever is on this machine may do everything. Only on a loopback address."`
}

// tlsFlag names a certificate; without one, one is made in the data folder.
type tlsFlag struct {
	Cert string `help:"Certificate (PEM); made in the data folder if none is given." placeholder:"FILE" type:"path"`
	Key  string `help:"Its private key (PEM)." placeholder:"FILE" type:"path"`
}

const (
	storeKeysFile      = "store-keys.json"
	storeAuthorityFile = "store-authority.pem" // What clients are given as tlsCAFile.
	storeCertFile      = "store-cert.pem"
	storeCertKeyFile   = "store-cert-key.pem"
)

// storeKey is a user of the log: only for programs, beside the API keys, which are in the log themselves.
type storeKey struct {
	User       string `json:"user"`
	Key        string `json:"key"`
	Write      bool   `json:"write"`
	Connection string `json:"connection"` // What --store takes, complete, on this machine.
}

// Run implements the command.
func (c *storeCmd) Run(g *globals) error {
	suite, err := seal.ParseSuite(g.Config.Suite)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	recorded := recorder{now: g.Now}
	log, err := embedded.Open(embedded.Options{
		Dir: filepath.Join(g.Data, "log"), Suite: byte(suite), Now: recorded.Now, Logger: g.Log, Fatal: g.fatal, ReserveBytes: c.Reserve << 20,
	})
	if err != nil {
		return err
	}
	guard, err := c.dates(g, log)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	recorded.guard.Store(guard)
	l, err := (&net.ListenConfig{}).Listen(g.Ctx, "tcp", c.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), log.Close())
	}
	o := wireOptions(g, log)
	o.Now, o.Write, o.AppendBytesMax, o.Doubted = recorded.Now, !c.ReadOnly, wire.AppendBytesMost, recorded.doubted
	connection, err := c.secure(g, &o, l.Addr())
	if err != nil {
		return errors.Join(err, l.Close(), log.Close())
	}
	ctx, stop := context.WithCancel(g.Ctx)
	defer stop()
	done, err := serveWire(ctx, o, l)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	fmt.Fprintf(g.Stdout, "zujian %s serves the log of %s at %s\n", version, g.Data, connection)
	var noting sync.WaitGroup
	if guard != nil {
		noting.Go(func() { _ = guard.Run(ctx) }) // It has no error but the end of ctx.
	}
	err = <-done
	stop()
	noting.Wait()
	return errors.Join(err, log.Close())
}

// dates is the guard of what is recorded; a demo city goes by the clock as it is.
func (c *storeCmd) dates(g *globals, log *embedded.Store) (*wallclock.Guard, error) {
	if isDemo(g.Data) {
		return nil, nil
	}
	return openGuard(g.Ctx, log, wallclock.Options{Now: g.Now, Slept: wallclock.Slept, Dir: g.Data, Logger: g.Log})
}

// secure makes the certificate and the keys, unless the log is open to the machine, and says how to connect.
func (c *storeCmd) secure(g *globals, o *wire.Options, at net.Addr) (connection string, err error) {
	if c.Insecure {
		if !loopback(at) {
			return "", fmt.Errorf("%w: --insecure is for a loopback address, not %s", errUsage, at)
		}
		return "esdb://" + at.String() + "?tls=false", nil
	}
	cert, err := c.TLS.load(g, at)
	if err != nil {
		return "", err
	}
	o.TLS = cert
	caFile := c.TLS.Cert
	if caFile == "" {
		caFile = filepath.Join(g.Data, storeAuthorityFile)
	}
	keys, err := storeKeys(g, at, caFile)
	if err != nil {
		return "", err
	}
	o.Authenticate = func(_ context.Context, user, password string) (wire.Caller, error) {
		sum := sha256.Sum256([]byte(password))
		for _, k := range keys {
			want := sha256.Sum256([]byte(k.Key))
			if k.User == user && subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
				return wire.Caller{Name: user, Write: k.Write}, nil
			}
		}
		return wire.Caller{}, errors.New("unknown key")
	}
	return fmt.Sprintf("esdb://%s (keys and connection strings in %s)", at, filepath.Join(g.Data, storeKeysFile)), nil
}

// storeKeys reads the folder's keys, or makes a writer's and a reader's. There are no default secrets.
func storeKeys(g *globals, at net.Addr, caFile string) (keys []storeKey, err error) {
	path := filepath.Join(g.Data, storeKeysFile)
	raw, err := folder.Read(folder.Real(), path)
	if err == nil {
		if err := json.Unmarshal(raw, &keys); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return keys, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, k := range []storeKey{{User: "writer", Write: true}, {User: "reader"}} {
		var secret [24]byte
		if _, err := rand.Read(secret[:]); err != nil {
			return nil, err
		}
		k.Key = "zjs_" + base64.RawURLEncoding.EncodeToString(secret[:])
		u := url.URL{Scheme: "esdb", User: url.UserPassword(k.User, k.Key), Host: at.String(), RawQuery: "tlsCAFile=" + url.QueryEscape(caFile)}
		k.Connection = u.String()
		keys = append(keys, k)
	}
	return keys, writeSecret(path, keys)
}

func loopback(at net.Addr) bool {
	a, err := netip.ParseAddrPort(at.String())
	return err == nil && a.Addr().IsLoopback()
}

// load reads the certificate that is named, or the folder's own, which it makes the first time.
func (f *tlsFlag) load(g *globals, at net.Addr) (*tls.Config, error) {
	certFile, keyFile := f.Cert, f.Key
	if (certFile == "") != (keyFile == "") {
		return nil, fmt.Errorf("%w: a certificate and its key go together", errUsage)
	}
	if certFile == "" {
		certFile, keyFile = filepath.Join(g.Data, storeCertFile), filepath.Join(g.Data, storeCertKeyFile)
		if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
			if err := makeCertificate(g.Now(), at, g.Data); err != nil {
				return nil, fmt.Errorf("make a certificate: %w", err)
			}
		}
	}
	certPEM, err1 := folder.Read(folder.Real(), certFile)
	keyPEM, err2 := folder.Read(folder.Real(), keyFile)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("load certificate %s: %w", certFile, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

const certificateYears = 5

// makeCertificate makes one for this machine and the authority that signs it, whose key is thrown away: clients are given
// the authority as their root, since some refuse a certificate that signed itself.
func makeCertificate(now time.Time, at net.Addr, folder string) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "zujian store authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(certificateYears, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "zujian store"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		leaf.DNSNames = append(leaf.DNSNames, host)
	}
	if a, err := netip.ParseAddrPort(at.String()); err == nil && !a.Addr().IsUnspecified() && !a.Addr().IsLoopback() {
		leaf.IPAddresses = append(leaf.IPAddresses, a.Addr().AsSlice())
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, f := range []struct { // The certificate last: it is what is looked for.
		name, kind string
		der        []byte
	}{{storeAuthorityFile, "CERTIFICATE", caDER}, {storeCertKeyFile, "PRIVATE KEY", secret}, {storeCertFile, "CERTIFICATE", leafDER}} {
		if err := os.WriteFile(filepath.Join(folder, f.name), pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// wireOptions are what every listener of the protocol has.
func wireOptions(g *globals, log *embedded.Store) wire.Options {
	return wire.Options{Store: log, Now: g.Now, NewID: func() [16]byte { return uuid.New() }, Log: g.Log, Reserved: reserved()}
}

// reserved tells the streams and types of the register itself: only the product's own servers write them.
func reserved() func(stream, eventType string) bool {
	types := catalogue()
	categories := map[string]bool{}
	for name := range types {
		category, _, _ := strings.Cut(name, ".")
		categories[category] = true
	}
	return func(stream, eventType string) bool {
		category, _, _ := strings.Cut(strings.TrimLeft(stream, "$"), "-")
		_, known := types[eventType]
		return known || categories[category]
	}
}

// serveWire serves the protocol until ctx ends. The channel then holds how that went.
func serveWire(ctx context.Context, o wire.Options, l net.Listener) (<-chan error, error) {
	s, err := wire.New(ctx, o)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l, wire.Node{}) }()
	done := make(chan error, 1)
	go func() {
		var err error
		select {
		case <-ctx.Done():
			err = errors.Join(s.Close(), <-served)
		case err = <-served:
			err = errors.Join(err, s.Close())
		}
		done <- err
	}()
	return done, nil
}

// esdbFlags serve the protocol beside the API, over the log in the data folder.
type esdbFlags struct {
	Listen   string  `help:"Also serve the log by the EventStoreDB protocol at this address, to API keys of auditors and of the city." env:"ZUJIAN_ESDB_LISTEN" placeholder:"ADDR"`
	Write    bool    `help:"Let the city's keys write streams that are not the register's own." env:"ZUJIAN_ESDB_WRITE"`
	TLS      tlsFlag `embed:"" prefix:"tls-"`
	Insecure bool    `help:"No TLS and no keys: whoever is on this machine may read everything. Only on a loopback address."`
}

// start serves the protocol if an address is given; the channel is nil otherwise.
func (f *esdbFlags) start(ctx context.Context, g *globals, h *house) (<-chan error, error) {
	if f.Listen == "" {
		return nil, nil
	}
	if h.log == nil {
		return nil, fmt.Errorf("%w: --esdb-listen serves the log of the data folder, which is not in use with --store", errUsage)
	}
	l, err := (&net.ListenConfig{}).Listen(g.Ctx, "tcp", f.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	o := wireOptions(g, h.log)
	o.Write, o.Outsiders, o.Doubted = f.Write, true, h.recorded.doubted
	if f.Insecure && !loopback(l.Addr()) {
		return nil, errors.Join(fmt.Errorf("%w: --esdb-insecure is for a loopback address, not %s", errUsage, l.Addr()), l.Close())
	}
	if !f.Insecure {
		if o.TLS, err = f.TLS.load(g, l.Addr()); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		o.Authenticate = func(ctx context.Context, _, password string) (wire.Caller, error) {
			actor, err := h.desk.Authenticate(ctx, password, g.Now())
			if err != nil || (actor.Role != domain.RoleAuditor && actor.Role != domain.RoleCity) {
				return wire.Caller{}, errors.New("no key of an auditor or of the city")
			}
			return wire.Caller{Name: actor.ID, Write: actor.Role == domain.RoleCity}, nil
		}
	}
	done, err := serveWire(ctx, o, l)
	if err == nil {
		fmt.Fprintf(g.Stdout, "the log is served by the EventStoreDB protocol at esdb://%s\n", l.Addr())
	}
	return done, err
}
