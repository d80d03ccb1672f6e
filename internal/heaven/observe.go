// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Stage is how far the one pod of a Deployment has come.
type Stage string

// Stages, in the order in which they are passed.
const (
	// StageAbsent: there is no Deployment.
	StageAbsent Stage = "Absent"
	// StageUnobserved: the host has not looked at the Deployment since it changed.
	StageUnobserved Stage = "Unobserved"
	// StageNoPod: the Deployment has no pod.
	StageNoPod Stage = "NoPod"
	// StageStopping: the only pod is the old one, which is going away.
	StageStopping Stage = "Stopping"
	// StageUnscheduled: no node of the host takes the pod.
	StageUnscheduled Stage = "Unscheduled"
	// StageCreating: a node has the pod, but no container has run yet.
	StageCreating Stage = "Creating"
	// StageFailing: a container cannot start, or has died.
	StageFailing Stage = "Failing"
	// StageInitializing: gitcd is making or cloning the repository.
	StageInitializing Stage = "Initializing"
	// StageStore: gitcd is starting.
	StageStore Stage = "StoreStarting"
	// StageAPIServer: kube-apiserver is starting.
	StageAPIServer Stage = "APIServerStarting"
	// StageComponent: the component, or the hub, is starting.
	StageComponent Stage = "ComponentStarting"
	// StageReady: the pod is ready.
	StageReady Stage = "Ready"
)

// Observation is what is seen of a heaven's or hub's workload.
type Observation struct {
	Stage Stage
	// Message says more than the stage: which container, and its last words.
	Message string
	// Settled says that the ready pod is the one that the Deployment asks for now.
	Settled bool
}

// Observe reads a Deployment (nil if there is none) and its pods.
func Observe(d *appsv1.Deployment, pods []corev1.Pod) Observation {
	switch {
	case d == nil:
		return Observation{Stage: StageAbsent, Message: "the Deployment does not exist yet"}
	case d.Status.ObservedGeneration < d.Generation:
		return Observation{Stage: StageUnobserved, Message: "the host cluster has not acted on the Deployment yet"}
	case d.Status.AvailableReplicas > 0:
		return Observation{Stage: StageReady, Settled: d.Status.UpdatedReplicas > 0}
	}
	pod := newest(pods)
	switch {
	case pod == nil:
		return Observation{Stage: StageNoPod, Message: cmp.Or(replicaFailure(d), "the Deployment has no pod yet")}
	case !pod.DeletionTimestamp.IsZero():
		return Observation{Stage: StageStopping, Message: fmt.Sprintf("pod %s is stopping; the next one starts when it is gone", pod.Name)}
	}
	return observePod(pod)
}

// newest is the pod that counts: one that is not going away, else the youngest.
func newest(pods []corev1.Pod) *corev1.Pod {
	if len(pods) == 0 {
		return nil
	}
	pod := slices.MinFunc(pods, func(a, b corev1.Pod) int {
		if gone := !a.DeletionTimestamp.IsZero(); gone != !b.DeletionTimestamp.IsZero() {
			if gone {
				return 1
			}
			return -1
		}
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return &pod
}

func replicaFailure(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return "the host cluster refuses the pod: " + c.Message
		}
	}
	return ""
}

func observePod(pod *corev1.Pod) Observation {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return Observation{Stage: StageUnscheduled, Message: fmt.Sprintf("no node takes pod %s: %s", pod.Name, c.Message)}
		}
	}
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	for _, c := range statuses {
		if why := failure(c); why != "" {
			return Observation{Stage: StageFailing, Message: fmt.Sprintf("container %s of pod %s %s", c.Name, pod.Name, why)}
		}
	}
	for i, c := range statuses {
		if done(c) {
			continue
		}
		if i == 0 && c.State.Running == nil {
			return Observation{Stage: StageCreating, Message: fmt.Sprintf("pod %s is being created: its volumes are mounted and its images pulled", pod.Name)}
		}
		stage, message := stageOf(c.Name)
		return Observation{Stage: stage, Message: message}
	}
	if len(statuses) > 0 {
		return Observation{Stage: StageReady, Settled: true}
	}
	return Observation{Stage: StageCreating, Message: fmt.Sprintf("pod %s is being created", pod.Name)}
}

// done says whether the containers after this one may start, or for the last ones whether they serve.
func done(c corev1.ContainerStatus) bool {
	return c.Ready || c.State.Terminated != nil && c.State.Terminated.ExitCode == 0
}

func stageOf(container string) (Stage, string) {
	switch container {
	case gitcdInitName:
		return StageInitializing, "gitcd makes the repository: it waits for the hub and, unless this is the front door, for main"
	case gitcdName:
		return StageStore, "gitcd opens the repository"
	case apiServerName:
		return StageAPIServer, "kube-apiserver is starting"
	default:
		return StageComponent, fmt.Sprintf("container %s is not ready yet", container)
	}
}

// failure says why a container cannot go on by itself; empty when nothing is wrong with it.
func failure(c corev1.ContainerStatus) string {
	last := ""
	if t := cmp.Or(c.State.Terminated, c.LastTerminationState.Terminated); t != nil && t.ExitCode != 0 {
		last = fmt.Sprintf("exited with code %d (%s)", t.ExitCode, cmp.Or(t.Reason, "no reason given"))
		if words := lastWords(t.Message); words != "" {
			last += ": " + words
		}
	}
	switch {
	case c.Ready:
		return ""
	case c.State.Waiting != nil && !slices.Contains([]string{"", "PodInitializing", "ContainerCreating"}, c.State.Waiting.Reason):
		return strings.TrimSuffix(fmt.Sprintf("waits: %s: %s", c.State.Waiting.Reason, cmp.Or(last, lastWords(c.State.Waiting.Message))), ": ")
	case c.State.Terminated != nil:
		return last
	case c.State.Running != nil && c.RestartCount > 0 && last != "":
		return fmt.Sprintf("was started again (%d times); before, it %s", c.RestartCount, last)
	}
	return ""
}

// lastWords are the last lines of a container's log, short enough for a condition.
func lastWords(log string) string {
	const longest = 600
	log = strings.TrimSpace(log)
	if len(log) > longest {
		log = "…" + strings.ToValidUTF8(log[len(log)-longest:], "")
	}
	return log
}
