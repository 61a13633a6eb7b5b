package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"zujian/eventstore"
	"zujian/eventstore/memory"
)

type readOptions = streams.ReadReq_Options

// reading are the options of a read of a stream from its start; "" is all.
func reading(stream string, change func(*readOptions)) *readOptions {
	o := &readOptions{
		CountOption: &streams.ReadReq_Options_Count{Count: 1000}, FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: none},
		UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: none}},
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: name(stream), RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: none},
		}},
	}
	if stream == "" {
		o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: none}}}
	}
	if change != nil {
		change(o)
	}
	return o
}

func (p *party) open(o *readOptions) streams.Streams_ReadClient {
	p.Helper()
	call, err := p.streams.Read(as(p, admin), &streams.ReadReq{Options: o})
	if err != nil {
		p.Fatal(err)
	}
	return call
}

// read returns every answer, and how the call ended.
func (p *party) read(o *readOptions) (out []*streams.ReadResp, call streams.Streams_ReadClient, err error) {
	p.Helper()
	call = p.open(o)
	for {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return out, call, nil
		}
		if err != nil {
			return out, call, err
		}
		out = append(out, m)
	}
}

// revisions are those of the events among answers; other answers show as their type.
func revisions(ms []*streams.ReadResp) string {
	var out []string
	for _, m := range ms {
		switch c := m.GetContent().(type) {
		case *streams.ReadResp_Event:
			out = append(out, fmt.Sprint(c.Event.GetEvent().GetStreamRevision()))
		case *streams.ReadResp_FirstStreamPosition:
			out = append(out, fmt.Sprintf("first %d", c.FirstStreamPosition))
		case *streams.ReadResp_LastStreamPosition:
			out = append(out, fmt.Sprintf("last %d", c.LastStreamPosition))
		case *streams.ReadResp_StreamNotFound_:
			out = append(out, "not found")
		default:
			out = append(out, fmt.Sprintf("%T", c))
		}
	}
	return strings.Join(out, " ")
}

func at(rev uint64, back bool) func(*readOptions) {
	return func(o *readOptions) {
		o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: rev}
		if back {
			o.ReadDirection = streams.ReadReq_Options_Backwards
		}
	}
}

func TestReadStream(t *testing.T) {
	p := newParty(t, openLog(t))
	p.append("s", 6, "")
	p.append("$$s", 1, "") // Its data has no effect.
	for _, try := range []struct {
		name, stream string
		change       func(*readOptions)
		want         string
	}{
		{"from the start", "s", nil, "0 1 2 3 4 5"},
		{"from a revision", "s", at(4, false), "4 5"},
		{"from beyond the end", "s", at(9, false), ""},
		{"back from a revision", "s", at(2, true), "2 1 0"},
		{"back from beyond the end", "s", at(99, true), "5 4 3 2 1 0"},
		{"back from the end, two", "s", func(o *readOptions) {
			at(0, true)(o)
			o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: none}
			o.CountOption = &streams.ReadReq_Options_Count{Count: 2}
		}, "5 4"},
		{"with positions", "s", func(o *readOptions) {
			o.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
			o.CountOption = &streams.ReadReq_Options_Count{Count: 2}
		}, "first 0 0 1 last 5"},
		{"a stream that never was", "other", nil, "not found"},
		{"none of it", "s", func(o *readOptions) { o.CountOption = &streams.ReadReq_Options_Count{} }, ""},
		{"a metadata stream", "$$s", nil, "0"},
	} {
		got, _, err := p.read(reading(try.stream, try.change))
		if err != nil || revisions(got) != try.want {
			t.Errorf("%s: got %q, %v, want %q", try.name, revisions(got), err, try.want)
		}
	}
}

