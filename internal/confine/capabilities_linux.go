package confine

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The capabilities that the daemon has a use for.
const (
	NetRaw   = unix.CAP_NET_RAW   // packet sockets, also those of cards that come back
	NetAdmin = unix.CAP_NET_ADMIN // socket buffers beyond the system's limit; shields
)

// Become makes the process the user's. Of its capabilities those stay that open
// cards, until Limit.
func Become(u *User) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("become user %s: only root can, and this is user %d", u.Name, os.Geteuid())
	}
	// Else the kernel takes all capabilities from whoever stops being root.
	err := everywhere(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0)
	if err == nil {
		err = syscall.Setgroups(u.Groups)
	}
	if err == nil {
		err = syscall.Setresgid(u.GID, u.GID, u.GID)
	}
	if err == nil {
		err = syscall.Setresuid(u.UID, u.UID, u.UID)
	}
	if err == nil {
		err = hold(set(NetRaw, NetAdmin, unix.CAP_SETPCAP))
	}
	if err != nil {
		return fmt.Errorf("become user %s: %w", u.Name, err)
	}
	return nil
}

// Limit leaves the process the capabilities keep, as far as it has them, for good: it
// can't get others by executing anything either.
func Limit(keep ...int) error {
	if err := limit(set(keep...)); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// Bound sees to it that the process gets nothing by executing something but keep, as
// Limit does, too, as far as it is left. That takes forty calls, each of which stops every
// thread, and early in a program there are few.
func Bound(keep ...int) error {
	if err := bound(set(keep...)); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

func bound(keep uint64) error {
	// Without CAP_SETPCAP the bounding set stays, and no_new_privs makes it moot.
	if had, err := permitted(); err != nil {
		return err
	} else if had&set(unix.CAP_SETPCAP) != 0 {
		for c := 0; ; c++ {
			there, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
			if err != nil { // beyond the last one that this kernel has
				break
			}
			if there == 0 || keep>>c&1 != 0 {
				continue
			}
			if err := everywhere(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0); err != nil {
				return err
			}
		}
	}
	// All threads have it if one has: those that are started later inherit it.
	if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && on == 1 {
		return nil
	}
	return everywhere(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

func limit(keep uint64) error {
	if err := bound(keep); err != nil {
		return err
	}
	// Inheritable is emptied, and ambient with it.
	return hold(keep)
}

func set(capabilities ...int) (bits uint64) {
	for _, c := range capabilities {
		bits |= 1 << c
	}
	return bits
}

// permitted gives the thread's permitted set, which all threads share.
func permitted() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, err
	}
	return uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted), nil
}

// hold makes those of bits that are permitted all that is permitted, and has
// them in effect.
func hold(bits uint64) error {
	had, err := permitted()
	if err != nil {
		return err
	}
	bits &= had
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(bits), Permitted: uint32(bits)},
		{Effective: uint32(bits >> 32), Permitted: uint32(bits >> 32)},
	}
	return everywhere(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
}

// everywhere makes a system call on every thread.
//
//go:uintptrescapes
func everywhere(trap, a1, a2, a3 uintptr) error {
	// Six arguments: prctl refuses some calls where the unused ones are not zero.
	switch _, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0); errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return ErrBuild
	default:
		return errno
	}
}
