# Copyright The Trishanku Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= v0.1.0
BIN     := $(CURDIR)/bin
OUT     := $(CURDIR)/out
HOST    ?= sandbox
GO      ?= go
export CGO_ENABLED := 0
export HEADLESS_BIN := $(BIN)

##@ The two that matter

.PHONY: quickstart
quickstart: build packages  ## From nothing to a running headless cluster with a workload on it (root; HOST=existing uses $KUBECONFIG)
	@$(BIN)/sandbox quickstart --host $(HOST)

.PHONY: test
test: build-test  ## The tests: no root, no containers
	@$(GO) test -timeout 15m ./...

##@ More

.PHONY: packages
packages: build-sandbox  ## The Debian packages of the sandbox, and a look at the machine (root)
	@$(BIN)/sandbox doctor --install

.PHONY: quickstart-down
quickstart-down: build-sandbox  ## Remove all that quickstart made, and nothing else
	@$(BIN)/sandbox quickstart down --host $(HOST)

.PHONY: e2e
e2e: build packages  ## The quick start, asserted (root)
	@$(GO) test -tags e2e -count 1 -timeout 45m -v ./test/e2e/... ./internal/sandbox/machine/...
	@$(GO) test -tags e2e -count 1 -timeout 15m -v -run '^TestKubelets$$' ./test/chaos
	@$(MAKE) --no-print-directory machines

.PHONY: lint
lint: build-golangci-lint  ## All linters, the import law among them
	@$(BIN)/golangci-lint run ./...

.PHONY: bench
bench: build-peers  ## gitcd beside etcd and kine, one table, about 25 minutes (QUICK=1: 5; BENCHFLAGS="--only write --profile", see --help)
	@hack/build.sh kube-apiserver
	@$(GO) build -o $(BIN)/bench ./test/bench
	@$(BIN)/bench $(if $(QUICK),--quick) $(BENCHFLAGS)

.PHONY: bench-go
bench-go:  ## Go benchmarks of the hot paths
	@$(GO) test -run '^$$' -bench . -benchmem ./internal/gitcd/...

.PHONY: profile
profile: build-peers  ## The CPU profile that the compiler follows for gitcd, made anew: once its hot paths have changed
	@$(GO) build -o $(BIN)/bench ./test/bench
	@$(BIN)/bench --servers gitcd --only write,read,watch --rounds 1 --profile --out $(OUT)/profile
	@$(GO) tool pprof -proto $$(find $(OUT)/profile -name '*.pprof' -newer $(BIN)/bench) >cmd/gitcd/cpu.pgo

.PHONY: conformance
conformance:  ## The suites of gitcd's peers, with gitcd in etcd's place (SUITE=apiserver picks one; PEER=1 runs etcd beside it)
	@hack/build.sh gitcd etcdctl etcdutl $(if $(PEER),etcd)
	@$(GO) run ./test/conformance -suite "$(SUITE)" -run "$(RUN)" -server "$(SERVER)" -peer=$(if $(PEER),true,false)

.PHONY: forge
forge:  ## The ways for heavens to meet, against a real Gitea, built from its module (10 minutes the first time)
	@hack/build.sh gitcd etcdctl gitea
	@$(GO) test -tags gitea -count 1 -timeout 10m ./test/topologies

.PHONY: machines
machines:  ## The gate of machine controllers, with gardener's own programs and a cloud of files (3 minutes)
	@hack/build.sh gitcd kube-apiserver kube-controller-manager kube-scheduler machine-controller machine-controller-manager
	@$(GO) test -tags e2e -count 1 -timeout 15m -v -run '^TestMachines$$' ./test/headless

.PHONY: fuzz
fuzz:  ## Each fuzz target for FUZZTIME (default 30s)
	@for p in $$(grep -rlE '^func Fuzz' --include '*_test.go' api internal | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z]+' $$p/*_test.go | cut -c6-); do \
	    $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} -fuzzminimizetime 2s ./$$p; done; done

.PHONY: soak
soak: build-test  ## Crashes of gitcd: SOAK_ROUNDS of power cuts (10000), then kill -9 for SOAK_SECONDS (60; an hour is 3600)
	@SOAK_ROUNDS=$${SOAK_ROUNDS:-10000} $(GO) test -count 1 -timeout 3h -v -run '^TestCrash$$' ./test/crash
	@SOAK_SECONDS=$${SOAK_SECONDS:-60} $(GO) test -count 1 -timeout 3h -v -run '^TestKill9$$' ./test/crash

.PHONY: chaos
chaos: build packages  ## Faults at random, CHAOS_DURATION of each kind (60s), with kubelets and without; heavens cut off for minutes (root; SEED repeats; CHAOSFLAGS=-chaos.kills; out/chaos keeps what failed)
	@$(GO) test -tags e2e -count 1 -timeout 3h -v ./test/chaos -args -chaos.long -chaos.seed=$${SEED:-0} -chaos.duration=$${CHAOS_DURATION:-60s} -chaos.keep=$(OUT)/chaos $(CHAOSFLAGS)

.PHONY: generate
generate: build-controller-gen  ## Deep copies, CRDs, RBAC, webhook configurations and the table of Kubernetes' types
	@hack/generate.sh $(BIN)

.PHONY: verify
verify: generate  ## Generated files are those that are committed
	@git diff --exit-code -- api config exp internal/gitcd/schema || { echo "run 'make generate' and commit"; exit 1; }

.PHONY: release
release: build-kustomize  ## A local clusterctl repository in out/release
	@hack/release.sh $(VERSION) $(OUT)/release

##@ Building

.PHONY: build
build:  ## Everything, from Go modules, into bin/
	@hack/build.sh

.PHONY: build-test
build-test:  ## What `make test` runs
	@hack/build.sh sandbox gitcd manager kube-apiserver kube-controller-manager kube-scheduler kubectl etcd etcdctl etcdutl clusterctl kustomize controller-gen

.PHONY: build-peers
build-peers:  ## etcd, its command lines, and kine: what gitcd is measured beside
	@hack/build.sh gitcd etcd etcdctl etcdutl kine

.PHONY: build-sandbox build-golangci-lint build-controller-gen build-kustomize
build-sandbox build-golangci-lint build-controller-gen build-kustomize: build-%:
	@hack/build.sh $*

.PHONY: clean
clean:  ## Remove what was built
	@rm -rf $(BIN) $(OUT)

.PHONY: help
help:  ## This list
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*##/ {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
