package wire

import (
	"context"
	"net"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/metadata"
)

// serverVersion is the release whose protocol this is: the last before multi-stream appends, which a Store cannot do.
const serverVersion = "24.10.0"

type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods lists what is served, in lower case, as clients compare it.
func (featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	out := &serverfeatures.SupportedMethods{EventStoreServerVersion: serverVersion}
	for _, service := range []struct {
		name              string
		methods, features []string
	}{
		{"event_store.client.streams.streams", []string{"append", "batchappend", "delete", "read", "tombstone"}, nil},
		{
			"event_store.client.persistent_subscriptions.persistentsubscriptions",
			[]string{"create", "update", "delete", "read", "getinfo", "replayparked", "list", "restartsubsystem"},
			[]string{"stream", "all"},
		},
		{"event_store.client.gossip.gossip", []string{"read"}, nil},
		{"event_store.client.server_features.serverfeatures", []string{"getsupportedmethods"}, nil},
	} {
		for _, m := range service.methods {
			s := &serverfeatures.SupportedMethod{ServiceName: service.name, MethodName: m}
			s.Features = service.features
			out.Methods = append(out.Methods, s)
		}
	}
	return out, nil
}

type gossipService struct {
	gossip.UnimplementedGossipServer
	node *node
	id   [16]byte
}

// Read tells the members of the cluster: of a single node, itself.
func (g gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	self := g.node.Self
	if self == (Endpoint{}) {
		self = dialled(ctx)
	}
	members := g.node.Members
	if len(members) == 0 {
		members = []Endpoint{self}
	}
	leader := self
	if g.node.Leader != nil {
		leader = *g.node.Leader
	}
	out := &gossip.ClusterInfo{}
	for i, m := range members {
		state := gossip.MemberInfo_Follower
		if m == leader {
			state = gossip.MemberInfo_Leader
		}
		id := g.id
		id[15] ^= byte(i)
		out.Members = append(out.Members, &gossip.MemberInfo{
			InstanceId: structured(id), TimeStamp: g.node.o.Now().UnixNano() / 100, State: state, IsAlive: true,
			HttpEndPoint: &gossip.EndPoint{Address: m.Host, Port: uint32(m.Port)},
		})
	}
	return out, nil
}

// dialled is the address the caller used.
func dialled(ctx context.Context) Endpoint {
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(":authority")) > 0 {
		host, port, err := net.SplitHostPort(md.Get(":authority")[0])
		if n, bad := strconv.Atoi(port); err == nil && bad == nil {
			return Endpoint{Host: host, Port: n}
		}
	}
	return Endpoint{Host: "localhost", Port: 2113}
}
