package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

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
	stream, err := streamName(o.GetStreamIdentifier())
	if err != nil {
		return err
	}
	expect, err := expectedOf(o)
	if err != nil {
		return err
	}
	if err := firstOf(n.mayWrite(ctx), n.leadIfAsked(ctx)); err != nil {
		return err
	}
	var g gathered
	var refused error
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

const (
	batchesMax      = 256             // Appends of one call under way or half given; more are not read.
	batchesBytesMax = 64 << 20        // The same in bytes of half given ones; beyond it they are refused.
	writeWait       = 2 * time.Second // The longest a batch may ask to wait.
)

// batch is one append of a BatchAppend call, given in one or more messages under one correlation id.
type batch struct {
	gathered
	id      *shared.UUID
	options *streams.BatchAppendReq_Options
	stream  string
	expect  expectation
	ends    context.Context
	cancel  context.CancelFunc
}

// batches is a BatchAppend call.
type batches struct {
	service streamsService
	call    streams.Streams_BatchAppendServer
	sending sync.Mutex
	mu      sync.Mutex
	pending map[[16]byte]*batch
	slots   chan struct{}
	work    sync.WaitGroup
}

// BatchAppend takes any number of appends and answers each when it is done, in whatever order that is.
func (v streamsService) BatchAppend(call streams.Streams_BatchAppendServer) error {
	if err := v.node.leadIfAsked(call.Context()); err != nil {
		return err
	}
	b := &batches{service: v, call: call, pending: map[[16]byte]*batch{}, slots: make(chan struct{}, batchesMax)}
	err := b.receive()
	b.mu.Lock()
	for _, p := range b.pending {
		p.cancel()
	}
	b.mu.Unlock()
	b.work.Wait()
	return err
}

func (b *batches) receive() error {
	for {
		req, err := b.call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		id, err := parseUUID(req.GetCorrelationId())
		if err == nil {
			err = b.take(id, req)
		}
		if err != nil {
			b.drop(id)
			b.answer(&batch{id: req.GetCorrelationId(), options: req.GetOptions()}, eventstore.Appended{}, err)
		}
	}
}

// drop forgets a batch that cannot be finished.
func (b *batches) drop(id [16]byte) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pending[id]
	delete(b.pending, id)
	if p != nil {
		p.cancel()
	}
	return p
}

func (b *batches) take(id [16]byte, req *streams.BatchAppendReq) error {
	s := b.service.node.Server
	b.mu.Lock()
	p := b.pending[id]
	open, bytes := len(b.pending), 0
	for _, o := range b.pending {
		bytes += o.bytes
	}
	b.mu.Unlock()
	if p == nil {
		if req.GetOptions() == nil {
			return nil // The rest of one that was answered already.
		}
		if open >= batchesMax || bytes > batchesBytesMax {
			return errBusy
		}
		var err error
		if p, err = b.start(id, req); err != nil {
			return err
		}
	}
	for _, m := range req.GetProposedMessages() {
		if err := p.add(s, p.stream, m); err != nil {
			return err
		}
	}
	if !req.GetIsFinal() {
		return nil
	}
	b.mu.Lock()
	if b.pending[id] != p {
		b.mu.Unlock()
		return nil // Its time was up, and it was answered so.
	}
	delete(b.pending, id)
	b.mu.Unlock()
	b.slots <- struct{}{}
	b.work.Go(func() {
		defer func() { p.cancel(); <-b.slots }()
		a, err := s.write(p.ends, p.stream, p.expect, p.events)
		b.answer(p, a, err)
	})
	return nil
}

func (b *batches) start(id [16]byte, req *streams.BatchAppendReq) (*batch, error) {
	s, o := b.service.node.Server, req.GetOptions()
	if err := s.mayWrite(b.call.Context()); err != nil {
		return nil, err
	}
	p := &batch{id: req.GetCorrelationId(), options: o}
	var err error
	if p.stream, err = streamName(o.GetStreamIdentifier()); err != nil {
		return nil, err
	}
	switch e := o.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		p.expect, err = exactly(e.StreamPosition)
	case *streams.BatchAppendReq_Options_NoStream:
		p.expect.revision = eventstore.NoStream
	case *streams.BatchAppendReq_Options_Any:
		p.expect.revision = eventstore.AnyRevision
	case *streams.BatchAppendReq_Options_StreamExists:
		p.expect = expectation{revision: eventstore.AnyRevision, exists: true}
	default:
		err = requiredArgument("expected_stream_position")
	}
	if err != nil {
		return nil, err
	}
	wait := writeWait
	switch d := o.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline:
		if err := d.Deadline.CheckValid(); err != nil {
			return nil, invalid("deadline: %v", err)
		}
		wait = min(wait, d.Deadline.AsDuration())
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		if err := d.Deadline_21_10_0.CheckValid(); err != nil {
			return nil, invalid("deadline: %v", err)
		}
		wait = min(wait, d.Deadline_21_10_0.AsTime().Sub(s.o.Now()))
	}
	if wait <= 0 {
		return nil, errTimeout
	}
	p.ends, p.cancel = context.WithTimeout(b.call.Context(), wait)
	b.mu.Lock()
	b.pending[id] = p
	b.mu.Unlock()
	context.AfterFunc(p.ends, func() { // Half given when its time is up: answered so, and forgotten.
		if errors.Is(p.ends.Err(), context.DeadlineExceeded) && b.drop(id) == p {
			b.answer(p, eventstore.Appended{}, errTimeout)
		}
	})
	return p, nil
}

