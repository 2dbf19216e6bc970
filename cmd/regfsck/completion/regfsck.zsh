#compdef regfsck
# zsh completion for regfsck, made by: regfsck completion zsh

_regfsck() {
	local answer about files
	local -a found
	while IFS=$'\t' read -r answer about; do
		if [[ $answer == : ]]; then
			files=yes
		else
			found+=("${answer//:/\\:}${about:+:$about}")
		fi
	done < <("${words[1]}" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
	local shown=1
	(( $#found )) && _describe regfsck found && shown=0
	[[ -n $files ]] && _files && shown=0
	return shown
}

if [[ ${funcstack[1]} == _regfsck ]]; then
	_regfsck "$@"
else
	compdef _regfsck regfsck
fi
