//go:build !linux

package link

// A Kernel can't be opened here: see ErrUnsupported.
type Kernel struct{}

// Open fails: see ErrUnsupported.
func Open() (*Kernel, error) { return nil, ErrUnsupported }

// Changed never delivers anything.
func (k *Kernel) Changed() <-chan struct{} { return nil }

// Close does nothing.
func (k *Kernel) Close() {}

// Read fails: see ErrUnsupported.
func (k *Kernel) Read(name string) (Facts, error) { return Facts{}, ErrUnsupported }

// Names fails: see ErrUnsupported.
func (k *Kernel) Names() ([]string, error) { return nil, ErrUnsupported }

// Queues is 1.
func Queues(name string) int { return 1 }

// NameOf finds nothing.
func (k *Kernel) NameOf(index int) string { return "" }
