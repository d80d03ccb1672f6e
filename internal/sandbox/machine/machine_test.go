// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

func TestParseHierarchies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       []hierarchy
	}{
		{
			name: "version 2",
			text: "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 x rw,nsdelegate,memory_recursiveprot\n",
			want: []hierarchy{{mount: "/sys/fs/cgroup", fstype: "cgroup2"}},
		},
		{
			name: "hybrid",
			text: "30 23 0:26 / /sys/fs/cgroup rw - tmpfs x rw,mode=755\n" +
				"31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup x rw,cpu,cpuacct\n" +
				"32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup x rw,xattr,release_agent=/x,name=systemd\n" +
				"33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 x rw\n" +
				"34 23 0:30 / /sys/fs/cgroupish rw - cgroup x rw,memory\n",
			want: []hierarchy{
				{mount: "/sys/fs/cgroup/cpu,cpuacct", fstype: "cgroup", options: "cpu,cpuacct"},
				{mount: "/sys/fs/cgroup/systemd", fstype: "cgroup", options: "none,name=systemd"},
				{mount: "/sys/fs/cgroup/unified", fstype: "cgroup2"},
			},
		},
	} {
		if diff := cmp.Diff(tc.want, parseHierarchies(tc.text), cmp.AllowUnexported(hierarchy{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func fleet(t *testing.T) *Fleet {
	t.Helper()
	f, err := New(Options{
		StateDir: filepath.Join(t.TempDir(), "machines"),
		Gateway:  netip.MustParseAddr("10.0.0.1"),
		Network:  netip.MustParsePrefix("10.0.0.0/29"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPlaceGivesEachMachineItsOwnAddress(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	seen := map[netip.Addr]bool{f.o.Gateway: true}
	for _, name := range []string{"a", "b", "c", "d", "e"} { // .2 to .6: .0 is the network, .7 the broadcast address
		s, err := f.place(Spec{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if seen[s.Address] {
			t.Fatalf("address %s is given twice", s.Address)
		}
		seen[s.Address] = true
		if err := s.save(f.dir(name)); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := f.place(Spec{Name: "f"}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, %v; want ErrFull", s.Address, err)
	}
	if _, err := f.place(Spec{Name: "f", Address: netip.MustParseAddr("10.0.0.3")}); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("got %v; want an error that says the address is taken", err)
	}
	all, err := f.List()
	if err != nil || len(all) != 5 || all[0].Name != "a" || all[0].Running() {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestSpecIsChecked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ spec, want string }{
		{"../etc", "DNS name"},
		{"", "DNS name"},
		{"a/b", "DNS name"},
		{"UPPER", "DNS name"},
		{strings.Repeat("a", 64), "DNS name"},
		{"worker-1.zone", ""},
	} {
		err := Spec{Name: tc.spec}.validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.spec, err, tc.want)
		}
	}
	if err := (Spec{Name: "a", Reach: []netip.AddrPort{netip.MustParseAddrPort("[::1]:80")}}).validate(); err == nil {
		t.Error("an address that the packet filter does not know is accepted")
	}
	if len(Spec{Name: strings.Repeat("a", 63)}.hostInterface()) > 15 {
		t.Error("the interface's name is too long for the kernel")
	}
}

func TestDefaultFitsTheHostsNetwork(t *testing.T) {
	t.Parallel()
	c, err := sandbox.Config{StateDir: t.TempDir(), BinDir: "/bin"}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	o, err := Default(c)
	if err != nil {
		t.Fatal(err)
	}
	nets, err := c.Networks()
	if err != nil {
		t.Fatal(err)
	}
	if !nets.Nodes.Contains(o.Network.Addr()) || o.Network.Contains(nets.Node) || o.Network.Contains(nets.Machine) {
		t.Errorf("machines take %s: of %s, without %s and %s", o.Network, nets.Nodes, nets.Node, nets.Machine)
	}
}

func TestWhatIsMountedBelowIsFound(t *testing.T) {
	t.Parallel()
	text := "1 0 0:1 / / rw - ext4 x rw\n2 1 0:1 /usr /state/worker/root/usr rw - ext4 x rw\n"
	if got := mountedBelow(text, "/state/worker"); got != "/state/worker/root/usr" {
		t.Errorf("got %q", got)
	}
	if got := mountedBelow(text, "/state/work"); got != "" {
		t.Errorf("got %q for a directory with nothing mounted below", got)
	}
}
