// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pull"
)

// remoteFlags name a plain Git repository on the command line.
type remoteFlags struct {
	pull  gitcdv1.Pull
	every time.Duration
}

func (f *remoteFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.pull.Branch, "remote-branch", "", "the branch there (default the same as here)")
	flags.StringVar(&f.pull.Name, "remote", "", "name of the remote, as in refs/remotes/<name>/ (default origin)")
	flags.StringVar(&f.pull.CAFile, "ca-file", "", "authorities of the server's certificate (default the system's)")
	flags.StringVar(&f.pull.CredentialsFile, "credentials-file", "", "file of git credential-store with user and password")
	flags.StringVar(&f.pull.UsernameFile, "username-file", "", "file with the user")
	flags.StringVar(&f.pull.PasswordFile, "password-file", "", "file with the password or token")
}

const credentialsHelp = `User and password come from --username-file and --password-file, from
--credentials-file, from GIT_CREDENTIAL_USERNAME and GIT_CREDENTIAL_PASSWORD in
the environment, or from ~/.git-credentials.`

func pullCommand() *cobra.Command {
	var place placeFlags
	var from remoteFlags
	cmd := &cobra.Command{
		Use:   "pull",
		Short: "Merge a branch of any Git repository into one that nobody serves",
		Long: `Merge a branch of any Git repository into one that nobody serves, once or, with
--every, again and again. Each key that changes gets a revision. A running
gitcd pulls by itself: write pulls into its configuration.

` + credentialsHelp,
		Example: `  gitcd pull --dir /var/lib/store.git --from https://example.org/store.git
  gitcd pull --dir /var/lib/store.git --from https://example.org/store.git --branch state --remote-branch main --every 30s
  gitcd pull --dir /var/lib/store.git --from https://example.org/other.git --unrelated`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from.pull.URL == "" {
				return &usageError{errors.New("--from is missing: give the URL of a repository")}
			}
			from.pull.Interval.Duration = from.every
			place.pulls = []gitcdv1.Pull{from.pull}
			c, err := place.config()
			if err != nil {
				return err
			}
			return pullInto(cmd.Context(), cmd.OutOrStdout(), c, from.every > 0)
		},
	}
	f := cmd.Flags()
	place.add(f)
	f.StringVar(&from.pull.URL, "from", "", "URL of the repository, https or http on loopback; ssh is not spoken")
	from.add(f)
	f.BoolVar(&from.pull.NoFastForward, "no-fast-forward", false, "make a merge commit even where the branch could move to theirs")
	f.BoolVar(&from.pull.Unrelated, "unrelated", false, "allow to merge a history that has nothing in common with the branch's")
	f.DurationVar(&from.every, "every", 0, "pull again and again (default once)")
	return cmd
}

// pullInto opens the branch, pulls and closes it.
func pullInto(ctx context.Context, out io.Writer, c *gitcdv1.Config, again bool) (err error) {
	logger := newLogger(c.Logging)
	j, err := openJournal(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	strange := &strangers{}
	o, err := layOut(storeOptions(c, c.Author.Name, 0), c, strange)
	if err != nil {
		return err
	}
	if len(c.Keys) == 0 {
		o.Keys = nil // as they are, or an error that says where
	}
	store, err := branch.OpenStore(ctx, j, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	strange.tell(logger, c.Branch)
	client, err := gitClient(&c.Pulls[0])
	if err != nil {
		return err
	}
	p := pull.New(store, j, client, pullOptions(c.Branch, &c.Pulls[0], logger))
	if again {
		return p.Run(ctx, c.Pulls[0].Interval.Duration)
	}
	r, err := p.Once(ctx)
	if errors.Is(err, pull.ErrUnrelated) {
		return fmt.Errorf("%w; with --unrelated", err)
	}
	if err != nil {
		return err
	}
	printPull(out, r)
	return nil
}

func printPull(out io.Writer, r pull.Result) {
	switch r.Relation {
	case merge.Equal, merge.OursAhead:
		fmt.Fprintf(out, "%s is merged already\n", r.Theirs)
	case merge.TheirsAhead, merge.Diverged, merge.Unrelated:
		fmt.Fprintf(out, "%s: %d keys changed, %d conflicts, head %s, revision %d\n", r.Relation, r.Keys, r.Conflicts, r.Head, r.Revision)
	}
}
