// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package host brings a one-node Kubernetes up and down.
//
//	Up:   directories ─► credentials, configuration ─► network ─► cgroup
//	        ─► supervisor ─► containerd ─► images ─► API ready ─► Node ready ─► addons
//	Down: supervisor ─► every process of the cgroup ─► network ─► directories ─► proof
//
// # Laws
//
//  1. Up is a state, not a script: it can be repeated, and a repeated Up
//     restarts only what has changed.
//  2. Down removes what Up made and nothing else, and says what it could not remove.
//  3. Nothing is removed from a directory that Up did not mark as its own.
//  4. The store is gitcd: the project runs on itself.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/addons"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/cgroup"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/credentials"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/doctor"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/images"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/mountns"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/network"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// markerFile says that a directory is a sandbox's, and so may be removed.
const markerFile = ".headless-sandbox"

// supervisorLog is the name of the supervisor's own log.
const supervisorLog = "supervisor"

// Host is one sandbox host.
type Host struct {
	Config sandbox.Config
	Tell   *narrate.Narrator
	Clock  clock.WithTicker
}

// Kubectl is a kubectl with the administrator's kubeconfig.
func (h *Host) Kubectl() addons.Client {
	return addons.Client{Kubectl: h.Config.Bin("kubectl"), Kubeconfig: h.Config.Kubeconfig()}
}

// step is one step of Up or Down.
type step struct {
	name string
	log  string // of a component, or empty
	do   func(context.Context) error
}

func (h *Host) take(ctx context.Context, steps []step) error {
	for _, s := range steps {
		log := ""
		if s.log != "" {
			log = h.Config.Log(s.log)
		}
		if err := h.Tell.Do(ctx, s.name, log, s.do); err != nil {
			return err
		}
	}
	return nil
}

// Up brings the host up, whatever was there of it before.
func (h *Host) Up(ctx context.Context) error {
	return h.take(ctx, []step{
		{"look at the machine", "", h.examine},
		{"look for the binaries", "", h.needBinaries},
		{"make directories, certificates and configuration", "", h.prepare},
		{"make images", "", h.makeImages},
		{"set up the network namespace " + h.Config.Name, "", func(ctx context.Context) error { return network.Up(ctx, h.Config) }},
		{"start the supervisor", supervisorLog, h.supervise},
		{"wait for containerd", Containerd, h.untilReady(Containerd, time.Minute)},
		{"load images", Containerd, h.loadImages},
		{"wait for the API server", APIServer, h.untilReady(APIServer, 2*time.Minute)},
		{"apply storage class, DNS and cert-manager", APIServer, h.applyAddons},
		{"wait for the Node", Kubelet, h.untilNode},
		{"wait for CoreDNS", Kubelet, func(ctx context.Context) error { return addons.Wait(ctx, h.Kubectl(), addons.DNS) }},
		{"wait for cert-manager", Kubelet, func(ctx context.Context) error { return addons.Wait(ctx, h.Kubectl(), addons.CertManager) }},
	})
}

// examine asks the doctor, unless the host runs: then it takes what it asks for.
func (h *Host) examine(ctx context.Context) error {
	if _, ok := supervisor.Running(h.Config.Run()); ok {
		return nil
	}
	return doctor.Verdict(doctor.Check(ctx, h.Config))
}

// needBinaries reports all that are missing at once.
func (h *Host) needBinaries(context.Context) error {
	var missing []error
	for _, b := range []string{"gitcd", APIServer, Controllers, Scheduler, Kubelet, Proxy, "kubectl", "coredns", "cert-manager", "pause", "sandbox"} {
		if _, err := os.Stat(h.Config.Bin(b)); err != nil {
			missing = append(missing, fmt.Errorf("%s is not there", h.Config.Bin(b)))
		}
	}
	return narrate.Mend(errors.Join(missing...), "run `make build`")
}

