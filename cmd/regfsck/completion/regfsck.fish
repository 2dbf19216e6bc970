# fish completion for regfsck, made by: regfsck completion fish

function __regfsck_complete
	set -l before (commandline -opc)
	set -l word (commandline -ct)
	set -q word[1]; or set word ""
	for line in ($before[1] __complete $before[2..-1] $word 2>/dev/null)
		if test "$line" = ":"
			__fish_complete_path $word
		else
			echo $line
		end
	end
end

complete -c regfsck -f -a '(__regfsck_complete)'
