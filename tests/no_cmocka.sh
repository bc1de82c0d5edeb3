#!/bin/sh
# SPDX-License-Identifier: MIT
#
# no_cmocka.sh - Without cmocka the program is built without a complaint, and
# what needs cmocka complains once for each thing that it asks
set -u
cd "$(dirname "$0")/.." || exit 1

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/pkg-config" <<END
#!/bin/sh
case "\$*" in *cmocka*) echo "no cmocka" >&2; exit 1 ;; esac
exec $(command -v pkg-config) "\$@"
END
chmod +x "$dir/pkg-config"

# complaints TARGET: print how many there are
complaints() {
	PATH="$dir:$PATH" make -n BUILD="$dir/build" "$1" 2>&1 |
		grep -c 'no cmocka'
}

rc=0
for want in "all 0" "tests 2"; do
	target=${want% *}
	n=$(complaints "$target")
	if [ "$n" = "${want#* }" ]; then
		echo "ok no_cmocka.$target"
	else
		echo "not ok no_cmocka.$target: $n complaints"
		rc=1
	fi
done
exit $rc
