package feed

import (
	"net/netip"
	"net/url"
	"strings"

	"zujian/domain/webhook"
)

const urlMax = 2048 // Bytes.

// closed are ranges that no endpoint on the public internet has (RFC 6890 and its registries), and those that carry an
// inner address.
var closed = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var global6 = netip.MustParsePrefix("2000::/3") // All of IPv6 that is given out.

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Public reports whether an address is one of the public internet.
func Public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	for _, p := range closed {
		if p.Contains(a) {
			return false
		}
	}
	return a.Is4() || global6.Contains(a)
}

// CheckURL holds an endpoint's address to what may be called. The address behind a name is looked at when it is dialled.
// loopback lets plain http and addresses of this machine pass, for development.
func CheckURL(text string, loopback bool) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > urlMax || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return webhook.ErrURL.At("/url")
	}
	if loopback {
		if u.Scheme == "http" || u.Scheme == "https" {
			return nil
		}
		return webhook.ErrURL.At("/url")
	}
	if u.Scheme != "https" || (u.Port() != "" && u.Port() != "443") {
		return webhook.ErrURL.At("/url")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil && !Public(addr) {
		return webhook.ErrAddress.At("/url")
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || !strings.ContainsAny(host, ".:") {
		return webhook.ErrAddress.At("/url")
	}
	return nil
}
