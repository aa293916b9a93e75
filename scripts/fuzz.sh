#!/bin/sh
# fuzz.sh: every fuzz target of every package, one after the other, for FUZZTIME
# each. A failing input lands in the package's testdata/fuzz, where each later
# "go test" tries it again.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
FUZZTIME=${FUZZTIME:-1m}
status=0

for package in $("$GO" list ./...); do
	for target in $("$GO" test -list '^Fuzz' "$package" | grep '^Fuzz' || :); do
		echo "$package $target, $FUZZTIME:"
		"$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" "$package" || status=1
	done
done
exit $status
