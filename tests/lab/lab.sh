#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lab.sh - Test scripts/lab: what the lab contains, and what it returns
#
# Starts the lab several times. Prints lines "ok NAME" and "not ok NAME: why";
# exit status 1 if a test failed.
set -u
cd "$(dirname "$0")/../.." || exit 1

failed=0
limit_s=180	# of a start whose command ends by itself
dir=$(mktemp -d "${TMPDIR:-/tmp}/lab-test.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tmp"	# for the lab's own files, which it must remove
# Fetch first: the messages about that are not tested here
scripts/lab --fetch || exit 1

# check NAME WHY COMMAND...: the test passes if the command succeeds
check() {
	name=$1 why=$2; shift 2
	if "$@"; then
		echo "ok lab.$name"
	else
		echo "not ok lab.$name: $why"
		sed 's/^/    /' "$dir/err"
		failed=1
	fi
}

# lab ARGUMENT...: run the lab. Sets: $rc; its output is in $dir/out, $dir/err
lab() {
	TMPDIR="$dir/tmp" scripts/lab "$@" >"$dir/out" 2>"$dir/err"
	rc=$?
}

same() {
	[ "$1" = "$2" ]
}

has() {		# has FILE LINE
	grep -a -q -x -F -e "$2" "$dir/$1"
}

says() {	# says FILE TEXT
	grep -a -q -F -e "$2" "$dir/$1"
}

# ours: print the ids of the lab's processes: those that have this test's folder
# in their arguments. grep reads the folder from a file, so as not to find itself.
echo "$dir/tmp/" >"$dir/pattern"
ours() {
	grep -l -a -F -f "$dir/pattern" /proc/[0-9]*/cmdline 2>/dev/null |
		sed 's/[^0-9]//g'
}

none_left() {
	for pid in $1; do
		[ ! -e "/proc/$pid" ] || return 1
	done
	[ -z "$(ours)" ] && [ -z "$(ls "$dir/tmp")" ]
}

# ---- One start shows everything that a command can observe from inside -------

cat >"$dir/inside" <<'END'
echo "pwd $PWD"
echo "arguments $#"
for a in "$@"; do printf '<%s>' "$a"; done >"$LAB_SCRATCH/arguments"
mkdir "$LAB_SCRATCH/folder" && echo it was here >"$LAB_SCRATCH/folder/file"
head -c 300000 /dev/zero | tr '\0' '\377' >"$LAB_SCRATCH/big"
(: >/lab-was-here) 2>/dev/null && echo "root writable"
(: >"$PWD/lab-was-here") 2>/dev/null && echo "pwd writable"
(: >/tmp/x && : >/run/x && : >/dev/shm/x) && echo "tmp writable"
[ -c /dev/kvm ] && echo "kvm there"
echo "npt $(cat /sys/module/kvm_amd/parameters/npt)"
echo "nested $(cat /sys/module/kvm_amd/parameters/nested)"
grep -q HardwareCorrupted /proc/meminfo && echo "memory failure there"
echo "release $(uname -r)"
echo "variable $FERRY_LAB_TEST"
echo "stdin <$(cat)>"
echo "cpus $(nproc), $(sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status)"
echo x | cat /dev/fd/0 >/dev/null && echo "fd there"
printf '\001\r\n\000\377\n'
echo "this is standard error" >&2
sleep 1000 &	# a process that is left running must not delay the end
exit 42
END

odd="it's \$HOME \`\"*\\ "
newline="two
lines
"
# The current folder is one that the lab's own /tmp would hide
export FERRY_LAB_TEST="a 'b' \"c\""
here=$PWD
began=$(date +%s)
(cd "$dir" && TMPDIR="$dir/tmp" "$here/scripts/lab" --timeout "$limit_s" \
	--scratch "$dir/scra,tch" -- \
	sh inside "$odd" "" "$newline" "-n" "a	b" \
	>"$dir/out" 2>"$dir/err" <"$dir/inside")
check status "not 42" same $? 42
# A start of the lab takes 6 s on an idle machine, and more on a busy one
start_s=$(($(date +%s) - began))
limit=$((start_s * 4 > 30 ? start_s * 4 : 30))
check stdout "$(wc -c <"$dir/out") bytes" has out "arguments 5"
check binary "some bytes changed" \
	same "$(tail -n 2 "$dir/out" | od -A n -t x1 | tr -d '\n')" \
	     " 01 0d 0a 00 ff 0a"
check stderr "$(cat "$dir/err")" \
	same "$(cat "$dir/err")" "this is standard error"
check arguments "they are $(cat "$dir/scra,tch/arguments" 2>/dev/null)" \
	same "$(cat "$dir/scra,tch/arguments"; echo .)" \
	     "<$odd><><$newline><-n><a	b>."
check folder "not the caller's" has out "pwd $dir"
check environment "FERRY_LAB_TEST has changed" \
	has out "variable a 'b' \"c\""
check stdin "not empty" has out "stdin <>"
check scratch "the file has not come back" \
	same "$(cat "$dir/scra,tch/folder/file")" "it was here"
check scratch_big "wrong bytes" same \
	"$(tr -d '\377' <"$dir/scra,tch/big" | wc -c) $(wc -c <"$dir/scra,tch/big")" \
	"0 300000"
nothing_written() {
	! has out "root writable" && ! has out "pwd writable" &&
		[ ! -e /lab-was-here ] && [ ! -e "$dir/lab-was-here" ]
}
check read_only "the lab wrote to this machine's files" nothing_written
check memory_to_write "/tmp, /run or /dev/shm is not" has out "tmp writable"
check kvm "no /dev/kvm" has out "kvm there"
check nested_paging "$(grep -a npt "$dir/out")" has out "npt Y"
check memory_failure "no HardwareCorrupted" has out "memory failure there"
check release "$(grep -a release "$dir/out")" says out "release 6."
check cpus "$(grep -a cpus "$dir/out")" has out "cpus 2, 1-2"
check fd "no /dev/fd" has out "fd there"
check nothing_left "$(ls "$dir/tmp") $(ours)" none_left ""

# ---- A userfaultfd that poisons ----------------------------------------------

# Ferry's own test decides; it may not have been built
uffd=build/tests/kernel/poison-abi
if [ -x "$uffd" ]; then
	lab --timeout "$limit_s" -- "$uffd"
	check uffd_poison "$(grep '^not ok' "$dir/out")" same $rc 0
	check scratch_none "an empty scratch folder stayed" none_left ""
else
	echo "skip lab.uffd_poison: $uffd has not been built"
fi

# ---- The lab ends before the command does ------------------------------------

# Note the processes of the lab while its command runs. Sets: $pids
: >"$dir/out"
lab --timeout "$limit" -- sh -c 'echo begun; echo kept >$LAB_SCRATCH/x; sleep 999' &
waiting=$!
pids=
for i in $(seq $((limit * 10))); do
	pids=$(ours)
	[ -s "$dir/out" ] && break
	sleep 0.1
done
wait $waiting
grep -q "the time is up: $limit s" "$dir/err"
check timeout_said "not said" same $? 0
check timeout_streams "what came before is lost" has out "begun"
check timeout_processes "none was seen" test -n "$pids"
kept=$(ls -d "$dir"/tmp/ferry-lab-scratch.* 2>/dev/null)
check scratch_kept "what was written is gone" \
	same "$(cat "$kept/x" 2>/dev/null)" kept
check scratch_named "not said where it is" says err "$kept"
rm -rf ${kept:+"$kept"}
check timeout_nothing_left "$(ls "$dir/tmp") $(ours)" none_left "$pids"

TMPDIR="$dir/tmp" scripts/lab -- sleep 999 >"$dir/out" 2>"$dir/err" &
waiting=$!
for i in $(seq $((limit * 10))); do
	pids=$(ours)
	[ -n "$pids" ] && break
	sleep 0.1
done
kill -TERM $waiting
wait $waiting
check terminated_status "not 143" same $? 143
check terminated_nothing_left "$(ls "$dir/tmp") $(ours)" none_left "$pids"

lab --timeout "$limit_s" -- sh -c 'echo c >/proc/sysrq-trigger; sleep 99'
check panic_status "$rc" same $rc 125
check panic_said "not said" says err "the lab's kernel panicked"
check panic_console "not shown" says err "Kernel panic - "

# A QEMU that always crashes: it is tried three times, and reported
printf '#!/bin/sh\necho >>"%s/falls"\nulimit -c 0\nkill -ABRT $$\n' "$dir" >"$dir/qemu"
chmod 755 "$dir/qemu"
LAB_QEMU="$dir/qemu" lab -- true
check falls_status "$rc" same $rc 125
check falls_again "$(wc -l <"$dir/falls") times" same "$(wc -l <"$dir/falls")" 3
check falls_said "not said" says err "QEMU ended with status 134"
check falls_nothing_left "$(ls "$dir/tmp") $(ours)" none_left ""

# ---- What is refused ---------------------------------------------------------

LAB_KERNEL="$dir/nowhere" lab -- true
check kernel_missing "status $rc" same $rc 125
check kernel_missing_said "not said" says err "there is no kernel $dir/nowhere"
LAB_KERNEL="$dir/tmp" lab -- true
check kernel_empty "not said" says err "there is no boot/vmlinuz-*"
lab --timeout soon -- true
check timeout_number "status $rc" same $rc 2
lab
check no_command "status $rc" same $rc 2
check refused_nothing_left "$(ls "$dir/tmp") $(ours)" none_left ""

exit $failed
