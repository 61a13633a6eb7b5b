package wire

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"zujian/eventstore"
)

type persistentService struct {
	persistent.UnimplementedPersistentSubscriptionsServer
	node *node
}

// manage refuses what only the leader does, for a caller who may write.
func (p persistentService) manage(ctx context.Context) error {
	return firstOf(p.node.mayWrite(ctx), p.node.lead())
}

// nameOf checks the name of a group.
func nameOf(stream *shared.StreamIdentifier, all bool, group string) (name groupName, err error) {
	name = groupName{stream: allName, group: group}
	if !all {
		if name.stream, err = streamName(stream); err != nil {
			return name, err
		}
	}
	if group == "" {
		return name, requiredArgument("group_name")
	}
	if len(group) > groupNameBytesMax || !utf8.ValidString(group) || len(name.parked())+2 > eventstore.StreamBytesMax {
		return name, invalid("the names of stream and group are too long for a persistent subscription")
	}
	if strings.ContainsFunc(group, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return name, invalid("the group's name holds a control character")
	}
	return name, nil
}

// Create makes a group.
func (p persistentService) Create(ctx context.Context, req *persistent.CreateReq) (*persistent.CreateResp, error) {
	o := req.GetOptions()
	if o.GetSettings() == nil {
		return nil, requiredArgument("settings")
	}
	//lint:ignore SA1019 older clients send nothing else
	id, from := o.GetStreamIdentifier(), legacyOrigin(o.GetSettings().GetRevision())
	var err error
	switch s := o.GetStreamOption().(type) {
	case *persistent.CreateReq_Options_Stream:
		id = s.Stream.GetStreamIdentifier()
		from = streamOrigin(s.Stream.GetRevisionOption() == nil, s.Stream)
	case *persistent.CreateReq_Options_All:
		from, err = allOrigin(s.All)
	}
	if err != nil {
		return nil, err
	}
	all := o.GetAll() != nil
	name, err := nameOf(id, all, o.GetGroupName())
	if err != nil {
		return nil, err
	}
	if err := p.manage(ctx); err != nil {
		return nil, err
	}
	set, err := readSettings(o.GetSettings())
	if err != nil {
		return nil, err
	}
	set.Strategy = o.GetSettings().GetConsumerStrategy()
	if set.Strategy == "" {
		//lint:ignore SA1019 the official Go client sends nothing else
		set.Strategy = o.GetSettings().GetNamedConsumerStrategy().String()
	}
	if err := checkSettings(name, set); err != nil {
		return nil, err
	}
	if f := o.GetAll().GetFilter(); f != nil {
		parsed, err := parseFilter(f, false)
		if err != nil {
			return nil, err
		}
		set.Filter = &parsed.spec
	}
	if err := p.place(ctx, &set, name, from); err != nil {
		return nil, err
	}
	if err := p.node.groups.create(ctx, name, set); err != nil {
		return nil, err
	}
	return &persistent.CreateResp{}, nil
}

// Update changes a group's settings.
func (p persistentService) Update(ctx context.Context, req *persistent.UpdateReq) (*persistent.UpdateResp, error) {
	o := req.GetOptions()
	if o.GetSettings() == nil {
		return nil, requiredArgument("settings")
	}
	//lint:ignore SA1019 older clients send nothing else
	id, from := o.GetStreamIdentifier(), legacyOrigin(o.GetSettings().GetRevision())
	var err error
	switch s := o.GetStreamOption().(type) {
	case *persistent.UpdateReq_Options_Stream:
		id = s.Stream.GetStreamIdentifier()
		from = streamOrigin(s.Stream.GetRevisionOption() == nil, s.Stream)
	case *persistent.UpdateReq_Options_All:
		from, err = allOrigin(s.All)
	}
	if err != nil {
		return nil, err
	}
	name, err := nameOf(id, o.GetAll() != nil, o.GetGroupName())
	if err != nil {
		return nil, err
	}
	if err := p.manage(ctx); err != nil {
		return nil, err
	}
	set, err := readSettings(o.GetSettings())
	if err != nil {
		return nil, err
	}
	set.Strategy = o.GetSettings().GetNamedConsumerStrategy().String()
	err = p.node.groups.update(ctx, name, func(old settings) (settings, error) {
		if old.Strategy == strategyCorrelation && set.Strategy == strategySingle {
			set.Strategy = old.Strategy // The message cannot say it; 0 is what a client sends that does not know better.
		}
		if err := checkSettings(name, set); err != nil {
			return set, err
		}
		return set, p.place(ctx, &set, name, from)
	})
	if err != nil {
		return nil, err
	}
	return &persistent.UpdateResp{}, nil
}

