//go:build !linux

package capture

// Keep fails: see ErrUnsupported.
func (c *Card) Keep(int) (Kept, error) { return Kept{}, ErrUnsupported }

// Close does nothing: nobody keeps anything here.
func (in *Inheritance) Close() {}
