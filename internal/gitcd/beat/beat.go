// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package beat

import (
	"bytes"
	"encoding/json"
	"time"
)

// Beat says that a lease was renewed.
type Beat struct {
	// Key is the lease's, in the tree.
	Key string `json:"key"`
	// UID and Holder say which lease it is, and in whose hands.
	UID    string `json:"uid"`
	Holder string `json:"holder"`
	// Time is its renewTime, as Kubernetes writes it.
	Time string `json:"time"`
}

// layout is how Kubernetes writes a renewTime, in UTC: as texts, later is greater.
const layout = "2006-01-02T15:04:05.000000Z"

// lease is what a beat needs of one.
type lease struct {
	Kind     string `json:"kind"`
	Metadata struct {
		UID string `json:"uid"`
	} `json:"metadata"`
	Spec struct {
		Holder string `json:"holderIdentity"`
		Time   string `json:"renewTime"`
	} `json:"spec"`
}

// Of returns the beat that a lease's value stands for. A value that is no lease in JSON stands for none.
func Of(key string, value []byte) (Beat, bool) {
	var l lease
	if err := json.Unmarshal(value, &l); err != nil || l.Kind != "Lease" {
		return Beat{}, false
	}
	b := Beat{Key: key, UID: l.Metadata.UID, Holder: l.Spec.Holder, Time: l.Spec.Time}
	return b, b.valid()
}

func (b Beat) valid() bool {
	_, err := time.Parse(layout, b.Time)
	return err == nil && len(b.Time) == len(layout) && b.UID != "" && b.Holder != ""
}

// Same says whether two beats are of one lease in the same hands.
func (b Beat) Same(c Beat) bool { return b.Key == c.Key && b.UID == c.UID && b.Holder == c.Holder }

// field is how a renewTime begins in a value, which has no blanks.
const field = `"renewTime":"`

// Apply returns a lease's value with the beat's time (laws B1 and B2). It is not
// ok if that is another lease, is in other hands, or knows of a later time.
func (b Beat) Apply(value []byte) (renewed []byte, ok bool) {
	now, ok := Of(b.Key, value)
	if !ok || !b.valid() || !b.Same(now) || b.Time <= now.Time {
		return nil, false
	}
	was := []byte(field + now.Time + `"`)
	if bytes.Count(value, []byte(field)) != 1 || bytes.Count(value, was) != 1 {
		return nil, false
	}
	return bytes.Replace(value, was, []byte(field+b.Time+`"`), 1), true
}

// Class returns what a lease's value says beside the times of its renewal: a
// lease that is only renewed stays in its class.
func Class(value []byte) (string, bool) {
	if _, ok := Of("", value); !ok {
		return "", false
	}
	var object map[string]any
	if err := json.Unmarshal(value, &object); err != nil {
		return "", false
	}
	if spec, ok := object["spec"].(map[string]any); ok {
		delete(spec, "renewTime")
	}
	metadata, _ := object["metadata"].(map[string]any)
	managers, _ := metadata["managedFields"].([]any)
	for _, m := range managers {
		if fields, ok := m.(map[string]any); ok {
			delete(fields, "time")
		}
	}
	rest, err := json.Marshal(object)
	return string(rest), err == nil
}
