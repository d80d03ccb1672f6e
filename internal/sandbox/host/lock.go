// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// ErrBusy says that another command is at work on the same state directory.
var ErrBusy = errors.New("another sandbox command is at work on this state directory")

// Lock lets one command at a time change a host. It is a name in the kernel, not
// a file: it ends with its process, and Down leaves none of it behind.
func Lock(ctx context.Context, c sandbox.Config) (release func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", "@headless-sandbox"+c.StateDir)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, narrate.Mend(fmt.Errorf("%w: %s", ErrBusy, c.StateDir), "wait for it to end, or choose another host with --name, --state-dir and --network")
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", c.StateDir, err)
	}
	return func() { _ = l.Close() }, nil
}
