# bash completion for regfsck, made by: regfsck completion bash

_regfsck() {
	local line=${COMP_LINE:0:COMP_POINT} cur=${COMP_WORDS[COMP_CWORD]} word prefix answer about
	local -a words
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	word=${words[${#words[@]} - 1]}
	[[ $cur == [=:] ]] && cur=
	prefix=${word%"$cur"} # bash splits words at = and :, and wants only what follows
	COMPREPLY=()
	while IFS=$'\t' read -r answer about; do
		if [[ $answer == : ]]; then
			compopt -o filenames 2>/dev/null
			while IFS= read -r answer; do
				COMPREPLY+=("$answer")
			done < <(compgen -f -- "$cur")
		else
			COMPREPLY+=("${answer#"$prefix"}")
		fi
	done < <("${COMP_WORDS[0]}" __complete "${words[@]:1}" 2>/dev/null)
}

complete -F _regfsck regfsck
