#!/usr/bin/env bash
# Copyright The Trishanku Authors.
# SPDX-License-Identifier: Apache-2.0
#
# generate.sh [BIN]: write what follows from the Go sources: deep copies,
# per provider the definitions, the manager's role and the webhooks, and what
# merges know of the types of Kubernetes. BIN is the directory of
# controller-gen (default: bin).
set -euo pipefail
cd "$(dirname "$0")/.."
gen=${1:-bin}/controller-gen
[ -x "$gen" ] || { echo "generate.sh: $gen is missing; run: make ${gen#"$PWD"/}" >&2; exit 1; }

"$gen" object:headerFile=api/boilerplate.go.txt paths=./api/controlplane/... paths=./api/infrastructure/... paths=./api/bootstrap/... paths=./api/heaven/...

# provider NAME "API FOLDERS" CONTROLLER...
provider() {
  local name=$1 apis=$2 paths=() out=config/$1
  shift 2
  rm -f "$out"/crd/bases/*.yaml
  for a in $apis; do paths+=("paths=./api/$a/..."); done
  "$gen" crd "${paths[@]}" "output:crd:dir=$out/crd/bases"
  "$gen" webhook "paths=./internal/webhooks/$name/..." "output:webhook:dir=$out/webhook"
  paths=()
  for c in "$@"; do [ ! -d "controllers/$c" ] || paths+=("paths=./controllers/$c/..."); done
  [ ${#paths[@]} = 0 ] || "$gen" rbac:roleName=system-manager-role "${paths[@]}" "output:rbac:dir=$out/rbac"
}
provider controlplane "controlplane heaven" headlesscontrolplane trishankuheaven automatedmerge
provider infrastructure "infrastructure" gitbackedcluster gitbackedmachine gitrepository
provider bootstrap "bootstrap" headlessconfig

# The repository goes with the infrastructure, the other parts with the control plane.
mv config/controlplane/crd/bases/heaven.trishanku.org_gitrepositories.yaml config/infrastructure/crd/bases/

types=$(go run ./hack/schemagen)
printf '%s\n' "$types" >internal/gitcd/schema/kubernetes.txt
