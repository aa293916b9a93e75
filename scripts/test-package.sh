#!/bin/sh
# test-package.sh: what "make test-package" does.
#
# Installs the packages in a Debian of its own, booted with systemd in
# namespaces, and does with them what an operator does over the years. The machine's
# card is one end of a veth pair; who asks for its aliases sits at the other end.
#
#     the machine (systemd-nspawn)             the peer, a namespace
#     eth0  192.0.2.1         <---- veth ---->   192.0.2.200
#           aliases 192.0.2.10 and so on
set -eu
cd "$(dirname "$0")/.."
here=$PWD
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
[ "$(id -u)" = 0 ] || {
	echo "make test-package needs root: it boots a machine in namespaces" >&2
	exit 1
}
sh scripts/tools.sh mmdebstrap systemd-nspawn dpkg-deb rpm ip ping nsenter curl gzip

work=$(mktemp -d)
root=$work/root
host=ipalias-pkg-host-$$
peer=ipalias-pkg-peer-$$
nspawn=
prometheus=

leave() {
	status=$?
	trap - EXIT
	if [ $status != 0 ] && [ -n "$nspawn" ]; then
		inside journalctl -u ipaliasd --no-pager -n 100 >&2 || true
	fi
	[ -z "$prometheus" ] || kill "$prometheus" 2>/dev/null || true
	if [ -n "$nspawn" ]; then
		kill "$nspawn" 2>/dev/null || true
		wait "$nspawn" 2>/dev/null || true
	fi
	ip netns del "$host" 2>/dev/null || true
	ip netns del "$peer" 2>/dev/null || true
	rm -rf "$work"
	exit $status
}
trap leave EXIT
trap 'exit 130' INT TERM

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# inside COMMAND...: runs it in the machine, once it has booted.
inside() {
	nsenter -t "$init" -m -u -i -n -p -C -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# until_true WHAT COMMAND...: for half a minute.
until_true() {
	what=$1
	shift
	late=$(($(date +%s) + 30))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $late ] || fail "$what"
		sleep 0.1
	done
}

answers() { ip netns exec "$peer" ping -q -c 1 -W 1 "$1" >/dev/null; }
silent() { ! answers "$1"; }

# build VERSION: dist/ of that version goes to the machine, as /VERSION.deb and so on.
build() {
	rm -f dist/ipalias?"$1"* # of another architecture, perhaps
	make --no-print-directory package VERSION="$1" >"$work/build.log" 2>&1 || {
		cat "$work/build.log"
		fail "make package VERSION=$1"
	}
	mv dist/ipalias_"$1"_*.deb "$work/$1.deb"
	mv dist/ipalias-"$1"-1.*.rpm "$work/$1.rpm"
}

# Both have the same files, and the rpm its scripts.
alike() {
	dpkg-deb --fsys-tarfile "$work/1.0.0.deb" | tar -t | sed 's|^\.||' | grep -v '/$' | sort >"$work/deb.files"
	rpm -qlvp "$work/1.0.0.rpm" | grep -v '^d' | awk '{ print $NF }' | sort >"$work/rpm.files"
	diff "$work/deb.files" "$work/rpm.files" || fail "the packages differ in their files"
	for script in postinstall preuninstall postuninstall; do
		rpm -qp --scripts "$work/1.0.0.rpm" | grep -q "^$script scriptlet" || fail "no $script in the rpm"
	done
	for file in copyright changelog.gz; do
		grep -qx "/usr/share/doc/ipalias/$file" "$work/deb.files" || fail "no $file"
	done
	dpkg-deb --fsys-tarfile "$work/1.0.0.deb" | tar -xO ./usr/share/doc/ipalias/third-party-licenses.txt >"$work/licenses"
	for module in $("${GO:-go}" version -m bin/ipaliasd bin/ipalias | awk '$1 == "dep" { print $2 }'); do
		grep -q "^==== $module " "$work/licenses" || fail "no license of $module"
	done
	for page in man8/ipaliasd.8 man8/ipalias.8 man5/ipalias.toml.5; do
		grep -qx "/usr/share/man/$page.gz" "$work/deb.files" || fail "no page $page"
	done
}