func TestReadAllPositions(t *testing.T) {
	p := newParty(t, openLog(t))
	p.append("s", 5, "")
	all, _, err := p.read(reading("", nil))
	if err != nil || revisions(all) != "0 1 2 3 4" {
		t.Fatalf("got %q, %v", revisions(all), err)
	}
	third := all[2].GetEvent().GetCommitPosition()
	from := func(commit, prepare uint64, back bool) func(*readOptions) {
		return func(o *readOptions) {
			o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: prepare}}
			if back {
				o.ReadDirection = streams.ReadReq_Options_Backwards
			}
		}
	}
	for _, try := range []struct {
		change func(*readOptions)
		want   string
	}{{from(third, third, false), "2 3 4"}, {from(third, third, true), "1 0"}, {from(third+1, third+1, false), "3 4"}, {from(0, 0, true), ""}, {from(1<<62, 1<<62, false), ""}} {
		got, _, err := p.read(reading("", try.change))
		if err != nil || revisions(got) != try.want {
			t.Errorf("got %q, %v, want %q", revisions(got), err, try.want)
		}
	}
	_, _, err = p.read(reading("", from(1, 2, false)))
	fails(t, "prepare beyond commit", err, nil, codes.InvalidArgument, "")
}

func TestIllegalReads(t *testing.T) {
	p := newParty(t, &memory.Store{})
	p.append("s", 1, "")
	filter := func(f *streams.ReadReq_Options_FilterOptions) func(*readOptions) {
		return func(o *readOptions) { o.FilterOption = &streams.ReadReq_Options_Filter{Filter: f} }
	}
	pattern := func(regex string) *streams.ReadReq_Options_FilterOptions {
		return &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: regex}},
			Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 10},
		}
	}
	subscription := &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	for what, o := range map[string]*readOptions{
		"no options":           nil,
		"no stream":            reading("s", func(o *readOptions) { o.StreamOption = nil }),
		"an empty name":        reading("s", func(o *readOptions) { o.GetStream().StreamIdentifier = name("") }),
		"no UTF-8":             reading("s", func(o *readOptions) { o.GetStream().StreamIdentifier = name("\xff\xfe") }),
		"no revision":          reading("s", func(o *readOptions) { o.GetStream().RevisionOption = nil }),
		"a negative revision":  reading("s", at(1<<63, false)),
		"no count":             reading("s", func(o *readOptions) { o.CountOption = nil }),
		"no filter option":     reading("s", func(o *readOptions) { o.FilterOption = nil }),
		"no uuid option":       reading("s", func(o *readOptions) { o.UuidOption = nil }),
		"an unknown direction": reading("s", func(o *readOptions) { o.ReadDirection = 7 }),
		"a filter on a stream": reading("s", filter(pattern("x"))),
		"an empty filter":      reading("", filter(&streams.ReadReq_Options_FilterOptions{})),
		"a lookahead":          reading("", filter(pattern("^(?!x)"))),
		"an endless pattern":   reading("", filter(pattern(strings.Repeat("a?", 4000)))),
		"a subscription back": reading("s", func(o *readOptions) {
			o.CountOption = subscription
			o.ReadDirection = streams.ReadReq_Options_Backwards
		}),
		"checkpoints every 0":     reading("", func(o *readOptions) { filter(pattern("x"))(o); o.CountOption = subscription }),
		"a filter without window": reading("", func(o *readOptions) { f := pattern("x"); f.Window = nil; filter(f)(o); o.CountOption = subscription }),
	} {
		_, call, err := p.read(o)
		fails(t, what, err, call.Trailer(), codes.InvalidArgument, "")
	}
}

