package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Limits of a batch.
const (
	batchLinesMax  = 10_000
	batchAtWork    = 8 // Lines decided at once; their appends share the log's group commits.
	batchLineSlack = 60 * time.Second
)

// line is one answer of a batch.
type line struct {
	Line    int      `json:"line"`
	Status  int      `json:"status"`
	Filing  any      `json:"filing,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

// serveBatch answers application/x-ndjson line by line, in order. Lines stand alone and run side by side, so a batch
// must not count on one line seeing another's effect. A line's command id follows from the batch's Idempotency-Key
// and the line's content, so that a batch sent again after a break files nothing twice.
//
// Answers flow while lines still arrive; they wait in memory for a client that reads only after it has sent all,
// which batchLinesMax bounds to a few megabytes.
func (s *Server) serveBatch(ec echo.Context, c *call, h handler) error {
	key, err := readKey(ec.Request().Header, false)
	if err != nil {
		return err
	}
	if ec.Request().Header.Get("Content-Encoding") != "" {
		return errEncoding
	}
	if key == "" {
		key = s.o.NewID().String()
	}
	rc := http.NewResponseController(ec.Response().Writer)
	_ = rc.EnableFullDuplex() // HTTP/1 only; HTTP/2 always is.
	ec.Response().Header().Set("Content-Type", mediaNDJSON)
	ec.Response().WriteHeader(http.StatusOK)

	answers := make(chan chan line, batchLinesMax+1) // In order; each holds one answer when its line is done.
	var writer sync.WaitGroup
	writer.Go(func() {
		for a := range answers {
			s.extend(rc)
			s.writeLine(ec, <-a)
			if len(answers) == 0 {
				_ = rc.Flush() // The client went away: nobody is left to tell.
			}
		}
	})
	s.readLines(ec, c, h, key, rc, answers)
	close(answers)
	writer.Wait()
	return nil
}

// extend moves the connection's deadlines on: a long batch is not a slow client.
func (s *Server) extend(rc *http.ResponseController) {
	now := s.o.Now()
	_ = rc.SetReadDeadline(now.Add(batchLineSlack))
	_ = rc.SetWriteDeadline(now.Add(batchLineSlack))
}

func (s *Server) readLines(ec echo.Context, c *call, h handler, key string, rc *http.ResponseController, answers chan<- chan line) {
	slots := make(chan struct{}, batchAtWork)
	var work sync.WaitGroup
	defer work.Wait()
	in := bufio.NewReaderSize(ec.Request().Body, 64<<10)
	for n := 1; ; n++ {
		s.extend(rc)
		raw, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil && n > batchLinesMax {
			err = errBatchTooLong
		}
		done := make(chan line, 1)
		answers <- done
		if err != nil { // What follows can't be told apart from what failed.
			done <- s.badLine(c, n, err)
			return
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			done <- s.oneLine(ec.Request().Context(), c, h, key, n, raw)
		})
	}
}

// readLine reads up to the next line feed; blank lines are skipped.
func readLine(in *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := in.ReadSlice('\n')
		out = append(out, part...)
		if len(out) > bodyBytesMax {
			return nil, errTooLarge
		}
		text := bytes.TrimSpace(out)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil && len(text) == 0:
			out = out[:0]
			continue
		case err == nil, errors.Is(err, io.EOF) && len(text) > 0:
			return text, nil
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		}
		return nil, readFailed(err)
	}
}

// oneLine runs one document of the batch as if it had come alone.
func (s *Server) oneLine(ctx context.Context, c *call, h handler, key string, n int, raw []byte) (out line) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "panic in a batch line", "request_id", c.Correlation, "line", n)
			out = s.badLine(c, n, errInternal)
		}
	}()
	if err := c.op.checkBody(raw); err != nil {
		return s.badLine(c, n, err)
	}
	one := *c
	if err := s.renew(ctx, &one); err != nil {
		return s.badLine(c, n, err)
	}
	one.raw = raw
	one.ID = commandID(c, key, s.fingerprint(&one))
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	a, err := h(ctx, s, &one)
	if err != nil {
		return s.badLine(c, n, err)
	}
	return line{Line: n, Status: a.status, Filing: a.body}
}

// renew asks anew who calls and when: a batch may stay open for days, and its key be revoked meanwhile.
func (s *Server) renew(ctx context.Context, c *call) error {
	actor, err := s.resolve(ctx, c.echo.Request().Header.Get("Authorization"))
	if err != nil {
		return err
	}
	at, err := s.permit(c.op, actor)
	if err != nil {
		return err
	}
	c.Actor, c.At = actor, at
	return nil
}

func (s *Server) badLine(c *call, n int, err error) line {
	p := s.problemOf(err, c.lang, c.Correlation)
	if p.Code == errInternal.Code {
		s.log.Error("batch line failed", "request_id", c.Correlation, "line", n, "err", err)
	}
	return line{Line: n, Status: p.Status, Problem: &p}
}

func (s *Server) writeLine(ec echo.Context, l line) {
	raw, err := json.Marshal(l)
	if err != nil {
		s.log.Error("encode batch line", "line", l.Line, "err", err)
		return
	}
	_, _ = ec.Response().Write(append(raw, '\n')) // The client went away: nobody is left to tell.
}
