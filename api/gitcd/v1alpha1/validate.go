// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// branchName allows what both Git and a certificate's common name allow, and no more.
var branchName = regexp.MustCompile(`^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?(/[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)*$`)

// problems collects what is wrong, each with its field.
type problems struct{ errs []error }

func (p *problems) add(field, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
}

func (c *Config) validate() []error {
	p := &problems{}
	if c.APIVersion != APIVersion {
		p.add("apiVersion", "is %q; this gitcd reads %q", c.APIVersion, APIVersion)
	}
	if c.Kind != Kind {
		p.add("kind", "is %q; write %q", c.Kind, Kind)
	}
	p.file("repository", c.Repository)
	p.positive("publishInterval", c.PublishInterval.Duration)
	c.Limits.validate(p)
	c.validateHistory(p)
	c.Merge.validate(p)
	if c.StatusListen != "" {
		p.hostPort("statusListen", c.StatusListen)
	}
	switch c.Logging.Level {
	case LogDebug, LogInfo, LogWarn, LogError:
	default:
		p.add("logging.level", "is %q; write debug, info, warn or error", c.Logging.Level)
	}
	switch c.Logging.Format {
	case LogText, LogJSON:
	default:
		p.add("logging.format", "is %q; write text or json", c.Logging.Format)
	}
	if c.Hooks != nil {
		p.hooks(c.Hooks)
	}
	if c.Hub != nil {
		c.validateHub(p)
	} else {
		c.validateBranch(p)
	}
	return p.errs
}

func (c *Config) validateHub(p *problems) {
	foreign := []struct {
		field string
		set   bool
	}{
		{"branch", c.Branch != ""},
		{"author", c.Author != Author{}},
		{"holderFile", c.HolderFile != ""},
		{"listeners", c.Listeners != nil},
		{"events", c.Events != nil},
		{"upstream", c.Upstream != nil},
		{"genesis", c.Genesis != nil},
		{"mode", c.Mode != ""},
		{"leaseDuration", c.LeaseDuration.Duration != 0},
		{"holds", c.Holds != nil},
		{"grains", c.Grains != nil},
		{"member", c.Member != Member{}},
		{"keys", c.Keys != nil},
		{"start", c.Start != Start{}},
		{"pulls", c.Pulls != nil},
		{"branches", c.Branches != nil},
		{"limits", c.Limits != Limits{}},
		{"git", c.Git != nil},
	}
	for _, f := range foreign {
		if f.set {
			p.add(f.field, "belongs to a branch's server, but this file describes a hub; remove it, or remove hub")
		}
	}
	if c.Hub.Mirror != nil {
		p.mirror("hub.mirror", c.Hub.Mirror)
	}
	p.hostPort("hub.listen", c.Hub.Listen)
	p.serverTLS("hub.tls", &c.Hub.TLS)
	p.branch("hub.mainBranch", c.Hub.MainBranch)
	p.branch("hub.genesisBranch", c.Hub.GenesisBranch)
	p.positive("hub.lazyWait", c.Hub.LazyWait.Duration)
	c.Hub.validateGates(p)
	if len(c.Hub.Prefixes) == 0 {
		p.add("hub.prefixes", "is empty: no branch would be received; leave it out for heavens/ and nodes/")
	}
	received := false
	for i, prefix := range c.Hub.Prefixes {
		field := fmt.Sprintf("hub.prefixes[%d]", i)
		name, ok := strings.CutSuffix(prefix, "/")
		if !ok || !branchName.MatchString(name) {
			p.add(field, "is %q; write the first parts of a branch's name and a slash, such as heavens/", prefix)
		}
		if strings.HasPrefix(c.Hub.MainBranch, prefix) {
			p.add(field, "covers %q: main is merged by the hub and received from nobody", c.Hub.MainBranch)
		}
		received = received || strings.HasPrefix(c.Hub.GenesisBranch, prefix)
	}
	if !received && len(c.Hub.Prefixes) > 0 {
		p.add("hub.genesisBranch", "is %q, below none of hub.prefixes: main could never be created", c.Hub.GenesisBranch)
	}
}

func (c *Config) validateBranch(p *problems) {
	if c.Git != nil {
		p.gitServer(c.Git)
	}
	if len(c.Branches) > 0 {
		c.validateBranches(p)
		return
	}
	p.branch("branch", c.Branch)
	p.file("holderFile", c.HolderFile)
	b := c.Served()
	if len(b) == 0 {
		b = []Branch{{Author: c.Author, Member: c.Member, Listeners: c.Listeners, Events: c.Events, Keys: c.Keys, Grains: c.Grains, Start: c.Start, Pulls: c.Pulls}}
	}
	p.served("", &b[0])
	c.validateExchange(p)
	c.validateHolds(p)
	if c.Upstream != nil && len(c.Pulls) > 0 {
		p.add("pulls", "does not go with upstream, which is pulled already; remove one of them")
	}
}

