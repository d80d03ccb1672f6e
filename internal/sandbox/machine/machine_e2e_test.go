// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// The test binary is also the program whose commands are tested, so that the
// first process of a machine can be started from it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == initCommand || os.Args[1] == "machine") {
		root := &cobra.Command{Use: "sandbox"}
		root.AddCommand(Commands(testOptions)...)
		if err := root.Execute(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	hostNS  = "hm-test"
	hubAddr = "10.213.7.1"
)

func testOptions() (Options, error) {
	return Options{
		StateDir: os.Getenv("MACHINE_TEST_STATE"),
		NetNS:    "/run/netns/" + hostNS,
		Gateway:  netip.MustParseAddr(hubAddr),
		Network:  netip.MustParsePrefix("10.213.7.128/26"),
	}, nil
}

const userData = `#cloud-config
write_files:
- path: /etc/systemd/system/web.service
  permissions: "0600"
  content: |
    [Unit]
    Description=Answer
    [Service]
    WorkingDirectory=/var/www
    ExecStartPre=/bin/mkdir -p /var/www
    ExecStart=/usr/bin/python3 -m http.server 80
    [Install]
    WantedBy=multi-user.target
- path: /var/www/index.html
  content: "it works on {{ds.meta_data.local_hostname}}\n"
- path: /run/keep/me
  content: "early"
runcmd:
- [systemctl, daemon-reload]
- [systemctl, enable, --now, web.service]
`

