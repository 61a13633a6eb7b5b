package wire

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"zujian/eventstore"
)

// failure is an error of the protocol: a status, and what its trailers say. Clients of other languages branch on the
// trailers and show the text, so both are the real server's.
type failure struct {
	code     codes.Code
	text     string
	kind     string // Trailer "exception"; none if "".
	trailers []string
}

func (f *failure) Error() string { return f.text }

// GRPCStatus is what grpc sends.
func (f *failure) GRPCStatus() *status.Status { return status.New(f.code, f.text) }

func (f *failure) md() metadata.MD {
	if f.kind == "" {
		return nil
	}
	return metadata.Join(metadata.Pairs("exception", f.kind), metadata.Pairs(f.trailers...))
}

func invalid(format string, args ...any) error {
	return &failure{code: codes.InvalidArgument, text: fmt.Sprintf(format, args...)}
}

func requiredArgument(name string) error { return invalid("'%s' is a required argument", name) }

func notLeader(e Endpoint) error {
	return &failure{code: codes.NotFound, text: "Leader info available", kind: "not-leader", trailers: []string{
		"leader-endpoint-host", e.Host, "leader-endpoint-port", strconv.Itoa(e.Port),
	}}
}

func accessDenied() error {
	return &failure{code: codes.PermissionDenied, text: "Access Denied", kind: "access-denied"}
}

func streamDeleted(stream string) error {
	return &failure{
		code: codes.FailedPrecondition, text: fmt.Sprintf("Event stream '%s' is deleted.", stream),
		kind: "stream-deleted", trailers: []string{"stream-name", stream},
	}
}

func wrongVersion(operation string, w *eventstore.WrongRevision) error {
	return &failure{
		code: codes.FailedPrecondition,
		text: fmt.Sprintf("%s failed due to WrongExpectedVersion. Stream: %s, Expected version: %d, Actual version: %d",
			operation, w.Stream, w.Expected, w.Actual),
		kind: "wrong-expected-version", trailers: []string{
			"stream-name", w.Stream, "expected-version", strconv.FormatInt(int64(w.Expected), 10),
			"actual-version", strconv.FormatInt(int64(w.Actual), 10),
		},
	}
}

func appendTooLarge(bytesMax int) error {
	return &failure{
		code: codes.InvalidArgument, text: fmt.Sprintf("Maximum Append Size of %d Exceeded.", bytesMax),
		kind: "maximum-append-size-exceeded", trailers: []string{"maximum-append-size", strconv.Itoa(bytesMax)},
	}
}

func metadataMissing(property string) error {
	return &failure{
		code: codes.InvalidArgument, text: fmt.Sprintf("Required Metadata Property '%s' is missing", property),
		kind: "missing-required-metadata-property", trailers: []string{"required-metadata-properties", "type,content-type"},
	}
}

// groupFailure is one about a persistent subscription.
func groupFailure(code codes.Code, kind, format string, g groupName) error {
	return &failure{
		code: code, kind: kind, text: fmt.Sprintf(format, g.group, g.stream),
		trailers: []string{"stream-name", g.stream, "group-name", g.group},
	}
}

func groupMissing(g groupName) error {
	return groupFailure(codes.NotFound, "persistent-subscription-does-not-exist", "Subscription group %s on stream %s does not exist.", g)
}

func groupExists(g groupName) error {
	return groupFailure(codes.AlreadyExists, "persistent-subscription-exists", "Subscription group %s on stream %s exists.", g)
}

func groupFull(g groupName) error {
	return groupFailure(codes.FailedPrecondition, "maximum-subscribers-reached",
		"Maximum subscriptions reached for subscription group %s on stream %s.", g)
}

func groupDropped(g groupName) error {
	return groupFailure(codes.Canceled, "persistent-subscription-dropped", "Subscription group %s on stream %s was dropped.", g)
}

func groupFailed(g groupName, reason string) error {
	return &failure{
		code: codes.Internal, text: fmt.Sprintf("Subscription group %s on stream %s failed: '%s'", g.group, g.stream, reason),
		kind: "persistent-subscription-failed", trailers: []string{"stream-name", g.stream, "group-name", g.group, "reason", reason},
	}
}

var (
	errBusy     = &failure{code: codes.Unavailable, text: "Server Is Too Busy"}
	errNotReady = &failure{code: codes.Unavailable, text: "Server Is Not Ready"}
	errClock    = &failure{code: codes.Unavailable, text: "The store's clock is in doubt, having leapt or been set back: nothing is recorded until it is right or confirmed"}
	errTimeout  = &failure{code: codes.Aborted, text: "Operation timed out: WriteTimeout"}
	errLogin    = &failure{code: codes.Unauthenticated, text: "Bad credentials"}
	errPosition = &failure{code: codes.InvalidArgument, text: "Trying to read from an invalid position."}
)

// public gives an error as the protocol says it. What has no such form is logged by the caller and not told.
func public(err error) (_ error, told bool) {
	if f, ok := errors.AsType[*failure](err); ok {
		return f, true
	}
	switch {
	case errors.Is(err, eventstore.ErrOverloaded), errors.Is(err, eventstore.ErrFull):
		return errBusy, true
	case errors.Is(err, eventstore.ErrClosed):
		return errNotReady, true
	case errors.Is(err, eventstore.ErrInvalid):
		return &failure{code: codes.InvalidArgument, text: err.Error()}, true
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "Cancelled"), true
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "Deadline Exceeded"), true
	}
	if s, ok := status.FromError(err); ok {
		return s.Err(), true
	}
	return status.Error(codes.Unknown, "Exception was thrown by handler."), false
}
