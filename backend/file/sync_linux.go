package file

import "golang.org/x/sys/unix"

// syncAll makes durable all that was changed on the filesystem of d.
func (d dir) syncAll() error {
	_, err := again(func() (struct{}, error) { return struct{}{}, unix.Syncfs(d.fd) })
	return err
}
