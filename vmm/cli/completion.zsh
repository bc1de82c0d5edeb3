# SPDX-License-Identifier: MIT
# Follows _ferry_command() and _ferry_arguments(), which are made of the tables
_ferry_file() { _files }
_ferry_none() { _message value }
_ferry_uri() { compadd -S '' -- tcp: tls: unix: }
_ferry_machine() {
	compadd -- ${(f)"$(ferry list 2>/dev/null | sed -n '2,$s/ .*//p')"}
}
_ferry() {
	if ((CURRENT == 2)); then
		_ferry_command
		return
	fi
	shift words
	((CURRENT--))
	_ferry_arguments $words[1]
}
if [[ $funcstack[1] == _ferry ]]; then
	_ferry "$@"
else
	compdef _ferry ferry
fi
