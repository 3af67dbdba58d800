# The image puller: `make help` lists the targets.

SHELL := /bin/bash
export DOCKERIMAGE_NAME DOCKERIMAGE_TAG

.DEFAULT_GOAL := all
.PHONY: all help demo test e2e build docker lint fmt bench soak clean

all: build docker ## build, then docker

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## boot a local cluster, install the chart, watch images arrive on its nodes
	hack/demo.sh

test: ## every test: format, lints, unit, golden, property, differential, chart, real cluster
	hack/test.sh

e2e: ## only the tests on a real cluster; the cluster stays
	hack/run-e2e.sh

build: ## the static release programs, into bin/ (PLATFORMS=linux/amd64,linux/arm64)
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

clean: ## remove what was built here (the tools' cache and clusters stay)
	cargo clean
	rm -rf bin
