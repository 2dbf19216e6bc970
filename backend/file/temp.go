//go:build unix

package file

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// openTemp finds where the new file of the folder d is written: in the run's
// folder, or else beside it, named as the registry names what it writes.
func (p *put) openTemp(d dir) error {
	state, err := p.openState(true, "runs", p.run.ID)
	if err != nil {
		return err
	}
	if can, err := together(state, d); err != nil || can {
		p.temp, p.as = state, fmt.Sprintf("new-%016x", rand.Uint64())
		return err
	}
	state.close()
	if p.run.Keep && p.old != nil {
		return errDevice
	}
	r := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	p.as = fmt.Sprintf("%.200s.%s-%s-%s-%s-%s.tmp", p.name, r[:8], r[8:12], r[12:16], r[16:20], r[20:])
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		p.temp = dir{fd}
	}
	return err
}

// writeNew writes a file and makes it durable; an error leaves nothing.
func writeNew(d dir, name string, body []byte, modified int64, like *attributes) error {
	fd, err := again(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(body)
	if err == nil {
		err = like.give(fd)
	}
	if err == nil && modified != 0 {
		at := unix.NsecToTimespec(modified)
		err = unix.UtimesNanoAt(d.fd, name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = cmp.Or(err, f.Close()); err != nil {
		_ = d.remove(name)
	}
	return reason(err)
}
