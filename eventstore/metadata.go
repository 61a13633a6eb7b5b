package eventstore

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// Every event that comes or goes by the EventStoreDB protocol has its metadata written and read as JSON, which by reflection
// was half of reading a log. What holds nothing that JSON escapes, as all of ours, is written and read by hand, to the same
// bytes; anything else goes the long way. TestMetadataByHand holds the two together.

// Bytes is the metadata as programs of others see it: JSON, or what an outsider gave.
func (m *Metadata) Bytes() []byte {
	if m.Outside {
		return []byte(m.Raw)
	}
	if raw, ok := m.appendPlain(make([]byte, 0, 320)); ok {
		return raw
	}
	return m.encode()
}

func (m *Metadata) encode() []byte {
	raw, err := json.Marshal(m)
	if err != nil {
		panic("eventstore: metadata does not encode: " + err.Error()) // Check refuses the years that do not.
	}
	return raw
}

// ParseMetadata is the reverse of Bytes: bytes that are exactly what our own metadata encodes to are such, any others
// are an outsider's.
func ParseMetadata(raw []byte) (m Metadata) {
	if m, ok := parsePlain(raw); ok {
		return m
	}
	return parse(raw)
}

func parse(raw []byte) (m Metadata) {
	outside := Metadata{Outside: true, Raw: string(raw)}
	if !bytes.HasPrefix(raw, []byte(`{"schema":`)) || json.Unmarshal(raw, &m) != nil || m.At.Nanosecond()%1000 != 0 {
		return outside
	}
	e := NewEvent{ID: [16]byte{1}, Type: "x", Meta: m}.Normal()
	if _, err := checkEvent(&e); err != nil || !bytes.Equal(e.Meta.encode(), raw) {
		return outside
	}
	return e.Meta
}

// plain tells whether JSON writes every byte of s as it is.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// appendPlain writes what encode does, unless something would be escaped.
func (m *Metadata) appendPlain(b []byte) (_ []byte, ok bool) {
	ok = true
	text := func(name, value string) {
		ok = ok && plain(value)
		b = append(append(append(append(b, name...), '"'), value...), '"')
	}
	b = strconv.AppendInt(append(b, `{"schema":`...), int64(m.Schema), 10)
	text(`,"actor":`, m.Actor)
	text(`,"role":`, m.Role)
	text(`,"command":`, m.Command)
	if m.Causation != "" {
		text(`,"$causationId":`, m.Causation)
	}
	text(`,"$correlationId":`, m.Correlation)
	if y := m.At.Year(); m.At.Location() != time.UTC || y < 0 || y > 9999 {
		return b, false
	}
	b = append(m.At.AppendFormat(append(b, `,"at":"`...), time.RFC3339Nano), '"')
	b = strconv.AppendInt(append(b, `,"policy":`...), int64(m.Policy), 10)
	if !m.Salt.IsZero() {
		b = append(hex.AppendEncode(append(b, `,"salt":"`...), m.Salt[:]), '"')
	}
	return append(b, '}'), ok
}

// parsePlain reads what appendPlain wrote, and nothing else.
func parsePlain(raw []byte) (m Metadata, ok bool) {
	p := plainReader{rest: string(raw)} // All strings share its bytes.
	m.Schema = p.number(`{"schema":`)
	m.Actor, m.Role, m.Command = p.text(`,"actor":"`), p.text(`,"role":"`), p.text(`,"command":"`)
	if p.has(`,"$causationId":"`) {
		m.Causation = p.text("")
	}
	m.Correlation = p.text(`,"$correlationId":"`)
	at, err := time.Parse(time.RFC3339Nano, p.text(`,"at":"`))
	if err != nil {
		return m, false
	}
	m.At = at
	m.Policy = p.number(`,"policy":`)
	if p.has(`,"salt":"`) && m.Salt.UnmarshalText([]byte(p.text(""))) != nil {
		return m, false
	}
	if !p.has("}") || p.bad || p.rest != "" || m.At.Nanosecond()%1000 != 0 {
		return m, false
	}
	e := NewEvent{ID: [16]byte{1}, Type: "x", Meta: m}.Normal()
	if _, err := checkEvent(&e); err != nil {
		return m, false
	}
	again, plain := e.Meta.appendPlain(make([]byte, 0, len(raw)))
	return e.Meta, plain && bytes.Equal(again, raw)
}

// plainReader takes JSON apart from its beginning.
type plainReader struct {
	rest string
	bad  bool
}

func (p *plainReader) has(s string) bool {
	if p.bad || len(p.rest) < len(s) || p.rest[:len(s)] != s {
		return false
	}
	p.rest = p.rest[len(s):]
	return true
}

// text is what stands between after and the next quotation mark.
func (p *plainReader) text(after string) string {
	p.bad = !p.has(after) || p.bad
	for i := range len(p.rest) {
		if p.rest[i] == '"' {
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			return s
		}
	}
	p.bad = true
	return ""
}

func (p *plainReader) number(after string) int {
	p.bad = !p.has(after) || p.bad
	end := 0
	for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(p.rest[:end])
	p.bad = p.bad || err != nil
	p.rest = p.rest[end:]
	return n
}
