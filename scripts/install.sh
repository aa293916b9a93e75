#!/bin/sh
# install.sh PREFIX: what "make install" does.
set -eu
cd "$(dirname "$0")/.."
to=$1

mkdir -p "$to/bin" "$to/share/doc/ipalias"
install -m 755 bin/ipaliasd bin/ipalias "$to/bin"
install -m 644 README.md CHANGELOG.md LICENSE docs/*.md "$to/share/doc/ipalias"

# completion SHELL FILE. The program writes them itself; where it was built for
# another machine it can't.
completion() {
	if script=$(bin/ipalias completion "$1" 2>/dev/null); then
		mkdir -p "$(dirname "$2")"
		printf '%s\n' "$script" >"$2"
		chmod 644 "$2"
	else
		echo "no completion for $1: bin/ipalias does not run here"
	fi
}
completion bash "$to/share/bash-completion/completions/ipalias"
completion zsh "$to/share/zsh/site-functions/_ipalias"
completion fish "$to/share/fish/vendor_completions.d/ipalias.fish"
