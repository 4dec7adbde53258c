# `make run` and `make test` work in a fresh clone: each target installs what it needs. GNU make 3.81 or later.

.DEFAULT_GOAL := help
.PHONY: help run test coverage simulate exhaustive model properties mutants chaos bench-failover bench-recovery bench-load build lint format clean etcd

NPM := npm --no-update-notifier
INSTALLED := node_modules/.installed

help:
	@echo 'make run [ARGS=...]  a whole cluster on this machine: etcd, resource managers, workers, a job'
	@echo 'make test            build, format and lint checks, all tests'
	@echo 'make coverage        which lines the unit tests run'
	@echo 'make simulate        many seeds of the simulator: SEEDS=n, FROM=n, SEED=n, FAULTS=1,2, SCENARIO=name, TRACE=file, DETERMINISM=1'
	@echo 'make exhaustive      every reachable state of small worlds: WORLD=name'
	@echo 'make model           the model of etcd against etcd: OPERATIONS=n, SEED=n'
	@echo 'make properties      the slot manager against a naive model of it: RUNS=n, SEED=n, FROM=n'
	@echo 'make mutants         plants known bugs in a copy, one at a time; each must be found: ONLY=name'
	@echo 'make chaos           random faults on real processes, then audit and judge: MINUTES=n, SEED=n, JSON=1'
	@echo 'make bench-failover  this project, etcd3 and etcdctl elect fail over in turn: ROUNDS=n, ETCDCTL_ROUNDS=n, JSON=1'
	@echo 'make bench-recovery  a leader is killed over many task executors: TASK_EXECUTORS=n, ROUNDS=n, JSON=1'
	@echo 'make bench-load      does the leader stay with every core loaded twice over: MINUTES=n, JSON=1'
	@echo 'make build           compile into dist'
	@echo 'make lint            check the code'
	@echo 'make format          format the code'
	@echo 'make clean           remove dist and node_modules'

# The stamp lies in node_modules, so that it goes with it.
$(INSTALLED): package-lock.json
	@command -v node >/dev/null 2>&1 || { echo 'Node.js 20.19 or later is missing: see https://nodejs.org/'; exit 1; }
	$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

build: $(INSTALLED)
	@$(NPM) run --silent build

etcd:
	@sh deploy/install-etcd.sh

run: build etcd
	@exec node dist/src/cli/main.js dev $(ARGS)

# Always ends with one line "N passed, N failed".
test:
	@$(MAKE) --no-print-directory build etcd || { echo '0 passed, 1 failed'; exit 1; }
	@node dist/test/run-all.js

coverage: build
	@node_modules/.bin/c8 --include 'dist/src/**' --reporter text --temp-directory node_modules/.coverage node_modules/.bin/mocha --reporter dot 'dist/test/unit/**/*.test.js'

simulate: build
	@node dist/test/simulation/simulate.js

exhaustive: build
	@node --max-old-space-size=8192 dist/test/exhaustive/exhaustive.js

# The seed and, after a difference, the command that repeats it are printed.
model: build etcd
	@node dist/test/etcd-model/main.js

# The seed and, after a difference, the shortest run found and the command that repeats it are printed.
properties: build
	@node dist/test/slot-model/main.js

mutants: build
	@node dist/test/mutants/main.js

# Progress goes to standard error, the report (or with JSON=1 one line of JSON) to standard output.
chaos: build etcd
	@node dist/test/chaos/main.js

# Progress goes to standard error, the table (or with JSON=1 one line of JSON) to standard output.
bench-failover: build etcd
	@node dist/test/bench/failover/main.js

# 10,000 task executors take some minutes to start, 6 GiB of memory and 20,000 open files for each process.
bench-recovery: build etcd
	@node dist/test/bench/recovery/main.js

bench-load: build etcd
	@node dist/test/bench/load/main.js

lint: $(INSTALLED)
	@$(NPM) run --silent lint
	@$(NPM) run --silent format:check

format: $(INSTALLED)
	@$(NPM) run --silent format

clean:
	rm -rf dist node_modules
