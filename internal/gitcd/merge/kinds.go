// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import "cmp"

// Statements is the table of fields that make sense together only. docs/merging.md prints it.
var Statements = []Statement{
	{
		Rule: Ended, Kinds: []string{"Pod"}, Fields: []string{".status.phase"}, With: []string{".status.reason", ".status.message"},
		Because: "a pod that failed or succeeded was counted, and replaced",
		final:   func(root *object) bool { p := text(root, "status", "phase"); return p == "Failed" || p == "Succeeded" },
	},
	{
		Rule: BoundOnce, Kinds: []string{"Pod"}, Fields: []string{".spec.nodeName"},
		With: []string{
			`.status.conditions[type="PodScheduled"]`, ".status.nominatedNodeName",
			`.metadata.labels["topology.kubernetes.io/zone"]`, `.metadata.labels["topology.kubernetes.io/region"]`,
		},
		Rest: []string{".status"}, Because: "a pod runs on one node, and its status is what that node says",
		seen: true,
	},
	{
		Rule: BoundOnce, Kinds: []string{"PersistentVolumeClaim"}, Fields: []string{".spec.volumeName"},
		With: []string{
			`.metadata.annotations["pv.kubernetes.io/bind-completed"]`, `.metadata.annotations["pv.kubernetes.io/bound-by-controller"]`, ".status",
		},
		Because: "a claim has one volume", seen: true,
	},
	{
		Rule: BoundOnce, Kinds: []string{"PersistentVolume"}, Fields: []string{".spec.claimRef"},
		With:    []string{`.metadata.annotations["pv.kubernetes.io/bound-by-controller"]`, ".status"},
		Because: "a volume has one claim", seen: true,
	},
	{
		Rule: BoundOnce, Kinds: []string{"resource.k8s.io/ResourceClaim"}, Fields: []string{".status.allocation"}, Rest: []string{".status"},
		Because: "a device is handed to one consumer, and who has reserved it, has reserved that one", seen: true,
	},
	{
		Rule: Allocated, Kinds: []string{"Service"},
		Fields: []string{
			".spec.clusterIP", ".spec.clusterIPs", ".spec.type", ".spec.ipFamilies", ".spec.ipFamilyPolicy", ".spec.externalName",
			".spec.healthCheckNodePort", ".spec.externalTrafficPolicy", ".spec.allocateLoadBalancerNodePorts", ".spec.loadBalancerClass",
		},
		Because: "which of them may be set, and to what, depends on the others", seen: true,
	},
	{
		Rule: Allocated, Kinds: []string{"Service", "networking.k8s.io/Ingress"}, Fields: []string{".status.loadBalancer"},
		Because: "one load balancer has all its addresses and ports",
	},
	{
		Rule: Allocated, Kinds: []string{"Node"}, Fields: []string{".spec.podCIDR", ".spec.podCIDRs"},
		Because: "the first of the list is the single one", seen: true,
	},
	{
		Rule: Allocated, Kinds: []string{"Pod"}, Fields: []string{".status.podIP", ".status.podIPs", ".status.hostIP", ".status.hostIPs"},
		Because: "the first of each list is the single one",
	},
	{
		Rule: Immutable, Kinds: []string{"Node"}, Fields: []string{".spec.providerID"},
		Because: "a node is one machine: once set it stays", seen: true,
	},
	{
		Rule: Immutable, Kinds: []string{"ConfigMap", "Secret"}, Fields: []string{".immutable"}, With: []string{".data", ".binaryData"},
		Because: "who made the data immutable meant the data that was there",
	},
	{
		Rule: Immutable, Kinds: []string{"Pod"}, Fields: []string{".spec.schedulingGates", ".spec.nodeSelector", ".spec.affinity"},
		Because: "where a pod may run can be changed while it is gated only",
		final:   func(root *object) bool { return text(root, "spec", "nodeName") != "" },
	},
	{
		Rule: Immutable, Kinds: []string{"batch/Job"}, Fields: []string{".spec.suspend", ".spec.template"},
		Because: "the template of a job can be changed while it is suspended only",
	},
	{
		Rule: Immutable, Kinds: []string{"PersistentVolume"}, Fields: []string{".spec.nodeAffinity"},
		Because: "once set it stays", seen: true,
	},
	{
		Rule: NewerStatus, Kinds: []string{"batch/Job"}, Fields: []string{".status"},
		Because: "pods move from uncountedTerminatedPods to succeeded and failed in one step; twice counted, they end a job too early",
		final:   finishedJob,
		newer: func(first, second *object) int {
			return cmp.Compare(endedPods(first), endedPods(second))
		},
	},
	{
		Rule: NewerStatus, Fields: []string{".status"}, Except: []string{"conditions"},
		Kinds: []string{
			"apps/Deployment", "apps/ReplicaSet", "apps/StatefulSet", "apps/DaemonSet", "ReplicationController", "ResourceQuota",
			"autoscaling/HorizontalPodAutoscaler", "policy/PodDisruptionBudget",
		},
		Because: "the counts are of the pods of that generation",
		newer: func(first, second *object) int {
			return compareInt(at(first, "status", "observedGeneration"), at(second, "status", "observedGeneration"))
		},
	},
	{
		Rule: NewerStatus, Kinds: []string{"batch/CronJob"}, Fields: []string{".status"},
		Because: "the list of active jobs is of that moment",
		newer: func(first, second *object) int {
			return timeAt(first, "status", "lastScheduleTime").Compare(timeAt(second, "status", "lastScheduleTime"))
		},
	},
	{
		Rule: NewerStatus, Kinds: []string{"storage.k8s.io/VolumeAttachment"}, Fields: []string{".status"},
		Because: "whether it is attached, how, and why not",
	},
	{
		Rule: OneStatement, Kinds: []string{"certificates.k8s.io/CertificateSigningRequest"}, Fields: []string{".status"},
		Because: "a request is approved or denied, never both", seen: true,
	},
	{
		Rule: OneStatement, Kinds: []string{"PersistentVolumeClaim"}, Because: "a claim never asks for less than it has",
		Fields: []string{".spec.resources", ".status.capacity", ".status.allocatedResources", ".status.allocatedResourceStatuses"},
	},
	{
		Rule: OneStatement, Kinds: []string{"Service"}, Fields: []string{".spec.sessionAffinity", ".spec.sessionAffinityConfig"},
		Because: "a timeout is for affinity only",
	},
	{
		Rule: OneStatement, Kinds: []string{"apps/Deployment"}, Fields: []string{".spec.minReadySeconds", ".spec.progressDeadlineSeconds"},
		Because: "the deadline is the longer one",
	},
	{
		Rule: OneStatement, Kinds: []string{"autoscaling/HorizontalPodAutoscaler"}, Fields: []string{".spec.minReplicas", ".spec.maxReplicas"},
		Because: "the least is not more than the most",
	},
	{
		Rule: OneStatement, Kinds: []string{"policy/PodDisruptionBudget"}, Fields: []string{".spec.minAvailable", ".spec.maxUnavailable"},
		Because: "one of them is set",
	},
	{
		Rule: OneStatement, Kinds: []string{"batch/CronJob"}, Fields: []string{".spec.schedule", ".spec.timeZone"},
		Because: "a time is of a zone",
	},
	{
		Rule: OneStatement, Kinds: []string{"networking.k8s.io/Ingress"}, Fields: []string{".spec.defaultBackend", ".spec.rules"},
		Because: "one of them is there",
	},
	{
		Rule: OneStatement, Kinds: []string{"discovery.k8s.io/EndpointSlice"}, Fields: []string{".endpoints", ".ports"},
		Because: "the ports are those of the endpoints",
	},
	{
		Rule: OneStatement, Kinds: []string{"apiregistration.k8s.io/APIService"},
		Fields:  []string{".spec.service", ".spec.caBundle", ".spec.insecureSkipTLSVerify"},
		Because: "what is trusted is that service",
	},
	{
		Rule: OneStatement, Kinds: []string{"apiextensions.k8s.io/CustomResourceDefinition", "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration"},
		Fields: []string{".spec"}, Because: "versions, schemas and the one that is stored, kinds and their limits, fit each other",
	},
	{
		Rule: OneStatement, Fields: []string{".dnsPolicy", ".dnsConfig"},
		Because: "without a policy, name servers are needed",
	},
	{
		Rule: OneStatement, Fields: []string{".hostNetwork", ".hostPID", ".hostIPC", ".shareProcessNamespace", ".hostUsers"},
		Because: "some of a node's namespaces exclude others",
	},
}

// finishedJob says whether a job is complete or has failed.
func finishedJob(root *object) bool {
	conditions, _ := at(root, "status", "conditions").([]any)
	for _, c := range conditions {
		switch text(c, "type") {
		case "Complete", "Failed", "SuccessCriteriaMet", "FailureTarget":
			if text(c, "status") == "True" {
				return true
			}
		}
	}
	return false
}

// endedPods returns how many pods of a job have ended, counted or yet to be.
func endedPods(root *object) int64 {
	n := whole(at(root, "status", "succeeded")) + whole(at(root, "status", "failed"))
	for _, name := range []string{"succeeded", "failed"} {
		uncounted, _ := at(root, "status", "uncountedTerminatedPods", name).([]any)
		n += int64(len(uncounted))
	}
	return n
}
