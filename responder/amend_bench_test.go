package responder_test

import (
	"testing"

	"github.com/ipalias/ipalias/responder"
)

// million are as many single addresses, far apart.
func million() responder.Ranges {
	ranges := responder.Ranges{}.Grow(1 << 20)
	for n := range uint32(1 << 20) {
		a := number(0x0b000000 + n*173)
		ranges = ranges.Append(responder.Range{First: a, Last: a})
	}
	return ranges
}

// BenchmarkPublish publishes a million single addresses anew.
func BenchmarkPublish(b *testing.B) {
	i := lab()
	i.Aliases = []responder.Alias{{Label: "v0:million", Ranges: million()}}
	r := responder.New(responder.Config{Workers: 1})
	for b.Loop() {
		if _, err := r.Publish([]responder.Interface{i}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAmend adds one address to a million and takes it away again.
func BenchmarkAmend(b *testing.B) {
	i := lab()
	i.Aliases = []responder.Alias{{Label: "v0:million", Ranges: million()}, {Label: "v0:more", Ranges: responder.RangesOf(single("10.0.0.1"))}}
	r := responder.New(responder.Config{Workers: 1})
	if _, err := r.Publish([]responder.Interface{i}); err != nil {
		b.Fatal(err)
	}
	one := []responder.Alias{{Label: "v0:more", Ranges: responder.RangesOf(single("10.0.0.2"))}}
	for b.Loop() {
		if _, err := r.Amend("v0", nil, one); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Amend("v0", one, nil); err != nil {
			b.Fatal(err)
		}
	}
}
