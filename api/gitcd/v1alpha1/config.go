// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"
)

const (
	// APIVersion is the apiVersion of this package's configuration file.
	APIVersion = "gitcd.trishanku.org/v1alpha1"

	// Kind is the kind of this package's configuration file.
	Kind = "Config"
)

// Config is gitcd's configuration file.
type Config struct {
	// APIVersion is gitcd.trishanku.org/v1alpha1.
	APIVersion string `json:"apiVersion"`

	// Kind is Config.
	Kind string `json:"kind"`

	// Repository is the absolute path of the bare Git repository.
	Repository string `json:"repository"`

	// Branch is the one branch that this gitcd writes, such as heavens/kube-scheduler, without refs/heads/.
	Branch string `json:"branch,omitempty"`

	// Author is the author of the branch's commits. Default: the last part of the branch, at gitcd.invalid.
	Author Author `json:"author,omitzero"`

	// Member is how the etcd of this branch calls itself.
	Member Member `json:"member,omitzero"`

	// HolderFile keeps the id of this writer over restarts; it is created if it is absent. A writer that finds the
	// branch's last epoch held by this id goes on in it, any other takes the next. Default: holder in Repository.
	HolderFile string `json:"holderFile,omitempty"`

	// Listeners serve the etcd v3 API of the branch.
	Listeners []Listener `json:"listeners,omitempty"`

	// Events is a second etcd, in memory, for keys that are not worth keeping. Absent: none is served.
	Events *Events `json:"events,omitempty"`

	// StatusListen is the host:port of the plain HTTP server for /healthz, /readyz, /status and /metrics. Empty: none.
	StatusListen string `json:"statusListen,omitempty"`

	// Upstream is the hub, or the plain Git repository, to exchange commits with. Absent: the branch stays alone.
	Upstream *Upstream `json:"upstream,omitempty"`

	// Genesis holds back the first push until a server is ready. Absent: this gitcd waits for main to exist.
	Genesis *Genesis `json:"genesis,omitempty"`

	// Mode says what happens when the upstream is out of reach. Default: Available.
	Mode Mode `json:"mode,omitempty"`

	// LeaseDuration is how long mode Strict serves without having heard of the upstream. Default: 15s.
	LeaseDuration Duration `json:"leaseDuration,omitzero"`

	// Holds refuse writes below key prefixes while the upstream is out of touch.
	Holds []Hold `json:"holds,omitempty"`

	// Grains say, by key prefix, how finely history is kept; laid over the defaults for Kubernetes. The longest prefix counts.
	Grains []Grain `json:"grains,omitempty"`

	// Keys say where keys lie in the tree. Absent: a key's path is the key.
	Keys []KeyPrefix `json:"keys,omitempty"`

	// Start says what the first start over commits that others made does. Later starts know it.
	Start Start `json:"start,omitzero"`

	// Pulls are plain Git repositories whose branches are merged into this one.
	Pulls []Pull `json:"pulls,omitempty"`

	// Branches are served in place of the one Branch, each as an etcd of its own. What says how a branch is served then
	// stands there. They stay alone: an upstream takes a gitcd of its own. The branch that a repository was served with
	// when it was alone comes first.
	Branches []Branch `json:"branches,omitempty"`

	// Limits bound what clients can read of the past.
	Limits Limits `json:"limits,omitzero"`

	// History says how much of the past Git keeps.
	History History `json:"history,omitzero"`

	// PublishInterval bounds the time until stock Git sees a change. Default: 500ms.
	PublishInterval Duration `json:"publishInterval,omitzero"`

	// Git shows the repository to those who pull from it. Absent: nobody but the upstream sees it.
	Git *GitServer `json:"git,omitempty"`

	// Hooks listen to webhooks, so that a forge is looked at when something was pushed there. Absent: it is polled only.
	Hooks *Hooks `json:"hooks,omitempty"`

	// Hub makes this gitcd a hub: it receives branches and merges them into main.
	Hub *Hub `json:"hub,omitempty"`

	// Merge says how branches meet. What a hub says replaces it in a branch that has the hub as its upstream.
	Merge Merge `json:"merge,omitzero"`

	// Logging says what is logged. Default: info, as text.
	Logging Logging `json:"logging,omitzero"`
}

// Author is who commits.
type Author struct {
	// Name of the author.
	Name string `json:"name,omitempty"`

	// Email of the author.
	Email string `json:"email,omitempty"`
}

// Listener is one address that is served.
type Listener struct {
	// URL is unix:///path, http://host:port for loopback addresses, or https://host:port.
	URL string `json:"url"`

	// TLS of an https listener.
	TLS *ServerTLS `json:"tls,omitempty"`
}

// ServerTLS names the files that a TLS server needs. They are read again when they change.
type ServerTLS struct {
	// CertFile is the server's certificate chain.
	CertFile string `json:"certFile"`

	// KeyFile is the server's key.
	KeyFile string `json:"keyFile"`

	// ClientCAFile holds the authorities that clients' certificates must be signed by.
	ClientCAFile string `json:"clientCAFile"`
}

// Events is an etcd in memory.
type Events struct {
	// Listeners serve the etcd v3 API of the store.
	Listeners []Listener `json:"listeners"`
}

