package main

import (
	"encoding/json"
	"net/url"
)

// configCmd prints what the flags, the environment and the file come to. There are no secrets in it: keys live in files
// of the data folder alone.
type configCmd struct{}

// Run implements the command.
func (configCmd) Run(g *globals) error {
	enc := json.NewEncoder(g.Stdout)
	enc.SetIndent("", "  ")
	c := g.Config
	return enc.Encode(map[string]any{
		"data": c.Data, "json": c.JSON, "log_format": c.LogFormat, "city": c.City, "suite": c.Suite, "views": withoutPassword(c.Views), "vault": c.Vault.URL, "store": withoutPassword(c.Store),
		"hsm":   map[string]any{"module": c.HSM.Module, "token": c.HSM.Token, "pin_file": c.HSM.PINFile},
		"serve": map[string]any{"role": c.Serve.Role, "addr": c.Serve.Addr, "host": c.Serve.Host, "rate": c.Serve.Rate, "in_flight": c.Serve.InFlight, "reserve": c.Serve.Reserve},
	})
}

// hsmFlags name the PKCS#11 token (密码机) that holds the key-encryption key. Without a module it is in the folder's file.
type hsmFlags struct {
	Module  string `help:"PKCS#11 library of the token that keeps the key-encryption key." env:"ZUJIAN_HSM_MODULE" placeholder:"FILE"`
	Token   string `help:"Label of the token." env:"ZUJIAN_HSM_TOKEN"`
	PINFile string `help:"File with the token's user PIN." env:"ZUJIAN_HSM_PIN_FILE" name:"pin-file" placeholder:"FILE"`
}

// withoutPassword is an address as it may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