// prepare makes the state directory and what lies in it.
func (h *Host) prepare(context.Context) error {
	c := h.Config
	if err := Claim(c); err != nil {
		return err
	}
	for _, dir := range []string{"logs", "run", "config", "private/volume-plugins", "private/ipam", "pod-logs", "volumes"} {
		if err := os.MkdirAll(c.Path(dir), 0o755); err != nil { //nolint:gosec // pods of any user reach their volumes through it
			return fmt.Errorf("create state directory: %w", err)
		}
	}
	if err := credentials.Ensure(c, h.Clock); err != nil {
		return err
	}
	if err := writeConfig(c); err != nil {
		return err
	}
	if err := cgroup.Create(c.Name); err != nil {
		return err
	}
	return mountns.MakePoints(c)
}

// Claim marks the state directory as a sandbox's; a directory with other
// people's files in it is refused.
func Claim(c sandbox.Config) error {
	marker := c.Path(markerFile)
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	entries, err := os.ReadDir(c.StateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into state directory: %w", err)
	}
	if len(entries) > 0 {
		return narrate.Mend(fmt.Errorf("%s holds files that are not a sandbox's", c.StateDir),
			"choose another directory with --state-dir")
	}
	if err := os.MkdirAll(c.StateDir, 0o755); err != nil { //nolint:gosec // pods of any user reach their volumes through it
		return fmt.Errorf("create state directory: %w", err)
	}
	if err := os.WriteFile(marker, []byte(c.Name+"\n"), 0o600); err != nil {
		return fmt.Errorf("mark state directory: %w", err)
	}
	return nil
}

// hostImages are the images that the host itself runs.
var hostImages = []string{sandbox.ImagePause, sandbox.ImageCoreDNS, sandbox.ImageCertManager}

func (h *Host) makeImages(ctx context.Context) error {
	list, err := images.Select(hostImages...)
	if err != nil {
		return err
	}
	_, err = images.Build(ctx, h.Config, list)
	return err
}

func (h *Host) loadImages(ctx context.Context) error {
	_, err := images.Load(ctx, h.Config, images.Target{Address: h.Config.ContainerdSocket()}, hostImages...)
	return err
}

func (h *Host) applyAddons(ctx context.Context) error {
	for _, a := range []addons.Addon{addons.Storage, addons.DNS, addons.CertManager} {
		if err := addons.Apply(ctx, h.Config, h.Kubectl(), a); err != nil {
			return err
		}
	}
	return nil
}

// untilReady waits for a component, and fails at once when it ends again and again.
func (h *Host) untilReady(name string, limit time.Duration) func(context.Context) error {
	const tooOften = 5
	return func(ctx context.Context) error {
		var last supervisor.State
		err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, limit, true, func(context.Context) (bool, error) {
			states, err := supervisor.ReadStates(h.Config.Run())
			if err != nil {
				return false, err
			}
			list, err := supervisor.ReadComponents(h.Config.Run())
			if err != nil {
				return false, err
			}
			at := slices.IndexFunc(states, func(s supervisor.State) bool { return s.Name == name })
			want := slices.IndexFunc(list, func(c supervisor.Component) bool { return c.Name == name })
			if at < 0 || want < 0 || states[at].Of != "" && states[at].Of != list[want].Digest() {
				return false, nil // its predecessor may still be there, and ready
			}
			last = states[at]
			if last.Restarts >= tooOften && last.Phase != supervisor.Ready {
				return false, fmt.Errorf("%s ended %d times: %s", name, last.Restarts, last.LastExit)
			}
			return last.Phase == supervisor.Ready, nil
		})
		if err != nil {
			return narrate.Mend(fmt.Errorf("wait for %s (%s): %w", name, last.Phase, err), "read the log; `sandbox status` shows all components")
		}
		return nil
	}
}

// untilNode waits for the Node to be Ready.
func (h *Host) untilNode(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		out, err := h.Kubectl().Run(ctx, "get", "node", h.Config.Name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		return err == nil && out == "True", nil // an error is a Node that has not registered yet
	})
	if err != nil {
		return narrate.Mend(fmt.Errorf("wait for Node %s: %w", h.Config.Name, err), "kubectl describe node "+h.Config.Name)
	}
	return nil
}

// logDir is where the components' logs lie.
func logDir(c sandbox.Config) string { return filepath.Dir(c.Log("any")) }
