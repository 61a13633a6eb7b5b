package feed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"zujian/eventstore"
)

// Event is what outsiders are told of an event: CloudEvents 1.0, structured JSON, thin.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"` // Of the event in the log: the same in every repeat.
	Source          string    `json:"source"`
	Type            string    `json:"type"`    // "cn.zujian.contract.filed.v1"
	Subject         string    `json:"subject"` // "contract-<id>"
	Time            time.Time `json:"time"`    // Recorded.
	DataContentType string    `json:"datacontenttype"`
	Data            Thin      `json:"data"`
}

// Thin is where to read more.
type Thin struct {
	ID       string `json:"id"` // Of the thing: of the contract, unit, …
	Event    string `json:"event"`
	Revision int64  `json:"revision"`
	Position uint64 `json:"position"`
	Read     string `json:"read,omitempty"` // Path of the API.
}

// paths of the API, by category of stream.
var paths = map[string]string{
	"building": "/v1/buildings/", "contract": "/v1/contracts/", "escrow": "/v1/escrow/", "listing": "/v1/listings/", "party": "/v1/parties/",
	"statement": "/v1/bank-statements/", "unit": "/v1/units/",
}

// About makes the message that tells of an event.
func About(source string, e eventstore.Recorded) Event {
	category, id, _ := strings.Cut(e.Stream, "-")
	thin := Thin{ID: id, Event: e.Type, Revision: int64(e.Revision), Position: uint64(e.Position)}
	if path, ok := paths[category]; ok {
		thin.Read = path + id
	}
	return Event{
		SpecVersion: "1.0", ID: uuid.UUID(e.ID).String(), Source: source, Type: "cn.zujian." + e.Type + ".v" + strconv.Itoa(e.Meta.Schema),
		Subject: e.Stream, Time: e.StoredAt, DataContentType: "application/json", Data: thin,
	}
}

// JSON of the message.
func (e Event) JSON() []byte {
	raw, err := json.Marshal(e)
	if err != nil {
		panic("feed: " + err.Error()) // Plain fields always encode.
	}
	return raw
}

// SecretPrefix begins a signing secret, base64 follows (Standard Webhooks).
const SecretPrefix = "whsec_"

// SecretBytes is how long a secret is made.
const SecretBytes = 32

var errSecret = errors.New("feed: a secret that is none of ours")

// sign sets the headers of Standard Webhooks: v1 signatures by every secret, the current first.
func sign(h http.Header, id string, at time.Time, body []byte, secrets []string) error {
	stamp := strconv.FormatInt(at.Unix(), 10)
	var signatures []string
	for _, s := range secrets {
		text, ok := strings.CutPrefix(s, SecretPrefix)
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil {
			return errSecret
		}
		m := hmac.New(sha256.New, key)
		m.Write([]byte(id + "." + stamp + ".")) // hash.Hash never fails.
		m.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", strings.Join(signatures, " "))
	return nil
}
