package wire

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"zujian/eventstore"
)

const (
	appendBytesDefault = 1 << 20          // The real server's, up to its version 24.
	messageBytesMax    = 32 << 20         // One message of a client: the largest append in one piece, and its envelope.
	pingMin            = 4 * time.Second  // Clients ping every 10 s even without a call under way.
	idlePing           = 15 * time.Second // We ping, so that a peer that is gone is noticed.
	idlePingWait       = 20 * time.Second
	callsPerConnection = 100_000          // Idle subscriptions of one program may be many.
	windowBytes        = 1 << 20          // What a slow reader may leave unread, per connection and call.
	helloWait          = 20 * time.Second // For the first message of a stream of a client.
)

// AppendBytesMost is the largest limit of an append there can be: the store's own, and how much longer metadata and types
// are as they are counted here.
const AppendBytesMost = eventstore.AppendBytesMax + 4<<20

// Options configure a server. Store is mandatory.
type Options struct {
	Store eventstore.Store

	// Authenticate tells who a user of Basic authentication is; any error is told as bad credentials. If nil, whoever
	// can connect may do everything: only for a loopback address, or a test.
	Authenticate func(ctx context.Context, user, password string) (Caller, error)

	// Write lets callers who may write do so. Without it every write is Access Denied.
	Write bool

	// Outsiders makes every event that is written here one from outside, whatever its metadata looks like.
	Outsiders bool

	// Reserved tells stream and type names of which the product alone writes, in its own shape. May be nil.
	Reserved func(stream, eventType string) bool

	TLS            *tls.Config // nil serves in clear.
	AppendBytesMax int         // Of one append; 1 MiB if 0, at most AppendBytesMost.
	Now            func() time.Time
	Doubted        func() bool     // Nobody can say what time it is, so nothing may be recorded; nil is never.
	NewID          func() [16]byte // A random UUID.
	Log            *slog.Logger    // Discarded if nil.
}

// Caller is who calls and what it may do.
type Caller struct {
	Name  string
	Write bool
}

// Endpoint is where a node listens.
type Endpoint struct {
	Host string
	Port int
}

// Node is how a listener presents itself. The zero Node is a single node that leads.
type Node struct {
	Self    Endpoint   // As told by gossip; the address a client connected to if zero.
	Leader  *Endpoint  // nil if this node leads; otherwise writes and persistent subscriptions are sent there.
	Members []Endpoint // All nodes of a cluster, as told by gossip.
}

// Server is the protocol over one store. Its listeners share subscriptions and caches.
type Server struct {
	o       Options
	ctx     context.Context // Of everything that outlives a call.
	cancel  context.CancelFunc
	work    sync.WaitGroup
	states  states
	hub     *hub
	virtual virtuals
	groups  groups

	mu      sync.Mutex
	servers []*grpc.Server
	closed  bool
}

// New returns a server over o.Store. It reads the configuration of persistent subscriptions from the log.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Store == nil || o.Now == nil || o.NewID == nil {
		return nil, errors.New("wire: Options need Store, Now and NewID")
	}
	if o.AppendBytesMax == 0 {
		o.AppendBytesMax = appendBytesDefault
	}
	o.AppendBytesMax = min(o.AppendBytesMax, AppendBytesMost)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.hub = newHub(s.ctx, o.Store, o.Log, &s.work)
	s.groups.server = s
	if err := s.groups.load(ctx); err != nil {
		s.cancel()
		return nil, fmt.Errorf("wire: read persistent subscriptions: %w", err)
	}
	return s, nil
}

