# The image puller and the image cloner: `make help` lists the targets.

SHELL := /bin/bash
export DOCKERIMAGE_NAME DOCKERIMAGE_TAG

.DEFAULT_GOAL := all
.PHONY: all help demo test e2e build docker lint fmt bench soak clean \
  cloner-build cloner-deploy cloner-gen cloner-lint cloner-test

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

clean: ## remove what was built here (the tools' cache and clusters stay)
	cargo clean
	rm -rf bin
