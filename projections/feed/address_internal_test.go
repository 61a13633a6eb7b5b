package feed

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "223.5.5.5": true, "2400:3200::1": true, "2606:4700::1111": true, "192.0.1.1": true,
		"127.0.0.1": false, "127.8.8.8": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "172.32.0.1": true,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.128.0.1": true, "0.0.0.0": false, "0.1.2.3": false,
		"192.0.0.8": false, "192.0.2.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.7": false, "203.0.113.7": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.88.99.1": false,
		"::1": false, "::": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "::127.0.0.1": false,
		"fe80::1": false, "fc00::1": false, "fd12::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false,
		"2001::1": false, "2001:db8::1": false, "100::1": false, "3fff::1": false,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: public %t", text, got)
		}
	}
}

func TestDialable(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1:443": true, "1.1.1.1:80": false, "1.1.1.1:8443": false, "127.0.0.1:443": false, "[::1]:443": false, "[2400:3200::1]:443": true,
		"example.com:443": false, "": false,
	} {
		if got := dialable(address, false) == nil; got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	if dialable("127.0.0.1:8080", true) != nil || dialable("10.0.0.1:8080", true) == nil {
		t.Error("loopback is for this machine alone")
	}
}

func TestCheckURL(t *testing.T) {
	for text, want := range map[string]bool{
		"https://example.com/hook?x=1": true, "https://example.com:443/": true, "https://例子.中国/": true, "https://1.1.1.1/": true,
		"http://example.com/": false, "https://example.com:8443/": false, "https://user:pw@example.com/": false, "https://example.com/#f": false,
		"https:///x": false, "https://localhost/": false, "https://a.localhost/": false, "https://LOCALHOST./": false, "https://intranet/": false,
		"https://127.0.0.1/": false, "https://[::1]/": false, "https://[::ffff:10.0.0.1]/": false, "https://169.254.169.254/latest": false,
		"ftp://example.com/": false, "javascript:alert(1)": false, "": false, "https://" + strings.Repeat("a", 2048) + ".com/": false, "https://[fe80::1%25eth0]/": false,
	} {
		if got := CheckURL(text, false) == nil; got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if CheckURL("http://127.0.0.1:9/", true) != nil || CheckURL("file:///etc/passwd", true) == nil {
		t.Error("with loopback")
	}
}

// TestTheDialerRefusesWhatANameStandsFor calls a server of this machine by a name, as a name pointed at it would.
func TestTheDialerRefusesWhatANameStandsFor(t *testing.T) {
	called := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433"} {
		a := post(t.Context(), newClient(false), "http://"+host+":"+port+"/", time.Now(), "id", []byte("{}"), nil)
		if a.taken() || called {
			t.Errorf("%s: %+v, called %t", host, a, called)
		}
	}
	if a := post(t.Context(), newClient(false), "http://localhost:"+port+"/", time.Now(), "id", []byte("{}"), nil); a.code != "refused_address" {
		t.Errorf("%+v", a)
	}
}
