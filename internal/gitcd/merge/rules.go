// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

// Rule is the name of a rule by which a merge decides.
type Rule string

// The rules for a key as a whole.
const (
	Same        Rule = "same"
	OneSide     Rule = "one-side"
	Fields      Rule = "fields"
	CreatedBoth Rule = "created-twice"
	Recreated   Rule = "recreated"
	Deleted     Rule = "deleted"
	Finalized   Rule = "kept-for-finalizer"
	Finished    Rule = "deletion-finished"
	Versions    Rule = "versions"
	Opaque      Rule = "opaque"
)

// The rules for a field that both sides changed to different values.
const (
	Owner          Rule = "owner"
	Preferred      Rule = "preferred"
	NewerCondition Rule = "newer-condition"
	NewerLease     Rule = "newer-lease"
	Counter        Rule = "counter"
	NewerManager   Rule = "newer-manager"
	BranchOrder    Rule = "branch-order"
)

// The rules for fields that are one statement: see Statements.
const (
	Ended        Rule = "ended"
	BoundOnce    Rule = "bound-once"
	Allocated    Rule = "allocated"
	Immutable    Rule = "immutable"
	NewerStatus  Rule = "newer-status"
	OneStatement Rule = "one-statement"
	Invalid      Rule = "invalid"
)

// The rules for fields that are more than their value.
const (
	Finalizers    Rule = "finalizers"
	DeletionTime  Rule = "deletion-time"
	Generation    Rule = "generation"
	OneController Rule = "one-controller"
	ManagedFields Rule = "managed-fields"
)

// Reason is a row of the table of rules.
type Reason struct {
	Rule    Rule
	When    string // the rule applies
	Takes   string // what the result is
	Because string
	Records string // when a conflict is recorded: "always", "never", or when
}

// Table is what docs/merging.md prints and the tests cover. For a key as a
// whole, and for a field, the first row that fits decides.
var Table = []Reason{
	{
		Same, "both sides have the same value, or neither has the key", "that value",
		"there is nothing to decide", "never",
	},
	{
		OneSide, "one side is as the base was", "the other side's value, or deletion",
		"only one side changed it", "never",
	},
	{
		Opaque, "a value is no Kubernetes object in JSON: encrypted, protobuf, foreign", "a whole side: the owner's, else a deletion, else the preferred one, else by the order of branches",
		"what cannot be read cannot be mixed, and a deleted secret must not come back", "always",
	},
	{
		Recreated, "one side has the base's uid or a deletion, the other a new uid", "the new object",
		"the old object was deleted on purpose; changes to it have no place in the new one", "if the other side changed the old object",
	},
	{
		CreatedBoth, "both sides have uids that the base has not", "the whole object that was created first, by its creationTimestamp, then by its uid",
		"two objects that share a name are two objects; a mix of them was never valid", "always",
	},
	{
		Finalized, "one side deleted the object, the other added a finalizer", "the object, being deleted, with just the added finalizers",
		"who adds a finalizer has something to clean up and must get the chance", "always",
	},
	{
		Deleted, "one side deleted the object, the other updated it", "the deletion",
		"a deleted object must not come back to life because somebody touched it", "if the update was more than status or deletion",
	},
	{
		Versions, "the sides have different apiVersions or kinds of one uid", "a whole side, as for a field",
		"the same path may mean another thing in another version", "always",
	},
	{
		Finished, "the merged object is being deleted, without grace period or finalizers left", "the deletion",
		"the last of two conditions for its removal came from each side; no API server would remove it later", "if a side changed more than status or deletion",
	},
	{
		Fields, "both sides updated the object", "field by field: lists as their schema says",
		"people and controllers change different fields of one object all the time", "for each field that both changed to different values",
	},
	{
		Finalizers, "both sides changed the finalizers", "what was added by either, less what was removed by either",
		"each finalizer is one controller's own word", "never",
	},
	{
		DeletionTime, "either side is deleting the object", "the earlier deletionTimestamp, with its deletionGracePeriodSeconds",
		"a deletion is never taken back, and the two fields are one statement", "never",
	},
	{
		Generation, "both sides are updates", "the generation of the side whose spec was taken if it is the higher one, else one more than both",
		"a generation that was observed must not name another spec", "never",
	},
	{
		OneController, "the merged ownerReferences have more than one controller", "the controller with the lowest uid; the other references of controllers go",
		"an API server refuses two, and garbage collection relies on it", "always",
	},
	{
		ManagedFields, "both sides changed an entry of managedFields", "the fields that either added, less those that either removed; the later time",
		"the entry describes the merged object", "never",
	},
	{
		Ended, "both sides changed the phase of a pod, and one says that it failed or succeeded", "that phase, with its reason and message",
		"what has ended has been counted and replaced; it never runs again", "always",
	},
	{
		BoundOnce, "the sides bind a pod, a claim, a volume or a device to different things, or one of them does and the other says that it is not bound",
		"the binding, with what was said of it (for a pod the scheduled condition; its whole status, if both bound it)",
		"a thing is bound once; what a node says of a pod is about the pod that it runs", "if the other side changed any of it",
	},
	{
		Allocated, "both sides changed values that are handed out together: addresses of a Service, pod CIDRs of a node", "all of them from one side: the owner's, else main's",
		"half of one allocation and half of another is none", "always",
	},
	{
		Immutable, "both sides changed fields that an API server lets nobody change any more once one of them is set", "all of them from one side",
		"each side's change was allowed only without the other's", "always",
	},
	{
		NewerStatus, "both sides changed a status that one controller writes as a whole", "the status of the higher observedGeneration, else of the further counts, else as for a field; conditions by themselves, but for a job's",
		"counts and the generation that they are about are one statement", "always",
	},
	{
		OneStatement, "both sides changed fields that make sense together only", "all of them from one side, as for a field",
		"half of one statement and half of another is a third, that nobody made", "always, by the rule that chose the side",
	},
	{
		Invalid, "each side is valid, their mix is not: names that clash, mounts without their volume, more requested than the limit, ports that do not go with the type", "the whole spec (of a ConfigMap the data) of one side, as for a field",
		"its own API server would refuse it", "always",
	},
	{
		Owner, "the policy names the branch that owns the field", "the owner's value; if neither side is the owner, the integrator's",
		"the component that is responsible knows best; main has what the owner said", "always",
	},
	{
		Preferred, "the policy of a branch prefers a side for the field", "that side's value",
		"the people who run it said so", "always",
	},
	{
		NewerCondition, "the field is a condition", "the condition of the higher observedGeneration, then of the later transition, update, probe or heartbeat",
		"a condition is one statement about one moment; the later moment counts", "always",
	},
	{
		NewerLease, "the field is the spec of a lease", "the spec with more transitions, then the later renewal",
		"the lease was taken over knowing the earlier holder", "always",
	},
	{
		Counter, "the field is a count that only grows, or a container's status, which has one", "the higher count",
		"it is of the later moment", "always",
	},
	{
		NewerManager, "the field's managers changed it at different times", "the later one's value",
		"it was most likely made knowing the earlier one", "always",
	},
	{
		BranchOrder, "nothing else decides", "the integrator's value, else that of the branch whose name sorts first",
		"main's value has been seen by others", "always",
	},
}
