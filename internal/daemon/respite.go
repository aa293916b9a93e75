package daemon

import "time"

// A respite bounds what following the kernel takes of a processor. Each look lists all
// addresses and routes of the host, and a change among them may publish a million aliases anew:
// a host that gets ten thousand addresses one by one would do so ten thousand times. So looks
// are paid back by pauses some times as long, and the one behind a pause stands for all
// changes meanwhile. Those that come alone, or a few together as when somebody
// configures a card, are followed at once: what he says next relies on it.
type respite struct {
	owed time.Duration // of looking, that no pause has paid back
	at   time.Time     // then
}

const (
	// respiteShare is how much longer the pauses are than the looks: in the long run looking
	// takes at most a tenth of a processor, unless a look alone takes more than a tenth of a second.
	respiteShare = 9

	// respiteFree is how much looking may be owed before there is a pause.
	respiteFree = 200 * time.Millisecond

	// respiteMost is how late the last change may be followed at worst, unless looking
	// itself takes longer.
	respiteMost = time.Second
)

// looked says that a look is over that took so long.
func (r *respite) looked(took time.Duration) {
	// What was owed when the look began, since during it nothing is paid back. A single look
	// that takes minutes is not paid for by minutes of deafness: respiteMost bounds the pause.
	now := time.Now()
	owed := r.left(now.Add(-took)) + took
	r.owed, r.at = min(owed, respiteFree+respiteMost/respiteShare), now
}

// left is what is owed now.
func (r *respite) left(now time.Time) time.Duration {
	return max(0, r.owed-now.Sub(r.at)/respiteShare)
}

// over gives a channel that tells when the pause is over, nil if there is none.
func (r *respite) over() <-chan time.Time {
	// A pause pays back a respiteShare-th of its length.
	if more := r.left(time.Now()) - respiteFree; more > 0 {
		return time.After(more * respiteShare)
	}
	return nil
}
