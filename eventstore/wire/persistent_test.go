package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"zujian/eventstore"
	"zujian/eventstore/memory"
	"zujian/eventstore/wire"
)

// party is one server with a client that may do everything.
type party struct {
	*testing.T
	server  *wire.Server
	conn    *grpc.ClientConn
	streams streams.StreamsClient
	groups  persistent.PersistentSubscriptionsClient
}

func newParty(t *testing.T, store eventstore.Store) *party {
	address, s := serve(t, options(store))
	c := dial(t, address)
	return &party{t, s, c, streams.NewStreamsClient(c), persistent.NewPersistentSubscriptionsClient(c)}
}

func name(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func id(u uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: u.String()}}
}

var none = &shared.Empty{}

func proposal(meta string) *streams.AppendReq_ProposedMessage {
	return &streams.AppendReq_ProposedMessage{
		Id: id(uuid.New()), Data: []byte("{}"), CustomMetadata: []byte(meta),
		Metadata: map[string]string{"type": "happened", "content-type": "application/json"},
	}
}

// append adds n events with this metadata and returns the last revision.
func (p *party) append(stream string, n int, meta string) uint64 {
	p.Helper()
	call, err := p.streams.Append(as(p, admin))
	if err != nil {
		p.Fatal(err)
	}
	send := func(m *streams.AppendReq) {
		if err := call.Send(m); err != nil && !errors.Is(err, io.EOF) {
			p.Fatal(err)
		}
	}
	send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: name(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: none},
	}}})
	for range n {
		send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: proposal(meta)}})
	}
	resp, err := call.CloseAndRecv()
	if err != nil || resp.GetSuccess() == nil {
		p.Fatalf("append to %s: %v, %v", stream, resp, err)
	}
	return resp.GetSuccess().GetCurrentRevision()
}

// group makes a group from the stream's start.
func (p *party) group(stream string, change func(*persistent.CreateReq_Settings)) {
	p.Helper()
	set := &persistent.CreateReq_Settings{
		MaxRetryCount: 3, MinCheckpointCount: 1, MaxCheckpointCount: 100, LiveBufferSize: 500, ReadBatchSize: 20, HistoryBufferSize: 500,
		MessageTimeout:  &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 60_000},
		CheckpointAfter: &persistent.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 1}, ConsumerStrategy: "RoundRobin",
	}
	if change != nil {
		change(set)
	}
	_, err := p.groups.Create(as(p, admin), &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		GroupName: "g", Settings: set, StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
			StreamIdentifier: name(stream), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: none},
		}},
	}})
	if err != nil {
		p.Fatal(err)
	}
}

type worker struct {
	p    *party
	call persistent.PersistentSubscriptions_ReadClient
	end  context.CancelFunc
	got  chan *persistent.ReadResp_ReadEvent
	done chan error
}

// connect adds a consumer that holds at most n events.
func (p *party) connect(stream string, n int32) *worker {
	p.Helper()
	ctx, cancel := context.WithCancel(as(p, admin))
	call, err := p.groups.Read(metadata.AppendToOutgoingContext(ctx, "connection-name", "a-test"))
	if err != nil {
		p.Fatal(err)
	}
	if err := call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: name(stream)}, GroupName: "g", BufferSize: n,
		UuidOption: &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{String_: none}},
	}}}); err != nil {
		p.Fatal(err)
	}
	first, err := call.Recv()
	if err != nil || first.GetSubscriptionConfirmation().GetSubscriptionId() == "" {
		p.Fatalf("first message %v, %v", first, err)
	}
	w := &worker{p, call, cancel, make(chan *persistent.ReadResp_ReadEvent, 1000), make(chan error, 1)}
	go func() {
		for {
			m, err := call.Recv()
			if err != nil {
				w.done <- err
				return
			}
			w.got <- m.GetEvent()
		}
	}()
	p.Cleanup(cancel)
	return w
}

// next is the next event, which must come.
func (w *worker) next() *persistent.ReadResp_ReadEvent {
	w.p.Helper()
	select {
	case e := <-w.got:
		return e
	case err := <-w.done:
		w.p.Fatalf("the call ended: %v", err)
	case <-time.After(patience):
		w.p.Fatal("no event came")
	}
	return nil
}

func (w *worker) ack(es ...*persistent.ReadResp_ReadEvent) {
	w.p.Helper()
	var ids []*shared.UUID
	for _, e := range es {
		ids = append(ids, e.GetEvent().GetId())
	}
	if err := w.call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: ids}}}); err != nil {
		w.p.Fatal(err)
	}
}

func (w *worker) nack(action persistent.ReadReq_Nack_Action, e *persistent.ReadResp_ReadEvent) {
	w.p.Helper()
	if err := w.call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Nack_{Nack: &persistent.ReadReq_Nack{
		Ids: []*shared.UUID{e.GetEvent().GetId()}, Action: action, Reason: "because",
	}}}); err != nil {
		w.p.Fatal(err)
	}
}

func (p *party) info(stream string) *persistent.SubscriptionInfo {
	p.Helper()
	r, err := p.groups.GetInfo(as(p, admin), &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
		GroupName: "g", StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: name(stream)},
	}})
	if err != nil {
		p.Fatal(err)
	}
	return r.GetSubscriptionInfo()
}

