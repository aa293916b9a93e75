package control

import (
	"net/http"
	"strconv"
)

// mostTop is how many aliases and askers are told unless asked otherwise.
const mostTop = 20

// largestTop is the most that are told: any number of these answers may be in memory.
const largestTop = 10000

// top answers when the window is over that is being counted. Meanwhile it is in
// nobody's way, as other answers would be that take as long.
func (s *Server) top(w http.ResponseWriter, r *http.Request) {
	c := clientOf(r)
	most := mostTop
	if err := goodQuery(r); err != nil {
		s.answer(w, r, nil, err, func() {})
		return
	}
	if n := r.URL.Query().Get("n"); n != "" {
		var err error
		if most, err = strconv.Atoi(n); err != nil || most < 0 || most > largestTop {
			err = Refuse(http.StatusBadRequest, "bad number: found n=%s, expected how many aliases and askers to tell, at most %d", n, largestTop)
			s.answer(w, r, nil, err, func() {})
			return
		}
	}
	c.work(true)
	top, err := s.Backend.Top(r.Context(), most)
	s.answer(w, r, top, err, func() {})
}
