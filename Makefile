# Debian's Python and Debian's Mininet; everything else is in .venv, at the versions of requirements*.txt.
PYTHON := /usr/bin/python3
BIN := .venv/bin
INSTALLED := .venv/installed
BENCH := .venv/installed-bench
NEUTRON := .venv-neutron/installed
OPENSTACK := .venv-openstack/installed
DOCS := .venv-docs/installed
PACKAGES := openvswitch-switch mininet python3-venv iproute2 ethtool iputils-ping tcpdump
# The programs of honest hosts, for the tests.
PACKAGES += dnsmasq-base isc-dhcp-client radvd keepalived traceroute
KERNEL := .kernel/installed
# What builds the kernel's modules.
KERNEL_PACKAGES := bc bison flex gcc kmod libc6-dev xz-utils
# What makes bare Debians in folders, and images of them that boot.
ROOT_PACKAGES := mmdebstrap
HOST_PACKAGES := $(ROOT_PACKAGES) e2fsprogs vde-switch

TOPOLOGY ?= topologies/exoscale-frontend-backend.yaml
ARGS ?=
FAULTS ?= 50
PAIRS ?= 200000
SEED ?= 1
DO ?= for each in topologies/*.yaml; do make demo TOPOLOGY=$$each || exit; done; make test

# `su` alone leaves root without the folders of Open vSwitch's servers and of ethtool.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
# What apt installs comes first.
.NOTPARALLEL:
.PHONY: help demo run check test kernel hosts debian13 faults cluster proof mutants bench peers lint docs install packages clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## build TOPOLOGY=FILE in Mininet, load its policy, probe it with real packets (ARGS=--cli: stay)
	$(BIN)/python mininet/run.py $(TOPOLOGY) $(ARGS)

run: install ## run the controller, and any Open vSwitch daemon that is not already running (ARGS: its options)
	@$(BIN)/python scripts/run_controller.py $(ARGS)

check: lint ## lint, types and every test that needs no switch: without root, in less than three minutes
# Without Open vSwitch, the tests that need its programs are skipped, and coverage says nothing.
	$(BIN)/pytest -m "not switch" --hypothesis-profile=few -n auto --dist loadscope \
		$$(! command -v ovsdb-server >/dev/null || echo --cov) $(ARGS)

test: install lint $(OPENSTACK) ## check and test everything, on a real switch; needs root
	$(BIN)/pytest $(ARGS)

kernel: install $(KERNEL) ## attacks, scenarios and systems on the kernel's datapath, in a guest (ALL=1: every system test)
	@$(BIN)/python scripts/kernel.py $(if $(ALL),--all) $(ARGS)

hosts: install $(KERNEL) ## boot stock Debian 12 and 13: README's tour on each, one policy for both, reboots
	@scripts/debian-packages $(HOST_PACKAGES)
	@HOSTS=1 $(BIN)/pytest tests/hosts $(ARGS)

debian13: ## make a bare Debian 13 in a folder, and run the demos and make test there (DO=…: something else)
	@scripts/debian-packages $(ROOT_PACKAGES)
	scripts/debian-root trixie sh -c '$(DO)'

faults: install ## kill everything FAULTS=n times while connections run and the policy changes (SEED=s)
	FAULTS=$(FAULTS) SEED=$(SEED) $(BIN)/pytest tests/system/test_faults.py -k random $(ARGS)

cluster: install ## two hosts on a database of three servers, which are killed while connections run
	$(BIN)/pytest -q tests/system/test_cluster.py $(ARGS)

bench: install $(BENCH) $(if $(QUICK),,peers) ## measure it against OVN, Neutron and the switch itself (QUICK=1: without peers)
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

# A peer that cannot be installed is left out, and the benchmark says so.
peers: packages
	-@scripts/debian-packages ovn-central ovn-host iperf3
	-@$(MAKE) --no-print-directory $(NEUTRON)

proof: install ## hold PAIRS=n random pairs of policy and packet against the reference and a real switch
	PAIRS=$(PAIRS) $(BIN)/pytest -q tests/ovs/test_verdicts.py $(ARGS)

mutants: install ## break the compiler on purpose: the tests must catch every mutant
	$(BIN)/python scripts/mutants.py $(ARGS)

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(wildcard flows sgctl lab tests bench mininet scripts/*.py)

docs: $(DOCS) ## build the documentation as a web site in build/site, and check its links; without root
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "the site is in build/site"

install: packages $(INSTALLED) ## install what is missing, with apt and into .venv; the other targets do it first

packages:
	@scripts/debian-packages $(PACKAGES)

# An empty virtual environment: what it is for, and its folder.
define new_venv
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments; as root: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing $(1) into $(2)"
	@$(PYTHON) -m venv --clear $(2)
endef

# Ryu and sgctl both have a script ryu-manager; sgctl's is the repaired one and comes last.
$(INSTALLED): requirements.txt requirements-dev.txt build-constraints.txt pyproject.toml scripts/pip-install
	$(call new_venv,Python packages,.venv)
	@scripts/pip-install $(BIN)/python --quiet -r requirements-dev.txt
	@scripts/pip-install $(BIN)/python --quiet --no-deps --editable .
	@ln -s /usr/lib/python3/dist-packages/mininet .venv/lib/python3.*/site-packages/
	@touch $@

# The OpenStack client as its users install it: apart from the code that it is held against.
$(OPENSTACK): requirements-openstack.txt scripts/pip-install
	$(call new_venv,the OpenStack client,.venv-openstack)
	@scripts/pip-install .venv-openstack/bin/python --quiet -r requirements-openstack.txt
	@touch $@

$(DOCS): requirements-docs.txt scripts/pip-install
	$(call new_venv,MkDocs,.venv-docs)
	@scripts/pip-install .venv-docs/bin/python --quiet -r requirements-docs.txt
	@touch $@

# Debian's kernel for guests, with modules built once.
$(KERNEL): scripts/guest-kernel
	@scripts/debian-packages $(KERNEL_PACKAGES)
	@scripts/guest-kernel $(@D)
	@touch $@

$(BENCH): requirements-bench.txt $(INSTALLED)
	@scripts/pip-install $(BIN)/python --quiet -r requirements-bench.txt
	@touch $@

$(NEUTRON): requirements-neutron.txt scripts/pip-install
	$(call new_venv,OpenStack Neutron,.venv-neutron)
	@scripts/pip-install .venv-neutron/bin/python --quiet -r requirements-neutron.txt
	@touch $@

clean: ## remove what install, test and lint made here
	rm -rf .coverage .debian .kernel build .venv .venv-docs .venv-openstack .venv-neutron .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -r {} +
