// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const head = "apiVersion: gitcd.trishanku.org/v1alpha1\nkind: Config\nrepository: /r\n"

const branch = head + "branch: heavens/x\nlisteners: [{url: \"unix:///run/s\"}]\n"

const tlsFiles = "{certFile: /c, keyFile: /k, clientCAFile: /ca}"

// gated is a hub with gates.
func gated(gates string) string {
	return strings.Replace(hub, "listen", "gates: ["+gates+"], listen", 1)
}

const hub = head + "hub: {listen: \":8443\", tls: " + tlsFiles + "}\n"

func TestLoadFillsInDefaults(t *testing.T) {
	t.Parallel()
	got, err := Load([]byte(branch + "upstream: {url: \"https://h:8443\", caFile: /ca, certFile: /c, keyFile: /k}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		APIVersion: APIVersion, Kind: Kind, Repository: "/r", Branch: "heavens/x",
		Author:          Author{Name: "x", Email: "x@gitcd.invalid"},
		HolderFile:      "/r/holder",
		Listeners:       []Listener{{URL: "unix:///run/s"}},
		Upstream:        &Upstream{Kind: UpstreamHub, URL: "https://h:8443", MainBranch: "main", CAFile: "/ca", CertFile: "/c", KeyFile: "/k"},
		Mode:            ModeAvailable,
		LeaseDuration:   Duration{15 * time.Second},
		PublishInterval: Duration{500 * time.Millisecond},
		Logging:         Logging{Level: LogInfo, Format: LogText},
	}
	want.Upstream.Lazy.setDefaults("heavens/x")
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestMarshalIsWhatLoadReads(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		branch + "leaseDuration: 1m30s\ngrains: [{prefix: /a, grain: Batch}]\n", hub,
		strings.Replace(hub, "listen", "gates: [{name: g, branches: [nodes/*], rules: [{keys: [/registry/pods/**], verbs: [update], fields: [.status, '!.status.x'], "+
			"when: [bound]}, {rbac: {pods: true}}], rates: [{name: r, limit: 50, per: 1m}]}], defaultGates: Disabled, approvers: [heavens/x], listen", 1),
		hub + "merge: {owners: [{key: /registry/minions/*, path: .spec, branch: nodes/*}, {key: /registry/pods/, branch: \"nodes/{.spec.nodeName}\"}], branches: [{branch: '*', prefer: [{take: ours}], toMain: {exclude: [/a/]}}]}\n",
	} {
		c, err := Load([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("got %+v\nwant %+v", again, c)
		}
	}
}

func TestLoadNamesFieldAndMend(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, file, want string }{
		{"empty", " \n", "the file is empty"},
		{"typo", branch + "upstreem: {}\n", `unknown field "upstreem"`},
		{"doubled field", branch + "branch: heavens/y\n", "already set"},
		{"other version", strings.Replace(branch, "v1alpha1", "v9", 1), `apiVersion: is "gitcd.trishanku.org/v9"; this gitcd reads`},
		{"relative repository", strings.Replace(branch, "/r", "r", 1), `repository: is "r"; write an absolute path`},
		{"no branch", head + "listeners: [{url: \"unix:///s\"}]\n", "branch: is missing"},
		{"branch with refs", strings.Replace(branch, "heavens/x", "refs/heads/x", 1), "leave out refs/heads/"},
		{"branch of dots", strings.Replace(branch, "heavens/x", "a..b", 1), "not a branch's name"},
		{"no listener", head + "branch: heavens/x\n", "listeners: is empty"},
		{"plain text to the world", branch + "events: {listeners: [{url: \"http://0.0.0.0:1\"}]}\n", "only loopback addresses"},
		{"https without tls", branch + "events: {listeners: [{url: \"https://0.0.0.0:1\"}]}\n", "events.listeners[0].tls: is missing"},
		{"tls on a socket", branch + "events: {listeners: [{url: \"unix:///s\", tls: " + tlsFiles + "}]}\n", "goes with https only"},
		{"strict and alone", branch + "mode: Strict\n", "there is no upstream"},
		{"unknown mode", branch + "mode: Sloppy\n", "write Available or Strict"},
		{"writes main", branch + "upstream: {url: \"https://h\", mainBranch: heavens/x, caFile: /a, certFile: /b, keyFile: /c}\n", "only the hub writes"},
		{"upstream in plain text", branch + "upstream: {url: \"http://h\", caFile: /a, certFile: /b, keyFile: /c}\n", "its scheme must be https"},
		{"password in url", branch + "upstream: {url: \"https://u:p@h\", caFile: /a, certFile: /b, keyFile: /c}\n", "without a user"},
		{"genesis without ca", branch + "genesis: {readyURL: \"https://127.0.0.1/readyz\"}\n", "genesis.caFile: is missing"},
		{"bad duration", branch + "leaseDuration: soon\n", "soon"},
		{"grain twice", branch + "grains: [{prefix: /a, grain: Full}, {prefix: /a, grain: Local}]\n", "given in grains[0] already"},
		{"unknown grain", branch + "grains: [{prefix: /a, grain: Coarse}]\n", "write Full, Batch or Local"},
		{"two roles", hub + "branch: heavens/x\n", "branch: belongs to a branch's server"},
		{"hub that nothing reaches", strings.Replace(hub, "listen: \":8443\", ", "listen: here, ", 1), "hub.listen: is \"here\"; write host:port"},
		{"hub that receives main", strings.Replace(hub, "listen", "mainBranch: nodes/m, listen", 1), "received from nobody"},
		{"hub without genesis", strings.Replace(hub, "listen", "prefixes: [nodes/], listen", 1), "main could never be created"},
		{"no retention", branch + "history: {retention: a week}\n", "history.retention: is \"a week\"; write All"},
		{"retention of none", branch + "history: {retention: 0d}\n", "history.retention: is \"0d\""},
		{"retention of a hub", hub + "history: {retention: 30d}\n", "history.retention: is 30d, but merges need"},
		{"quota below nothing", branch + "limits: {quotaBytes: -1}\n", "limits.quotaBytes: is -1"},
		{"compacted twice", branch + "limits: {compactAfter: 1h, compactBeyond: 10}\n", "does not go with limits.compactAfter"},
		{"limits of a hub", hub + "limits: {quotaBytes: 1}\n", "limits: belongs to a branch's server"},
		{"cluster id", branch + "member: {clusterID: xyz}\n", "member.clusterID: is \"xyz\"; write up to 16 hexadecimal digits"},
		{"tree without a slash", branch + "keys: [{prefix: /a/, tree: b}]\n", "keys[0].tree: is \"b\"; write a directory"},
		{"tree of Git", branch + "keys: [{prefix: /a/, tree: .git/}]\n", "keys[0].tree"},
		{"one place for two", branch + "keys: [{prefix: /a/, tree: x/}, {prefix: /b/, tree: x/y/}]\n", "choose directories of which none holds another"},
		{"pull in plain text", branch + "pulls: [{url: \"http://example.org/x\"}]\n", "only loopback addresses are asked"},
		{"pull twice", branch + "pulls: [{url: \"https://a/x\"}, {url: \"https://b/x\"}]\n", "pulls[1].name: \"origin\" was given in pulls[0] already"},
		{"password alone", branch + "pulls: [{url: \"https://a/x\", passwordFile: /p}]\n", "usernameFile and passwordFile go together"},
		{"start", branch + "start: {history: -1}\n", "start.history: is -1"},
		{"branches and upstream", head + "branches: [{name: a, listeners: [{url: \"unix:///s\"}]}]\nupstream: {url: \"https://h\"}\n", "is served by a gitcd of its own"},
		{"hub with keys", hub + "keys: [{prefix: /a/, tree: b/}]\n", "keys: belongs to a branch's server"},
		{"gate of nobody", gated("{name: g}"), "hub.gates[0].branches: is empty"},
		{"gate without a name", gated("{branches: [a]}"), "hub.gates[0].name: is missing"},
		{"gate twice", gated("{name: g, branches: [a]}, {name: g, branches: [b]}"), "hub.gates[1].name: \"g\" was given in hub.gates[0]"},
		{"gate with another verb", gated("{name: g, branches: [a], rules: [{verbs: [patch]}]}"), "hub.gates[0].rules[0].verbs[0]: is \"patch\"; write create"},
		{"gate for no key", gated("{name: g, branches: [a], rules: [{keys: [pods]}]}"), "hub.gates[0].rules[0].keys[0]: is \"pods\"; write a pattern"},
		{"gate for no field", gated("{name: g, branches: [a], rules: [{fields: [status]}]}"), "hub.gates[0].rules[0].fields[0]: is \"status\"; write a field"},
		{"roles of nobody", gated("{name: g, branches: [a], rules: [{rbac: {groups: [x]}}]}"), "hub.gates[0].rules[0].rbac: names nobody"},
		{"rate without time", gated("{name: g, branches: [a], rates: [{name: r, limit: 1}]}"), "hub.gates[0].rates[0].per: is 0s"},
		{"owner of nothing", hub + "merge: {owners: [{key: registry, branch: nodes/a}]}\n", "merge.owners[0].key: is \"registry\"; write a key such as"},
		{"owner by guess", hub + "merge: {owners: [{key: /a/b, branch: nodes/*}]}\n", "has no * that says what it stands for"},
		{"two stars", hub + "merge: {branches: [{branch: a, toMain: {exclude: [/*/*]}}]}\n", "merge.branches[0].toMain.exclude[0]"},
		{"no side", hub + "merge: {branches: [{branch: nodes/*, prefer: [{path: .spec, take: mine}]}]}\n", "prefer[0].take: is \"mine\"; write ours"},
		{"path without its dot", hub + "merge: {branches: [{branch: '*', prefer: [{path: spec, take: ours}]}]}\n", "prefer[0].path: is \"spec\"; write a field's path"},
		{"log level", branch + "logging: {level: loud}\n", "logging.level"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Load([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant an error with %q", err, c.want)
			}
		})
	}
}

func TestLoadNamesAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Load([]byte(head))
	if err == nil || !strings.Contains(err.Error(), "branch:") || !strings.Contains(err.Error(), "listeners:") {
		t.Fatalf("want both branch and listeners named, got %v", err)
	}
}