func (c *Config) validateExchange(p *problems) {
	switch c.Mode {
	case ModeAvailable:
	case ModeStrict:
		if c.Upstream == nil {
			p.add("mode", "is Strict, which asks the upstream for leave to serve, but there is no upstream; write upstream, or Available")
		}
	default:
		p.add("mode", "is %q; write Available or Strict", c.Mode)
	}
	p.positive("leaseDuration", c.LeaseDuration.Duration)
	if c.Upstream != nil {
		p.upstream(c)
		c.Upstream.Lazy.validate(p, "upstream.lazy")
	}
	if g := c.Genesis; g != nil {
		p.httpURL("genesis.readyURL", g.ReadyURL, "https", "http")
		if strings.HasPrefix(g.ReadyURL, "https:") {
			p.file("genesis.caFile", g.CAFile)
		}
		if (g.CertFile == "") != (g.KeyFile == "") {
			p.add("genesis", "certFile and keyFile go together; write both or none")
		}
	}
}

func (p *problems) branch(field, name string) {
	switch {
	case name == "":
		p.add(field, "is missing; write a branch's name, such as heavens/kube-scheduler")
	case strings.HasPrefix(name, "refs/"):
		p.add(field, "is %q; leave out refs/heads/", name)
	case !branchName.MatchString(name) || strings.Contains(name, "..") || strings.HasSuffix(name, ".lock"):
		p.add(field, "%q is not a branch's name; write parts of letters, digits, '-', '_' and '.', joined by '/'", name)
	}
}

func (p *problems) file(field, name string) {
	switch {
	case name == "":
		p.add(field, "is missing; write an absolute path")
	case !path.IsAbs(name):
		p.add(field, "is %q; write an absolute path", name)
	}
}

func (p *problems) positive(field string, d time.Duration) {
	if d <= 0 {
		p.add(field, "is %s; write a time above zero", d)
	}
}

func (p *problems) hostPort(field, value string) (host string) {
	host, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.add(field, "is %q; write host:port, such as 127.0.0.1:2379", value)
	}
	return host
}

func (p *problems) httpURL(field, value string, schemes ...string) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User != nil {
		p.add(field, "is %q; write a URL such as %s://host:port, without a user", value, schemes[0])
		return
	}
	if !slices.Contains(schemes, u.Scheme) {
		p.add(field, "is %q; its scheme must be %s", value, strings.Join(schemes, " or "))
	}
}

func (p *problems) listeners(field string, ls []Listener) {
	if len(ls) == 0 {
		p.add(field, "is empty; write at least one, such as {url: \"unix:///run/gitcd/gitcd.sock\"}")
	}
	for i := range ls {
		p.listener(fmt.Sprintf("%s[%d]", field, i), &ls[i])
	}
}

func (p *problems) listener(field string, l *Listener) {
	scheme, rest, ok := strings.Cut(l.URL, "://")
	if !ok {
		p.add(field+".url", "is %q; write unix:///path, http://127.0.0.1:port or https://host:port", l.URL)
		return
	}
	if scheme != "https" && l.TLS != nil {
		p.add(field+".tls", "goes with https only; the url is %q", l.URL)
	}
	switch scheme {
	case "unix":
		p.file(field+".url", rest)
	case "http":
		if host := p.hostPort(field+".url", rest); host != "localhost" && !net.ParseIP(host).IsLoopback() {
			p.add(field+".url", "is %q: without TLS only loopback addresses are served; write https and tls, or 127.0.0.1", l.URL)
		}
	case "https":
		p.hostPort(field+".url", rest)
		if l.TLS == nil {
			p.add(field+".tls", "is missing; https needs certFile, keyFile and clientCAFile")
			return
		}
		p.serverTLS(field+".tls", l.TLS)
	default:
		p.add(field+".url", "is %q; its scheme must be unix, http or https", l.URL)
	}
}

func (p *problems) serverTLS(field string, t *ServerTLS) {
	p.file(field+".certFile", t.CertFile)
	p.file(field+".keyFile", t.KeyFile)
	p.file(field+".clientCAFile", t.ClientCAFile)
}
