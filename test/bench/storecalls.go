// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// storeCall is a kind of call that kube-apiserver made to its store.
type storeCall struct {
	name    string
	count   int
	seconds float64
}

// storeMetric is kube-apiserver's own measure of its store.
const storeMetric = "etcd_request_duration_seconds_"

// storeCalls asks kube-apiserver how long its calls to the store took, the costliest kind first.
func (a *apiServer) storeCalls(ctx context.Context) ([]storeCall, error) {
	data, err := a.client.RESTClient().Get().AbsPath("/metrics").Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("read kube-apiserver's metrics: %w", err)
	}
	calls := map[string]*storeCall{}
	for line := range strings.Lines(string(data)) {
		rest, ok := strings.CutPrefix(line, storeMetric)
		kind, rest, found := strings.Cut(rest, "{")
		labels, value, closed := strings.Cut(rest, "} ")
		if !ok || !found || !closed || kind != "sum" && kind != "count" {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return nil, fmt.Errorf("read kube-apiserver's metrics: %q: %w", line, err)
		}
		name := label(labels, "operation") + " " + label(labels, "resource")
		if calls[name] == nil {
			calls[name] = &storeCall{name: name}
		}
		if kind == "sum" {
			calls[name].seconds += n
		} else {
			calls[name].count += int(n)
		}
	}
	var out []storeCall
	for _, c := range calls {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b storeCall) int {
		if a.seconds > b.seconds {
			return -1
		}
		return 1
	})
	return out, nil
}

// label returns the value of a label of a metric.
func label(labels, name string) string {
	for l := range strings.SplitSeq(labels, ",") {
		if k, v, ok := strings.Cut(l, "="); ok && k == name {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}
