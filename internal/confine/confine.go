// Package confine takes from the process what it does not need any more: its
// user, its capabilities, and the system calls that the daemon never makes.
//
// On Linux all three belong to threads, not to processes, and a Go program has
// several before main begins. Two ways are sound: to change one thread and have it
// execute the program anew, or to change all threads at once while they are
// stopped, which is what syscall.AllThreadsSyscall is for. It is the latter here:
// what was opened with privileges stays open, the configuration is read once, and
// nothing has to be carried over. It takes a build without cgo, which may have threads that Go
// does not know of.
package confine

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

var (
	// ErrBuild is wrapped where the process can't be changed because of how the
	// program was built.
	ErrBuild = errors.New("not in a build with cgo; CGO_ENABLED=0 makes one that can")

	// ErrUnsupported is wrapped where the system has no such thing.
	ErrUnsupported = errors.New("not on this system")
)

// A User is whom the daemon runs as.
type User struct {
	Name     string
	UID, GID int
	Groups   []int // beside GID
}

// Lookup finds a user by name or number, with all groups it is a member of.
func Lookup(name string) (*User, error) {
	u, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		if byID, idErr := user.LookupId(name); idErr == nil {
			u, err = byID, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("find user %q: %w", name, err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("list groups of user %q: %w", name, err)
	}
	found := &User{Name: u.Username}
	for n, id := range append([]string{u.Uid, u.Gid}, groups...) {
		number, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("find user %q: %q is no number", name, id)
		}
		switch n {
		case 0:
			found.UID = number
		case 1:
			found.GID = number
		default:
			found.Groups = append(found.Groups, number)
		}
	}
	return found, nil
}
