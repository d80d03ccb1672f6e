# Copyright The Trishanku Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION     ?= v0.1.0
KUBERNETES  := v1.36.3
CAPI        := v1.14.2
BIN         := $(CURDIR)/bin
OUT         := $(CURDIR)/out
HOST        ?= sandbox
STATE       ?= /var/lib/headless-sandbox
GO          ?= go
export CGO_ENABLED := 0
export HEADLESS_BIN := $(BIN)

K8S_LDFLAGS  = -s -w $(foreach p,k8s.io/component-base/version k8s.io/client-go/pkg/version,-X $(p).gitVersion=$(KUBERNETES) -X $(p).gitMajor=1 -X $(p).gitMinor=36 -X $(p).gitTreeState=clean)
CAPI_LDFLAGS = -s -w -X sigs.k8s.io/cluster-api/version.gitVersion=$(CAPI) -X sigs.k8s.io/cluster-api/version.gitMajor=1 -X sigs.k8s.io/cluster-api/version.gitMinor=14
OWN_LDFLAGS  = -s -w -X main.version=$(VERSION)

KUBERNETES_BINS := $(addprefix $(BIN)/,kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
OWN_CMDS        := $(notdir $(wildcard cmd/*))

# $(call step,what,command): one line before, one after with the time taken.
define step
@t0=$$SECONDS; printf '  %-52s' '$(1)'; mkdir -p $(OUT)/logs; log=$(OUT)/logs/$(subst /,-,$(subst $(BIN)/,,$@)).log; \
  if ( $(2) ) >$$log 2>&1; then echo "$$((SECONDS-t0)) s"; else echo "failed after $$((SECONDS-t0)) s, the end of $$log:"; tail -n 40 $$log; exit 1; fi
endef

##@ The two that matter

.PHONY: quickstart
quickstart: build  ## From nothing to a running headless cluster with a workload on it (root; HOST=existing uses $KUBECONFIG)
	@$(BIN)/sandbox quickstart --host $(HOST) --bin-dir $(BIN) --state-dir $(STATE)

.PHONY: test
test: build-test  ## The tests: no root, no containers
	@$(GO) test -timeout 15m ./...

##@ More

.PHONY: quickstart-down
quickstart-down: $(BIN)/sandbox  ## Remove all that quickstart made, and nothing else
	@$(BIN)/sandbox quickstart down --host $(HOST) --bin-dir $(BIN) --state-dir $(STATE)

.PHONY: e2e
e2e: build  ## The quick start, asserted (root)
	@$(GO) test -tags e2e -count 1 -timeout 45m -v ./test/e2e/... ./internal/sandbox/machine/...

.PHONY: lint
lint: $(BIN)/golangci-lint  ## All linters, the import law among them
	@$(BIN)/golangci-lint run ./...

.PHONY: bench
bench:  ## Go benchmarks of the hot paths
	@$(GO) test -run '^$$' -bench . -benchmem ./internal/gitcd/...

.PHONY: fuzz
fuzz:  ## Each fuzz target for FUZZTIME (default 30s)
	@for p in $$(grep -rlE '^func Fuzz' --include '*_test.go' internal | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z]+' $$p/*_test.go | cut -c6-); do \
	    $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} ./$$p; done; done

.PHONY: generate
generate: $(BIN)/controller-gen  ## Deep copies, CRDs, RBAC and webhook configurations
	@hack/generate.sh $(BIN)

.PHONY: verify
verify: generate  ## Generated files are those that are committed
	@git diff --exit-code -- api config exp || { echo "run 'make generate' and commit"; exit 1; }

.PHONY: release
release: $(BIN)/kustomize  ## A local clusterctl repository in out/release
	@hack/release.sh $(VERSION) $(OUT)/release

##@ Building

.PHONY: build
build: $(KUBERNETES_BINS) $(BIN)/agnhost $(BIN)/clusterctl $(BIN)/capi-manager $(BIN)/coredns $(BIN)/cert-manager $(BIN)/kustomize own  ## Everything, from Go modules, into bin/

.PHONY: build-test
build-test: $(filter-out %/kubelet %/kube-proxy,$(KUBERNETES_BINS)) $(BIN)/clusterctl $(BIN)/kustomize own  ## What `make test` runs

.PHONY: own
own: $(addprefix own-,$(OWN_CMDS)) $(BIN)/pause

own-%:
	$(call step,build $*,$(GO) build -trimpath -ldflags '$(OWN_LDFLAGS)' -o $(BIN)/$* ./cmd/$*)

$(BIN)/sandbox: own-sandbox ;

$(BIN)/pause: $(wildcard internal/sandbox/pause/*.go)
	$(call step,build pause,$(GO) build -trimpath -ldflags '-s -w' -o $@ ./internal/sandbox/pause)

$(KUBERNETES_BINS): $(BIN)/%: build/kubernetes/go.mod
	$(call step,build $* $(KUBERNETES),cd build/kubernetes && $(GO) build -trimpath -ldflags '$(K8S_LDFLAGS)' -o $@ k8s.io/kubernetes/cmd/$*)

$(BIN)/agnhost: build/kubernetes/go.mod
	$(call step,build agnhost $(KUBERNETES),cd build/kubernetes && $(GO) build -trimpath -ldflags '$(K8S_LDFLAGS)' -o $@ k8s.io/kubernetes/test/images/agnhost)

$(BIN)/clusterctl: build/clusterapi/go.mod
	$(call step,build clusterctl $(CAPI),cd build/clusterapi && $(GO) build -trimpath -ldflags '$(CAPI_LDFLAGS)' -o $@ sigs.k8s.io/cluster-api/cmd/clusterctl)

$(BIN)/capi-manager: build/clusterapi/go.mod
	$(call step,build the Cluster API core controller $(CAPI),cd build/clusterapi && $(GO) build -trimpath -ldflags '$(CAPI_LDFLAGS)' -o $@ sigs.k8s.io/cluster-api/core)

$(BIN)/coredns: build/coredns/go.mod
	$(call step,build coredns,cd build/coredns && $(GO) build -trimpath -ldflags '-s -w' -o $@ github.com/coredns/coredns)

$(BIN)/cert-manager: $(wildcard build/certmanager/*)
	$(call step,build the cert-manager controllers,cd build/certmanager && $(GO) build -trimpath -ldflags '-s -w' -o $@ .)

$(BIN)/controller-gen: build/tools/go.mod
	$(call step,build controller-gen,cd build/tools && $(GO) build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen)

$(BIN)/kustomize: build/tools/go.mod
	$(call step,build kustomize,cd build/tools && $(GO) build -o $@ sigs.k8s.io/kustomize/kustomize/v5)

$(BIN)/golangci-lint: build/tools/go.mod
	$(call step,build golangci-lint,cd build/tools && $(GO) build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

.PHONY: clean
clean:  ## Remove what was built
	@rm -rf $(BIN) $(OUT)

.PHONY: help
help:  ## This list
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*##/ {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