// answer sends one result. A call that is gone needs none.
func (b *batches) answer(p *batch, a eventstore.Appended, err error) {
	resp := &streams.BatchAppendResp{CorrelationId: p.id, StreamIdentifier: p.options.GetStreamIdentifier()}
	switch e := p.options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: e.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: e.NoStream}
	case *streams.BatchAppendReq_Options_Any:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: e.Any}
	case *streams.BatchAppendReq_Options_StreamExists:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: e.StreamExists}
	}
	if err != nil {
		resp.Result = &streams.BatchAppendResp_Error{Error: b.batchError(p, err)}
	} else {
		ok := &streams.BatchAppendResp_Success{
			CurrentRevisionOption: &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(a.Revision)},
			PositionOption: &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{
				CommitPosition: uint64(a.Position), PreparePosition: uint64(a.Position),
			}},
		}
		if a.Revision < 0 {
			ok.CurrentRevisionOption = &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}}
			ok.PositionOption = &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}}
		}
		resp.Result = &streams.BatchAppendResp_Success_{Success: ok}
	}
	b.sending.Lock()
	defer b.sending.Unlock()
	_ = b.call.Send(resp) // If it fails, the call is gone and receive ends.
}

// batchError says an error in the body of an answer: a status with one detail, by whose type clients branch.
func (b *batches) batchError(p *batch, err error) *status.Status {
	var detail proto.Message
	code, text := codes.Unknown, ""
	fail, isFailure := errors.AsType[*failure](err)
	wrong, isWrong := errors.AsType[*eventstore.WrongRevision](err)
	switch {
	case isWrong:
		code, detail = codes.AlreadyExists, wrongBatch(p.expect, wrong.Actual)
		text = "WrongExpectedVersion"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errTimeout):
		code, text, detail = codes.DeadlineExceeded, "Timeout", &shared.Timeout{}
	case isFailure && fail.kind == "stream-deleted":
		code, text = fail.code, "Stream is deleted"
		detail = &shared.StreamDeleted{StreamIdentifier: p.options.GetStreamIdentifier()}
	case isFailure && fail.kind == "access-denied":
		code, text, detail = fail.code, "Access Denied", &shared.AccessDenied{}
	case isFailure && fail.kind == "maximum-append-size-exceeded":
		code, text = fail.code, "Maximum Append Size Exceeded"
		detail = &shared.MaximumAppendSizeExceeded{MaxAppendSize: uint32(b.service.node.o.AppendBytesMax)}
	case isFailure && fail.code == codes.InvalidArgument, errors.Is(err, eventstore.ErrInvalid):
		code, text, detail = codes.InvalidArgument, err.Error(), &shared.BadRequest{Message: strings.ToValidUTF8(err.Error(), "?")}
	default:
		told, known := public(err)
		if !known {
			b.service.node.o.Log.Error("batch append failed", "err", err)
		}
		text, detail = strings.ToValidUTF8(fmt.Sprint(told), "?"), &emptypb.Empty{}
		if isFailure {
			code, text = fail.code, fail.text
		}
	}
	st := &status.Status{Code: int32(code), Message: strings.ToValidUTF8(text, "?")}
	if packed, err := anypb.New(detail); err == nil {
		st.Details = append(st.Details, packed)
	}
	return st
}

func wrongBatch(expect expectation, actual eventstore.Revision) *shared.WrongExpectedVersion {
	w, none := &shared.WrongExpectedVersion{}, &emptypb.Empty{}
	switch {
	case expect.exists:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: none}
	case expect.revision == eventstore.AnyRevision:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: none}
	case expect.revision == eventstore.NoStream:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: none}
	default:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: uint64(expect.revision)}
	}
	if actual < 0 {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: none}
	} else {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(actual)}
	}
	return w
}
