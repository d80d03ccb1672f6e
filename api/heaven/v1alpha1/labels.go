// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels on heavens, hubs and everything made for them.
const (
	// ComponentLabel names the component of a heaven, such as kube-scheduler, or hub.
	ComponentLabel = "heaven.trishanku.org/component"

	// HeavenLabel names the TrishankuHeaven that an object was made for.
	HeavenLabel = "heaven.trishanku.org/heaven"

	// MergeLabel names the AutomatedMerge that an object was made for.
	MergeLabel = "heaven.trishanku.org/merge"

	// ControlPlaneLabel names the HeadlessControlPlane that made a heaven or merge.
	ControlPlaneLabel = "heaven.trishanku.org/control-plane"
)

// Finalizers of the kinds of this group.
const (
	// HeavenFinalizer keeps a TrishankuHeaven until its workload is gone.
	HeavenFinalizer = "trishankuheaven.heaven.trishanku.org"

	// MergeFinalizer keeps an AutomatedMerge until its hub is gone.
	MergeFinalizer = "automatedmerge.heaven.trishanku.org"

	// RepositoryFinalizer keeps a GitRepository until its deletion policy is carried out.
	RepositoryFinalizer = "gitrepository.heaven.trishanku.org"
)

// Names that all parts of a headless cluster agree on.
const (
	// FrontDoor is the component name of the heaven that has no component: the API endpoint for people.
	FrontDoor = "apiserver"

	// HubComponent is the component name of a hub.
	HubComponent = "hub"

	// MainBranch is the branch that all others are merged into, and that all merge back.
	MainBranch = "main"

	// HeavenBranchPrefix precedes a component's name in the name of its branch.
	HeavenBranchPrefix = "heavens/"

	// NodeBranchPrefix precedes a node's name in the name of its branch.
	NodeBranchPrefix = "nodes/"

	// APIServerPort is the port of a front door's kube-apiserver and its Service.
	APIServerPort int32 = 6443

	// HubPort is the port of a hub and its Service.
	HubPort int32 = 8443

	// HooksPort is the port of a hub, and its Service, that forges call.
	HooksPort int32 = 8444
)