func TestIllegalAppends(t *testing.T) {
	p := newParty(t, &memory.Store{})
	options := &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: name("s"), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: none},
	}}}
	event := func(change func(*streams.AppendReq_ProposedMessage)) *streams.AppendReq {
		m := proposal("")
		change(m)
		return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: m}}
	}
	type E = streams.AppendReq_ProposedMessage
	for what, try := range map[string]struct {
		messages  []*streams.AppendReq
		exception string
	}{
		"no message":          {nil, ""},
		"no options":          {[]*streams.AppendReq{event(func(*E) {})}, ""},
		"an empty message":    {[]*streams.AppendReq{options, {}}, ""},
		"options twice":       {[]*streams.AppendReq{options, options}, ""},
		"no expectation":      {[]*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{StreamIdentifier: name("s")}}}}, ""},
		"no id":               {[]*streams.AppendReq{options, event(func(e *E) { e.Id = nil })}, ""},
		"no UUID":             {[]*streams.AppendReq{options, event(func(e *E) { e.Id = &shared.UUID{Value: &shared.UUID_String_{String_: "seven"}} })}, ""},
		"the zero UUID":       {[]*streams.AppendReq{options, event(func(e *E) { e.Id = id(uuid.Nil) })}, ""},
		"no type":             {[]*streams.AppendReq{options, event(func(e *E) { delete(e.Metadata, "type") })}, "missing-required-metadata-property"},
		"no content type":     {[]*streams.AppendReq{options, event(func(e *E) { delete(e.Metadata, "content-type") })}, "missing-required-metadata-property"},
		"an empty type":       {[]*streams.AppendReq{options, event(func(e *E) { e.Metadata["type"] = "" })}, ""},
		"more than a MiB":     {[]*streams.AppendReq{options, event(func(e *E) { e.Data = make([]byte, 1<<20) })}, "maximum-append-size-exceeded"},
		"many, more than one": {[]*streams.AppendReq{options, event(func(e *E) { e.Data = make([]byte, 6e5) }), event(func(e *E) { e.Data = make([]byte, 6e5) })}, "maximum-append-size-exceeded"},
	} {
		call, err := p.streams.Append(as(t, admin))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range try.messages {
			if err := call.Send(m); err != nil {
				break // The answer says why.
			}
		}
		_, err = call.CloseAndRecv()
		fails(t, what, err, call.Trailer(), codes.InvalidArgument, try.exception)
	}
	if h, err := p.storeHead(); err != nil || h != 0 {
		t.Errorf("%d events were written, %v", h, err)
	}
	if got := p.append("s", 0, ""); got != 0 {
		t.Errorf("an empty append: got revision %d", got)
	}
	if got := p.append("s", 3000, ""); got != 2999 {
		t.Errorf("many small events: got revision %d", got)
	}
}

func (p *party) storeHead() (int, error) {
	got, _, err := p.read(reading("", nil))
	return len(got), err
}

// TestRefusedAppendIsReadToItsEnd: a client that is still sending when its append is refused, for whatever reason, is told why
// once it has sent it all. The official clients would say EOF, and no more.
func TestRefusedAppendIsReadToItsEnd(t *testing.T) {
	p := newParty(t, &memory.Store{})
	for _, c := range []struct {
		what, who, stream string
		code              codes.Code
		exception         string
	}{
		{"of a reader", reader, "theirs", codes.PermissionDenied, "access-denied"},
		{"to a stream without a name", admin, "", codes.InvalidArgument, ""},
	} {
		var trailer metadata.MD
		call, err := p.streams.Append(as(t, c.who), grpc.Trailer(&trailer))
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: name(c.stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: none},
		}}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // A server that ended the call at once has done so.
		if err := call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: proposal("{}")}}); err != nil {
			t.Errorf("an append %s was ended while it was sent: %v", c.what, err)
		}
		_, err = call.CloseAndRecv()
		fails(t, "an append "+c.what, err, trailer, c.code, c.exception)
	}
}

