#!/bin/sh
# test.sh: what "make test" does.
#
# All tests once as they are, and before that those of the packages that share
# memory between goroutines under the race detector. With CI=true a test that
# needs root, a namespace or a program fails where it can't have it; else it is
# skipped, and the reason is shown.
set -u
cd "$(dirname "$0")/.." || exit 1
GO=${GO:-go}
module=$("$GO" list -m) || exit 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # of ordinary users and of cron
export PATH

if [ "${CI:-}" = true ]; then
	IPALIAS_MUST_RUN=${IPALIAS_MUST_RUN:-1}
	export IPALIAS_MUST_RUN
fi

if [ "$(uname -s)" = Linux ]; then
	# What goes missing here is missed by the test that needs it.
	sh scripts/tools.sh ip tc ping arping fping nmap arp-scan traceroute tcpdump tshark farpd ethtool nsenter setpriv unshare mount taskset curl valgrind ||
		echo "some tests will be skipped, or fail where they must run"
	[ "$(id -u)" = 0 ] || echo "not root: the tests in network namespaces will be skipped; as root they are not"
else
	echo "not Linux: the tests on network cards will be skipped"
fi

# run shows of each package its closing line, what was skipped and why, and if it
# failed everything that it wrote.
#
# A pipeline's status is that of its last command; go's comes by descriptor 3.
run() {
	status=$({ { "$GO" test -v -count=1 -timeout 15m "$@"; echo $? >&3; } | awk -v module="$module" -f scripts/test.awk >&4; } 3>&1)
	return "$status"
} 4>&1

# The race detector needs cgo, and so a C compiler.
if [ "$("$GO" env GOOS)" = linux ] && ! sh scripts/tools.sh gcc; then
	echo "no race detector without a C compiler"
	[ "${IPALIAS_MUST_RUN:-}" = 1 ] && exit 1
else
	echo "with the race detector:"
	# One after the other: the detector multiplies memory.
	CGO_ENABLED=1 run -race -short -p 1 ./responder ./capture ./internal/announce ./internal/daemon ./internal/link || exit 1
	echo "all, without it:"
fi
run -vet=all ./...
