package wire

import (
	"context"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
)

// info is how a group is set and how it fares.
func (g *group) info(ctx context.Context) (*persistent.SubscriptionInfo, error) {
	known, err := g.lastKnown(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.server.o.Now()
	s := g.set
	out := &persistent.SubscriptionInfo{
		EventSource: g.name.stream, GroupName: g.name.group, Status: "Live", AveragePerSecond: g.rate.perSecond(now, g.total),
		TotalItems: g.total, CountSinceLastMeasurement: g.since, LastKnownEventPosition: known,
		ResolveLinkTos: s.ResolveLinks, StartFrom: s.StartFrom, MessageTimeoutMilliseconds: s.TimeoutMs, ExtraStatistics: s.ExtraStatistics,
		MaxRetryCount: s.MaxRetries, LiveBufferSize: s.LiveBuffer, BufferSize: s.HistoryBuffer, ReadBatchSize: s.ReadBatch,
		CheckPointAfterMilliseconds: s.CheckpointMs, MinCheckPointCount: s.MinCheckpoint, MaxCheckPointCount: s.MaxCheckpoint,
		ReadBufferCount: int32(len(g.buffer)), RetryBufferCount: int32(len(g.retry)), TotalInFlightMessages: int32(len(g.held)),
		OutstandingMessagesCount: int32(len(g.held)), NamedConsumerStrategy: s.Strategy, MaxSubscriberCount: s.MaxSubscribers,
		ParkedMessageCount: int64(max(g.parkedLast+1-g.replay, 0)),
	}
	if g.checkpointed {
		out.LastCheckpointedEventPosition = formatCheckpoint(g.checkpointAt, g.all())
	}
	g.since = 0
	for _, c := range g.consumers {
		info := &persistent.SubscriptionInfo_ConnectionInfo{
			From: c.from, Username: c.user, AverageItemsPerSecond: c.rate.perSecond(now, c.total), TotalItems: c.total,
			CountSinceLastMeasurement: c.since, AvailableSlots: int32(c.free()), InFlightMessages: int32(len(c.held)), ConnectionName: c.name,
		}
		if s.ExtraStatistics {
			info.ObservedMeasurements = measurements(c.took)
		}
		c.since = 0
		out.Connections = append(out.Connections, info)
	}
	return out, nil
}

func (g *group) lastKnown(ctx context.Context) (string, error) {
	if g.all() {
		head, err := g.server.o.Store.Head(ctx)
		return formatCheckpoint(uint64(head.Position), true), err
	}
	w, err := g.server.sourceWindow(ctx, g.name.stream)
	if err != nil || w.deleted || w.last < 0 {
		return "", err
	}
	return formatCheckpoint(uint64(w.last), false), nil
}

// measurements are the times to an acknowledgement, in milliseconds.
func measurements(took []time.Duration) (out []*persistent.SubscriptionInfo_Measurement) {
	if len(took) == 0 {
		return nil
	}
	sorted := append([]time.Duration(nil), took...)
	slices.Sort(sorted)
	var sum time.Duration
	for _, t := range sorted {
		sum += t
	}
	at := func(percent float64) time.Duration {
		return sorted[min(int(percent/100*float64(len(sorted))), len(sorted)-1)]
	}
	for _, m := range []struct {
		key   string
		value time.Duration
	}{
		{"Mean", sum / time.Duration(len(sorted))},
		{"Median", at(50)},
		{"Quintile 1", at(20)},
		{"Quintile 2", at(40)},
		{"Quintile 3", at(60)},
		{"Quintile 4", at(80)},
		{"Quintile 5", at(100)},
		{"90%", at(90)},
		{"95%", at(95)},
		{"99%", at(99)},
		{"99.5%", at(99.5)},
		{"99.9%", at(99.9)},
		{"Highest", at(100)},
	} {
		out = append(out, &persistent.SubscriptionInfo_Measurement{Key: m.key, Value: m.value.Milliseconds()})
	}
	return out
}
