package guidance

// Asked is the command that wrote these events on the prices of a period. ok is false for a command that no rule judges.
func Asked(events []Event) (c Command, ok bool) {
	if e, adjusted := events[len(events)-1].(CellAdjusted); adjusted {
		return Adjust{Version: e.Version, Cell: e.Cell, Prices: e.New, Reason: e.Reason}, true
	}
	return nil, false
}
