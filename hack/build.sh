#!/bin/sh
# Copyright The Trishanku Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds bin/sandbox, which builds the rest. Arguments name single binaries.
set -eu
cd "$(dirname "$0")/.."
mkdir -p bin
CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w" -o bin/sandbox ./cmd/sandbox
exec bin/sandbox build "$@"
