package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// endOfRecording is how long the daemon may take to end a recording that is enough.
const endOfRecording = 5 * time.Second

// maxBlock is the longest block of a recording, in bytes: a frame of 256 KiB with a
// comment is shorter.
const maxBlock = 1 << 20

// Record has the daemon record until ctx ends or there is what r asks for, and writes
// the capture file to w, whole blocks at a time: whatever happens, what w has is a
// capture file. When ctx ends, what the daemon has recorded by then still comes, and
// that is no error.
func (c *Client) Record(ctx context.Context, r Recording, w io.Writer) (*Recorded, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nil, c.explain(err)
	}
	defer conn.Close()
	// To have no more to say is how a client says that it has enough.
	defer context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Now().Add(endOfRecording))
		conn.(*net.UnixConn).CloseWrite()
	})()

	req, err := http.NewRequest(http.MethodPost, "http://ipaliasd/v1/record", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if err := req.Write(conn); err != nil && ctx.Err() == nil {
		return nil, c.explain(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		if ctx.Err() != nil { // before it began
			return new(Recorded), nil
		}
		return nil, c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, c.explain(err)
		}
		return nil, refusedWith(resp, answer)
	}
	if err := copyBlocks(w, resp.Body); err != nil {
		return nil, err
	}
	done := new(Recorded)
	if err := json.Unmarshal([]byte(resp.Trailer.Get(recordedTrailer)), done); err != nil {
		return nil, fmt.Errorf("the recording ended without its summary: %w", err)
	}
	if done.Error != "" {
		return done, errors.New(done.Error)
	}
	return done, nil
}

// copyBlocks copies pcapng, each block in one piece or not at all.
func copyBlocks(w io.Writer, r io.Reader) error {
	in, out := bufio.NewReaderSize(r, maxBlock), bufio.NewWriterSize(w, maxBlock)
	for {
		head, err := in.Peek(8) // type and length
		if err == nil {
			length := binary.LittleEndian.Uint32(head[4:])
			if length < 12 || length > maxBlock {
				return errors.Join(fmt.Errorf("read recording: a block of %d bytes", length), out.Flush())
			}
			var block []byte
			if block, err = in.Peek(int(length)); err == nil {
				if _, err := out.Write(block); err != nil {
					return fmt.Errorf("write recording: %w", err)
				}
				in.Discard(int(length))
			}
		}
		// Whoever looks on wants to see what there is; a file wants large pieces.
		if err != nil || in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write recording: %w", err)
			}
		}
		switch {
		case err == io.EOF && len(head) == 0:
			return nil
		case err != nil:
			return fmt.Errorf("the daemon broke off the recording: %w", err)
		}
	}
}
