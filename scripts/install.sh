#!/bin/sh
# install.sh ROOT PREFIX: what "make install" does. ROOT is put before PREFIX and
# is not seen by what is installed (DESTDIR).
set -eu
cd "$(dirname "$0")/.."
prefix=$2
to=$1$2

# into DIRECTORY FILE...: installs files that nobody runs.
into() {
	mkdir -p "$to/$1"
	directory=$1
	shift
	install -m 644 "$@" "$to/$directory"
}

mkdir -p "$to/bin"
install -m 755 bin/ipaliasd bin/ipalias "$to/bin"
into share/doc/ipalias README.md CHANGELOG.md LICENSE SECURITY.md docs/*.md
into share/doc/ipalias/examples packaging/ipalias.toml packaging/systemd/net-admin.conf \
	packaging/grafana/ipalias.json packaging/prometheus/ipalias.rules.yaml
for page in packaging/man/*.[1-9]; do
	into "share/man/man${page##*.}" "$page"
done

# systemd looks below /usr/local too, and calls programs by their whole path.
mkdir -p "$to/lib/systemd/system" "$to/lib/sysusers.d"
sed "s|/usr/bin/|$prefix/bin/|" packaging/systemd/ipaliasd.service >"$to/lib/systemd/system/ipaliasd.service"
install -m 644 packaging/systemd/sysusers.conf "$to/lib/sysusers.d/ipalias.conf"
chmod 644 "$to/lib/systemd/system/ipaliasd.service"

# completion SHELL FILE. The program writes them itself; where it was built for
# another machine it can't, and TOOL names one that can.
completion() {
	if script=$("${TOOL:-bin/ipalias}" completion "$1" 2>/dev/null); then
		mkdir -p "$(dirname "$to/$2")"
		printf '%s\n' "$script" >"$to/$2"
		chmod 644 "$to/$2"
	else
		echo "no completion for $1: ${TOOL:-bin/ipalias} does not run here"
	fi
}
completion bash share/bash-completion/completions/ipalias
completion zsh share/zsh/site-functions/_ipalias
completion fish share/fish/vendor_completions.d/ipalias.fish
