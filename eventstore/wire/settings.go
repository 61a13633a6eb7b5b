package wire

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// settingsMessage is what the settings of create and update have in common.
type settingsMessage interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
	GetMessageTimeoutTicks() int64
	GetMessageTimeoutMs() int32
	GetCheckpointAfterTicks() int64
	GetCheckpointAfterMs() int32
}

func readSettings(m settingsMessage) (settings, error) {
	millis := func(ms int32, ticks int64) int32 {
		if ms != 0 {
			return ms
		}
		return int32(min(ticks/10_000, math.MaxInt32))
	}
	s := settings{
		ResolveLinks: m.GetResolveLinks(), ExtraStatistics: m.GetExtraStatistics(), MaxRetries: m.GetMaxRetryCount(),
		MinCheckpoint: m.GetMinCheckpointCount(), MaxCheckpoint: m.GetMaxCheckpointCount(), MaxSubscribers: m.GetMaxSubscriberCount(),
		LiveBuffer: m.GetLiveBufferSize(), ReadBatch: m.GetReadBatchSize(), HistoryBuffer: m.GetHistoryBufferSize(),
		TimeoutMs: millis(m.GetMessageTimeoutMs(), m.GetMessageTimeoutTicks()), CheckpointMs: millis(m.GetCheckpointAfterMs(), m.GetCheckpointAfterTicks()),
	}
	for _, n := range []struct {
		name  string
		value int32
	}{
		{"max_retry_count", s.MaxRetries},
		{"min_checkpoint_count", s.MinCheckpoint},
		{"max_checkpoint_count", s.MaxCheckpoint},
		{"max_subscriber_count", s.MaxSubscribers},
		{"live_buffer_size", s.LiveBuffer},
		{"read_batch_size", s.ReadBatch},
		{"history_buffer_size", s.HistoryBuffer},
		{"message_timeout", s.TimeoutMs},
		{"checkpoint_after", s.CheckpointMs},
	} {
		if n.value < 0 {
			return s, invalid("'%d' is not a valid %s", n.value, n.name)
		}
	}
	return s, nil
}

// origin is where a group starts, in any of the shapes messages have for it.
type origin struct {
	start, end bool
	at         uint64
}

// place puts an origin into the settings: as it is told, and as the first thing to read.
func (p persistentService) place(ctx context.Context, set *settings, name groupName, o origin) error {
	s := p.node.Server
	all := name.stream == allName
	switch {
	case o.start && all:
		set.StartFrom = "C:0/P:0"
	case o.start:
		set.StartFrom = "0"
	case o.end && all:
		head, err := s.o.Store.Head(ctx)
		if err != nil {
			return err
		}
		set.StartFrom, set.From = "C:-1/P:-1", uint64(head.Position)
	case o.end:
		w, err := s.sourceWindow(ctx, name.stream)
		if err != nil {
			return err
		}
		set.StartFrom, set.From = "-1", uint64(w.last+1)
	case o.at > math.MaxInt64:
		return invalid("'%d' is not a valid place to start", o.at)
	case all:
		set.StartFrom, set.From = formatCheckpoint(o.at, true), max(o.at, 1)-1
	default:
		set.StartFrom, set.From = strconv.FormatUint(o.at, 10), o.at
	}
	return nil
}

func (s *Server) sourceWindow(ctx context.Context, stream string) (window, error) {
	if v := s.virtual.of(stream); v != nil {
		return v.window(ctx, s.o.Store)
	}
	return s.window(ctx, stream)
}

// checkSettings refuses what cannot work, in the real server's words where they are known.
func checkSettings(name groupName, s settings) error {
	switch s.Strategy {
	case strategySingle, strategyRoundRobin, strategyPinned, strategyCorrelation:
	default:
		return groupFailed(name, "Consumer strategy "+strings.ToValidUTF8(s.Strategy, "?")+" does not exist.")
	}
	switch {
	case s.HistoryBuffer <= 0:
		return groupFailed(name, "Buffer size must be greater than 0.")
	case s.ReadBatch <= 0:
		return groupFailed(name, "Read batch size must be greater than 0.")
	case s.HistoryBuffer <= s.ReadBatch:
		return groupFailed(name, "BufferSize must be larger than ReadBatchSize")
	}
	return nil
}

// legacyOrigin is where clients before 21 put it.
func legacyOrigin(rev uint64) origin {
	if rev == math.MaxUint64 {
		return origin{end: true}
	}
	return origin{at: rev}
}

func streamOrigin(unset bool, o interface {
	GetRevision() uint64
	GetStart() *shared.Empty
	GetEnd() *shared.Empty
},
) origin {
	switch {
	case o.GetEnd() != nil:
		return origin{end: true}
	case o.GetStart() != nil || unset:
		return origin{start: true}
	}
	return legacyOrigin(o.GetRevision())
}

type positionMessage interface {
	GetCommitPosition() uint64
	GetPreparePosition() uint64
}

func allOrigin[P interface {
	positionMessage
	comparable
}](o interface {
	GetPosition() P
	GetStart() *shared.Empty
	GetEnd() *shared.Empty
},
) (origin, error) {
	var none P
	p := o.GetPosition()
	switch {
	case o.GetEnd() != nil:
		return origin{end: true}, nil
	case o.GetStart() != nil || p == none:
		return origin{start: true}, nil
	case p.GetPreparePosition() > p.GetCommitPosition():
		return origin{}, errPosition
	}
	return legacyOrigin(p.GetCommitPosition()), nil
}