func run(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func host(t *testing.T) *Fleet {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("machines need root: run `sudo make e2e`")
	}
	state := filepath.Join(t.TempDir(), "machines")
	t.Setenv("MACHINE_TEST_STATE", state)
	_ = exec.Command("ip", "netns", "delete", hostNS).Run()
	run(t, "ip", "netns", "add", hostNS)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", hostNS).Run() })
	run(t, "ip", "-n", hostNS, "link", "set", "lo", "up")
	run(t, "ip", "-n", hostNS, "link", "add", "hub0", "type", "bridge")
	run(t, "ip", "-n", hostNS, "address", "add", hubAddr+"/24", "dev", "hub0")
	run(t, "ip", "-n", hostNS, "link", "set", "hub0", "up")
	for _, port := range []string{"8443", "9999"} {
		cmd := exec.Command("nsenter", "--net=/run/netns/"+hostNS, "python3", "-m", "http.server", port)
		cmd.Dir = t.TempDir()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	o, _ := testOptions()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.DeleteAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// inside runs a shell command in a machine.
func inside(t *testing.T, f *Fleet, name, script string) (string, error) {
	t.Helper()
	// Also called while cleaning up, when the test's context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	err := f.Exec(ctx, name, Streams{Out: &out, Err: &out}, "/bin/bash", "-c", script)
	return out.String(), err
}

func TestMachineRunsUserData(t *testing.T) {
	f := host(t)
	file := filepath.Join(t.TempDir(), "user-data")
	if err := os.WriteFile(file, []byte(userData), 0o600); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	// M3: the process that creates the machine ends before the machine is used.
	t.Log(run(t, os.Args[0], "machine", "create", "worker-1", "--user-data", file, "--reach", hubAddr+":8443"))
	m, err := f.Get("worker-1")
	if err != nil || !m.Running() {
		t.Fatalf("machine does not run: %+v, %v", m, err)
	}
	eventually(t, "unit of the user data", func() error {
		out, err := exec.Command("nsenter", "--net=/run/netns/"+hostNS, "curl", "-sSf", "-m", "1", "http://"+m.Address.String()+"/").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "it works") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	t.Logf("from create to an answer: %v", time.Since(begin).Round(10*time.Millisecond))
	eventually(t, "cloud-init", func() error {
		out, err := inside(t, f, "worker-1", "cloud-init status --long")
		if err != nil || !strings.Contains(out, "status: done") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})

	t.Run("M1 reach", func(t *testing.T) {
		if out, err := inside(t, f, "worker-1", "curl -sS -m 2 http://"+hubAddr+":8443/"); err != nil {
			t.Errorf("the hub is out of reach: %v %s", err, out)
		}
		for _, target := range []string{hubAddr + ":9999", "10.213.7.200:80", "1.1.1.1:443"} {
			if out, err := inside(t, f, "worker-1", "curl -sS -m 1 http://"+target+"/"); err == nil {
				t.Errorf("%s is within reach: %s", target, out)
			}
		}
		// A borrowed address does not help.
		_, _ = inside(t, f, "worker-1", "ip address add 10.213.7.201/32 dev eth0")
		if out, err := inside(t, f, "worker-1", "curl -sS -m 1 --interface 10.213.7.201 http://"+hubAddr+":8443/"); err == nil {
			t.Errorf("another address is let through: %s", out)
		}
	})
	t.Run("M2 own disk", func(t *testing.T) {
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, script := range []string{
			"cat " + secret, "touch /usr/bin/x", "v=$(cat /proc/sys/vm/swappiness); echo $v > /proc/sys/vm/swappiness", "ls /old",
		} {
			if out, err := inside(t, f, "worker-1", script); err == nil {
				t.Errorf("%q works: %s", script, out)
			}
		}
		// The host's clock is not tried: a broken law would set it. CAP_SYS_TIME is bit 25, CAP_SYS_MODULE bit 16.
		for _, process := range []string{"1", "self"} {
			out, err := inside(t, f, "worker-1", "(( 0x$(awk '/^CapEff/ {print $2}' /proc/"+process+"/status) & (1 << 25 | 1 << 16) ))")
			if err == nil {
				t.Errorf("process %s may set the clock or load modules: %s", process, out)
			}
		}
		before, _ := os.ReadFile("/proc/sys/vm/overcommit_memory")
		if out, err := inside(t, f, "worker-1", "echo 1 > /proc/sys/vm/overcommit_memory && echo 0 > /proc/sys/kernel/panic && sysctl -w net.ipv4.ip_forward=1"); err != nil {
			t.Errorf("what a kubelet sets can not be set: %v %s", err, out)
		}
		if after, _ := os.ReadFile("/proc/sys/vm/overcommit_memory"); !bytes.Equal(before, after) {
			t.Error("the host's kernel was changed")
		}
		if out, err := inside(t, f, "worker-1", "systemctl --failed --no-legend"); err != nil || out != "" {
			t.Errorf("units failed: %v %s", err, out)
		}
	})
	t.Run("M5 repeat", func(t *testing.T) {
		again, err := f.Create(t.Context(), Spec{Name: "worker-1"})
		if err != nil || again.PID != m.PID {
			t.Errorf("a machine that exists was made again: %+v, %v", again, err)
		}
	})
	t.Run("M4 no trace", func(t *testing.T) {
		s := Spec{Name: "worker-1"}
		before := processes(t, m.PID)
		run(t, os.Args[0], "machine", "delete", "worker-1")
		for _, file := range []string{m.Dir, netnsFile(s), "/sys/fs/cgroup/" + s.cgroup()} {
			if exists(file) {
				t.Errorf("%s is left", file)
			}
		}
		if left, _ := filepath.Glob("/sys/fs/cgroup/*/" + s.cgroup()); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if len(before) < 3 {
			t.Errorf("only %d processes were found in the machine", len(before))
		}
		for pid, begin := range before {
			if now, err := beginning(pid); err == nil && now == begin {
				t.Errorf("process left: %d", pid)
			}
		}
		if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), "worker-1") {
			t.Errorf("mounts left:\n%s", mounts)
		}
		if out := run(t, "nsenter", "--net=/run/netns/"+hostNS, "ip", "link"); strings.Contains(out, s.hostInterface()) {
			t.Errorf("interface left: %s", out)
		}
		if out := run(t, "nsenter", "--net=/run/netns/"+hostNS, "nft", "list", "ruleset"); strings.Contains(out, table) {
			t.Errorf("rules left: %s", out)
		}
		if err := f.Delete(t.Context(), "worker-1"); err != nil {
			t.Errorf("deleting again: %v", err)
		}
	})
}

// processes returns the processes of a machine, each with its beginning: numbers of processes and namespaces are used again.
func processes(t *testing.T, pid int) map[int]string {
	t.Helper()
	all := map[int]string{}
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		t.Fatal(err)
	}
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, l := range links {
		if ns, _ := os.Readlink(l); ns != namespace {
			continue
		}
		var other int
		_, _ = fmt.Sscanf(l, "/proc/%d/", &other)
		if begin, err := beginning(other); err == nil {
			all[other] = begin
		}
	}
	return all
}

func TestMachineStartsAgainWithItsDisk(t *testing.T) {
	f := host(t)
	m, err := f.Create(t.Context(), Spec{Name: "worker-2", UserData: []byte(userData), Reach: []netip.AddrPort{netip.MustParseAddrPort(hubAddr + ":8443")}})
	if err != nil {
		t.Fatal(err)
	}
	answers := func() error {
		return exec.Command("nsenter", "--net=/run/netns/"+hostNS, "curl", "-sSf", "-m", "1", "http://"+m.Address.String()+"/").Run()
	}
	eventually(t, "unit of the user data", answers)
	if _, err = inside(t, f, "worker-2", "echo kept > /var/kept; sync"); err != nil {
		t.Fatal(err)
	}
	if err = stop(t.Context(), m.Dir); err != nil {
		t.Fatal(err)
	}
	if m, err = f.Create(t.Context(), Spec{Name: "worker-2"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "unit that was enabled", answers)
	if out, err := inside(t, f, "worker-2", "cat /var/kept"); err != nil || out != "kept\n" {
		t.Errorf("the disk was not kept: %v %s", err, out)
	}
	var log bytes.Buffer
	if err := f.Journal(t.Context(), "worker-2", "web.service", io.Writer(&log)); err != nil || !strings.Contains(log.String(), "Answer") {
		t.Errorf("no journal: %v %s", err, log.String())
	}
}
