#!/bin/sh
# demo.sh: what "make demo" does, once bin/ is built.
#
# "ipalias lab" makes the HOWTO's network out of two network namespaces, runs
# ipaliasd in one of them and this script, with --inside, in the other; after
# that it takes everything away again, also after ^C.
#
#     ipaliasd's end                            this end, the HOWTO's gateway
#     172.16.3.1    the kernel's own   <---->   172.16.3.200
#     172.16.3.10   alias eth0:0
#     172.16.3.100  alias eth0:1
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # of ordinary users
export PATH

prepare() {
	if [ "$(uname -s)" != Linux ]; then
		echo "make demo needs Linux: it makes network namespaces" >&2
		exit 1
	fi
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "make demo needs root: it makes network namespaces" >&2
			exit 1
		fi
		echo "network namespaces take root: asking sudo"
		exec sudo sh scripts/demo.sh
	fi
	sh scripts/tools.sh arping ping || exit 1
	exec bin/ipalias lab -- sh scripts/demo.sh --inside
}

failures=0

# good and bad end a step.
good() { printf '   \342\234\223 %s\n' "$1"; }
bad() {
	printf '   \342\234\227 %s\n' "$1"
	sed 's/^/     | /' "$out"
	failures=$((failures + 1))
}

# try shows a command and runs it; what it writes goes to $out.
try() {
	printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"
	"$@" >"$out" 2>&1
}

# The clients of iputils, and arping of Thomas Habets, each in its own words.
sent() { sed -n 's/^Sent \([0-9]*\) probe.*/\1/p; s/^\([0-9]*\) packets transmitted.*/\1/p' "$out"; }
received() { sed -n 's/^Received \([0-9]*\) .*/\1/p; s/.*transmitted, \([0-9]*\) .*received.*/\1/p' "$out"; }
macs() { grep -oiE '([0-9a-f]{2}:){5}[0-9a-f]{2}' "$out" | tr A-F a-f | sort -u | xargs; }

# resolve ADDRESS WHAT: two requests, one answer to each, all addresses with one MAC.
resolve() {
	try arping -I "$card" -c 2 -w 3 "$1"
	mac=$(macs)
	own=${own:-$mac}
	if [ "$(sent)" != 2 ] || [ "$(received)" != 2 ]; then
		bad "$2: want one answer to each of two requests"
	elif [ -z "$mac" ] || [ "$mac" != "$own" ]; then
		bad "$2: want the one MAC address $own, got $mac"
	else
		good "$2: answered once a request, with $mac"
	fi
}

# reach ADDRESS WHAT: three echo requests, one answer to each.
reach() {
	try ping -c 3 -i 0.2 -W 2 "$1"
	if [ "$(sent)" = 3 ] && [ "$(received)" = 3 ] && ! grep -qi dup "$out"; then
		good "$2: 3 of 3, round trip min/avg/max $(sed -n 's|.* = \([^/]*/[^/]*/[^/ ]*\).*|\1|p' "$out") ms"
	else
		bad "$2: want three answers to three requests"
	fi
}

# silent ADDRESS WHAT: a request without an answer.
silent() {
	try arping -I "$card" -c 1 -w 1 "$1"
	if [ "$(sent)" = 1 ] && [ "$(received)" = 0 ]; then
		good "$2: silence"
	else
		bad "$2: want silence"
	fi
}

inside() {
	out=$(mktemp) || exit 1
	trap 'rm -f "$out"' EXIT
	trap 'exit 130' INT TERM
	bold='' plain=''
	if [ -t 1 ]; then
		bold=$(printf '\033[1m') plain=$(printf '\033[0m')
	fi
	# The end of the cable: the only card here but the loopback.
	card=$(sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev | grep -vx lo)

	resolve 172.16.3.1 "the main address, the kernel's"
	resolve 172.16.3.10 "eth0:0, ipaliasd's"
	resolve 172.16.3.100 "eth0:1, ipaliasd's"
	reach 172.16.3.1 "the main address"
	reach 172.16.3.10 "eth0:0"
	reach 172.16.3.100 "eth0:1"
	silent 172.16.3.50 "no alias"

	if [ "$failures" != 0 ]; then
		printf '\n%s checks failed\n' "$failures"
		exit 1
	fi
	cat <<-END

		One card, one MAC address, three IP addresses. What ipaliasd counted follows; it saw
		the requests for 172.16.3.1 and .50 too, and left them alone: ...-not-alias.

	END
}

case ${1:-} in
--inside) inside ;;
*) prepare ;;
esac
