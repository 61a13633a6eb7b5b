package api

import (
	"context"

	"zujian/domain/contract"
)

func replaceLessors(ctx context.Context, s *Server, c *call, in NewLessors) (answer, error) {
	state, r, err := s.o.Desk.ReplaceLessors(ctx, c.Call, c.path("id"), contract.ReplaceLessor{
		Lessors: shares(in.Lessors), TitleNo: in.TitleNo, From: in.From,
	})
	return contractAnswer(c, state, r, err)
}

func recordHandover(ctx context.Context, s *Server, c *call, in NewHandover) (answer, error) {
	h := contract.Handover{Direction: in.Direction, On: in.On, Keys: in.Keys, PhotosSHA256: in.PhotosSha256}
	for _, x := range in.Readings {
		h.Readings = append(h.Readings, contract.Reading{Meter: x.Meter, ValueMilli: x.ValueMilli})
	}
	for _, x := range in.Items {
		h.Items = append(h.Items, contract.Item{Name: x.Name, Count: x.Count, Condition: x.Condition})
	}
	party := forParty(c, in.PartyId)
	return contractAct(ctx, s, c, party, contract.RecordHandover{Party: party, Handover: h})
}

func confirmHandover(ctx context.Context, s *Server, c *call, in HandoverWord) (answer, error) {
	party := forParty(c, in.PartyId)
	return contractAct(ctx, s, c, party, contract.ConfirmHandover{Party: party, Direction: in.Direction, Hash: in.ContentHash})
}

func handoverBody(h contract.HandoverState) HandoverMade {
	body := HandoverMade{
		Direction: h.Direction, On: h.On, Keys: h.Keys, PhotosSha256: h.PhotosSHA256, ContentHash: h.Hash, PartyId: h.Party,
		ConfirmedBy: h.ConfirmedBy,
	}
	for _, x := range h.Readings {
		body.Readings = append(body.Readings, MeterReading{Meter: x.Meter, ValueMilli: x.ValueMilli})
	}
	for _, x := range h.Items {
		body.Items = append(body.Items, InventoryItem{Name: x.Name, Count: x.Count, Condition: x.Condition})
	}
	return body
}
