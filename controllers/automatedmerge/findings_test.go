// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus/testutil"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
)

// warnings are the Events that were recorded since they were last asked for.
func (h *host) warnings() []string {
	h.t.Helper()
	return hosttest.Warnings(h.t, h.r.Recorder, "ConflictRecorded", "ChangeQuarantined")
}

// running is a hub that answers.
func running(t *testing.T) *host {
	t.Helper()
	h := newHost(t, node())
	h.makeKeys()
	h.settle()
	h.run()
	h.hub.status = HubStatus{Main: "2a1c", Records: &HubRecords{}, Quarantine: &HubQuarantine{}}
	h.settle()
	h.Expect(h.warnings()).To(BeEmpty())
	return h
}

func conflictsUpTo(n int) *HubRecords {
	r := &HubRecords{Filed: int64(n), Open: int64(n)}
	for i := max(1, n-49); i <= n; i++ {
		r.Recent = append(r.Recent, HubConflict{
			Number: int64(i), ID: fmt.Sprintf("%04x", i), Key: fmt.Sprintf("/registry/pods/default/p%d", i), Path: ".spec",
			Rule: "branch-order", Took: "main", Other: "heavens/a",
		})
	}
	return r
}

// Law 5.
func TestEachConflictIsToldOfOnce(t *testing.T) {
	h := running(t)
	h.hub.status.Records = conflictsUpTo(2)
	h.settle()
	h.Expect(h.warnings()).To(Equal([]string{
		"Warning ConflictRecorded Main and heavens/a both changed .spec of /registry/pods/default/p1: main's stands (branch-order, 0001)",
		"Warning ConflictRecorded Main and heavens/a both changed .spec of /registry/pods/default/p2: main's stands (branch-order, 0002)",
	}))
	h.settle()
	h.Expect(h.warnings()).To(BeEmpty(), "nothing is new")

	h.hub.status.Records = conflictsUpTo(1002)
	h.settle()
	told := h.warnings()
	h.Expect(told).To(HaveLen(1), "a storm is one Event")
	h.Expect(told[0]).To(And(ContainSubstring("1000 conflicts were recorded"), ContainSubstring("p1002"), Not(ContainSubstring("p999"))))
	h.Expect(h.condition(heavenv1.MergeConflictFree).Message).To(And(ContainSubstring("1002 conflicts wait"), ContainSubstring("p1002")))

	// A hub that has started anew knows the number, and none by name.
	h.hub.status.Records = &HubRecords{Filed: 1002, Open: 1002}
	h.settle()
	h.Expect(h.warnings()).To(BeEmpty())
	h.hub.status.Records = &HubRecords{Filed: 1003, Open: 1003}
	h.settle()
	h.Expect(h.warnings()).To(ConsistOf(ContainSubstring("1 conflicts were recorded; gitcd conflicts list")))

	h.hub.status.Records = &HubRecords{Filed: 1003}
	h.settle()
	h.Expect(h.condition(heavenv1.MergeConflictFree).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.warnings()).To(BeEmpty())
}

// Law 5.
func TestEachChangeInQuarantineIsToldOfOnce(t *testing.T) {
	h := running(t)
	first := HubHeld{
		Branch: "nodes/w1", Verb: "update", Key: "/registry/minions/w2", Gate: "nodes", Kind: "Outside",
		Reason: "nodes/w1 may not change field .spec.taints (gate nodes)", State: "Waiting", Since: time.Now().Add(-time.Hour),
	}
	h.hub.status.Quarantine = &HubQuarantine{Waiting: 1, Total: 1, Since: &first.Since, Entries: []HubHeld{first}}
	h.hub.status.Branches = []HubBranch{{Name: "nodes/w1", Quarantined: 1}}
	h.settle()
	h.Expect(h.warnings()).To(ConsistOf(
		"Warning ChangeQuarantined Update /registry/minions/w2: nodes/w1 may not change field .spec.taints (gate nodes)"))
	h.Expect(h.condition(heavenv1.MergeQuarantineEmpty)).To(And(
		HaveField("Status", metav1.ConditionFalse), HaveField("Message", And(ContainSubstring("1 change waits"), ContainSubstring("update /registry/minions/w2: nodes/w1 may not")))))
	status := h.merge().Status
	h.Expect(*status.Quarantine.Waiting).To(BeEquivalentTo(1))
	h.Expect(*status.Branches[0].Quarantined).To(BeEquivalentTo(1))

	second := first
	second.Key, second.Since = "/registry/minions/w3", time.Now()
	h.hub.status.Quarantine = &HubQuarantine{Waiting: 2, Total: 2, Since: &first.Since, Entries: []HubHeld{first, second}}
	h.settle()
	h.Expect(h.warnings()).To(ConsistOf(ContainSubstring("minions/w3")))

	h.hub.status.Quarantine = &HubQuarantine{Total: 2}
	h.settle()
	h.Expect(h.condition(heavenv1.MergeQuarantineEmpty).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.warnings()).To(BeEmpty())
}

