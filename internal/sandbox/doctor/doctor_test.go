// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

func TestClash(t *testing.T) {
	pods := netip.MustParsePrefix("10.202.0.0/16")
	for routes, want := range map[string]string{
		"default via 192.0.2.1 dev eth0 \n192.0.2.0/24 dev eth0 \n":      "",
		"10.0.0.0/8 via 192.0.2.9 dev wg0 \n":                            "10.0.0.0/8 via 192.0.2.9 dev wg0",
		"local 10.202.3.4 dev eth1 table local \n":                       "local 10.202.3.4 dev eth1 table local",
		"10.202.0.0/16 via 10.201.0.1 dev headless-host proto static \n": "",
		"10.203.0.0/16 dev docker0 \n":                                   "",
	} {
		if got := clash(routes, pods, "headless-host"); got != want {
			t.Errorf("clash(%q) = %q, want %q", routes, got, want)
		}
	}
}

func TestTheDiskHasRoom(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		free, whole uint64
		fault       string
	}{
		{16 * gib, 100 * gib, ""},
		{15 * gib, 100 * gib, ""},
		{14 * gib, 100 * gib, "14 GiB are free below /d, but that is 14% of the disk: below 15% the kubelet evicts pods"},
		{9 * gib, 10 * gib, "9 GiB are free below /d, 10 are needed"},
		{0, 0, "0 GiB are free below /d, 10 are needed"},
	} {
		detail, err := roomy("/d", c.free, c.whole)
		if (err == nil) != (c.fault == "") || err != nil && err.Error() != c.fault || err == nil && !strings.Contains(detail, "%, are free below /d") {
			t.Errorf("%d of %d GiB: %q, %v", c.free/gib, c.whole/gib, detail, err)
		}
	}
}

func TestEveryFaultNamesItsMend(t *testing.T) {
	for _, q := range checks {
		if strings.TrimSpace(q.mend(sandbox.Config{})) == "" {
			t.Errorf("the check %q has no mend", q.name)
		}
	}
}

func TestTheVerdictNamesAllFaultsAndMends(t *testing.T) {
	if err := Verdict([]Finding{{Name: "root", OK: true}}); err != nil {
		t.Errorf("all is well, but %v", err)
	}
	err := Verdict([]Finding{
		{Name: "root", OK: true},
		{Name: "disk", Detail: "full", Mend: "free some"},
		{Name: "packages", Detail: "missing: runc", Mend: "apt-get install -y runc"},
	})
	if err == nil || !strings.Contains(err.Error(), "disk: full") || !strings.Contains(err.Error(), "missing: runc") {
		t.Fatalf("verdict %v", err)
	}
	var b strings.Builder
	narrate.Explain(&b, err)
	for _, mend := range []string{"free some", "apt-get install -y runc"} {
		if !strings.Contains(b.String(), mend) {
			t.Errorf("the mend %q is not told:\n%s", mend, b.String())
		}
	}
}

func TestPackagesAreRecognised(t *testing.T) {
	if !(debianPackage{"dash", "sh"}).installed() {
		t.Error("a program of PATH is not found")
	}
	if (debianPackage{"none", "no-such-program"}).installed() || (debianPackage{"none", "/no/such/file"}).installed() {
		t.Error("what is not there is found")
	}
	for _, p := range packages {
		if !strings.Contains(strings.Join(packageNames(), " "), p.name) {
			t.Errorf("%s is not in the line that installs", p.name)
		}
	}
}
