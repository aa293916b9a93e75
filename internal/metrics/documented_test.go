package metrics

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// What people build on the metrics, and the list of them that they read.
const (
	dashboard  = "../../packaging/grafana/ipalias.json"
	alerts     = "../../packaging/prometheus/ipalias.rules.yaml"
	operations = "../../docs/operations.md"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// labelsOf gives every metric with its labels, as the registry knows them.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, d := range descriptions {
		found := regexp.MustCompile(`fqName: "([a-z_]+)".*variableLabels: \{([a-z,]*)\}`).FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("can't read %s", d)
		}
		all[found[1]] = strings.Split(found[2], ",")
	}
	return all
}

// expressions gives what stands behind "expr" in a dashboard, however deep.
func expressions(v any) (list []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok && (key == "expr" || key == "query" && strings.Contains(text, "(")) {
				list = append(list, text)
			}
			list = append(list, expressions(value)...)
		}
	case []any:
		for _, value := range v {
			list = append(list, expressions(value)...)
		}
	}
	return list
}

// The dashboard and the alerts use metrics, labels and verdicts that exist.
func TestExpressions(t *testing.T) {
	var board any
	if err := json.Unmarshal([]byte(readFile(t, dashboard)), &board); err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, found := range regexp.MustCompile(`(?m)^ +expr: (.*)$`).FindAllStringSubmatch(readFile(t, alerts), -1) {
		rules = append(rules, found[1])
	}
	if n := strings.Count(readFile(t, alerts), "alert:"); len(rules) != n {
		t.Errorf("%d expressions of %d alerts: expected each on one line", len(rules), n)
	}
	used := map[string]bool{}
	for file, list := range map[string][]string{dashboard: expressions(board), alerts: rules} {
		if len(list) < 10 {
			t.Errorf("%s: only %d expressions found", file, len(list))
		}
		for _, text := range list {
			for _, wrong := range check(text, labelsOf(t), used) {
				t.Errorf("%s: %s: %s", file, text, wrong)
			}
		}
	}
	for name := range labelsOf(t) {
		if !used[name] {
			t.Errorf("%s is neither on the dashboard nor in an alert", name)
		}
	}
}

var (
	// A name before a brace, a bracket or nothing of both: a metric, a function, a
	// word of the language or a label of an aggregation.
	words    = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	selector = regexp.MustCompile(`([a-z_]+)?\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	strange  = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]`) // what holds no metric
)

// ofPrometheus are the names that are not ours: labels that a scrape adds, its own
// metric, and the language's words.
var ofPrometheus = []string{"instance", "job", "up", "by", "or", "time", "vector", "sum", "min", "max", "count", "rate", "increase", "changes", "label_values"}

// check tells what an expression names that does not exist.
func check(text string, known map[string][]string, used map[string]bool) (wrong []string) {
	labels := slices.Concat(ofPrometheus, slices.Concat(slices.Collect(maps.Values(known))...))
	for _, word := range words.FindAllString(strange.ReplaceAllString(text, ""), -1) {
		used[word] = true
		if known[word] == nil && !slices.Contains(labels, word) {
			wrong = append(wrong, "there is no "+word)
		}
	}
	for _, s := range selector.FindAllStringSubmatch(text, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if label := m[1]; label != "instance" && label != "job" && !slices.Contains(known[s[1]], label) {
				wrong = append(wrong, s[1]+" has no label "+label)
			}
			if m[1] == "verdict" {
				wrong = append(wrong, checkVerdicts(m[3])...)
			}
		}
	}
	return wrong
}

// checkVerdicts tells which alternatives of a matcher match no verdict.
func checkVerdicts(pattern string) (wrong []string) {
	for alternative := range strings.SplitSeq(pattern, "|") {
		one := regexp.MustCompile("^(?:" + alternative + ")$")
		matches := false
		for v := range responder.Verdict(responder.NumVerdicts) {
			matches = matches || one.MatchString(v.String())
		}
		if !matches {
			wrong = append(wrong, "no verdict is "+alternative)
		}
	}
	return wrong
}

// operations.md lists every metric, and no other.
func TestListOfMetrics(t *testing.T) {
	var got []string
	for _, found := range regexp.MustCompile("(?m)^\\| `(ipalias_[a-z_]+)`").FindAllStringSubmatch(readFile(t, operations), -1) {
		got = append(got, found[1])
	}
	slices.Sort(got)
	if want := slices.Sorted(maps.Keys(labelsOf(t))); !slices.Equal(got, want) {
		t.Errorf("%s lists\n%q\nbut there are\n%q", operations, got, want)
	}
}

// operations.md says of every alert what to do.
func TestListOfAlerts(t *testing.T) {
	text := readFile(t, operations)
	for _, found := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(readFile(t, alerts), -1) {
		if !strings.Contains(text, "`"+found[1]+"`") {
			t.Errorf("%s says nothing of %s", operations, found[1])
		}
	}
}
