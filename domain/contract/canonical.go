package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"zujian/domain"
)

// Hash is what the parties sign: SHA-256, in hex, of the canonical JSON (RFC 8785) of the terms.
func Hash(t Terms) string { return hashOf(t) }

// AmendmentHash is what the parties sign to amend the contract whose content hash is now content.
func AmendmentHash(content, amendmentID string, c Changes, effectiveFrom domain.Day) string {
	return hashOf(struct {
		Content       string     `json:"content_hash"`
		AmendmentID   string     `json:"amendment_id"`
		Changes       Changes    `json:"changes"`
		EffectiveFrom domain.Day `json:"effective_from"`
	}{content, amendmentID, c, effectiveFrom})
}

// Certificate is what a filing certificate (备案证明) states and its hash covers. Names and documents of the parties are
// printed beside it from the vault, so that the hash outlives an erasure.
type Certificate struct {
	FilingNo    string     `json:"filing_no"`
	ContentHash string     `json:"content_hash"`
	Authority   string     `json:"authority"`
	FiledOn     domain.Day `json:"filed_on"`
	Unit        string     `json:"unit"`
	Rooms       []string   `json:"rooms,omitempty"`
	Use         string     `json:"use"`
	Start       domain.Day `json:"start"`
	End         domain.Day `json:"end"`
	RentFen     domain.Fen `json:"monthly_rent_fen"`
	Lessors     []string   `json:"lessors"`
	Lessees     []string   `json:"lessees"`

	ChangeNo      int        `json:"change_no,omitempty"`       // How many changes went before and with it; absent as filed.
	ChangedOn     domain.Day `json:"changed_on,omitzero"`       // Of a change.
	EffectiveFrom domain.Day `json:"effective_from,omitzero"`   // The same.
	Replaces      string     `json:"replaces_sha256,omitempty"` // Hash of the version before.
}

// Hash is the SHA-256, in hex, of the canonical JSON of c.
func (c Certificate) Hash() string { return hashOf(c) }

func hashOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // Plain structs of strings and integers always encode.
	}
	sum := sha256.Sum256(Canonical(b))
	return hex.EncodeToString(sum[:])
}

// Canonical rewrites the JSON our own structs encode to in the form of RFC 8785: keys sorted, no space, the shortest
// escapes. Numbers are integers below 2⁵³ and stay as written; keys are ASCII, so byte order is code-unit order.
func Canonical(b []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err) // The input was encoded a moment ago.
	}
	return appendCanonical(nil, v)
}

func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, x)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendCanonical(b, v[k])
		}
		return append(b, '}')
	case nil:
		return append(b, "null"...)
	}
	return fmt.Append(b, v) // json.Number and bool print as they are written.
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
