package control

import (
	"net"
	"net/http"
	"strconv"
)

// mostTop is how many aliases and askers are told unless asked otherwise.
const mostTop = 20

// top answers when the window is over that is being counted. Meanwhile it is in
// nobody's way, as other answers would be that take as long.
func (s *Server) top(w http.ResponseWriter, r *http.Request) {
	conn := r.Context().Value(connKey{}).(net.Conn)
	defer s.crowd.work(conn, false)
	_, _, err := s.admit(conn, r)
	most := mostTop
	if n := r.URL.Query().Get("n"); n != "" && err == nil {
		if most, err = strconv.Atoi(n); err != nil || most < 0 {
			err = Refuse(http.StatusBadRequest, "bad number: found n=%s, expected how many aliases and askers to tell", n)
		}
	}
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	s.crowd.work(conn, true)
	top, err := s.Backend.Top(r.Context(), most)
	s.answer(w, top, err)
}
