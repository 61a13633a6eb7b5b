package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"

	"zujian/domain"
	"zujian/domain/alert"
	"zujian/domain/plan"
	"zujian/projections/rentindex"
)

//go:embed profiles
var bundled embed.FS

// cityProfile is everything that makes the program one city's: areas, reporting units and the index model.
type cityProfile struct {
	City  domain.City
	Model rentindex.Model
	Plan  *plan.Plan  // Targets that a fresh register starts with; nil if the profile has none.
	Books alert.Books // Indicators with their thresholds: indicators.json of the profile, else those shipped.
}

// loadCity reads a bundled profile by name, or a folder with the same files.
func loadCity(name string) (*cityProfile, error) {
	dir, err := fs.Sub(bundled, "profiles/"+name)
	if err != nil {
		return nil, fmt.Errorf("city profile %q: %w", name, err)
	}
	if _, err := fs.Stat(dir, "city.json"); err != nil {
		if _, err := os.Stat(name); err != nil {
			return nil, fmt.Errorf("%w: city profile %q is neither bundled nor a folder", errUsage, name)
		}
		dir = os.DirFS(name)
	}
	p := &cityProfile{}
	raw, err := fs.ReadFile(dir, "city.json")
	if err != nil {
		return nil, fmt.Errorf("city profile %s: %w", name, err)
	}
	if err := json.Unmarshal(raw, &p.City); err != nil {
		return nil, fmt.Errorf("city profile %s: city.json: %w", name, err)
	}
	if p.Model, err = loadModel(dir, p.City.IndexModel); err != nil {
		return nil, fmt.Errorf("city profile %s: %w", name, err)
	}
	if raw, err := fs.ReadFile(dir, "plan.json"); err == nil {
		if err := json.Unmarshal(raw, &p.Plan); err != nil {
			return nil, fmt.Errorf("city profile %s: plan.json: %w", name, err)
		}
	}
	if p.Books, err = alert.Shipped(); err != nil {
		return nil, err
	}
	if raw, err := fs.ReadFile(dir, "indicators.json"); err == nil {
		if p.Books, err = alert.Parse(raw); err != nil {
			return nil, fmt.Errorf("city profile %s: %w", name, err)
		}
	}
	if p.City.ID == "" || len(p.City.Units) == 0 {
		return nil, fmt.Errorf("city profile %s: city.json names no id or reporting units", name)
	}
	return p, nil
}

// loadModel reads the index model: model.json beside the profile, or a bundled one by name.
func loadModel(dir fs.FS, name string) (rentindex.Model, error) {
	raw, err := fs.ReadFile(dir, "model.json")
	if err == nil {
		return rentindex.ParseModel(raw)
	}
	m, ok := rentindex.Bundled(name)
	if !ok {
		return m, fmt.Errorf("no model.json, and no bundled index model %q", name)
	}
	return m, nil
}
