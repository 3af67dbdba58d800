# The image puller, the image cloner and the kubectl plugin: `make help` lists the targets.

SHELL := /bin/bash
export DOCKERIMAGE_NAME DOCKERIMAGE_TAG
PREFIX ?= /usr/local

.DEFAULT_GOAL := all
.PHONY: all help demo test e2e build docker lint fmt bench soak clean \
  cloner-build cloner-deploy cloner-gen cloner-lint cloner-test \
  pull-build pull-install pull-lint pull-package pull-test

all: build docker ## build, then docker

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## boot a local cluster, install the chart, watch images arrive on its nodes
	hack/demo.sh

test: ## every test: format, lints, unit, golden, property, differential, chart, real cluster
	hack/test.sh

e2e: ## only the tests on a real cluster; the cluster stays
	hack/run-e2e.sh

build: ## all static release programs, into bin/ (PLATFORMS=linux/amd64,linux/arm64)
	hack/build.sh $(PLATFORMS)

docker: $(if $(PLATFORMS),build) ## the container image (DOCKERIMAGE_NAME, DOCKERIMAGE_TAG; with PLATFORMS build and an index)
	hack/image.sh $(if $(PLATFORMS),--platforms $(PLATFORMS))

lint: ## format and lints
	hack/test.sh format lint

fmt: ## put the format right
	cargo fmt --all

bench: ## print the figures of the README
	hack/bench.sh

soak: ## the same, with half an hour of refreshes, and a million inputs beside the Go modules
	KIP_DIFFERENTIAL_INPUTS=1000000 hack/test.sh differential
	KIP_SOAK_MINUTES=30 hack/bench.sh

cloner-build: build ## the image cloner's program and container image (DOCKERIMAGE_NAME, DOCKERIMAGE_TAG, PLATFORMS)
	hack/image.sh --of cloner $(if $(PLATFORMS),--platforms $(PLATFORMS))

cloner-gen: ## its plain manifests from its chart; certificates it makes itself
	hack/cloner-manifests.sh

cloner-deploy: ## its plain manifests, with kubectl, into the namespace `default`
	kubectl apply -f deploy/image-cloner.yaml

cloner-lint: ## its format and lints
	cargo fmt --check -p image-cloner
	cargo clippy --locked -p image-cloner --all-targets -- -D warnings

cloner-test: ## its tests without a cluster, and its chart's
	cargo test --locked -p image-cloner
	PATH="$$(hack/tools/build.sh helm):$$PATH" cargo test --locked -p kip-e2e --test cloner_chart

pull-build: ## the kubectl plugin, with its agents in it, into bin/ (PLATFORMS)
	hack/build.sh --of plugin $(PLATFORMS)

pull-install: ## what pull-build made, and the completion of kubectl, into PREFIX/bin (default: /usr/local/bin)
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 bin/kubectl-pull_image $(DESTDIR)$(PREFIX)/bin/kubectl-pull_image
	bin/kubectl-pull_image completion kubectl >$(DESTDIR)$(PREFIX)/bin/kubectl_complete-pull_image
	chmod 0755 $(DESTDIR)$(PREFIX)/bin/kubectl_complete-pull_image

pull-package: ## its archives, their sums and its krew manifest, into dist/, checked (PLATFORMS; default: all)
	hack/package.sh $(if $(PLATFORMS),--platforms $(PLATFORMS))
	hack/package.sh --verify

pull-lint: ## its format and lints, and those of its agent
	cargo fmt --check -p kubectl-pull-image -p kip-agent
	cargo clippy --locked -p kubectl-pull-image --all-targets -- -D warnings
	cargo clippy --locked -p kip-agent --features program --all-targets -- -D warnings

pull-test: ## its tests without a cluster, and those of its agent
	cargo test --locked -p kubectl-pull-image
	cargo test --locked -p kip-agent --features program

clean: ## remove what was built here (the tools' cache and clusters stay)
	cargo clean
	rm -rf bin dist
