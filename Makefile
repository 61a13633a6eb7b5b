# Zujian 租鉴. `make run` starts the product with a demo city, `make test` runs every test.
TOOL := go tool -modfile=deploy/tools.mod
DATA ?= .data

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: build ## build and start on the embedded store with a demo city
	bin/zujian serve --demo --data $(DATA)

build: ## bin/zujian
	go build -trimpath -o bin/zujian ./cmd/zujian

test: deps ## install what the tests need when missing, then run everything
	go test -count=1 -timeout 30m ./...
	CGO_ENABLED=1 go test -count=1 -tags pkcs11 ./eventstore/seal/hsm

deps:
	@deploy/test-deps.sh

race: deps ## the tests under the race detector
	go test -race -count=1 -timeout 60m ./...

mutants: ## seeded faults, each of which one named test must find
	ZUJIAN_MUTANTS=all go test -count=1 -run '^TestMutants$$' -parallel 2 -timeout 20m ./cmd/zujian

check: fmt-check vet lint tidy-check generate-check ## what keeps the house in order

fmt: ## format
	$(TOOL) gofumpt -w api cmd domain eventstore projections

fmt-check:
	@out="$$($(TOOL) gofumpt -l api cmd domain eventstore projections)"; [ -z "$$out" ] || { echo "not formatted:"; echo "$$out"; exit 1; }

vet:
	go vet ./...

lint: ## staticcheck
	$(TOOL) staticcheck ./...

tidy-check:
	go mod tidy -diff
	go mod verify

generate: ## models of api/openapi.yaml
	cd api && $(TOOL:deploy/tools.mod=../deploy/tools.mod) oapi-codegen -config oapi-codegen.yaml openapi.yaml

generate-check: generate
	git diff --exit-code -- api/openapi.gen.go

bench: build ## measured figures beside their limits
	bin/zujian bench

fuzz: ## T=20s of each fuzzer
	@for p in $$(grep -rl '^func Fuzz' --include=*_test.go . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | cut -c6-); do go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(T),20s) $$p || exit 1; done; done

.PHONY: help run build test deps race mutants check fmt fmt-check vet lint tidy-check generate generate-check bench fuzz
