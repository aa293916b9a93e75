#!/bin/sh
# package.sh VERSION: what "make package" does once bin/ is built: dist/*.deb and
# dist/*.rpm, of what "make install" would install below /usr.
#
# VERSION is git's name for the source, as the programs have it, or any other
# that begins with a digit, or with v and a digit.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

# number VERSION: as package managers compare it. Their ~ is before the release
# and their + after it; a source without a tag is before any release, and the
# number of its commits says which of two is the older.
number() {
	case $1 in
	v[0-9]*-[0-9]*-g*) echo "$1" | sed -E 's/^v//; s/-([0-9]+)-(g[0-9a-f]+)/+\1.\2/; s/-dirty$/.dirty/; s/-/~/' ;;
	v[0-9]* | [0-9]*.*) echo "$1" | sed -E 's/^v//; s/-dirty$/+dirty/; s/-/~/' ;;
	*) echo "0~$(git rev-list --count HEAD).g$1" | sed -E 's/-dirty$/.dirty/' ;;
	esac
}

VERSION=$(number "$1")
case $VERSION in
*[!A-Za-z0-9.+~]*)
	echo "version $1: found characters that a package's version can't have; expected for example 1.2.3" >&2
	exit 2
	;;
esac
ARCH=$("$GO" env GOARCH)
# Twice the same package of the same source: files have the time of the commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export VERSION ARCH SOURCE_DATE_EPOCH

rm -rf dist/root
mkdir -p dist
umask 022 # the tree's modes become the package's
# The tool writes its completions itself, so it takes one for this machine.
TOOL=bin/ipalias
if [ "$("$GO" env GOOS GOARCH)" != "$("$GO" env GOHOSTOS GOHOSTARCH)" ]; then
	TOOL=dist/ipalias.host
	env -u GOOS -u GOARCH CGO_ENABLED=0 "$GO" build -o $TOOL ./cmd/ipalias
fi
export TOOL
sh scripts/install.sh dist/root /usr
gzip -9n dist/root/usr/share/man/man*/*
# There is one of these in /etc.
rm dist/root/usr/share/doc/ipalias/examples/ipalias.toml
# What is linked into the programs comes with its license, as nearly all of them ask.
# A module without one stops it: there nobody may.
third=dist/root/usr/share/doc/ipalias/third-party-licenses.txt
modules=$("$GO" list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/ipaliasd ./cmd/ipalias | sort -u)
echo "$modules
Go $("$GO" env GOVERSION) $("$GO" env GOROOT)" | while read -r module version dir; do
	printf '==== %s %s\n\n' "$module" "$version"
	cat "$dir"/LICENSE*
	for notice in "$dir"/NOTICE*; do
		[ ! -e "$notice" ] || cat "$notice"
	done
	printf '\n'
done >$third
chmod 644 $third
# What Debian's policy (4.4, 12.5 and 12.7) wants of each package.
install -m 644 packaging/copyright dist/root/usr/share/doc/ipalias/copyright
printf 'ipalias (%s) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md, beside this file.\n\n -- %s  %s\n' \
	"$VERSION" "$(sed -n 's/^maintainer: //p' packaging/nfpm.yaml)" "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')" |
	gzip -9n >dist/root/usr/share/doc/ipalias/changelog.gz

# nfpm is for this machine, whatever the programs are for.
for kind in deb rpm; do
	env -u GOOS -u GOARCH "$GO" run "$nfpm" package --config packaging/nfpm.yaml --packager $kind --target dist/
done
