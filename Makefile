# Everything a person does with this tree. `make` builds build/dunlin; see README.md.
BUILD ?= build
TEST_BUILD ?= build/tests
JOBS ?= $(shell nproc)
SEED ?= 1

.PHONY: all deps test-deps demo play test sim asan tsan bench deb check format tidy clean

all:
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@ninja -C $(BUILD) dunlin

deps:
	@scripts/deps build

test-deps:
	@scripts/deps test

# One after the other, whatever -j says: what is built needs what is installed.
demo: deps
	@$(MAKE) --no-print-directory all
	@scripts/demo $(BUILD)/dunlin

play: deps
	@$(MAKE) --no-print-directory all
	@scripts/play $(BUILD)/dunlin

test: test-deps
	@scripts/test $(TEST_BUILD)

# One seed of the simulated cluster: make sim SEED=7, or with faults of one's own choice:
# make sim SEED=7 FAULTS="loss, power cut"
sim:
	@cmake -S . -B $(TEST_BUILD) -G Ninja -DDUNLIN_TESTS=ON >/dev/null
	@ninja -C $(TEST_BUILD) sim_run
	@$(TEST_BUILD)/tests/sim_run --seed $(SEED) $(if $(FAULTS),--faults "$(FAULTS)")

# A finding ends the test that met it.
asan:
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  scripts/test build/asan -DDUNLIN_SANITIZE=address,undefined

# Threads are in src/os alone: its tests, and clusters of real processes.
tsan:
	@TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$(CURDIR)/tests/tsan_suppressions.txt \
	  scripts/test build/tsan -DDUNLIN_SANITIZE=thread

# All measurements, or some: make bench BENCH="tasks run"
bench: all
	@ninja -C $(BUILD) benches
	@bench/run $(BUILD)/dunlin $(BUILD)/bench $(BENCH)

# A Debian package of the program: build/dunlin_VERSION_ARCHITECTURE.deb
deb: deps
	@$(MAKE) --no-print-directory all
	@scripts/deb $(BUILD)/dunlin

check: test-deps
	@scripts/check build/check

format:
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

tidy: check

clean:
	rm -rf $(BUILD)