boot() {
	. /etc/os-release
	mmdebstrap --quiet --variant=minbase --include=systemd,rpm,bash,man-db "${VERSION_CODENAME:-stable}" "$root"
	cp "$work"/*.deb "$work"/*.rpm "$root/"
	ip netns add "$host"
	ip netns add "$peer"
	ip -n "$host" link add eth0 type veth peer name eth0 netns "$peer"
	ip -n "$host" address add 192.0.2.1/24 dev eth0
	ip -n "$peer" address add 192.0.2.200/24 dev eth0
	ip -n "$host" link set lo up
	ip -n "$host" link set eth0 up
	ip -n "$peer" link set eth0 up
	systemd-nspawn --quiet --directory="$root" --machine="ipalias-pkg-$$" --register=no --keep-unit \
		--network-namespace-path="/run/netns/$host" --console=pipe --boot </dev/null >"$work/console.log" 2>&1 &
	nspawn=$!
	until_true "the machine does not start: see systemd-nspawn" pgrep -P "$nspawn"
	init=$(pgrep -P "$nspawn")
	until_true "the machine does not boot" inside systemctl is-active multi-user.target
}

# every file there is, but for those that any work on a system leaves
files() {
	inside find / -xdev \( -path /var/log -o -path /var/cache -o -path /tmp -o -path /var/tmp -o -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /var/lib/systemd \) -prune -o -print |
		grep -v -e '^/etc/\(passwd\|group\|shadow\|gshadow\|subuid\|subgid\)-$' -e '^/etc/\.pwd\.lock$' | sort
}

config() {
	printf '[interface.eth0.aliases]\n"eth0:0" = "192.0.2.10"\n%s\n' "$1" >"$root/etc/ipalias/ipalias.toml"
}

installed() {
	inside getent passwd ipalias >/dev/null || fail "no user ipalias"
	inside ipalias check -c /etc/ipalias/ipalias.toml >/dev/null || fail "the configuration that comes with the package is wrong"
	! inside systemctl -q is-enabled ipaliasd || fail "enabled before it is configured"
	! inside systemctl -q is-active ipaliasd || fail "started before it is configured"
	inside systemd-analyze verify ipaliasd.service || fail "systemd-analyze verify"
	inside systemd-analyze security --no-pager --offline=true --threshold=25 ipaliasd.service >"$work/security" 2>&1 || {
		cat "$work/security"
		fail "systemd-analyze security: above 2.5"
	}
	tail -1 "$work/security"
	inside bash -n /usr/share/bash-completion/completions/ipalias || fail "completion for bash"
}

started() {
	config ""
	inside systemctl enable --now ipaliasd 2>/dev/null || fail "systemctl enable --now ipaliasd"
	answers 192.0.2.10 || fail "no answer although systemd was told READY"
	pid=$(inside systemctl show -P MainPID ipaliasd)
	# CAP_NET_RAW is bit 13; nobody holds more, and nobody can get more.
	inside grep -qx "CapBnd:	0000000000002000" "/proc/$pid/status" || fail "capabilities: $(inside grep Cap "/proc/$pid/status")"
	inside grep -qx "NoNewPrivs:	1" "/proc/$pid/status" || fail "could get new privileges"
	[ "$(inside stat -c %U "/proc/$pid")" = ipalias ] || fail "runs as $(inside stat -c %U "/proc/$pid")"
	[ "$(inside stat -c '%U %a' /run/ipalias /var/lib/ipalias | xargs)" = "ipalias 750 ipalias 750" ] || fail "modes of /run/ipalias and /var/lib/ipalias"
}

changed() {
	inside ipalias add eth0:2 192.0.2.12 >/dev/null || fail "ipalias add"
	answers 192.0.2.12 || fail "what was added is not answered for"
	config '"eth0:1" = "192.0.2.11"'
	inside systemctl reload ipaliasd || fail "systemctl reload"
	answers 192.0.2.11 || fail "what the file says since the reload is not answered for"
	config 'mistake'
	! inside systemctl reload ipaliasd 2>/dev/null || fail "reloaded a broken configuration"
	answers 192.0.2.11 || fail "a broken configuration ended the old one"
	config '"eth0:1" = "192.0.2.11"'
	inside systemctl reload ipaliasd || fail "systemctl reload, after a mistake was mended"
	for signal in KILL ABRT; do # ABRT is the watchdog's
		inside systemctl kill --signal=$signal ipaliasd
		until_true "not started again after SIG$signal" answers 192.0.2.12
	done
}

# fetched gets a Prometheus. Its package is taken apart, not installed: that would start
# it on the machine that this runs on.
fetched() {
	mkdir -p "$work/prometheus"
	(cd "$work/prometheus" && apt-get -qq download prometheus 2>/dev/null && dpkg-deb -x prometheus_*.deb .) || fail "no Prometheus from apt-get"
	promtool=$work/prometheus/usr/bin/promtool
	"$promtool" test rules packaging/prometheus/ipalias.test.yaml || fail "the alerts"
}

# scraped has a real Prometheus read the metrics, with our alerts, and asks it all
# that the dashboard asks.
scraped() {
	mkdir -p "$root/etc/systemd/system/ipaliasd.service.d"
	printf '[Service]\nEnvironment="IPALIASD_OPTIONS=--metrics 127.0.0.1:9850"\n' >"$root/etc/systemd/system/ipaliasd.service.d/metrics.conf"
	inside systemctl daemon-reload
	inside systemctl restart ipaliasd || fail "a restart with --metrics"
	printf 'global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs: [{job_name: ipalias, static_configs: [{targets: ["127.0.0.1:9850"]}]}]\n' "$here/packaging/prometheus/ipalias.rules.yaml" >"$work/prometheus/config.yaml"
	rm -rf "$work/prometheus/data" # of an earlier time
	ip netns exec "$host" "$work/prometheus/usr/bin/prometheus" --config.file="$work/prometheus/config.yaml" \
		--storage.tsdb.path="$work/prometheus/data" --web.listen-address=127.0.0.1:9090 >"$work/prometheus/log" 2>&1 &
	prometheus=$!
	until_true "Prometheus gets no metrics" asked_for 'ipalias_card_up == 1'
	until_true "the alerts are not looked at" evaluated
	grep -o '"expr": ".*"' packaging/grafana/ipalias.json | sed 's/^"expr": "//; s/"$//; s/\\"/"/g; s/\$__rate_interval/1m/g; s/\$instance/.*/g' >"$work/expressions"
	while read -r expression; do
		ask "$expression" >/dev/null || fail "the dashboard asks for $expression"
	done <"$work/expressions"
	kill $prometheus
	wait $prometheus || true
	prometheus=
	rm -r "$root/etc/systemd/system/ipaliasd.service.d"
	inside systemctl daemon-reload
}
ask() { ip netns exec "$host" "$promtool" query instant http://127.0.0.1:9090 "$1"; }
asked_for() { ask "$1" | grep -q .; }
evaluated() {
	ip netns exec "$host" curl -s http://127.0.0.1:9090/api/v1/rules >"$work/rules"
	[ "$(grep -o '"health":"ok"' "$work/rules" | wc -l)" = "$(grep -c 'alert:' packaging/prometheus/ipalias.rules.yaml)" ]
}

# upgraded COMMAND...: asks all the while.
upgraded() {
	: >"$work/ping" # here: the line below empties it some time, and till then it tells of the last upgrade
	ip netns exec "$peer" ping -n -i 0.01 192.0.2.10 >"$work/ping" &
	asking=$!
	until_true "no answers before the upgrade" grep -q icmp_seq=50 "$work/ping"
	inside "$@" >/dev/null || fail "$*"
	until_true "not the new version" newer
	kill -INT $asking
	wait $asking || true
	grep 'packets transmitted' "$work/ping"
	# Its sockets are handed on: not one answer is missed between the first and the last.
	# That of the last request perhaps was not waited for.
	awk -F'icmp_seq=' 'NF > 1 && $2 + 0 != ++n { gap = 1 } END { exit gap || n < 50 }' "$work/ping" || fail "answers were missed"
	answers 192.0.2.12 || fail "the upgrade forgot what was added"
	grep -q 192.0.2.11 "$root/etc/ipalias/ipalias.toml" || fail "the upgrade wrote over the configuration"
}
newer() { inside ipalias stats --json | grep -q '"version": *"1.0.1"'; }

removed() {
	inside "$@" >/dev/null || fail "$*"
	silent 192.0.2.10 || fail "still answers after $*"
	! inside systemctl -q is-enabled ipaliasd 2>/dev/null || fail "still enabled after $*"
}

step() {
	echo "--- $1"
	shift
	"$@"
}

# life KIND INSTALL UPGRADE REMOVE: that of a package, with the commands of its manager.
life() {
	kind=$1
	# shellcheck disable=SC2086 # commands of several words
	{
		step "installed with $kind" inside $2
		step "as installed" installed
		step "started" started
		step "changed while it runs" changed
		step "scraped by Prometheus" scraped
		step "upgraded with $kind" upgraded $3
		step "removed with $kind" removed $4
	}
}

step "packages of versions 1.0.0 and 1.0.1" build 1.0.0
build 1.0.1
step "what is in them" alike
step "the alerts" fetched
step "a machine" boot
files >"$work/before"
life dpkg "dpkg -i /1.0.0.deb" "dpkg -i /1.0.1.deb" "dpkg -r ipalias"
[ -e "$root/etc/ipalias/ipalias.toml" ] && [ -e "$root/var/lib/ipalias/changes.journal" ] || fail "removing took the configuration or the state"
step "purged" inside dpkg -P ipalias
! inside getent passwd ipalias || fail "the user is still there"
files >"$work/after"
diff "$work/before" "$work/after" || fail "purging left or took more than it should"

life rpm "rpm -i --nodeps /1.0.0.rpm" "rpm -U --nodeps /1.0.1.rpm" "rpm -e ipalias"
[ -e "$root/etc/ipalias/ipalias.toml.rpmsave" ] || fail "removing took a configuration that was edited"

echo "the packages work"
