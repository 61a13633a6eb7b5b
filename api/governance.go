package api

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"zujian/api/desk"
	"zujian/domain"
	"zujian/eventstore"
)

func listRules(ctx context.Context, s *Server, c *call) (answer, error) {
	policy, err := s.o.Desk.Policy(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{body: Rules{Version: policy.Version, On: c.on(), Rules: policy.InForce(c.on())}}, nil
}

func proposeRuleChange(ctx context.Context, s *Server, c *call, in NewRuleChange) (answer, error) {
	raw, err := json.Marshal(in.Rule)
	if err != nil {
		return answer{}, err
	}
	var rule domain.Rule
	if err := json.Unmarshal(raw, &rule); err != nil {
		return answer{}, invalid(FieldError{Pointer: "/rule", Code: codeFormat})
	}
	id, r, err := s.o.Desk.ProposeRule(ctx, c.Call, rule, in.Reason)
	return wrote(http.StatusCreated, r, Done{Id: id}), err
}

func decideRuleChange(ctx context.Context, s *Server, c *call, in Decision) (answer, error) {
	r, err := s.o.Desk.DecideRule(ctx, c.Call, c.path("id"), in.Accept, in.Reason)
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

// eventScanMax bounds what one request reads when a type filter matches little.
const eventScanMax = 20_000

// listEvents pages through the log as it is: personal fields are sealed in it and stay so. One stream, or what one view
// reads, up to a position, is what an answer was made from: its made.events leads here.
func listEvents(ctx context.Context, s *Server, c *call) (answer, error) {
	after, _ := strconv.ParseUint(c.query["after"], 10, 63) // Its form was checked; absent is 0.
	upto, err := strconv.ParseUint(c.query["upto"], 10, 63)
	if err != nil {
		upto = math.MaxInt64
	}
	var types []string
	if t := c.query["types"]; t != "" {
		types = strings.Split(t, ",")
	}
	for _, t := range types {
		if _, known := s.o.Catalogue[t]; !known {
			return answer{}, errParameter.With("parameter", "types")
		}
	}
	if v := c.query["view"]; v != "" {
		of, ok := s.viewTypes(v)
		if !ok || types != nil {
			return answer{}, errParameter.With("parameter", "view")
		}
		types = of
	}
	events := s.o.Store.All(ctx, eventstore.Position(after))
	if stream := c.query["stream"]; stream != "" {
		events = s.o.Store.Stream(ctx, stream, 0)
	}
	body := Events{Events: []LogEvent{}, NextAfter: int64(after)}
	scanned := 0
	for e, err := range events {
		if err != nil {
			return answer{}, err
		}
		if uint64(e.Position) > upto {
			break
		}
		if uint64(e.Position) <= after {
			continue // Of a stream, which is read from its start.
		}
		body.NextAfter = int64(e.Position)
		if types == nil || slices.Contains(types, e.Type) {
			body.Events = append(body.Events, logEvent(e))
		}
		if scanned++; len(body.Events) == c.limit() || scanned == eventScanMax {
			break
		}
	}
	return answer{body: body}, nil
}

func logEvent(e eventstore.Recorded) LogEvent {
	return LogEvent{
		Position: int64(e.Position), Ordinal: int64(e.Ordinal), Id: uuid.UUID(e.ID).String(), Stream: e.Stream,
		Revision: int64(e.Revision), Type: e.Type, Schema: e.Meta.Schema, RecordedAt: e.StoredAt, Data: e.Data, Meta: e.Meta,
	}
}

// readContractHistory tells parties what happened and when, and officers with what content.
func readContractHistory(ctx context.Context, s *Server, c *call) (answer, error) {
	asOf, err := c.asOf()
	if err != nil {
		return answer{}, err
	}
	id := c.path("id")
	_, r, err := s.o.Desk.Contract(ctx, c.Actor, id, asOf)
	if err != nil {
		return answer{}, err
	}
	body := History{Id: id, Events: []HistoryEvent{}}
	for e, err := range s.o.Store.Stream(ctx, "contract-"+id, 0) {
		if err != nil {
			return answer{}, err
		}
		if !asOf.IsZero() && e.StoredAt.After(asOf) {
			break
		}
		row := HistoryEvent{Revision: int64(e.Revision), Position: int64(e.Position), Type: e.Type, At: e.Meta.At, Role: e.Meta.Role}
		if regulator(c.Actor) || c.Actor.Role == domain.RoleAuditor {
			row.Data = e.Data
		}
		body.Events = append(body.Events, row)
	}
	return answer{body: body, revision: &r.Revision}, nil
}

func issueKey(ctx context.Context, s *Server, c *call, in NewKey) (answer, error) {
	req := desk.NewKey{Role: domain.Role(in.Role), Party: in.PartyId, Area: in.Area, Label: in.Label}
	if !in.ExpiresOn.IsZero() {
		req.Expires = in.ExpiresOn.AddDays(1).Start() // The day itself still counts.
	}
	key, id, r, err := s.o.Desk.IssueKey(ctx, c.Call, req)
	return wrote(http.StatusCreated, r, Key{Id: id, Key: key}), err
}

func revokeKey(ctx context.Context, s *Server, c *call) (answer, error) {
	c.ID = s.o.NewID().String()
	r, err := s.o.Desk.RevokeKey(ctx, c.Call, c.path("id"), "")
	return wrote(http.StatusOK, r, Done{Id: c.path("id")}), err
}

func regulator(a domain.Actor) bool {
	return a.Role == domain.RoleDistrict || a.Role == domain.RoleCity
}

// jsontext is JSON that is passed on as it stands.
type jsontext = json.RawMessage
