#!/bin/sh
# SPDX-License-Identifier: MIT
#
# archive.sh - Test the archive that "make kernel-tests" makes
#
# usage: tests/kernel/archive.sh
#
# Unpacks it in a folder of its own, builds it with an empty environment, runs
# all of it, and checks what its run script counts. Prints lines "ok NAME" and
# "not ok NAME: why"; exit status 1 if a test failed.
set -u
cd "$(dirname "$0")/../.." || exit 1

failed=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/kernel-archive.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT

# check NAME WHY COMMAND...: the command decides whether the test passed
check() {
	name=$1 why=$2; shift 2
	if "$@"; then
		echo "ok archive.$name"
	else
		echo "not ok archive.$name: $why"
		[ ! -f "$dir/out" ] || tail -30 "$dir/out" | sed 's/^/    /'
		failed=1
	fi
}

same() {
	[ "$1" = "$2" ]
}

shows() {	# shows PATTERN: a whole line of the output
	grep -q -x -e "$1" "$dir/out"
}

# run ARGUMENT...: the run script of what was unpacked. Sets $rc
run() {
	env -i PATH="$PATH" TMPDIR="$dir" \
		FERRY_TEST_HWPOISON="${FERRY_TEST_HWPOISON:-}" \
		"$dir/ferry-kernel-tests/run" "$@" >"$dir/out" 2>&1
	rc=$?
}

make -s BUILD="$dir/build" kernel-tests >"$dir/out" 2>&1
check made "make kernel-tests failed" \
	[ -s "$dir/build/ferry-kernel-tests.tar.gz" ]
tar -C "$dir" -xzf "$dir/build/ferry-kernel-tests.tar.gz" || exit 1
check one_folder "it unpacks more than one folder" \
	same "$(ls "$dir" | tr '\n' ' ')" "build ferry-kernel-tests out "
for f in README.md LICENSE Makefile run; do
	check "has_$f" "no $f in it" [ -s "$dir/ferry-kernel-tests/$f" ]
done

# Every program, and no compiler warning
run
check runs "its run script ended with status $rc" same $rc 0
check counts "no last line with the counts" \
	shows '[0-9]* passed, 0 failed, [0-9]* skipped'
check warns "the compiler warns" \
	same "$(grep -c 'warning:' "$dir/out")" 0
missing=
for c in tests/kernel/*.c; do
	name=$(basename "$c" .c)
	case "$name" in ktest|kuffd|kguest) continue ;; esac
	grep -q -E "^(ok|skip) $name: " "$dir/out" || missing="$missing $name"
done
check complete "did not run:$missing" [ -z "$missing" ]
check folder_only "something is left in the temporary folder" \
	same "$(ls "$dir" | tr '\n' ' ')" "build ferry-kernel-tests out "

# Programs that fail, crash, and show nothing, and one that is skipped
fake() {	# fake NAME COMMAND
	printf '#!/bin/sh\n%s\n' "$2" \
		>"$dir/ferry-kernel-tests/build/$1"
	chmod +x "$dir/ferry-kernel-tests/build/$1"
}
fake fails 'echo "ok fails.a: a"; echo "not ok fails.b: why"; exit 1'
fake crashes 'echo "ok crashes.a: a"; kill -SEGV $$'
fake silent 'exit 0'
fake skips 'echo "skip skips.a: reason"'
run fails crashes silent skips
check fail_status "status $rc, expected 1" same $rc 1
check fail_counts "wrong counts" shows '2 passed, 3 failed, 1 skipped'
check fail_line "no line for the program that fails" \
	shows 'not ok fails: 1 passed, 1 failed, 0 skipped'
check fail_reason "the failed case is not shown" \
	shows '    not ok fails.b: why'
check fail_crash "the crash is not shown" \
	shows '    not ok crashes: ended with status 139 and no case failed'
check skip_line "no line for the program that is skipped" \
	shows 'skip skips: 0 passed, 0 failed, 1 skipped'
exit $failed
