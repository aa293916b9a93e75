package control

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// queries are the keys that a query may have, by the pattern of what is asked for.
var queries = map[string][]string{
	"GET /v1/show": {"address", "label", "interface"},
	"GET /v1/top":  {"n"},
}

// goodQuery tells what is wrong with the query of a request. With "?adress=" that were passed
// over all of the table would be shown, and a script take it for the answer.
func goodQuery(r *http.Request) error {
	if r.Pattern == "/" {
		return nil // there is nothing of that name
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Refuse(http.StatusBadRequest, "bad query: %v", err)
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		values, allowed := query[key], queries[r.Pattern]
		switch {
		case len(allowed) == 0:
			return Refuse(http.StatusBadRequest, "bad query: found %.300q, expected none with %s %s", key, r.Method, r.URL.Path)
		case !slices.Contains(allowed, key):
			return Refuse(http.StatusBadRequest, "bad query: found %.300q, expected one of %v", key, allowed)
		case len(values) > 1:
			return Refuse(http.StatusBadRequest, "bad query: found %s %d times, expected it once", key, len(values))
		case values[0] == "":
			return Refuse(http.StatusBadRequest, "bad query: found %s without a value", key)
		}
	}
	return nil
}
