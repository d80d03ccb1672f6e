// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
)

// What a gate can say can be written in a configuration file, word by word.
func TestGatesOfTheFileAreGates(t *testing.T) {
	t.Parallel()
	const genesis = "heavens/apiserver"
	shipped, err := json.Marshal(gate.Defaults(genesis))
	if err != nil {
		t.Fatal(err)
	}
	c := &gitcdv1.Hub{GenesisBranch: genesis, DefaultGates: gitcdv1.DefaultGatesDisabled}
	in := json.NewDecoder(strings.NewReader(string(shipped)))
	in.DisallowUnknownFields()
	if err := in.Decode(&c.Gates); err != nil {
		t.Fatal(err)
	}
	set, err := gatesOf(c)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(set); err != nil || string(again) != string(shipped) {
		t.Errorf("%v: from a file they are\n%s\nshipped are\n%s", err, again, shipped)
	}
	own := &gitcdv1.Hub{GenesisBranch: genesis, DefaultGates: gitcdv1.DefaultGatesEnabled, Gates: []gitcdv1.Gate{{Name: "nodes", Branches: []string{"nodes/*"}}}}
	set, err = gatesOf(own)
	if err != nil || len(set) != len(gate.Defaults(genesis)) || len(set[0].Rules) != 0 {
		t.Errorf("%v: a gate with a shipped one's name does not take its place: %+v", err, set)
	}
	own.Gates[0].Rules = []gitcdv1.GateRule{{When: []string{"sunny"}}}
	var usage *usageError
	if _, err := gatesOf(own); !errors.As(err, &usage) || !strings.Contains(err.Error(), `hub.gates[0].rules[0].when[0]: is "sunny"; write one of allocated`) {
		t.Errorf("%v", err)
	}
}