func TestTruncatedStreams(t *testing.T) {
	log := openLog(t)
	p := newParty(t, log)
	p.append("s", 6, "")
	meta := func(data string) {
		e := eventstore.NewEvent{ID: uuid.New(), Type: "$metadata", Data: []byte(data), Meta: eventstore.Metadata{Outside: true}}
		p.appendRaw("$$s", e)
	}
	for data, want := range map[string]string{
		`{"$maxCount":2}`: "4 5", `{"$tb":3}`: "3 4 5", `{"$maxCount":2,"$tb":5}`: "5", `{"$tb":100}`: "", `{"$maxAge":3600}`: "0 1 2 3 4 5",
		`not JSON`: "0 1 2 3 4 5", `{"$maxCount":"two","$tb":-1}`: "0 1 2 3 4 5",
	} {
		meta(data)
		got, _, err := p.read(reading("s", nil))
		if err != nil || revisions(got) != want {
			t.Errorf("%s: got %q, %v, want %q", data, revisions(got), err, want)
		}
	}
	before, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.storeHead(); err != nil || uint64(n) != before.Events {
		t.Errorf("all shows %d of %d events", n, before.Events)
	}
}

// appendRaw writes an event with its own data through the protocol.
func (p *party) appendRaw(stream string, e eventstore.NewEvent) {
	p.Helper()
	call, err := p.streams.Append(as(p, admin))
	if err != nil {
		p.Fatal(err)
	}
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: name(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: none},
	}}})
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id: id(e.ID), Data: e.Data, Metadata: map[string]string{"type": e.Type, "content-type": "application/json"},
	}}})
	if r, err := call.CloseAndRecv(); err != nil || r.GetSuccess() == nil {
		p.Fatalf("append: %v, %v", r, err)
	}
}

func TestBatchAppend(t *testing.T) {
	p := newParty(t, &memory.Store{})
	call, err := p.streams.BatchAppend(as(t, admin))
	if err != nil {
		t.Fatal(err)
	}
	batchOptions := func(stream string, change func(*streams.BatchAppendReq_Options)) *streams.BatchAppendReq_Options {
		o := &streams.BatchAppendReq_Options{StreamIdentifier: name(stream), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}}
		if change != nil {
			change(o)
		}
		return o
	}
	messages := func(n, bytes int) (ms []*streams.BatchAppendReq_ProposedMessage) {
		for range n {
			m := proposal("")
			ms = append(ms, &streams.BatchAppendReq_ProposedMessage{Id: m.Id, Data: make([]byte, bytes), Metadata: m.Metadata})
		}
		return ms
	}
	type O = streams.BatchAppendReq_Options
	for _, try := range []struct {
		what string
		reqs []*streams.BatchAppendReq
		want string // The revision, or the type of the error's detail.
	}{
		{"whole", []*streams.BatchAppendReq{{Options: batchOptions("s", nil), ProposedMessages: messages(3, 9), IsFinal: true}}, "2"},
		{"in pieces", []*streams.BatchAppendReq{
			{Options: batchOptions("s", nil), ProposedMessages: messages(2, 9)},
			{ProposedMessages: messages(2, 9)},
			{ProposedMessages: messages(1, 9), IsFinal: true},
		}, "7"},
		{"a wrong revision", []*streams.BatchAppendReq{{Options: batchOptions("s", func(o *O) {
			o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: 3}
		}), ProposedMessages: messages(1, 9), IsFinal: true}}, "WrongExpectedVersion"},
		{"no time left", []*streams.BatchAppendReq{{Options: batchOptions("s", func(o *O) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(0)}
		}), ProposedMessages: messages(1, 9), IsFinal: true}}, "Timeout"},
		{"a deadline that is over", []*streams.BatchAppendReq{{Options: batchOptions("s", func(o *O) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Now().Add(-time.Second))}
		}), ProposedMessages: messages(1, 9), IsFinal: true}}, "Timeout"},
		{"never finished", []*streams.BatchAppendReq{{Options: batchOptions("s", func(o *O) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(50 * time.Millisecond)}
		}), ProposedMessages: messages(1, 9)}}, "Timeout"},
		{"too large", []*streams.BatchAppendReq{{Options: batchOptions("s", nil), ProposedMessages: messages(3, 400_000), IsFinal: true}}, "MaximumAppendSizeExceeded"},
		{"no stream", []*streams.BatchAppendReq{{Options: batchOptions("", nil), ProposedMessages: messages(1, 9), IsFinal: true}}, "BadRequest"},
		{"no expectation", []*streams.BatchAppendReq{{Options: batchOptions("s", func(o *O) { o.ExpectedStreamPosition = nil }), IsFinal: true}}, "BadRequest"},
		{"a virtual stream", []*streams.BatchAppendReq{{Options: batchOptions("$ce-x", nil), ProposedMessages: messages(1, 9), IsFinal: true}}, "AccessDenied"},
	} {
		correlation := uuid.New()
		for _, r := range try.reqs {
			r.CorrelationId = id(correlation)
			if err := call.Send(r); err != nil {
				t.Fatal(err)
			}
		}
		r, err := call.Recv()
		if err != nil {
			t.Fatalf("%s: %v", try.what, err)
		}
		got := fmt.Sprint(r.GetSuccess().GetCurrentRevision())
		if e := r.GetError(); e != nil {
			got = "no detail"
			if len(e.GetDetails()) == 1 {
				got = strings.TrimPrefix(e.GetDetails()[0].GetTypeUrl(), "type.googleapis.com/event_store.client.")
			}
		}
		if got != try.want || r.GetCorrelationId().GetString_() != correlation.String() {
			t.Errorf("%s: got %s of %v, want %s", try.what, got, r.GetCorrelationId(), try.want)
		}
	}
}

