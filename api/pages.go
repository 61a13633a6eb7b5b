package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"zujian/api/desk"
	"zujian/api/web"
	"zujian/domain"
)

// routePages adds what stands outside /v1: pages, probes, metrics and the contract itself.
func (s *Server) routePages(e *echo.Echo) {
	e.GET("/", s.page(func(w io.Writer, c echo.Context, lang string) (int, error) {
		return http.StatusOK, s.pages.Home(w, lang, s.status(c.Request().Context()))
	}))
	e.GET("/docs", s.page(func(w io.Writer, _ echo.Context, lang string) (int, error) {
		return http.StatusOK, s.pages.Docs(w, lang)
	}))
	e.GET("/v/:code", s.page(s.verifyPage))
	e.GET("/rent-index/method", s.page(s.methodPage))
	path, style := s.pages.Style()
	e.GET(path, echo.WrapHandler(style))
	e.GET("/openapi.yaml", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "public, max-age=300")
		return c.Blob(http.StatusOK, "application/yaml; charset=utf-8", openapiYAML)
	})
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", s.readyz)
	e.GET("/metrics", echo.WrapHandler(s.metrics.handler))
}

func (s *Server) readyz(c echo.Context) error {
	st := s.status(c.Request().Context())
	code, said := http.StatusOK, "ready\n"
	if !st.Ready {
		code, said = http.StatusServiceUnavailable, "not ready\n"
	}
	switch { // Reading goes on.
	case st.ClockHeld:
		said += "the clock has leapt: nothing is decided by it nor done by its date until zujian clock --confirm\n"
	case st.ClockDoubted:
		said += "the clock was set back: nothing is decided by it until zujian clock --confirm\n"
	}
	return c.String(code, said)
}

func (s *Server) status(ctx context.Context) web.Status {
	st := web.Status{Ready: true}
	if s.o.Status != nil {
		st = s.o.Status(ctx)
	}
	if st.Version == "" {
		st.Version = s.o.Version
	}
	if st.Store == "" {
		st.Store = s.o.StoreName
	}
	return st
}

// page renders for people: language by ?lang or Accept-Language, its own content policy, no other query.
func (s *Server) page(render func(w io.Writer, c echo.Context, lang string) (int, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !s.limits.take(c.Response().Header(), "addr:"+remote(c), s.o.Now()) {
			return errRate
		}
		lang := language(c.Request().Header.Get("Accept-Language"))
		if l := c.QueryParam("lang"); l == langZH || l == langEN {
			lang = l
		}
		var out bytes.Buffer
		status, err := render(&out, c, lang)
		if err != nil {
			return err
		}
		c.Response().Header().Set("Content-Security-Policy", web.CSP)
		c.Response().Header().Set("Vary", "Accept-Language")
		return c.HTMLBlob(status, out.Bytes())
	}
}

// verifyPage says in one look whether to pay. It asks what /v1/verify/{code} asks.
func (s *Server) verifyPage(w io.Writer, c echo.Context, lang string) (int, error) {
	code := cut(c.Param("code"), 64)
	at, _ := s.when()
	page := web.Verify{Code: code, State: web.CodeUnknown, CheckedAt: at}
	if !domain.ValidNumber(code) {
		page.State = web.CodeMalformed
		return http.StatusNotFound, s.pages.Verify(w, lang, page)
	}
	v, err := s.o.Desk.Verify(c.Request().Context(), code, at)
	if errors.Is(err, desk.ErrNotFound) {
		return http.StatusNotFound, s.pages.Verify(w, lang, page)
	}
	if err != nil {
		return 0, err
	}
	page.State, page.Address, page.LetMode, page.AreaC, page.Bedrooms = v.State, v.Address, v.LetMode, v.AreaC, v.Bedrooms
	page.RentFen, page.ValidUntil, page.Mortgaged = int64(v.RentFen), v.ValidUntil.String(), v.Mortgaged
	page.Publisher, page.PublisherRole, page.PublisherOK = v.Publisher, v.PublisherKind, v.PublisherOK
	page.Bank, page.Last4, page.CheckedAt = v.AccountBank, v.AccountLast4, v.CheckedAt
	if unit, ok := s.o.Desk.City().Unit(v.ReportUnit); ok {
		page.Area = unit.NameZH
		if lang == langEN {
			page.Area = unit.NameEN
		}
	}
	return http.StatusOK, s.pages.Verify(w, lang, page)
}