// until waits for a state of the group.
func (p *party) until(stream, what string, ok func(*persistent.SubscriptionInfo) bool) *persistent.SubscriptionInfo {
	p.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		i := p.info(stream)
		if ok(i) {
			return i
		}
		if time.Since(start) > patience {
			p.Fatalf("never %s: %v", what, i)
		}
	}
}

func (p *party) replay(stream string, stopAt int64) {
	p.Helper()
	o := &persistent.ReplayParkedReq_Options{
		GroupName: "g", StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: name(stream)},
		StopAtOption: &persistent.ReplayParkedReq_Options_NoLimit{NoLimit: none},
	}
	if stopAt >= 0 {
		o.StopAtOption = &persistent.ReplayParkedReq_Options_StopAt{StopAt: stopAt}
	}
	if _, err := p.groups.ReplayParked(as(p, admin), &persistent.ReplayParkedReq{Options: o}); err != nil {
		p.Fatal(err)
	}
}

func parked(n int64) func(*persistent.SubscriptionInfo) bool {
	return func(i *persistent.SubscriptionInfo) bool { return i.GetParkedMessageCount() == n }
}

func TestPersistentNacks(t *testing.T) {
	p := newParty(t, openLog(t))
	p.append("s", 5, "")
	p.group("s", func(s *persistent.CreateReq_Settings) { s.MaxRetryCount = 2 })
	w := p.connect("s", 10)
	var es []*persistent.ReadResp_ReadEvent
	for range 5 {
		es = append(es, w.next())
	}
	w.ack(es[0])
	w.nack(persistent.ReadReq_Nack_Skip, es[1])
	w.nack(persistent.ReadReq_Nack_Park, es[2])
	for retry := int32(1); retry <= 2; retry++ {
		w.nack(persistent.ReadReq_Nack_Retry, es[3])
		if e := w.next(); e.GetRetryCount() != retry || e.GetEvent().GetStreamRevision() != 3 {
			t.Fatalf("got %v, want the fourth event, tried again %d times", e, retry)
		}
	}
	w.nack(persistent.ReadReq_Nack_Retry, es[3]) // Too often: parked.
	w.ack(es[4])
	i := p.until("s", "two parked and the rest done", func(i *persistent.SubscriptionInfo) bool {
		return i.GetParkedMessageCount() == 2 && i.GetLastCheckpointedEventPosition() == "4"
	})
	if i.GetTotalInFlightMessages() != 0 || i.GetTotalItems() != 7 || i.GetLastKnownEventPosition() != "4" || i.GetNamedConsumerStrategy() != "RoundRobin" ||
		len(i.GetConnections()) != 1 || i.GetConnections()[0].GetConnectionName() != "a-test" || i.GetConnections()[0].GetUsername() != "admin" ||
		i.GetConnections()[0].GetAvailableSlots() != 10 {
		t.Errorf("info: %v", i)
	}
	p.replay("s", 1)
	if e := w.next(); e.GetEvent().GetStreamRevision() != 2 {
		t.Fatalf("replayed %v, want the third event", e)
	}
	p.until("s", "one parked", parked(1))
	w.nack(persistent.ReadReq_Nack_Park, es[2])
	p.until("s", "parked again", parked(2))
	p.replay("s", -1)
	for _, want := range []uint64{3, 2} {
		e := w.next()
		if e.GetEvent().GetStreamRevision() != want {
			t.Fatalf("replayed %v, want revision %d", e, want)
		}
		w.ack(e)
	}
	p.until("s", "none parked", parked(0))
}

// TestPersistentStop: a consumer that stops is dropped, and what it held goes to another.
func TestPersistentStop(t *testing.T) {
	p := newParty(t, &memory.Store{})
	p.append("s", 2, "")
	p.group("s", nil)
	w := p.connect("s", 10)
	e := w.next()
	w.next()
	w.nack(persistent.ReadReq_Nack_Stop, e)
	select {
	case err := <-w.done:
		fails(t, "stopped", err, w.call.Trailer(), codes.Canceled, "persistent-subscription-dropped")
	case <-time.After(patience):
		t.Fatal("not dropped")
	}
	other := p.connect("s", 10)
	for want := range uint64(2) {
		if e := other.next(); e.GetEvent().GetStreamRevision() != want {
			t.Fatalf("got %v, want revision %d", e, want)
		}
	}
}

func TestPersistentTimeoutAndLimit(t *testing.T) {
	p := newParty(t, &memory.Store{})
	p.append("s", 1, "")
	p.group("s", func(s *persistent.CreateReq_Settings) {
		s.MessageTimeout = &persistent.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: 10_000 * 50}
		s.MaxRetryCount, s.MaxSubscriberCount = 1, 1
	})
	w := p.connect("s", 1)
	if a, b := w.next(), w.next(); a.GetRetryCount() != 0 || b.GetRetryCount() != 1 || a.GetEvent().GetId().GetString_() != b.GetEvent().GetId().GetString_() {
		t.Fatalf("got %v, then %v", a, b)
	}
	p.until("s", "parked", parked(1))
	second, err := p.groups.Read(as(t, admin))
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: name("s")}, GroupName: "g", BufferSize: 1,
	}}})
	_, err = second.Recv()
	fails(t, "a second consumer", err, second.Trailer(), codes.FailedPrecondition, "maximum-subscribers-reached")
}

