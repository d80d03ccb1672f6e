// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"testing"
)

func TestCompleteFillsWhatIsEmpty(t *testing.T) {
	t.Setenv(EnvStateDir, "")
	t.Setenv(EnvBinDir, "/opt/bin")
	c, err := Config{}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Name: DefaultName, StateDir: DefaultStateDir, BinDir: "/opt/bin", Network: DefaultNetwork, Store: StoreGitcd}
	if c != want {
		t.Errorf("Complete() = %+v, want %+v", c, want)
	}
}

func TestCompleteRefusesTheImpossible(t *testing.T) {
	for name, c := range map[string]Config{
		"a name that is no interface":  {Name: "longer-than-fifteen"},
		"a name with a slash":          {Name: "a/b"},
		"no network":                   {Network: "here"},
		"a small network":              {Network: "10.1.2.0/24"},
		"a network with nothing after": {Network: "10.254.0.0/16"},
		"IPv6":                         {Network: "fd00::/16"},
	} {
		if _, err := c.Complete(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestNetworksAreApart(t *testing.T) {
	n, err := Config{Network: "10.211.7.7/16"}.Networks()
	if err != nil {
		t.Fatal(err)
	}
	if n.Nodes.Overlaps(n.Pods) || n.Pods.Overlaps(n.Services) || n.Nodes.Overlaps(n.Services) {
		t.Errorf("networks overlap: %v %v %v", n.Nodes, n.Pods, n.Services)
	}
	if !n.Nodes.Contains(n.Node) || !n.Nodes.Contains(n.Machine) || !n.Services.Contains(n.API) || !n.Services.Contains(n.DNS) {
		t.Errorf("an address lies outside of its network: %+v", n)
	}
}

func TestNetworksNeedACompleteConfig(t *testing.T) {
	if _, err := (Config{}).Networks(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("Networks() of an empty Config: %v, want ErrIncomplete", err)
	}
}
