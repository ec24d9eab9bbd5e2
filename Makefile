# ucam. `make demo` shows it, `make test` proves it; both do their own set-up on Debian 12 and 13.
.DEFAULT_GOAL := help
BIN := .venv/bin
DEMO ?= .demo
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Real programs in real time, side by side on two cores: what failed so must pass alone.
ALONE := (echo "once more, alone:" && $(BIN)/pytest -q --last-failed --last-failed-no-failures none)

.PHONY: help demo install setup-tests test page check docs unit interop matrix faults fuzz soak load browser bench types dist dist-test deb deb-test container container-test sbom lock clean distclean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: install ## everything on this machine with three synthetic cameras; prints a login link
	@$(BIN)/ucam demo --state $(DEMO)

page: install ## build the page only where its sources changed

install: /usr/bin/python3 ## prepare all of it without starting anything (.venv/bin/ucam)
	@/usr/bin/python3 tools/setup.py

setup-tests: /usr/bin/python3
	@/usr/bin/python3 tools/setup.py --tests

/usr/bin/python3:
	@echo "  installing Python …"
	@root="$$(test "$$(id -u)" = 0 || echo sudo)"; $$root apt-get -qq update && \
	  $$root env DEBIAN_FRONTEND=noninteractive \
	  apt-get -qq -y install --no-install-recommends python3 >/dev/null

test: check ## everything that CI runs
	$(BIN)/pytest -q -n 4 --dist worksteal -m "not browser and not matrix" || $(ALONE)
	$(BIN)/pytest -q -n 2 --dist loadfile -m "browser or matrix" || $(ALONE)

check: setup-tests ## ruff, mypy, the page's types, tests and size, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/page_types.py --check
	$(BIN)/python tools/drawings.py --check
	$(BIN)/python tools/npm.py run check
	$(BIN)/python tools/npm.py test
	$(BIN)/python tools/page_size.py
	$(BIN)/pytest -q tests/test_imports.py

docs: setup-tests ## the documentation as a site, in build/docs: strictly, every link checked
	$(BIN)/python tools/drawings.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "  build/docs/index.html"

unit: setup-tests ## the tests of each module
	$(BIN)/pytest -q -m "not interop and not browser"

interop: setup-tests ## with ffmpeg and GStreamer
	$(BIN)/pytest -q -m "interop and not matrix"

matrix: setup-tests ## every codec, publisher and player, and disks that fail (minutes)
	$(BIN)/pytest -q -m matrix

soak: setup-tests ## a location for SOAK_S seconds (8 hours), then 200 viewers, and hostile ones
	UCAM_FAULTS_SOAK_S=$${SOAK_S:-28800} $(BIN)/pytest -q -s tests/faults/test_soak.py
	UCAM_FAULTS_JOINS=$${UCAM_FAULTS_JOINS:-200} UCAM_FAULTS_CALLS_S=$${UCAM_FAULTS_CALLS_S:-60} \
	  $(BIN)/pytest -q -s tests/faults/test_calls.py

load: setup-tests ## 64 streams of 2 Mbit/s for LOAD_S seconds (30 minutes)
	PYTHONPATH=tests UCAM_LOAD_S=$${LOAD_S:-1800} $(BIN)/python -m bench load

browser: setup-tests ## in Chromium, against the real programs
	$(BIN)/pytest -q -m browser

bench: /usr/bin/python3 ## what ucam costs beside others, into bench/results (50 minutes; QUICK=1: some ten)
	@/usr/bin/python3 tools/setup.py --bench
	PYTHONPATH=tests $(BIN)/python -m bench $(if $(QUICK),--quick) $(POINTS)

