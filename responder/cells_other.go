//go:build !linux

package responder

// mapSegments takes the memory from Go's heap: only the daemon, which is Linux only, has more to
// count than fits there.
func mapSegments(n int) ([]*segment, error) {
	segments := make([]*segment, n)
	for i := range segments {
		segments[i] = new(segment)
	}
	return segments, nil
}
