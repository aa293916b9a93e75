#!/bin/sh
# tools.sh PROGRAM...: sees to it that the programs exist.
#
# As root it installs what is missing, with the system's package manager, and
# says so; else it says what to install. It fails if something is still missing.
set -u

# package MANAGER PROGRAM: the package that holds a program, where the name differs.
package() {
	case $1/$2 in
	dnf/ip) echo iproute ;;
	dnf/tc) echo iproute-tc ;;
	*/ip | */tc) echo iproute2 ;;
	apt-get/ping) echo iputils-ping ;;
	apt-get/arping) echo iputils-arping ;;
	*/ping | */arping) echo iputils ;;
	dnf/tshark | pacman/tshark) echo wireshark-cli ;;
	zypper/tshark) echo wireshark ;;
	apk/nsenter) echo util-linux-misc ;;
	apk/setpriv) echo setpriv ;;
	*/nsenter | */setpriv | */taskset | */unshare | */mount) echo util-linux ;;
	*/systemd-nspawn) echo systemd-container ;;
	*/dpkg-deb) echo dpkg ;;
	apt-get/gcc) echo gcc libc6-dev ;;
	apk/gcc) echo gcc musl-dev ;;
	*) echo "$2" ;;
	esac
}

manager() {
	for m in apt-get dnf apk zypper pacman; do
		if command -v $m >/dev/null; then
			echo $m
			return
		fi
	done
}

install() {
	m=$1
	shift
	case $m in
	# tshark asks whether users may capture; nobody is there to answer.
	apt-get) apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" ;;
	dnf) dnf install -y -q "$@" ;;
	apk) apk add -q "$@" ;;
	zypper) zypper -n -q install "$@" ;;
	pacman) pacman -Sy --noconfirm --needed "$@" ;;
	esac </dev/null
}

missing() {
	for program; do
		command -v "$program" >/dev/null || echo "$program"
	done
}

# Where ordinary users' PATH ends short of arp-scan and ip.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
wanted=$(missing "$@" | xargs)
[ -n "$wanted" ] || exit 0

m=$(manager)
if [ -z "$m" ]; then
	echo "missing: $wanted (and no package manager that is known here: install them by hand)" >&2
	exit 1
fi
packages=$(for program in $wanted; do package "$m" "$program"; done | xargs -n 1 | sort -u | xargs)
if [ "$(id -u)" != 0 ]; then
	case $m in
	apk) verb=add ;;
	pacman) verb=-S ;;
	*) verb=install ;;
	esac
	echo "missing: $wanted; to be installed by root: $m $verb $packages" >&2
	exit 1
fi
echo "missing: $wanted; installing with $m: $packages"
# shellcheck disable=SC2086 # a list
if ! output=$(install "$m" $packages 2>&1); then
	# One package that a distribution does not have must not keep the others out.
	for p in $packages; do
		install "$m" "$p" >/dev/null 2>&1 || echo "could not install $p with $m" >&2
	done
fi
wanted=$(missing "$@" | xargs)
[ -z "$wanted" ] || {
	echo "$output" | tail -5 >&2
	echo "still missing: $wanted" >&2
	exit 1
}