// TestMetrics reads what a scrape would.
func TestMetrics(t *testing.T) {
	h := running(t)
	now := time.Now()
	h.r.gauges = newGauges(clocktesting.NewFakePassiveClock(now))
	oldest := now.Add(-90 * time.Second).Truncate(time.Second)
	h.hub.status.Records = &HubRecords{Filed: 5, Open: 2}
	h.hub.status.Forge = &HubForge{URL: "https://forge", Connected: true, OldestUnpushed: &oldest, Branches: []HubForgeBranch{{Name: "main", Oldest: &oldest}}}
	h.settle()
	h.Expect(h.merge().Status.Forge.OldestUnmirrored.Time).To(BeTemporally("==", oldest))
	want := fmt.Sprintf(`
# HELP headless_conflicts_open Conflicts on record that nobody has resolved.
# TYPE headless_conflicts_open gauge
headless_conflicts_open{automatedmerge="blue",namespace="default"} 2
# HELP headless_conflicts_recorded_total Conflicts that were ever put on record.
# TYPE headless_conflicts_recorded_total counter
headless_conflicts_recorded_total{automatedmerge="blue",namespace="default"} 5
# HELP headless_forge_connected 1 if the forge answered when it was asked last.
# TYPE headless_forge_connected gauge
headless_forge_connected{automatedmerge="blue",namespace="default"} 1
# HELP headless_forge_rpo_seconds Age of the oldest change that the forge lacks; 0 if it lacks nothing.
# TYPE headless_forge_rpo_seconds gauge
headless_forge_rpo_seconds{automatedmerge="blue",namespace="default"} %v
# HELP headless_quarantine_waiting Changes that a gate did not let into main, and that wait for a person.
# TYPE headless_quarantine_waiting gauge
headless_quarantine_waiting{automatedmerge="blue",namespace="default"} 0
`, now.Sub(oldest).Seconds())
	h.Expect(testutil.CollectAndCompare(h.r.gauges, strings.NewReader(want))).To(Succeed())

	h.Expect(h.client.Delete(t.Context(), h.merge())).To(Succeed())
	for range 5 {
		h.reconcile()
	}
	h.Expect(testutil.CollectAndCount(h.r.gauges)).To(BeZero())
}

// A forge whose Secrets are missing does not take the hub down; once they are there the hub listens, and says where.
func TestForgeWaitsForItsSecrets(t *testing.T) {
	h := running(t)
	before := &appsv1.Deployment{}
	h.get("blue-hub", before)
	repository := &heavenv1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	repository.Spec = heavenv1.GitRepositorySpec{ClusterName: "blue", Forge: heavenv1.Forge{Type: heavenv1.ForgeGit, Git: &heavenv1.GitForge{
		URL:                  "https://forge.example.org/blue.git",
		CredentialsSecretRef: heavenv1.LocalReference{Name: "robot"},
		Webhook:              heavenv1.ForgeWebhook{SecretRef: heavenv1.LocalReference{Name: "hook"}},
	}}}
	h.Expect(h.client.Create(t.Context(), repository)).To(Succeed())
	secret := func(name string, data map[string][]byte) {
		h.Expect(h.client.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: data})).To(Succeed())
	}
	secret("robot", map[string][]byte{"username": []byte("me")})
	h.settle()
	h.Expect(h.reconcile()).To(Equal(askLater), "nobody tells of Secrets that are not the cluster's")
	h.Expect(h.condition(heavenv1.MergeForgeInStep)).To(And(HaveField("Reason", ReasonSecretMissing),
		HaveField("Message", And(ContainSubstring("Secret robot with password"), ContainSubstring("Secret hook with secret")))))
	h.Expect(h.condition(heavenv1.MergeAvailable).Status).To(Equal(metav1.ConditionTrue))
	after := &appsv1.Deployment{}
	h.get("blue-hub", after)
	h.Expect(after.Spec.Template).To(Equal(before.Spec.Template), "the hub that runs is left alone")

	h.Expect(h.client.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "robot"}})).To(Succeed())
	secret("robot", map[string][]byte{"username": []byte("me"), "password": []byte("between-us")})
	secret("hook", map[string][]byte{"secret": []byte("between-us")})
	h.settle()
	h.run()
	service, config := &corev1.Service{}, &corev1.ConfigMap{}
	h.get("blue-hub", service)
	service.Spec.Ports[1].NodePort = 30444
	h.Expect(h.client.Update(t.Context(), service)).To(Succeed())
	h.hub.status.Forge = &HubForge{URL: "https://forge.example.org/blue.git", Connected: true}
	h.settle()
	h.Expect(h.condition(heavenv1.MergeForgeInStep).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.merge().Status.Forge.WebhookURL).To(Equal("https://10.201.0.1:30444/hooks"))
	h.get("blue-hub", config)
	h.Expect(config.Data["config.yaml"]).To(And(ContainSubstring("hooks:"), Not(ContainSubstring("between-us"))))
}
