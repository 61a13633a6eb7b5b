package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// settings are what a configuration file says, by flag name.
type settings map[string]any

// readSettings reads a configuration file: one JSON object of flag names, with dashes or underscores, and their values.
// A name that no command has is refused: what is mistyped would be left at its default without a word.
func readSettings(r io.Reader, app *kong.Application) (settings, error) {
	d := json.NewDecoder(r)
	d.UseNumber()
	var raw map[string]any
	if err := d.Decode(&raw); err != nil {
		return nil, fmt.Errorf("configuration file: it is no JSON object: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("configuration file: there is more after the object")
	}
	known := map[string]bool{}
	err := kong.Visit(app, func(n kong.Visitable, next kong.Next) error {
		if f, ok := n.(*kong.Flag); ok {
			known[f.Name] = true
		}
		return next(nil)
	})
	if err != nil {
		return nil, err
	}
	s := settings{}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		flag := strings.ReplaceAll(name, "_", "-")
		_, twice := s[flag]
		switch {
		case !known[flag]:
			return nil, fmt.Errorf("configuration file: no command has a flag %q", name)
		case twice:
			return nil, fmt.Errorf("configuration file: %q is there twice", name)
		}
		s[flag] = raw[name]
	}
	return s, nil
}

// Validate implements kong.Resolver: the names are checked when the file is read.
func (settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	return s[f.Name], nil
}