faults: setup-tests ## programs killed, power and networks cut, disks that fail, hundreds of times (hours; as root)
	UCAM_FAULTS_KILLS=$${UCAM_FAULTS_KILLS:-20} UCAM_FAULTS_CUTS=$${UCAM_FAULTS_CUTS:-1,30,600} \
	UCAM_FAULTS_STORAGE_KILLS=$${UCAM_FAULTS_STORAGE_KILLS:-1000} \
	UCAM_FAULTS_POWER_CUTS=$${UCAM_FAULTS_POWER_CUTS:-1000} \
	UCAM_FAULTS_POWER_CUTS_IN_ROTATION=$${UCAM_FAULTS_POWER_CUTS_IN_ROTATION:-300} \
	UCAM_FAULTS_STEPS=$${UCAM_FAULTS_STEPS:-100000} UCAM_FAULTS_RESETS=$${UCAM_FAULTS_RESETS:-500} \
	UCAM_FAULTS_STOPPED_S=$${UCAM_FAULTS_STOPPED_S:-60} UCAM_FAULTS_SYNC_MS=$${UCAM_FAULTS_SYNC_MS:-2000} \
	UCAM_FAULTS_FLIPS=$${UCAM_FAULTS_FLIPS:-1000} \
	UCAM_FAULTS_LONG=1 UCAM_FAULTS_WATCHED=1 UCAM_FAULTS_LINE_S=$${UCAM_FAULTS_LINE_S:-60} \
	UCAM_FAULTS_WATCHED_CUTS=$${UCAM_FAULTS_WATCHED_CUTS:-1,30,600} \
	UCAM_FAULTS_TOKENS_S=$${UCAM_FAULTS_TOKENS_S:-120} \
	UCAM_FAULTS_WEB_AWAY_S=$${UCAM_FAULTS_WEB_AWAY_S:-3600} \
	UCAM_FAULTS_OUT_OF_MEMORY=$${UCAM_FAULTS_OUT_OF_MEMORY:-20} \
	UCAM_FAULTS_SOCKETS=$${UCAM_FAULTS_SOCKETS:-10000} \
	UCAM_FAULTS_SLOW_SOCKETS=$${UCAM_FAULTS_SLOW_SOCKETS:-1000} \
	UCAM_FAULTS_HOSTILE_S=$${UCAM_FAULTS_HOSTILE_S:-60} \
	  $(BIN)/pytest -q -s tests/faults

fuzz: setup-tests ## inputs and requests that nobody thought of; FUZZ_SECONDS for each of some 24 targets
	UCAM_FUZZ_S=$${FUZZ_SECONDS:-600} $(BIN)/pytest -q -s -m fuzz
	PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $${FUZZ_SECONDS:-600} $(FUZZ)

types: setup-tests ## write the page's types of the room's messages anew
	$(BIN)/python tools/page_types.py

dist: install ## wheel and source archive in dist/, with the page inside
	$(BIN)/python -m hatchling build

dist-test: dist ## install them into fresh environments, and run web and storage there (minutes)
	$(BIN)/python tools/dist_test.py

deb: install ## Debian packages in dist/, for Debian 12 and 13 on amd64, arm64 and armhf; DEB=12-arm64: one
	$(BIN)/python tools/deb.py $(DEB)

deb-test: ## install and run them in fresh Debian roots (an hour; as root)
	$(BIN)/python tools/deb_test.py $(DEB)

container: ## an image of ucam web and ucam storage, by podman, docker or buildah
	@/usr/bin/python3 tools/container.py $(CONTAINER)

container-test: ## and run both in it, with their health checks; CONTAINER=--debootstrap: without a registry
	@/usr/bin/python3 tools/container.py --test $(CONTAINER)

sbom: ## what ucam is made of, as a CycloneDX list
	@/usr/bin/python3 tools/sbom.py

lock: setup-tests ## resolve the Python packages anew (hashes, no addresses)
	$(BIN)/python tools/lock.py

clean: ## remove the demo's state and what was built
	rm -rf $(DEMO) .fuzz build dist test-results src/ucam/web/page .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also the environments
	rm -rf .venv ui/node_modules
