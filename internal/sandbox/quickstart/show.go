// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// show prints what there is to see.
func (s *Story) show(ctx context.Context) error {
	tree, err := s.clusterctl(ctx, s.log("describe"), "describe", "cluster", s.o.Cluster, "--namespace", s.o.Namespace)
	if err != nil {
		return fmt.Errorf("describe cluster: %w", err)
	}
	s.tell.Block("clusterctl describe cluster "+s.o.Cluster, tree)
	pods, err := s.blue.Run(ctx, "get", "nodes,pods", "--all-namespaces", "-o", "wide")
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	s.tell.Block("kubectl get nodes,pods (of "+s.o.Cluster+")", pods)
	if err := s.showHistory(ctx); err != nil {
		return err
	}
	s.told.Gitcd = residents(s.c)
	return nil
}

func (s *Story) showHistory(ctx context.Context) error {
	for _, part := range []struct {
		heading string
		read    func(context.Context) (string, error)
	}{
		{"the branches of the upstream", s.branches},
		{"git log --graph of the upstream", s.graph},
		{"the pods' way through main", s.workloadCommits},
	} {
		text, err := part.read(ctx)
		if err != nil {
			return fmt.Errorf("show %s: %w", part.heading, err)
		}
		s.tell.Block(part.heading, text)
	}
	return nil
}

// summarize prints times, bars and the lines to go on with.
func (s *Story) summarize() {
	s.told.Seconds, s.told.Steps = s.tell.Elapsed().Seconds(), s.tell.Steps()
	s.tell.Block("how long each step took", stepTable(s.told.Steps))
	s.tell.Block("where the pods' time went, as seen at the front door", milestoneTable(s.told.Milestones))
	s.tell.Block("speed and size", s.barTable())
	s.tell.Block("go on with", s.nextLines())
}

func stepTable(steps []narrate.Step) string {
	var b strings.Builder
	for _, st := range steps {
		_, _ = fmt.Fprintf(&b, "%7.1f s  %s\n", st.Seconds, st.Name)
	}
	return b.String()
}

func milestoneTable(list []milestone) string {
	if len(list) == 0 {
		return "the Deployment was there: its time was not taken"
	}
	var b strings.Builder
	before := 0.0
	for _, m := range list {
		_, _ = fmt.Fprintf(&b, "%7.1f s  (+%.1f s)  %-18s by %s\n", m.At, m.At-before, m.What, m.By)
		before = m.At
	}
	return b.String()
}

// barTable compares what was measured with what is asked for.
func (s *Story) barTable() string {
	var b strings.Builder
	row := func(value, bar float64, unit, what string) {
		verdict := "ok"
		switch {
		case value == 0:
			verdict = "not measured"
		case value > bar:
			verdict = "OVER"
		}
		_, _ = fmt.Fprintf(&b, "%7.1f %-3s  of at most %4.0f  %-12s  %s\n", value, unit, bar, verdict, what)
	}
	row(s.told.APIReady, apiBar.Seconds(), "s", "from kubectl apply to a ready API")
	row(s.told.PodsRunning, podsBar.Seconds(), "s", fmt.Sprintf("from the Deployment to %d pods Running", s.o.Pods))
	for _, r := range s.told.Gitcd {
		row(float64(r.Bytes)/(1<<20), gitcdBar>>20, "MiB", "gitcd of "+r.Where)
	}
	_, _ = fmt.Fprintf(&b, "%7.1f s    the whole story\n", s.told.Seconds)
	return b.String()
}

func (s *Story) nextLines() string {
	down, flags := "make quickstart-down", ""
	if s.o.Host == Existing {
		down = "make quickstart-down HOST=existing"
		flags = fmt.Sprintf(" --name %s --state-dir %s --network %s", s.c.Name, s.c.StateDir, s.c.Network)
	}
	return strings.Join([]string{
		"export KUBECONFIG=" + s.clusterKubeconfig() + "   # of " + s.o.Cluster,
		"export KUBECONFIG=" + s.host.Kubeconfig + "   # of the host",
		"curl " + s.told.URL,
		"git --git-dir " + s.repository() + " log -p main -- registry/deployments   # as of now; the quick start fetches what is new",
		s.c.Bin("sandbox") + " machine list" + flags + "   # the workers",
		down + "   # removes all of it",
	}, "\n")
}
