// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"fmt"
	"strings"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

const (
	// statusListen is where gitcd says how it is, to its pod only.
	statusListen = "127.0.0.1:2381"

	localAPIServer = "https://127.0.0.1:6443"
)

// gitcdConfig is the configuration file of a heaven's gitcd.
func gitcdConfig(h *heavenv1.TrishankuHeaven) (string, error) {
	config := gitcdv1.Config{
		APIVersion:   gitcdv1.APIVersion,
		Kind:         gitcdv1.Kind,
		Repository:   repositoryPath,
		Branch:       h.Spec.Branch,
		Author:       gitcdv1.Author{Name: ComponentName(h)},
		Listeners:    []gitcdv1.Listener{{URL: gitcdSocket}},
		Events:       &gitcdv1.Events{Listeners: []gitcdv1.Listener{{URL: eventsSocket}}},
		StatusListen: statusListen,
		Upstream: &gitcdv1.Upstream{
			URL:        h.Spec.Upstream.URL,
			MainBranch: cmp.Or(h.Spec.Upstream.MainBranch, heavenv1.MainBranch),
			CAFile:     gitcdTLSDir + "/git-ca.crt",
			CertFile:   gitcdTLSDir + "/" + certHubClient + ".crt",
			KeyFile:    gitcdTLSDir + "/" + certHubClient + ".key",
		},
		Mode:  gitcdv1.Mode(cmp.Or(h.Spec.Mode, heavenv1.ModeAvailable)),
		Holds: holds(h),
	}
	if deref(h.Spec.Genesis) {
		config.Genesis = &gitcdv1.Genesis{ReadyURL: localAPIServer + "/readyz", CAFile: gitcdTLSDir + "/ca.crt"}
	}
	for _, g := range h.Spec.Gitcd.Grains {
		config.Grains = append(config.Grains, gitcdv1.Grain{Prefix: g.Prefix, Grain: gitcdv1.GrainType(g.Grain)})
	}
	return render(&config)
}

// hubFile is the configuration of a hub.
func hubFile(in HubInput) *gitcdv1.Config {
	m := in.Merge
	return &gitcdv1.Config{
		APIVersion:   gitcdv1.APIVersion,
		Kind:         gitcdv1.Kind,
		Repository:   repositoryPath,
		StatusListen: statusListen,
		Merge:        mergeConfig(m.Spec.Policy, in.Heavens),
		Hooks:        hooksConfig(in.Repository),
		Hub: &gitcdv1.Hub{
			Listen: fmt.Sprintf("0.0.0.0:%d", heavenv1.HubPort),
			TLS: gitcdv1.ServerTLS{
				CertFile:     gitcdTLSDir + "/" + certHub + ".crt",
				KeyFile:      gitcdTLSDir + "/" + certHub + ".key",
				ClientCAFile: gitcdTLSDir + "/git-ca.crt",
			},
			MainBranch:    cmp.Or(m.Spec.Branches.Main, heavenv1.MainBranch),
			GenesisBranch: cmp.Or(m.Spec.Branches.Genesis, heavenv1.HeavenBranchPrefix+heavenv1.FrontDoor),
			Prefixes:      m.Spec.Branches.Prefixes,
			Gates:         gates(m.Spec.Gates),
			DefaultGates:  gitcdv1.DefaultGates(m.Spec.DefaultGates),
			Approvers:     sortedStrings(m.Spec.Approvers),
			Mirror:        mirrorConfig(in.Repository),
		},
	}
}

// render refuses a file that gitcd would refuse, so that the mistake shows as a condition and not as a dead pod.
func render(config *gitcdv1.Config) (string, error) {
	file, err := config.Marshal()
	if err != nil {
		return "", err
	}
	if _, err := gitcdv1.Load(file); err != nil {
		return "", err
	}
	return string(file), nil
}

// authentication lets requests without any identity reach nothing but the health of kube-apiserver.
const authentication = `apiVersion: apiserver.config.k8s.io/%s
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
    - path: /livez
    - path: /readyz
    - path: /healthz
`

// authenticationConfig is kube-apiserver's AuthenticationConfiguration, in the API version that its release knows.
func authenticationConfig(version string) string {
	api := "v1"
	for _, old := range []string{"v1.31.", "v1.32.", "v1.33."} {
		if strings.HasPrefix(version, old) {
			api = "v1beta1"
		}
	}
	return fmt.Sprintf(authentication, api)
}
