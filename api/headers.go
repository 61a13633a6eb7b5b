package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"zujian/domain"
	"zujian/eventstore"
)

func etag(r eventstore.Revision) string { return `"` + strconv.FormatInt(int64(r), 10) + `"` }

// readIfMatch reads If-Match: one strong tag of ours, or "*" (nil: any). A tag that can't be ours matches nothing.
func readIfMatch(h http.Header) (*eventstore.Revision, error) {
	values := h.Values("If-Match")
	if len(values) == 0 || (len(values) == 1 && strings.TrimSpace(values[0]) == "*") {
		return nil, nil
	}
	if len(values) > 1 || strings.Contains(values[0], ",") {
		return nil, errHeader.With("header", "If-Match")
	}
	tag := strings.TrimSpace(values[0])
	n, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 63)
	if err != nil || n < 0 || etag(eventstore.Revision(n)) != tag {
		return nil, errPrecondition
	}
	r := eventstore.Revision(n)
	return &r, nil
}

// urlQuery parses strictly: a malformed escape is an error, not a silence.
func urlQuery(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errParameter
	}
	return values, nil
}

// limit is how many rows a page has.
func (c *call) limit() int {
	n, err := strconv.Atoi(c.query["limit"])
	if err != nil {
		return 50
	}
	return n
}

// on is the day a question is about; today when none is named.
func (c *call) on() domain.Day {
	if d, err := domain.ParseDay(c.query["on"]); err == nil {
		return d
	}
	return domain.DayOf(c.At)
}

// asOfYearMin is the first year of ?asOf, in UTC: earlier nothing is recorded, and the zero time is of year 1.
const asOfYearMin = 1970

// asOf is the instant whose knowledge a question wants; the zero time is now. What is known at one to come nobody can say.
func (c *call) asOf() (time.Time, error) {
	text := c.query["asOf"]
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	t = t.UTC()
	if err != nil || t.Year() < asOfYearMin || t.After(c.At) {
		return time.Time{}, errParameter.With("parameter", "asOf")
	}
	return t, nil
}

// cursorMACBytes is how much of the MAC a cursor carries: 128 bits.
const cursorMACBytes = 16

// seal makes a cursor that only this caller can use, and only for this question.
func (s *Server) seal(c *call, state string) string {
	return base64.RawURLEncoding.EncodeToString(append(s.cursorMAC(c, state), state...))
}

// unseal opens the cursor of the request; "" without one.
func (s *Server) unseal(c *call) (string, error) {
	text := c.query["cursor"]
	if text == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < cursorMACBytes || !hmac.Equal(raw[:cursorMACBytes], s.cursorMAC(c, string(raw[cursorMACBytes:]))) {
		return "", errCursor
	}
	return string(raw[cursorMACBytes:]), nil
}

// cursorMAC covers the state, the caller, the route and the filter; the page size may change between pages.
func (s *Server) cursorMAC(c *call, state string) []byte {
	names := make([]string, 0, len(c.query))
	for name := range c.query {
		if name != "cursor" && name != "limit" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	parts := []string{principal(c.Actor), string(c.Actor.Role), c.Actor.Area, c.op.id}
	for _, name := range c.op.pathNames() {
		parts = append(parts, c.path(name))
	}
	for _, name := range names {
		parts = append(parts, name, c.query[name])
	}
	m := hmac.New(sha256.New, s.o.Secret)
	for _, p := range append(parts, state) {
		m.Write([]byte(strconv.Itoa(len(p)) + ":" + p)) // hash.Hash never fails.
	}
	return m.Sum(nil)[:cursorMACBytes]
}

// principal is who an answer belongs to: the party when the key acts for one, else the key.
func principal(a domain.Actor) string {
	if a.Party != "" {
		return "party:" + a.Party
	}
	return "key:" + a.ID
}

// nextURL is the same question with another cursor.
func (c *call) nextURL(cursor string) string {
	q := url.Values{}
	for name, v := range c.query {
		q.Set(name, v)
	}
	q.Set("cursor", cursor)
	return c.echo.Request().URL.EscapedPath() + "?" + q.Encode()
}

func (o *operation) pathNames() []string {
	var names []string
	for name, p := range o.params {
		if p.in == "path" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