// Delete ends a group.
func (p persistentService) Delete(ctx context.Context, req *persistent.DeleteReq) (*persistent.DeleteResp, error) {
	o := req.GetOptions()
	name, err := nameOf(o.GetStreamIdentifier(), o.GetAll() != nil, o.GetGroupName())
	if err != nil {
		return nil, err
	}
	if err := p.manage(ctx); err != nil {
		return nil, err
	}
	if err := p.node.groups.remove(ctx, name); err != nil {
		return nil, err
	}
	return &persistent.DeleteResp{}, nil
}

// GetInfo tells how a group is set and how it fares.
func (p persistentService) GetInfo(ctx context.Context, req *persistent.GetInfoReq) (*persistent.GetInfoResp, error) {
	o := req.GetOptions()
	name, err := nameOf(o.GetStreamIdentifier(), o.GetAll() != nil, o.GetGroupName())
	if err != nil {
		return nil, err
	}
	if err := p.node.lead(); err != nil {
		return nil, err
	}
	g, err := p.node.groups.get(name)
	if err != nil {
		return nil, err
	}
	info, err := g.info(ctx)
	return &persistent.GetInfoResp{SubscriptionInfo: info}, err
}

// List tells the same of all groups, or those on a stream.
func (p persistentService) List(ctx context.Context, req *persistent.ListReq) (*persistent.ListResp, error) {
	o := req.GetOptions()
	stream := ""
	switch l := o.GetListOption().(type) {
	case *persistent.ListReq_Options_ListAllSubscriptions:
	case *persistent.ListReq_Options_ListForStream:
		if stream = allName; l.ListForStream.GetAll() == nil {
			var err error
			if stream, err = streamName(l.ListForStream.GetStream()); err != nil {
				return nil, err
			}
		}
	default:
		return nil, requiredArgument("list_option")
	}
	if err := p.node.lead(); err != nil {
		return nil, err
	}
	list := p.node.groups.all(stream)
	if len(list) == 0 && stream != "" {
		return nil, groupMissing(groupName{stream: stream})
	}
	out := &persistent.ListResp{}
	for _, g := range list {
		info, err := g.info(ctx)
		if err != nil {
			return nil, err
		}
		out.Subscriptions = append(out.Subscriptions, info)
	}
	return out, nil
}

// ReplayParked hands parked messages out again, up to a number if one is given.
func (p persistentService) ReplayParked(ctx context.Context, req *persistent.ReplayParkedReq) (*persistent.ReplayParkedResp, error) {
	o := req.GetOptions()
	name, err := nameOf(o.GetStreamIdentifier(), o.GetAll() != nil, o.GetGroupName())
	if err != nil {
		return nil, err
	}
	stopAt := int64(math.MaxInt64)
	switch s := o.GetStopAtOption().(type) {
	case *persistent.ReplayParkedReq_Options_StopAt:
		if stopAt = s.StopAt; stopAt < 0 {
			return nil, invalid("'%d' is not a valid stop_at", stopAt)
		}
	case *persistent.ReplayParkedReq_Options_NoLimit:
	default:
		return nil, requiredArgument("stop_at_option")
	}
	if err := p.manage(ctx); err != nil {
		return nil, err
	}
	g, err := p.node.groups.get(name)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replayTo = max(g.replayTo, min(eventstore.Revision(stopAt), g.parkedLast+1))
	g.wakeLocked()
	return &persistent.ReplayParkedResp{}, nil
}

// RestartSubsystem drops all consumers and reads everything again.
func (p persistentService) RestartSubsystem(ctx context.Context, _ *shared.Empty) (*shared.Empty, error) {
	if err := p.manage(ctx); err != nil {
		return nil, err
	}
	return &shared.Empty{}, p.node.groups.restart(ctx)
}

