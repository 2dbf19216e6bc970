package file

import (
	"bufio"
	"io"
	"strings"
)

// mountKeys reads the text of /proc/self/mountinfo, whose fifth field is where
// something is mounted (proc_pid_mountinfo(5)), and returns the keys of what is
// mounted strictly below root, whose own key is base.
func mountKeys(text io.Reader, root, base string) ([]string, error) {
	var keys []string
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if key, ok := below(root, unescape(fields[4])); ok {
			keys = append(keys, join(base, key))
		}
	}
	return keys, lines.Err()
}

// unescape undoes the kernel's way of writing space, tab, newline and
// backslash: a backslash and three octal digits.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1:i+4]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(s string) bool {
	return strings.Trim(s, "01234567") == ""
}
