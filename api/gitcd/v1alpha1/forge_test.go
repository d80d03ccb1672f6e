// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// mirrored is a hub with a mirror.
func mirrored(mirror string) string {
	return strings.Replace(hub, "listen", "mirror: {"+mirror+"}, listen", 1)
}

// plain is a branch whose upstream is a repository on a plain Git server.
func plain(upstream string) string { return branch + "upstream: {kind: Git, " + upstream + "}\n" }

// TestForgeDefaults shows what is filled in.
func TestForgeDefaults(t *testing.T) {
	t.Parallel()
	c, err := Load([]byte(mirrored("url: \"https://h/r.git\", usernameFile: /u, passwordFile: /p") + "hooks: {listen: \":8444\", secretFile: /s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Mirror{URL: "https://h/r.git", Credentials: Credentials{UsernameFile: "/u", PasswordFile: "/p"}, PushInterval: Duration{10 * time.Second}, PollInterval: Duration{time.Minute}}
	if !reflect.DeepEqual(c.Hub.Mirror, want) {
		t.Errorf("got %+v, want %+v", c.Hub.Mirror, want)
	}
	c, err = Load([]byte(plain("url: \"http://127.0.0.1:1/r.git\"")))
	if err != nil {
		t.Fatal(err)
	}
	up := &Upstream{
		Kind: UpstreamGit, URL: "http://127.0.0.1:1/r.git", MainBranch: "main", Merger: MergerSelf,
		PushInterval: Duration{10 * time.Second}, PollInterval: Duration{2 * time.Second},
	}
	up.Lazy.setDefaults("heavens/x")
	if !reflect.DeepEqual(c.Upstream, up) {
		t.Errorf("got %+v, want %+v", c.Upstream, up)
	}
	data, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Load(data); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("read again it is %+v: %v", again, err)
	}
}

// TestForgeProblems names field and mend, and never a secret.
func TestForgeProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"no URL", mirrored("caFile: /c"), "hub.mirror.url: is not a URL"},
		{"ssh", mirrored("url: \"ssh://git@h/r.git\""), "ssh is not spoken"},
		{"secret in URL", mirrored("url: \"https://u:s3cret@h/r.git\""), "hub.mirror.url: holds a user; write credentialsFile"},
		{"secret behind the path", mirrored("url: \"https://h/r.git?token=s3cret\""), "leave out what begins with"},
		{"plain text", mirrored("url: \"http://h/r.git\""), "only loopback addresses are asked"},
		{"half of a pair", mirrored("url: \"https://h/r\", passwordFile: /p"), "usernameFile and passwordFile go together"},
		{"two sources", mirrored("url: \"https://h/r\", passwordFile: /p, usernameFile: /u, credentialsFile: /c"), "keep one"},
		{"never pushed", mirrored("url: \"https://h/r\", pushInterval: -1s"), "hub.mirror.pushInterval: is -1s"},
		{"kind", strings.Replace(plain("url: \"https://h/r\""), "Git", "Svn", 1), "write Hub or Git"},
		{"merger", plain("url: \"https://h/r\", merger: Nobody"), "write Self or Other"},
		{"half a certificate", plain("url: \"https://h/r\", certFile: /c"), "certFile and keyFile go together"},
		{"password for a hub", branch + "upstream: {url: \"https://h\", caFile: /a, certFile: /b, keyFile: /c, usernameFile: /u, passwordFile: /p}\n", "which go with kind Git"},
		{"hooks without a secret", branch + "hooks: {listen: \":1\"}\n", "hooks.secretFile: is missing"},
		{"hooks nowhere", branch + "hooks: {listen: here, secretFile: /s}\n", "hooks.listen: is \"here\""},
		{"shown in plain text", branch + "git: {url: \"http://0.0.0.0:1\"}\n", "only loopback addresses are served"},
		{"shown without tls", branch + "git: {url: \"https://0.0.0.0:1\"}\n", "git.tls: is missing"},
		{"shown on a socket", branch + "git: {url: \"unix:///s\"}\n", "its scheme must be http or https"},
		{"shown by a hub", hub + "git: {url: \"http://127.0.0.1:1\"}\n", "git: belongs to a branch's server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load([]byte(c.file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}
