// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubernetesProfile is for how long gitcd and kube-apiserver are profiled for each pod: about the
// time that the steps that write take.
const kubernetesProfile = 5 * time.Millisecond

// kubernetesSteps are what is done to the objects, and timed, in order.
var kubernetesSteps = []string{"create", "update", "list", "delete", "watch"}

// variant is a store below a kube-apiserver.
type variant struct {
	peer      string
	mediaType string
	rows      string // whose rows: kubernetes. or kubernetes.json.
	as        string // in which column
}

// variants are gitcd as it is used, etcd as it is used, and etcd with what gitcd stores.
var variants = []variant{
	{etcd, "", "kubernetes.", etcd},
	{gitcd, "application/json", "kubernetes.", gitcd},
	{etcd, "application/json", "kubernetes.json.", etcd},
}

// kubernetes creates, updates, lists, watches and deletes objects through a
// real kube-apiserver.
func (b *bench) kubernetes(ctx context.Context, round int) error {
	order := slices.Clone(variants)
	if round%2 == 1 {
		slices.Reverse(order)
	}
	for _, v := range order {
		for _, p := range b.only(v.peer) {
			if err := b.throughAPIServer(ctx, round, v, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) throughAPIServer(ctx context.Context, round int, v variant, p peer) (err error) {
	f, err := b.start(ctx, round, v.rows, []peer{p})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	return f.each(ctx, v.rows, func(ctx context.Context, s *server) (err error) {
		a, err := b.startAPIServer(ctx, s, v.mediaType)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.kill()) }()
		return b.exercise(ctx, s, a, v)
	})
}

// exercise does all steps on a kube-apiserver that is ready.
func (b *bench) exercise(ctx context.Context, s *server, a *apiServer, v variant) error {
	before, err := s.settle(ctx)
	if err != nil {
		return err
	}
	apiBefore, err := cpuSeconds(a.cmd.Process.Pid)
	if err != nil {
		return err
	}
	c := &crowd{client: a.client, configMaps: b.scale.configMaps, pods: b.scale.pods}
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end()
	length := time.Duration(b.scale.pods) * kubernetesProfile
	stop := b.profiling(ctx, s, "kubernetes.", length)
	stopAPI := b.collect(v.rows+v.peer+".apiserver", length, a.profile(ctx))
	took := map[string]time.Duration{}
	var wall time.Duration
	for _, step := range kubernetesSteps {
		began := time.Now()
		if err := c.step(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		took[step] = time.Since(began)
		wall += took[step]
	}
	stop()
	stopAPI()
	apiAfter, err := cpuSeconds(a.cmd.Process.Pid)
	if err != nil {
		return err
	}
	calls, err := a.storeCalls(ctx)
	if err != nil {
		return err
	}
	after, err := s.settle(ctx)
	if err != nil {
		return err
	}
	for step, t := range took {
		b.table.add(v.rows+step, v.as, t.Seconds())
	}
	b.table.add(v.rows+"wall", v.as, wall.Seconds())
	b.table.add(v.rows+"cpu", v.as, after.since(before).cpu)
	b.table.add(v.rows+"apicpu", v.as, apiAfter-apiBefore)
	if v.rows == "kubernetes.json." {
		// The row compares it with the same gitcd.
		b.pairJSON()
	}
	b.say("kubernetes   %-6s %-16s %.1f s in all, store %.1f s CPU, kube-apiserver %.1f s CPU: %v", s.name, v.mediaType, wall.Seconds(), after.since(before).cpu, apiAfter-apiBefore, took)
	b.analysis = append(b.analysis, analysis(v, calls))
	return nil
}

// pairJSON puts gitcd's wall time beside that of etcd with JSON, too.
func (b *bench) pairJSON() {
	if c := b.table.cells["kubernetes.wall"][gitcd]; c != nil {
		b.table.cell("kubernetes.json.wall", gitcd).Samples = slices.Clone(c.Samples)
	}
}

// analysis says which calls to its store kube-apiserver spent its time on.
func analysis(v variant, calls []storeCall) string {
	media := v.mediaType
	if media == "" {
		media = "application/vnd.kubernetes.protobuf"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "kube-apiserver's calls to %s, stored as %s:\n\n| call | count | mean | sum |\n| --- | ---: | ---: | ---: |\n", v.peer, media)
	for _, c := range calls[:min(len(calls), 10)] {
		fmt.Fprintf(&out, "| %s | %d | %.2f ms | %.1f s |\n", c.name, c.count, 1e3*c.seconds/math.Max(1, float64(c.count)), c.seconds)
	}
	return out.String()
}

// configMap is an object of about 1 KiB.
func (c *crowd) configMap(i int, token string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("app-%06d", i), Namespace: crowdNamespace(i), Labels: map[string]string{"app.kubernetes.io/name": "app"}},
		Data:       map[string]string{"config.yaml": "logLevel: info\nreplicas: 3\n", "token": token},
	}
}

// pod is a pod that nobody runs.
func (c *crowd) pod(i int) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%06d", i), Namespace: crowdNamespace(i), Labels: map[string]string{"app.kubernetes.io/name": "app"}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64),
			Containers: []corev1.Container{{
				Name: "app", Image: "registry.example/app:1.0", Args: []string{"--log-level=info"},
				Env: []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}},
			}},
		},
	}
}

func crowdNamespace(i int) string { return fmt.Sprintf("ns-%02d", i%namespaces) }
