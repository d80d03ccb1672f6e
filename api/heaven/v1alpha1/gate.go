// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MergeRules say what the hub of a cluster makes of the branches' changes.
type MergeRules struct {
	// policy says how branches meet main, and whose word stands where two changed one field. Absent: as docs/merging.md says.
	// +optional
	Policy MergePolicy `json:"policy,omitempty,omitzero"`

	// gates say what a branch may change. What is outside waits in quarantine, the rest flows on. They are tried before
	// the gates that come with gitcd; the first whose branches fit counts.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Gates []Gate `json:"gates,omitempty"`

	// defaultGates says whether the gates that come with gitcd are tried: for kube-controller-manager, kube-scheduler, the
	// machine controller and nodes. Default: Enabled.
	// +optional
	DefaultGates DefaultGates `json:"defaultGates,omitempty"`

	// approvers are the branches, by the names in their certificates, that may approve or reject what is in quarantine,
	// besides hub-admin. Default: the branch that may create main.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Approvers []string `json:"approvers,omitempty"`
}

// DefaultGates says whether the gates that come with gitcd are tried.
// +kubebuilder:validation:Enum=Enabled;Disabled
type DefaultGates string

const (
	// DefaultGatesEnabled tries them after a merge's own.
	DefaultGatesEnabled DefaultGates = "Enabled"

	// DefaultGatesDisabled leaves them out.
	DefaultGatesDisabled DefaultGates = "Disabled"
)

// Gate says what some branches may change.
type Gate struct {
	// name of the gate, for records, metrics and messages.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// branches that the gate is for, such as heavens/my-operator or nodes/*. One "*" stands for one part, which is {name}
	// in the keys of the rules.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Branches []string `json:"branches,omitempty"`

	// rules allow changes; what none of them allows goes to quarantine. Absent: everything is allowed.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Rules []GateRule `json:"rules,omitempty"`

	// rates bound how often something is changed. What goes beyond waits for a person.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Rates []GateRate `json:"rates,omitempty"`
}

// GateVerb is a kind of change.
// +kubebuilder:validation:Enum=create;update;delete
type GateVerb string

// The kinds of change.
const (
	GateCreate GateVerb = "create"
	GateUpdate GateVerb = "update"
	GateDelete GateVerb = "delete"
)

// GateRule allows changes: of keys, or as a role-based access rule of the cluster itself does.
type GateRule struct {
	// name of the rule.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// keys that the rule allows, such as /registry/example.org/widgets/*/*, with ** at the end for all below. Absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^/.+$`
	// +kubebuilder:validation:items:MaxLength=1024
	Keys []string `json:"keys,omitempty"`

	// verbs that the rule allows. Absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Verbs []GateVerb `json:"verbs,omitempty"`

	// fields that an update may change, such as .status; one with "!" in front is taken out. Absent: all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^!?[.\[].+$`
	// +kubebuilder:validation:items:MaxLength=1024
	Fields []string `json:"fields,omitempty"`

	// when names relations that must hold between the branch and the object, such as bound: the pod is bound to the node.
	// See docs/gates.md.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^[a-z][-a-zA-Z]*$`
	// +kubebuilder:validation:items:MaxLength=63
	When []string `json:"when,omitempty"`

	// rbac allows what roles in the cluster itself allow to users and groups.
	// +optional
	RBAC GateRBAC `json:"rbac,omitempty,omitzero"`
}

// GateRBAC allows what the cluster's own roles allow.
// +kubebuilder:validation:XValidation:rule="has(self.users) || has(self.bindings) || (has(self.pods) && self.pods)",message="names nobody; write users, bindings or pods: true"
type GateRBAC struct {
	// users whose roles count, such as system:kube-scheduler.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Users []string `json:"users,omitempty"`

	// groups that all of the users are in.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Groups []string `json:"groups,omitempty"`

	// bindings are ClusterRoleBindings, and RoleBindings as <namespace>/<name>, whose roles count, such as system:controller:*.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Bindings []string `json:"bindings,omitempty"`

	// exceptBindings are left out, whomever they bind.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	ExceptBindings []string `json:"exceptBindings,omitempty"`

	// pods adds the service accounts of the pods that are bound to the branch's node. Default: false.
	// +optional
	Pods *bool `json:"pods,omitempty"`
}

// GateRate bounds how often keys are changed.
type GateRate struct {
	// name of the rate.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// keys that are counted, with ** at the end for all below. Absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^/.+$`
	// +kubebuilder:validation:items:MaxLength=1024
	Keys []string `json:"keys,omitempty"`

	// verbs that are counted. Absent: delete.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Verbs []GateVerb `json:"verbs,omitempty"`

	// limit is how many changes pass in the time. 0: each one waits for a person.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Limit *int32 `json:"limit,omitempty"`

	// per is the time, such as 1m; a day at most.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="write a time from 1s to 24h"
	Per metav1.Duration `json:"per,omitempty,omitzero"`
}
