//go:build amd64 || arm64

package file

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel makes system calls and counts them. Paths are pointers to bytes that
// end with a NUL, so that no call allocates; package os would cost five times
// as much for each link.
type kernel struct{ calls int64 }

// openFlags hold for every descriptor: none outlives an exec, none becomes the
// terminal, none waits for the other end of a pipe, none touches a time.
const openFlags = unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_NOATIME

// open opens path below dir. Who doesn't own the file may not ask for O_NOATIME
// and goes without.
func (k *kernel) open(dir int, path *byte, flags int) (int, unix.Errno) {
	for flags |= openFlags; ; {
		k.calls++
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(flags), 0, 0, 0)
		switch {
		case errno == unix.EPERM && flags&unix.O_NOATIME != 0:
			flags &^= unix.O_NOATIME
		case errno != unix.EINTR:
			return int(fd), errno
		}
	}
}

// openInside is open for a path that leads through no symbolic link (else
// ELOOP) and into no other mount (else EXDEV). It needs Linux 5.6.
func (k *kernel) openInside(dir int, path *byte, flags int) (int, unix.Errno) {
	how := unix.OpenHow{
		Flags:   uint64(flags | openFlags),
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	if flags&unix.O_PATH != 0 {
		how.Flags = uint64(flags | unix.O_CLOEXEC) // openat2 refuses what O_PATH ignores
	}
	for {
		k.calls++
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT2, uintptr(dir), uintptr(unsafe.Pointer(path)),
			uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		switch {
		case errno == unix.EPERM && how.Flags&unix.O_NOATIME != 0:
			how.Flags &^= unix.O_NOATIME
		case errno != unix.EINTR:
			return int(fd), errno
		}
	}
}

// look fills st with what path below dir is, links not followed.
func (k *kernel) look(dir int, path *byte, st *unix.Stat_t) unix.Errno {
	for {
		k.calls++
		_, _, errno := unix.Syscall6(unix.SYS_NEWFSTATAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
			uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// lookAt fills st with what fd is.
func (k *kernel) lookAt(fd int, st *unix.Stat_t) unix.Errno {
	k.calls++
	_, _, errno := unix.Syscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
	return errno
}

// read reads into buf, which isn't empty; 0 is the end of the file.
func (k *kernel) read(fd int, buf []byte) (int, unix.Errno) {
	return k.into(unix.SYS_READ, fd, buf)
}

// names reads folder entries into buf; 0 is the end of the folder.
func (k *kernel) names(fd int, buf []byte) (int, unix.Errno) {
	return k.into(unix.SYS_GETDENTS64, fd, buf)
}

func (k *kernel) into(call uintptr, fd int, buf []byte) (int, unix.Errno) {
	for {
		k.calls++
		n, _, errno := unix.Syscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)))
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// close closes fd. What was only read has nothing to lose by it.
func (k *kernel) close(fd int) {
	k.calls++
	_, _, _ = unix.Syscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// kind returns the file type bits of st.
func kind(st *unix.Stat_t) uint32 { return st.Mode & unix.S_IFMT }
