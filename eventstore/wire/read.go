package wire

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"zujian/eventstore"
)

// errStop ends a walk that has yielded enough.
var errStop = errors.New("stop")

// query is a checked read request.
type query struct {
	stream     string // "" for all.
	back       bool
	resolve    bool
	subscribe  bool
	compatible bool // May be told first and last positions.
	count      uint64
	filter     *filter
	enc        encoder

	// Where to start. For a stream a revision, for all a position; of a subscription the last one already seen.
	start, end bool
	revision   eventstore.Revision
	position   eventstore.Position
}

type readOptions = streams.ReadReq_Options

// parseRead checks a request. Only the combinations the protocol allows pass.
func parseRead(ctx context.Context, o *readOptions) (q query, err error) {
	if o == nil {
		return q, requiredArgument("options")
	}
	switch s := o.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		if q.stream, err = streamName(s.Stream.GetStreamIdentifier()); err == nil {
			err = q.fromRevision(s.Stream)
		}
	case *streams.ReadReq_Options_All:
		err = q.fromPosition(s.All)
	default:
		err = requiredArgument("stream_option")
	}
	if err != nil {
		return q, err
	}
	switch c := o.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		q.count = c.Count
	case *streams.ReadReq_Options_Subscription:
		q.subscribe, q.count = true, math.MaxUint64
	default:
		return q, requiredArgument("count_option")
	}
	switch o.GetReadDirection() {
	case streams.ReadReq_Options_Forwards:
	case streams.ReadReq_Options_Backwards:
		q.back = true
	default:
		return q, invalid("'%d' is not a valid read direction", o.GetReadDirection())
	}
	switch f := o.GetFilterOption().(type) {
	case *streams.ReadReq_Options_Filter:
		if q.filter, err = parseFilter(f.Filter, q.subscribe); err != nil {
			return q, err
		}
	case *streams.ReadReq_Options_NoFilter:
	default:
		return q, requiredArgument("filter_option")
	}
	text := false
	switch o.GetUuidOption().GetContent().(type) {
	case *streams.ReadReq_Options_UUIDOption_String_:
		text = true
	case *streams.ReadReq_Options_UUIDOption_Structured:
	default:
		return q, requiredArgument("uuid_option")
	}
	if (q.subscribe && q.back) || (q.filter != nil && q.stream != "") {
		return q, invalid("The combination of (%T, %T, %s, %T) is invalid.", o.GetStreamOption(), o.GetCountOption(), o.GetReadDirection(), o.GetFilterOption())
	}
	q.enc = encoderFor(ctx, text)
	q.resolve = o.GetResolveLinks()
	q.compatible = o.GetControlOption().GetCompatibility() >= 1
	return q, nil
}

func (q *query) fromRevision(o *streams.ReadReq_Options_StreamOptions) error {
	switch r := o.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if r.Revision > math.MaxInt64 {
			return invalid("'%d' is not a valid revision", r.Revision)
		}
		q.revision = eventstore.Revision(r.Revision)
	case *streams.ReadReq_Options_StreamOptions_Start:
		q.start = true
	case *streams.ReadReq_Options_StreamOptions_End:
		q.end = true
	default:
		return requiredArgument("revision_option")
	}
	return nil
}

func (q *query) fromPosition(o *streams.ReadReq_Options_AllOptions) error {
	switch p := o.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		c, r := p.Position.GetCommitPosition(), p.Position.GetPreparePosition()
		switch {
		case c == math.MaxUint64 && r == math.MaxUint64:
			q.end = true // As clients say the end.
		case c > math.MaxInt64 || r > c:
			return errPosition
		default:
			q.position = eventstore.Position(c)
		}
	case *streams.ReadReq_Options_AllOptions_Start:
		q.start = true
	case *streams.ReadReq_Options_AllOptions_End:
		q.end = true
	default:
		return requiredArgument("all_option")
	}
	return nil
}

// Read answers reads and subscriptions of one stream or of all.
func (v streamsService) Read(req *streams.ReadReq, call streams.Streams_ReadServer) error {
	q, err := parseRead(call.Context(), req.GetOptions())
	if err != nil {
		return err
	}
	if err := v.node.leadIfAsked(call.Context()); err != nil {
		return err
	}
	s := v.node.Server
	switch {
	case q.subscribe:
		return s.subscribe(call, q)
	case q.stream == "":
		return s.readAll(call, q)
	}
	return s.readStream(call, q)
}