// TestPersistentRestart: over any store, what was acknowledged is not delivered again, what was not is, and what was parked
// is still parked.
func TestPersistentRestart(t *testing.T) {
	log := openLog(t)
	p := newParty(t, log)
	p.append("s", 6, "")
	p.group("s", nil)
	w := p.connect("s", 10)
	var es []*persistent.ReadResp_ReadEvent
	for range 6 {
		es = append(es, w.next())
	}
	w.nack(persistent.ReadReq_Nack_Park, es[0])
	w.ack(es[1], es[2], es[4])
	p.until("s", "three done", func(i *persistent.SubscriptionInfo) bool {
		return i.GetLastCheckpointedEventPosition() == "2" && i.GetParkedMessageCount() == 1
	})
	if err := p.server.Close(); err != nil {
		t.Fatal(err)
	}
	p = newParty(t, log)
	w = p.connect("s", 10)
	for _, want := range []uint64{3, 4, 5} { // The fifth was acknowledged out of order: at least once.
		e := w.next()
		if e.GetEvent().GetStreamRevision() != want {
			t.Fatalf("after the restart: got %v, want revision %d", e, want)
		}
		w.ack(e)
	}
	p.until("s", "one parked", parked(1))
	p.replay("s", -1)
	if e := w.next(); e.GetEvent().GetStreamRevision() != 0 {
		t.Fatalf("replayed %v", e)
	} // Not acknowledged: it stays parked for the next.
	if err := p.server.Close(); err != nil {
		t.Fatal(err)
	}
	p = newParty(t, log)
	p.until("s", "parked still", parked(1))
}

func TestPersistentStrategies(t *testing.T) {
	const events, workers = 60, 3
	for _, strategy := range []string{"RoundRobin", "DispatchToSingle", "Pinned", "PinnedByCorrelation"} {
		t.Run(strategy, func(t *testing.T) {
			p := newParty(t, &memory.Store{})
			p.group("$ce-cat", func(s *persistent.CreateReq_Settings) { s.ConsumerStrategy, s.ResolveLinks = strategy, true })
			var ws []*worker
			for range workers {
				ws = append(ws, p.connect("$ce-cat", 4))
			}
			for n := range events {
				p.append(fmt.Sprintf("cat-%d", n%6), 1, fmt.Sprintf(`{"$correlationId":"c%d"}`, n%5))
			}
			count, bySource := make([]int, workers), map[string]map[int]bool{}
			for got := 0; got < events; {
				for i, w := range ws {
					select {
					case e := <-w.got:
						got++
						count[i]++
						w.ack(&persistent.ReadResp_ReadEvent{Event: e.GetLink()}) // The link is what was delivered.
						source := string(e.GetEvent().GetStreamIdentifier().GetStreamName())
						if strategy == "PinnedByCorrelation" {
							source = string(e.GetEvent().GetCustomMetadata())
						}
						if bySource[source] == nil {
							bySource[source] = map[int]bool{}
						}
						bySource[source][i] = true
					case <-time.After(time.Millisecond):
					}
				}
				if p.Failed() || p.Context().Err() != nil {
					t.FailNow()
				}
			}
			if strategy[:3] == "Pin" {
				for source, by := range bySource {
					if len(by) != 1 {
						t.Errorf("events of %s went to %d consumers", source, len(by))
					}
				}
			}
			if slices.Sort(count); strategy == "RoundRobin" && count[0] == 0 {
				t.Errorf("one consumer got nothing: %v", count)
			}
		})
	}
}

// TestPersistentForged: nobody writes what the protocol believes, and what another hand wrote into the log stops nothing.
func TestPersistentForged(t *testing.T) {
	log := openLog(t)
	for n, data := range []string{`not JSON`, `{"stream":"s","group":"g"}`, `[]`} {
		e := eventstore.NewEvent{ID: uuid.New(), Type: "$PersistentSubscriptionSet", Data: []byte(data), Meta: eventstore.Metadata{Outside: true}}
		if _, err := log.Append(t.Context(), "$persistentSubscriptionConfig", eventstore.Revision(n-1), e); err != nil {
			t.Fatal(err)
		}
	}
	p := newParty(t, log)
	for _, stream := range []string{"$persistentSubscriptionConfig", "$$$persistentSubscriptionConfig", "$persistentsubscription-s::g-checkpoint"} {
		call, err := p.streams.Append(as(t, admin))
		if err != nil {
			t.Fatal(err)
		}
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: name(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: none},
		}}})
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: proposal("")}})
		_, err = call.CloseAndRecv()
		fails(t, stream, err, call.Trailer(), codes.PermissionDenied, "access-denied")
	}
	p.append("s", 1, "")
	p.group("s", nil)
	p.connect("s", 1).next()
}
