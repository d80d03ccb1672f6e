// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pull"
)

// placeFlags name a branch of a repository and where keys lie in it.
type placeFlags struct {
	dir, branch, level string
	keys               []string
	start              gitcdv1.Start
	pulls              []gitcdv1.Pull
}

func (p *placeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&p.dir, "dir", "", "directory of the bare repository")
	flags.StringVar(&p.branch, "branch", "main", "branch of it")
	flags.StringArrayVar(&p.keys, "key-prefix", nil, "<prefix>=<directory>/, as gitcd serve has it")
	flags.StringVar(&p.level, "log-level", string(gitcdv1.LogInfo), "debug, info, warn or error")
}

// config is that of a branch which nobody serves.
func (p *placeFlags) config() (*gitcdv1.Config, error) {
	if p.dir == "" {
		return nil, &usageError{errors.New("--dir is missing: give the repository's directory")}
	}
	abs, err := filepath.Abs(p.dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", p.dir, err)
	}
	c := &gitcdv1.Config{
		Repository: abs, Branch: p.branch, Start: p.start, Pulls: p.pulls,
		Listeners: []gitcdv1.Listener{{URL: "unix:///nobody"}}, // a file needs one; nothing listens
		Logging:   gitcdv1.Logging{Level: gitcdv1.LogLevel(p.level), Format: gitcdv1.LogText},
	}
	if c.Keys, err = keyPrefixes(p.keys); err != nil {
		return nil, err
	}
	return checked(c)
}

func keyPrefixes(rules []string) (keys []gitcdv1.KeyPrefix, err error) {
	for _, rule := range rules {
		prefix, tree, ok := strings.Cut(rule, "=")
		if !ok {
			return nil, &usageError{fmt.Errorf("--key-prefix %q: write <prefix>=<directory>/, such as /=clusters/blue/", rule)}
		}
		keys = append(keys, gitcdv1.KeyPrefix{Prefix: prefix, Tree: tree})
	}
	return keys, nil
}

// checked returns a configuration as if it had been read from a file.
func checked(c *gitcdv1.Config) (*gitcdv1.Config, error) {
	data, err := c.Marshal()
	if err != nil {
		return nil, err
	}
	if c, err = gitcdv1.Load(data); err != nil {
		return nil, &usageError{err}
	}
	return c, nil
}

func initCommand() *cobra.Command {
	var file string
	var place placeFlags
	var from remoteFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a repository gitcd's, clone one, or take a branch's next epoch",
		Long: `Make a branch of a repository ready to be served.

With --dir, the repository is any bare one, or one that is made, or with --clone
a copy of one elsewhere. Keys get their revisions; with --history, so do those
that the last commits changed, so that they can be read and watched from there.

With --config, the configured branch is cloned from its upstream, or begun, and
its next epoch is taken, so that no other writer can advance it. That waits
until the upstream has what is needed. It is safe to run again: a holder that
goes on with its repository keeps its epoch.

` + credentialsHelp,
		Example: `  gitcd init --config /etc/gitcd/config.yaml
  gitcd init --dir /var/lib/store.git
  gitcd init --dir /srv/project.git --branch main --history 1000 --start-revision 5000
  gitcd init --dir /var/lib/project.git --clone https://example.org/project.git --key-prefix =`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				c, err := loadConfig(file)
				if err != nil {
					return err
				}
				if len(c.Branches) == 0 && c.Upstream != nil {
					return initialise(cmd.Context(), c)
				}
				return beginAll(cmd.Context(), cmd.OutOrStdout(), c)
			}
			if place.dir == "" {
				return &usageError{errors.New("give --config or --dir")}
			}
			if from.pull.URL != "" {
				place.pulls = []gitcdv1.Pull{from.pull}
			}
			c, err := place.config()
			if err != nil {
				return err
			}
			return beginAll(cmd.Context(), cmd.OutOrStdout(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file")
	place.add(f)
	f.Int64Var(&place.start.Revision, "start-revision", 0, "the least that the first revision will be")
	f.IntVar(&place.start.History, "history", 0, "how many commits, along first parents, get revisions")
	f.StringVar(&from.pull.URL, "clone", "", "URL of a repository whose branch is copied, https or http on loopback; ssh is not spoken")
	from.add(f)
	return cmd
}

// beginAll begins the branches of a configuration, and closes them again.
func beginAll(ctx context.Context, out io.Writer, c *gitcdv1.Config) (err error) {
	logger := newLogger(c.Logging)
	j, err := openJournal(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	h := &house{config: c, log: logger, journal: j}
	for _, one := range alone(c) {
		if len(one.Pulls) > 0 {
			if err := clone(ctx, logger, j, one); err != nil {
				return err
			}
		}
	}
	others := j.Refs("refs/heads/")
	if err := h.open(ctx); err != nil {
		return err
	}
	for _, one := range h.heavens {
		if _, here := others[branchRef(one.config.Branch)]; !here && len(others) > 0 {
			logger.Warn("the branch is new; the repository has others", "branch", one.config.Branch, "others", slices.Sorted(maps.Keys(others)))
		}
		s := one.branch.Store.Status()
		fmt.Fprintf(out, "branch %s: %d keys, revisions %d to %d\n", one.config.Branch, s.Keys, max(s.Compacted, 1), s.Revision)
	}
	return h.stores.Close(context.WithoutCancel(ctx))
}

// clone copies a branch that is not here yet.
func clone(ctx context.Context, logger *slog.Logger, j *journal.Journal, c *gitcdv1.Config) error {
	from := &c.Pulls[0]
	if _, here := j.Ref("refs/heads/" + c.Branch); here {
		logger.Info("the branch is here already: pull merges what is new", "branch", c.Branch)
		return nil
	}
	client, err := gitClient(from)
	if err != nil {
		return err
	}
	head, err := pull.Clone(ctx, j, client, branchRef(c.Branch), pullOptions(c.Branch, from, logger))
	if err != nil {
		return err
	}
	logger.Info("cloned", "branch", c.Branch, "from", from.Branch, "head", head.String())
	return nil
}

func branchRef(name string) string { return "refs/heads/" + name }

func pullOptions(name string, p *gitcdv1.Pull, logger *slog.Logger) pull.Options {
	return pull.Options{Branch: name, Name: p.Name, From: p.Branch, As: p.As, NoFastForward: p.NoFastForward, Unrelated: p.Unrelated, Log: logger}
}

// makePullers makes ready to pull what is configured.
func (h *heaven) makePullers() error {
	for i := range h.config.Pulls {
		from := &h.config.Pulls[i]
		client, err := gitClient(from)
		if err != nil {
			return err
		}
		o := pullOptions(h.config.Branch, from, h.log)
		if o.Settings, err = mergeSettings(h.config.Merge); err != nil {
			return err
		}
		h.pullers = append(h.pullers, pull.New(h.branch.Store, h.branch.Journal, client, o))
	}
	return nil
}

// startPulls pulls what is configured, until the context ends.
func (h *heaven) startPulls(ctx context.Context, run func(func() error)) {
	for i, p := range h.pullers {
		run(func() error { return p.Run(ctx, h.config.Pulls[i].Interval.Duration) })
	}
}

// hint has those asked that are polled.
func (h *heaven) hint() {
	if h.exchange != nil {
		h.exchange.Hint()
	}
	for _, p := range h.pullers {
		p.Hint()
	}
}
