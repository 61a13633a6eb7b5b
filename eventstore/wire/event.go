package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"zujian/eventstore"
)

// Keys of a recorded event's metadata.
const (
	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"

	contentJSON   = "application/json"
	contentBinary = "application/octet-stream"
)

// Request headers of our own client adapter, which the real server knows nothing of.
const (
	// headerRaw asks for the log as it is: each event's ordinal in its metadata, under this key, and no event hidden by
	// what deleting and truncating a stream does.
	headerRaw = "zujian-ordinal"
	// headerBare asks for events without data and metadata, by one who only wants to know that there are some.
	headerBare = "zujian-bare"
	// headerSettled asks, with headerRaw, for all back from its end once nothing is under way, and until when by the clock
	// here that is everything: in each event's metadata, under this key, as ticks.
	headerSettled = "zujian-settled"
)

// Types of the events the protocol itself writes.
const (
	typeMetadata   = "$metadata"
	typeTombstone  = "$streamDeleted"
	typeLink       = "$>"
	metadataPrefix = "$$"

	// tombstoneMark tells our tombstone from an event that only has its type.
	tombstoneMark = `{"$tombstone":true}`
)

func structured(id [16]byte) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

func uuidText(id [16]byte) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.UUID(id).String()}}
}

// parseUUID reads either form.
func parseUUID(u *shared.UUID) (id [16]byte, err error) {
	switch v := u.GetValue().(type) {
	case *shared.UUID_Structured_:
		binary.BigEndian.PutUint64(id[:8], uint64(v.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(id[8:], uint64(v.Structured.GetLeastSignificantBits()))
		return id, nil
	case *shared.UUID_String_:
		if parsed, err := uuid.Parse(v.String_); err == nil {
			return parsed, nil
		}
		return id, invalid("'%.64q' is not a UUID", v.String_)
	}
	return id, requiredArgument("id")
}

// streamName checks the name of a stream a caller gave.
func streamName(id *shared.StreamIdentifier) (string, error) {
	name := id.GetStreamName()
	switch {
	case len(name) == 0:
		return "", requiredArgument("stream_identifier")
	case !utf8.Valid(name):
		return "", invalid("the stream name is not valid UTF-8")
	}
	return string(name), nil
}

// proposed is an event as both kinds of append give it.
type proposed interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

// newEvent reads a proposed event, and what it counts towards the append's limit.
func newEvent(p proposed) (e eventstore.NewEvent, bytes int, err error) {
	if e.ID, err = parseUUID(p.GetId()); err != nil {
		return e, 0, err
	}
	var ok bool
	if e.Type, ok = p.GetMetadata()[keyType]; !ok {
		return e, 0, metadataMissing(keyType)
	}
	contentType, ok := p.GetMetadata()[keyContentType]
	if !ok {
		return e, 0, metadataMissing(keyContentType)
	}
	e.Data, e.Binary = p.GetData(), contentType != contentJSON
	custom := p.GetCustomMetadata()
	if e.Meta = eventstore.ParseMetadata(custom); e.Binary && !e.Meta.Outside {
		e.Meta = eventstore.Metadata{Outside: true, Raw: string(custom)}
	}
	return e, len(e.Data) + len(custom) + 2*len(e.Type), nil
}

// outsiders makes events of our shape into events from outside, byte for byte the same to a reader.
func outsiders(es []eventstore.NewEvent) {
	for i := range es {
		if m := &es[i].Meta; !m.Outside {
			*m = eventstore.Metadata{Outside: true, Raw: string(m.Bytes())}
		}
	}
}

func isTombstone(r *eventstore.Recorded) bool {
	return r.Type == typeTombstone && r.Meta.Outside && r.Meta.Raw == tombstoneMark
}

// revision is the revision as the protocol tells it: a tombstone's is the last there can be.
func (c encoder) revision(r *eventstore.Recorded) uint64 {
	if !c.raw && isTombstone(r) {
		return 1<<63 - 1
	}
	return uint64(r.Revision)
}

// ticks are 100 ns since 1970, as text.
func ticks(t time.Time) string { return strconv.FormatInt(t.UnixMicro()*10, 10) }

// encoder makes messages of recorded events in the form a caller asked for.
type encoder struct {
	text, raw, bare, settling bool

	settled string // Until when what is read is everything; told if not empty.
}

func encoderFor(ctx context.Context, text bool) encoder {
	md, _ := metadata.FromIncomingContext(ctx)
	asks := func(header string) bool { return len(md.Get(header)) > 0 }
	return encoder{text: text, raw: asks(headerRaw), bare: asks(headerBare), settling: asks(headerRaw) && asks(headerSettled)}
}

func (c encoder) id(id [16]byte) *shared.UUID {
	if c.text {
		return uuidText(id)
	}
	return structured(id)
}

func (c encoder) metadata(r *eventstore.Recorded) map[string]string {
	m := map[string]string{keyType: r.Type, keyContentType: contentJSON, keyCreated: ticks(r.StoredAt)}
	if r.Binary {
		m[keyContentType] = contentBinary
	}
	if c.raw {
		m[headerRaw] = strconv.FormatUint(r.Ordinal, 10)
	}
	if c.settled != "" {
		m[headerSettled] = c.settled
	}
	return m
}

func (c encoder) recorded(r *eventstore.Recorded) *streams.ReadResp_ReadEvent_RecordedEvent {
	if r == nil {
		return nil
	}
	e := &streams.ReadResp_ReadEvent_RecordedEvent{
		Id: c.id(r.ID), StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.Stream)}, StreamRevision: c.revision(r),
		PreparePosition: uint64(r.Position), CommitPosition: uint64(r.Position), Metadata: c.metadata(r),
	}
	if !c.bare {
		e.CustomMetadata, e.Data = r.Meta.Bytes(), r.Data
	}
	return e
}

func (c encoder) event(it item) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: c.recorded(it.event), Link: c.recorded(it.link),
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: uint64(it.original().Position)},
	}}}
}

// item is an event as it is read: a link keeps what it points at, if that is still to be seen.
type item struct{ event, link *eventstore.Recorded }

func (it item) original() *eventstore.Recorded {
	if it.link != nil {
		return it.link
	}
	return it.event
}

// resolve follows a link.
func (s *Server) resolve(ctx context.Context, r eventstore.Recorded) (item, error) {
	if r.Type != typeLink {
		return item{event: &r}, nil
	}
	number, stream, ok := strings.Cut(string(r.Data), "@")
	rev, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || rev < 0 {
		return item{event: &r}, nil
	}
	w, err := s.window(ctx, stream)
	if err != nil {
		return item{}, err
	}
	if w.deleted || w.gone || !w.sees(eventstore.Revision(rev)) {
		return item{link: &r}, nil
	}
	for target, err := range s.o.Store.Stream(ctx, stream, eventstore.Revision(rev)) {
		if err != nil {
			return item{}, fmt.Errorf("resolve %s: %w", r.Data, err)
		}
		if w.tooOld(&target) {
			break
		}
		return item{link: &r, event: &target}, nil
	}
	return item{link: &r}, nil
}

func linkTo(r *eventstore.Recorded) []byte {
	return fmt.Appendf(nil, "%d@%s", r.Revision, r.Stream)
}
