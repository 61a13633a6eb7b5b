package wire

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"

	"zujian/eventstore"
)

type streamsService struct {
	streams.UnimplementedStreamsServer
	node *node
}

const drainMax = 64 << 20 // Bytes of a refused append that are read and thrown away.

// gathered are the events of one append, up to the limits.
type gathered struct {
	events []eventstore.NewEvent
	bytes  int
}

func (g *gathered) add(s *Server, stream string, p proposed) error {
	e, bytes, err := newEvent(p)
	if err != nil {
		return err
	}
	if s.o.Outsiders && !e.Meta.Outside {
		e.Meta = eventstore.Metadata{Outside: true, Raw: string(e.Meta.Bytes())}
	}
	if ownStream(stream) {
		return accessDenied()
	}
	if e.Meta.Outside && s.o.Reserved != nil && s.o.Reserved(stream, e.Type) {
		return accessDenied()
	}
	if g.bytes += bytes; g.bytes > s.o.AppendBytesMax || len(g.events) == eventstore.OutsideMax {
		return appendTooLarge(s.o.AppendBytesMax)
	}
	g.events = append(g.events, e)
	return nil
}

// Append takes one append, an event a message.
func (v streamsService) Append(call streams.Streams_AppendServer) error {
	n, ctx := v.node, call.Context()
	first, err := recvWithin(call.Recv, helloWait)
	if err != nil {
		return err
	}
	o := first.GetOptions()
	if o == nil {
		return invalid("the first message of an append must hold its options")
	}
	stream, unnamed := streamName(o.GetStreamIdentifier())
	expect, unclear := expectedOf(o)
	refused := firstOf(unnamed, unclear, n.mayWrite(ctx), n.leadIfAsked(ctx))
	var g gathered
	for left := drainMax; ; { // What was refused is read to its end: a client that is still sending would not see why.
		msg, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		p := msg.GetProposedMessage()
		switch {
		case refused != nil:
			if left -= len(p.GetData()) + len(p.GetCustomMetadata()) + 64; left < 0 {
				return refused
			}
		case p == nil:
			refused = invalid("every message of an append but the first must hold an event")
		default:
			refused = g.add(n.Server, stream, p)
		}
	}
	if refused != nil {
		return refused
	}
	a, err := n.write(ctx, stream, expect, g.events)
	if w, ok := errors.AsType[*eventstore.WrongRevision](err); ok {
		return call.SendAndClose(wrongAppend(expect, w.Actual))
	}
	if err != nil {
		return err
	}
	ok := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(a.Revision)},
		PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: uint64(a.Position), PreparePosition: uint64(a.Position),
		}},
	}
	if a.Revision < 0 {
		ok.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
		ok.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	}
	return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: ok}})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// recvWithin receives the first message of a call, which must not be left open without one.
func recvWithin[M any](recv func() (M, error), wait time.Duration) (M, error) {
	type got struct {
		msg M
		err error
	}
	done := make(chan got, 1)
	go func() { // Ends with the call at the latest, since recv does.
		msg, err := recv()
		done <- got{msg, err}
	}()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case g := <-done:
		if errors.Is(g.err, io.EOF) {
			return g.msg, invalid("the call was closed before its first message")
		}
		return g.msg, g.err
	case <-timer.C:
		var none M
		return none, &failure{code: codes.DeadlineExceeded, text: "the call's first message did not come"}
	}
}

type expected interface {
	GetRevision() uint64
	GetNoStream() *shared.Empty
	GetAny() *shared.Empty
	GetStreamExists() *shared.Empty
}

// expectedOf reads what append, delete and tombstone expect. Each has its own types for the same four.
func expectedOf(o expected) (expectation, error) {
	set := false
	switch o := o.(type) {
	case *streams.AppendReq_Options:
		set = o.ExpectedStreamRevision != nil
	case *streams.DeleteReq_Options:
		set = o.ExpectedStreamRevision != nil
	case *streams.TombstoneReq_Options:
		set = o.ExpectedStreamRevision != nil
	}
	switch {
	case !set:
		return expectation{}, requiredArgument("expected_stream_revision")
	case o.GetNoStream() != nil:
		return expectation{revision: eventstore.NoStream}, nil
	case o.GetAny() != nil:
		return expectation{revision: eventstore.AnyRevision}, nil
	case o.GetStreamExists() != nil:
		return expectation{revision: eventstore.AnyRevision, exists: true}, nil
	}
	return exactly(o.GetRevision())
}

func exactly(rev uint64) (expectation, error) {
	if rev > 1<<63-1 {
		return expectation{}, invalid("'%d' is not a valid revision", rev)
	}
	return expectation{revision: eventstore.Revision(rev)}, nil
}

// wrongAppend fills the fields of today's clients and those of clients before 20.6.1.
func wrongAppend(expect expectation, actual eventstore.Revision) *streams.AppendResp {
	w, none := &streams.AppendResp_WrongExpectedVersion{}, &shared.Empty{}
	switch {
	case expect.exists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: none}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: none}
	case expect.revision == eventstore.AnyRevision:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: none}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: none}
	case expect.revision == eventstore.NoStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: none}
	default:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(expect.revision)}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: uint64(expect.revision)}
	}
	if actual < 0 {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: none}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: none}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(actual)}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(actual)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}

// Delete hides a stream until it is written again.
func (v streamsService) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	a, err := v.remove(ctx, req.GetOptions().GetStreamIdentifier(), req.GetOptions(), false)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{
		CommitPosition: uint64(a.Position), PreparePosition: uint64(a.Position),
	}}}, nil
}

// Tombstone ends a stream for good.
func (v streamsService) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	a, err := v.remove(ctx, req.GetOptions().GetStreamIdentifier(), req.GetOptions(), true)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{Position: &streams.TombstoneResp_Position{
		CommitPosition: uint64(a.Position), PreparePosition: uint64(a.Position),
	}}}, nil
}

func (v streamsService) remove(ctx context.Context, id *shared.StreamIdentifier, o expected, forGood bool) (eventstore.Appended, error) {
	stream, err := streamName(id)
	if err != nil {
		return eventstore.Appended{}, err
	}
	expect, err := expectedOf(o)
	if err != nil {
		return eventstore.Appended{}, err
	}
	if err := firstOf(v.node.mayWrite(ctx), v.node.leadIfAsked(ctx)); err != nil {
		return eventstore.Appended{}, err
	}
	if ownStream(stream) || (v.node.o.Reserved != nil && v.node.o.Reserved(stream, "")) {
		return eventstore.Appended{}, accessDenied() // Nobody hides a part of the register.
	}
	a, err := v.node.Server.remove(ctx, stream, expect, forGood)
	if w, ok := errors.AsType[*eventstore.WrongRevision](err); ok {
		return a, wrongVersion("Delete", w)
	}
	return a, err
}