func subscribing(stream string, change func(*readOptions)) *readOptions {
	return reading(stream, func(o *readOptions) {
		o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
		if change != nil {
			change(o)
		}
	})
}

func TestSubscription(t *testing.T) {
	p := newParty(t, openLog(t))
	p.append("s", 3, "")
	call := p.open(subscribing("s", func(o *readOptions) {
		o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: 0}
	}))
	var got []*streams.ReadResp
	take := func(n int) {
		for range n {
			m, err := call.Recv()
			if err != nil {
				t.Fatalf("%v after %q", err, revisions(got))
			}
			got = append(got, m)
		}
	}
	take(4)
	p.append("other", 5, "")
	p.append("s", 2, "")
	take(2)
	if want := "*streams.ReadResp_Confirmation 1 2 *streams.ReadResp_CaughtUp_ 3 4"; revisions(got) != want {
		t.Fatalf("got %q, want %q", revisions(got), want)
	}
	raw := got[3].GetCaughtUp().ProtoReflect().GetUnknown()
	num, _, n := protowire.ConsumeTag(raw)
	body, _ := protowire.ConsumeBytes(raw[max(n, 0):])
	stamp := &timestamppb.Timestamp{}
	if err := proto.Unmarshal(body, stamp); num != 1 || err != nil || time.Since(stamp.AsTime()).Abs() > time.Hour {
		t.Errorf("caught up at %v, %v", stamp, err)
	}
	if _, err := p.streams.Tombstone(as(t, admin), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: name("s"), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: none},
	}}); err != nil {
		t.Fatal(err)
	}
	_, err := call.Recv()
	fails(t, "the stream has ended", err, call.Trailer(), codes.FailedPrecondition, "stream-deleted")
}

// TestCheckpoints: a filtered subscription is told how far it has read, never twice and never back.
func TestCheckpoints(t *testing.T) {
	p := newParty(t, &memory.Store{})
	p.append("noise", 95, "")
	call := p.open(subscribing("", func(o *readOptions) {
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"wanted"}}},
			Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 5}, CheckpointIntervalMultiplier: 2,
		}}
	}))
	var last uint64
	for seen := 0; seen < 11; { // 9 of the noise, and after 15 more events two.
		m, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		switch c := m.GetContent().(type) {
		case *streams.ReadResp_CaughtUp_:
			p.append("noise", 14, "")
			p.append("wanted", 1, "")
		case *streams.ReadResp_Checkpoint_:
			if c.Checkpoint.GetCommitPosition() <= last {
				t.Fatalf("checkpoint %d after %d", c.Checkpoint.GetCommitPosition(), last)
			}
			last = c.Checkpoint.GetCommitPosition()
			seen++
		}
	}
	if last != 110 {
		t.Errorf("the last checkpoint is at %d", last)
	}
}