// Read connects a consumer: events out, acknowledgements in.
func (p persistentService) Read(call persistent.PersistentSubscriptions_ReadServer) error {
	ctx := call.Context()
	first, err := recvWithin(call.Recv, helloWait)
	if err != nil {
		return err
	}
	o := first.GetOptions()
	if o == nil {
		return invalid("the first message must hold the options")
	}
	name, err := nameOf(o.GetStreamIdentifier(), o.GetAll() != nil, o.GetGroupName())
	if err != nil {
		return err
	}
	if o.GetBufferSize() < 0 {
		return invalid("'%d' is not a valid buffer size", o.GetBufferSize())
	}
	if err := p.node.lead(); err != nil {
		return err
	}
	g, err := p.node.groups.get(name)
	if err != nil {
		return err
	}
	c := &consumer{
		name: header(ctx, "connection-name", "<unknown>"), user: callerOf(ctx).Name, slots: int(min(o.GetBufferSize(), deliveredMax)),
		held: map[[16]byte]*message{}, wake: bell{rung: make(chan struct{}, 1)},
	}
	if at, ok := peer.FromContext(ctx); ok {
		if host, port, err := net.SplitHostPort(at.Addr.String()); err == nil {
			c.from = net.JoinHostPort(host, port)
		}
	}
	if err := g.connect(c); err != nil {
		return err
	}
	defer g.disconnect(c)
	id := uuid.UUID(p.node.o.NewID()).String()
	if err := call.Send(&persistent.ReadResp{Content: &persistent.ReadResp_SubscriptionConfirmation_{
		SubscriptionConfirmation: &persistent.ReadResp_SubscriptionConfirmation{SubscriptionId: id},
	}}); err != nil {
		return err
	}
	_, text := o.GetUuidOption().GetContent().(*persistent.ReadReq_Options_UUIDOption_String_)
	return p.deliver(call, g, c, encoderFor(ctx, text))
}

func header(ctx context.Context, key, otherwise string) string {
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(key)) > 0 {
		return strings.ToValidUTF8(md.Get(key)[0], "?")
	}
	return otherwise
}

// deliver sends what the group hands out, while another goroutine takes the answers.
func (p persistentService) deliver(call persistent.PersistentSubscriptions_ReadServer, g *group, c *consumer, enc encoder) error {
	answers := make(chan error, 1)
	go func() { answers <- takeAnswers(call, g, c) }() // Ends with the call: Recv does.
	for {
		g.mu.Lock()
		queue, ended := c.queue, c.ended
		c.queue = nil
		type outgoing struct {
			it      item
			retries int32
		}
		out := make([]outgoing, 0, len(queue))
		for _, m := range queue {
			out = append(out, outgoing{m.item, m.retries})
		}
		g.mu.Unlock()
		for _, m := range out {
			if err := call.Send(enc.delivered(m.it, m.retries)); err != nil {
				return err
			}
		}
		if ended != nil {
			return ended
		}
		select {
		case <-c.wake.rung:
		case err := <-answers:
			return err
		case <-call.Context().Done():
			return call.Context().Err()
		}
	}
}

func takeAnswers(call persistent.PersistentSubscriptions_ReadServer, g *group, c *consumer) error {
	for {
		req, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch m := req.GetContent().(type) {
		case *persistent.ReadReq_Ack_:
			ids, err := parseIDs(m.Ack.GetIds())
			if err != nil {
				return err
			}
			g.ack(c, ids)
		case *persistent.ReadReq_Nack_:
			ids, err := parseIDs(m.Nack.GetIds())
			if err != nil {
				return err
			}
			action := nackRetry
			switch m.Nack.GetAction() {
			case persistent.ReadReq_Nack_Park:
				action = nackPark
			case persistent.ReadReq_Nack_Skip:
				action = nackSkip
			case persistent.ReadReq_Nack_Stop:
				action = nackStop
			case persistent.ReadReq_Nack_Retry, persistent.ReadReq_Nack_Unknown:
			default:
				return invalid("'%d' is not a valid action", m.Nack.GetAction())
			}
			g.nack(c, ids, action, m.Nack.GetReason())
		default:
			return invalid("only acknowledgements may follow the options")
		}
	}
}

func parseIDs(in []*shared.UUID) (ids [][16]byte, err error) {
	for _, u := range in {
		id, err := parseUUID(u)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (c encoder) delivered(it item, retries int32) *persistent.ReadResp {
	return &persistent.ReadResp{Content: &persistent.ReadResp_Event{Event: &persistent.ReadResp_ReadEvent{
		Event: c.persistent(it.event), Link: c.persistent(it.link),
		Position: &persistent.ReadResp_ReadEvent_CommitPosition{CommitPosition: uint64(it.original().Position)},
		Count:    &persistent.ReadResp_ReadEvent_RetryCount{RetryCount: retries},
	}}}
}

// persistent is the same event in the other service's type.
func (c encoder) persistent(r *eventstore.Recorded) *persistent.ReadResp_ReadEvent_RecordedEvent {
	if r == nil {
		return nil
	}
	return &persistent.ReadResp_ReadEvent_RecordedEvent{
		Id: c.id(r.ID), StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.Stream)}, StreamRevision: c.revision(r),
		PreparePosition: uint64(r.Position), CommitPosition: uint64(r.Position), Metadata: c.metadata(r),
		CustomMetadata: r.Meta.Bytes(), Data: r.Data,
	}
}
