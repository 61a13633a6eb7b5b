package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"zujian/eventstore"
	"zujian/eventstore/memory"
)

// FuzzRequests: whatever a caller sends, decoding it and everything that follows neither panics nor writes what does not
// come back byte for byte.
func FuzzRequests(f *testing.F) {
	none := &shared.Empty{}
	name := &shared.StreamIdentifier{StreamName: []byte("s-1")}
	for i, m := range []proto.Message{
		&streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{StreamIdentifier: name, RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: none}}},
			CountOption:  &streams.ReadReq_Options_Count{Count: 3}, FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: none},
			UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: none}},
		}},
		&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: uuidText([16]byte{1}), Metadata: map[string]string{"type": "t", "content-type": "application/json"}, Data: []byte("{}"), CustomMetadata: []byte(`{"schema":1}`),
		}}},
		&streams.DeleteReq{Options: &streams.DeleteReq_Options{StreamIdentifier: name, ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: none}}},
		&persistent.CreateReq{Options: &persistent.CreateReq_Options{GroupName: "g", StreamOption: &persistent.CreateReq_Options_All{All: &persistent.CreateReq_AllOptions{}}, Settings: &persistent.CreateReq_Settings{
			HistoryBufferSize: 9, ReadBatchSize: 3, ConsumerStrategy: strategyPinned,
		}}},
		&persistent.UpdateReq{Options: &persistent.UpdateReq_Options{GroupName: "g", Settings: &persistent.UpdateReq_Settings{}}},
		&persistent.ReplayParkedReq{Options: &persistent.ReplayParkedReq_Options{GroupName: "g"}},
		&persistent.ListReq{Options: &persistent.ListReq_Options{}},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), raw)
	}
	f.Fuzz(func(t *testing.T, kind byte, raw []byte) {
		n := byte(0)
		s, err := New(t.Context(), Options{Store: &memory.Store{}, Write: true, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }, NewID: func() [16]byte { n++; return [16]byte{1, n} }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, err := s.authenticate(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		groups := persistentService{node: &node{Server: s}}
		switch kind % 7 {
		case 0:
			var m streams.ReadReq
			if proto.Unmarshal(raw, &m) == nil {
				if q, err := parseRead(ctx, m.GetOptions()); err == nil && q.filter != nil {
					q.filter.match(&eventstore.Recorded{Stream: "s-1", NewEvent: eventstore.NewEvent{Type: "t"}})
				}
			}
		case 1:
			var m streams.AppendReq
			if proto.Unmarshal(raw, &m) == nil && m.GetProposedMessage() != nil {
				appendOne(t, s, m.GetProposedMessage())
			}
		case 2:
			var m streams.DeleteReq
			if proto.Unmarshal(raw, &m) == nil {
				_, _ = streamsService{node: &node{Server: s}}.Delete(ctx, &m)
			}
		case 3:
			var m persistent.CreateReq
			if proto.Unmarshal(raw, &m) == nil {
				if _, err := groups.Create(ctx, &m); err == nil {
					if _, err := groups.List(ctx, &persistent.ListReq{Options: &persistent.ListReq_Options{ListOption: &persistent.ListReq_Options_ListAllSubscriptions{}}}); err != nil {
						t.Fatalf("created, but not to be listed: %v", err)
					}
				}
			}
		case 4:
			var m persistent.UpdateReq
			if proto.Unmarshal(raw, &m) == nil {
				_, _ = groups.Update(ctx, &m)
			}
		case 5:
			var m persistent.ReplayParkedReq
			if proto.Unmarshal(raw, &m) == nil {
				_, _ = groups.ReplayParked(ctx, &m)
			}
		case 6:
			var m persistent.ListReq
			if proto.Unmarshal(raw, &m) == nil {
				_, _ = groups.List(ctx, &m)
			}
		}
	})
}

func appendOne(t *testing.T, s *Server, p proposed) {
	var g gathered
	if g.add(s, "s-1", p) != nil {
		return
	}
	if _, err := s.write(t.Context(), "s-1", expectation{revision: eventstore.AnyRevision}, g.events); err != nil {
		return
	}
	r, err := s.last(t.Context(), "s-1")
	if err != nil {
		t.Fatal(err)
	}
	e := (encoder{}).recorded(r)
	if !bytes.Equal(e.GetData(), p.GetData()) || !bytes.Equal(e.GetCustomMetadata(), p.GetCustomMetadata()) || e.GetMetadata()["type"] != p.GetMetadata()["type"] {
		t.Fatalf("wrote %v, read %v", p, e)
	}
}

// FuzzTexts: the texts we parse ourselves.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{`{"$maxCount":2,"$tb":9223372036854775807,"$maxAge":1}`, `"C:12/P:12"`, `"7"`, "3@s-1", `{"schema":1,"actor":"a"}`, "YWRtaW46Y2hhbmdlaXQ="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if m := parseMeta([]byte(text)); m.MaxCount < 0 || m.MaxAge < 0 || m.TruncateBefore < 0 {
			t.Fatalf("%+v", m)
		}
		for _, all := range []bool{false, true} {
			if at, ok := parseCheckpoint([]byte(text), all); ok {
				raw, _ := json.Marshal(formatCheckpoint(at, all)) // A string always encodes.
				if again, ok := parseCheckpoint(raw, all); !ok || again != at {
					t.Fatalf("%q: %d, then %d", text, at, again)
				}
			}
		}
		m := eventstore.ParseMetadata([]byte(text))
		if string(m.Bytes()) != text {
			t.Fatalf("%q came back as %q", text, m.Bytes())
		}
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Basic "+text))
		if user, _, ok := basic(ctx); ok && strings.Contains(user, ":") {
			t.Fatalf("user %q", user)
		}
	})
}
