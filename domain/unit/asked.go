package unit

// Asked is the command that wrote these events on a unit. ok is false for a command that no rule judges.
func Asked(events []Event) (c Command, ok bool) {
	switch e := events[len(events)-1].(type) {
	case RoomsProposed:
		return ProposeRooms{Rooms: e.Rooms}, true
	case RoomsConfirmed:
		return ConfirmRooms{}, true
	}
	return nil, false
}
