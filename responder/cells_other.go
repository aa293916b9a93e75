//go:build !unix

package responder

// mapSegments takes the memory from Go's heap where there is no mmap.
func mapSegments(n int) ([]*[segmentSize]cell, error) {
	segments := make([]*[segmentSize]cell, n)
	for i := range segments {
		segments[i] = new([segmentSize]cell)
	}
	return segments, nil
}
