// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	running  = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting  = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}
	finished = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 0, Reason: "Completed"}}
)

func died(code int32, words string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: words}}
}

func backOff(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func TestObserve(t *testing.T) {
	pod := func(statuses ...corev1.ContainerStatus) []corev1.Pod {
		return []corev1.Pod{{
			ObjectMeta: metav1.ObjectMeta{Name: "p"},
			Status:     corev1.PodStatus{InitContainerStatuses: statuses[:len(statuses)-1], ContainerStatuses: statuses[len(statuses)-1:]},
		}}
	}
	initialized := corev1.ContainerStatus{Name: "gitcd-init", State: finished}
	stored := corev1.ContainerStatus{Name: "gitcd", State: running, Ready: true}
	served := corev1.ContainerStatus{Name: "kube-apiserver", State: running, Ready: true}
	later := corev1.ContainerStatus{Name: "kcm", State: waiting}
	deployment := func() *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Status: appsv1.DeploymentStatus{ObservedGeneration: 2}}
	}
	now := metav1.Now()

	for _, row := range []struct {
		name   string
		change func(*appsv1.Deployment)
		none   bool
		pods   []corev1.Pod
		stage  Stage
		says   string
	}{
		{name: "no deployment", none: true, stage: StageAbsent, says: "does not exist"},
		{name: "not looked at", change: func(d *appsv1.Deployment) { d.Status.ObservedGeneration = 1; d.Status.AvailableReplicas = 1 }, stage: StageUnobserved},
		{name: "available", change: func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }, stage: StageReady},
		{name: "no pod", stage: StageNoPod, says: "no pod yet"},
		{name: "refused pod", change: func(d *appsv1.Deployment) {
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}}
		}, stage: StageNoPod, says: "exceeded quota"},
		{name: "old pod", pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "p", DeletionTimestamp: &now}}}, stage: StageStopping, says: "pod p is stopping"},
		{name: "no node", pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "insufficient cpu"}},
		}}}, stage: StageUnscheduled, says: "insufficient cpu"},
		{name: "pulling", pods: pod(corev1.ContainerStatus{Name: "gitcd-init", State: waiting}, corev1.ContainerStatus{Name: "gitcd", State: waiting}, later), stage: StageCreating, says: "images pulled"},
		{name: "no image", pods: pod(corev1.ContainerStatus{Name: "gitcd-init", State: backOff("ImagePullBackOff", "no such image")}, later), stage: StageFailing, says: "container gitcd-init of pod p waits: ImagePullBackOff: no such image"},
		{name: "cloning", pods: pod(corev1.ContainerStatus{Name: "gitcd-init", State: running}, later), stage: StageInitializing, says: "waits for the hub"},
		{name: "clone fails", pods: pod(corev1.ContainerStatus{
			Name: "gitcd-init", State: backOff("CrashLoopBackOff", "back-off 10s"), LastTerminationState: died(3, "fetch main: certificate expired\n"),
		}, later), stage: StageFailing, says: "waits: CrashLoopBackOff: exited with code 3 (Error): fetch main: certificate expired"},
		{name: "opening", pods: pod(initialized, corev1.ContainerStatus{Name: "gitcd", State: running}, later), stage: StageStore, says: "opens the repository"},
		{name: "apiserver starts", pods: pod(initialized, stored, corev1.ContainerStatus{Name: "kube-apiserver", State: running}, later), stage: StageAPIServer},
		{name: "apiserver was restarted", pods: pod(initialized, stored, corev1.ContainerStatus{
			Name: "kube-apiserver", State: running, RestartCount: 2, LastTerminationState: died(1, "unknown flag"),
		}, later), stage: StageFailing, says: "was started again (2 times); before, it exited with code 1 (Error): unknown flag"},
		{name: "component starts", pods: pod(initialized, stored, served, corev1.ContainerStatus{Name: "kcm", State: running}), stage: StageComponent, says: "container kcm is not ready"},
		{name: "component died", pods: pod(initialized, stored, served, corev1.ContainerStatus{Name: "kcm", State: died(255, "")}), stage: StageFailing, says: "container kcm of pod p exited with code 255"},
		{name: "ready before its Deployment knows", pods: pod(initialized, stored, served, corev1.ContainerStatus{Name: "kcm", State: running, Ready: true}), stage: StageReady},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := deployment()
			if row.change != nil {
				row.change(d)
			}
			if row.none {
				d = nil
			}
			g := NewWithT(t)
			got := Observe(d, row.pods)
			g.Expect(got.Stage).To(Equal(row.stage))
			g.Expect(got.Message).To(ContainSubstring(row.says))
		})
	}
}

func TestNewestPodCounts(t *testing.T) {
	at := func(name string, second int64, going bool) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Time{Time: time.Unix(second, 0)}}}
		if going {
			p.DeletionTimestamp = &metav1.Time{Time: time.Unix(9, 0)}
		}
		return p
	}
	g := NewWithT(t)
	g.Expect(newest([]corev1.Pod{at("a", 1, false), at("b", 2, false), at("c", 3, true)}).Name).To(Equal("b"))
	g.Expect(newest([]corev1.Pod{at("c", 3, true), at("d", 1, true)}).Name).To(Equal("c"))
	g.Expect(newest(nil)).To(BeNil())
}