// TestVirtualStreams: what is far apart in the log is found, from either end, and as it comes.
func TestVirtualStreams(t *testing.T) {
	p := newParty(t, openLog(t))
	for range 4 {
		p.append("noise", 900, "")
		p.append("rare-1", 2, "")
		p.append("rare-2", 1, "")
	}
	resolved := func(o *readOptions) { o.ResolveLinks = true }
	got, _, err := p.read(reading("$ce-rare", resolved))
	if err != nil || revisions(got) != "0 1 0 2 3 1 4 5 2 6 7 3" {
		t.Errorf("forwards: %q, %v", revisions(got), err)
	}
	got, _, err = p.read(reading("$ce-rare", func(o *readOptions) { at(5, true)(o); resolved(o) }))
	if err != nil || revisions(got) != "1 3 2 0 1 0" {
		t.Errorf("backwards: %q, %v", revisions(got), err)
	}
	got, _, err = p.read(reading("$et-happened", at(3600, false)))
	if err != nil || len(got) != 12 {
		t.Errorf("by type: %d, %v", len(got), err)
	}
	call := p.open(subscribing("$ce-rare", func(o *readOptions) {
		o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: none}
	}))
	for range 2 { // Confirmed, caught up.
		if _, err := call.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	p.append("noise", 3, "")
	p.append("rare-9", 1, "")
	m, err := call.Recv()
	if err != nil || m.GetEvent().GetEvent().GetStreamRevision() != 12 || string(m.GetEvent().GetEvent().GetData()) != "0@rare-9" {
		t.Errorf("live: %v, %v", m, err)
	}
}

// TestIdleSubscriptions: ten thousand that wait cost little, and each is woken by what is for it.
func TestIdleSubscriptions(t *testing.T) {
	const idle = 10_000
	p := newParty(t, &memory.Store{})
	before := heap()
	ctx, cancel := context.WithCancel(as(t, admin))
	defer cancel()
	var one streams.Streams_ReadClient
	for n := range idle {
		call, err := p.streams.Read(ctx, &streams.ReadReq{Options: subscribing(fmt.Sprintf("idle-%d", n), nil)})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := call.Recv(); err != nil {
				t.Fatalf("subscription %d: %v", n, err)
			}
		}
		if n == 7777 {
			one = call
		}
	}
	if each := (heap() - before) / idle; each > 100<<10 { // Both ends of each are in this process.
		t.Errorf("%d bytes for each idle subscription", each)
	}
	p.append("busy", 100, "")
	p.append("idle-7777", 1, "")
	if m, err := one.Recv(); err != nil || m.GetEvent().GetEvent().GetStreamRevision() != 0 {
		t.Errorf("got %v, %v", m, err)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestSlowReader: one who does not read is kept waiting in the log, not in memory, and holds nobody up.
func TestSlowReader(t *testing.T) {
	log := openLog(t)
	p := newParty(t, log)
	slow := p.open(subscribing("", nil))
	if _, err := slow.Recv(); err != nil {
		t.Fatal(err)
	}
	before := heap()
	data := make([]byte, 256<<10)
	for n := range 400 { // 100 MiB.
		e := eventstore.NewEvent{ID: uuid.New(), Type: "large", Data: data, Meta: eventstore.Metadata{Outside: true}}
		if _, err := log.Append(t.Context(), "s", eventstore.Revision(n-1), e); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := p.read(reading("s", at(399, true))); err != nil || len(got) != 400 {
		t.Fatalf("another reader: %d events, %v", len(got), err)
	}
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("%d bytes more for one slow reader", grown)
	}
	for seen := 0; seen < 400; {
		m, err := slow.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetEvent() != nil {
			seen++
		}
	}
}