// Serve answers on l until Close. It returns nil then.
func (s *Server) Serve(l net.Listener, as Node) error {
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(messageBytesMax), grpc.MaxSendMsgSize(messageBytesMax), grpc.MaxConcurrentStreams(callsPerConnection),
		grpc.InitialWindowSize(windowBytes), grpc.InitialConnWindowSize(4 * windowBytes),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMin, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: idlePing, Timeout: idlePingWait}),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream),
	}
	if s.o.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(s.o.TLS)))
	}
	g := grpc.NewServer(opts...)
	n := &node{Server: s, Node: as}
	streams.RegisterStreamsServer(g, streamsService{node: n})
	persistent.RegisterPersistentSubscriptionsServer(g, persistentService{node: n})
	gossip.RegisterGossipServer(g, gossipService{node: n, id: s.o.NewID()})
	serverfeatures.RegisterServerFeaturesServer(g, featuresService{})
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(eventstore.ErrClosed, l.Close())
	}
	s.servers = append(s.servers, g)
	s.mu.Unlock()
	return g.Serve(l)
}

// Close ends every call, writes the checkpoints of persistent subscriptions, and waits for what runs. The store stays open.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	servers := s.servers
	s.mu.Unlock()
	for _, g := range servers {
		g.Stop()
	}
	err := s.groups.close()
	s.cancel()
	s.work.Wait()
	return err
}

// node is a listener's view of the server.
type node struct {
	*Server
	Node
}

type callerKey struct{}

func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// open are the services that tell nothing of the log; clients call them before they send credentials.
func open(method string) bool {
	return strings.HasPrefix(method, "/event_store.client.gossip.") || strings.HasPrefix(method, "/event_store.client.server_features.")
}

func (s *Server) authenticate(ctx context.Context, method string) (context.Context, error) {
	if s.o.Authenticate == nil {
		return context.WithValue(ctx, callerKey{}, Caller{Name: "anonymous", Write: true}), nil
	}
	if open(method) {
		return ctx, nil
	}
	user, password, ok := basic(ctx)
	if !ok {
		return nil, accessDenied()
	}
	c, err := s.o.Authenticate(ctx, user, password)
	if err != nil {
		return nil, errLogin
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// basic returns the credentials of Basic authentication (RFC 7617).
func basic(ctx context.Context) (user, password string, ok bool) {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		scheme, code, found := strings.Cut(v, " ")
		if !found || !strings.EqualFold(scheme, "basic") {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(code))
		if err != nil {
			continue
		}
		if user, password, ok = strings.Cut(string(raw), ":"); ok {
			return user, password, true
		}
	}
	return "", "", false
}

// mayWrite refuses what changes the log, unless this caller may, now.
func (s *Server) mayWrite(ctx context.Context) error {
	switch {
	case !s.o.Write || !callerOf(ctx).Write:
		return accessDenied()
	case s.o.Doubted != nil && s.o.Doubted():
		return errClock
	}
	return nil
}

// lead refuses a follower's work.
func (n *node) lead() error {
	if n.Leader != nil {
		return notLeader(*n.Leader)
	}
	return nil
}

// leadIfAsked refuses it when the caller insists on the leader.
func (n *node) leadIfAsked(ctx context.Context) error {
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("requires-leader")) > 0 && strings.EqualFold(md.Get("requires-leader")[0], "true") {
		return n.lead()
	}
	return nil
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (resp any, err error) {
	err = s.guard(info.FullMethod, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) }, func() error {
		ctx, err := s.authenticate(ctx, info.FullMethod)
		if err != nil {
			return err
		}
		resp, err = h(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	return s.guard(info.FullMethod, ss.SetTrailer, func() error {
		ctx, err := s.authenticate(ss.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		return h(srv, &serverStream{ServerStream: ss, ctx: ctx})
	})
}

type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *serverStream) Context() context.Context { return s.ctx }

// guard runs a call. A panic is the call's own failure, never the server's.
func (s *Server) guard(method string, trailer func(metadata.MD), f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Log.Error("call panicked", slog.String("method", method), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err, _ = public(fmt.Errorf("panic: %v", p))
		}
	}()
	if err = f(); err == nil {
		return nil
	}
	if fail, ok := errors.AsType[*failure](err); ok {
		if md := fail.md(); md != nil {
			trailer(md)
		}
	}
	told, known := public(err)
	if !known {
		s.o.Log.Error("call failed", slog.String("method", method), slog.Any("err", err))
	}
	return told
}
