package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"zujian/domain"
)

// Hash is what the parties sign: SHA-256, in hex, of the canonical JSON (RFC 8785) of the terms.
func Hash(t Terms) string { return hashBy(termsForm, &t, new(hashRoom)) }

// Forms whose JSON is canonical but for its escapes.
var (
	termsForm       = domain.FormOf[Terms]().Sorted()
	certificateForm = domain.FormOf[Certificate]().Sorted()
)

// AmendmentHash is what the parties sign to amend the contract whose content hash is now content.
func AmendmentHash(content, amendmentID string, c Changes, effectiveFrom domain.Day) string {
	return hashOf(json.Marshal(struct {
		Content       string     `json:"content_hash"`
		AmendmentID   string     `json:"amendment_id"`
		Changes       Changes    `json:"changes"`
		EffectiveFrom domain.Day `json:"effective_from"`
	}{content, amendmentID, c, effectiveFrom}))
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
func (c Certificate) Hash() string { return hashBy(certificateForm, &c, new(hashRoom)) }

// hashRoom is where most of what is hashed at every filing has room.
type hashRoom [1 << 10]byte

// hashBy is hashOf for that.
func hashBy[T any](form domain.Form[T], at *T, room *hashRoom) string {
	b, err := form.Append(room[:0], at)
	if err != nil || bytes.IndexByte(b, '\\') >= 0 {
		return hashOf(b, err)
	}
	return hexOf(sha256.Sum256(b))
}

func hexOf(sum [sha256.Size]byte) string {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

func hashOf(b []byte, err error) string {
	if err != nil {
		panic(err) // Plain structs of strings and integers always encode.
	}
	out, _ := appendCanonical(b, b)
	return hexOf(sha256.Sum256(out[len(b):]))
}

// Canonical rewrites the JSON our own structs encode to in the form of RFC 8785: keys sorted, no space, the shortest
// escapes. Numbers are integers below 2⁵³ and stay as written; keys are ASCII without escapes, so byte order is code-unit
// order.
func Canonical(b []byte) []byte {
	out, _ := appendCanonical(make([]byte, 0, len(b)), b)
	return out
}

const space = " \t\r\n"

// appendCanonical adds the first value of b and returns what follows it.
func appendCanonical(out, b []byte) (_, rest []byte) {
	b = bytes.TrimLeft(b, space)
	switch b[0] {
	case '"':
		n := textLen(b)
		if bytes.IndexByte(b[:n], '\\') < 0 {
			return append(out, b[:n]...), b[n:]
		}
		var s string
		if err := json.Unmarshal(b[:n], &s); err != nil {
			panic(err) // The input was encoded a moment ago.
		}
		return appendString(out, s), b[n:]
	case '[':
		out, b = append(out, '['), bytes.TrimLeft(b[1:], space)
		for b[0] != ']' {
			if b[0] == ',' {
				out, b = append(out, ','), b[1:]
			}
			out, b = appendCanonical(out, b)
			b = bytes.TrimLeft(b, space)
		}
		return append(out, ']'), b[1:]
	case '{':
		return appendObject(out, b)
	}
	n := bytes.IndexAny(b, ",]}"+space)
	if n < 0 {
		n = len(b)
	}
	return append(out, b[:n]...), b[n:] // Numbers, true, false and null are as they are written.
}

func appendObject(out, b []byte) (_, rest []byte) {
	type member struct{ key, value []byte }
	var room [40]member
	members := room[:0]
	b = bytes.TrimLeft(b[1:], space)
	for b[0] != '}' {
		if b[0] == ',' {
			b = bytes.TrimLeft(b[1:], space)
		}
		n := textLen(b)
		value := bytes.TrimLeft(bytes.TrimLeft(b[n:], space)[1:], space) // After the colon.
		end := valueLen(value)
		members = append(members, member{b[1 : n-1], value[:end]})
		b = bytes.TrimLeft(value[end:], space)
	}
	slices.SortFunc(members, func(x, y member) int { return bytes.Compare(x.key, y.key) })
	out = append(out, '{')
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out, _ = appendCanonical(append(append(append(out, '"'), m.key...), `":`...), m.value)
	}
	return append(out, '}'), b[1:]
}

// valueLen is the length of the JSON value that b starts with, and of space after a number or word.
func valueLen(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i += textLen(b[i:]) - 1; depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}

// textLen is the length of the JSON text that b starts with, quotes included.
func textLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
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
