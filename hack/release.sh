#!/usr/bin/env bash
# Copyright The Trishanku Authors.
# SPDX-License-Identifier: Apache-2.0
#
# release.sh VERSION OUTDIR: write a local clusterctl repository, for use with
#   clusterctl --config OUTDIR/clusterctl.yaml init --core cluster-api \
#     --control-plane headless --bootstrap headless --infrastructure gitbacked
#
#   OUTDIR/clusterctl.yaml
#   OUTDIR/cluster-api/<version>/core-components.yaml         Cluster API's core, unmodified but for its image's name
#   OUTDIR/control-plane-headless/VERSION/control-plane-components.yaml
#   OUTDIR/bootstrap-headless/VERSION/bootstrap-components.yaml
#   OUTDIR/infrastructure-gitbacked/VERSION/infrastructure-components.yaml, cluster-template*.yaml
#
# Each folder has a metadata.yaml. KUSTOMIZE names kustomize (default:
# bin/kustomize), CAPI_IMAGE the registry of core's image. No network is needed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

die() { echo "release.sh: $*" >&2; exit 1; }
[ $# = 2 ] || die "usage: release.sh VERSION OUTDIR"
version=$1
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+([-+].*)?$ ]] || die "version $version: write all three parts, such as v0.1.0"
mkdir -p "$2"
out=$(cd "$2" && pwd)
kustomize=${KUSTOMIZE:-$root/bin/kustomize}
[ -x "$kustomize" ] || die "$kustomize is missing; run: make bin/kustomize"

series=${version#v}
series="${series%%.*} $(cut -d. -f2 <<<"$series")"
awk '/major:/ {m = $NF} /minor:/ {print m, $NF}' "$root/metadata.yaml" | grep -qx "$series" ||
  die "metadata.yaml has no series for $version; add major and minor with their contract"

# folder LABEL VERSION METADATA: make a release's folder, and say where it is.
folder() {
  local dir=$out/$1/$2
  mkdir -p "$dir"
  install -m 0644 "$3" "$dir/metadata.yaml"
  echo "$dir"
}

# own LABEL CONFIG FILE
own() {
  local dir
  dir=$(folder "$1" "$version" "$root/metadata.yaml")
  "$kustomize" build "$root/config/$2/default" |
    sed -E "s#(image: ghcr.io/trishanku-org/headless-manager):.*#\1:$version#" >"$dir/$3"
}
own control-plane-headless controlplane control-plane-components.yaml
own bootstrap-headless bootstrap bootstrap-components.yaml
own infrastructure-gitbacked infrastructure infrastructure-components.yaml
install -m 0644 "$root"/templates/*.yaml "$out/infrastructure-gitbacked/$version/"

# Core comes from the Go module that the manager is built with. Its sources name
# a staging image and always pull it; its releases name the registry's.
read -r capi capi_version < <(cd "$root" && go list -m -f '{{.Dir}} {{.Version}}' sigs.k8s.io/cluster-api)
[ -n "$capi" ] || die "Cluster API is not in the module cache; run: go mod download sigs.k8s.io/cluster-api"
dir=$(folder cluster-api "$capi_version" "$capi/metadata.yaml")
"$kustomize" build "$capi/core/config/default" |
  sed -E -e "s#(image:) gcr.io/k8s-staging-cluster-api/cluster-api-controller:.*#\1 ${CAPI_IMAGE:-registry.k8s.io/cluster-api}/cluster-api-controller:$capi_version#" \
    -e 's#(imagePullPolicy:) Always#\1 IfNotPresent#' >"$dir/core-components.yaml"
grep -q "cluster-api-controller:$capi_version\$" "$dir/core-components.yaml" || die "core's image was not found in $capi/core/config"

cat >"$out/clusterctl.yaml" <<EOF
providers:
- {name: cluster-api, type: CoreProvider, url: "file://$out/cluster-api/$capi_version/core-components.yaml"}
- {name: headless, type: ControlPlaneProvider, url: "file://$out/control-plane-headless/$version/control-plane-components.yaml"}
- {name: headless, type: BootstrapProvider, url: "file://$out/bootstrap-headless/$version/bootstrap-components.yaml"}
- {name: gitbacked, type: InfrastructureProvider, url: "file://$out/infrastructure-gitbacked/$version/infrastructure-components.yaml"}
EOF
echo "clusterctl repository: $out (clusterctl --config $out/clusterctl.yaml)"
