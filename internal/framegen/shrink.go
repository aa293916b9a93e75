package framegen

import "slices"

// Shrink looks for the smallest sequence that still fails, by dropping frames,
// cutting them and making their bytes zero, with and without right checksums. It
// calls fails at most so many times; fails must not keep or change what it gets.
// What it ends with is no minimum, only nothing that one step makes smaller. A sequence that
// people read is worth the tries: most of a random frame has nothing to do with what failed.
func Shrink(frames [][]byte, tries int, fails func([][]byte) bool) [][]byte {
	s := shrinker{best: Clone(frames), tries: tries, fails: fails}
	for changed := true; changed && s.tries > 0; {
		changed = s.dropFrames()
		for i := range s.best {
			changed = s.cut(i) || changed
			changed = s.simplify(i) || changed
		}
	}
	return s.best
}

type shrinker struct {
	best  [][]byte
	tries int
	fails func([][]byte) bool
}

// try takes over a candidate if it fails, as it is or with its checksums made right.
func (s *shrinker) try(candidate [][]byte) bool {
	if s.tries <= 0 {
		return false
	}
	s.tries--
	// First with right checksums: what fails then does not fail for a checksum.
	fixed := Clone(candidate)
	for _, f := range fixed {
		FixChecksums(f)
	}
	if s.fails(fixed) {
		s.best = fixed
		return true
	}
	if slices.EqualFunc(fixed, candidate, slices.Equal) {
		return false
	}
	s.tries--
	if s.fails(candidate) {
		s.best = candidate
		return true
	}
	return false
}

func (s *shrinker) dropFrames() (changed bool) {
	for i := 0; i < len(s.best) && len(s.best) > 1; {
		if s.try(slices.Delete(Clone(s.best), i, i+1)) {
			changed = true
		} else {
			i++
		}
	}
	return changed
}

// cut takes bytes off the end of a frame, keeping the IPv4 length in step, as
// many at once as goes.
// Halves first, so that a frame of 1500 bytes takes some ten tries and not 1500.
func (s *shrinker) cut(i int) (changed bool) {
	for n := len(s.best[i]) / 2; n > 0; {
		if n > len(s.best[i])-etherLen {
			n /= 2
			continue
		}
		c := Clone(s.best)
		c[i] = c[i][:len(c[i])-n]
		// Only where the length was right before: a wrong one may be what fails.
		if at, hl, ok := network(s.best[i]); ok && len(c[i]) >= at+hl && at+int(be.Uint16(c[i][at+2:])) == len(s.best[i]) {
			be.PutUint16(c[i][at+2:], uint16(len(c[i])-at))
		}
		if s.try(c) {
			changed = true
		} else {
			n /= 2
		}
	}
	return changed
}

// simplify makes runs of bytes zero: long ones first, then single ones.
func (s *shrinker) simplify(i int) (changed bool) {
	for _, run := range []int{64, 16, 4, 1} {
		for at := etherLen; at+run <= len(s.best[i]); at += run {
			c := Clone(s.best)
			clear(c[i][at : at+run])
			if !slices.Equal(c[i], s.best[i]) && !onlyChecksums(c[i], s.best[i]) && s.try(c) {
				changed = true
			}
		}
	}
	return changed
}

// onlyChecksums tells that a and b are the same once their checksums are right:
// taking one for the other would never end.
func onlyChecksums(a, b []byte) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	FixChecksums(a)
	FixChecksums(b)
	return slices.Equal(a, b)
}
