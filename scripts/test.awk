# Shortens what "go test -v" writes, see test.sh. -v module= is the module's path.
#
# A package's closing line names it by its whole path. A test, or a program that
# it runs, may write anything else, also "ok" or "FAIL" and a tab.

/^(ok|FAIL|\?) *\t/ && index($2 "/", module "/") == 1 {
	if ($1 == "FAIL") for (i = 0; i < n; i++) print lines[i]
	for (i = 0; i < skips; i++) print "    skipped " skipped[i]
	print
	fflush()
	n = skips = 0
	split("", last)
	next
}

# All, for the case that the package fails, but for what says only which test runs.
# It begins a line: where a test wrote half a line before it, that is kept.
!/^ *--- PASS: |^=== (RUN|PAUSE|CONT|NAME) / { lines[n++] = $0 }

/^=== / { test = $3 }

# The reason is the last thing that the test said, before or after this line.
/^ *--- SKIP/ { skipped[skips++] = $3 ": " last[$3]; next }

/^ +[^ ].*_test\.go:[0-9]+: / {
	text = $0
	sub(/^ +/, "", text)
	last[test] = text
}

END { for (i = 0; i < n; i++) print lines[i] }
