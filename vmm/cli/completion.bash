# SPDX-License-Identifier: MIT
# Follows _ferry_specs() and $_ferry_commands, which are made of the tables.
# Each of $specs is --OPTION, --OPTION=VALUE or, for an argument, =VALUE. VALUE
# is a kind (file, machine, uri, command, none) or the words that are possible.
_ferry()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i s word kind= options=
	local specs=() arguments=()

	_ferry_specs "${COMP_WORDS[1]}"
	for s in "${specs[@]}"; do
		case $s in
		=*)	arguments+=("${s#=}") ;;
		*)	options+=" ${s%%=*}" ;;
		esac
	done
	((COMP_CWORD > 1)) || arguments=(command)
	# Words are also split at ':' and '='
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		[[ $word == [:=] || ${COMP_WORDS[i - 1]} == [:=] ]] && continue
		if [[ $kind ]]; then
			kind=
		elif [[ $word == -* ]]; then
			for s in "${specs[@]}"; do
				[[ $s == "$word="* ]] && kind=${s#*=}
			done
		else
			arguments=("${arguments[@]:1}")
		fi
	done
	if [[ ${COMP_WORDS[COMP_CWORD - 1]} == : || $cur == : ]]; then
		kind=file
		cur=${cur#:}
	elif [[ ! $kind && $cur == -* ]]; then
		kind=$options
	fi
	case ${kind:=${arguments[0]}} in
	none|'') return ;;
	file)	compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	machine) kind=$("$1" list 2>/dev/null | sed -n '2,$s/ .*//p') ;;
	uri)	kind='tcp: tls: unix:'
		compopt -o nospace 2>/dev/null ;;
	command) kind=$_ferry_commands ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$cur")
}
complete -F _ferry ferry
