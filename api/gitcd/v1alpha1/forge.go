// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// UpstreamKind says what an upstream is.
type UpstreamKind string

const (
	// UpstreamHub is a hub: it merges the branches and tells of it.
	UpstreamHub UpstreamKind = "Hub"

	// UpstreamGit is a repository on any Git server: it is polled, and pushed to within its limits.
	UpstreamGit UpstreamKind = "Git"
)

// Merger says who merges the branches at an upstream into main.
type Merger string

const (
	// MergerSelf moves main from here: whoever has merged main into its own branch hands that in as main, too.
	MergerSelf Merger = "Self"

	// MergerOther leaves main to somebody else, such as a hub that mirrors.
	MergerOther Merger = "Other"
)

// Credentials say how we show a forge who we are. The files are read for each request, so that they rotate without a restart.
type Credentials struct {
	// CredentialsFile holds a URL with user and password a line, as git credential-store writes it.
	CredentialsFile string `json:"credentialsFile,omitempty"`

	// UsernameFile and PasswordFile hold the user and the password or token, as mounted Secrets do.
	UsernameFile string `json:"usernameFile,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
}

// Mirror is a forge that has all that a hub has. A hub whose volume is empty begins with what the forge has.
type Mirror struct {
	// URL of the repository at the forge: https, or http on loopback addresses. An empty repository of the cluster's own.
	URL string `json:"url"`

	// CAFile holds the authorities that the forge's certificate must be signed by. Default: the system's.
	CAFile string `json:"caFile,omitempty"`

	Credentials `json:",inline"`

	// PushInterval is the least time between two pushes. Default: 10s, which GitHub asks for.
	PushInterval Duration `json:"pushInterval,omitzero"`

	// PollInterval is how often the forge is looked at if nothing is to be pushed. Default: 1m.
	PollInterval Duration `json:"pollInterval,omitzero"`
}

// Hooks listen to the webhooks of forges. They are a reason to look at once, and nothing in them is believed.
type Hooks struct {
	// Listen is the host:port of the server. It takes POSTs at /hooks.
	Listen string `json:"listen"`

	// SecretFile holds the secret that GitHub, Gitea and Forgejo sign with, and that GitLab sends.
	SecretFile string `json:"secretFile"`

	// CertFile and KeyFile make it an HTTPS server. Without them, something in front of it must end TLS.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

// GitServer shows a repository to those who pull from it: peers, people, stock Git. It takes no pushes.
type GitServer struct {
	// URL is https://host:port, with tls, or http://host:port for loopback addresses. The repository is at /repo.git.
	URL string `json:"url"`

	// TLS of an https server. Whoever has a certificate of the authority may read all branches.
	TLS *ServerTLS `json:"tls,omitempty"`
}

func (m *Mirror) setDefaults() {
	orDefault(&m.PushInterval.Duration, 10*time.Second)
	orDefault(&m.PollInterval.Duration, time.Minute)
}

func (u *Upstream) setDefaults(branch string) {
	u.Lazy.setDefaults(branch)
	orDefault(&u.MainBranch, "main")
	orDefault(&u.Kind, UpstreamHub)
	if u.Kind == UpstreamGit {
		orDefault(&u.Merger, MergerSelf)
		orDefault(&u.PushInterval.Duration, 10*time.Second)
		orDefault(&u.PollInterval.Duration, 2*time.Second)
	}
}

func (p *problems) mirror(field string, m *Mirror) {
	p.repositoryURL(field+".url", m.URL)
	p.credentials(field, &m.Credentials)
	if m.CAFile != "" {
		p.file(field+".caFile", m.CAFile)
	}
	p.positive(field+".pushInterval", m.PushInterval.Duration)
	p.positive(field+".pollInterval", m.PollInterval.Duration)
}

// repositoryURL wants the URL of a repository without any secret in it.
func (p *problems) repositoryURL(field, value string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		p.add(field, "is not a URL such as https://host/path/repository.git; ssh is not spoken")
	case u.User != nil:
		p.add(field, "holds a user; write credentialsFile, or usernameFile and passwordFile")
	case u.RawQuery != "" || u.Fragment != "":
		p.add(field, "has something behind the path; leave out what begins with '?' or '#'")
	case u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		p.add(field, "is %q: without TLS only loopback addresses are asked; write https", value)
	}
}

func (p *problems) credentials(field string, c *Credentials) {
	p.pair(field, "usernameFile", c.UsernameFile, "passwordFile", c.PasswordFile)
	if c.CredentialsFile != "" && c.UsernameFile != "" {
		p.add(field, "has both credentialsFile and usernameFile; keep one")
	}
	if c.CredentialsFile != "" {
		p.file(field+".credentialsFile", c.CredentialsFile)
	}
}

// pair wants both files or none.
func (p *problems) pair(field, one, first, other, second string) {
	if (first == "") != (second == "") {
		p.add(field, "%s and %s go together; write both or none", one, other)
		return
	}
	if first != "" {
		p.file(field+"."+one, first)
		p.file(field+"."+other, second)
	}
}

func (p *problems) hooks(h *Hooks) {
	p.hostPort("hooks.listen", h.Listen)
	p.file("hooks.secretFile", h.SecretFile)
	p.pair("hooks", "certFile", h.CertFile, "keyFile", h.KeyFile)
}

func (p *problems) gitServer(g *GitServer) {
	scheme, _, _ := strings.Cut(g.URL, "://")
	if scheme != "http" && scheme != "https" {
		p.add("git.url", "is %q; its scheme must be http or https", g.URL)
		return
	}
	p.listener("git", &Listener{URL: g.URL, TLS: g.TLS})
}

// upstream looks at what an upstream of a kind needs.
func (p *problems) upstream(c *Config) {
	u := c.Upstream
	p.branch("upstream.mainBranch", u.MainBranch)
	if u.MainBranch == c.Branch && c.Branch != "" {
		p.add("branch", "is %q, the upstream's main branch, which only the hub writes; write a branch of your own, such as heavens/<component>", c.Branch)
	}
	switch u.Kind {
	case UpstreamHub:
		p.httpURL("upstream.url", u.URL, "https")
		p.file("upstream.caFile", u.CAFile)
		p.file("upstream.certFile", u.CertFile)
		p.file("upstream.keyFile", u.KeyFile)
		if u.Credentials != (Credentials{}) || u.Merger != "" || u.PushInterval.Duration != 0 || u.PollInterval.Duration != 0 {
			p.add("upstream", "has credentials, merger, pushInterval or pollInterval, which go with kind Git; remove them, or write kind: Git")
		}
	case UpstreamGit:
		p.repositoryURL("upstream.url", u.URL)
		p.credentials("upstream", &u.Credentials)
		p.pair("upstream", "certFile", u.CertFile, "keyFile", u.KeyFile)
		if u.CAFile != "" {
			p.file("upstream.caFile", u.CAFile)
		}
		if u.Merger != MergerSelf && u.Merger != MergerOther {
			p.add("upstream.merger", "is %q; write Self or Other", u.Merger)
		}
		p.positive("upstream.pushInterval", u.PushInterval.Duration)
		p.positive("upstream.pollInterval", u.PollInterval.Duration)
	default:
		p.add("upstream.kind", "is %q; write Hub or Git", u.Kind)
	}
}
