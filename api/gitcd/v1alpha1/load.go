// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Load reads a configuration file, fills in what it leaves out, and checks it. The error names every field that is
// wrong, and says what to write instead.
func Load(file []byte) (*Config, error) {
	if len(strings.TrimSpace(string(file))) == 0 {
		return nil, fmt.Errorf("read configuration: the file is empty; it begins with %q", "apiVersion: "+APIVersion)
	}
	c := &Config{}
	if err := yaml.UnmarshalStrict(file, c); err != nil {
		return nil, fmt.Errorf("read configuration (fields are those of %s, kind %s): %w", APIVersion, Kind, err)
	}
	if errs := c.Problems(); len(errs) > 0 {
		return nil, fmt.Errorf("check configuration: %w", errors.Join(errs...))
	}
	return c, nil
}

// Problems fills in what is left out, and names each field that is wrong, with what to write instead.
func (c *Config) Problems() []error {
	c.setDefaults()
	return c.validate()
}

// Marshal writes the file that Load reads. The same Config always gives the same bytes.
func (c *Config) Marshal() ([]byte, error) {
	out := *c
	out.APIVersion, out.Kind = APIVersion, Kind
	b, err := yaml.Marshal(&out)
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return b, nil
}

func (c *Config) setDefaults() {
	if c.Hub != nil {
		c.Hub.setDefaults()
	} else {
		c.setBranchDefaults()
	}
	orDefault(&c.PublishInterval.Duration, 500*time.Millisecond)
	orDefault(&c.Logging.Level, LogInfo)
	orDefault(&c.Logging.Format, LogText)
}

func (c *Config) setBranchDefaults() {
	if len(c.Branches) > 0 {
		for i := range c.Branches {
			c.Branches[i].setDefaults()
		}
		if c.Branch == "" {
			return
		}
	}
	c.Author.setDefaults(c.Branch)
	setPullDefaults(c.Pulls, c.Branch)
	if c.Repository != "" {
		orDefault(&c.HolderFile, path.Join(c.Repository, "holder"))
	}
	if c.Upstream != nil {
		c.Upstream.setDefaults(c.Branch)
	}
	orDefault(&c.Mode, ModeAvailable)
	orDefault(&c.LeaseDuration.Duration, 15*time.Second)
	setHoldDefaults(c.Holds)
}

func (h *Hub) setDefaults() {
	orDefault(&h.MainBranch, "main")
	orDefault(&h.GenesisBranch, "heavens/apiserver")
	if h.Prefixes == nil {
		h.Prefixes = []string{"heavens/", "nodes/"}
	}
	if h.Mirror != nil {
		h.Mirror.setDefaults()
	}
	orDefault(&h.LazyWait.Duration, 30*time.Second)
	orDefault(&h.DefaultGates, DefaultGatesEnabled)
	if h.Approvers == nil {
		h.Approvers = []string{h.GenesisBranch}
	}
}

func orDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
