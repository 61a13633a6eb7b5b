package wire_test

import (
	"context"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"zujian/eventstore/memory"
)

func dial(tb testing.TB, address string) *grpc.ClientConn {
	tb.Helper()
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// as is a context with credentials, bounded by the tests' patience.
func as(tb testing.TB, basic string) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+basic)
}

const (
	admin  = "YWRtaW46Y2hhbmdlaXQ=" // admin:changeit
	reader = "cmVhZGVyOmxldG1laW4=" // reader:letmein
	nobody = "bm9ib2R5Om5vYm9keQ==" // nobody:nobody
)

// fails checks a call's status and its "exception" trailer.
func fails(tb testing.TB, what string, err error, trailer metadata.MD, code codes.Code, exception string) {
	tb.Helper()
	got := ""
	if v := trailer.Get("exception"); len(v) > 0 {
		got = v[0]
	}
	if status.Code(err) != code || got != exception {
		tb.Errorf("%s: got %v with trailers %v, want %s with exception %q", what, err, trailer, code, exception)
	}
}

func TestCredentials(t *testing.T) {
	address, _ := serve(t, options(&memory.Store{}))
	c := dial(t, address)
	if f, err := serverfeatures.NewServerFeaturesClient(c).GetSupportedMethods(t.Context(), &shared.Empty{}); err != nil ||
		f.GetEventStoreServerVersion() != "24.10.0" {
		t.Fatalf("features without credentials: %v, %v", f, err)
	}
	del := &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("a-1")},
		ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
	}}
	for _, try := range []struct {
		who       string
		ctx       context.Context
		code      codes.Code
		exception string
	}{
		{"nobody at all", t.Context(), codes.PermissionDenied, "access-denied"},
		{"bad login", as(t, nobody), codes.Unauthenticated, ""},
		{"no base64", as(t, "%%%"), codes.PermissionDenied, "access-denied"},
		{"a reader", as(t, reader), codes.PermissionDenied, "access-denied"},
		{"a writer", as(t, admin), codes.FailedPrecondition, "wrong-expected-version"},
	} {
		var trailer metadata.MD
		_, err := streams.NewStreamsClient(c).Delete(try.ctx, del, grpc.Trailer(&trailer))
		fails(t, try.who, err, trailer, try.code, try.exception)
	}
}
