package wire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"

	"zujian/eventstore"
	"zujian/eventstore/embedded"
	"zujian/eventstore/wire"
)

// patience is how long a test waits for what should come at once.
const patience = 60 * time.Second

func openLog(tb testing.TB) *embedded.Store {
	tb.Helper()
	s, err := embedded.Open(embedded.Options{Dir: tb.TempDir(), QueueAge: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// options are those of a server that lets admin:changeit write and reader:letmein read.
func options(store eventstore.Store) wire.Options {
	return wire.Options{
		Store: store, Write: true, Now: time.Now, NewID: func() [16]byte { return uuid.New() },
		Log: slog.New(slog.DiscardHandler),
		Authenticate: func(_ context.Context, user, password string) (wire.Caller, error) {
			switch user + ":" + password {
			case "admin:changeit":
				return wire.Caller{Name: user, Write: true}, nil
			case "reader:letmein":
				return wire.Caller{Name: user}, nil
			}
			return wire.Caller{}, errors.New("unknown")
		},
	}
}

// serve starts a server on a free port and returns its address.
func serve(tb testing.TB, o wire.Options) (address string, s *wire.Server) {
	tb.Helper()
	s, err := wire.New(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return listen(tb, s, "127.0.0.1:0", wire.Node{}), s
}

func listen(tb testing.TB, s *wire.Server, address string, as wire.Node) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l, as) }()
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return l.Addr().String()
}

// certificate is one for this machine, and the authority that signed it, in PEM.
func certificate(tb testing.TB) (_ *tls.Config, authority []byte) {
	tb.Helper()
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		return key
	}
	caKey, key := newKey(), newKey()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	sign := func(c *x509.Certificate, of *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &of.PublicKey, caKey)
		if err != nil {
			tb.Fatal(err)
		}
		return der
	}
	cert := tls.Certificate{Certificate: [][]byte{sign(leaf, key)}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sign(ca, caKey)})
}