// settle waits for what is under way, if it was asked to and can, and says until when there will be no more.
func (s *Server) settle(ctx context.Context, enc *encoder) error {
	log, can := s.o.Store.(eventstore.Settling)
	if !enc.settling || !can {
		return nil
	}
	now := s.o.Now()
	enc.settled = ticks(now)
	return log.Settle(ctx, now)
}

func (s *Server) readAll(call streams.Streams_ReadServer, q query) error {
	ctx := call.Context()
	seq := s.o.Store.All(ctx, max(q.position, 1)-1) // An event at the position is read, too,
	if q.end && !q.back {
		return nil
	}
	if q.back {
		upTo := max(q.position, 1) - 1 // but not backwards.
		switch {
		case q.end:
			upTo = eventstore.LastPosition
			if err := s.settle(ctx, &q.enc); err != nil {
				return err
			}
		case q.start:
			return nil
		}
		seq = s.o.Store.AllBack(ctx, upTo)
	}
	if q.count == 0 {
		return nil
	}
	for r, err := range seq {
		if err != nil {
			return fmt.Errorf("read all: %w", err)
		}
		if q.filter != nil && !q.filter.match(&r) {
			continue
		}
		it := item{event: &r}
		if q.resolve {
			if it, err = s.resolve(ctx, r); err != nil {
				return err
			}
		}
		if err := call.Send(q.enc.event(it)); err != nil {
			return err
		}
		if q.count--; q.count == 0 {
			break
		}
	}
	return nil
}

// windowFor is the stream's window, or all of it for a caller who asked for the log as it is.
func (s *Server) windowFor(ctx context.Context, q query) (window, error) {
	if !q.enc.raw {
		return s.window(ctx, q.stream)
	}
	end, err := s.last(ctx, q.stream)
	if err != nil || end == nil {
		return window{last: eventstore.NoStream, gone: true}, err
	}
	return window{last: end.Revision}, nil
}

func notFound(stream string) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
	}}}
}

func (s *Server) readStream(call streams.Streams_ReadServer, q query) error {
	ctx := call.Context()
	v := s.virtual.of(q.stream)
	var w window
	var err error
	if v != nil {
		w, err = v.window(ctx, s.o.Store)
	} else {
		w, err = s.windowFor(ctx, q)
	}
	switch {
	case err != nil:
		return err
	case w.deleted:
		return streamDeleted(base(q.stream))
	case w.gone:
		return call.Send(notFound(q.stream))
	}
	if q.compatible && w.first <= w.last {
		if err := call.Send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: uint64(w.first)}}); err != nil {
			return err
		}
	}
	from := q.revision
	if (q.start && !q.back) || (q.end && q.back) {
		from = w.first
		if q.back {
			from = w.last
		}
	} else if q.start || q.end {
		q.count = min(q.count, 1) // From the last event on, or from the first one back.
		from = w.last
		if q.start {
			from = 0
		}
	}
	if q.count > 0 {
		err = s.walk(ctx, q.stream, v, w, from, q.back, q.resolve, func(it item) error {
			if err := call.Send(q.enc.event(it)); err != nil {
				return err
			}
			if q.count--; q.count == 0 {
				return errStop
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	if q.compatible {
		return call.Send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(max(w.last, 0))}})
	}
	return nil
}

// walk yields what is seen of a stream, from a revision on or back from it, until yield returns an error.
func (s *Server) walk(ctx context.Context, stream string, v *virtual, w window, from eventstore.Revision, back, resolve bool,
	yield func(item) error,
) error {
	each := func(r eventstore.Recorded) (err error) {
		it := item{event: &r}
		if resolve {
			if it, err = s.resolve(ctx, r); err != nil {
				return err
			}
		}
		return yield(it)
	}
	switch {
	case v != nil && back:
		return v.readBack(ctx, s.o.Store, min(from, w.last), each)
	case v != nil:
		return v.read(ctx, s.o.Store, from, w.last+1, each)
	}
	seq := s.o.Store.Stream(ctx, stream, max(from, w.first))
	if back {
		seq = s.o.Store.StreamBack(ctx, stream, min(from, w.last))
	}
	for r, err := range seq {
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if r.Revision > w.last || r.Revision < w.first {
			return nil
		}
		if w.tooOld(&r) {
			if back {
				return nil // What is before it is older still.
			}
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}
