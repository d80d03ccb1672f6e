// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// offlineFlags name a repository that nobody serves, and say, as the one who
// serves it otherwise is told, where its keys lie and how finely its history is kept.
type offlineFlags struct {
	dir, file string
	keys      []string

	config *gitcdv1.Config // of the file; nil: none was given
	// options are those of each branch that the file names, by refs/heads/ and the branch.
	options map[string]mvcc.Options
	other   mvcc.Options // of any other branch
}

func (f *offlineFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.dir, "dir", "", "directory of a repository that nobody serves; default: the one that --config names")
	flags.StringVar(&f.file, "config", "", "the configuration file that it is served with: where it is, where keys lie, and their grains")
}

// addKeys adds what stands for a file where gitcd is served with flags.
func (f *offlineFlags) addKeys(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.keys, "key-prefix", nil, "<prefix>=<directory>/, as gitcd serve has it")
}

// given says that there is a repository to work on.
func (f *offlineFlags) given() bool { return f.dir != "" || f.file != "" }

// load reads the file and checks the flags.
func (f *offlineFlags) load() error {
	switch {
	case !f.given():
		return &usageError{errors.New("give --dir, the repository's directory, or --config, the file it is served with")}
	case f.file != "" && len(f.keys) > 0:
		return &usageError{errors.New("--key-prefix does not go with --config: the file says where keys lie")}
	case f.file != "":
		return f.loadFile()
	case len(f.keys) == 0:
		return nil
	}
	c := (&placeFlags{dir: f.dir, branch: "main", keys: f.keys, level: string(gitcdv1.LogInfo)})
	config, err := c.config()
	if err != nil {
		return err
	}
	f.other, err = readOptions(config)
	return err
}

func (f *offlineFlags) loadFile() error {
	c, err := loadConfig(f.file)
	if err != nil {
		return err
	}
	f.config = c
	if f.dir == "" {
		f.dir = c.Repository
	}
	f.options = map[string]mvcc.Options{}
	for i, one := range alone(c) {
		o, err := readOptions(one)
		if err != nil {
			return &usageError{fmt.Errorf("%s: %w", f.file, err)}
		}
		f.options[headsPrefix+one.Branch] = o
		if i == 0 {
			f.options[""] = o // the first branch has the records of a directory that names none
		}
	}
	return nil
}

// readOptions are what of a branch's options tells how its repository is read.
func readOptions(c *gitcdv1.Config) (mvcc.Options, error) {
	o, err := layOut(mvcc.Options{Grains: grains(c.Grains)}, c, &strangers{})
	if len(c.Keys) == 0 {
		o.Keys = nil // as they are, or an error that says where
	}
	return o, err
}

// of returns the options of a branch, by refs/heads/ and the branch.
func (f *offlineFlags) of(branch string) mvcc.Options {
	if o, ok := f.options[branch]; ok {
		return o
	}
	return f.other
}

// firstBranch is the branch that the file names first, without refs/heads/; empty without a file.
func (f *offlineFlags) firstBranch() string {
	if f.config == nil || f.config.Hub != nil {
		return ""
	}
	return strings.TrimPrefix(alone(f.config)[0].Branch, headsPrefix)
}

// elsewhere adds the mend to an error of keys that lie elsewhere than was said.
func elsewhere(err error) error {
	if errors.Is(err, mvcc.ErrOtherKeys) {
		return &usageError{fmt.Errorf("%w; give --config, or each --key-prefix, as the repository is served", err)}
	}
	return err
}
