// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MergePolicy says how the branches of a cluster meet main. The hub says it to each heaven when it connects, so that both
// ends of every merge go by the same policy.
// +kubebuilder:validation:MinProperties=1
type MergePolicy struct {
	// owners say which branch owns which fields of which keys: of two values the owner's stands. The first that fits
	// decides. They come before the defaults for Kubernetes, by which a node's branch owns its Node's status and its Lease,
	// the components own their Leases, and the front door owns the allocations.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Owners []FieldOwner `json:"owners,omitempty"`

	// branches hold what is to be different for some branches. The first that fits a branch counts; a heaven's own policy
	// comes before them.
	// +optional
	// +listType=map
	// +listMapKey=branch
	// +kubebuilder:validation:MaxItems=256
	Branches []NamedBranchPolicy `json:"branches,omitempty"`
}

// FieldOwner names the branch that owns fields of keys.
// +kubebuilder:validation:XValidation:rule="!self.branch.contains('*') || self.key.contains('*')",message="a * in branch stands for what the one in key stands for; write one in key as well"
type FieldOwner struct {
	// key is a key of the store such as /registry/minions/*, or with a slash at its end all keys below. One "*" stands for
	// one component.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/[^*]*[*]?[^*]*$`
	Key string `json:"key,omitempty"`

	// path of the field, such as .status; what is below belongs to it. Absent: the whole value.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[.\[][^\s]+.*$`
	Path string `json:"path,omitempty"`

	// branch that owns it, such as heavens/kube-scheduler or nodes/*; nodes/{.spec.nodeName} is what the object says there.
	// Empty: nobody, which lifts a default.
	// +required
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^([A-Za-z0-9][-._A-Za-z0-9]*(/([A-Za-z0-9][-._A-Za-z0-9]*|[*]|[{][.][^{}]+[}]))*|[*])?$`
	Branch *string `json:"branch,omitempty"`
}

// NamedBranchPolicy is the policy of one branch, or of all of a kind.
type NamedBranchPolicy struct {
	// branch is a branch such as heavens/kube-scheduler, one with "*" for its last part such as nodes/*, or "*": any.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^([A-Za-z0-9][-._A-Za-z0-9]*(/([A-Za-z0-9][-._A-Za-z0-9]*|[*]))*|[*])$`
	Branch string `json:"branch,omitempty"`

	// BranchPolicy is what is different for it.
	BranchPolicy `json:",inline"`
}

// BranchPolicy says how a branch meets main.
// +kubebuilder:validation:MinProperties=1
type BranchPolicy struct {
	// prefer says whose value stands where both changed a field that nobody owns. The first that fits decides. Absent:
	// what docs/merging.md says.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Prefer []Preference `json:"prefer,omitempty"`

	// toMain says which keys main takes from the branch. What it leaves out stays in the branch.
	// +optional
	ToMain KeyFilter `json:"toMain,omitempty,omitzero"`

	// fromMain says which keys the branch takes from main. What it leaves out stays in main.
	// +optional
	FromMain KeyFilter `json:"fromMain,omitempty,omitzero"`
}

// Preference takes one side where both changed a field.
type Preference struct {
	// key is a key such as /registry/deployments/default/web, or with a slash at its end all keys below. One "*" stands for
	// one component. Absent: every key.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/[^*]*[*]?[^*]*$`
	Key string `json:"key,omitempty"`

	// path of the field, such as .spec.replicas; what is below belongs to it. Absent: everything.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[.\[][^\s]+.*$`
	Path string `json:"path,omitempty"`

	// take is Ours, the branch's value, or Theirs, main's.
	// +required
	Take Side `json:"take,omitempty"`
}

// Side is a side of a merge, as a branch sees it.
// +kubebuilder:validation:Enum=Ours;Theirs
type Side string

const (
	// SideOurs is the branch's.
	SideOurs Side = "Ours"

	// SideTheirs is main's.
	SideTheirs Side = "Theirs"
)

// KeyFilter chooses keys. What it leaves out is not lost: it stays where it is, and is merged once the filter lets it.
// +kubebuilder:validation:MinProperties=1
type KeyFilter struct {
	// include holds keys such as /registry/pods/, with a slash at the end for all below and "*" for one component. Absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +kubebuilder:validation:items:Pattern=`^/[^*]*[*]?[^*]*$`
	Include []string `json:"include,omitempty"`

	// exclude holds keys like include, and counts more.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +kubebuilder:validation:items:Pattern=`^/[^*]*[*]?[^*]*$`
	Exclude []string `json:"exclude,omitempty"`
}
