# Shortens what "go test -v" writes, see test.sh.

/^(ok|FAIL|\?) *\t/ {
	if ($1 == "FAIL") for (i = 0; i < n; i++) print lines[i]
	for (i = 0; i < skips; i++) print "    skipped " skipped[i]
	print
	fflush()
	n = skips = 0
	split("", last)
	next
}

# Everything that is no success, for the case that the package fails.
!/^ *(--- PASS|=== )/ { lines[n++] = $0 }

/^=== / { test = $3 }

# The reason is the last thing that the test said, before or after this line.
/^ *--- SKIP/ { skipped[skips++] = $3 ": " last[$3]; next }

/^ +[^ ].*_test\.go:[0-9]+: / {
	text = $0
	sub(/^ +/, "", text)
	last[test] = text
}

END { for (i = 0; i < n; i++) print lines[i] }
