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

	// Upstream is the hub to exchange commits with. Absent: the branch stays alone.
	Upstream *Upstream `json:"upstream,omitempty"`

	// Genesis holds back the first push until a server is ready. Absent: this gitcd waits for main to exist.
	Genesis *Genesis `json:"genesis,omitempty"`

	// Mode says what happens when the upstream is out of reach. Default: Available.
	Mode Mode `json:"mode,omitempty"`

	// LeaseDuration is how long mode Strict serves without having heard of the upstream. Default: 15s.
	LeaseDuration Duration `json:"leaseDuration,omitzero"`

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

// Upstream is a hub. Its certificate and ours are checked on every connection; files are read again when they change.
type Upstream struct {
	// URL of the repository at the hub, https.
	URL string `json:"url"`

	// MainBranch is the branch that is merged back. Default: main.
	MainBranch string `json:"mainBranch,omitempty"`

	// CAFile holds the authorities that the hub's certificate must be signed by.
	CAFile string `json:"caFile"`

	// CertFile is our certificate; its common name is our branch.
	CertFile string `json:"certFile"`

	// KeyFile is our key.
	KeyFile string `json:"keyFile"`
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
