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