// Upstream is a hub, or a repository on a plain Git server. Certificates are checked on every connection; files are read
// again when they change.
type Upstream struct {
	// Kind of the upstream. Default: Hub.
	Kind UpstreamKind `json:"kind,omitempty"`

	// URL of the hub, https. With kind Git that of the repository: https, or http on loopback addresses.
	URL string `json:"url"`

	// MainBranch is the branch that is merged back. Default: main.
	MainBranch string `json:"mainBranch,omitempty"`

	// CAFile holds the authorities that the upstream's certificate must be signed by. With kind Git the default is the system's.
	CAFile string `json:"caFile,omitempty"`

	// CertFile is our certificate; at a hub its common name is our branch. A plain Git server may do without.
	CertFile string `json:"certFile,omitempty"`

	// KeyFile is our key.
	KeyFile string `json:"keyFile,omitempty"`

	// Credentials are for kind Git.
	Credentials `json:",inline"`

	// Merger says who merges the branches at a plain Git server into main. Default: Self.
	Merger Merger `json:"merger,omitempty"`

	// PushInterval is the least time between two pushes to a plain Git server. Default: 10s, which GitHub asks for.
	PushInterval Duration `json:"pushInterval,omitzero"`

	// PollInterval is how often a plain Git server is asked while things change; while they do not, seldom. Default: 2s.
	PollInterval Duration `json:"pollInterval,omitzero"`

	// Lazy says how leases and heartbeats reach others.
	Lazy Lazy `json:"lazy,omitzero"`
}

// Genesis holds back the first push of the heaven that makes a cluster's first objects.
type Genesis struct {
	// ReadyURL must answer 200 before the first push, such as https://127.0.0.1:6443/readyz.
	ReadyURL string `json:"readyURL"`

	// CAFile holds the authorities that the server's certificate must be signed by. Required for https.
	CAFile string `json:"caFile,omitempty"`

	// CertFile is a client certificate for the server, if it wants one.
	CertFile string `json:"certFile,omitempty"`

	// KeyFile is the key of the client certificate.
	KeyFile string `json:"keyFile,omitempty"`
}

// Mode says what happens when the upstream is out of reach.
type Mode string

const (
	// ModeAvailable goes on serving.
	ModeAvailable Mode = "Available"

	// ModeStrict stops serving after the lease duration.
	ModeStrict Mode = "Strict"
)

// GrainType says how finely history is kept.
type GrainType string

const (
	// GrainFull keeps every change.
	GrainFull GrainType = "Full"

	// GrainBatch joins changes into periodic commits.
	GrainBatch GrainType = "Batch"

	// GrainLocal keeps changes durable here, but out of Git.
	GrainLocal GrainType = "Local"
)

// Grain says how finely the history below a key prefix is kept.
type Grain struct {
	// Prefix of keys, byte for byte.
	Prefix string `json:"prefix"`

	// Grain below the prefix.
	Grain GrainType `json:"grain"`
}

// Hub is the server that joins branches.
type Hub struct {
	// Listen is the host:port of the Git server, always with TLS.
	Listen string `json:"listen"`

	// TLS of the Git server. A client's common name is the only branch it may push.
	TLS ServerTLS `json:"tls"`

	// MainBranch is the branch that others are merged into. Default: main.
	MainBranch string `json:"mainBranch,omitempty"`

	// GenesisBranch is the only branch that may create main. Default: heavens/apiserver.
	GenesisBranch string `json:"genesisBranch,omitempty"`

	// Prefixes of the branches that are received. Default: heavens/ and nodes/.
	Prefixes []string `json:"prefixes,omitempty"`

	// Gates say what branches may change in main. The first whose branches fit counts.
	Gates []Gate `json:"gates,omitempty"`

	// DefaultGates says whether gitcd's own gates are tried behind Gates: for kube-controller-manager, kube-scheduler,
	// machine-controller and nodes. Default: Enabled.
	DefaultGates DefaultGates `json:"defaultGates,omitempty"`

	// Approvers are the branches, by the names in their certificates, that may approve and reject what is in quarantine,
	// besides hub-admin. Default: GenesisBranch.
	Approvers []string `json:"approvers,omitempty"`

	// LazyWait is how long pushes of leases and heartbeats alone are gathered before they are merged. Default: 30s.
	LazyWait Duration `json:"lazyWait,omitzero"`

	// Mirror is the forge that keeps a copy away from here. Absent: the hub's volume is the only one.
	Mirror *Mirror `json:"mirror,omitempty"`
}

// LogFormat is the form of log lines.
type LogFormat string

const (
	// LogText writes key=value lines.
	LogText LogFormat = "text"

	// LogJSON writes a JSON object a line.
	LogJSON LogFormat = "json"
)

// LogLevel is the least level that is logged.
type LogLevel string

const (
	// LogDebug logs everything.
	LogDebug LogLevel = "debug"

	// LogInfo logs what an operator wants to know.
	LogInfo LogLevel = "info"

	// LogWarn logs what may need a hand.
	LogWarn LogLevel = "warn"

	// LogError logs failures only.
	LogError LogLevel = "error"
)

// Logging says what is logged.
type Logging struct {
	// Level is the least level that is logged. Default: info.
	Level LogLevel `json:"level,omitempty"`

	// Format of the lines. Default: text.
	Format LogFormat `json:"format,omitempty"`
}

// Duration is a time.Duration that is written as in "500ms".
type Duration struct{ time.Duration }

// UnmarshalText reads the form that time.ParseDuration knows.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// MarshalText writes the form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
