//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confinedEnv has the test program put itself under the filter, which nothing
// takes off again, and try.
const confinedEnv = "IPALIAS_TEST_CONFINED"

func TestMain(m *testing.M) {
	if os.Getenv(confinedEnv) != "" {
		try()
		return
	}
	os.Exit(m.Run())
}

// filter puts the process under the filter.
func filter() error {
	// The thread that asks must have it, and TSYNC gives it to the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return Filter()
}

// try prints a line for each thing that was refused, or allowed, and should not
// have been.
func try() {
	if err := filter(); err != nil {
		fmt.Println(err)
		return
	}
	refused := func(what string, err error) {
		if !errors.Is(err, unix.EPERM) {
			fmt.Printf("%s: %v, want EPERM\n", what, err)
		}
	}
	raw := func(trap uintptr, args ...uintptr) error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, errno := unix.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
	path, err := unix.BytePtrFromString("/bin/true")
	if err != nil {
		fmt.Println(err)
	}
	refused("execve", raw(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), 0, 0))
	refused("execveat", raw(unix.SYS_EXECVEAT, 0, uintptr(unsafe.Pointer(path)), 0, 0, 0))
	refused("a new process", raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD)))
	if err := raw(unix.SYS_CLONE3); !errors.Is(err, unix.ENOSYS) {
		fmt.Printf("clone3: %v, want ENOSYS\n", err)
	}
	refused("a namespace", unix.Unshare(unix.CLONE_NEWUSER))
	refused("ptrace", raw(unix.SYS_PTRACE, unix.PTRACE_TRACEME))
	refused("kill", unix.Kill(1, 0))
	refused("mount", unix.Mount("none", "/tmp", "tmpfs", 0, ""))
	refused("setuid", raw(unix.SYS_SETUID, 0))
	refused("bpf", raw(unix.SYS_BPF))
	refused("io_uring", raw(unix.SYS_IO_URING_SETUP))
	refused("dumpable", unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
	refused("a number that no call has", raw(1<<20))
	for _, family := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_VSOCK, unix.AF_ALG} {
		_, err = unix.Socket(family, unix.SOCK_DGRAM, 0)
		refused(fmt.Sprintf("a socket of family %d", family), err)
	}
	_, err = unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	refused("memory to execute", err)
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		fmt.Println("memory:", err)
	}
	refused("memory to execute later", unix.Mprotect(page, unix.PROT_READ|unix.PROT_EXEC))

	for _, family := range []int{unix.AF_UNIX, unix.AF_NETLINK} {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
		if err != nil {
			fmt.Printf("a socket of family %d: %v\n", family, err)
		}
		unix.Close(fd)
	}
	// New threads, which are under the filter from the beginning.
	result := make(chan error)
	for range 8 {
		go func() {
			runtime.LockOSThread()
			_, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			result <- err
		}()
	}
	for range 8 {
		refused("from another thread", <-result)
	}
	fmt.Println("tried")
}

// What somebody who got into the process would want is refused; what the daemon
// does is not.
func TestFilter(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), confinedEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != "tried" {
		t.Error(got)
	}
}

// What the filter costs each system call of the packet path. It stays on, so
// nothing can be measured after it.
func BenchmarkFilter(b *testing.B) {
	call := func(b *testing.B) {
		for b.Loop() {
			syscall.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
		}
	}
	b.Run("without", call)
	if err := filter(); err != nil {
		b.Fatal(err)
	}
	b.Run("with", call)
}

func TestLookup(t *testing.T) {
	for _, name := range []string{"root", "0"} {
		u, err := Lookup(name)
		if err != nil || u.Name != "root" || u.UID != 0 || u.GID != 0 {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	if _, err := Lookup("no-such-user"); err == nil || !strings.Contains(err.Error(), `"no-such-user"`) {
		t.Errorf("error %v, want one that names the user", err)
	}
}
