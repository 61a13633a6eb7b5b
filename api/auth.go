package api

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/labstack/echo/v4"

	"zujian/domain"
)

const (
	actorKey      = "zujian.actor"
	tokenBytesMax = 256 // zj_<keyid>_<secret> has 63.
)

// authenticate finds who calls. A route for everybody takes no key, but a key that is sent must be good.
func (s *Server) authenticate(ctx context.Context, c echo.Context, op *operation) (domain.Actor, error) {
	values := c.Request().Header.Values("Authorization")
	switch {
	case len(values) > 1:
		return domain.Actor{}, errHeader.With("header", "Authorization")
	case len(values) == 0 && op.public:
		return domain.Actor{Role: domain.RolePublic}, nil
	case len(values) == 0:
		return domain.Actor{}, errAuthRequired
	}
	actor, err := s.resolve(ctx, values[0])
	if errors.Is(err, errAuthInvalid) && !s.flood.of(remote(c)).AllowN(s.o.Now(), 1) {
		return actor, errAuthFlood // Wrong keys only: the address may be a proxy's, by which everybody comes.
	}
	return actor, err
}

func (s *Server) resolve(ctx context.Context, header string) (domain.Actor, error) {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(token) > tokenBytesMax {
		return domain.Actor{}, errAuthInvalid
	}
	at, _ := s.when()
	return s.o.Keys.Authenticate(ctx, token, at)
}

// remote is the peer's address. Forwarded headers are not believed: anybody can send them.
func remote(c echo.Context) string {
	host, _, err := net.SplitHostPort(c.Request().RemoteAddr)
	if err != nil {
		return c.Request().RemoteAddr
	}
	return host
}
