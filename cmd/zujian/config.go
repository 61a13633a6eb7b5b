package main

import "encoding/json"

// configCmd prints what the flags, the environment and the file come to. There are no secrets in it: keys live in files
// of the data folder alone.
type configCmd struct{}

// Run implements the command.
func (configCmd) Run(g *globals) error {
	enc := json.NewEncoder(g.Stdout)
	enc.SetIndent("", "  ")
	c := g.Config
	return enc.Encode(map[string]any{
		"data": c.Data, "json": c.JSON, "log_format": c.LogFormat, "city": c.City, "suite": c.Suite,
		"serve": map[string]any{"addr": c.Serve.Addr, "host": c.Serve.Host, "rate": c.Serve.Rate, "in_flight": c.Serve.InFlight},
	})
}
